// append_writer.cc - TableWriter of an append-only table: rows in the order in which they come.
//
// A few buckets write straight to their files; rows of further ones (a chunk may touch a partition
// a day) wait in memory under the write buffer's budget, so that many partitions do not become many
// tiny files.
#include <algorithm>

#include "base/error.h"
#include "base/memory_budget.h"
#include "duckdb/common/allocator.hpp"
#include "duckdb/common/types/column/column_data_collection.hpp"
#include "lsm/run_file_writer.h"
#include "table/live_files.h"
#include "table/row_checker.h"
#include "table/row_router.h"
#include "table/table_writer.h"
#include "table/write_options.h"

namespace millrace {

namespace {

constexpr idx_t kOpenFiles = 8;

class AppendWriter : public TableWriter {
 public:
  AppendWriter(std::shared_ptr<const TableState> table, const WriterOptions& writer)
      : table_(std::move(table)),
        overwrite_(writer.overwrite),
        options_(table_->parsed),
        layout_(table_->Layout()),
        names_(table_->context.random),
        router_(table_->schema, options_.bucket),
        checker_(table_->schema, table_->folder),
        live_(*table_),
        account_(table_->context.budget, MemoryBudget::Use::kWriteBuffers) {}

  ~AppendWriter() override {
    for (auto& [name, bucket] : buckets_) {
      if (bucket.file) bucket.file->Abort();
    }
  }

  void Write(ChangeChunk& chunk) override;
  Committable PrepareCommit() override;
  void CompactFully() override {
    Throw(ErrorCode::kUnsupported,
          "Cannot compact table {}: compaction of append-only tables is not there "
          "yet. Its small files can be read as they are.",
          table_->folder);
  }

 private:
  struct Bucket {
    BucketChange change;
    std::string folder;
    int64_t next_sequence = 0;
    std::unique_ptr<RunFileWriter> file;
    std::unique_ptr<duckdb::ColumnDataCollection> waiting;
    int64_t last_used = 0;
  };

  Bucket& BucketOf(const RoutedRows& routed);
  void Append(Bucket& bucket, DataChunk& rows);
  void Open(Bucket& bucket);
  void Close(Bucket& bucket);
  /// Moves the rows that wait to the bucket's file.
  void Drain(Bucket& bucket);
  void DrainLargest();

  const std::shared_ptr<const TableState> table_;
  const bool overwrite_;
  const TableOptions& options_;
  const KeyValueLayout layout_;
  DataFileNames names_;
  RowRouter router_;
  RowChecker checker_;
  LiveFiles live_;
  std::map<std::string, Bucket> buckets_;
  idx_t open_ = 0;
  int64_t waiting_bytes_ = 0;
  MemoryAccount account_;  // Tells the budget.
  int64_t writes_ = 0;
  bool in_cycle_ = false;
};

AppendWriter::Bucket& AppendWriter::BucketOf(const RoutedRows& routed) {
  std::string name = BucketName(routed.partition, routed.bucket);
  auto found = buckets_.find(name);
  if (found != buckets_.end()) return found->second;
  Bucket bucket;
  bucket.change.partition = routed.partition;
  bucket.change.bucket = routed.bucket;
  bucket.change.total_buckets = options_.bucket;
  bucket.folder = table_->BucketFolder(routed.partition, routed.bucket);
  std::optional<int> total = live_.TotalBuckets(routed.partition);
  if (total && *total != options_.bucket) {
    Throw(ErrorCode::kInvalid,
          "Cannot write to table {}: its files lie in {} buckets, but 'bucket' = '{}'. "
          "Set 'bucket' back, or rewrite the partition with INSERT OVERWRITE.",
          table_->folder, *total, options_.bucket);
  }
  if (const LiveFiles::Bucket* live = live_.Find(routed.partition, routed.bucket)) {
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
  if (!in_cycle_ && options_.bucket > 0 && !overwrite_) {
    live_.Advance([](const Snapshot&, const std::vector<ManifestEntry>*) {});
  }
  in_cycle_ = true;
  checker_.Check(chunk.rows);
  for (RoutedRows& routed : router_.Route(chunk.rows)) {
    Bucket& bucket = BucketOf(routed);
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

Committable AppendWriter::PrepareCommit() {
  Committable committable;
  for (auto& [name, bucket] : buckets_) {
    Drain(bucket);
    if (bucket.file) Close(bucket);
  }
  account_.Set(waiting_bytes_);
  for (auto& [name, bucket] : buckets_) {
    BucketChange next;
    next.partition = bucket.change.partition;
    next.bucket = bucket.change.bucket;
    next.total_buckets = bucket.change.total_buckets;
    if (!bucket.change.new_files.empty()) committable.buckets.push_back(std::move(bucket.change));
    bucket.change =
        std::move(next);  // Sequence numbers go on: what was prepared may not be committed yet.
  }
  in_cycle_ = false;
  return committable;
}

}  // namespace

std::unique_ptr<TableWriter> MakeAppendWriter(std::shared_ptr<const TableState> table,
                                              const WriterOptions& options) {
  return std::make_unique<AppendWriter>(std::move(table), options);
}

}  // namespace millrace
