// bank_books.h - the bank itself: who has which account, and what moves when.
//
// Attributes are functions of (seed, number). Transactions too, but for what their accounts hold: a
// withdrawal never takes more than there is. So the books are the balances after n transactions,
// and any n is reached by applying n cheap movements.
#pragma once

#include "sql/connect/bank/bank_schema.h"

namespace millrace {

enum class MovementKind : uint8_t { kDeposit, kWithdrawal, kTransfer, kLoan };

/// A transaction. Numbers count from 0, money is in cents, times are Unix microseconds.
struct Movement {
  MovementKind kind;
  int64_t number;
  int64_t account;
  int64_t counter_account;  // -1 unless a transfer.
  int64_t amount;
  int64_t booked_us;
};

struct AccountState {
  int64_t balance;
  int64_t updated_us;
};

/// Threads: one at a time.
class BankBooks {
 public:
  explicit BankBooks(const BankPlan& plan);

  int32_t HomeBranch(int64_t customer) const;
  /// 0 retail, 1 private, 2 business, 3 corporate.
  int Segment(int64_t customer) const;
  /// Days since 1970.
  int32_t CustomerSince(int64_t customer) const;
  /// Random bits for a customer's name, a branch's city.
  uint64_t NameBits(int64_t number) const { return Bits(kNames, number); }
  int64_t CustomerOf(int64_t account) const;
  int32_t BranchOf(int64_t account) const;
  static int64_t OpeningBalance(int64_t account) { return (1 + account % kOpenings) * 10'000; }
  static int64_t OpenedUs() { return kStartMs * 1000; }

  /// The books before the first transaction. Allocates the balances.
  void Open();
  bool IsOpen() const { return !accounts_.empty(); }
  /// Transactions applied.
  int64_t Transactions() const { return transactions_; }
  int64_t Loans() const { return loans_; }
  const AccountState& Account(int64_t account) const {
    return accounts_[static_cast<size_t>(account)];
  }
  /// The next transaction. REQUIRES: IsOpen().
  Movement Next() const;
  /// Enters what Next() told.
  void Apply(const Movement& movement);
  /// Goes to the books after `transactions`; about 20 ns a transaction between here and there.
  void AdvanceTo(int64_t transactions);

 private:
  enum Stream : uint64_t { kNames = 1, kCustomers, kSince, kAccounts, kBranches, kMovements };
  static constexpr int64_t kOpenings = 10;
  static constexpr int64_t kStartMs = 1'704'067'200'000;         // 2024-01-01 00:00.
  static constexpr int64_t kSpanMs = int64_t{181} * 86'400'000;  // Up to the end of June.

  uint64_t Bits(Stream stream, int64_t number) const {
    return MixBankBits(seeds_[stream] + static_cast<uint64_t>(number + 1) * 0x9E3779B97F4A7C15);
  }
  int64_t PopularAccount(uint64_t bits) const;

  const BankPlan plan_;
  uint64_t seeds_[kMovements + 1];
  uint64_t step_;  // Milliseconds between transactions, in 2^-24.
  std::vector<AccountState> accounts_;
  int64_t transactions_ = 0;
  int64_t loans_ = 0;
};

}  // namespace millrace
