#include "lsm/key_batches.h"

#include <algorithm>
#include <numeric>

#include "lsm/cursor_merge.h"

namespace millrace {

namespace {

constexpr idx_t kNoField = duckdb::DConstants::INVALID_INDEX;

std::vector<idx_t> AllColumns(const ReadPlan& plan) {
  std::vector<idx_t> columns(plan.columns.size());
  std::iota(columns.begin(), columns.end(), idx_t{0});
  return columns;
}

template <typename Key>
class Merge : public KeyBatches, private CursorMerge<Key> {
 public:
  using Base = CursorMerge<Key>;
  using Cursor = typename Base::Cursor;
  using Base::cursors_;
  using Base::filled_;
  using Base::Pick;
  using Base::Refill;

  Merge(std::vector<RunInput> runs, const ReadPlan& plan, bool whole_above_level0)
      : Base(plan, AllColumns(plan)),
        whole_above_level0_(whole_above_level0),
        capacity_(kChunkRows + runs.size()) {
    for (RunInput& run : runs) {
      size_t before = cursors_.size();
      Base::AddRun(std::move(run.scan));
      if (cursors_.size() == before) continue;
      cursors_.back()->lookup_only = run.lookup_only;
      wanted_runs_ += !run.lookup_only;
    }
  }

  bool Next(KeyBatch& batch) override {
    if (batch.rows.ColumnCount() == 0) {
      batch.rows.Initialize(duckdb::Allocator::DefaultAllocator(), Base::plan_.Types(), capacity_);
    }
    batch.rows.Reset();
    batch.starts.clear();
    batch.levels.clear();
    filled_ = 0;
    while (filled_ < kChunkRows && wanted_runs_ > 0) Step(batch);
    if (filled_ == 0) return false;
    Base::CopyAllPicked(batch.rows);
    batch.starts.push_back(static_cast<uint32_t>(filled_));
    return true;
  }

 private:
  /// One stretch or one tie.
  void Step(KeyBatch& batch) {
    if (cursors_.size() == 1) return Stretch(0, nullptr, batch);
    auto [least, second] = Base::FindLeast();
    if (SameKey(cursors_[least]->key(), cursors_[second]->key())) {
      Tie(cursors_[least]->key(), batch);
    } else {
      const Key limit = cursors_[second]->key();
      Stretch(least, &limit, batch);
    }
  }

  /// Rows of keys that no other run has.
  void Stretch(size_t index, const Key* limit, KeyBatch& batch) {
    Cursor& cursor = *cursors_[index];
    if (cursor.lookup_only) {
      cursor.position = Base::EndOfStretch(cursor, limit, cursor.size());
    } else {
      idx_t end = Base::EndOfStretch(cursor, limit, kChunkRows - filled_);
      auto level = static_cast<uint8_t>(cursor.level());
      for (; cursor.position < end; cursor.position++) {
        batch.starts.push_back(static_cast<uint32_t>(filled_));
        batch.levels.push_back(level);
        Pick(cursor, cursor.position);
      }
    }
    RefillOrDrop(index, batch);
  }

  void Tie(const Key& key_in_chunk, KeyBatch& batch) {
    const Key key = key_in_chunk;
    tied_.clear();
    bool wanted = false;
    for (size_t i = 0; i < cursors_.size(); i++) {
      if (!SameKey(cursors_[i]->key(), key)) continue;
      tied_.push_back(i);
      wanted |= !cursors_[i]->lookup_only;
    }
    if (wanted) PickTied(batch);
    for (size_t i : tied_) cursors_[i]->position++;
    // From the last, for a finished cursor is taken out.
    for (size_t i = tied_.size(); i-- > 0;) RefillOrDrop(tied_[i], batch);
  }

  void PickTied(KeyBatch& batch) {
    ordered_ = tied_;
    if (whole_above_level0_) KeepLowestLevel();
    std::sort(ordered_.begin(), ordered_.end(),
              [&](size_t a, size_t b) { return Base::Newer(*cursors_[b], *cursors_[a]); });
    batch.starts.push_back(static_cast<uint32_t>(filled_));
    for (size_t i : ordered_) {
      batch.levels.push_back(static_cast<uint8_t>(cursors_[i]->level()));
      Pick(*cursors_[i], cursors_[i]->position);
    }
  }

