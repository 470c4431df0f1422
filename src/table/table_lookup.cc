#include "table/table_lookup.h"

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "base/error.h"
#include "duckdb/common/allocator.hpp"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "format/deletion_vector.h"
#include "lsm/sort_key.h"
#include "meta/binary_row.h"
#include "table/index_store.h"

namespace millrace {

namespace {

void DeleteQuietly(FileSystem& files, const std::string& path) {
  try {
    files.Delete(path);
  } catch (const Error&) {
    // The folder goes as a whole later.
  }
}

/// A lookup file that goes from the disk when nobody uses it any more.
std::shared_ptr<const LookupFile> Owned(LookupFile file, FileSystem& files, std::string path) {
  return std::shared_ptr<const LookupFile>(
      new LookupFile(std::move(file)), [&files, path = std::move(path)](const LookupFile* gone) {
        delete gone;
        DeleteQuietly(files, path);
      });
}

std::string Bytes(const string_t& text) {
  return std::string(text.GetData(), text.GetSize());
}

std::vector<idx_t> PlacesIn(const std::vector<std::string>& key, const TableSchema& schema,
                            const std::vector<idx_t>& columns) {
  std::vector<idx_t> places;
  for (idx_t column : columns) {
    auto found = std::find(key.begin(), key.end(), schema.fields[column].name);
    MILLRACE_CHECK(found != key.end());
    places.push_back(static_cast<idx_t>(found - key.begin()));
  }
  return places;
}

}  // namespace

TableLookup::TableLookup(std::shared_ptr<const TableState> table, LookupOptions options)
    : table_(std::move(table)),
      options_(std::move(options)),
      layout_(table_->Layout()),
      order_(layout_.KeyTypes()),
      folder_(JoinPath(options_.folder, "lookup-" + table_->context.random.Uuid())),
      live_(*table_),
      files_(options_.memory_bytes / 2),
      blocks_(options_.memory_bytes / 2),
      account_(table_->context.budget, MemoryBudget::Use::kCaches) {
  table_->CheckSupported("look up rows of");
  if (!table_->HasPrimaryKey()) {
    Throw(ErrorCode::kUnsupported,
          "Cannot look up rows of table {} by key: it has no primary key; scan it with a filter.",
          table_->folder);
  }
  const TableSchema& schema = table_->schema;
  partition_ = PlacesIn(schema.primary_keys, schema, schema.PartitionColumns());
  trimmed_ = PlacesIn(schema.primary_keys, schema, layout_.key);
  bucket_key_ = PlacesIn(schema.primary_keys, schema, schema.BucketKey());
  partition_types_ = PartitionTypes(schema);
  for (idx_t column : schema.BucketKey()) bucket_types_.push_back(schema.fields[column].type);
  PlanColumns();
}

TableLookup::~TableLookup() {
  files_.EraseIf([](const std::string&) { return true; });
  try {
    table_->context.files.DeleteFolder(folder_);
  } catch (const Error&) {
    // Local files of a process that ends: nobody looks for them.
  }
}

void TableLookup::PlanColumns() {
  for (idx_t column : options_.columns) types_.push_back(layout_.fields[column].type.ToDuck());
  read_.fields = options_.columns;
  read_.merge = table_->parsed.merge;
  read_.drop_deletes = false;
  read_.fields_of_schema = [table = table_](int64_t id) { return table->schemas.Get(id)->fields; };
  if (read_.merge.engine != MergeEngine::kDeduplicate || read_.merge.ignore_delete) {
    function_ = MakeMergeFunction(read_.merge, layout_, options_.columns);
  }
  plan_ = PlanMerge(layout_, read_, function_ ? function_->needed_fields() : std::vector<idx_t>());
  file_plan_ = plan_;
  file_plan_.columns.push_back(RowPositionColumn());
  packer_ = std::make_unique<RowPacker>(plan_.Types());
  auto& allocator = duckdb::Allocator::DefaultAllocator();
  unpacked_.Initialize(allocator, plan_.Types());
  duckdb::vector<LogicalType> key_types;
  for (const DataType& type : layout_.KeyTypes()) key_types.push_back(type.ToDuck());
  key_chunk_.InitializeEmpty(key_types);
  if (!function_) return;
  combiner_ = std::make_unique<BatchCombiner>(plan_, *function_, layout_, options_.columns, false);
  batch_.rows.Initialize(allocator, plan_.Types(), 2 * kChunkRows);
}

int64_t TableLookup::Refresh() {
  for (;;) {
    std::optional<Snapshot> before = live_.at();
    bool was_taken = std::exchange(is_taken_, false);
    is_fixed_ = false;
    live_.Advance([](const Snapshot&, const std::vector<ManifestEntry>*) {});
    try {
      if (!was_taken || live_.at() != before) TakeSnapshot();
      is_taken_ = true;
      return snapshot_id();
    } catch (const Error& error) {
      // Expired while we were reading: there is a newer one.
      bool may_be_gone =
          error.code() == ErrorCode::kNotFound || error.code() == ErrorCode::kCorrupt;
      if (!may_be_gone || table_->snapshots.LatestId() == snapshot_id()) throw;
    }
  }
}

void TableLookup::MoveTo(int64_t id) {
  if (is_taken_ && snapshot_id() == id) return;
  is_taken_ = false;
  live_.MoveTo(id);
  is_fixed_ = true;
  TakeSnapshot();
  is_taken_ = true;
}

void TableLookup::ForgetFilesOfOthers() {
  std::set<std::string> names;
  for (const auto& [name, bucket] : live_.buckets()) {
    for (const DataFileMeta& file : bucket.files) names.insert(file.file_name);
  }
  files_.EraseIf([&](const std::string& name) { return !names.contains(name); });
}

/// What is needed to find rows as of `live_`.
void TableLookup::TakeSnapshot() {
  candidates_.clear();
  partitions_.clear();
  deletions_.clear();
  deleted_rows_.clear();
  for (const auto& [name, bucket] : live_.buckets()) {
    if (!bucket.files.empty()) partitions_[bucket.partition].push_back(&bucket);
  }
  if (!is_fixed_) ForgetFilesOfOthers();
  if (live_.at()) deletions_ = FindDeletions(*table_, *live_.at());
}

const TableLookup::Candidates& TableLookup::CandidatesOf(const LiveFiles::Bucket& bucket) {
  auto [found, is_new] = candidates_.try_emplace(BucketName(bucket.partition, bucket.bucket));
  if (!is_new) return found->second;
  for (const DataFileMeta& file : bucket.files) {
    // As scans of tables with deletion vectors: level 0 waits for its compaction.
    if (file.level == 0 && table_->parsed.HidesLevel0()) continue;
    found->second.push_back({file, table_->BucketFolder(bucket.partition, bucket.bucket),
                             order_.Normalise(file.min_key), order_.Normalise(file.max_key)});
  }
  return found->second;
}

/// The files of the bucket that the key is in; of all buckets when only an index could tell.
std::vector<const TableLookup::Candidates*> TableLookup::BucketsOf(DataChunk& keys, idx_t row,
                                                                   int32_t hash) {
  std::vector<Value> values;
  for (idx_t column : partition_) values.push_back(keys.GetValue(column, row));
  RowBytes partition = values.empty() ? EmptyRow() : EncodeRow(partition_types_, values);
  std::vector<const Candidates*> buckets;
  auto found = partitions_.find(partition);
  if (found == partitions_.end()) return buckets;
  for (const LiveFiles::Bucket* bucket : found->second) {
    int total = bucket->total_buckets;
    if (total > 0 && millrace::BucketOf(hash, total) != bucket->bucket) continue;
    buckets.push_back(&CandidatesOf(*bucket));
  }
  return buckets;
}

LookupFile TableLookup::Build(const Candidate& candidate, const std::string& path) {
  LookupFileWriter writer(table_->context.files, path, next_file_, candidate.file.row_count);
  LsmContext context = table_->lsm();
  RunScan scan(context, layout_, candidate.folder, {candidate.file}, file_plan_, read_);
  auto& allocator = duckdb::Allocator::DefaultAllocator();
  DataChunk rows, keys, user_sequences;
  rows.Initialize(allocator, file_plan_.Types());
  keys.InitializeEmpty(key_chunk_.GetTypes());
  duckdb::vector<LogicalType> sequence_types;
  for (idx_t column : plan_.sequence_fields) sequence_types.push_back(rows.data[column].GetType());
  if (!sequence_types.empty()) user_sequences.InitializeEmpty(sequence_types);
  std::string order, row;
  for (rows.Reset(); scan.Next(rows); rows.Reset()) {
    Vector key_blobs(LogicalType(LogicalTypeId::BLOB)), orders(LogicalType(LogicalTypeId::BLOB));
    for (idx_t i = 0; i < plan_.key.size(); i++) keys.data[i].Reference(rows.data[plan_.key[i]]);
    keys.SetCardinality(rows.size());
    NormaliseToBlobs(keys, key_blobs);
    if (!sequence_types.empty()) {
      for (idx_t i = 0; i < sequence_types.size(); i++) {
        user_sequences.data[i].Reference(rows.data[plan_.sequence_fields[i]]);
      }
      user_sequences.SetCardinality(rows.size());
      NormaliseToBlobs(user_sequences, orders, plan_.sequence_descending);
    }
    UnifiedVectorFormat sequences, positions;
    rows.data[plan_.sequence].ToUnifiedFormat(rows.size(), sequences);
    rows.data[file_plan_.columns.size() - 1].ToUnifiedFormat(rows.size(), positions);
    auto* sequence = UnifiedVectorFormat::GetData<int64_t>(sequences);
    auto* position = UnifiedVectorFormat::GetData<int64_t>(positions);
    auto* key_data = duckdb::FlatVector::GetData<string_t>(key_blobs);
    packer_->Start(rows);
    for (idx_t i = 0; i < rows.size(); i++) {
      order.clear();
      row.clear();
      if (!sequence_types.empty()) order = Bytes(duckdb::FlatVector::GetData<string_t>(orders)[i]);
      AppendBig<uint64_t>(
          order, static_cast<uint64_t>(sequence[sequences.sel->get_index(i)]) ^ uint64_t{1} << 63);
      packer_->Append(i, row);
      writer.Add({key_data[i].GetData(), key_data[i].GetSize()}, order,
                 position[positions.sel->get_index(i)], row);
    }
  }
  return writer.Finish();
}

std::shared_ptr<const LookupFile> TableLookup::FileOf(const Candidate& candidate) {
  const std::string& name = candidate.file.file_name;
  if (auto* found = files_.Find(name)) return *found;
  std::string path = JoinPath(folder_, std::to_string(++next_file_));
  LookupFile built;
  try {
    built = Build(candidate, path);
  } catch (const Error&) {
    DeleteQuietly(table_->context.files, path);
    throw;
  }
  auto file = Owned(std::move(built), table_->context.files, path);
  files_.Put(name, file, CostOf(*file));
  return file;
}

/// A file counts for the part that it takes of the memory, and of the disk.
int64_t TableLookup::CostOf(const LookupFile& file) const {
  double disk_part = static_cast<double>(file.FileBytes()) /
                     static_cast<double>(std::max<int64_t>(options_.disk_bytes, 1));
  double bytes = disk_part * static_cast<double>(options_.memory_bytes / 2);
  return file.MemoryBytes() + static_cast<int64_t>(std::min(bytes, 1e15));
}

void TableLookup::KeepWithinBudget() {
  int64_t limit = account_.Limit(options_.memory_bytes);
  files_.SetBudget(limit / 2);
  blocks_.SetBudget(limit / 2);
  account_.Set(files_.used_bytes() + blocks_.used_bytes());
}

bool TableLookup::IsDeleted(const DataFileMeta& file, int64_t position) {
  auto place = deletions_.find(file.file_name);
  if (place == deletions_.end()) return false;
  std::shared_ptr<const RowSet>& rows = deleted_rows_[file.file_name];
  if (!rows) rows = ReadDeletionVector(table_->context.files, place->second);
  return rows->Contains(position);
}

void TableLookup::CollectVersions(const Candidates& candidates, std::string_view key) {
  for (const Candidate& candidate : candidates) {
    if (key < candidate.min_key || key > candidate.max_key) continue;
    auto entry = FileOf(candidate)->Find(key, blocks_);
    if (!entry || IsDeleted(candidate.file, entry->position)) continue;
    versions_.push_back({candidate.file.level, std::move(*entry)});
  }
}

namespace {

[[noreturn]] void FailDamaged(const std::string& folder) {
  Throw(ErrorCode::kCorrupt, "Reading lookup files in '{}': a row is damaged", folder);
}

}  // namespace

bool TableLookup::TakeWinner(idx_t target) {
  auto newest = std::max_element(
      versions_.begin(), versions_.end(),
      [](const Version& a, const Version& b) { return a.entry.order < b.entry.order; });
  if (!packer_->Unpack(newest->entry.row, unpacked_, target)) FailDamaged(folder_);
  auto kind = duckdb::FlatVector::GetData<int8_t>(unpacked_.data[plan_.kind])[target];
  return IsAdd(static_cast<RowKind>(kind));
}

void TableLookup::AddToBatch() {
  if (read_.merge.whole_above_level0) {
    int lowest = INT32_MAX;
    for (const Version& version : versions_) {
      if (version.level > 0) lowest = std::min(lowest, version.level);
    }
    std::erase_if(versions_, [&](const Version& version) {
      return version.level > 0 && version.level != lowest;
    });
  }
  std::sort(versions_.begin(), versions_.end(),
            [](const Version& a, const Version& b) { return a.entry.order < b.entry.order; });
  idx_t row = batch_.rows.size();
  batch_.starts.push_back(static_cast<uint32_t>(row));
  for (const Version& version : versions_) {
    if (!packer_->Unpack(version.entry.row, batch_.rows, row++)) FailDamaged(folder_);
    batch_.levels.push_back(static_cast<uint8_t>(version.level));
  }
  batch_.rows.SetCardinality(row);
}

/// Appends the rows of the batch's keys to `rows`, of which `done` are there.
idx_t TableLookup::CombineBatch(DataChunk& rows, idx_t done, SelectionVector& found) {
  if (batch_.starts.empty()) return done;
  batch_.starts.push_back(static_cast<uint32_t>(batch_.rows.size()));
  DataChunk merged;
  merged.Initialize(duckdb::Allocator::DefaultAllocator(), types_);
  combiner_->Combine(batch_, merged);
  for (idx_t key = 0; key < batch_keys_.size(); key++) {
    if (!IsAdd(static_cast<RowKind>(combiner_->kinds()[key]))) continue;
    for (idx_t i = 0; i < types_.size(); i++) {
      duckdb::VectorOperations::Copy(merged.data[i], rows.data[i], key + 1, key, done);
    }
    found.set_index(done++, batch_keys_[key]);
  }
  batch_.rows.Reset();
  batch_.starts.clear();
  batch_.levels.clear();
  batch_keys_.clear();
  return done;
}

idx_t TableLookup::FindNow(DataChunk& keys, DataChunk& rows, SelectionVector& found) {
  idx_t count = keys.size();
  rows.Reset();
  unpacked_.Reset();
  for (idx_t i = 0; i < trimmed_.size(); i++) {
    key_chunk_.data[i].Reference(keys.data[trimmed_[i]]);
  }
  key_chunk_.SetCardinality(count);
  Vector key_blobs(LogicalType(LogicalTypeId::BLOB), count);
  NormaliseToBlobs(key_chunk_, key_blobs);
  HashRows(bucket_types_, keys, bucket_key_, hashes_);
  auto* blobs = duckdb::FlatVector::GetData<string_t>(key_blobs);
  idx_t done = 0;
  for (idx_t row = 0; row < count; row++) {
    versions_.clear();
    std::string_view key(blobs[row].GetData(), blobs[row].GetSize());
    for (const Candidates* bucket : BucketsOf(keys, row, hashes_[row])) {
      CollectVersions(*bucket, key);
    }
    if (versions_.empty()) continue;
    if (!function_) {
      if (TakeWinner(done)) found.set_index(done++, row);
      continue;
    }
    if (batch_.rows.size() + versions_.size() > 2 * kChunkRows || batch_keys_.size() == kChunkRows)
      done = CombineBatch(rows, done, found);
    AddToBatch();
    batch_keys_.push_back(row);
  }
  if (function_) {
    done = CombineBatch(rows, done, found);
  } else {
    unpacked_.SetCardinality(done);
    for (idx_t i = 0; i < types_.size(); i++) {
      rows.data[i].Reference(unpacked_.data[plan_.output[i]]);
    }
  }
  rows.SetCardinality(done);
  return done;
}

idx_t TableLookup::Find(DataChunk& keys, DataChunk& rows, SelectionVector& found) {
  if (!is_taken_) Refresh();
  KeepWithinBudget();
  for (;;) {
    try {
      return FindNow(keys, rows, found);
    } catch (const Error& error) {
      batch_.rows.Reset();
      batch_.starts.clear();
      batch_.levels.clear();
      batch_keys_.clear();
      // A file has expired: there is a newer snapshot without it.
      int64_t before = snapshot_id();
      bool may_be_gone =
          error.code() == ErrorCode::kNotFound || error.code() == ErrorCode::kCorrupt;
      if (!may_be_gone || is_fixed_ || Refresh() == before) throw;
    }
  }
}

std::unique_ptr<TableLookup> MakeTableLookup(const std::shared_ptr<const Table>& table,
                                             LookupOptions options) {
  std::shared_ptr<const TableState> state(table, &table->state());
  return std::make_unique<TableLookup>(std::move(state), std::move(options));
}

}  // namespace millrace
