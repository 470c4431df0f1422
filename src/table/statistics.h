// statistics.h - statistics/stat-<uuid>-<i>: what ANALYZE TABLE found out about a state.
//
// A snapshot of kind ANALYZE changes no file and names the statistics; later snapshots of the same
// schema inherit them. Bytes on disk: docs/format.md#table-statistics (Statistics.java,
// ColStats.java).
#pragma once

#include "table/table_state.h"

namespace millrace {

struct ColumnStatistics {
  int column_id = 0;
  std::optional<int64_t> distinct_count;
  std::optional<std::string> least, greatest;  // As Java prints Paimon's internal values.
  std::optional<int64_t> null_count;
  std::optional<int64_t> average_bytes, greatest_bytes;
  bool operator==(const ColumnStatistics&) const = default;
};

struct TableStatistics {
  int64_t snapshot_id = 0;
  int64_t schema_id = 0;
  std::optional<int64_t> row_count;
  std::optional<int64_t> bytes;
  std::map<std::string, ColumnStatistics> columns;
  bool operator==(const TableStatistics&) const = default;
};

std::string StatisticsToJson(const TableStatistics& statistics);
/// `file` only names the culprit. Throws: Error(kCorrupt).
TableStatistics StatisticsFromJson(std::string_view json, const std::string& file);
/// The columns' part alone.
std::string ColumnStatisticsJson(const TableStatistics& statistics);

std::string StatisticsPath(const TableState& table, const std::string& name);
TableStatistics ReadStatistics(const TableState& table, const std::string& name);

/// Publishes `statistics` with a snapshot of kind ANALYZE; its id. Throws: Error(kConflict) when
/// the schema has changed since, or others were always first; Error(kNotFound) for an empty table.
int64_t CommitStatistics(const TableState& table, const TableStatistics& statistics);

}  // namespace millrace
