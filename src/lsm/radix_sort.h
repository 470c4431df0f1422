// radix_sort.h - sorts (64-bit key, row number) pairs by key, stably.
//
// Least significant digit first, one byte per pass; a byte that is the same in all keys costs
// nothing.
#pragma once

#include <cstdint>
#include <vector>

namespace millrace {

struct SortEntry {
  uint64_t key;
  uint32_t row;
};

/// Stable: entries of one key keep their order.
void RadixSort(std::vector<SortEntry>& entries);

}  // namespace millrace
