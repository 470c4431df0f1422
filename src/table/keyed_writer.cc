// keyed_writer.cc - TableWriter of a primary-key table.
//
// A cycle lasts from one PrepareCommit to the next. At its first row the writer looks what others
// have committed, so that sequence numbers go on from there. What it prepared itself but does not
// see committed yet stays in `pending_`: its sequence numbers count, and its buckets are not
// compacted again until it is known what became of it (docs/internals/commit.md).
#include <algorithm>
#include <deque>
#include <set>

#include "base/error.h"
#include "lsm/compaction.h"
#include "lsm/write_buffer.h"
#include "table/bucket_assigner.h"
#include "table/live_files.h"
#include "table/row_checker.h"
#include "table/row_kinds.h"
#include "table/row_router.h"
#include "table/table_writer.h"

namespace millrace {

namespace {

/// A PrepareCommit whose fate is not known yet.
struct Pending {
  std::vector<BucketChange> buckets;
  std::set<std::string> new_names;
  std::set<std::string> compact_names;
  bool appended = false;  // Its APPEND snapshot has been seen.
};

class KeyedWriter : public TableWriter {
 public:
  KeyedWriter(std::shared_ptr<const TableState> table, std::string user)
      : table_(std::move(table)),
        user_(std::move(user)),
        options_(table_->parsed),
        layout_(table_->Layout()),
        order_(layout_.KeyTypes()),
        names_(table_->context.random),
        assigner_(options_.bucket == -1 ? std::make_unique<BucketAssigner>(*table_) : nullptr),
        router_(table_->schema, options_.bucket, assigner_.get()),
        checker_(table_->schema, table_->folder),
        kinds_(table_->schema, options_, table_->folder),
        live_(*table_) {}

  void Write(ChangeChunk& chunk) override;
  Committable PrepareCommit() override;
  void CompactFully() override { compact_fully_ = true; }

 private:
  struct Bucket {
    BucketChange change;
    std::unique_ptr<WriteBuffer> buffer;
    int64_t memory = 0;
  };

  bool KeepsInput() const { return options_.changelog_producer == ChangelogProducer::kInput; }
  void StartCycle();
  void Observe(const Snapshot& snapshot, const std::vector<ManifestEntry>* delta);
  Bucket& BucketOf(const RowBytes& partition, int bucket);
  int64_t NextSequenceNumber(const std::string& name, const LiveFiles::Bucket* live) const;
  void Route(ChangeChunk& chunk);
  void DropUpdatePairs(ChangeChunk& chunk, RoutedRows& routed) const;
  void Flush(Bucket& bucket);
  RunWriteOptions WriteOptions(const Bucket& bucket, const char* prefix) const;
  void Compact(Bucket& bucket);
  bool HasLostFiles(const Bucket& bucket, const CompactUnit& unit);
  bool IsPending(const std::string& name) const;

