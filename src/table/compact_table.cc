#include "table/compact_table.h"

#include "base/error.h"
#include "table/append_compaction.h"
#include "table/bucket_compactor.h"
#include "table/bucket_vectors.h"
#include "table/live_files.h"

namespace millrace {

namespace {

/// The change of a bucket's compaction, to be filled in.
BucketChange ChangeOf(const LiveFiles::Bucket& bucket) {
  BucketChange change;
  change.partition = bucket.partition;
  change.bucket = bucket.bucket;
  change.total_buckets = bucket.total_buckets;
  return change;
}

CompactionEffort EffortOf(const CompactRequest& request) {
  return request.full ? CompactionEffort::kFull : CompactionEffort::kAsNeeded;
}

/// Compactions of a primary-key table's buckets that are not handed over yet.
class KeyedCompaction {
 public:
  KeyedCompaction(std::shared_ptr<const TableState> table, const Snapshot& snapshot,
                  const CompactRequest& request)
      : effort_(EffortOf(request)),
        table_(std::move(table)),
        snapshot_(snapshot),
        names_(table_->context.random),
        compactor_(table_, names_),
        bases_(*table_),
        index_writer_(*table_) {}

  void Add(const LiveFiles::Bucket& bucket) {
    BucketFiles files{bucket.partition, bucket.bucket, bucket.files};
    std::optional<VectorBase> base;
    if (table_->parsed.deletion_vectors) {
      base = bases_.BaseOf(snapshot_, bucket.partition, bucket.bucket, bucket.files);
      files.vectors = base->vectors;
    }
    CompactResult result = compactor_.Run(files, effort_, false);
    if (result.before.empty() && result.changelog.empty()) return;
    BucketChange& change = committable_.buckets.emplace_back(ChangeOf(bucket));
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
  const CompactionEffort effort_;
  const std::shared_ptr<const TableState> table_;
  const Snapshot& snapshot_;
  DataFileNames names_;
  const BucketCompactor compactor_;
  VectorBases bases_;
  IndexFileWriter index_writer_;
  Committable committable_;
};

/// The same of a table without a key.
class AppendCompaction {
 public:
  AppendCompaction(std::shared_ptr<const TableState> table, const Snapshot& snapshot,
                   const CompactRequest& request)
      : effort_(EffortOf(request)),
        names_(table->context.random),
        compactor_(table, names_, request.order_by),
        vectors_(ReadVectorFiles(*table, snapshot)),
        files_left_(request.order_by.empty() ? table->parsed.append_file_limit : INT64_MAX) {}

  void Add(const LiveFiles::Bucket& bucket) {
    const auto& vectors = vectors_[BucketName(bucket.partition, bucket.bucket)];
    std::vector<AppendCompactor::Files> groups = compactor_.Pick(bucket.files, vectors, effort_);
    Limit(groups);
    if (groups.empty()) return;
    AppendCompactResult result = compactor_.Run(bucket.partition, bucket.bucket, groups, vectors);
    BucketChange& change = committable_.buckets.emplace_back(ChangeOf(bucket));
    change.compact_before = std::move(result.before);
    change.compact_after = std::move(result.after);
    change.compact_index_changes = std::move(result.index_changes);
  }

  void Discard() {
    for (const BucketChange& change : committable_.buckets) {
      compactor_.Discard(
          change.partition, change.bucket,
          {change.compact_before, change.compact_after, change.compact_index_changes});
    }
  }

  Committable Take() { return std::move(committable_); }

 private:
  /// One commit takes so many files; the rest is for the next.
  void Limit(std::vector<AppendCompactor::Files>& groups) {
    size_t taken = 0;
    while (taken < groups.size() && files_left_ > 0) {
      AppendCompactor::Files& files = groups[taken++];
      auto most = static_cast<size_t>(std::max<int64_t>(files_left_, 2));
      if (files.size() > most) files.resize(most);
      files_left_ -= static_cast<int64_t>(files.size());
    }
    groups.resize(taken);
  }

  const CompactionEffort effort_;
  DataFileNames names_;
  const AppendCompactor compactor_;
  VectorFiles vectors_;
  int64_t files_left_;
  Committable committable_;
};

/// REQUIRES: `live` is at a snapshot.
template <typename Compaction>
Committable CompactBuckets(const std::shared_ptr<const TableState>& table, const LiveFiles& live,
                           const CompactRequest& request) {
  Compaction compaction(table, *live.at(), request);
  try {
    for (const auto& [name, bucket] : live.buckets()) {
      if (bucket.files.empty()) continue;
      if (request.partitions && !request.partitions(bucket.partition)) continue;
      compaction.Add(bucket);
    }
  } catch (...) {
    compaction.Discard();
    throw;
  }
  return compaction.Take();
}

}  // namespace

Committable PrepareTableCompaction(std::shared_ptr<const TableState> table,
                                   const CompactRequest& request) {
  if (!request.order_by.empty() && table->HasBuckets()) {
    Throw(ErrorCode::kInvalid,
          "Cannot sort table {}: {}; only tables without primary key and with 'bucket' = '-1' can "
          "be sorted by other columns",
          table->folder,
          table->HasPrimaryKey() ? "it is sorted by its primary key"
                                 : "the rows of its buckets stay in the order of their writes");
  }
  LiveFiles live(*table);
  for (;;) {
    live.Advance([](const Snapshot&, const std::vector<ManifestEntry>*) {});
    if (!live.at()) return {};
    if (table->HasPrimaryKey()) return CompactBuckets<KeyedCompaction>(table, live, request);
    try {
      return CompactBuckets<AppendCompaction>(table, live, request);
    } catch (const Error& error) {
      // Others have replaced files, and these have expired since: look again at what is there now.
      bool gone = error.code() == ErrorCode::kNotFound || error.code() == ErrorCode::kCorrupt;
      if (!gone || table->snapshots.LatestId() == live.at()->id) throw;
    }
  }
}

}  // namespace millrace
