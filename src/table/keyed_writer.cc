// keyed_writer.cc - TableWriter of a primary-key table: routing, write buffers under one budget,
// level-0 runs; compactions between them.
//
// A cycle lasts from one PrepareCommit to the next. At its first row the writer looks what others
// have committed, so that sequence numbers go on from there. What it prepared itself but does not
// see committed yet is in `pending_`. Compactions may go on in the background from one cycle to the
// next; what they did is part of the commit after they have ended (docs/internals/commit.md).
#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/memory_budget.h"
#include "lsm/write_buffer.h"
#include "table/bucket_assigner.h"
#include "table/bucket_compactor.h"
#include "table/bucket_vectors.h"
#include "table/compaction_thread.h"
#include "table/file_sync.h"
#include "table/live_files.h"
#include "table/pending_commits.h"
#include "table/row_checker.h"
#include "table/row_kinds.h"
#include "table/row_router.h"
#include "table/snapshot_search.h"
#include "table/table_writer.h"
#include "table/write_options.h"

namespace millrace {

namespace {

class KeyedWriter : public TableWriter {
 public:
  KeyedWriter(std::shared_ptr<const TableState> table, std::string user,
              const WriterOptions& writer)
      : table_(std::move(table)),
        overwrite_(writer.overwrite),
        options_(table_->parsed),
        layout_(table_->Layout()),
        names_(table_->context.random),
        compactor_(table_, names_),
        assigner_(options_.bucket == -1 ? std::make_unique<BucketAssigner>(*table_) : nullptr),
        router_(table_->schema, options_.bucket, assigner_.get()),
        checker_(table_->schema, table_->folder),
        kinds_(table_->schema, options_, table_->folder),
        live_(*table_),
        pending_(std::move(user)),
        bases_(*table_),
        index_writer_(*table_),
        account_(table_->context.budget, MemoryBudget::Use::kWriteBuffers) {}

  void Write(ChangeChunk& chunk) override;
  Committable PrepareCommit() override { return Prepare(/*wait=*/true); }
  Committable PrepareStreamCommit() override;
  void CompactFully() override { compact_fully_ = true; }

 private:
  struct Bucket {
    BucketChange change;
    std::unique_ptr<WriteBuffer> buffer;
    int64_t memory = 0;
    // Of a table with deletion vectors, since the first compaction of the cycle.
    std::optional<VectorBase> base;
    DeletionVectors deleted;
  };

  /// An overwriting commit has no changelog.
  bool KeepsInput() const {
    return !overwrite_ && options_.changelog_producer == ChangelogProducer::kInput;
  }
  void StartCycle();
  Bucket& BucketOf(const RowBytes& partition, int bucket);
  std::unique_ptr<WriteBuffer> NewBuffer(int64_t next_sequence) const;
  int64_t NextSequenceNumber(const std::string& name, const LiveFiles::Bucket* live) const;
  void Route(ChangeChunk& chunk);
  void Flush(Bucket& bucket);

  Committable Prepare(bool wait);
  void AddIndexChanges();
  void AddIdleBuckets(bool full, bool wait);
  // Compaction.
  std::vector<DataFileMeta> FilesOf(const Bucket& bucket) const;
  std::optional<VectorBase> BaseNow(const BucketChange& change);
  BucketFiles ForCompaction(Bucket& bucket);
  bool IsOutdated(const Bucket& bucket, const std::optional<VectorBase>& base);
  void CompactNow(const std::string& name, Bucket& bucket, CompactionEffort effort);
  void CompactBeside(const std::string& name, Bucket& bucket);
  void TakeBackground(const std::string& name, Bucket& bucket, bool wait);
  void HoldRunsDown(const std::string& name, Bucket& bucket);
  void AddResult(Bucket& bucket, CompactResult result);
  bool IntervalPassed(const std::string& name);
  bool HasLostFiles(const Bucket& bucket, const std::vector<DataFileMeta>& files);

