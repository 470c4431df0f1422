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
  using Entry = typename Base::Entry;
  using Base::cursors_;
  using Base::end_;
  using Base::filled_;
  using Base::next_;
  using Base::Pick;

  Merge(std::vector<RunInput> runs, const ReadPlan& plan, bool whole_above_level0)
      : Base(plan, AllColumns(plan)),
        whole_above_level0_(whole_above_level0),
        capacity_(kChunkRows + runs.size()) {
    for (RunInput& run : runs) {
      size_t before = cursors_.size();
      Base::AddRun(std::move(run.scan));
      if (cursors_.size() == before) continue;
      cursors_.back()->lookup_only = run.lookup_only;
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
    while (filled_ < kChunkRows) {
      if (next_ == end_) {
        Base::LoadEnded(batch.rows);
        auto wanted = [](const auto& cursor) { return !cursor->lookup_only; };
        if (std::none_of(cursors_.begin(), cursors_.end(), wanted)) break;
        Base::MergeBatch();
      }
      TakeRows(batch);
    }
    if (filled_ == 0) return false;
    Base::CopyAllPicked(batch.rows);
    batch.starts.push_back(static_cast<uint32_t>(filled_));
    return true;
  }

 private:
  void TakeRows(KeyBatch& batch) {
    while (next_ != end_ && filled_ < kChunkRows) {
      const Entry* first = next_;
      next_ = Base::EndOfKey(first);
      if (next_ - first > 1) {
        TakeTied(first, batch);
      } else if (!cursors_[first->cursor]->lookup_only) {
        batch.starts.push_back(static_cast<uint32_t>(filled_));
        batch.levels.push_back(static_cast<uint8_t>(cursors_[first->cursor]->level()));
        Pick(*first);
      }
    }
  }

  /// Rows of one key from `first` to next_, the oldest first.
  void TakeTied(const Entry* first, KeyBatch& batch) {
    auto wanted = [&](const Entry& row) { return !cursors_[row.cursor]->lookup_only; };
    if (std::none_of(first, next_, wanted)) return;
    tied_.assign(first, next_);
    if (whole_above_level0_) KeepLowestLevel();
    std::sort(tied_.begin(), tied_.end(),
              [&](const Entry& a, const Entry& b) { return Base::Newer(b, a); });
    batch.starts.push_back(static_cast<uint32_t>(filled_));
    for (const Entry& row : tied_) {
      batch.levels.push_back(static_cast<uint8_t>(cursors_[row.cursor]->level()));
      Pick(row);
    }
  }

  void KeepLowestLevel() {
    int lowest = INT32_MAX;
    for (const Entry& row : tied_) {
      int level = cursors_[row.cursor]->level();
      if (level > 0) lowest = std::min(lowest, level);
    }
    std::erase_if(tied_, [&](const Entry& row) {
      int level = cursors_[row.cursor]->level();
      return level > 0 && level != lowest;
    });
  }

  const bool whole_above_level0_;
  const idx_t capacity_;
  std::vector<Entry> tied_;
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
