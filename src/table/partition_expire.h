// partition_expire.h - drops partitions whose time is over.
//
// `partition.expiration-time`: how long after the time that a partition's values tell (strategy
// values-time) or after its newest file was made (update-time). Such a commit has the property
// kPartitionsExpired: it is no change for those who follow the table (PartitionExpire.java).
#pragma once

#include "table/table_state.h"

namespace millrace {

/// Property of snapshots that drop partitions whose time is over.
inline constexpr const char* kPartitionsExpired = "millrace.partitions-expired";

/// Whether the options let partitions expire at all.
bool PartitionsExpire(const TableState& table);

/// Partitions that are over, as the table's options say; in the order of their values.
/// Throws: Error(kInvalid) naming an option.
std::vector<RowBytes> FindExpiredPartitions(const TableState& table);

/// Drops them in one commit; returns those. Throws: as FindExpiredPartitions, and as a commit.
std::vector<RowBytes> ExpirePartitions(const TableState& table);

/// The same when 'partition.expiration-check-interval' has passed since the last time.
void ExpireDuePartitions(const TableState& table);

}  // namespace millrace
