#include "base/memory_budget.h"

#include <algorithm>

#include "duckdb/common/exception.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/storage/buffer_manager.hpp"

namespace millrace {

namespace {

constexpr int64_t kStep = 16 << 20;

// In 1/16 of the limit. State gets most: what it lacks it must read from disk again and again.
constexpr int64_t kSixteenths[] = {9, 2, 1};

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
  int64_t share = Limit() / 16 * kSixteenths[static_cast<size_t>(use)];
  return use == Use::kState ? std::min(share, state_limit_.load()) : share;
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

MemoryAccount::MemoryAccount(MemoryBudget* budget, MemoryBudget::Use use)
    : budget_(budget), use_(use) {
  if (budget_) budget_->accounts_[static_cast<size_t>(use_)].holders++;
}

MemoryAccount::~MemoryAccount() {
  Set(0);
  if (budget_) budget_->accounts_[static_cast<size_t>(use_)].holders--;
}

void MemoryAccount::Set(int64_t bytes) {
  int64_t change = bytes - held_;
  held_ = bytes;
  if (budget_ && change != 0) budget_->Add(use_, change);
}

int64_t MemoryAccount::Limit(int64_t wanted) const {
  if (!budget_) return wanted;
  int64_t share = budget_->Share(use_);
  if (budget_->Held(use_) <= share) return std::min(wanted, share);
  constexpr int64_t kLeast = 1 << 20;  // Files are made of it.
  int64_t holders = budget_->account(use_).holders;
  return std::min(wanted, std::max(share / std::max<int64_t>(holders, 1), kLeast));
}

}  // namespace millrace
