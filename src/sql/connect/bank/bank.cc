// bank.cc - reads the books of a made-up bank as tables that change together.
#include "sql/connect/bank/bank.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/error.h"
#include "sql/connect/bank/bank_books.h"
#include "sql/connect/bank/bank_output.h"

namespace millrace {

namespace {

template <typename T>
using Staged = std::array<T, kChunkRows>;

constexpr const char* kCities[] = {"Amsterdam", "Athens", "Barcelona", "Basel",  "Brno",
                                   "Brussels",  "Dublin", "Gdansk",    "Geneva", "Hamburg",
                                   "Helsinki",  "Lisbon", "Lyon",      "Milan",  "Munich",
                                   "Porto",     "Prague", "Riga",      "Vienna", "Warsaw"};
constexpr const char* kFirstNames[] = {"Ada",   "Anna",  "Boris", "Clara", "David", "Elena",
                                       "Emil",  "Farid", "Greta", "Hugo",  "Ines",  "Ivan",
                                       "Jana",  "Jonas", "Karla", "Leo",   "Maria", "Milan",
                                       "Nadia", "Oskar", "Paula", "Rosa",  "Tomas", "Zuzana"};
constexpr const char* kLastNames[] = {"Almeida", "Becker", "Bianchi", "Costa",   "Dubois", "Dvorak",
                                      "Fischer", "Garcia", "Horvat",  "Jansen",  "Kowal",  "Larsen",
                                      "Leroy",   "Meyer",  "Novak",   "Nielsen", "Papas",  "Petrov",
                                      "Rossi",   "Silva",  "Svoboda", "Virtanen"};

/// Texts that live as long as the program, ready to be copied by the row.
std::vector<string_t> Intern(const std::vector<std::string>& texts) {
  std::vector<string_t> interned;
  for (const std::string& text : texts) {
    interned.emplace_back(text.data(), static_cast<uint32_t>(text.size()));
  }
  return interned;
}

const std::vector<string_t>& CustomerNames() {
  static const std::vector<std::string> kTexts = [] {
    std::vector<std::string> texts;
    for (const char* first : kFirstNames) {
      for (const char* last : kLastNames) texts.push_back(std::string(first) + " " + last);
    }
    return texts;
  }();
  static const std::vector<string_t> kNames = Intern(kTexts);
  return kNames;
}

struct BranchRows : StagedRows {
  Staged<int32_t> branch_id;
  Staged<string_t> branch_name, city;
  std::vector<std::string> names;  // What branch_name points into.
  BranchRows() : names(kChunkRows) { columns = {&branch_id, &branch_name, &city}; }
};

struct CustomerRows : StagedRows {
  Staged<int64_t> customer_id;
  Staged<string_t> customer_name, segment;
  Staged<int32_t> home_branch, since;
  CustomerRows() { columns = {&customer_id, &customer_name, &segment, &home_branch, &since}; }
};

struct AccountRows : StagedRows {
  Staged<int64_t> account_id, customer_id, opening_balance, balance, updated_at;
  Staged<int32_t> branch_id;
  AccountRows() {
    columns = {&account_id, &customer_id, &branch_id, &opening_balance, &balance, &updated_at};
    kinds.resize(kChunkRows);
  }
};

struct TransactionRows : StagedRows {
  Staged<int64_t> transaction_id, account_id, counter_account, amount, booked_at;
  Staged<string_t> kind;
  TransactionRows() {
    columns = {&transaction_id, &account_id, &counter_account, &kind, &amount, &booked_at};
  }
};

struct LoanRows : StagedRows {
  Staged<int64_t> loan_id, account_id, transaction_id, amount, granted_at;
  LoanRows() { columns = {&loan_id, &account_id, &transaction_id, &amount, &granted_at}; }
};

struct BankPosition {
  int64_t loaded = 0;  // Rows of branches, customers, accounts, in this order.
  int64_t transactions = 0;
};

class BankSource : public Source {
 public:
  BankSource(Environment& environment, const std::vector<SourceTable>& tables, bool bounded)
      : clock_(environment.clock),
        plan_(MakeBankPlan(*tables[0].definition)),
        name_(tables[0].definition->path.ToString()),
        rate_(environment.clock, bounded ? 0 : plan_.rate),
        books_(plan_) {
    for (idx_t i = 0; i < tables.size(); i++) {
      outputs_.push_back(std::make_unique<BankOutput>(tables[i], i, plan_.debezium));
      tables_.push_back(outputs_.back()->table());
      readers_[static_cast<idx_t>(tables_.back())]++;
    }
    rows_per_transaction_ = 4 * Readers(BankTable::kAccounts) + Readers(BankTable::kTransactions) +
                            Readers(BankTable::kLoans);
  }

