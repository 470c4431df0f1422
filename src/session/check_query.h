// check_query.h - the SQL that holds a table against the query that it is made by.
#pragma once

#include "base/duck.h"

namespace millrace {

/// Text for DuckDB. It gives rows (VARCHAR result, BIGINT rows, VARCHAR row): the one row
/// 'ok' with the number of the table's rows; or up to kShownDifferences rows that are 'only in the
/// query' or 'only in the table', and how many more of them there, and 'further differences' where
/// there are more.
struct CheckQuery {
  static constexpr int kShownDifferences = 100;
  struct Column {
    std::string name;
    LogicalType type;
  };
  std::vector<std::string> queries;  // Each gives the columns; their rows together make the table.
  std::string table;                 // Quoted.
  bool table_is_empty = false;       // It cannot be read at all.
  std::vector<Column> columns;
  /// Of the table: indexes into columns. It shows one row of each key, the greatest; or any, if
  /// `any_of_key`.
  std::vector<idx_t> key;
  bool any_of_key = false;

  std::string Sql() const;

 private:
  std::string List(const std::string& prefix = "") const;
  std::string SameKey() const;
  std::string Close(idx_t i) const;
  std::string RowText() const;
  std::string ByRow() const;
  std::string ByKey() const;
};

}  // namespace millrace
