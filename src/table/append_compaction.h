// append_compaction.h - compaction of tables without a key: small files become larger ones, deleted
// rows go, and nothing else changes; or all rows of a partition are sorted by some columns.
//
// Which files: AppendCompactCoordinator.java (tables without buckets), which packs the small files
// of a partition, and BucketedAppendCompactManager.java, which takes neighbours in the order of
// their sequence numbers. Rules: docs/format.md#compaction.
#pragma once

#include "lsm/run_file_writer.h"
#include "table/bucket_compactor.h"
#include "table/index_store.h"

namespace millrace {

/// What a compaction of one bucket has read and written; nobody sees it before it is committed.
struct AppendCompactResult {
  std::vector<DataFileMeta> before;
  std::vector<DataFileMeta> after;
  std::vector<IndexManifestEntry> index_changes;
};

/// Threads: safe (immutable but for `names`, which is safe).
class AppendCompactor {
 public:
  using Files = std::vector<DataFileMeta>;
  using Vectors = std::vector<IndexManifestEntry>;  // Of one bucket, from ReadVectorFiles.

  /// `names` outlives it. With `order_by` all files of a partition are rewritten, sorted by these
  /// columns.
  AppendCompactor(std::shared_ptr<const TableState> table, DataFileNames& names,
                  std::vector<idx_t> order_by = {});

  /// Groups of files to be rewritten together, each in the order in which its rows stay.
  std::vector<Files> Pick(Files files, const Vectors& vectors, CompactionEffort effort) const;
  /// Of a bucket's `files`, the first neighbours that are worth it: what a writer does at a commit.
  std::optional<Files> PickOne(Files files) const;

  /// Rewrites each group without its deleted rows. Of a failure nothing is left.
  /// Throws: Error(kNotFound, kCorrupt) when files have gone, or are damaged; Error(kCancelled).
  AppendCompactResult Run(const RowBytes& partition, int bucket, const std::vector<Files>& groups,
                          const Vectors& vectors,
                          const std::function<bool()>& cancelled = nullptr) const;
  /// Deletes what `result` has written.
  void Discard(const RowBytes& partition, int bucket, const AppendCompactResult& result) const;

 private:
  bool IsNewer(const Files& files) const;
  bool IsSmall(const DataFileMeta& file) const;
  std::vector<Files> PickInSequence(Files files, const Vectors& vectors,
                                    CompactionEffort effort) const;
  Files PickAll(Files files, const Vectors& vectors) const;
  std::vector<Files> PickFromPartition(Files files, const Vectors& vectors) const;
  std::vector<Files> Pack(std::vector<Files> items, bool keep_rest) const;
  Files Rewrite(const RowBytes& partition, int bucket, const Files& files, const Vectors& vectors,
                const std::function<bool()>& cancelled) const;
  Vectors ReplaceVectors(const Files& removed, const Vectors& vectors) const;

  const std::shared_ptr<const TableState> table_;
  const KeyValueLayout layout_;
  DataFileNames& names_;
  const std::vector<idx_t> order_by_;
};

}  // namespace millrace