  const std::shared_ptr<const TableState> table_;
  const bool overwrite_;
  const TableOptions& options_;
  const KeyValueLayout layout_;
  DataFileNames names_;
  const BucketCompactor compactor_;
  const std::unique_ptr<BucketAssigner> assigner_;  // Of a table with dynamic buckets.
  RowRouter router_;
  RowChecker checker_;
  RowKinds kinds_;
  LiveFiles live_;
  PendingCommits pending_;
  VectorBases bases_;
  IndexFileWriter index_writer_;
  std::map<std::string, Bucket> buckets_;        // Of this cycle, by BucketName.
  std::set<std::string> touched_;                // Since they were last compacted fully.
  std::map<std::string, int64_t> optimised_ms_;  // When compaction.optimization-interval began.
  int64_t memory_ = 0;
  int64_t stream_commits_ = 0;
  MemoryAccount account_;  // Tells the budget.
  bool in_cycle_ = false;
  bool compact_fully_ = false;
  bool swept_ = false;  // All buckets have been looked at for a full compaction.
  std::map<std::string, VectorBase> background_bases_;  // Of what goes on in the background.
  CompactionThread background_;                         // The last: its jobs use the rest.
};

void KeyedWriter::StartCycle() {
  if (!overwrite_) {
    live_.Advance([this](const Snapshot& snapshot, const std::vector<ManifestEntry>* delta) {
      pending_.Observe(snapshot, delta);
    });
  }
  if (assigner_) assigner_->StartCycle(live_);
  in_cycle_ = true;
}

int64_t KeyedWriter::NextSequenceNumber(const std::string& name,
                                        const LiveFiles::Bucket* live) const {
  int64_t last = pending_.MaxSequenceNumber(name);
  if (live) {
    for (const DataFileMeta& file : live->files) last = std::max(last, file.max_sequence_number);
  }
  return last + 1;
}

std::unique_ptr<WriteBuffer> KeyedWriter::NewBuffer(int64_t next_sequence) const {
  return std::make_unique<WriteBuffer>(
      layout_, next_sequence,
      WriteBufferOptions{.merge = options_.merge,
                         .ignore_update_before = options_.ignore_update_before});
}

KeyedWriter::Bucket& KeyedWriter::BucketOf(const RowBytes& partition, int bucket) {
  std::string name = BucketName(partition, bucket);
  Bucket& found = buckets_[name];
  if (found.buffer) return found;
  const LiveFiles::Bucket* live = live_.Find(partition, bucket);
  std::optional<int> total = live_.TotalBuckets(partition);
  if (total && *total != options_.bucket) {
    buckets_.erase(name);
    Throw(ErrorCode::kInvalid,
          "Cannot write to table {}: its files lie in {} buckets, but 'bucket' = '{}'. Set "
          "'bucket' back, or rewrite the partition with INSERT OVERWRITE.",
          table_->folder, *total, options_.bucket);
  }
  found.change.partition = partition;
  found.change.bucket = bucket;
  found.change.total_buckets = options_.bucket;
  found.buffer = NewBuffer(NextSequenceNumber(name, live));
  touched_.insert(name);
  return found;
}

void KeyedWriter::Write(ChangeChunk& chunk) {
  if (!in_cycle_) StartCycle();
  checker_.Check(chunk.rows);
  if (!options_.rowkind_field) {
    kinds_.Check(chunk);
    Route(chunk);
  } else {
    std::vector<RowKind> given = chunk.kinds;  // The chunk belongs to the caller.
    kinds_.Read(chunk);
    kinds_.Check(chunk);
    Route(chunk);
    chunk.kinds = std::move(given);
  }
  account_.Set(memory_);
  while (memory_ > account_.Limit(options_.write_buffer_bytes)) {
    Bucket* largest = nullptr;
    std::string largest_name;
    for (auto& [name, bucket] : buckets_) {
      if (bucket.buffer->Empty() || (largest && bucket.memory <= largest->memory)) continue;
      largest = &bucket;
      largest_name = name;
    }
    if (!largest) break;
    Flush(*largest);
    account_.Set(memory_);
    if (!options_.write_only) HoldRunsDown(largest_name, *largest);
  }
}

void KeyedWriter::Route(ChangeChunk& chunk) {
  for (RoutedRows& routed : router_.Route(chunk.rows)) {
    kinds_.LeaveOutPairs(chunk, layout_.key, routed);
    Bucket& bucket = BucketOf(routed.partition, routed.bucket);
    bucket.buffer->Add(chunk, routed.rows, routed.count);
    int64_t memory = bucket.buffer->MemoryBytes();
    memory_ += memory - bucket.memory;
    bucket.memory = memory;
  }
}

void KeyedWriter::Flush(Bucket& bucket) {
  if (bucket.buffer->Empty()) return;
  std::string folder = table_->BucketFolder(bucket.change.partition, bucket.change.bucket);
  RunFileWriter run(table_->lsm(), layout_, names_, DataWriteOptions(*table_, folder, 0));
  RunFileWriter changelog(table_->lsm(), layout_, names_,
                          ChangelogWriteOptions(*table_, folder, 0));
  try {
    ChunkReceiver merged = [&](DataChunk& rows) { run.Write(rows); };
    if (KeepsInput()) {
      bucket.buffer->Flush(merged, [&](DataChunk& rows) { changelog.Write(rows); });
    } else {
      bucket.buffer->Flush(merged);
    }
    std::vector<DataFileMeta> files = run.Finish(), changes = changelog.Finish();
    BucketChange& change = bucket.change;
    change.new_files.insert(change.new_files.end(), files.begin(), files.end());
    change.changelog_files.insert(change.changelog_files.end(), changes.begin(), changes.end());
  } catch (...) {
    run.Abort();
    changelog.Abort();
    throw;
  }
  memory_ -= bucket.memory;
  bucket.memory = bucket.buffer->MemoryBytes();
  memory_ += bucket.memory;
  if (memory_ <= account_.Limit(options_.write_buffer_bytes)) return;
  // Empty, but its columns stay allocated: start small.
  memory_ -= bucket.memory;
  bucket.buffer = NewBuffer(bucket.buffer->next_sequence_number());
  bucket.memory = 0;
}

/// The bucket's files as this cycle sees them: committed, new, and compacted so far.
std::vector<DataFileMeta> KeyedWriter::FilesOf(const Bucket& bucket) const {
  const BucketChange& change = bucket.change;
  std::vector<DataFileMeta> files = change.new_files;
  if (const LiveFiles::Bucket* live = live_.Find(change.partition, change.bucket)) {
    files.insert(files.end(), live->files.begin(), live->files.end());
  }
  return ApplyCompaction(std::move(files), change.compact_before, change.compact_after);
}

void KeyedWriter::AddResult(Bucket& bucket, CompactResult result) {
  BucketChange& change = bucket.change;
  CompactResult total{std::move(change.compact_before), std::move(change.compact_after),
                      std::move(change.compact_changelog_files), std::move(bucket.deleted)};
  BucketCompactor::AddResult(table_->context.files,
                             table_->BucketFolder(change.partition, change.bucket),
                             std::move(result), total);
  change.compact_before = std::move(total.before);
  change.compact_after = std::move(total.after);
  change.compact_changelog_files = std::move(total.changelog);
  bucket.deleted = std::move(total.deleted);
}

/// What a compaction of the bucket builds on; nullopt: only on its files.
std::optional<VectorBase> KeyedWriter::BaseNow(const BucketChange& change) {
  if (!options_.deletion_vectors) return std::nullopt;
  VectorBase base;
  while (live_.at()) {
    const LiveFiles::Bucket* live = live_.Find(change.partition, change.bucket);
    if (LookUnlessExpired(table_->snapshots, live_.at()->id, [&] {
          base = bases_.BaseOf(*live_.at(), change.partition, change.bucket,
                               live ? live->files : std::vector<DataFileMeta>());
        })) {
      break;
    }
    StartCycle();
  }
  return base;
}

BucketFiles KeyedWriter::ForCompaction(Bucket& bucket) {
  if (!bucket.base) bucket.base = BaseNow(bucket.change);
  BucketFiles files{bucket.change.partition, bucket.change.bucket, FilesOf(bucket)};
  if (bucket.base) files.vectors = WithDeleted(bucket.base->vectors, bucket.deleted);
  return files;
}

/// Whether others have compacted the bucket since a compaction began, which is in vain then.
bool KeyedWriter::IsOutdated(const Bucket& bucket, const std::optional<VectorBase>& base) {
  return base && BaseNow(bucket.change)->state != base->state;
}

/// Whether some of `files` are no longer in the table, nor made by this cycle.
bool KeyedWriter::HasLostFiles(const Bucket& bucket, const std::vector<DataFileMeta>& files) {
  StartCycle();
  std::set<std::string> there;
  for (const DataFileMeta& file : FilesOf(bucket)) there.insert(file.file_name);
  return !std::all_of(files.begin(), files.end(),
                      [&](const DataFileMeta& file) { return there.contains(file.file_name); });
}

bool KeyedWriter::IntervalPassed(const std::string& name) {
  if (!options_.compaction_interval_ms) return false;
  int64_t now = table_->context.clock.NowMs();
  auto [since, is_new] = optimised_ms_.try_emplace(name, now);
  if (!is_new && now - since->second <= *options_.compaction_interval_ms) return false;
  since->second = now;
  return true;
}

void KeyedWriter::CompactNow(const std::string& name, Bucket& bucket, CompactionEffort effort) {
  TakeBackground(name, bucket, /*wait=*/true);
  if (pending_.Holds(name)) return;
  BucketFiles files = ForCompaction(bucket);
  try {
    AddResult(bucket, compactor_.Run(files, effort, IntervalPassed(name)));
  } catch (const Error& error) {
    // Another writer has compacted the same files, and they have expired since.
    if (error.code() != ErrorCode::kNotFound || !HasLostFiles(bucket, files.files)) throw;
  }
}

/// Starts what is worth doing in the background, unless something of this bucket is under way.
void KeyedWriter::CompactBeside(const std::string& name, Bucket& bucket) {
  TakeBackground(name, bucket, /*wait=*/false);
  // On top of what is not committed yet nothing is built.
  if (background_.Has(name) || pending_.Holds(name) || !bucket.change.compact_before.empty()) {
    return;
  }
  bool interval = IntervalPassed(name);
  if (!compactor_.HasWork(FilesOf(bucket), CompactionEffort::kAsNeeded, interval)) return;
  BucketFiles files = ForCompaction(bucket);
  if (bucket.base) background_bases_[name] = *bucket.base;
  std::string folder = table_->BucketFolder(files.partition, files.bucket);
  auto job = [this, files = std::move(files), interval](const std::function<bool()>& cancelled) {
    return compactor_.Run(files, CompactionEffort::kAsNeeded, interval, cancelled);
  };
  background_.Start(name, std::move(job), [this, folder](const CompactResult& result) {
    BucketCompactor::Discard(table_->context.files, folder, result);
  });
}

void KeyedWriter::TakeBackground(const std::string& name, Bucket& bucket, bool wait) {
  try {
    std::optional<CompactResult> result = background_.Take(name, wait);
    if (!result) return;
    std::optional<VectorBase> base;
    if (auto found = background_bases_.extract(name)) base = std::move(found.mapped());
    if (IsOutdated(bucket, base)) {
      BucketCompactor::Discard(table_->context.files,
                               table_->BucketFolder(bucket.change.partition, bucket.change.bucket),
                               *result);
      return;
    }
    if (base) bucket.base = std::move(base);
    AddResult(bucket, std::move(*result));
  } catch (const Error& error) {
    // Others have compacted these files meanwhile, and they have expired: nothing is lost but work.
    if (error.code() != ErrorCode::kNotFound) throw;
  }
}

/// Back-pressure: more runs than the stop trigger allows are compacted before more are written.
void KeyedWriter::HoldRunsDown(const std::string& name, Bucket& bucket) {
  auto limit = static_cast<size_t>(options_.stop_trigger);
  if (compactor_.RunCount(FilesOf(bucket)) <= limit) return;
  TakeBackground(name, bucket, /*wait=*/true);
  if (compactor_.RunCount(FilesOf(bucket)) <= limit) return;
  CompactNow(name, bucket, CompactionEffort::kAsNeeded);
}

Committable KeyedWriter::PrepareStreamCommit() {
  stream_commits_++;
  return Prepare(/*wait=*/options_.LooksUp() && options_.lookup_wait);
}

void KeyedWriter::AddIndexChanges() {
  if (!assigner_) return;
  for (HashIndexChange& change : assigner_->PrepareCommit()) {
    BucketChange& bucket = BucketOf(change.partition, change.bucket).change;
    bucket.index_changes = std::move(change.entries);
    bucket.hash_index_base = std::move(change.base);
  }
}

/// Buckets without rows in this cycle that have something to hand over, or to be compacted.
void KeyedWriter::AddIdleBuckets(bool full, bool wait) {
  std::vector<std::string> names = background_.Names(/*ended_only=*/!wait);
  // What waits in level 0, for its compaction was given up, may not be seen there.
  bool shows = wait && options_.HidesLevel0() && !options_.write_only;
  for (const auto& [name, live] : live_.buckets()) {
    bool due = std::find(names.begin(), names.end(), name) != names.end() ||
               (shows && touched_.contains(name) &&
                std::any_of(live.files.begin(), live.files.end(),
                            [](const DataFileMeta& file) { return file.level == 0; }));
    if (live.total_buckets != options_.bucket) continue;  // Nothing of ours: it is to be rescaled.
    if (due || (full && touched_.contains(name))) BucketOf(live.partition, live.bucket);
  }
}

Committable KeyedWriter::Prepare(bool wait) {
  StartCycle();
  bool every_commit = stream_commits_ == 0;  // Not a stream: each commit stands for itself.
  bool full =
      compact_fully_ || (options_.full_compaction_commits > 0 && !options_.write_only &&
                         (every_commit || stream_commits_ % options_.full_compaction_commits == 0));
  // Of a stream the first time also what was left before the writer was there.
  if (full && (compact_fully_ ? touched_.empty() : !every_commit && !swept_)) {
    swept_ = true;
    for (const auto& [name, live] : live_.buckets()) {
      if (!live.files.empty()) touched_.insert(name);
    }
  }
  for (auto& [name, bucket] : buckets_) Flush(bucket);
  AddIndexChanges();
  AddIdleBuckets(full, wait);
  Committable committable;
  for (auto& [name, bucket] : buckets_) {
    if (full) {
      CompactNow(name, bucket, CompactionEffort::kFull);
      if (!pending_.Holds(name)) touched_.erase(name);
    } else if (!options_.write_only && wait) {
      CompactNow(name, bucket, CompactionEffort::kAsNeeded);
    } else if (!options_.write_only) {
      CompactBeside(name, bucket);
      HoldRunsDown(name, bucket);
    }
    if (bucket.base && !bucket.change.compact_before.empty()) {
      AddVectorChanges(*table_, *bucket.base, bucket.deleted, index_writer_, bucket.change);
    }
    if (!bucket.change.Empty()) committable.buckets.push_back(std::move(bucket.change));
  }
  StartSync(table_, committable);
  pending_.Add(committable.buckets);
  buckets_.clear();
  memory_ = 0;
  account_.Set(0);
  in_cycle_ = false;
  compact_fully_ = false;
  return committable;
}

}  // namespace

std::unique_ptr<TableWriter> MakeKeyedWriter(std::shared_ptr<const TableState> table,
                                             std::string user, const WriterOptions& options) {
  return std::make_unique<KeyedWriter>(std::move(table), std::move(user), options);
}

}  // namespace millrace
