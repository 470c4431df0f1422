// stats_collector.h - min, max and null counts of a file's columns, as manifests keep them.
// What each type and mode gives: docs/format.md#statistics (SimpleStatsCollector.java).
#pragma once

#include "meta/manifest.h"
#include "meta/schema.h"

namespace millrace {

enum class StatsMode : uint8_t { kNone, kCounts, kTruncate, kFull };

struct ColumnStatsMode {
  StatsMode mode = StatsMode::kTruncate;
  int length = 16;  // Characters kept by kTruncate.
  bool operator==(const ColumnStatsMode&) const = default;
};

/// False for nested types: they have neither min and max nor a null count.
bool HasStats(const DataType& type);
/// False also for BINARY, VARBINARY, BYTES and timestamps finer than microseconds.
bool HasMinMax(const DataType& type);

/// The mode of each column by `metadata.stats-mode`, `metadata.stats-mode.per.level`,
/// `metadata.stats-keep-first-n-columns` and `fields.<column>.stats-mode`. Primary key columns
/// always keep their stats. Throws: Error(kInvalid) naming the option.
std::vector<ColumnStatsMode> StatsModes(const TableSchema& schema, int level = 0);

/// Collects SimpleStats of columns as chunks go by. Columnar: no Value before Finish.
///
/// Threads: one at a time.
class StatsCollector {
 public:
  /// `truncate` < 0: full strings.
  StatsCollector(std::vector<DataType> types, int truncate = 16);
  StatsCollector(std::vector<DataType> types, std::vector<ColumnStatsMode> modes);
  ~StatsCollector();
  StatsCollector(StatsCollector&&) noexcept;
  StatsCollector& operator=(StatsCollector&&) noexcept;

  /// Adds the rows of `chunk`; column i of the collector is chunk column `first_column` + i.
  void Add(DataChunk& chunk, idx_t first_column);
  /// Adds the first `count` rows of one vector as column `column` of the collector.
  void AddColumn(idx_t column, Vector& vector, idx_t count);

  /// Stats over all columns; those without have nulls there. For _KEY_STATS and _PARTITION_STATS.
  SimpleStats Finish() const;
  /// Dense stats: only over the columns that have any, whose numbers go to `columns`. When that is
  /// all of them, _VALUE_STATS_COLS is null, else their names.
  SimpleStats FinishDense(std::vector<idx_t>& columns) const;

 private:
  struct ColumnState;
  SimpleStats FinishColumns(const std::vector<idx_t>& columns) const;
  std::vector<std::unique_ptr<ColumnState>> columns_;
};

}  // namespace millrace
