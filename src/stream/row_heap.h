// row_heap.h - a heap whose nodes are stored rows, linked through their payloads (a pairing heap):
// it needs no memory of its own, so it goes to disk with its rows.
#pragma once

#include "base/duck.h"

namespace millrace {

struct HeapLinks {
  uint8_t* child;     // The first of the rows below.
  uint8_t* next;      // The next row below the same one.
  uint8_t* previous;  // The one before it there; of the first: the row above.
};

/// Operations on heaps that are known by their top row (null: empty). `links(row)`: the row's
/// HeapLinks&, zero while it is in no heap; `above(a, b)`: a belongs above b.
/// Insert is O(1), Remove O(log n) amortised. Threads: one at a time.
template <typename LinksOf, typename Above>
class RowHeap {
 public:
  RowHeap(LinksOf links, Above above) : links_(links), above_(above) {}

  void Insert(uint8_t*& top, uint8_t* row) const { top = top ? Meld(top, row) : row; }

  void Remove(uint8_t*& top, uint8_t* row) const {
    HeapLinks& own = links_(row);
    uint8_t* below = MergePairs(own.child);
    if (row == top) {
      top = below;
    } else {
      HeapLinks& before = links_(own.previous);
      (before.child == row ? before.child : before.next) = own.next;
      if (own.next) links_(own.next).previous = own.previous;
      if (below) top = Meld(top, below);
    }
    own = HeapLinks{};
  }

 private:
  /// REQUIRES: both are tops.
  uint8_t* Meld(uint8_t* a, uint8_t* b) const {
    if (above_(b, a)) std::swap(a, b);
    HeapLinks& upper = links_(a);
    HeapLinks& lower = links_(b);
    lower.previous = a;
    lower.next = upper.child;
    if (upper.child) links_(upper.child).previous = b;
    upper.child = b;
    return a;
  }

  uint8_t* Cut(uint8_t* row) const {
    links_(row).next = links_(row).previous = nullptr;
    return row;
  }

  uint8_t* MergePairs(uint8_t* first) const {
    uint8_t* pairs = nullptr;  // The merged pairs, the last in front.
    while (first) {
      uint8_t* second = links_(first).next;
      uint8_t* rest = second ? links_(second).next : nullptr;
      uint8_t* merged = Cut(first);
      if (second) merged = Meld(merged, Cut(second));
      links_(merged).next = pairs;
      pairs = merged;
      first = rest;
    }
    uint8_t* top = nullptr;
    while (pairs) {
      uint8_t* rest = links_(pairs).next;
      Cut(pairs);
      top = top ? Meld(top, pairs) : pairs;
      pairs = rest;
    }
    return top;
  }

  LinksOf links_;
  Above above_;
};

}  // namespace millrace
