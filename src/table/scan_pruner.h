// scan_pruner.h - what metadata says about where rows that pass a filter cannot be.
//
// Partitions, buckets, key ranges and statistics; rules for what is safe on a primary-key table:
// docs/format.md#statistics, #scan.
#pragma once

#include "table/file_index_pruner.h"

namespace millrace {

/// Decides from metadata what cannot hold a row that passes all predicates.
/// Threads: safe (immutable).
class ScanPruner {
 public:
  ScanPruner(const TableState& table, const std::vector<ColumnPredicate>& predicates);

  bool KeepManifest(const ManifestFileMeta& manifest) const;
  /// Partition and bucket: the same answer for an ADD and a DELETE of one file.
  bool KeepBucket(const ManifestEntry& entry) const;
  /// Key range and key indexes of a primary-key table's file: safe for every single file.
  bool KeepByKey(const DataFileMeta& file) const;
  /// Value statistics and indexes: only where no newer file may hold another row of the same key.
  bool KeepByValues(const DataFileMeta& file) const;
  /// Whether few keys are looked for: the first key column is one of constants.
  bool NamesKeys() const;
  const std::vector<PruneCondition>& conditions() const { return conditions_; }

 private:
  bool MayMatchStats(const PruneCondition& condition, const SimpleStats& stats,
                     const std::vector<DataType>& types, idx_t index, int64_t rows) const;
  void FindBucketHashes();

  const TableState& table_;
  std::vector<PruneCondition> conditions_;
  std::vector<DataType> partition_types_;
  std::vector<idx_t> partition_columns_;
  std::vector<idx_t> key_columns_;
  std::vector<DataType> key_types_;
  FileIndexPruner key_indexes_;
  FileIndexPruner value_indexes_;
  std::optional<std::vector<int32_t>> bucket_hashes_;  // Of all bucket keys that may pass.
};

}  // namespace millrace
