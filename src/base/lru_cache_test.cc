// Goal: a cache keeps what was used last within what it may hold. Method: random use against a
// naive list.
#include "base/lru_cache.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace millrace {

namespace {

/// Used last comes first.
struct NaiveCache {
  struct Item {
    int key;
    int value;
    int64_t bytes;
  };
  std::vector<Item> items;
  int64_t budget;

  int64_t Used() const {
    int64_t used = 0;
    for (const Item& item : items) used += item.bytes;
    return used;
  }
  std::optional<int> Find(int key) {
    auto found = std::find_if(items.begin(), items.end(), [&](auto& i) { return i.key == key; });
    if (found == items.end()) return std::nullopt;
    std::rotate(items.begin(), found, found + 1);
    return items.front().value;
  }
  void Erase(int key) {
    std::erase_if(items, [&](auto& item) { return item.key == key; });
  }
  void Put(int key, int value, int64_t bytes) {
    Erase(key);
    if (bytes <= budget) items.insert(items.begin(), {key, value, bytes});
    Shrink();
  }
  void Shrink() {
    while (Used() > budget) items.pop_back();
  }
};

}  // namespace

TEST_CASE("The least recently used goes first") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  LruCache<int, int> cache(100);
  NaiveCache naive{{}, 100};
  for (int step = 0; step < 20'000; step++) {
    int key = static_cast<int>(random() % 40);
    switch (random() % 8) {
      case 0:
        cache.Erase(key);
        naive.Erase(key);
        break;
      case 1: {
        auto small = [&](int k) { return k % 7 == key % 7; };
        cache.EraseIf(small);
        std::erase_if(naive.items, [&](auto& item) { return small(item.key); });
        break;
      }
      case 2:
        naive.budget = static_cast<int64_t>(random() % 120);
        cache.SetBudget(naive.budget);
        naive.Shrink();
        break;
      case 3:
      case 4: {
        auto bytes = static_cast<int64_t>(random() % 30);
        cache.Put(key, step, bytes);
        naive.Put(key, step, bytes);
        break;
      }
      default: {
        int* found = cache.Find(key);
        auto expected = naive.Find(key);
        REQUIRE((found != nullptr) == expected.has_value());
        if (found) REQUIRE(*found == *expected);
      }
    }
    REQUIRE(cache.used_bytes() == naive.Used());
    REQUIRE(cache.size() == naive.items.size());
  }
}

}  // namespace millrace
