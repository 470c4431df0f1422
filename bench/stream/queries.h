// queries.h - the queries of the benchmark, and the rows of their tables.
//
// All columns are BIGINT and follow from the number of the row, so that a dataflow and DuckDB's
// batch read the same rows, and nothing has to be kept.
#pragma once

#include <string>
#include <vector>

#include "base/change_chunk.h"
#include "duckdb/main/connection.hpp"
#include "meta/table_definition.h"

namespace millrace {

struct BenchTable {
  std::string name;
  std::vector<std::string> columns;
  std::vector<int64_t>
      below;  // Values of a column are drawn from 0 .. below-1; 0: the row's number.
  int64_t rows = 0;
};

struct BenchQuery {
  std::string sql;
  std::vector<BenchTable> tables;
};

/// sums: grouped sums, as many groups as rows; join2, join5: by keys, each row has one partner on
/// average; mixed: a join below sums. `rows` in all tables together.
/// Throws: Error when there is no query of that name.
BenchQuery MakeBenchQuery(const std::string& name, int64_t rows);

/// Columns of rows `begin` .. `begin + count - 1` of a table.
void FillRows(const BenchTable& table, int64_t begin, idx_t count,
              const std::vector<idx_t>& columns, DataChunk& out);

/// Makes the tables' definitions known to the table function `feed`, and a view over it by each
/// table's name.
void ShowTables(duckdb::Connection& connection, const BenchQuery& query);

}  // namespace millrace
