// change_fold.h - adds up a stream of changes to the rows that remain: what batch reads of a
// changelog.
#pragma once

#include "base/change_chunk.h"

namespace millrace {

class StateMemory;

/// Folds changes as a multiset of whole rows, or by key (the last row of a key wins).
/// Threads: one at a time. Memory: all distinct rows or keys, as operator state.
/// Throws: Error(kIo) when they do not fit and cannot go to disk.
class ChangeFold {
 public:
  /// `key` empty: whole rows with weights. `memory`: where the rows lie; null: in memory of its
  /// own.
  ChangeFold(duckdb::vector<LogicalType> types, std::vector<idx_t> key, StateMemory* memory);
  ~ChangeFold();
  void Add(ChangeChunk& chunk);
  /// The rows that remain, in the order of their first appearance; false at the end. Fills the
  /// first columns of `chunk` (it may have fewer than the rows do). Throws: Error(kData) when a row
  /// was removed more often than added.
  bool Next(DataChunk& chunk);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace millrace
