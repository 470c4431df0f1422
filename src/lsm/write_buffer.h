// write_buffer.h - the memory part of a bucket's LSM tree: rows wait here, unsorted, until they are
// flushed.
//
// Columns grow side by side; a flush sorts row numbers by normalised key (radix) and gathers chunk
// after chunk in that order. Texts stay where they are: chunks refer to the buffer's heap.
#pragma once

#include "lsm/key_value.h"
#include "lsm/merge_function.h"

namespace millrace {

struct WriteBufferOptions {
  MergeSpec merge = {};               // With `ignore_delete`, -U and -D are dropped on entry.
  bool ignore_update_before = false;  // Drops -U on entry.
};

/// Collects the changes of one bucket and yields them sorted and merged.
/// Threads: one at a time. Throws: Error(kData) for NULL in a key column, naming it.
class WriteBuffer {
 public:
  /// `next_sequence_number`: max over the bucket's live files + 1.
  WriteBuffer(KeyValueLayout layout, int64_t next_sequence_number, WriteBufferOptions options = {});
  ~WriteBuffer();

  /// Takes the rows of `chunk` (all table columns), in order; each gets the next sequence number.
  void Add(ChangeChunk& chunk);
  /// The same for `count` rows of it, chosen and ordered by `rows`: routing without a copy per
  /// bucket.
  void Add(ChangeChunk& chunk, const SelectionVector& rows, idx_t count);

  bool Empty() const;
  idx_t RowCount() const;
  /// Bytes held, for the caller's budget; flush when the sum over buckets passes it.
  int64_t MemoryBytes() const;
  int64_t next_sequence_number() const;

  /// Sends chunks in the key-value layout, sorted by key, one row per key, deletes kept as rows: a
  /// level-0 run. When `raw` is given it gets all rows first, sorted by (key, sequence), unmerged:
  /// the changelog of changelog-producer=input. The buffer is empty afterwards (unless a receiver
  /// threw).
  void Flush(const ChunkReceiver& merged, const ChunkReceiver& raw = nullptr);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace millrace