  ChangelogType Changelog(idx_t index) const override {
    return tables_[index] == BankTable::kAccounts ? ChangelogType::kFull : ChangelogType::kAppend;
  }
  bool IsBounded() const override { return true; }

  SourceStatus Read(const ReadLimit& limit, const BankReceiver& receive) override {
    const BankPosition start = position_;
    try {
      return ReadStep(limit, receive);
    } catch (...) {
      for (StagedRows* rows : AllStaged()) rows->count = 0;
      Goto(start);
      throw;
    }
  }

  std::string Position() const override {
    return fmt::format("{}+{}@{:016x}", position_.loaded, position_.transactions,
                       plan_.Fingerprint());
  }
  void Seek(const std::string& position) override { Goto(ParsePosition(position)); }
  int64_t EventTimeMs() const override { return event_time_ms_; }

 private:
  idx_t Readers(BankTable table) const { return readers_[static_cast<idx_t>(table)]; }
  std::array<StagedRows*, kBankTables> AllStaged() {
    return {&branch_rows_, &customer_rows_, &account_rows_, &transaction_rows_, &loan_rows_};
  }

  BankPosition ParsePosition(const std::string& text) const {
    BankPosition position;
    uint64_t fingerprint = 0;
    const char* end = text.data() + text.size();
    auto loaded = std::from_chars(text.data(), end, position.loaded);
    bool good = loaded.ec == std::errc() && loaded.ptr != end && *loaded.ptr == '+';
    if (good) {
      auto booked = std::from_chars(loaded.ptr + 1, end, position.transactions);
      good = booked.ec == std::errc() && booked.ptr != end && *booked.ptr == '@';
      if (good) good = std::from_chars(booked.ptr + 1, end, fingerprint, 16).ptr == end;
    }
    if (!good || position.loaded < 0 || position.transactions < 0) {
      Throw(ErrorCode::kCorrupt, "Table {}: '{}' is no position of a bank", name_, text);
    }
    if (fingerprint != plan_.Fingerprint()) {
      Throw(ErrorCode::kInvalid,
            "Table {}: position '{}' belongs to a bank with other options (branches, customers, "
            "accounts, transactions, seed); set them back, or start the job afresh",
            name_, text);
    }
    return position;
  }

  void Goto(const BankPosition& position) {
    if (rows_per_transaction_ > 0 && (position.transactions > 0 || books_.IsOpen())) {
      books_.AdvanceTo(position.transactions);
    }
    position_ = position;
  }

  SourceStatus ReadStep(const ReadLimit& limit, const BankReceiver& receive) {
    BankPosition end{plan_.LoadRows(), plan_.transactions};
    int64_t left = std::numeric_limits<int64_t>::max();
    if (limit.until) {
      end = ParsePosition(*limit.until);
      MILLRACE_CHECK(end.loaded >= position_.loaded && end.transactions >= position_.transactions);
    } else {
      left = static_cast<int64_t>(std::min<idx_t>(limit.max_rows, idx_t{1} << 40));
    }
    bool moved = Load(end.loaded, left, receive);
    if (position_.loaded == plan_.LoadRows() && (left > 0 || !moved)) {
      moved = Book(end.transactions, left, limit.until.has_value(), moved, receive) || moved;
    }
    for (idx_t table = 0; table < kBankTables; table++) {
      Flush(static_cast<BankTable>(table), receive);
    }
    if (moved) event_time_ms_ = clock_.NowMs();
    if (AtEnd()) return SourceStatus::kEnd;
    return moved ? SourceStatus::kProgress : SourceStatus::kIdle;
  }

  bool AtEnd() const {
    return position_.loaded == plan_.LoadRows() && position_.transactions == plan_.transactions;
  }

  /// Loads up to position `end`, at most `left` rows that somebody reads.
  bool Load(int64_t end, int64_t& left, const BankReceiver& receive) {
    const int64_t start = position_.loaded;
    struct Range {
      BankTable table;
      int64_t rows;
    };
    int64_t first = 0;
    for (const Range& range : {Range{BankTable::kBranches, plan_.branches},
                               Range{BankTable::kCustomers, plan_.customers},
                               Range{BankTable::kAccounts, plan_.accounts}}) {
      const int64_t last = std::min(end, first + range.rows);
      auto readers = static_cast<int64_t>(Readers(range.table));
      while (position_.loaded < last && readers == 0) position_.loaded = last;
      while (position_.loaded < last && left > 0) {
        int64_t count = std::min<int64_t>(
            {last - position_.loaded, kChunkRows, std::max<int64_t>(1, left / readers)});
        StageLoad(range.table, position_.loaded - first, static_cast<idx_t>(count));
        Flush(range.table, receive);
        position_.loaded += count;
        left -= count * readers;
      }
      if (position_.loaded < last)
        break;  // The step is full: a table nobody reads must not be next.
      first += range.rows;
    }
    return position_.loaded != start;
  }

