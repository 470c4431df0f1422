#include "lsm/radix_sort.h"

#include <algorithm>
#include <array>

namespace millrace {

void RadixSort(std::vector<SortEntry>& entries) {
  auto less = [](const SortEntry& a, const SortEntry& b) { return a.key < b.key; };
  if (std::is_sorted(entries.begin(), entries.end(), less)) return;
  if (entries.size() < 512) {
    std::stable_sort(entries.begin(), entries.end(), less);
    return;
  }
  constexpr int kDigits = 8;
  std::vector<std::array<uint32_t, 256>> counts(kDigits);
  for (const SortEntry& entry : entries) {
    for (int digit = 0; digit < kDigits; digit++) counts[digit][(entry.key >> (8 * digit)) & 255]++;
  }
  std::vector<SortEntry> other(entries.size());
  for (int digit = 0; digit < kDigits; digit++) {
    auto& count = counts[digit];
    if (count[(entries[0].key >> (8 * digit)) & 255] == entries.size()) continue;
    uint32_t offset = 0;
    for (uint32_t& slot : count) {
      uint32_t size = slot;
      slot = offset;
      offset += size;
    }
    for (const SortEntry& entry : entries) {
      other[count[(entry.key >> (8 * digit)) & 255]++] = entry;
    }
    entries.swap(other);
  }
}

}  // namespace millrace
