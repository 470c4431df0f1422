// merge_cursor.h - one run during a merge: its current chunk, the keys in it and the place reached.
#pragma once

#include "lsm/run_scan.h"
#include "lsm/scatter.h"

namespace millrace {

/// Steps through a run. `Key` is int64_t for one integer key column, else string_t over normalised
/// bytes. Threads: one at a time. Throws: as RunScan.
template <typename Key>
class MergeCursor {
 public:
  MergeCursor(RunScan scan, const ReadPlan& plan);
  MergeCursor(const MergeCursor&) = delete;

  /// The next chunk, position 0; false at the end of the run.
  bool Load();
  const Key& key() const { return keys[position]; }
  idx_t size() const { return chunk.size(); }
  RowKind KindAt(idx_t row) const {
    return static_cast<RowKind>(kind_data_[kinds_.sel->get_index(row)]);
  }
  int64_t SequenceAt(idx_t row) const { return sequence_data_[sequences_.sel->get_index(row)]; }
  /// The level of the file that the chunk came from.
  int level() const { return scan_.CurrentLevel(); }
  /// Normalised `sequence.field` values; only with such fields.
  const string_t& UserSequenceAt(idx_t row) const { return user_sequences_[row]; }

  DataChunk chunk;
  const Key* keys = nullptr;
  idx_t position = 0;
  bool has_deletes = false;  // In this chunk.
  bool lookup_only = false;  // As in RunInput.
  RowPairs picked;           // Rows of this chunk that go to the output but are not copied yet.

 private:
  void LoadKeys();
  RunScan scan_;
  const ReadPlan& plan_;
  DataChunk key_chunk_;
  DataChunk user_sequence_chunk_;
  std::vector<int64_t> integers_;
  std::unique_ptr<Vector> blobs_;
  std::unique_ptr<Vector> user_sequence_blobs_;
  const string_t* user_sequences_ = nullptr;
  UnifiedVectorFormat kinds_;
  UnifiedVectorFormat sequences_;
  const int8_t* kind_data_ = nullptr;
  const int64_t* sequence_data_ = nullptr;
};

}  // namespace millrace