  void StageLoad(BankTable table, int64_t first, idx_t count) {
    for (idx_t row = 0; row < count; row++) {
      int64_t number = first + static_cast<int64_t>(row);
      if (table == BankTable::kBranches) {
        StageBranch(number);
      } else if (table == BankTable::kCustomers) {
        StageCustomer(number);
      } else {
        StageAccount(number, {BankBooks::OpeningBalance(number), BankBooks::OpenedUs()},
                     RowKind::kInsert);
      }
    }
  }

  void StageBranch(int64_t number) {
    BranchRows& rows = branch_rows_;
    constexpr int64_t kCount = std::size(kCities);
    const char* city = kCities[number % kCount];
    std::string& name = rows.names[rows.count];
    name = fmt::format("{} {}", city, number / kCount + 1);
    rows.branch_id[rows.count] = static_cast<int32_t>(number + 1);
    rows.branch_name[rows.count] = string_t(name.data(), static_cast<uint32_t>(name.size()));
    rows.city[rows.count] = string_t(city);
    rows.count++;
  }

  void StageCustomer(int64_t number) {
    static const string_t kSegments[] = {"retail", "private", "business", "corporate"};
    CustomerRows& rows = customer_rows_;
    const auto& names = CustomerNames();
    rows.customer_id[rows.count] = number + 1;
    rows.customer_name[rows.count] = names[books_.NameBits(number) % names.size()];
    rows.segment[rows.count] = kSegments[books_.Segment(number)];
    rows.home_branch[rows.count] = books_.HomeBranch(number) + 1;
    rows.since[rows.count] = books_.CustomerSince(number);
    rows.count++;
  }

  void StageAccount(int64_t account, const AccountState& state, RowKind kind) {
    AccountRows& rows = account_rows_;
    rows.account_id[rows.count] = account + 1;
    rows.customer_id[rows.count] = books_.CustomerOf(account) + 1;
    rows.branch_id[rows.count] = books_.BranchOf(account) + 1;
    rows.opening_balance[rows.count] = BankBooks::OpeningBalance(account);
    rows.balance[rows.count] = state.balance;
    rows.updated_at[rows.count] = state.updated_us;
    rows.kinds[rows.count] = kind;
    rows.count++;
  }

  /// Books transactions up to `end`: what `left` rows and, unless replaying, the rate allow.
  /// Returns whether any was. `moved`: rows have been loaded in this step, so that none is needed.
  bool Book(int64_t end, int64_t left, bool replay, bool moved, const BankReceiver& receive) {
    const int64_t start = position_.transactions;
    if (start >= end) return false;
    if (rows_per_transaction_ == 0) {
      position_.transactions = end;  // Branches and customers never change.
      return true;
    }
    int64_t count = end - start;
    if (!replay) {
      int64_t fit = left / static_cast<int64_t>(rows_per_transaction_);
      count = rate_.Allow(std::min(count, std::max<int64_t>(moved ? 0 : 1, fit)));
      rate_.Take(count);
    }
    if (!books_.IsOpen()) books_.AdvanceTo(start);
    for (int64_t i = 0; i < count; i++) {
      BookOne();
      if (account_rows_.count + 4 > kChunkRows) Flush(BankTable::kAccounts, receive);
      if (transaction_rows_.count == kChunkRows) Flush(BankTable::kTransactions, receive);
      if (loan_rows_.count == kChunkRows) Flush(BankTable::kLoans, receive);
    }
    position_.transactions += count;
    return count > 0;
  }

  void BookOne() {
    const Movement movement = books_.Next();
    AccountState before = books_.Account(movement.account), counter_before{};
    bool transfer = movement.kind == MovementKind::kTransfer;
    if (transfer) counter_before = books_.Account(movement.counter_account);
    books_.Apply(movement);
    if (Readers(BankTable::kAccounts) > 0) {
      StageUpdate(movement.account, before);
      if (transfer) StageUpdate(movement.counter_account, counter_before);
    }
    if (Readers(BankTable::kTransactions) > 0) StageTransaction(movement);
    if (Readers(BankTable::kLoans) > 0 && movement.kind == MovementKind::kLoan) {
      StageLoan(movement);
    }
  }

