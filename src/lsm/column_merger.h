// column_merger.h - one column of all keys of a batch: a function from its rows to one value each.
#pragma once

#include "lsm/merge_function.h"

namespace millrace {

/// What a row does to one column of its key's result.
enum class RowEffect : uint8_t {
  kSkip,
  kAdd,
  kAddOlder,  // Its sequence group is older than what is there: it comes first.
  kRetract,
  kAssign,         // Its value as it is, whatever was there.
  kAssignRetract,  // The value as it is, which is then taken back.
  kClear,          // NULL.
};

/// Merges one column. Threads: one at a time. Throws: Error(kData) naming the column.
class ColumnMerger {
 public:
  virtual ~ColumnMerger() = default;
  /// `effects` by row of the batch; null: all rows add.
  virtual void Merge(Vector& source, const MergeRows& rows, const RowEffect* effects,
                     Vector& target) = 0;
};

/// Throws Error(kInvalid) when the function does not take the column's type.
std::unique_ptr<ColumnMerger> MakeColumnMerger(const DataField& field, const ColumnMerge& merge);

/// The functions over numbers; nullptr for others.
std::unique_ptr<ColumnMerger> MakeNumberMerger(const DataField& field, const ColumnMerge& merge);
std::unique_ptr<ColumnMerger> MakeListaggMerger(const DataField& field, const ColumnMerge& merge);
/// collect, merge_map, nested_update.
std::unique_ptr<ColumnMerger> MakeNestedMerger(const DataField& field, const ColumnMerge& merge);

/// "sum", as options spell it.
const char* AggregateName(Aggregate aggregate);
std::optional<Aggregate> FindAggregate(const std::string& name);

/// Throws Error(kData): `aggregate` of `field` cannot take a row back.
[[noreturn]] void RefuseRetraction(const DataField& field, Aggregate aggregate);

/// Walks the groups: `step(state, row, effect)` for each row, `finish(group, state)` after each.
/// `start()` makes the state of a group; kSkip rows are not shown. A single row that passes is
/// shown as kAssign.
template <typename Start, typename Step, typename Finish>
void WalkGroups(const MergeRows& rows, const RowEffect* effects, Start start, Step step,
                Finish finish) {
  for (idx_t group = 0; group < rows.groups.count; group++) {
    uint32_t row = rows.groups.starts[group];
    uint32_t end = rows.groups.starts[group + 1];
    auto state = start();
    if (end - row == 1 && rows.pass_single) {
      step(state, row, RowEffect::kAssign);
    } else {
      for (; row < end; row++) {
        RowEffect effect = effects == nullptr ? RowEffect::kAdd : effects[row];
        if (effect != RowEffect::kSkip) step(state, row, effect);
      }
    }
    finish(group, state);
  }
}

}  // namespace millrace
