// bank_books.cc - makes up transactions and keeps the balances.
#include "sql/connect/bank/bank_books.h"

#include <algorithm>

namespace millrace {

namespace {

/// A number in [0, range) from 32 random bits.
int64_t Scale(uint32_t bits, int64_t range) {
  return static_cast<int64_t>(
      (static_cast<unsigned __int128>(bits) * static_cast<uint64_t>(range)) >> 32);
}
uint32_t High(uint64_t bits) {
  return static_cast<uint32_t>(bits >> 32);
}
uint32_t Low(uint64_t bits) {
  return static_cast<uint32_t>(bits);
}

}  // namespace

BankBooks::BankBooks(const BankPlan& plan) : plan_(plan) {
  for (uint64_t stream = 0; stream <= kMovements; stream++) {
    seeds_[stream] = MixBankBits(plan.seed * 0x9E3779B97F4A7C15 + stream);
  }
  step_ = plan.transactions == 0
              ? 0
              : (static_cast<uint64_t>(kSpanMs) << 24) / static_cast<uint64_t>(plan.transactions);
}

int32_t BankBooks::HomeBranch(int64_t customer) const {
  return static_cast<int32_t>(Scale(High(Bits(kCustomers, customer)), plan_.branches));
}

int BankBooks::Segment(int64_t customer) const {
  int64_t percent = Scale(Low(Bits(kCustomers, customer)), 100);
  return percent < 60 ? 0 : percent < 80 ? 1 : percent < 95 ? 2 : 3;
}

int32_t BankBooks::CustomerSince(int64_t customer) const {
  constexpr int64_t kFirstDay = 10'957, kDays = 24 * 365;  // From 2000 to the end of 2023.
  return static_cast<int32_t>(kFirstDay + Scale(High(Bits(kSince, customer)), kDays));
}

int64_t BankBooks::CustomerOf(int64_t account) const {
  // Each has one account before anybody has two.
  return account < plan_.customers ? account
                                   : Scale(High(Bits(kAccounts, account)), plan_.customers);
}

int32_t BankBooks::BranchOf(int64_t account) const {
  // Four of five accounts are held where their customer is at home.
  uint64_t bits = Bits(kBranches, account);
  if (Scale(Low(bits), 5) != 0) return HomeBranch(CustomerOf(account));
  return static_cast<int32_t>(Scale(High(bits), plan_.branches));
}

void BankBooks::Open() {
  accounts_.resize(static_cast<size_t>(plan_.accounts));
  for (size_t i = 0; i < accounts_.size(); i++) {
    accounts_[i] = {OpeningBalance(static_cast<int64_t>(i)), OpenedUs()};
  }
  transactions_ = loans_ = 0;
}

int64_t BankBooks::PopularAccount(uint64_t bits) const {
  // The square of a uniform number: the first tenth of the accounts has a third of the movements.
  uint64_t part = High(bits);
  return Scale(High(part * part), plan_.accounts);
}

Movement BankBooks::Next() const {
  uint64_t bits = Bits(kMovements, transactions_);
  uint64_t more = MixBankBits(bits ^ seeds_[kMovements]);
  Movement next;
  next.number = transactions_;
  next.account = PopularAccount(bits);
  next.counter_account = -1;
  next.booked_us =
      (kStartMs + static_cast<int64_t>((static_cast<uint64_t>(transactions_) * step_) >> 24)) *
      1000;
  int64_t percent = Scale(Low(bits), 100);
  next.kind = percent < 40   ? MovementKind::kDeposit
              : percent < 70 ? MovementKind::kWithdrawal
              : percent < 95 ? MovementKind::kTransfer
                             : MovementKind::kLoan;
  int64_t balance = Account(next.account).balance;
  bool takes = next.kind == MovementKind::kWithdrawal || next.kind == MovementKind::kTransfer;
  if (takes && (balance == 0 || (next.kind == MovementKind::kTransfer && plan_.accounts == 1))) {
    next.kind = MovementKind::kDeposit;
    takes = false;
  }
  uint32_t size = Low(more);
  switch (next.kind) {
    case MovementKind::kDeposit:
      next.amount = 100 + Scale(size, 49'901);  // 1.00 to 500.00.
      break;
    case MovementKind::kWithdrawal:
      next.amount = 100 + Scale(size, 39'901);
      break;
    case MovementKind::kTransfer:
      next.amount = 100 + Scale(size, 29'901);
      // Anybody but the giver.
      next.counter_account = next.account + 1 + Scale(High(more), plan_.accounts - 1);
      if (next.counter_account >= plan_.accounts) next.counter_account -= plan_.accounts;
      break;
    case MovementKind::kLoan:
      next.amount = (10 + Scale(size, 191)) * 10'000;  // 1000.00 to 20000.00, whole hundreds.
      break;
  }
  if (takes) next.amount = std::min(next.amount, balance);
  return next;
}

void BankBooks::Apply(const Movement& movement) {
  AccountState& account = accounts_[static_cast<size_t>(movement.account)];
  bool takes =
      movement.kind == MovementKind::kWithdrawal || movement.kind == MovementKind::kTransfer;
  account.balance += takes ? -movement.amount : movement.amount;
  account.updated_us = movement.booked_us;
  if (movement.kind == MovementKind::kTransfer) {
    AccountState& counter = accounts_[static_cast<size_t>(movement.counter_account)];
    counter.balance += movement.amount;
    counter.updated_us = movement.booked_us;
  }
  loans_ += movement.kind == MovementKind::kLoan ? 1 : 0;
  transactions_++;
}

void BankBooks::AdvanceTo(int64_t transactions) {
  if (transactions < transactions_ || !IsOpen()) Open();
  while (transactions_ < transactions) Apply(Next());
}

}  // namespace millrace
