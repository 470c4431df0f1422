// partition_done.h - the mark of a finished partition: a file _SUCCESS in its folder.
//
// {"creationTime": ms, "modificationTime": ms}; no part of the table's metadata
// (SuccessFileMarkDoneAction.java).
#pragma once

#include "table/table_state.h"

namespace millrace {

/// "dt=2024-01-31,hour=10": the values of some partition columns, in the order of the columns;
/// nullopt for those that are free. Throws: Error(kInvalid) naming the column.
std::vector<std::optional<Value>> ParsePartitionValues(const TableState& table,
                                                       const std::string& spec);
/// The same with a value for every partition column, as the partition's row.
RowBytes ParsePartitionSpec(const TableState& table, const std::string& spec);
/// Whether a partition has these values.
bool PartitionMatches(const TableState& table, const std::vector<std::optional<Value>>& values,
                      const RowBytes& partition);

/// Writes the mark; one that is there keeps its time of creation.
void MarkPartitionDone(const TableState& table, const RowBytes& partition);
bool IsPartitionDone(const TableState& table, const RowBytes& partition);

/// After a commit into `partitions`: marks what 'partition.end-input-to-done' (at the end of a
/// batch job) and 'partition.idle-time-to-done' with 'partition.time-interval' say. A partition
/// that was written after its mark is marked again. (PartitionMarkDoneTrigger.java)
void MarkDuePartitions(const TableState& table, const std::vector<RowBytes>& partitions,
                       bool batch);

}  // namespace millrace
