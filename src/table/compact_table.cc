#include "table/compact_table.h"

#include "base/error.h"
#include "table/append_compaction.h"
#include "table/bucket_compactor.h"
#include "table/bucket_vectors.h"
#include "table/live_files.h"

namespace millrace {

namespace {

/// Compactions of a table's buckets that are not handed over yet.
class TableCompaction {
 public:
  explicit TableCompaction(std::shared_ptr<const TableState> table)
      : table_(std::move(table)),
        names_(table_->context.random),
        compactor_(table_, names_),
        bases_(*table_),
        index_writer_(*table_) {}

  void Add(const Snapshot& snapshot, const LiveFiles::Bucket& bucket, CompactionEffort effort) {
    BucketFiles files{bucket.partition, bucket.bucket, bucket.files};
    std::optional<VectorBase> base;
    if (table_->parsed.deletion_vectors) {
      base = bases_.BaseOf(snapshot, bucket.partition, bucket.bucket, bucket.files);
      files.vectors = base->vectors;
    }
    CompactResult result = compactor_.Run(files, effort, false);
    if (result.before.empty() && result.changelog.empty()) return;
    BucketChange& change = committable_.buckets.emplace_back();
    change.partition = bucket.partition;
    change.bucket = bucket.bucket;
    change.total_buckets = bucket.total_buckets;
    change.compact_before = std::move(result.before);
    change.compact_after = std::move(result.after);
    change.compact_changelog_files = std::move(result.changelog);
    if (base) AddVectorChanges(*table_, *base, result.deleted, index_writer_, change);
  }

  void Discard() {
    index_writer_.DeleteAll();
    for (const BucketChange& change : committable_.buckets) {
      BucketCompactor::Discard(
          table_->context.files, table_->BucketFolder(change.partition, change.bucket),
          {change.compact_before, change.compact_after, change.compact_changelog_files, {}});
    }
  }

  Committable Take() { return std::move(committable_); }

 private:
  const std::shared_ptr<const TableState> table_;
  DataFileNames names_;
  const BucketCompactor compactor_;
  VectorBases bases_;
  IndexFileWriter index_writer_;
  Committable committable_;
};

}  // namespace

Committable PrepareTableCompaction(std::shared_ptr<const TableState> table,
                                   const CompactRequest& request) {
  if (!table->HasPrimaryKey()) return PrepareAppendCompaction(table, request);
  LiveFiles live(*table);
  live.Advance([](const Snapshot&, const std::vector<ManifestEntry>*) {});
  TableCompaction compaction(table);
  try {
    for (const auto& [name, bucket] : live.buckets()) {
      if (bucket.files.empty()) continue;
      if (request.partitions && !request.partitions(bucket.partition)) continue;
      compaction.Add(*live.at(), bucket,
                     request.full ? CompactionEffort::kFull : CompactionEffort::kAsNeeded);
    }
  } catch (...) {
    compaction.Discard();
    throw;
  }
  return compaction.Take();
}

}  // namespace millrace
