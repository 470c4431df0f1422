// append_writer.cc - TableWriter of an append-only table: rows in the order in which they come.
//
// A few buckets write straight to their files; rows of further ones (a chunk may touch a partition
// a day) wait in memory under the write buffer's budget, so that many partitions do not become many
// tiny files. Buckets are compacted at commits: beside the writer where commits follow each other.
#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/memory_budget.h"
#include "duckdb/common/allocator.hpp"
#include "duckdb/common/types/column/column_data_collection.hpp"
#include "lsm/run_file_writer.h"
#include "table/append_compaction.h"
#include "table/compaction_thread.h"
#include "table/file_sync.h"
#include "table/live_files.h"
#include "table/pending_commits.h"
#include "table/row_checker.h"
#include "table/row_router.h"
#include "table/table_writer.h"
#include "table/write_options.h"

namespace millrace {

namespace {

constexpr idx_t kOpenFiles = 8;

class AppendWriter : public TableWriter {
 public:
  AppendWriter(std::shared_ptr<const TableState> table, std::string user,
               const WriterOptions& writer)
      : table_(std::move(table)),
        overwrite_(writer.overwrite),
        options_(table_->parsed),
        compacts_(writer.compacts && !overwrite_ && options_.bucket > 0 && !options_.write_only),
        layout_(table_->Layout()),
        names_(table_->context.random),
        compactor_(table_, names_),
        router_(table_->schema, options_.bucket),
        checker_(table_->schema, table_->folder),
        live_(*table_),
        pending_(std::move(user)),
        account_(table_->context.budget, MemoryBudget::Use::kWriteBuffers) {}

  ~AppendWriter() override {
    for (auto& [name, bucket] : buckets_) {
      if (bucket.file) bucket.file->Abort();
    }
  }

  void Write(ChangeChunk& chunk) override;
  Committable PrepareCommit() override { return Prepare(/*wait=*/true); }
  Committable PrepareStreamCommit() override { return Prepare(/*wait=*/false); }
  void CompactFully() override { compact_fully_ = true; }

 private:
  using Files = AppendCompactor::Files;
  using Vectors = AppendCompactor::Vectors;
  /// What the compaction in the background has read and, when it has ended, done.
  struct Beside {
    Files files;
    Vectors vectors;
    AppendCompactResult result;
  };
  struct Bucket {
    BucketChange change;
    std::string folder;
    int64_t next_sequence = 0;
    std::unique_ptr<RunFileWriter> file;
    std::unique_ptr<duckdb::ColumnDataCollection> waiting;
    int64_t last_used = 0;
    std::shared_ptr<Beside> beside;
  };

  Bucket& BucketOf(const RowBytes& partition, int bucket);
  void Append(Bucket& bucket, DataChunk& rows);
  void Open(Bucket& bucket);
  void Close(Bucket& bucket);
  /// Moves the rows that wait to the bucket's file.
  void Drain(Bucket& bucket);
  void DrainLargest();

  Committable Prepare(bool wait);
  // Compaction.
  void Advance();
  VectorFiles NewestVectors();
  Files FilesOf(const Bucket& bucket) const;
  void CompactSome(bool wait);
  void CompactAll();
  void CompactNow(Bucket& bucket, const std::vector<Files>& groups, const Vectors& vectors);
  void CompactBeside(const std::string& name, Bucket& bucket, Files files, Vectors vectors);
  void TakeBeside(const std::string& name, Bucket& bucket, bool wait);
  bool AreThere(const Bucket& bucket, const Files& files, const Vectors& vectors);
  static void AddResult(Bucket& bucket, AppendCompactResult result);

