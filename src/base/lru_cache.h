// lru_cache.h - a cache with a budget: what was used least recently goes first.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <unordered_map>

namespace millrace {

/// Keeps values by key while their sizes, as told, fit the budget; none has a negative size.
/// Threads: one at a time.
template <typename Key, typename Value>
class LruCache {
 public:
  explicit LruCache(int64_t budget_bytes) : budget_(budget_bytes) {}

  /// nullptr when it is not there; valid until the next Put.
  Value* Find(const Key& key) {
    auto found = places_.find(key);
    if (found == places_.end()) return nullptr;
    items_.splice(items_.begin(), items_, found->second);
    return &found->second->value;
  }
  /// Replaces what was there. A value that is larger than the whole budget is not kept.
  void Put(const Key& key, Value value, int64_t bytes) {
    Erase(key);
    if (bytes > budget_) return;
    items_.push_front({key, std::move(value), bytes});
    places_[key] = items_.begin();
    used_ += bytes;
    SetBudget(budget_);
  }
  /// What is too much by now goes.
  void SetBudget(int64_t budget_bytes) {
    budget_ = budget_bytes;
    while (used_ > budget_) Erase(Key(items_.back().key));
  }
  void Erase(const Key& key) {
    auto found = places_.find(key);
    if (found == places_.end()) return;
    used_ -= found->second->bytes;
    items_.erase(found->second);
    places_.erase(found);
  }
  template <typename Predicate>
  void EraseIf(Predicate predicate) {
    for (auto item = items_.begin(); item != items_.end();) {
      auto next = std::next(item);
      if (predicate(item->key)) Erase(Key(item->key));
      item = next;
    }
  }
  int64_t used_bytes() const { return used_; }
  size_t size() const { return items_.size(); }

 private:
  struct Item {
    Key key;
    Value value;
    int64_t bytes;
  };
  int64_t budget_;
  int64_t used_ = 0;
  std::list<Item> items_;  // Used last comes first.
  std::unordered_map<Key, typename std::list<Item>::iterator> places_;
};

}  // namespace millrace