  void KeepLowestLevel() {
    int lowest = INT32_MAX;
    for (size_t i : ordered_) {
      if (cursors_[i]->level() > 0) lowest = std::min(lowest, cursors_[i]->level());
    }
    std::erase_if(ordered_, [&](size_t i) {
      return cursors_[i]->level() > 0 && cursors_[i]->level() != lowest;
    });
  }

  void RefillOrDrop(size_t index, KeyBatch& batch) {
    bool lookup_only = cursors_[index]->lookup_only;
    size_t before = cursors_.size();
    Refill(index, batch.rows);
    wanted_runs_ -= cursors_.size() < before && !lookup_only;
  }

  const bool whole_above_level0_;
  const idx_t capacity_;
  size_t wanted_runs_ = 0;  // Cursors that are not for looking up only.
  std::vector<size_t> tied_;
  std::vector<size_t> ordered_;
};

}  // namespace

std::unique_ptr<KeyBatches> MakeKeyBatches(std::vector<RunInput> runs, const ReadPlan& plan,
                                           bool whole_above_level0) {
  if (plan.HasIntegerKey()) {
    return std::make_unique<Merge<int64_t>>(std::move(runs), plan, whole_above_level0);
  }
  return std::make_unique<Merge<string_t>>(std::move(runs), plan, whole_above_level0);
}

BatchCombiner::BatchCombiner(const ReadPlan& plan, MergeFunction& function,
                             const KeyValueLayout& layout, const std::vector<idx_t>& fields,
                             bool key_value)
    : plan_(plan), function_(function) {
  if (key_value) {
    fields_ = layout.key;
    fields_.push_back(kNoField);
    fields_.push_back(kNoField);
  }
  fields_.insert(fields_.end(), fields.begin(), fields.end());
}

void BatchCombiner::Combine(KeyBatch& batch, DataChunk& output, bool pass_single) {
  output.Reset();
  const auto* kinds = duckdb::FlatVector::GetData<int8_t>(batch.rows.data[plan_.kind]);
  if (pass_single && batch.IsSingle()) {
    kinds_ = kinds;
    for (idx_t i = 0; i < fields_.size(); i++) {
      output.data[i].Reference(batch.rows.data[plan_.output[i]]);
    }
    output.SetCardinality(batch.Groups().count);
    return;
  }
  while (identity_.size() < batch.rows.size()) {
    identity_.push_back(static_cast<uint32_t>(identity_.size()));
  }
  MergeRows rows{batch.Groups(), identity_.data(), kinds,
                 duckdb::FlatVector::GetData<int64_t>(batch.rows.data[plan_.sequence]),
                 pass_single};
  const MergedKeys& keys = function_.Begin(
      rows, [&](idx_t field) -> Vector& { return batch.rows.data[plan_.of_field[field]]; });
  kinds_ = keys.kinds.data();
  bool is_sequence = true;
  for (idx_t i = 0; i < fields_.size(); i++) {
    if (fields_[i] == kNoField) {
      if (is_sequence) {
        std::copy(keys.sequences.begin(), keys.sequences.end(),
                  duckdb::FlatVector::GetData<int64_t>(output.data[i]));
      } else {
        std::copy(keys.kinds.begin(), keys.kinds.end(),
                  duckdb::FlatVector::GetData<int8_t>(output.data[i]));
      }
      is_sequence = false;
      continue;
    }
    auto same = std::find(fields_.begin(), fields_.begin() + static_cast<ptrdiff_t>(i), fields_[i]);
    if (same != fields_.begin() + static_cast<ptrdiff_t>(i)) {
      output.data[i].Reference(output.data[static_cast<idx_t>(same - fields_.begin())]);
    } else {
      function_.MergeColumn(fields_[i], batch.rows.data[plan_.of_field[fields_[i]]],
                            output.data[i]);
    }
  }
  output.SetCardinality(batch.Groups().count);
}

bool BatchCombiner::DropDeletes(DataChunk& output) const {
  idx_t count = 0;
  SelectionVector kept(kChunkRows);
  for (idx_t i = 0; i < output.size(); i++) {
    kept.set_index(count, i);
    count += IsAdd(static_cast<RowKind>(kinds_[i]));
  }
  if (count < output.size()) output.Slice(kept, count);
  return count > 0;
}

}  // namespace millrace
