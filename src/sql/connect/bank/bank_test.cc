// Goal: the books balance at the end of every step, whatever is read and however it is cut.
// Method: random steps and readers (seed printed), rows added up by the test and compared with what
// a reader of all tables got.
#include "sql/connect/bank/bank.h"

#include <doctest/doctest.h>

#include <set>

#include "sql/connect/connector_fixture.h"

using namespace millrace;

namespace {

const std::map<std::string, std::string> kColumns = {
    {"branches", "branch_id INT, branch_name STRING, city STRING"},
    {"customers",
     "customer_id BIGINT, customer_name STRING, segment STRING, home_branch INT, since DATE"},
    {"accounts",
     "account_id BIGINT, customer_id BIGINT, branch_id INT, opening_balance DECIMAL(18,2), "
     "balance DECIMAL(18,2), updated_at TIMESTAMP(3)"},
    {"transactions",
     "transaction_id BIGINT, account_id BIGINT, counter_account BIGINT, kind STRING, "
     "amount DECIMAL(18,2), booked_at TIMESTAMP(3)"},
    {"loans",
     "loan_id BIGINT, account_id BIGINT, transaction_id BIGINT, amount DECIMAL(18,2), "
     "granted_at TIMESTAMP(3)"}};
const std::vector<std::string> kAll = {"branches", "customers", "accounts", "transactions",
                                       "loans"};

Options Small(int64_t transactions = 20'000) {
  return {{"branches", "7"},
          {"customers", "300"},
          {"accounts", "500"},
          {"transactions", std::to_string(transactions)}};
}

TableDefinition Bank(const std::string& table, Options options, const std::string& columns = "") {
  options["table"] = table;
  return TestTable("bank", columns.empty() ? kColumns.at(table) : columns, options, "my_" + table);
}

std::unique_ptr<Source> MakeBank(TestEnvironment& test, const std::vector<TableDefinition>& tables,
                                 bool bounded = false) {
  ConnectorRegistry registry;
  RegisterBankConnector(registry);
  std::vector<SourceTable> sources;
  std::set<std::string> keys;
  for (const TableDefinition& table : tables) {
    registry.Check(table);
    sources.push_back(WholeTable(table));
    keys.insert(registry.Get("bank").GroupKey(table));
  }
  CHECK(keys.size() == 1);
  return registry.Get("bank").MakeSource(test.environment, sources, bounded);
}

std::unique_ptr<Source> MakeBank(TestEnvironment& test, const std::vector<std::string>& names,
                                 const Options& options) {
  std::vector<TableDefinition> tables;
  for (const std::string& name : names) tables.push_back(Bank(name, options));
  return MakeBank(test, tables);
}

/// Rows of one table without the reader's index in front.
Lines OfTable(const Lines& lines, idx_t index) {
  Lines found;
  std::string head = std::to_string(index) + "|";
  for (const std::string& line : lines) {
    if (line.starts_with(head)) found.push_back(line.substr(head.size()));
  }
  return found;
}

void CheckSame(const Lines& got, const Lines& expected) {
  REQUIRE(got.size() == expected.size());
  auto [a, b] = std::mismatch(got.begin(), got.end(), expected.begin());
  if (a != got.end())
    FAIL_CHECK("row " << a - got.begin() << ": got " << *a << ", expected " << *b);
}

std::string Failure(const TableDefinition& table) {
  TestEnvironment test;
  try {
    MakeBank(test, std::vector<TableDefinition>{table});
  } catch (const Error& error) {
    return error.text();
  }
  return "no error";
}

bool Contains(const std::string& text, const std::string& part) {
  INFO(text);
  CHECK(text.find(part) != std::string::npos);
  return text.find(part) != std::string::npos;
}

/// What a reader of all tables can add up, in cents.
struct Books {
  int64_t opening = 0, balances = 0, deposits = 0, withdrawals = 0, loans = 0, granted = 0;
  std::map<int64_t, int64_t> balance_of;
  std::map<std::string, int> kinds;
  int64_t rows = 0;

  void Account(ChangeChunk& chunk, idx_t row) {
    auto cell = [&](idx_t column) {
      return duckdb::FlatVector::GetData<int64_t>(chunk.rows.data[column])[row];
    };
    RowKind kind = chunk.KindOf(row);
    if (kind == RowKind::kInsert) {
      CHECK(balance_of.emplace(cell(0), cell(4)).second);
      CHECK(cell(3) == cell(4));
      opening += cell(3);
    } else if (kind == RowKind::kUpdateBefore) {
      CHECK(balance_of.at(cell(0)) == cell(4));
      REQUIRE(row + 1 < chunk.size());
      CHECK(chunk.KindOf(row + 1) == RowKind::kUpdateAfter);
      for (idx_t column : {0, 1, 3}) {
        auto* data = duckdb::FlatVector::GetData<int64_t>(chunk.rows.data[column]);
        CHECK(data[row] == data[row + 1]);
      }
    } else {
      CHECK(kind == RowKind::kUpdateAfter);
      balance_of.at(cell(0)) = cell(4);
    }
    CHECK(cell(4) >= 0);
    balances += Weight(kind) * cell(4);
  }

