// Goal: what is cached counts in the memory budget and keeps within its share. Method: a database
// with a small limit.
#include "base/object_cache.h"

#include <doctest/doctest.h>

#include "duckdb/main/database.hpp"
#include "duckdb/storage/buffer_manager.hpp"

namespace millrace {

namespace {

constexpr int64_t kMegabyte = 1 << 20;

}  // namespace

TEST_CASE("What is cached counts in the memory budget and keeps within its share") {
  duckdb::DuckDB database(nullptr);
  auto& buffers = duckdb::BufferManager::GetBufferManager(*database.instance);
  buffers.SetMemoryLimit(512 * kMegabyte);
  MemoryBudget budget(*database.instance);
  using Use = MemoryBudget::Use;
  int64_t share = budget.Share(Use::kCaches);
  {
    ObjectCache cache(1024 * kMegabyte, &budget);
    for (int i = 0; i < 200; i++) {
      cache.Put<int>(std::to_string(i), std::make_shared<const int>(i), kMegabyte);
      CHECK(budget.Held(Use::kCaches) == cache.used_bytes());
      CHECK(cache.used_bytes() <= share);
    }
    CHECK(cache.used_bytes() > share - 2 * kMegabyte);
    CHECK(*cache.Find<int>("199") == 199);
    CHECK(!cache.Find<int>("0"));
    auto held = cache.Find<int>("198");
    buffers.SetMemoryLimit(64 * kMegabyte);  // Less for all from now on.
    cache.Put<int>("new", std::make_shared<const int>(7), kMegabyte);
    CHECK(cache.used_bytes() <= budget.Share(Use::kCaches));
    CHECK(!cache.Find<int>("190"));
    CHECK(*held == 198);  // Who uses it keeps it.
  }
  CHECK(budget.Held(Use::kCaches) == 0);
}

}  // namespace millrace
