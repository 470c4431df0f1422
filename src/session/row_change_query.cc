// row_change_query.cc - DELETE and UPDATE as queries.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "duckdb/common/string_util.hpp"
#include "session/assignment.h"
#include "session/row_changes.h"
#include "sql/lexer.h"

namespace millrace {

std::string TargetText(const DmlTarget& target, const RowChangeContext& context) {
  const ObjectPath& path = context.target.path;
  nlohmann::json options = target.hint;
  if (context.row_id == kRowIdColumn) options[kRowIdOption] = "true";
  return QuoteName(path.catalog) + "." + QuoteName(path.database) + "." +
         QuoteName(path.name + "$options" + options.dump()) + " AS " + QuoteName(target.alias);
}

duckdb::vector<LogicalType> TypesOf(const RowChangeContext& context,
                                    const std::vector<Assignment>& assignments,
                                    const std::string& from) {
  std::string expressions;
  for (const Assignment& assignment : assignments) {
    expressions += (expressions.empty() ? "SELECT (" : ", (") + assignment.expression + ")";
  }
  duckdb::vector<LogicalType> types = context.types_of(expressions + from);
  for (idx_t i = 0; i < assignments.size(); i++) {
    // A bare NULL goes with any type, though DuckDB calls it an INTEGER.
    if (duckdb::StringUtil::CIEquals(assignments[i].expression, "NULL")) {
      types[i] = LogicalType(LogicalTypeId::SQLNULL);
    }
  }
  return types;
}

const ColumnDefinition& AssignedColumn(const RowChangeContext& context, const std::string& name,
                                       bool key_too) {
  const TableDefinition& target = context.target;
  auto column = target.FindColumn(name);
  if (!column || target.columns[*column].computed) {
    Throw(ErrorCode::kNotFound, "{}: there is no physical column '{}'{}", context.doing, name,
          DidYouMean(name, target.ColumnNames()));
  }
  const std::string& found = target.columns[*column].name;
  bool in_key = std::find(target.primary_key.begin(), target.primary_key.end(), found) !=
                target.primary_key.end();
  if (in_key && !key_too) {
    Throw(ErrorCode::kUnsupported,
          "{}: '{}' is a primary key column and cannot be updated; DELETE the row and INSERT it "
          "under its new key",
          context.doing, found);
  }
  return target.columns[*column];
}

namespace {

std::string ColumnText(const DmlTarget& target, const std::string& column) {
  return QuoteName(target.alias) + "." + QuoteName(column);
}

std::string Head(const DmlTarget& target, const RowChangeContext& context) {
  return "SELECT 0::TINYINT, " + ColumnText(target, context.row_id);
}

std::string Tail(const DmlTarget& target, const RowChangeContext& context,
                 const std::optional<std::string>& condition) {
  return " FROM " + TargetText(target, context) +
         (condition ? " WHERE (" + *condition + ")" : std::string());
}

}  // namespace

RowChangeQuery QueryOf(const DeleteRows& statement, const RowChangeContext& context) {
  std::string sql = Head(statement.target, context);
  for (idx_t column : context.target.PhysicalColumns()) {
    sql += ", " + ColumnText(statement.target, context.target.columns[column].name);
  }
  return {sql + Tail(statement.target, context, statement.condition), {RowAction::kDelete}};
}

RowChangeQuery QueryOf(const UpdateRows& statement, const RowChangeContext& context) {
  std::string tail = Tail(statement.target, context, statement.condition);
  std::map<std::string, std::string> values;  // By column.
  duckdb::vector<LogicalType> types = TypesOf(context, statement.assignments, tail);
  for (idx_t i = 0; i < statement.assignments.size(); i++) {
    const Assignment& assignment = statement.assignments[i];
    const ColumnDefinition& column = AssignedColumn(context, assignment.column, false);
    values[column.name] = AssignedText("(" + assignment.expression + ")", types[i], column,
                                       context.doing, context.casts);
  }
  std::string sql = Head(statement.target, context);
  for (idx_t i : context.target.PhysicalColumns()) {
    const std::string& name = context.target.columns[i].name;
    auto value = values.find(name);
    sql += ", " + (value == values.end() ? ColumnText(statement.target, name) : value->second);
  }
  return {sql + tail, {RowAction::kUpdate}};
}

}  // namespace millrace
