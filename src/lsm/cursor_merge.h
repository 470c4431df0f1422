// cursor_merge.h - what the merges of a section's runs share: cursors, their rows in one order, and
// rows noted before they are copied.
//
// Rows are merged a batch at a time: all that lie in the cursors' chunks up to the least of the
// chunks' last keys. Runs are merged in pairs, the shortest first, by a loop that a processor need
// not guess in; a tree of losers would guess wrong at every other row of runs that are mixed.
// Rows are noted per cursor as (source, target) pairs and copied column by column when the output
// is full or the cursor's chunk is used up.
#pragma once

#include <algorithm>
#include <memory>

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
  /// A row of a cursor's chunk.
  struct Entry {
    Key key;
    uint32_t cursor;
    uint32_t row;
  };

  /// `columns`: chunk columns of the plan, in the order of the output's.
  CursorMerge(const ReadPlan& plan, std::vector<idx_t> columns)
      : plan_(plan), columns_(std::move(columns)) {}

  void AddRun(RunScan scan) {
    auto cursor = std::make_unique<Cursor>(std::move(scan), plan_);
    if (cursor->Load()) cursors_.push_back(std::move(cursor));
  }

  /// next_ to end_ become the rows of all cursors up to the least of their chunks' last keys, in
  /// the order of the keys, those of one key side by side. REQUIRES: each cursor has rows left.
  void MergeBatch() {
    const Key* limit = nullptr;
    for (const auto& cursor : cursors_) {
      const Key& last = cursor->keys[cursor->size() - 1];
      if (limit == nullptr || KeyLess(last, *limit)) limit = &last;
    }
    stretches_.clear();
    size_t rows = 0;
    for (const auto& cursor : cursors_) {
      const Key* from = cursor->keys + cursor->position;
      const Key* end = std::upper_bound(from, cursor->keys + cursor->size(), *limit,
                                        [](const Key& a, const Key& b) { return KeyLess(a, b); });
      rows += static_cast<size_t>(end - from);
      if (end != from) stretches_.push_back({nullptr, static_cast<size_t>(end - from)});
    }
    // Each row is written once, and again for each merge that it takes part in.
    size_t rounds = 1;
    while ((size_t{1} << (rounds - 1)) < stretches_.size()) rounds++;
    if (rows * rounds > room_) {
      room_ = rows * rounds;
      entries_ = std::make_unique_for_overwrite<Entry[]>(room_);
    }
    Entry* to = entries_.get();
    size_t stretch = 0;
    for (uint32_t c = 0; c < cursors_.size(); c++) {
      Cursor& cursor = *cursors_[c];
      if (cursor.position == cursor.size() || KeyLess(*limit, cursor.key())) continue;
      stretches_[stretch].rows = to;
      for (size_t i = stretches_[stretch++].count; i > 0; i--, cursor.position++) {
        *to++ = {cursor.key(), c, static_cast<uint32_t>(cursor.position)};
      }
    }
    MergeStretches(to);
  }

  /// The next chunk for each cursor whose rows have all been taken; takes out those at their end.
  /// REQUIRES: next_ == end_.
  void LoadEnded(DataChunk& output) {
    for (size_t i = cursors_.size(); i-- > 0;) {
      Cursor& cursor = *cursors_[i];
      if (cursor.position < cursor.size()) continue;
      CopyPicked(cursor, output);
      if (!cursor.Load()) cursors_.erase(cursors_.begin() + static_cast<ptrdiff_t>(i));
    }
  }

  /// The place after the rows of the same key as `row`'s.
  const Entry* EndOfKey(const Entry* row) const {
    const Entry* end = row + 1;
    while (end != end_ && SameKey(end->key, row->key)) end++;
    return end;
  }

  bool Newer(const Entry& a, const Entry& b) const {
    const Cursor& of_a = *cursors_[a.cursor];
    const Cursor& of_b = *cursors_[b.cursor];
    if (!plan_.sequence_fields.empty()) {
      const string_t& user_a = of_a.UserSequenceAt(a.row);
      const string_t& user_b = of_b.UserSequenceAt(b.row);
      if (!SameKey(user_a, user_b)) return KeyLess(user_b, user_a);
    }
    return of_a.SequenceAt(a.row) > of_b.SequenceAt(b.row);
  }

  void Pick(const Entry& row) {
    RowPairs& picked = cursors_[row.cursor]->picked;
    picked.source[picked.count] = row.row;
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

  const ReadPlan& plan_;
  const std::vector<idx_t> columns_;
  std::vector<std::unique_ptr<Cursor>> cursors_;  // Those with rows left.
  const Entry* next_ = nullptr;                   // Of the batch, not yet taken.
  const Entry* end_ = nullptr;
  idx_t filled_ = 0;  // Output rows picked.

 private:
  struct Rows {
    Entry* rows;
    size_t count;
  };

  /// From both ends at once, which are two chains of work that do not wait for each other.
  static void MergeTwo(const Rows& first, const Rows& second, Entry* to) {
    const Entry* a = first.rows;
    const Entry* b = second.rows;
    const Entry* a_end = a + first.count;
    const Entry* b_end = b + second.count;
    Entry* to_end = to + first.count + second.count;
    // Neither end can take more rows of one side than there are steps.
    while (ptrdiff_t steps = std::min(a_end - a, b_end - b) / 2) {
      for (; steps > 0; steps--) {
        bool take_b = KeyLess(b->key, a->key);
        *to++ = *(take_b ? b : a);
        a += !take_b;
        b += take_b;
        bool take_a = KeyLess(b_end[-1].key, a_end[-1].key);
        *--to_end = *(take_a ? a_end - 1 : b_end - 1);
        a_end -= take_a;
        b_end -= !take_a;
      }
    }
    while (a != a_end && b != b_end) {
      bool take_b = KeyLess(b->key, a->key);
      *to++ = *(take_b ? b : a);
      a += !take_b;
      b += take_b;
    }
    to = std::copy(a, a_end, to);
    std::copy(b, b_end, to);
  }

  /// Merges stretches_ into one; `free`: room for what is merged.
  void MergeStretches(Entry* free) {
    auto longer = [](const Rows& a, const Rows& b) { return a.count > b.count; };
    std::sort(stretches_.begin(), stretches_.end(), longer);
    while (stretches_.size() > 1) {
      Rows a = stretches_.back();
      stretches_.pop_back();
      Rows b = stretches_.back();
      stretches_.pop_back();
      Rows merged{free, a.count + b.count};
      MergeTwo(a, b, free);
      free += merged.count;
      stretches_.insert(std::upper_bound(stretches_.begin(), stretches_.end(), merged, longer),
                        merged);
    }
    next_ = stretches_[0].rows;
    end_ = next_ + stretches_[0].count;
  }

  std::vector<Rows> stretches_;
  std::unique_ptr<Entry[]> entries_;
  size_t room_ = 0;
};

}  // namespace millrace
