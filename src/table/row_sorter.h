// row_sorter.h - sorts more rows than memory holds, by DuckDB's sort and under its memory limit.
#pragma once

#include "base/duck.h"

namespace duckdb {
class DatabaseInstance;
}

namespace millrace {

/// Takes rows, then gives them in ascending order of some columns, NULL first.
/// Threads: one at a time.
class RowSorter {
 public:
  RowSorter(duckdb::DatabaseInstance& database, const std::vector<LogicalType>& types,
            const std::vector<idx_t>& columns);
  ~RowSorter();
  void Add(DataChunk& rows);
  /// Fills `rows`, which was reset; false at the end. After the first call nothing is added.
  bool Next(DataChunk& rows);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace millrace
