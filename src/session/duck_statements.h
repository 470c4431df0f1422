// duck_statements.h - statements of DuckDB's dialect that change lake tables, as ours.
//
// DuckDB parses them; what runs is what runs for the same statement of Flink's dialect, so that it
// commits, retries and recovers alike. Expressions keep DuckDB's meaning.
#pragma once

#include "sql/statement.h"

namespace millrace {

/// What the reading of a statement needs to know.
struct DuckStatementContext {
  /// Whether it is a table of ours.
  std::function<bool(const QualifiedName& table)> is_table;
  /// Whether a catalog ("": the current one) keeps lake tables.
  std::function<bool(const std::string& catalog)> is_lake;
  /// Names and types that a query gives. Throws: what DuckDB says.
  std::function<void(const std::string& duck_sql, duckdb::vector<std::string>* names,
                     duckdb::vector<LogicalType>* types)>
      bind;
};

/// nullopt: not a change of a table of ours; DuckDB runs it, or says what is wrong with it.
/// Throws: Error(kUnsupported) for a clause that lake tables have not.
std::optional<StatementBody> ReadDuckStatement(const std::string& sql,
                                               const DuckStatementContext& context);

}  // namespace millrace
