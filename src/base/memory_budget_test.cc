// Goal: what state and write buffers hold counts in DuckDB's books, and shares are kept. Method: a
// database with a small limit; hold, give back, and ask DuckDB what it sees.
#include "base/memory_budget.h"

#include <doctest/doctest.h>

#include "duckdb/main/database.hpp"
#include "duckdb/storage/buffer_manager.hpp"

namespace millrace {

namespace {
constexpr int64_t kMegabyte = 1 << 20;
using Use = MemoryBudget::Use;
}  // namespace

TEST_CASE("What is held is reserved from DuckDB's memory, and comes back") {
  duckdb::DuckDB database(nullptr);
  auto& buffers = duckdb::BufferManager::GetBufferManager(*database.instance);
  buffers.SetMemoryLimit(256 * kMegabyte);
  auto before = static_cast<int64_t>(buffers.GetUsedMemory());
  {
    MemoryBudget budget(*database.instance);
    CHECK(budget.Limit() == 256 * kMegabyte);
    CHECK(budget.Share(Use::kState) + budget.Share(Use::kWriteBuffers) < budget.Limit());
    CHECK(budget.Add(Use::kState, 100 * kMegabyte));
    auto used = static_cast<int64_t>(buffers.GetUsedMemory()) - before;
    CHECK(used > 80 * kMegabyte);
    CHECK(used <= 100 * kMegabyte);
    CHECK_FALSE(budget.Add(Use::kState, 100 * kMegabyte));  // Past its share.
    CHECK_FALSE(budget.Add(Use::kState, 100 * kMegabyte));  // More than DuckDB has.
    CHECK(budget.Held(Use::kState) == 300 * kMegabyte);
    CHECK(budget.Add(Use::kState, -290 * kMegabyte));
    CHECK(static_cast<int64_t>(buffers.GetUsedMemory()) - before <= 10 * kMegabyte);
    budget.Add(Use::kState, 90 * kMegabyte);
    buffers.SetMemoryLimit(512 * kMegabyte);
    CHECK(budget.Share(Use::kState) > 256 * kMegabyte);  // Shares follow the limit.
  }
  CHECK(static_cast<int64_t>(buffers.GetUsedMemory()) == before);
}

TEST_CASE("Many holders of a share keep within it together") {
  duckdb::DuckDB database(nullptr);
  duckdb::BufferManager::GetBufferManager(*database.instance).SetMemoryLimit(256 * kMegabyte);
  MemoryBudget budget(*database.instance);
  int64_t share = budget.Share(Use::kWriteBuffers);
  MemoryAccount first(&budget, Use::kWriteBuffers), second(&budget, Use::kWriteBuffers);
  CHECK(first.Limit(10) == 10);
  CHECK(first.Limit(1 << 30) == share);  // Nobody else holds anything.
  first.Set(share * 3 / 4);
  CHECK(second.Limit(1 << 30) == share);
  second.Set(share / 2);
  CHECK(first.Limit(1 << 30) == share / 2);  // Too much together: an equal part each.
  CHECK(second.Limit(1 << 30) == share / 2);
  {
    MemoryAccount third(&budget, Use::kWriteBuffers);
    CHECK(first.Limit(1 << 30) == share / 3);
  }
  first.Set(0);
  CHECK(second.Limit(1 << 30) == share);
  CHECK(MemoryAccount(nullptr, Use::kWriteBuffers).Limit(123) == 123);
}

}  // namespace millrace
