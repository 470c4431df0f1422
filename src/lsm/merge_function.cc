// merge_function.cc - deduplicate, first-row and aggregation; partial-update has its own file.
#include "lsm/merge_function.h"

#include <algorithm>

#include "base/error.h"
#include "lsm/column_merger.h"
#include "lsm/partial_update.h"
#include "lsm/scatter.h"

namespace millrace {

namespace {

bool IsRetract(int8_t kind) {
  return !IsAdd(static_cast<RowKind>(kind));
}

/// deduplicate and first-row: each key's result is one of its rows.
class RowChooser : public MergeFunction {
 public:
  RowChooser(const MergeSpec& spec, std::vector<idx_t> wanted)
      : MergeFunction(std::move(wanted)),
        first_(spec.engine == MergeEngine::kFirstRow),
        ignore_delete_(spec.ignore_delete) {}

  const MergedKeys& Begin(const MergeRows& rows, const ColumnOf&) override {
    idx_t count = rows.groups.count;
    chosen_.resize(count);
    keys_.kinds.resize(count);
    keys_.sequences.resize(count);
    for (idx_t group = 0; group < count; group++) {
      uint32_t row = Choose(rows, group);
      chosen_[group] = rows.positions[row];
      keys_.kinds[group] = rows.kinds[row];
      keys_.sequences[group] = rows.sequences[row];
    }
    return keys_;
  }

  void MergeColumn(idx_t, Vector& source, Vector& target) override {
    Gather(source, chosen_.data(), chosen_.size(), target);
  }

 private:
  uint32_t Choose(const MergeRows& rows, idx_t group) const {
    uint32_t start = rows.groups.starts[group];
    uint32_t last = rows.groups.starts[group + 1] - 1;
    if (start == last && rows.pass_single) return start;
    // Where all rows are to be ignored one stays, which is of a kind that is not shown.
    if (!first_) {
      uint32_t row = last;
      while (ignore_delete_ && row > start && IsRetract(rows.kinds[row])) row--;
      return IsRetract(rows.kinds[row]) ? last : row;
    }
    uint32_t row = start;
    while (row < last && IsRetract(rows.kinds[row])) row++;
    if (!ignore_delete_ && (row > start || IsRetract(rows.kinds[row]))) {
      Throw(ErrorCode::kData,
            "Merging the rows of one key: merge engine 'first-row' cannot take deletes; set "
            "'ignore-delete' = 'true' to leave them out");
    }
    return row;
  }

  const bool first_;
  const bool ignore_delete_;
  MergedKeys keys_;
  std::vector<uint32_t> chosen_;
};

class Aggregation : public MergeFunction {
 public:
  Aggregation(const MergeSpec& spec, const KeyValueLayout& layout, std::vector<idx_t> wanted)
      : MergeFunction(std::move(wanted)), remove_on_delete_(spec.remove_on_delete) {
    mergers_.resize(layout.fields.size());
    for (idx_t field : needed_fields_) {
      mergers_[field] = MakeColumnMerger(layout.fields[field], spec.columns[field]);
    }
  }

  const MergedKeys& Begin(const MergeRows& rows, const ColumnOf&) override {
    rows_ = rows;
    idx_t row_count = rows.groups.RowCount();
    any_retract_ = std::any_of(rows.kinds, rows.kinds + row_count, IsRetract);
    if (any_retract_) {
      effects_.resize(row_count);
      for (idx_t i = 0; i < row_count; i++) {
        effects_[i] = IsDelete(rows.kinds[i]) && remove_on_delete_ ? RowEffect::kAssign
                      : IsRetract(rows.kinds[i])                   ? RowEffect::kRetract
                                                                   : RowEffect::kAdd;
      }
    }
    keys_.kinds.resize(rows.groups.count);
    keys_.sequences.resize(rows.groups.count);
    for (idx_t group = 0; group < rows.groups.count; group++) {
      uint32_t start = rows.groups.starts[group];
      uint32_t last = rows.groups.starts[group + 1] - 1;
      keys_.sequences[group] = rows.sequences[last];
      bool passes = start == last && rows.pass_single;
      bool gone = IsDelete(rows.kinds[last]) && remove_on_delete_;
      keys_.kinds[group] = passes ? rows.kinds[last]
                           : gone ? static_cast<int8_t>(RowKind::kDelete)
                                  : static_cast<int8_t>(RowKind::kInsert);
    }
    return keys_;
  }

  void MergeColumn(idx_t field, Vector& source, Vector& target) override {
    mergers_[field]->Merge(source, rows_, any_retract_ ? effects_.data() : nullptr, target);
  }

 private:
  static bool IsDelete(int8_t kind) { return static_cast<RowKind>(kind) == RowKind::kDelete; }

  const bool remove_on_delete_;
  std::vector<std::unique_ptr<ColumnMerger>> mergers_;
  MergeRows rows_{};
  MergedKeys keys_;
  bool any_retract_ = false;
  std::vector<RowEffect> effects_;
};

}  // namespace

std::unique_ptr<MergeFunction> MakeMergeFunction(const MergeSpec& spec,
                                                 const KeyValueLayout& layout,
                                                 std::vector<idx_t> wanted) {
  MILLRACE_CHECK(spec.ChoosesRows() || spec.columns.size() == layout.fields.size());
  switch (spec.engine) {
    case MergeEngine::kAggregation:
      return std::make_unique<Aggregation>(spec, layout, std::move(wanted));
    case MergeEngine::kPartialUpdate:
      return std::make_unique<PartialUpdate>(spec, layout, std::move(wanted));
    default:
      return std::make_unique<RowChooser>(spec, std::move(wanted));
  }
}

}  // namespace millrace