  void StageUpdate(int64_t account, const AccountState& before) {
    StageAccount(account, before, RowKind::kUpdateBefore);
    // The new row differs from the old one in two columns.
    AccountRows& rows = account_rows_;
    const idx_t row = rows.count, old = row - 1;
    const AccountState& after = books_.Account(account);
    rows.account_id[row] = rows.account_id[old];
    rows.customer_id[row] = rows.customer_id[old];
    rows.branch_id[row] = rows.branch_id[old];
    rows.opening_balance[row] = rows.opening_balance[old];
    rows.balance[row] = after.balance;
    rows.updated_at[row] = after.updated_us;
    rows.kinds[row] = RowKind::kUpdateAfter;
    rows.count++;
  }

  void StageTransaction(const Movement& movement) {
    static const string_t kKinds[] = {"deposit", "withdrawal", "transfer", "loan"};
    TransactionRows& rows = transaction_rows_;
    rows.transaction_id[rows.count] = movement.number + 1;
    rows.account_id[rows.count] = movement.account + 1;
    rows.counter_account[rows.count] = movement.counter_account + 1;  // 0 is NULL.
    rows.kind[rows.count] = kKinds[static_cast<size_t>(movement.kind)];
    rows.amount[rows.count] = movement.amount;
    rows.booked_at[rows.count] = movement.booked_us;
    rows.count++;
  }

  void StageLoan(const Movement& movement) {
    LoanRows& rows = loan_rows_;
    rows.loan_id[rows.count] = books_.Loans();
    rows.account_id[rows.count] = movement.account + 1;
    rows.transaction_id[rows.count] = movement.number + 1;
    rows.amount[rows.count] = movement.amount;
    rows.granted_at[rows.count] = movement.booked_us;
    rows.count++;
  }

  void Flush(BankTable table, const BankReceiver& receive) {
    StagedRows& rows = *AllStaged()[static_cast<idx_t>(table)];
    if (rows.count == 0) return;
    for (const auto& output : outputs_) {
      if (output->table() == table) output->Send(rows, receive);
    }
    rows.count = 0;
  }

  Clock& clock_;
  const BankPlan plan_;
  const std::string name_;  // Of one of the tables, for messages.
  RateLimit rate_;
  BankBooks books_;
  std::vector<std::unique_ptr<BankOutput>> outputs_;
  std::vector<BankTable> tables_;             // By index of the reader.
  std::array<idx_t, kBankTables> readers_{};  // By bank table.
  idx_t rows_per_transaction_ = 0;            // At most; 0: nobody reads what transactions change.
  BankPosition position_;
  int64_t event_time_ms_ = 0;
  BranchRows branch_rows_;
  CustomerRows customer_rows_;
  AccountRows account_rows_;
  TransactionRows transaction_rows_;
  LoanRows loan_rows_;
};

class BankConnector : public Connector {
 public:
  std::string Name() const override { return "bank"; }
  bool CanRead() const override { return true; }

  std::vector<OptionInfo> KnownOptions() const override {
    return {
        {"table", "branches, customers, accounts, transactions or loans", true},
        {"branches", "how many branches, default 50"},
        {"customers", "how many customers, default 60000"},
        {"accounts", "how many accounts, default 100000"},
        {"transactions", "how many transactions, default 1000000"},
        {"rate", "transactions per second, default 0: all at once; batch mode ignores it"},
        {"seed", "seed of all that is random, default 42"},
        {"format", "'rows' (default), or 'debezium-json': by way of messages"},
    };
  }

  void Validate(const TableDefinition& definition) const override {
    MakeBankPlan(definition);
    MapBankColumns(definition);
  }

  std::unique_ptr<Source> MakeSource(Environment& environment,
                                     const std::vector<SourceTable>& tables,
                                     bool bounded) const override {
    return std::make_unique<BankSource>(environment, tables, bounded);
  }

  /// All tables of one bank belong together; which they are follows from the options alone.
  std::string GroupKey(const TableDefinition& definition) const override {
    BankPlan plan = MakeBankPlan(definition);
    return fmt::format("{} {} {} {} {} {} {}", plan.branches, plan.customers, plan.accounts,
                       plan.transactions, plan.rate, plan.seed, plan.debezium);
  }
};

}  // namespace

void RegisterBankConnector(ConnectorRegistry& registry) {
  registry.Register(std::make_unique<BankConnector>());
}

}  // namespace millrace
