// cursor_merge.h - what the merges of a section's runs share: cursors, and rows noted before they
// are copied.
//
// Rows are noted per cursor as (source, target) pairs and copied column by column when the output
// is full or the cursor's chunk is used up.
#pragma once

#include "lsm/merge_cursor.h"

namespace millrace {

inline bool KeyLess(int64_t a, int64_t b) {
  return a < b;
}
inline bool KeyLess(const string_t& a, const string_t& b) {
  return string_t::StringComparisonOperators::GreaterThan(b, a);
}
inline bool SameKey(int64_t a, int64_t b) {
  return a == b;
}
inline bool SameKey(const string_t& a, const string_t& b) {
  return string_t::StringComparisonOperators::Equals(a, b);
}

/// Threads: one at a time.
template <typename Key>
class CursorMerge {
 protected:
  using Cursor = MergeCursor<Key>;
  /// The two cursors with the least keys. REQUIRES: two cursors.
  struct LeastTwo {
    size_t least;
    size_t second;
  };

  /// `columns`: chunk columns of the plan, in the order of the output's.
  CursorMerge(const ReadPlan& plan, std::vector<idx_t> columns)
      : plan_(plan), columns_(std::move(columns)) {}

  void AddRun(RunScan scan) {
    auto cursor = std::make_unique<Cursor>(std::move(scan), plan_);
    if (cursor->Load()) cursors_.push_back(std::move(cursor));
  }

  LeastTwo FindLeast() const {
    size_t least = 0;
    for (size_t i = 1; i < cursors_.size(); i++) {
      if (KeyLess(cursors_[i]->key(), cursors_[least]->key())) least = i;
    }
    size_t second = least == 0 ? 1 : 0;
    for (size_t i = second + 1; i < cursors_.size(); i++) {
      if (i != least && KeyLess(cursors_[i]->key(), cursors_[second]->key())) second = i;
    }
    return {least, second};
  }

  /// The place after the rows of `cursor` that are below `limit` (none: to the end of its chunk),
  /// at most `room` rows on.
  static idx_t EndOfStretch(const Cursor& cursor, const Key* limit, idx_t room) {
    idx_t end = std::min(cursor.size(), cursor.position + room);
    if (limit == nullptr || KeyLess(cursor.keys[end - 1], *limit)) return end;
    idx_t stop = cursor.position + 1;  // The first row is known to be below.
    while (stop < end && KeyLess(cursor.keys[stop], *limit)) stop++;
    return stop;
  }

  bool Newer(const Cursor& a, const Cursor& b) const {
    if (!plan_.sequence_fields.empty()) {
      const string_t& user_a = a.UserSequenceAt(a.position);
      const string_t& user_b = b.UserSequenceAt(b.position);
      if (!SameKey(user_a, user_b)) return KeyLess(user_b, user_a);
    }
    return a.SequenceAt(a.position) > b.SequenceAt(b.position);
  }

  void Pick(Cursor& cursor, idx_t row) {
    RowPairs& picked = cursor.picked;
    picked.source[picked.count] = static_cast<uint32_t>(row);
    picked.target[picked.count++] = static_cast<uint32_t>(filled_++);
  }

  void CopyPicked(Cursor& cursor, DataChunk& output) {
    if (cursor.picked.count == 0) return;
    for (idx_t i = 0; i < columns_.size(); i++) {
      Scatter(cursor.chunk.data[columns_[i]], cursor.size(), cursor.picked, output.data[i]);
    }
    cursor.picked.count = 0;
  }

  void CopyAllPicked(DataChunk& output) {
    for (auto& cursor : cursors_) CopyPicked(*cursor, output);
    output.SetCardinality(filled_);
  }

  /// The next chunk for a cursor that has come to its end; takes a finished one out.
  void Refill(size_t index, DataChunk& output) {
    Cursor& cursor = *cursors_[index];
    if (cursor.position < cursor.size()) return;
    CopyPicked(cursor, output);
    if (!cursor.Load()) cursors_.erase(cursors_.begin() + static_cast<ptrdiff_t>(index));
  }

  const ReadPlan& plan_;
  const std::vector<idx_t> columns_;
  std::vector<std::unique_ptr<Cursor>> cursors_;  // Those with rows left.
  idx_t filled_ = 0;                              // Output rows picked.
};

}  // namespace millrace