  const std::shared_ptr<const TableState> table_;
  const bool overwrite_;
  const TableOptions& options_;
  const bool compacts_;  // At commits, without being asked.
  const KeyValueLayout layout_;
  DataFileNames names_;
  const AppendCompactor compactor_;
  RowRouter router_;
  RowChecker checker_;
  LiveFiles live_;
  PendingCommits pending_;
  std::map<std::string, Bucket> buckets_;
  idx_t open_ = 0;
  int64_t waiting_bytes_ = 0;
  MemoryAccount account_;  // Tells the budget.
  int64_t writes_ = 0;
  bool in_cycle_ = false;
  bool compact_fully_ = false;
  std::set<std::string> touched_;  // Since they were last compacted fully.
  CompactionThread background_;    // The last: its jobs use the rest.
};

AppendWriter::Bucket& AppendWriter::BucketOf(const RowBytes& partition, int number) {
  std::string name = BucketName(partition, number);
  auto found = buckets_.find(name);
  if (found != buckets_.end()) return found->second;
  Bucket bucket;
  bucket.change.partition = partition;
  bucket.change.bucket = number;
  bucket.change.total_buckets = options_.bucket;
  bucket.folder = table_->BucketFolder(partition, number);
  std::optional<int> total = live_.TotalBuckets(partition);
  if (total && *total != options_.bucket) {
    Throw(ErrorCode::kInvalid,
          "Cannot write to table {}: its files lie in {} buckets, but 'bucket' = '{}'. "
          "Set 'bucket' back, or rewrite the partition with INSERT OVERWRITE.",
          table_->folder, *total, options_.bucket);
  }
  const LiveFiles::Bucket* live = table_->HasBuckets() ? live_.Find(partition, number) : nullptr;
  if (live) {
    for (const DataFileMeta& file : live->files) {
      bucket.next_sequence = std::max(bucket.next_sequence, file.max_sequence_number + 1);
    }
  }
  return buckets_.emplace(name, std::move(bucket)).first->second;
}

void AppendWriter::Open(Bucket& bucket) {
  if (open_ >= kOpenFiles) {
    Bucket* oldest = nullptr;
    for (auto& [name, other] : buckets_) {
      if (other.file && (!oldest || other.last_used < oldest->last_used)) oldest = &other;
    }
    Close(*oldest);
  }
  bucket.file = std::make_unique<RunFileWriter>(table_->lsm(), layout_, names_,
                                                DataWriteOptions(*table_, bucket.folder, 0));
  open_++;
}

void AppendWriter::Close(Bucket& bucket) {
  std::vector<DataFileMeta> files = bucket.file->Finish();
  bucket.file.reset();
  open_--;
  std::move(files.begin(), files.end(), std::back_inserter(bucket.change.new_files));
}

void AppendWriter::Append(Bucket& bucket, DataChunk& rows) {
  bucket.file->WriteAppend(rows, bucket.next_sequence);
  bucket.next_sequence += static_cast<int64_t>(rows.size());
}

void AppendWriter::Drain(Bucket& bucket) {
  if (!bucket.waiting) return;
  if (!bucket.file) Open(bucket);
  for (DataChunk& rows : bucket.waiting->Chunks()) Append(bucket, rows);
  waiting_bytes_ -= static_cast<int64_t>(bucket.waiting->SizeInBytes());
  bucket.waiting.reset();
}

void AppendWriter::DrainLargest() {
  Bucket* largest = nullptr;
  for (auto& [name, bucket] : buckets_) {
    if (bucket.waiting &&
        (!largest || bucket.waiting->SizeInBytes() > largest->waiting->SizeInBytes())) {
      largest = &bucket;
    }
  }
  if (!largest) {
    waiting_bytes_ = 0;
    return;
  }
  Drain(*largest);
}

void AppendWriter::Write(ChangeChunk& chunk) {
  for (RowKind kind : chunk.kinds) {
    if (kind == RowKind::kInsert) continue;
    Throw(ErrorCode::kData,
          "Cannot write to table {}: it has no primary key and takes inserts only, but a row "
          "of kind {} came. Declare a PRIMARY KEY to store updates and deletes.",
          table_->folder, RowKindName(kind));
  }
  if (!in_cycle_ && options_.bucket > 0 && !overwrite_) Advance();
  in_cycle_ = true;
  checker_.Check(chunk.rows);
  for (RoutedRows& routed : router_.Route(chunk.rows)) {
    Bucket& bucket = BucketOf(routed.partition, routed.bucket);
    bucket.last_used = ++writes_;
    DataChunk part;
    part.InitializeEmpty(chunk.rows.GetTypes());
    if (routed.count == chunk.size()) {
      part.Reference(chunk.rows);
    } else {
      part.Slice(chunk.rows, routed.rows, routed.count);
    }
    if (!bucket.file && !bucket.waiting && open_ < kOpenFiles) Open(bucket);
    if (bucket.file) {
      Append(bucket, part);
      continue;
    }
    if (!bucket.waiting) {
      bucket.waiting = std::make_unique<duckdb::ColumnDataCollection>(
          duckdb::Allocator::DefaultAllocator(), part.GetTypes());
    }
    int64_t before = static_cast<int64_t>(bucket.waiting->SizeInBytes());
    bucket.waiting->Append(part);
    waiting_bytes_ += static_cast<int64_t>(bucket.waiting->SizeInBytes()) - before;
  }
  account_.Set(waiting_bytes_);
  while (waiting_bytes_ > account_.Limit(options_.write_buffer_bytes)) {
    DrainLargest();
    account_.Set(waiting_bytes_);
  }
}

void AppendWriter::Advance() {
  live_.Advance([this](const Snapshot& snapshot, const std::vector<ManifestEntry>* delta) {
    pending_.Observe(snapshot, delta);
  });
}

/// Of the newest snapshot, to which the live files are moved.
VectorFiles AppendWriter::NewestVectors() {
  for (;;) {
    Advance();
    try {
      return live_.at() ? ReadVectorFiles(*table_, *live_.at()) : VectorFiles();
    } catch (const Error& error) {
      // Expired while we were reading: there is a newer one.
      bool gone = error.code() == ErrorCode::kCorrupt;
      if (!gone || table_->snapshots.LatestId() == live_.at()->id) throw;
    }
  }
}

/// The bucket's files, committed and new.
AppendWriter::Files AppendWriter::FilesOf(const Bucket& bucket) const {
  Files files;
  if (const auto* live = live_.Find(bucket.change.partition, bucket.change.bucket)) {
    files = live->files;
  }
  const Files& fresh = bucket.change.new_files;
  files.insert(files.end(), fresh.begin(), fresh.end());
  return files;
}

/// Whether what was compacted is what the table still has: else others have replaced it.
bool AppendWriter::AreThere(const Bucket& bucket, const Files& files, const Vectors& vectors) {
  VectorFiles newest = NewestVectors();
  std::set<std::string> there;
  for (const DataFileMeta& file : FilesOf(bucket)) there.insert(file.file_name);
  const BucketChange& change = bucket.change;
  for (const IndexManifestEntry& entry : newest[BucketName(change.partition, change.bucket)]) {
    there.insert(entry.file_name);
  }
  auto is_there = [&](const auto& file) { return there.contains(file.file_name); };
  return std::all_of(files.begin(), files.end(), is_there) &&
         std::all_of(vectors.begin(), vectors.end(), is_there);
}

void AppendWriter::AddResult(Bucket& bucket, AppendCompactResult result) {
  bucket.change.compact_before = std::move(result.before);
  bucket.change.compact_after = std::move(result.after);
  bucket.change.compact_index_changes = std::move(result.index_changes);
}

void AppendWriter::CompactNow(Bucket& bucket, const std::vector<Files>& groups,
                              const Vectors& vectors) {
  if (groups.empty()) return;
  const BucketChange& change = bucket.change;
  try {
    AddResult(bucket, compactor_.Run(change.partition, change.bucket, groups, vectors));
  } catch (const Error& error) {
    // Others have compacted these files meanwhile, and they have expired: nothing is lost but work.
    bool gone = error.code() == ErrorCode::kNotFound || error.code() == ErrorCode::kCorrupt;
    if (!gone) throw;
    Files files;
    for (const Files& group : groups) files.insert(files.end(), group.begin(), group.end());
    if (AreThere(bucket, files, vectors)) throw;
  }
}

void AppendWriter::CompactBeside(const std::string& name, Bucket& bucket, Files files,
                                 Vectors vectors) {
  auto beside = std::make_shared<Beside>(Beside{std::move(files), std::move(vectors), {}});
  bucket.beside = beside;
  RowBytes partition = bucket.change.partition;
  int number = bucket.change.bucket;
  auto job = [this, beside, partition, number](const std::function<bool()>& cancelled) {
    beside->result = compactor_.Run(partition, number, {beside->files}, beside->vectors, cancelled);
    return CompactResult();
  };
  background_.Start(name, std::move(job), [this, beside, partition, number](const CompactResult&) {
    compactor_.Discard(partition, number, beside->result);
  });
}

void AppendWriter::TakeBeside(const std::string& name, Bucket& bucket, bool wait) {
  try {
    if (background_.Take(name, wait)) AddResult(bucket, std::move(bucket.beside->result));
  } catch (const Error& error) {
    bool gone = error.code() == ErrorCode::kNotFound || error.code() == ErrorCode::kCorrupt;
    if (!gone || AreThere(bucket, bucket.beside->files, bucket.beside->vectors)) throw;
  }
}

/// What goes with new rows: a commit of a compaction alone would fail where others were faster.
void AppendWriter::CompactSome(bool wait) {
  auto has_rows = [](const auto& item) { return !item.second.change.new_files.empty(); };
  if (std::none_of(buckets_.begin(), buckets_.end(), has_rows)) return;
  VectorFiles vectors = NewestVectors();
  for (auto& [name, bucket] : buckets_) {
    TakeBeside(name, bucket, wait);
    // On top of what is not committed yet nothing is built.
    if (background_.Has(name) || pending_.Holds(name)) continue;
    if (bucket.change.new_files.empty() || !bucket.change.compact_before.empty()) continue;
    auto picked = compactor_.PickOne(FilesOf(bucket));
    if (!picked) continue;
    if (wait) {
      CompactNow(bucket, {std::move(*picked)}, vectors[name]);
    } else {
      CompactBeside(name, bucket, std::move(*picked), vectors[name]);
    }
  }
}

void AppendWriter::CompactAll() {
  VectorFiles vectors = NewestVectors();
  if (touched_.empty()) {
    for (const auto& [name, live] : live_.buckets()) {
      if (live.files.empty() || live.total_buckets != options_.bucket) continue;
      touched_.insert(name);
      BucketOf(live.partition, live.bucket);
    }
  }
  for (const std::string& name : std::set<std::string>(touched_)) {
    Bucket& bucket = buckets_.at(name);
    TakeBeside(name, bucket, /*wait=*/true);
    // What was picked to go beside the writer is less than all.
    BucketChange& change = bucket.change;
    compactor_.Discard(change.partition, change.bucket,
                       {change.compact_before, change.compact_after, change.compact_index_changes});
    AddResult(bucket, {});
    if (pending_.Holds(name)) continue;
    CompactNow(bucket, compactor_.Pick(FilesOf(bucket), vectors[name], CompactionEffort::kFull),
               vectors[name]);
    touched_.erase(name);
  }
}

Committable AppendWriter::Prepare(bool wait) {
  for (auto& [name, bucket] : buckets_) {
    Drain(bucket);
    if (bucket.file) Close(bucket);
    if (!bucket.change.new_files.empty()) touched_.insert(name);
  }
  account_.Set(waiting_bytes_);
  bool full = std::exchange(compact_fully_, false) && !overwrite_;
  if (full) {
    CompactAll();
  } else if (compacts_) {
    CompactSome(wait);
  }
  Committable committable;
  for (auto& [name, bucket] : buckets_) {
    BucketChange next;
    next.partition = bucket.change.partition;
    next.bucket = bucket.change.bucket;
    next.total_buckets = bucket.change.total_buckets;
    if (!bucket.change.Empty()) committable.buckets.push_back(std::move(bucket.change));
    bucket.change =
        std::move(next);  // Sequence numbers go on: what was prepared may not be committed yet.
  }
  StartSync(table_, committable);
  if (full || compacts_) pending_.Add(committable.buckets);
  in_cycle_ = false;
  return committable;
}

}  // namespace

std::unique_ptr<TableWriter> MakeAppendWriter(std::shared_ptr<const TableState> table,
                                              std::string user, const WriterOptions& options) {
  return std::make_unique<AppendWriter>(std::move(table), std::move(user), options);
}

}  // namespace millrace
