// bank_schema.h - the tables and options of the `bank` connector, and what a definition asks of
// them.
#pragma once

#include "sql/connect/table_options.h"

namespace millrace {

enum class BankTable : uint8_t { kBranches, kCustomers, kAccounts, kTransactions, kLoans };
inline constexpr idx_t kBankTables = 5;

struct BankPlan {
  int64_t branches = 50;
  int64_t customers = 60'000;
  int64_t accounts = 100'000;
  int64_t transactions = 1'000'000;
  int64_t rate = 0;  // Transactions per second; 0 = all at once.
  uint64_t seed = 42;
  bool debezium = false;

  /// Rows of branches, customers and accounts.
  int64_t LoadRows() const { return branches + customers + accounts; }
  /// Differs for plans whose rows differ.
  uint64_t Fingerprint() const;
};

/// The columns that a bank table can have, in order; not null unless the type says so.
const std::vector<DataField>& BankColumns(BankTable table);

/// Throws: Error(kInvalid) naming option, value and what it can be.
BankPlan MakeBankPlan(const TableDefinition& definition);
BankTable BankTableOf(const TableDefinition& definition);

/// By definition column its index in BankColumns; nullopt for columns that are not physical.
/// Throws: Error(kInvalid) for a column that the table has not or that has another type.
std::vector<std::optional<idx_t>> MapBankColumns(const TableDefinition& definition);

/// A bijection of 64 bits that looks random (the finaliser of splitmix64).
inline uint64_t MixBankBits(uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9;
  bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB;
  return bits ^ (bits >> 31);
}

}  // namespace millrace
