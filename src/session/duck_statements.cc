#include "session/duck_statements.h"

#include <algorithm>

#include "base/error.h"
#include "duckdb/parser/constraints/not_null_constraint.hpp"
#include "duckdb/parser/constraints/unique_constraint.hpp"
#include "duckdb/parser/expression/columnref_expression.hpp"
#include "duckdb/parser/expression/constant_expression.hpp"
#include "duckdb/parser/parsed_data/create_schema_info.hpp"
#include "duckdb/parser/parsed_data/create_table_info.hpp"
#include "duckdb/parser/parsed_data/drop_info.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/query_node.hpp"
#include "duckdb/parser/statement/create_statement.hpp"
#include "duckdb/parser/statement/delete_statement.hpp"
#include "duckdb/parser/statement/drop_statement.hpp"
#include "duckdb/parser/statement/insert_statement.hpp"
#include "duckdb/parser/statement/merge_into_statement.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/parser/statement/update_statement.hpp"
#include "duckdb/parser/tableref/basetableref.hpp"
#include "sql/lexer.h"

namespace millrace {

namespace {

using duckdb::StatementType;

QualifiedName NameOf(const std::string& catalog, const std::string& schema,
                     const std::string& name) {
  QualifiedName parts;
  if (!catalog.empty()) parts.push_back(catalog);
  if (!schema.empty()) parts.push_back(schema);
  parts.push_back(name);
  return parts;
}

[[noreturn]] void Refuse(const std::string& what, const std::string& instead) {
  Throw(ErrorCode::kUnsupported, "{} is not supported for lake tables; {}", what, instead);
}

void RefuseReturning(const duckdb::vector<duckdb::unique_ptr<duckdb::ParsedExpression>>& list) {
  if (!list.empty()) Refuse("RETURNING", "SELECT the rows afterwards");
}

class Reader {
 public:
  Reader(const std::string& sql, const DuckStatementContext& context)
      : sql_(sql), context_(context) {}

  std::optional<StatementBody> Read(duckdb::SQLStatement& statement) {
    switch (statement.type) {
      case StatementType::INSERT_STATEMENT:
        return ReadInsert(statement.Cast<duckdb::InsertStatement>());
      case StatementType::DELETE_STATEMENT:
        return ReadDelete(statement.Cast<duckdb::DeleteStatement>());
      case StatementType::UPDATE_STATEMENT:
        return ReadUpdate(statement.Cast<duckdb::UpdateStatement>());
      case StatementType::MERGE_INTO_STATEMENT:
        return ReadMerge(statement.Cast<duckdb::MergeIntoStatement>());
      case StatementType::CREATE_STATEMENT:
        return ReadCreate(*statement.Cast<duckdb::CreateStatement>().info);
      case StatementType::DROP_STATEMENT:
        return ReadDrop(*statement.Cast<duckdb::DropStatement>().info);
      default:
        return std::nullopt;
    }
  }

 private:
  /// The target of a change; nullopt when it is not ours.
  std::optional<DmlTarget> TargetOf(const duckdb::TableRef& ref) const {
    if (ref.type != duckdb::TableReferenceType::BASE_TABLE) return std::nullopt;
    const auto& table = ref.Cast<duckdb::BaseTableRef>();
    DmlTarget target;
    target.name = NameOf(table.catalog_name, table.schema_name, table.table_name);
    target.alias = table.alias.empty() ? table.table_name : table.alias;
    if (!context_.is_table(target.name)) return std::nullopt;
    return target;
  }

  static std::vector<Assignment> AssignmentsOf(const duckdb::UpdateSetInfo& set) {
    std::vector<Assignment> assignments;
    for (idx_t i = 0; i < set.columns.size(); i++) {
      assignments.push_back({set.columns[i], set.expressions[i]->ToString()});
    }
    return assignments;
  }

  std::optional<StatementBody> ReadInsert(const duckdb::InsertStatement& statement) const {
    Insert insert;
    insert.target = NameOf(statement.catalog, statement.schema, statement.table);
    if (!context_.is_table(insert.target)) return std::nullopt;
    RefuseReturning(statement.returning_list);
    if (statement.on_conflict_info) {
      Refuse("ON CONFLICT",
             "a row of a table with a primary key takes the place of the one that "
             "is there, as its merge engine says");
    }
    if (statement.default_values || !statement.select_statement) {
      Refuse("DEFAULT VALUES", "give the values");
    }
    insert.query.duck_sql = statement.cte_map.ToString() + statement.select_statement->ToString();
    insert.columns.assign(statement.columns.begin(), statement.columns.end());
    if (statement.column_order == duckdb::InsertColumnOrder::INSERT_BY_NAME) {
      duckdb::vector<std::string> names;
      context_.bind(insert.query.duck_sql, &names, nullptr);
      insert.columns.assign(names.begin(), names.end());
    }
    insert.original = sql_;
    return insert;
  }

