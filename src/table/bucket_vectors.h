// bucket_vectors.h - the deletion vectors of a primary-key table's bucket, as a compaction finds
// and leaves them.
//
// Above level 0 each key has one row that no vector hides. So a compaction is right on top of the
// files above level 0 and the vectors that it was made for, and of no others: two that came from
// different level-0 files could each leave a row of one key (docs/internals/commit.md).
#pragma once

#include "lsm/compaction.h"
#include "table/index_store.h"
#include "table/live_files.h"

namespace millrace {

/// Names the files above level 0 and the vectors of one bucket, in any order.
class BucketState {
 public:
  void Add(const DataFileMeta& file);
  void Add(const IndexManifestEntry& entry);
  std::string Text() const;

 private:
  uint64_t digest_ = 0;
};

/// What a compaction builds on, besides the files.
struct VectorBase {
  std::vector<IndexManifestEntry> entries = {};  // The bucket's index files of vectors.
  std::shared_ptr<const DeletionVectors> vectors = std::make_shared<const DeletionVectors>();
  std::string state = BucketState().Text();
};

/// Reads the bases of a table's buckets as its snapshots have them.
/// Threads: one at a time. Throws: Error(kCorrupt) naming an index file, also when it has expired.
class VectorBases {
 public:
  explicit VectorBases(const TableState& table) : table_(table) {}
  /// `files`: all of the bucket in that snapshot.
  VectorBase BaseOf(const Snapshot& snapshot, const RowBytes& partition, int bucket,
                    const std::vector<DataFileMeta>& files);

 private:
  const TableState& table_;
  std::optional<std::string> manifest_;  // That `files_` are from.
  VectorFiles files_;
};

/// `vectors` and `deleted` together.
std::shared_ptr<const DeletionVectors> WithDeleted(std::shared_ptr<const DeletionVectors> vectors,
                                                   const DeletionVectors& deleted);

/// Makes the vectors part of `change`, whose compaction is complete and deletes `deleted`: a new
/// index file for the bucket instead of those of `base`, where something is different.
void AddVectorChanges(const TableState& table, const VectorBase& base,
                      const DeletionVectors& deleted, IndexFileWriter& writer,
                      BucketChange& change);

}  // namespace millrace