  void Add(idx_t table, ChangeChunk& chunk) {
    rows += static_cast<int64_t>(chunk.size());
    for (idx_t row = 0; row < chunk.size(); row++) {
      if (table == 2) Account(chunk, row);
      if (table == 3) {
        std::string kind = chunk.rows.GetValue(3, row).ToString();
        int64_t amount = duckdb::FlatVector::GetData<int64_t>(chunk.rows.data[4])[row];
        CHECK(amount > 0);
        kinds[kind]++;
        if (kind == "deposit") deposits += amount;
        if (kind == "withdrawal") withdrawals += amount;
        if (kind == "loan") loans += amount;
        CHECK(chunk.rows.GetValue(2, row).IsNull() == (kind != "transfer"));
      }
      if (table == 4) granted += duckdb::FlatVector::GetData<int64_t>(chunk.rows.data[3])[row];
    }
  }
};

}  // namespace

TEST_CASE("The books balance at the end of every step") {
  auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  TestEnvironment test;
  Options options = Small();
  options["seed"] = std::to_string(random() % 1000);
  auto source = MakeBank(test, kAll, options);
  Books books;
  int steps = 0;
  for (auto status = SourceStatus::kProgress; status != SourceStatus::kEnd; steps++) {
    ReadLimit limit;
    limit.max_rows = random() % 4 == 0 ? 1 + random() % 10 : 1 + random() % 4000;
    int64_t before = books.rows;
    status = source->Read(limit, [&](idx_t table, ChangeChunk& chunk) { books.Add(table, chunk); });
    CHECK(books.rows - before <= static_cast<int64_t>(std::max<idx_t>(6, limit.max_rows)));
    REQUIRE(books.rows > before);
    REQUIRE(books.opening + books.deposits - books.withdrawals + books.loans == books.balances);
    REQUIRE(books.granted == books.loans);
  }
  CHECK(steps > 10);
  CHECK(books.balance_of.size() == 500);
  int total = 0;
  for (const auto& [kind, count] : books.kinds) total += count;
  CHECK(total == 20'000);
  auto share = [&](const char* kind) { return books.kinds[kind] / 20'000.0; };
  CHECK(share("deposit") == doctest::Approx(0.40).epsilon(0.05));
  CHECK(share("withdrawal") == doctest::Approx(0.30).epsilon(0.05));
  CHECK(share("transfer") == doctest::Approx(0.25).epsilon(0.05));
  CHECK(share("loan") == doctest::Approx(0.05).epsilon(0.15));
}

TEST_CASE("Replay from any cut gives the same rows") {
  auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (const char* format : {"rows", "debezium-json"}) {
    CAPTURE(format);
    TestEnvironment test;
    Options options = Small(6000);
    options["format"] = format;
    Lines lines = CheckReplay([&] { return MakeBank(test, kAll, options); }, random);
    CHECK(OfTable(lines, 0).size() == 7);
    CHECK(OfTable(lines, 1).size() == 300);
    CHECK(OfTable(lines, 3).size() == 6000);
  }
}

TEST_CASE("Who reads a few tables or columns gets the same rows of them") {
  auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  TestEnvironment test;
  Options options = Small(5000);
  auto whole_source = MakeBank(test, kAll, options);
  Lines whole = ReadAll(*whole_source, random);
  for (int readers = 1; readers < 32; readers++) {
    CAPTURE(readers);
    std::vector<std::string> names;
    for (int i = 0; i < 5; i++) {
      if (readers & 1 << i) names.push_back(kAll[i]);
    }
    auto source = MakeBank(test, names, options);
    Lines lines = ReadAll(*source, random);
    CHECK(source->Position() == whole_source->Position());
    for (idx_t i = 0, next = 0; i < 5; i++) {
      if (readers & 1 << i) CheckSame(OfTable(lines, next++), OfTable(whole, i));
    }
  }
  // Other columns in another order, twice the same table.
  auto source =
      MakeBank(test, {Bank("transactions", options, "amount DECIMAL(18,2), account_id BIGINT"),
                      Bank("transactions", options, "kind STRING")});
  Lines lines = ReadAll(*source, random), all = OfTable(whole, 3);
  Lines amounts = OfTable(lines, 0), kinds = OfTable(lines, 1);
  REQUIRE(amounts.size() == all.size());
  REQUIRE(kinds.size() == all.size());
  for (size_t row = 0; row < all.size(); row++) {
    std::vector<std::string> cells;
    std::istringstream line(all[row]);
    for (std::string cell; std::getline(line, cell, '|');) cells.push_back(cell);
    REQUIRE(amounts[row] == "+I|" + cells[5] + "|" + cells[2]);
    REQUIRE(kinds[row] == "+I|" + cells[4]);
  }
}

TEST_CASE("Debezium JSON gives the same rows") {
  std::mt19937_64 random(1);
  TestEnvironment test;
  Options options = Small(5000);
  Lines rows = ReadAll(*MakeBank(test, kAll, options), random);
  options["format"] = "debezium-json";
  Lines decoded = ReadAll(*MakeBank(test, kAll, options), random);
  for (idx_t table = 0; table < 5; table++) CHECK(OfTable(rows, table) == OfTable(decoded, table));
}

TEST_CASE("The rate is kept by the clock, but not when replaying or in batch") {
  TestEnvironment test;
  Options options = Small(1000);
  options["rate"] = "100";
  auto source = MakeBank(test, {"transactions"}, options);
  int64_t rows = 0;
  auto read = [&](std::optional<std::string> until = {}) {
    return source->Read({.max_rows = 100'000, .until = until},
                        [&](idx_t, ChangeChunk& chunk) { rows += chunk.size(); });
  };
  CHECK(read() == SourceStatus::kProgress);
  CHECK(rows == 100);  // Those of the first second.
  CHECK(source->EventTimeMs() == test.clock.NowMs());
  CHECK(read() == SourceStatus::kIdle);
  test.clock.AdvanceMs(2000);
  CHECK(read() == SourceStatus::kProgress);
  CHECK(rows == 300);
  std::string position = source->Position();
  CHECK(position.starts_with("807+300@"));
  source = MakeBank(test, {"transactions"}, options);
  rows = 0;
  CHECK(read(position) == SourceStatus::kProgress);
  CHECK(rows == 300);
  CHECK(source->Position() == position);
  source = MakeBank(test, {Bank("transactions", options)}, true);
  CHECK(read() == SourceStatus::kEnd);
  CHECK(rows == 1300);
}

TEST_CASE("A receiver that throws leaves the position where it was") {
  std::mt19937_64 random(1);
  TestEnvironment test;
  Options options = Small(3000);
  Lines expected = ReadAll(*MakeBank(test, kAll, options), random);
  auto source = MakeBank(test, kAll, options);
  Lines lines;
  auto append = [&](idx_t table, ChangeChunk& chunk) { AppendLines(table, chunk, lines); };
  source->Read({.max_rows = 2000, .until = {}}, append);
  std::string position = source->Position();
  int chunks = 0;
  CHECK_THROWS(source->Read({.max_rows = 100'000, .until = {}}, [&](idx_t, ChangeChunk&) {
    if (++chunks == 3) throw std::runtime_error("full");
  }));
  CHECK(source->Position() == position);
  while (source->Read({.max_rows = 700, .until = {}}, append) != SourceStatus::kEnd) {
  }
  for (idx_t table = 0; table < 5; table++)
    CHECK(OfTable(lines, table) == OfTable(expected, table));
}

TEST_CASE("What does not fit is refused with the reason") {
  CHECK(Contains(Failure(Bank("acounts", {}, "a INT")), "did you mean 'accounts'"));
  CHECK(Contains(Failure(Bank("loans", {}, "amount DOUBLE")),
                 "'amount' is declared as DOUBLE, but it is DECIMAL(18, 2)"));
  CHECK(Contains(Failure(Bank("loans", {}, "ammount DECIMAL(18,2)")), "did you mean 'amount'"));
  CHECK(Contains(Failure(Bank("transactions", {}, "counter_account BIGINT NOT NULL")),
                 "it is NULL in some rows"));
  CHECK(Failure(Bank("transactions", {}, "account_id BIGINT NOT NULL")) == "no error");
  CHECK(Contains(Failure(Bank("loans", {{"acounts", "5"}})), "did you mean 'accounts'"));
  CHECK(Contains(Failure(Bank("loans", {{"accounts", "0"}})), "at least 1"));
  CHECK(Contains(Failure(Bank("loans", {{"format", "avro"}})), "'rows' or 'debezium-json'"));
  CHECK(Contains(Failure(TestTable("bank", "a INT", {})), "needs the option 'table'"));
  TestEnvironment test;
  auto source = MakeBank(test, {"loans"}, Small());
  CHECK_THROWS_WITH_AS(source->Seek("17"), doctest::Contains("no position of a bank"), Error);
  Options other = Small();
  other["seed"] = "7";
  CHECK_THROWS_WITH_AS(source->Seek(MakeBank(test, {"loans"}, other)->Position()),
                       doctest::Contains("other options"), Error);
}

TEST_CASE("A bank of one account, one customer or no transactions has books too") {
  std::mt19937_64 random(1);
  TestEnvironment test;
  Lines lines = ReadAll(
      *MakeBank(
          test, kAll,
          {{"branches", "1"}, {"customers", "1"}, {"accounts", "1"}, {"transactions", "300"}}),
      random);
  CHECK(OfTable(lines, 3).size() == 300);
  for (const std::string& line : OfTable(lines, 3))
    CHECK(line.find("transfer") == std::string::npos);
  lines = ReadAll(*MakeBank(test, kAll, Small(0)), random);
  CHECK(lines.size() == 807);
  CHECK(OfTable(lines, 2)[1] ==
        "+I|2|2|" + OfTable(lines, 2)[1].substr(7, 1) + "|200.00|200.00|2024-01-01 00:00:00");
}