  std::optional<StatementBody> ReadDelete(const duckdb::DeleteStatement& statement) const {
    auto target = TargetOf(*statement.table);
    if (!target) return std::nullopt;
    RefuseReturning(statement.returning_list);
    if (!statement.using_clauses.empty()) Refuse("USING", "write WHERE EXISTS (..) or .. IN (..)");
    RefuseCtes(statement.cte_map);
    DeleteRows rows{std::move(*target), std::nullopt, sql_};
    if (statement.condition) rows.condition = statement.condition->ToString();
    return rows;
  }

  std::optional<StatementBody> ReadUpdate(const duckdb::UpdateStatement& statement) const {
    auto target = TargetOf(*statement.table);
    if (!target) return std::nullopt;
    RefuseReturning(statement.returning_list);
    if (statement.from_table) Refuse("UPDATE .. FROM", "write MERGE INTO");
    RefuseCtes(statement.cte_map);
    UpdateRows rows{std::move(*target), AssignmentsOf(*statement.set_info), std::nullopt, sql_};
    if (statement.set_info->condition) rows.condition = statement.set_info->condition->ToString();
    return rows;
  }

  static void RefuseCtes(const duckdb::CommonTableExpressionMap& ctes) {
    if (!ctes.map.empty()) Refuse("WITH before a change of rows", "put the query where it is used");
  }

  std::optional<StatementBody> ReadMerge(const duckdb::MergeIntoStatement& statement) const {
    auto target = TargetOf(*statement.target);
    if (!target) return std::nullopt;
    RefuseReturning(statement.returning_list);
    RefuseCtes(statement.cte_map);
    MergeInto merge;
    merge.target = std::move(*target);
    auto source = statement.source->Copy();
    merge.source_alias = source->alias;
    if (merge.source_alias.empty() && source->type == duckdb::TableReferenceType::BASE_TABLE) {
      merge.source_alias = source->Cast<duckdb::BaseTableRef>().table_name;
    }
    if (merge.source_alias.empty()) merge.source_alias = "source";
    merge.source = "(SELECT * FROM " + source->ToString() + ")";
    for (const std::string& column : statement.using_columns) {
      merge.condition += (merge.condition.empty() ? "" : " AND ") + QuoteName(merge.target.alias) +
                         "." + QuoteName(column) + " = " + QuoteName(merge.source_alias) + "." +
                         QuoteName(column);
    }
    if (statement.join_condition) merge.condition = statement.join_condition->ToString();
    for (const auto& [when, actions] : statement.actions) {
      for (const auto& action : actions) merge.clauses.push_back(ClauseOf(when, *action));
    }
    merge.original = sql_;
    return merge;
  }

  static MergeClause ClauseOf(duckdb::MergeActionCondition when,
                              const duckdb::MergeIntoAction& action) {
    using duckdb::MergeActionCondition;
    using duckdb::MergeActionType;
    MergeClause clause{MergeClause::Case::kMatched, MergeClause::Action::kUpdate};
    if (when == MergeActionCondition::WHEN_NOT_MATCHED_BY_TARGET) {
      clause.when = MergeClause::Case::kNotMatched;
    } else if (when == MergeActionCondition::WHEN_NOT_MATCHED_BY_SOURCE) {
      clause.when = MergeClause::Case::kNotMatchedBySource;
    }
    if (action.condition) clause.condition = action.condition->ToString();
    switch (action.action_type) {
      case MergeActionType::MERGE_UPDATE:
        clause.star = !action.update_info;
        if (action.update_info) clause.assignments = AssignmentsOf(*action.update_info);
        break;
      case MergeActionType::MERGE_DELETE:
        clause.action = MergeClause::Action::kDelete;
        break;
      case MergeActionType::MERGE_INSERT:
        clause.action = MergeClause::Action::kInsert;
        clause.star = action.expressions.empty();
        if (action.default_values) Refuse("INSERT DEFAULT VALUES", "give the values");
        if (!clause.star && action.insert_columns.size() != action.expressions.size()) {
          Refuse("INSERT VALUES without column names", "write INSERT (a, b) VALUES (x, y)");
        }
        for (idx_t i = 0; i < action.expressions.size(); i++) {
          clause.assignments.push_back(
              {action.insert_columns[i], action.expressions[i]->ToString()});
        }
        break;
      default:
        Refuse("MERGE .. DO NOTHING or ERROR", "leave the clause out");
    }
    return clause;
  }

