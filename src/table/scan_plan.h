// scan_plan.h - which files of a snapshot a scan reads, cut into splits for parallel reading.
//
// Pruned by partition, bucket (all bucket-key columns fixed), key range and statistics; rules for
// what is safe on a primary-key table: docs/format.md#statistics, #scan.
#pragma once

#include "table/table_state.h"

namespace millrace {

/// Decides from metadata what cannot hold a row that passes all predicates.
/// Threads: safe (immutable).
class ScanPruner {
 public:
  ScanPruner(const TableState& table, const std::vector<ColumnPredicate>& predicates);

  bool KeepManifest(const ManifestFileMeta& manifest) const;
  /// Partition and bucket: the same answer for an ADD and a DELETE of one file.
  bool KeepBucket(const ManifestEntry& entry) const;
  /// Key range of a primary-key table's file: safe for every single file.
  bool KeepByKey(const DataFileMeta& file) const;
  /// Value statistics: only where no newer file may hold another row of the same key.
  bool KeepByValues(const DataFileMeta& file) const;

 private:
  struct Condition {
    idx_t column;  // Of the schema.
    ColumnPredicate::Op op;
    Value constant;  // Of the column's type.
    bool MayMatch(const Value& least, const Value& greatest) const;
  };
  bool MayMatchStats(const Condition& condition, const SimpleStats& stats,
                     const std::vector<DataType>& types, idx_t index, int64_t rows) const;
  std::optional<int32_t> FixedBucketHash() const;

  const TableState& table_;
  std::vector<Condition> conditions_;
  std::vector<DataType> partition_types_;
  std::vector<idx_t> partition_columns_;
  std::vector<idx_t> key_columns_;
  std::optional<int32_t> bucket_hash_;
};

/// Live files of the wanted snapshot as splits. Throws: Error(kNotFound) for a snapshot that is not
/// there.
std::vector<Split> PlanTableScan(const TableState& table, const ScanOptions& options);

/// Reads the live rows of one split of PlanTableScan with the same options.
std::unique_ptr<SplitReader> MakeSplitReader(const TableState& table, const Split& split,
                                             const ScanOptions& options);

}  // namespace millrace
