// merge_function.h - the rows of each key made one, column by column, whole batches at a time.
//
// A batch is whole keys, sorted by (key, user sequence, sequence number). `Begin` looks at row
// kinds and sequences and decides what every row does; `MergeColumn` then carries that out for one
// column: one virtual call per column and batch. Flush, merge on read and compaction all use it.
// Rules: docs/format.md#merge-engines (mergetree/compact/*MergeFunction.java, aggregate/*.java).
#pragma once

#include "lsm/key_value.h"
#include "lsm/merge_spec.h"

namespace millrace {

/// Consecutive groups of equal keys: group i is rows [starts[i], starts[i + 1]).
struct KeyGroups {
  const uint32_t* starts;
  idx_t count;
  idx_t RowCount() const { return starts[count]; }
};

/// The rows of a batch. `kinds` and `sequences` go by row of the batch; a column's value of row i
/// is at positions[i] of its vector.
struct MergeRows {
  KeyGroups groups;
  const uint32_t* positions;
  const int8_t* kinds;
  const int64_t* sequences;
  /// A key's only row stays as it is, whatever its kind; else it is merged with nothing.
  bool pass_single = true;
};

/// Gives the column of a field: flat, of any length. REQUIRES: one of the needed fields.
using ColumnOf = std::function<Vector&(idx_t field)>;

/// What became of a batch's groups: kind and sequence number per group.
struct MergedKeys {
  std::vector<int8_t> kinds;
  std::vector<int64_t> sequences;
};

/// Merges batch after batch of one stream.
/// Threads: one at a time. Throws: Error(kData) naming the column: a retraction that its function
/// has not, a result out of range.
class MergeFunction {
 public:
  virtual ~MergeFunction() = default;
  /// The fields wanted, and others that decide about them.
  const std::vector<idx_t>& needed_fields() const { return needed_fields_; }
  /// `rows` is used until the next call; `column` is called for fields that decide.
  virtual const MergedKeys& Begin(const MergeRows& rows, const ColumnOf& column) = 0;
  /// target[g] = the value of `field` in group g's result. `target` is flat.
  virtual void MergeColumn(idx_t field, Vector& source, Vector& target) = 0;

 protected:
  explicit MergeFunction(std::vector<idx_t> wanted) : needed_fields_(std::move(wanted)) {}
  std::vector<idx_t> needed_fields_;
};

/// `wanted` fields of `layout` are merged. Throws: Error(kInvalid) when an aggregate function does
/// not take its column's type.
std::unique_ptr<MergeFunction> MakeMergeFunction(const MergeSpec& spec,
                                                 const KeyValueLayout& layout,
                                                 std::vector<idx_t> wanted);

}  // namespace millrace
