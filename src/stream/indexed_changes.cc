#include "stream/indexed_changes.h"

#include <algorithm>

#include "base/error.h"
#include "duckdb/common/allocator.hpp"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "lsm/scatter.h"
#include "lsm/sort_key.h"

namespace millrace {

namespace {

constexpr idx_t kKeysAtOnce = 128 * kChunkRows;  // Whose rows lie in memory.

std::vector<idx_t> KeyColumnsOf(const Table& table) {
  std::vector<idx_t> columns;
  const TableSchema& schema = table.schema();
  for (const std::string& name : schema.primary_keys) {
    auto found = std::find_if(schema.fields.begin(), schema.fields.end(),
                              [&](const DataField& field) { return field.name == name; });
    columns.push_back(static_cast<idx_t>(found - schema.fields.begin()));
  }
  return columns;
}

duckdb::vector<LogicalType> TypesOf(const Table& table, const std::vector<idx_t>& columns) {
  duckdb::vector<LogicalType> types;
  for (idx_t column : columns) types.push_back(table.schema().fields[column].type.ToDuck());
  return types;
}

}  // namespace

std::string WhyNotIndexed(const Table& table) {
  if (!table.HasPrimaryKey()) return "it has no primary key";
  if (table.state().parsed.HidesLevel0()) {
    return "with deletion vectors, or merge engine 'first-row', new rows show when they are "
           "compacted, not when they are written";
  }
  if (table.options().contains("record-level.expire-time")) {
    return "with 'record-level.expire-time' rows leave it that nobody deletes";
  }
  return "";
}

IndexedChanges::IndexedChanges(std::shared_ptr<const Table> table, std::vector<idx_t> columns,
                               const std::string& folder)
    : table_(std::move(table)),
      key_columns_(KeyColumnsOf(*table_)),
      key_types_(TypesOf(*table_, key_columns_)),
      types_(TypesOf(*table_, columns)),
      lookup_(std::shared_ptr<const TableState>(table_, &table_->state()),
              LookupOptions{.columns = std::move(columns), .folder = folder}) {
  auto& allocator = duckdb::Allocator::DefaultAllocator();
  key_chunk_.Initialize(allocator, key_types_);
  both_.Initialize(allocator, types_, 2 * kChunkRows);
}

void IndexedChanges::Read(int64_t from, int64_t to, const std::vector<Split>& splits,
                          const ChangeReceiver& receive) {
  CollectKeys(splits);
  SortKeys();
  for (idx_t start = 0; start < sorted_.size(); start += kKeysAtOnce) {
    TellBlock(start, std::min<idx_t>(sorted_.size(), start + kKeysAtOnce), from, to, receive);
  }
  lookup_.ForgetFilesOfOthers();
  keys_.clear();
  sorted_.clear();
}

void IndexedChanges::CollectKeys(const std::vector<Split>& splits) {
  key_count_ = 0;
  capacity_ = kChunkRows;
  keys_.clear();
  for (const LogicalType& type : key_types_) keys_.emplace_back(type, capacity_);
  table_->ReadChanges(splits, key_columns_, [this](ChangeChunk& chunk) {
    idx_t count = chunk.size(), wanted = capacity_;
    while (wanted < key_count_ + count) wanted *= 2;
    for (idx_t i = 0; i < keys_.size(); i++) {
      if (wanted > capacity_) keys_[i].Resize(capacity_, wanted);
      duckdb::VectorOperations::Copy(chunk.rows.data[i], keys_[i], count, 0, key_count_);
    }
    capacity_ = wanted;
    key_count_ += count;
  });
}

void IndexedChanges::SortKeys() {
  std::vector<Vector> holders;
  std::vector<string_t> blobs;
  blobs.reserve(key_count_);
  DataChunk slice;
  slice.InitializeEmpty(key_types_);
  for (idx_t start = 0; start < key_count_; start += kChunkRows) {
    idx_t end = std::min(key_count_, start + kChunkRows);
    for (idx_t i = 0; i < keys_.size(); i++) slice.data[i].Slice(keys_[i], start, end);
    slice.SetCardinality(end - start);
    holders.emplace_back(LogicalType(LogicalTypeId::BLOB));
    NormaliseToBlobs(slice, holders.back());
    auto* found = duckdb::FlatVector::GetData<string_t>(holders.back());
    blobs.insert(blobs.end(), found, found + (end - start));
  }
  sorted_.resize(key_count_);
  for (uint32_t i = 0; i < key_count_; i++) sorted_[i] = i;
  std::sort(sorted_.begin(), sorted_.end(),
            [&](uint32_t a, uint32_t b) { return CompareBlobs(blobs[a], blobs[b]) < 0; });
  auto last = std::unique(sorted_.begin(), sorted_.end(), [&](uint32_t a, uint32_t b) {
    return CompareBlobs(blobs[a], blobs[b]) == 0;
  });
  sorted_.erase(last, sorted_.end());
}

void IndexedChanges::FillKeys(idx_t start, idx_t end) {
  key_chunk_.Reset();
  for (idx_t i = 0; i < keys_.size(); i++) {
    Gather(keys_[i], sorted_.data() + start, end - start, key_chunk_.data[i]);
  }
  key_chunk_.SetCardinality(end - start);
}

// All old rows of a block first: to go back and forth between the snapshots costs more.
void IndexedChanges::TellBlock(idx_t begin, idx_t end, int64_t from, int64_t to,
                               const ChangeReceiver& receive) {
  auto& allocator = duckdb::Allocator::DefaultAllocator();
  std::vector<std::unique_ptr<Found>> before;
  DataChunk rows;
  rows.Initialize(allocator, types_);
  lookup_.MoveTo(from);
  for (idx_t start = begin; start < end; start += kChunkRows) {
    FillKeys(start, std::min(end, start + kChunkRows));
    Found& found = *before.emplace_back(std::make_unique<Found>());
    found.count = lookup_.Find(key_chunk_, rows, found.keys);
    found.rows.Initialize(allocator, types_, std::max<idx_t>(found.count, 1));
    rows.Copy(found.rows);
  }
  lookup_.MoveTo(to);
  Found after;
  after.rows.Initialize(allocator, types_);
  for (idx_t start = begin; start < end; start += kChunkRows) {
    FillKeys(start, std::min(end, start + kChunkRows));
    after.count = lookup_.Find(key_chunk_, after.rows, after.keys);
    Tell(*before[(start - begin) / kChunkRows], after, receive);
  }
}

void IndexedChanges::Tell(Found& before, Found& after, const ChangeReceiver& receive) {
  both_.Reset();
  for (idx_t i = 0; i < types_.size(); i++) {
    duckdb::VectorOperations::Copy(before.rows.data[i], both_.data[i], before.count, 0, 0);
    duckdb::VectorOperations::Copy(after.rows.data[i], both_.data[i], after.count, 0, before.count);
  }
  both_.SetCardinality(before.count + after.count);
  std::vector<bool> same = SameRows(before, after);
  idx_t old_row = 0, new_row = 0;
  while (old_row < before.count || new_row < after.count) {
    idx_t old_key = old_row < before.count ? before.keys.get_index(old_row) : kChunkRows;
    idx_t new_key = new_row < after.count ? after.keys.get_index(new_row) : kChunkRows;
    if (kinds_.size() + 2 > kChunkRows) Flush(receive);
    if (old_key == new_key) {
      if (!same[new_row]) {
        Add(old_row, RowKind::kUpdateBefore);
        Add(before.count + new_row, RowKind::kUpdateAfter);
      }
      old_row++;
      new_row++;
    } else if (old_key < new_key) {
      Add(old_row++, RowKind::kDelete);
    } else {
      Add(before.count + new_row++, RowKind::kInsert);
    }
  }
  Flush(receive);
}

// Of each new row, whether the old one of its key is the same.
std::vector<bool> IndexedChanges::SameRows(Found& before, Found& after) {
  SelectionVector old_rows(kChunkRows), new_rows(kChunkRows), kept(kChunkRows);
  idx_t count = 0;
  for (idx_t o = 0, n = 0; o < before.count && n < after.count;) {
    idx_t old_key = before.keys.get_index(o), new_key = after.keys.get_index(n);
    if (old_key == new_key) {
      old_rows.set_index(count, o);
      new_rows.set_index(count++, n);
    }
    o += old_key <= new_key ? 1 : 0;
    n += new_key <= old_key ? 1 : 0;
  }
  for (idx_t i = 0; i < types_.size() && count > 0; i++) {
    Vector a(before.rows.data[i], old_rows, count), b(after.rows.data[i], new_rows, count);
    idx_t equal = duckdb::VectorOperations::NotDistinctFrom(a, b, nullptr, count, &kept, nullptr);
    for (idx_t k = 0; k < equal; k++) {
      old_rows.set_index(k, old_rows.get_index(kept.get_index(k)));
      new_rows.set_index(k, new_rows.get_index(kept.get_index(k)));
    }
    count = equal;
  }
  std::vector<bool> same(after.count);
  for (idx_t k = 0; k < count; k++) same[new_rows.get_index(k)] = true;
  return same;
}

void IndexedChanges::Flush(const ChangeReceiver& receive) {
  if (kinds_.empty()) return;
  ChangeChunk chunk;
  chunk.rows.InitializeEmpty(types_);
  chunk.rows.Slice(both_, order_, kinds_.size());
  chunk.kinds = std::move(kinds_);
  kinds_.clear();
  receive(chunk);
}

}  // namespace millrace