  const std::shared_ptr<const TableState> table_;
  const std::string user_;
  const TableOptions& options_;
  const KeyValueLayout layout_;
  const KeyOrder order_;
  DataFileNames names_;
  const std::unique_ptr<BucketAssigner> assigner_;  // Of a table with dynamic buckets.
  RowRouter router_;
  RowChecker checker_;
  RowKinds kinds_;
  LiveFiles live_;
  std::map<std::string, Bucket> buckets_;  // Of this cycle, by BucketName.
  std::set<std::string> touched_;          // Of all cycles.
  std::deque<Pending> pending_;
  int64_t memory_ = 0;
  bool in_cycle_ = false;
  bool compact_fully_ = false;
};

void KeyedWriter::StartCycle() {
  live_.Advance([this](const Snapshot& snapshot, const std::vector<ManifestEntry>* delta) {
    Observe(snapshot, delta);
  });
  if (assigner_) assigner_->StartCycle(live_);
  in_cycle_ = true;
}

void KeyedWriter::Observe(const Snapshot& snapshot, const std::vector<ManifestEntry>* delta) {
  if (pending_.empty()) return;
  if (!delta) {  // History has been cut: whatever was pending is committed or given up.
    pending_.clear();
    return;
  }
  if (snapshot.commit_user != user_) return;
  size_t resolved = 0;
  for (size_t i = 0; i < pending_.size(); i++) {
    Pending& pending = pending_[i];
    const std::set<std::string>& names =
        snapshot.commit_kind == CommitKind::kCompact ? pending.compact_names : pending.new_names;
    bool is_it = std::any_of(delta->begin(), delta->end(), [&](const ManifestEntry& entry) {
      return names.contains(entry.file.file_name);
    });
    if (!is_it) continue;
    pending.appended = true;
    // Commits come in order: an older one that lacks its compaction will never have it.
    resolved =
        i + (snapshot.commit_kind == CommitKind::kCompact || pending.compact_names.empty() ? 1 : 0);
  }
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<int64_t>(resolved));
}

bool KeyedWriter::IsPending(const std::string& name) const {
  for (const Pending& pending : pending_) {
    for (const BucketChange& change : pending.buckets) {
      if (BucketName(change.partition, change.bucket) == name) return true;
    }
  }
  return false;
}

int64_t KeyedWriter::NextSequenceNumber(const std::string& name,
                                        const LiveFiles::Bucket* live) const {
  int64_t last = -1;
  if (live) {
    for (const DataFileMeta& file : live->files) last = std::max(last, file.max_sequence_number);
  }
  for (const Pending& pending : pending_) {
    for (const BucketChange& change : pending.buckets) {
      if (BucketName(change.partition, change.bucket) != name) continue;
      for (const DataFileMeta& file : change.new_files)
        last = std::max(last, file.max_sequence_number);
    }
  }
  return last + 1;
}

KeyedWriter::Bucket& KeyedWriter::BucketOf(const RowBytes& partition, int bucket) {
  std::string name = BucketName(partition, bucket);
  Bucket& found = buckets_[name];
  if (found.buffer) return found;
  const LiveFiles::Bucket* live = live_.Find(partition, bucket);
  if (live && !live->files.empty() && live->total_buckets != options_.bucket) {
    buckets_.erase(name);
    Throw(ErrorCode::kInvalid,
          "Cannot write to table {}: its files lie in {} buckets, but 'bucket' = '{}'. Set "
          "'bucket' back, or rewrite the partition with INSERT OVERWRITE.",
          table_->folder, live->total_buckets, options_.bucket);
  }
  found.change.partition = partition;
  found.change.bucket = bucket;
  found.change.total_buckets = options_.bucket;
  found.buffer = std::make_unique<WriteBuffer>(
      layout_, NextSequenceNumber(name, live),
      WriteBufferOptions{.merge = options_.merge,
                         .ignore_update_before = options_.ignore_update_before});
  touched_.insert(name);
  return found;
}

/// A -U that its own +U follows says nothing new to a table that merges by key.
void KeyedWriter::DropUpdatePairs(ChangeChunk& chunk, RoutedRows& routed) const {
  SelectionVector before(routed.count), after(routed.count);
  std::vector<idx_t> positions;
  for (idx_t i = 0; i + 1 < routed.count; i++) {
    idx_t row = routed.rows.get_index(i), next = routed.rows.get_index(i + 1);
    if (chunk.kinds[row] != RowKind::kUpdateBefore || chunk.kinds[next] != RowKind::kUpdateAfter)
      continue;
    before.set_index(positions.size(), row);
    after.set_index(positions.size(), next);
    positions.push_back(i);
  }
  if (positions.empty()) return;
  SelectionVector same(positions.size()), different(positions.size());
  idx_t matched =
      SelectEqualRows(chunk.rows, layout_.key, before, after, positions.size(), same, different);
  std::vector<bool> drop(routed.count);
  for (idx_t i = 0; i < matched; i++) drop[positions[same.get_index(i)]] = true;
  idx_t kept = 0;
  for (idx_t i = 0; i < routed.count; i++) {
    if (!drop[i]) routed.rows.set_index(kept++, routed.rows.get_index(i));
  }
  routed.count = kept;
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
  while (memory_ > options_.write_buffer_bytes) {
    Bucket* largest = nullptr;
    for (auto& [name, bucket] : buckets_) {
      if (!bucket.buffer->Empty() && (!largest || bucket.memory > largest->memory))
        largest = &bucket;
    }
    if (!largest) break;
    Flush(*largest);
  }
}

void KeyedWriter::Route(ChangeChunk& chunk) {
  for (RoutedRows& routed : router_.Route(chunk.rows)) {
    if (!chunk.kinds.empty() && kinds_.PairsAreRedundant()) DropUpdatePairs(chunk, routed);
    Bucket& bucket = BucketOf(routed.partition, routed.bucket);
    bucket.buffer->Add(chunk, routed.rows, routed.count);
    int64_t memory = bucket.buffer->MemoryBytes();
    memory_ += memory - bucket.memory;
    bucket.memory = memory;
  }
}

RunWriteOptions KeyedWriter::WriteOptions(const Bucket& bucket, const char* prefix) const {
  RunWriteOptions write;
  write.folder = table_->BucketFolder(bucket.change.partition, bucket.change.bucket);
  write.prefix = prefix;
  write.target_file_bytes = options_.target_file_bytes;
  write.stats_truncate = options_.stats_truncate;
  write.parquet = options_.parquet;
  return write;
}

void KeyedWriter::Flush(Bucket& bucket) {
  if (bucket.buffer->Empty()) return;
  RunFileWriter run(table_->lsm(), layout_, names_, WriteOptions(bucket, "data-"));
  RunFileWriter changelog(table_->lsm(), layout_, names_, WriteOptions(bucket, "changelog-"));
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
  if (memory_ >
      options_.write_buffer_bytes) {  // Empty, but its columns stay allocated: start small.
    memory_ -= bucket.memory;
    bucket.buffer = std::make_unique<WriteBuffer>(
        layout_, bucket.buffer->next_sequence_number(),
        WriteBufferOptions{.merge = options_.merge,
                           .ignore_update_before = options_.ignore_update_before});
    bucket.memory = 0;
  }
}

/// Whether files of `unit` are no longer in the table, nor made by this cycle.
bool KeyedWriter::HasLostFiles(const Bucket& bucket, const CompactUnit& unit) {
  StartCycle();
  const BucketChange& change = bucket.change;
  std::set<std::string> there;
  for (const DataFileMeta& file : change.new_files) there.insert(file.file_name);
  for (const DataFileMeta& file : change.compact_after) there.insert(file.file_name);
  if (const LiveFiles::Bucket* live = live_.Find(change.partition, change.bucket)) {
    for (const DataFileMeta& file : live->files) there.insert(file.file_name);
  }
  return !std::all_of(unit.files.begin(), unit.files.end(),
                      [&](const DataFileMeta& file) { return there.contains(file.file_name); });
}

void KeyedWriter::Compact(Bucket& bucket) {
  BucketChange& change = bucket.change;
  std::string name = BucketName(change.partition, change.bucket);
  if (IsPending(name)) return;
  std::vector<DataFileMeta> files = change.new_files;
  if (const LiveFiles::Bucket* live = live_.Find(change.partition, change.bucket)) {
    files.insert(files.end(), live->files.begin(), live->files.end());
  }
  if (files.empty()) return;
  Levels levels(order_, files, options_.level_count);
  UniversalCompaction strategy(options_.compaction);
  while (auto unit =
             compact_fully_ ? UniversalCompaction::PickAll(levels) : strategy.Pick(levels)) {
    CompactOptions compact;
    compact.drop_deletes = MayDropDeletes(levels, *unit);
    compact.max_level = levels.MaxLevel();
    compact.merge = options_.merge;
    compact.write = WriteOptions(bucket, "data-");
    compact.fields_of_schema = [this](int64_t id) { return table_->schemas.Get(id)->fields; };
    CompactResult result;
    try {
      result = millrace::Compact(table_->lsm(), layout_, order_, *unit, names_, compact);
    } catch (const Error& error) {
      // Another writer has compacted the same files, and they have expired since.
      if (error.code() != ErrorCode::kNotFound || !HasLostFiles(bucket, *unit)) throw;
      return;
    }
    levels.Replace(result.before, result.after);
    for (const DataFileMeta& file : result.before) {
      auto same = [&](const DataFileMeta& other) {
        return other.file_name == file.file_name && other.level == file.level;
      };
      // What this cycle has compacted already is never committed, unless it was only lifted.
      if (std::erase_if(change.compact_after, same) == 0) {
        change.compact_before.push_back(file);
        continue;
      }
      auto named = [&](const DataFileMeta& other) { return other.file_name == file.file_name; };
      if (std::none_of(change.compact_before.begin(), change.compact_before.end(), named) &&
          std::none_of(result.after.begin(), result.after.end(), named)) {
        table_->context.files.Delete(DataFilePath(compact.write.folder, file));
      }
    }
    change.compact_after.insert(change.compact_after.end(), result.after.begin(),
                                result.after.end());
  }
}

Committable KeyedWriter::PrepareCommit() {
  StartCycle();
  if (compact_fully_ && touched_.empty()) {
    for (const auto& [name, live] : live_.buckets()) {
      if (!live.files.empty()) touched_.insert(name);
    }
  }
  for (auto& [name, bucket] : buckets_) Flush(bucket);
  if (assigner_) {
    for (HashIndexChange& change : assigner_->PrepareCommit()) {
      BucketChange& bucket = BucketOf(change.partition, change.bucket).change;
      bucket.index_changes = std::move(change.entries);
      bucket.hash_index_base = std::move(change.base);
    }
  }
  if (compact_fully_) {  // Buckets of earlier cycles too.
    for (const auto& [name, live] : live_.buckets()) {
      if (touched_.contains(name)) BucketOf(live.partition, live.bucket);
    }
  }
  Committable committable;
  Pending pending;
  for (auto& [name, bucket] : buckets_) {
    if (compact_fully_ || !options_.write_only) Compact(bucket);
    BucketChange& change = bucket.change;
    if (change.new_files.empty() && change.changelog_files.empty() &&
        change.compact_before.empty() && change.index_changes.empty()) {
      continue;
    }
    for (const auto& file : change.new_files) pending.new_names.insert(file.file_name);
    for (const auto& file : change.compact_before) pending.compact_names.insert(file.file_name);
    committable.buckets.push_back(std::move(change));
  }
  if (!committable.buckets.empty()) {
    pending.buckets = committable.buckets;
    pending_.push_back(std::move(pending));
  }
  buckets_.clear();
  memory_ = 0;
  in_cycle_ = false;
  compact_fully_ = false;
  return committable;
}

}  // namespace

std::unique_ptr<TableWriter> MakeKeyedWriter(std::shared_ptr<const TableState> table,
                                             std::string user) {
  return std::make_unique<KeyedWriter>(std::move(table), std::move(user));
}

}  // namespace millrace
