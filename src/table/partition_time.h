// partition_time.h - when a partition is, by its values, and when it was written last.
//
// Times are those of a wall clock in the system's zone, as the creation times of files
// (PartitionTimeExtractor.java).
#pragma once

#include "table/table_state.h"

namespace millrace {

/// How the values of a partition tell its time: `pattern` "$dt $hour:00:00" puts them together (""
/// is the first value), `formatter` reads that in Java's letters ("": "yyyy-MM-dd[ HH:mm:ss]").
struct PartitionTimeFormat {
  std::string pattern, formatter;
};

/// Of the table's options.
PartitionTimeFormat PartitionTimeFormatOf(const TableState& table);

/// The time that the values tell, in milliseconds; nullopt when they tell none.
/// Throws: Error(kInvalid) for a formatter that is none.
std::optional<int64_t> PartitionTimeMs(const TableState& table, const RowBytes& partition,
                                       const PartitionTimeFormat& format);

/// For each partition of a state when its newest file was made.
std::map<RowBytes, int64_t> LastUpdates(const TableState& table, const Snapshot& snapshot);

/// "dt=2024-01-31, hour=10".
std::string PartitionText(const TableState& table, const RowBytes& partition);

}  // namespace millrace
