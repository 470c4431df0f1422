// row_changes.h - DELETE, UPDATE and MERGE as one query over the target and what it says to change.
#pragma once

#include "catalog/catalog_store.h"
#include "catalog/scan_function.h"
#include "session/assignment.h"
#include "sql/dml_statement.h"

namespace millrace {

/// What a row of the query means.
enum class RowAction : uint8_t { kInsert, kUpdate, kDelete };

/// A query whose columns are: number of the clause, row id (NULL: a new row), and the values of all
/// physical columns of the target.
struct RowChangeQuery {
  std::string duck_sql;
  std::vector<RowAction> clauses;  // What the numbers mean.
};

/// Names and types that a query gives, by binding it.
using QueryBinder = std::function<duckdb::vector<LogicalType>(const std::string& duck_sql)>;

/// `doing` begins messages: "Deleting from 'a.b.c'".
struct RowChangeContext {
  const TableDefinition& target;
  std::string doing;
  QueryBinder types_of;
  std::function<duckdb::vector<std::string>(const std::string& duck_sql)> names_of;
  AssignmentCasts casts = AssignmentCasts::kFamily;
  /// What tells the target's rows apart. A query that only evaluates the same expressions may name
  /// a column of the table's own; then it can run incrementally.
  std::string row_id = kRowIdColumn;
};

RowChangeQuery QueryOf(const DeleteRows& statement, const RowChangeContext& context);
RowChangeQuery QueryOf(const UpdateRows& statement, const RowChangeContext& context);
RowChangeQuery QueryOf(const MergeInto& statement, const RowChangeContext& context);

/// The target as DuckDB text, with row ids and under its alias.
std::string TargetText(const DmlTarget& target, const RowChangeContext& context);

/// Types of the assigned values, bound over `from` ("FROM .."); a bare NULL has the type SQLNULL.
duckdb::vector<LogicalType> TypesOf(const RowChangeContext& context,
                                    const std::vector<Assignment>& assignments,
                                    const std::string& from);

/// The column of the target that is assigned to.
/// Throws: Error(kNotFound) with a suggestion; Error(kUnsupported) for a primary key column where
/// `key_too` is false.
const ColumnDefinition& AssignedColumn(const RowChangeContext& context, const std::string& name,
                                       bool key_too);

}  // namespace millrace
