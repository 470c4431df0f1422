#include "table/compact_table.h"

#include "base/error.h"
#include "table/append_compaction.h"
#include "table/bucket_compactor.h"
#include "table/live_files.h"

namespace millrace {

namespace {

/// Compactions of a table's buckets that are not handed over yet.
class TableCompaction {
 public:
  explicit TableCompaction(std::shared_ptr<const TableState> table)
      : table_(std::move(table)), names_(table_->context.random), compactor_(table_, names_) {}

  void Add(const LiveFiles::Bucket& bucket, CompactionEffort effort) {
    CompactResult result =
        compactor_.Run(bucket.partition, bucket.bucket, bucket.files, effort, false);
    if (result.before.empty() && result.changelog.empty()) return;
    BucketChange& change = committable_.buckets.emplace_back();
    change.partition = bucket.partition;
    change.bucket = bucket.bucket;
    change.total_buckets = bucket.total_buckets;
    change.compact_before = std::move(result.before);
    change.compact_after = std::move(result.after);
    change.compact_changelog_files = std::move(result.changelog);
  }

  void Discard() {
    for (const BucketChange& change : committable_.buckets) {
      BucketCompactor::Discard(
          table_->context.files, table_->BucketFolder(change.partition, change.bucket),
          {change.compact_before, change.compact_after, change.compact_changelog_files});
    }
  }

  Committable Take() { return std::move(committable_); }

 private:
  const std::shared_ptr<const TableState> table_;
  DataFileNames names_;
  const BucketCompactor compactor_;
  Committable committable_;
};

}  // namespace

Committable PrepareTableCompaction(std::shared_ptr<const TableState> table,
                                   const CompactRequest& request) {
  if (!table->HasPrimaryKey()) return PrepareAppendCompaction(table, request);
  if (table->parsed.deletion_vectors) {
    Throw(ErrorCode::kUnsupported,
          "Cannot compact table {}: compaction that writes deletion vectors is not there yet. "
          "Another writer of the table has to compact it.",
          table->folder);
  }
  LiveFiles live(*table);
  live.Advance([](const Snapshot&, const std::vector<ManifestEntry>*) {});
  TableCompaction compaction(table);
  try {
    for (const auto& [name, bucket] : live.buckets()) {
      if (bucket.files.empty()) continue;
      if (request.partitions && !request.partitions(bucket.partition)) continue;
      compaction.Add(bucket, request.full ? CompactionEffort::kFull : CompactionEffort::kAsNeeded);
    }
  } catch (...) {
    compaction.Discard();
    throw;
  }
  return compaction.Take();
}

}  // namespace millrace
