// merge_spec.h - how the rows of one key become one: the merge engine with all that belongs to it.
//
// Plain values, read from table options by src/table/merge_options.h. What each word means:
// docs/format.md#merge-engines.
#pragma once

#include "meta/data_type.h"

namespace millrace {

enum class MergeEngine : uint8_t { kDeduplicate, kFirstRow, kPartialUpdate, kAggregation };

enum class Aggregate : uint8_t {
  kOverwrite,  // Not NULL wins over what is there: a plain column of partial-update.
  kKey,
  kSum,
  kProduct,
  kMax,
  kMin,
  kLastValue,
  kLastNonNullValue,
  kFirstValue,
  kFirstNonNullValue,
  kListagg,
  kBoolAnd,
  kBoolOr,
  kCollect,
  kMergeMap,
  kNestedUpdate,
};

/// How one column is merged.
struct ColumnMerge {
  Aggregate aggregate = Aggregate::kOverwrite;
  bool ignore_retract = false;         // fields.<f>.ignore-retract
  bool distinct = false;               // fields.<f>.distinct: listagg, collect
  std::string delimiter = ",";         // fields.<f>.list-agg-delimiter
  std::vector<idx_t> nested_key = {};  // fields.<f>.nested-key, members of the element's ROW
  int64_t count_limit = INT32_MAX;     // fields.<f>.count-limit
  bool operator==(const ColumnMerge&) const = default;
};

/// Columns of partial-update that change together, when the row's own sequence is not older.
struct SequenceGroup {
  std::vector<idx_t> sequence;  // Compared from left to right, NULL least.
  std::vector<idx_t> columns;   // The others of the group.
  bool removes_row = false;     // partial-update.remove-record-on-sequence-group
  bool operator==(const SequenceGroup&) const = default;
};

struct MergeSpec {
  MergeEngine engine = MergeEngine::kDeduplicate;
  /// -U and -D change nothing (files of others may hold some).
  bool ignore_delete = false;
  /// partial-update.remove-record-on-delete, aggregation.remove-record-on-delete.
  bool remove_on_delete = false;
  /// A row above level 0 holds all that lies below it, as compactions that look up leave them: of
  /// one key only the row of the lowest such level counts.
  bool whole_above_level0 = false;
  std::vector<ColumnMerge> columns = {};  // Per field; empty for deduplicate and first-row.
  std::vector<SequenceGroup> groups = {};

  /// Whether a key's result is one of its rows as it is.
  bool ChoosesRows() const {
    return engine == MergeEngine::kDeduplicate || engine == MergeEngine::kFirstRow;
  }
  bool operator==(const MergeSpec&) const = default;
};

}  // namespace millrace
