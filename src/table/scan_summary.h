// scan_summary.h - what metadata says of all rows of a scan: how many there are, and the least and
// greatest value of a column.
#pragma once

#include "table/scan_plan.h"

namespace millrace {

/// The columns that a file has value statistics of, in the order of the statistics.
struct StatsColumns {
  std::vector<DataType> types;  // When the file was written.
  std::vector<int> field_ids;
  /// Where the statistics of a field are; nullopt: there are none.
  std::optional<idx_t> Find(int field_id) const;
};

/// nullopt: the metadata contradicts itself, or the file holds only some of the columns.
std::optional<StatsColumns> StatsColumnsOf(const TableState& table, const DataFileMeta& file);

/// Of one column. Neither is NULL.
struct ValueRange {
  Value least;
  Value greatest;
};

/// Whether every row of the split's files is live but for its deletion vectors.
bool HoldsLiveRowsOnly(const Split& split);

/// The rows of these splits; nullopt when only reading them can tell.
std::optional<int64_t> CountRows(const std::vector<Split>& splits);

/// Exact bounds of a column's values, NULL aside; nullopt when only reading can tell, or when there
/// are no values. Statistics of strings and floating-point numbers are not exact.
std::optional<ValueRange> RangeOfColumn(const TableState& table, const std::vector<Split>& splits,
                                        idx_t column);

}  // namespace millrace
