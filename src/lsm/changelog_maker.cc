#include "lsm/changelog_maker.h"

#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "lsm/scatter.h"

namespace millrace {

ChangelogMaker::ChangelogMaker(const KeyValueLayout& layout, const ReadPlan& plan,
                               ChangelogOptions options, ChunkReceiver receive)
    : layout_(layout), plan_(plan), options_(std::move(options)), receive_(std::move(receive)) {
  output_.Initialize(duckdb::Allocator::DefaultAllocator(), layout.RowTypes());
}

/// The row that readers know of this key; kNoRow: none, or no change can be told of the key.
uint32_t ChangelogMaker::OldRowOf(const KeyBatch& batch, idx_t key,
                                  const int8_t* batch_kinds) const {
  bool full = options_.kind == CompactionChangelog::kFullCompaction;
  for (uint32_t row = batch.starts[key]; row < batch.starts[key + 1]; row++) {
    bool is_old = full ? batch.levels[row] == options_.max_level : batch.levels[row] > 0;
    if (is_old && IsAdd(static_cast<RowKind>(batch_kinds[row]))) return row;
  }
  return kNoRow;
}

void ChangelogMaker::Add(KeyBatch& batch, DataChunk& merged, const int8_t* kinds) {
  const auto* batch_kinds = duckdb::FlatVector::GetData<int8_t>(batch.rows.data[plan_.kind]);
  changes_.clear();
  for (uint32_t key = 0; key + 1 < batch.starts.size(); key++) {
    uint32_t start = batch.starts[key];
    uint32_t end = batch.starts[key + 1];
    if (options_.kind == CompactionChangelog::kLookup) {
      bool changed = false;
      for (uint32_t row = start; row < end; row++) changed |= batch.levels[row] == 0;
      if (!changed) continue;
    }
    uint32_t old = OldRowOf(batch, key, batch_kinds);
    if (old != kNoRow && (options_.inserts_only || end - start == 1)) continue;
    bool is_there = IsAdd(static_cast<RowKind>(kinds[key]));
    if (old == kNoRow) {
      if (is_there) changes_.push_back({key, false, RowKind::kInsert});
    } else if (!is_there) {
      changes_.push_back({old, true, RowKind::kDelete});
    } else {
      changes_.push_back({old, true, RowKind::kUpdateBefore});
      changes_.push_back({key, false, RowKind::kUpdateAfter});
    }
  }
  if (options_.leaves_out_same) LeaveOutSame(batch, merged);
  Send(batch, merged);
}

/// Drops updates whose two rows do not differ.
void ChangelogMaker::LeaveOutSame(KeyBatch& batch, DataChunk& merged) {
  std::vector<size_t> places;
  for (size_t i = 0; i < changes_.size(); i++) {
    if (changes_[i].kind == RowKind::kUpdateBefore) places.push_back(i);
  }
  if (places.empty()) return;
  SelectionVector old_rows(places.size()), new_rows(places.size()), different(places.size());
  for (size_t i = 0; i < places.size(); i++) {
    old_rows.set_index(i, changes_[places[i]].row);
    new_rows.set_index(i, changes_[places[i] + 1].row);
  }
  std::vector<bool> differs(places.size());
  for (idx_t field : options_.compared) {
    Vector before(batch.rows.data[plan_.of_field[field]], old_rows, places.size());
    Vector after(merged.data[layout_.ValueColumn(field)], new_rows, places.size());
    idx_t count = duckdb::VectorOperations::DistinctFrom(before, after, nullptr, places.size(),
                                                         &different, nullptr);
    for (idx_t i = 0; i < count; i++) differs[different.get_index(i)] = true;
  }
  std::vector<bool> dropped(changes_.size());
  for (size_t i = 0; i < places.size(); i++) {
    dropped[places[i]] = dropped[places[i] + 1] = !differs[i];
  }
  size_t kept = 0;
  for (size_t i = 0; i < changes_.size(); i++) {
    if (!dropped[i]) changes_[kept++] = changes_[i];
  }
  changes_.resize(kept);
}

void ChangelogMaker::Send(KeyBatch& batch, DataChunk& merged) {
  for (size_t start = 0; start < changes_.size(); start += kChunkRows) {
    SendSlice(batch, merged, start, std::min<size_t>(changes_.size(), start + kChunkRows));
  }
}

void ChangelogMaker::SendSlice(KeyBatch& batch, DataChunk& merged, size_t start, size_t end) {
  output_.Reset();
  RowPairs old_rows, new_rows;
  auto* kinds = duckdb::FlatVector::GetData<int8_t>(output_.data[layout_.KindColumn()]);
  for (size_t i = start; i < end; i++) {
    const Change& change = changes_[i];
    RowPairs& pairs = change.old ? old_rows : new_rows;
    pairs.source[pairs.count] = change.row;
    pairs.target[pairs.count++] = static_cast<uint32_t>(i - start);
    kinds[i - start] = static_cast<int8_t>(change.kind);
  }
  auto copy = [&](idx_t batch_column, idx_t column) {
    Scatter(batch.rows.data[batch_column], batch.rows.size(), old_rows, output_.data[column]);
    Scatter(merged.data[column], merged.size(), new_rows, output_.data[column]);
  };
  copy(plan_.sequence, layout_.SequenceColumn());
  for (idx_t i = 0; i < layout_.fields.size(); i++) {
    copy(plan_.of_field[i], layout_.ValueColumn(i));
  }
  for (idx_t i = 0; i < layout_.key.size(); i++) {
    output_.data[i].Reference(output_.data[layout_.ValueColumn(layout_.key[i])]);
  }
  output_.SetCardinality(end - start);
  receive_(output_);
}

}  // namespace millrace
