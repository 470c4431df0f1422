// memory_budget.h - one number for all memory: who may hold how much of DuckDB's memory_limit.
//
// What operator state, write buffers and caches hold is reserved from DuckDB's buffer pool, so that
// its queries see what is left; each has a share that it does not pass, so that DuckDB always has
// one, too. State beyond its share goes to disk (stream/state_memory.h), buffers are flushed early
// (table writers), caches drop what was used least recently.
#pragma once

#include <atomic>
#include <mutex>

#include "base/duck.h"

namespace duckdb {
class DatabaseInstance;
}

namespace millrace {

/// Counts what is held and keeps the sum in DuckDB's books.
/// Threads: safe.
class MemoryBudget {
 public:
  enum class Use : uint8_t { kState, kWriteBuffers, kCaches };

  /// `database` must outlive it.
  explicit MemoryBudget(duckdb::DatabaseInstance& database) : database_(database) {}
  ~MemoryBudget();
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  /// DuckDB's memory_limit, in bytes.
  int64_t Limit() const;
  /// What all that serves `use` may hold together.
  int64_t Share(Use use) const;
  int64_t Held(Use use) const { return account(use).held; }
  /// Makes the share of state smaller than its part of the limit.
  void LimitState(int64_t bytes) { state_limit_ = bytes; }

  /// `use` holds that much more (less). False when it is more than there is: past the share, or
  /// DuckDB cannot spare it; then the caller should give back.
  bool Add(Use use, int64_t bytes);

 private:
  friend class MemoryAccount;
  struct Account {
    std::atomic<int64_t> held{0};
    std::atomic<int64_t> holders{0};  // MemoryAccounts.
    int64_t reserved = 0;             // With DuckDB; guarded by mutex_.
  };
  const Account& account(Use use) const { return accounts_[static_cast<size_t>(use)]; }
  /// Makes what is reserved follow what is held, in coarse steps.
  bool Reserve(Account& account);

  duckdb::DatabaseInstance& database_;
  std::atomic<int64_t> state_limit_{INT64_MAX};
  std::mutex mutex_;
  Account accounts_[3];
};

/// What one of many holders has of a share. While all together keep within it, each may hold what
/// it likes; then its equal part.
/// Threads: one at a time.
class MemoryAccount {
 public:
  /// `budget`: null, or it outlives this account.
  MemoryAccount(MemoryBudget* budget, MemoryBudget::Use use);
  ~MemoryAccount();
  MemoryAccount(const MemoryAccount&) = delete;
  MemoryAccount& operator=(const MemoryAccount&) = delete;

  void Set(int64_t bytes);
  /// What it may hold now, at most `wanted`.
  int64_t Limit(int64_t wanted) const;

 private:
  MemoryBudget* const budget_;
  const MemoryBudget::Use use_;
  int64_t held_ = 0;
};

}  // namespace millrace
