#include "base/memory_budget.h"

#include "duckdb/common/exception.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/storage/buffer_manager.hpp"

namespace millrace {

namespace {

constexpr int64_t kStep = 16 << 20;

// In 1/16 of the limit. State gets most: what it lacks it must read from disk again and again.
constexpr int64_t kSixteenths[] = {9, 2};

}  // namespace

MemoryBudget::~MemoryBudget() {
  auto& buffers = duckdb::BufferManager::GetBufferManager(database_);
  for (Account& account : accounts_) {
    if (account.reserved) buffers.FreeReservedMemory(static_cast<idx_t>(account.reserved));
  }
}

int64_t MemoryBudget::Limit() const {
  idx_t limit = duckdb::BufferManager::GetBufferManager(database_).GetMaxMemory();
  return static_cast<int64_t>(std::min<idx_t>(limit, INT64_MAX / 16));
}

int64_t MemoryBudget::Share(Use use) const {
  return Limit() / 16 * kSixteenths[static_cast<size_t>(use)];
}

bool MemoryBudget::Add(Use use, int64_t bytes) {
  Account& account = accounts_[static_cast<size_t>(use)];
  int64_t held = account.held += bytes;
  bool granted = true;
  if (held / kStep != (held - bytes) / kStep) granted = Reserve(account);
  return granted && held <= Share(use);
}

bool MemoryBudget::Reserve(Account& account) {
  std::lock_guard lock(mutex_);
  auto& buffers = duckdb::BufferManager::GetBufferManager(database_);
  int64_t wanted = account.held / kStep * kStep;
  try {
    if (wanted > account.reserved) {
      buffers.ReserveMemory(static_cast<idx_t>(wanted - account.reserved));
    } else if (wanted < account.reserved) {
      buffers.FreeReservedMemory(static_cast<idx_t>(account.reserved - wanted));
    }
    account.reserved = wanted;
    return true;
  } catch (const duckdb::OutOfMemoryException&) {
    return false;  // Pinned by queries that run now.
  }
}

}  // namespace millrace