  std::optional<StatementBody> ReadCreate(const duckdb::CreateInfo& info) const {
    if (!context_.is_lake(info.catalog)) return std::nullopt;
    bool lenient = info.on_conflict == duckdb::OnCreateConflict::IGNORE_ON_CONFLICT;
    if (info.type == duckdb::CatalogType::SCHEMA_ENTRY) {
      CreateDatabase create;
      create.name = NameOf("", info.catalog, info.schema);
      create.if_not_exists = lenient;
      return create;
    }
    if (info.type != duckdb::CatalogType::TABLE_ENTRY || info.temporary) return std::nullopt;
    const auto& table = info.Cast<duckdb::CreateTableInfo>();
    CreateTable create;
    create.name = NameOf(table.catalog, table.schema, table.table);
    create.if_not_exists = lenient;
    create.or_replace = info.on_conflict == duckdb::OnCreateConflict::REPLACE_ON_CONFLICT;
    TableDefinition& definition = create.definition;
    definition.path.name = table.table;
    if (table.query) {
      create.as_query = QueryText{table.query->ToString()};
    } else {
      AddColumns(table, definition);
    }
    if (!table.sort_keys.empty()) Refuse("SORTED BY", "CALL sys.compact sorts a table");
    for (const auto& key : table.partition_keys) {
      if (key->GetExpressionClass() != duckdb::ExpressionClass::COLUMN_REF) {
        Refuse("PARTITIONED BY (" + key->ToString() + ")", "name columns");
      }
      definition.partition_keys.push_back(key->Cast<duckdb::ColumnRefExpression>().GetColumnName());
    }
    for (const auto& [name, value] : table.options) {
      if (!value || value->GetExpressionClass() != duckdb::ExpressionClass::CONSTANT) {
        Refuse("Option '" + name + "' without a constant", "write WITH ('" + name + "' = 'value')");
      }
      definition.options[name] = value->Cast<duckdb::ConstantExpression>().value.ToString();
    }
    return create;
  }

  void AddColumns(const duckdb::CreateTableInfo& table, TableDefinition& definition) const {
    std::string casts;
    for (const duckdb::ColumnDefinition& column : table.columns.Logical()) {
      if (column.Generated()) Refuse("A generated column", "compute it in a view");
      if (column.HasDefaultValue()) {
        Refuse("DEFAULT", "the option 'fields." + column.Name() + ".default-value' gives one");
      }
      casts += (casts.empty() ? "" : ", ") + ("CAST(NULL AS " + column.Type().ToString() + ")");
    }
    duckdb::vector<LogicalType> types;
    context_.bind("SELECT " + casts, nullptr, &types);
    for (const duckdb::ColumnDefinition& column : table.columns.Logical()) {
      definition.columns.push_back(
          {column.Name(), DataTypeFromDuck(types[definition.columns.size()]), {}, {}, ""});
    }
    for (const auto& constraint : table.constraints) {
      if (constraint->type == duckdb::ConstraintType::NOT_NULL) {
        auto& column =
            definition.columns[constraint->Cast<duckdb::NotNullConstraint>().index.index];
        column.type = column.type.NotNull();
      } else if (constraint->type == duckdb::ConstraintType::UNIQUE &&
                 constraint->Cast<duckdb::UniqueConstraint>().IsPrimaryKey()) {
        const auto& key = constraint->Cast<duckdb::UniqueConstraint>();
        for (const std::string& name : key.GetColumnNames()) {
          definition.primary_key.push_back(name);
        }
        if (key.HasIndex() && definition.primary_key.empty()) {
          definition.primary_key.push_back(definition.columns[key.GetIndex().index].name);
        }
      } else {
        Refuse(constraint->ToString(), "PRIMARY KEY and NOT NULL are");
      }
    }
  }

  std::optional<StatementBody> ReadDrop(const duckdb::DropInfo& info) const {
    Drop drop{ObjectKind::kTable, NameOf(info.catalog, info.schema, info.name)};
    if (info.type == duckdb::CatalogType::SCHEMA_ENTRY) {
      drop.kind = ObjectKind::kDatabase;
      drop.name = NameOf("", info.catalog, info.name);
    } else if (info.type != duckdb::CatalogType::TABLE_ENTRY) {
      return std::nullopt;
    }
    if (!context_.is_lake(info.catalog) && !context_.is_table(drop.name)) return std::nullopt;
    drop.if_exists = info.if_not_found == duckdb::OnEntryNotFound::RETURN_NULL;
    drop.cascade = info.cascade;
    return drop;
  }

  const std::string& sql_;
  const DuckStatementContext& context_;
};

}  // namespace

std::optional<StatementBody> ReadDuckStatement(const std::string& sql,
                                               const DuckStatementContext& context) {
  duckdb::Parser parser;
  try {
    parser.ParseQuery(sql);
  } catch (const std::exception&) {
    return std::nullopt;  // DuckDB says it again, with its extensions' grammar.
  }
  if (parser.statements.size() != 1) return std::nullopt;
  return Reader(sql, context).Read(*parser.statements[0]);
}

}  // namespace millrace
