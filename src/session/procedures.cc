// procedures.cc - CALL, SHOW PROCEDURES, SHOW TAGS and ALTER TABLE ... TAG.
#include <algorithm>

#include "base/error.h"
#include "catalog/procedures.h"
#include "catalog/system_tables.h"
#include "duckdb/common/string_util.hpp"
#include "session/sql_session.h"
#include "table/tags.h"

namespace millrace {

namespace {

StatementResult RowsResult(duckdb::vector<std::string> names, duckdb::vector<LogicalType> types,
                           std::vector<std::vector<Value>> rows) {
  StatementResult result;
  result.kind = ResultKind::kRows;
  result.rows = MakeRowsResult(std::move(names), std::move(types), std::move(rows));
  return result;
}

}  // namespace

/// The arguments' values: constant expressions, which DuckDB works out.
std::vector<GivenArgument> SqlSession::ArgumentsOf(const Call& statement) {
  std::vector<GivenArgument> given;
  if (statement.arguments.empty()) return given;
  std::string sql = "SELECT ";
  for (const Call::Argument& argument : statement.arguments) {
    sql += (given.empty() ? "" : ", ") + argument.duck_sql;
    given.push_back({argument.name, Value()});
  }
  auto result = NewConnection()->Query(sql);
  if (result->HasError()) result->ThrowError();
  for (idx_t i = 0; i < given.size(); i++) given[i].value = result->GetValue(i, 0);
  return given;
}

StatementResult SqlSession::Run(const Call& statement) {
  QualifiedName path = statement.procedure;
  std::string name = path.back();
  std::string catalog = path.size() == 3 ? path[0] : catalog_;
  bool in_sys =
      path.size() >= 2 && duckdb::StringUtil::CIEquals(path[path.size() - 2], kSystemDatabase);
  if (!in_sys) {
    Throw(ErrorCode::kNotFound,
          "There is no procedure {}; procedures are in database sys: CALL "
          "sys.{}(...)",
          fmt::join(path, "."), name);
  }
  const Procedure& procedure = NeedProcedure(name);
  CatalogStore& store = engine_.Store(catalog);
  if (store.Warehouse().empty()) {
    Throw(ErrorCode::kInvalid,
          "Calling sys.{}: catalog '{}' keeps no lake tables; USE CATALOG one of "
          "type 'paimon', or CALL <catalog>.sys.{}(...)",
          procedure.name, catalog, procedure.name);
  }
  std::string database = catalog == catalog_ ? database_ : "default";
  ProcedureCall call{store, engine_.table_context(), database, engine_.services().time_zone,
                     BindArguments(procedure, ArgumentsOf(statement))};
  duckdb::vector<std::string> names;
  duckdb::vector<LogicalType> types;
  for (const auto& [column, type] : procedure.columns) {
    names.push_back(column);
    types.push_back(type);
  }
  return RowsResult(std::move(names), std::move(types), procedure.run(call));
}

StatementResult SqlSession::ShowProcedures(const Show& statement) {
  std::vector<std::vector<Value>> rows;
  for (const Procedure* procedure : Procedures()) {
    if (!statement.like || MatchesLike(procedure->name, *statement.like))
      rows.push_back({Value(procedure->name)});
  }
  return RowsResult({"procedure name"}, {LogicalType::VARCHAR}, std::move(rows));
}

StatementResult SqlSession::ShowTags(const Show& statement) {
  std::vector<std::vector<Value>> rows;
  auto table = NeedLakeTable(statement.name, "Showing tags of");
  for (const std::string& name : table->state().tags.Names()) rows.push_back({Value(name)});
  return RowsResult({"tag"}, {LogicalType::VARCHAR}, std::move(rows));
}

StatementResult SqlSession::Run(const AlterTag& statement) {
  using Action = AlterTag::Action;
  std::shared_ptr<const Table> table = NeedLakeTable(statement.table, "Altering");
  const TableState& state = table->state();
  bool exists = state.tags.Find(statement.tag).has_value();
  if (statement.action == Action::kRename) {
    RenameTag(state, statement.tag, statement.new_name);
    return {};
  }
  if (statement.action == Action::kDelete) {
    if (!statement.lenient) state.tags.Need(statement.tag);
    DeleteTag(state, statement.tag);
    return {};
  }
  std::optional<Snapshot> snapshot = statement.snapshot_id
                                         ? NeedSnapshotOrTag(state, *statement.snapshot_id)
                                         : state.snapshots.Latest();
  if (!snapshot) {
    Throw(ErrorCode::kNotFound, "Table '{}' has no snapshots: there is nothing to tag",
          fmt::join(statement.table, "."));
  }
  bool replace = statement.action == Action::kReplace ||
                 (statement.action == Action::kCreateOrReplace && exists);
  if (replace) {
    ReplaceTag(state, statement.tag, *snapshot, statement.retained_ms);
  } else {
    CreateTag(state, statement.tag, *snapshot, statement.retained_ms, statement.lenient);
  }
  return {};
}

}  // namespace millrace
