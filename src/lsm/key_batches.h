// key_batches.h - the rows of a section's runs in order, a batch of whole keys at a time, for merge
// engines that compute.
//
// `KeyBatches` merges the runs; `BatchCombiner` makes the rows of each key one.
#pragma once

#include "lsm/merge_function.h"
#include "lsm/run_scan.h"

namespace millrace {

/// Rows of whole keys by (key, user sequence, sequence number), in the plan's columns.
struct KeyBatch {
  DataChunk rows;                // Flat; may be longer than a chunk, never more keys than one.
  std::vector<uint32_t> starts;  // Of each key, and the end.
  std::vector<uint8_t> levels;   // Of each row's file.
  KeyGroups Groups() const { return {starts.data(), starts.size() - 1}; }
  bool IsSingle() const { return starts.size() - 1 == starts.back(); }
};

/// A run to merge.
struct RunInput {
  RunScan scan;
  /// Its rows only tell what lies below keys of other runs: keys of its own are left out.
  bool lookup_only = false;
};

/// Threads: one at a time. Throws: as RunScan.
class KeyBatches {
 public:
  virtual ~KeyBatches() = default;
  /// The next batch (with keys); false at the end.
  virtual bool Next(KeyBatch& batch) = 0;
};

/// `whole_above_level0`: as in MergeSpec. `plan` outlives it.
std::unique_ptr<KeyBatches> MakeKeyBatches(std::vector<RunInput> runs, const ReadPlan& plan,
                                           bool whole_above_level0);

/// Merges batches with one merge function.
/// Threads: one at a time. Throws: as MergeFunction.
class BatchCombiner {
 public:
  /// `fields`: wanted, in this order; `key_value`: key, sequence number and kind before them.
  /// `plan`, made with the function's needed fields, outlives it.
  BatchCombiner(const ReadPlan& plan, MergeFunction& function, const KeyValueLayout& layout,
                const std::vector<idx_t>& fields, bool key_value);
  /// Fills `output` with one row per key, of any kind: `kinds()` tells. It may refer to `batch`.
  void Combine(KeyBatch& batch, DataChunk& output, bool pass_single = true);
  const int8_t* kinds() const { return kinds_; }
  /// Leaves rows of kind -U and -D out; false when none is left.
  bool DropDeletes(DataChunk& output) const;

 private:
  const ReadPlan& plan_;
  MergeFunction& function_;
  std::vector<idx_t> fields_;  // Of the output's columns; INVALID_INDEX: sequence, then kind.
  std::vector<uint32_t> identity_;
  const int8_t* kinds_ = nullptr;
};

}  // namespace millrace
