// object_cache.h - immutable objects that were read from files with names for life: manifests,
// footers.
//
// One cache serves a process. A name is a path that nobody writes again (docs/internals/read.md);
// what stays counts in the memory budget.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <typeindex>

#include "base/error.h"
#include "base/lru_cache.h"
#include "base/memory_budget.h"

namespace millrace {

/// Shares objects by name within a budget; an object in use outlives its place in the cache.
/// Threads: safe.
class ObjectCache {
 public:
  /// At most `capacity_bytes`, and no more than caches may hold of `budget`: null, or it outlives
  /// this cache.
  explicit ObjectCache(int64_t capacity_bytes, MemoryBudget* budget = nullptr)
      : capacity_(capacity_bytes),
        items_(capacity_bytes),
        account_(budget, MemoryBudget::Use::kCaches) {}

  /// nullptr when it is not there.
  template <typename T>
  std::shared_ptr<const T> Find(const std::string& name) {
    std::lock_guard lock(mutex_);
    Item* item = items_.Find(name);
    if (!item) return nullptr;
    MILLRACE_CHECK(item->type == std::type_index(typeid(T)));
    return std::static_pointer_cast<const T>(item->object);
  }
  /// `bytes`: about what the object takes in memory.
  template <typename T>
  void Put(const std::string& name, std::shared_ptr<const T> object, int64_t bytes) {
    std::lock_guard lock(mutex_);
    items_.SetBudget(account_.Limit(capacity_));
    items_.Put(name, Item{std::move(object), std::type_index(typeid(T))},
               bytes + static_cast<int64_t>(name.size()) + kItemBytes);
    account_.Set(items_.used_bytes());
  }
  int64_t used_bytes() {
    std::lock_guard lock(mutex_);
    return items_.used_bytes();
  }

 private:
  static constexpr int64_t kItemBytes = 200;  // Of the cache's own for each object.
  struct Item {
    std::shared_ptr<const void> object;
    std::type_index type;
  };
  const int64_t capacity_;
  std::mutex mutex_;
  LruCache<std::string, Item> items_;
  MemoryAccount account_;
};

}  // namespace millrace
