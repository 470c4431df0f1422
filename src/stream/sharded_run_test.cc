// Goal: in shards a query gives the same answer as in one, also when steps are large enough for
// threads, when most rows have one key, and when joins multiply rows; its output does not depend on
// threads; and rows move no more than they must. Method: the bank of the differential tests with
// thousands of rows a step (seeds printed), beside the same dataflow in one shard; plans by
// EXPLAIN.
#include "stream/sharded_run.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "stream/dataflow_test.h"

namespace millrace {

namespace {

constexpr idx_t kStepRows = 12'000;

Row Move(std::mt19937& random, bool skewed) {
  bool hot = skewed && random() % 10 != 0;
  int32_t account = hot ? 7 : static_cast<int32_t>(random() % 3000);
  return {Value::INTEGER(account),
          Value::DECIMAL(static_cast<int64_t>(random() % 2000) - 1000, 12, 2),
          Value(LogicalType::DATE),
          Value(random() % 3 ? "a text longer than twelve bytes" : "rent"),
          Value::DOUBLE(static_cast<double>(random() % 100) / 4),
          Value::BIGINT(static_cast<int64_t>(random() % 50))};
}

Row Account(int32_t id, std::mt19937& random) {
  return {Value::INTEGER(id), Value::INTEGER(static_cast<int32_t>(random() % 40)),
          Value("n" + std::to_string(random() % 500)),
          Value::DECIMAL(static_cast<int64_t>(random() % 100000), 12, 2)};
}

/// A step of many changes of two tables; rows that are there go or are updated.
struct Steps {
  explicit Steps(uint64_t seed, bool skew) : random(static_cast<uint32_t>(seed)), skewed(skew) {}

  std::vector<TestChange> Moves() {
    std::vector<TestChange> changes;
    for (idx_t i = 0; i < kStepRows; i++) {
      if (!moves.empty() && random() % 4 == 0) {
        std::swap(moves[random() % moves.size()], moves.back());
        changes.push_back({RowKind::kDelete, moves.back()});
        moves.pop_back();
        continue;
      }
      moves.push_back(Move(random, skewed));
      changes.push_back({RowKind::kInsert, moves.back()});
    }
    return changes;
  }
  std::vector<TestChange> Accounts() {
    std::vector<TestChange> changes;
    for (int i = 0; i < 3000; i++) {
      auto id = static_cast<int32_t>(random() % 3000);
      Row row = Account(id, random);
      auto [at, is_new] = accounts.try_emplace(id, row);
      if (is_new) {
        changes.push_back({RowKind::kInsert, row});
      } else {
        changes.push_back({RowKind::kUpdateBefore, at->second});
        changes.push_back({RowKind::kUpdateAfter, row});
        at->second = row;
      }
    }
    return changes;
  }

  std::mt19937 random;
  const bool skewed;
  std::vector<Row> moves;
  std::map<int32_t, Row> accounts;
};

const std::vector<std::string> kQueries = {
    "SELECT account, count(*), sum(amount), min(note), max(seq) FROM moves GROUP BY account",
    "SELECT a.branch, sum(m.amount), count(*) FROM moves m JOIN accounts a ON m.account = a.id "
    "GROUP BY a.branch",
    "SELECT a.id, a.name, m.seq, m.note FROM accounts a LEFT JOIN moves m ON a.id = m.account AND "
    "m.amount > a.balance",
    "SELECT x.seq, count(*), sum(y.balance) FROM (SELECT DISTINCT seq, account FROM moves) x JOIN "
    "accounts y ON x.seq = y.branch GROUP BY x.seq",
    "SELECT count(*), sum(amount) FROM moves WHERE note = 'rent'",
    "SELECT id FROM accounts EXCEPT SELECT account FROM moves",
    "SELECT account, n FROM (SELECT account, count(*) AS n FROM moves GROUP BY account) ORDER BY n "
    "DESC, account LIMIT 5"};

/// A query run twice side by side.
struct Twin {
  std::unique_ptr<Dataflow> flow;
  Folded folded;
  std::string printed;  // The changes of this step, in order.
};

void Feed(DataflowBench& bench, Twin& twin, const std::vector<TestChange>& accounts,
          const std::vector<TestChange>& moves) {
  twin.printed.clear();
  auto fold = twin.folded.Receiver();
  ChangeReceiver receiver = [&](ChangeChunk& chunk) {
    fold(chunk);
    for (idx_t i = 0; i < chunk.size(); i++) {
      twin.printed += RowKindName(chunk.KindOf(i)) + PrintRow(chunk.rows, i) + "\n";
    }
  };
  bench.Feed(*twin.flow, bench.Table("accounts"), accounts, receiver);
  bench.Feed(*twin.flow, bench.Table("moves"), moves, receiver);
  twin.flow->EndStep(receiver);
}

/// What each part of each piece holds; in which order their frames came depends on the threads.
std::map<std::pair<std::string, uint64_t>, std::string> ByPart(MemoryStore& store) {
  std::map<std::pair<std::string, uint64_t>, std::string> parts;
  for (auto& [key, pieces] : store.All()) {
    for (size_t i = 0; i < pieces.size(); i++) {
      const std::string& bytes = pieces[i];
      uint64_t part = UINT64_MAX;
      for (size_t at = 6; at + 12 <= bytes.size();) {  // Behind magic and version.
        uint32_t size;
        uint64_t number;
        memcpy(&size, &bytes[at], sizeof(size));
        memcpy(&number, &bytes[at + 4], sizeof(number));
        at += 12;
        if (size == UINT32_MAX) {
          part = number;
          continue;
        }
        parts[{fmt::format("{} {}", key, i), part}] += bytes.substr(at, size);
        at += size;
      }
    }
  }
  return parts;
}

void CheckLargeSteps(uint64_t seed, bool skewed, ChangelogType accounts_are) {
  DataflowBench bench(seed);
  bench.Table("accounts").type = accounts_are;
  for (const std::string& sql : kQueries) {
    CAPTURE(sql);
    // One shard; then the same shards with one thread and with several.
    std::vector<Twin> twins(3);
    auto compile = [&](idx_t which) {
      bench.Divide(which == 0 ? 1 : 8, which == 1 ? 1 : 4);
      auto flow = bench.Compile(sql);
      flow->Start(bench.InputTypes(*flow));
      return flow;
    };
    for (idx_t i = 0; i < twins.size(); i++) twins[i].flow = compile(i);
    Steps steps(seed, skewed);
    for (int step = 0; step < 3; step++) {
      auto accounts = steps.Accounts();
      auto moves = steps.Moves();
      for (Twin& twin : twins) Feed(bench, twin, accounts, moves);
      CHECK(twins[1].folded.rows == twins[0].folded.rows);
      CHECK(twins[1].printed == twins[2].printed);
      for (Twin& twin : twins) CHECK(twin.folded.fault.empty());
      if (step != 1) continue;
      // What one thread has saved several load, and the reverse.
      MemoryStore stores[2];
      for (idx_t i = 1; i <= 2; i++) twins[i].flow->Save(stores[i - 1]);
      CHECK(ByPart(stores[0]) == ByPart(stores[1]));
      for (idx_t i = 1; i <= 2; i++) {
        twins[i].flow = compile(i);
        twins[i].flow->Load(stores[2 - i]);
      }
    }
  }
}

std::string PlanOf(DataflowBench& bench, const std::string& sql, DataflowOptions options = {}) {
  auto flow = bench.Compile(sql, options);
  flow->Start(bench.InputTypes(*flow));
  return flow->Explain();
}

idx_t Count(const std::string& text, const std::string& part) {
  idx_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) found++;
  return found;
}

}  // namespace

TEST_CASE("Large steps in shards give what one shard gives, whatever the threads") {
  MESSAGE("seed 41");
  CheckLargeSteps(41, false, ChangelogType::kFull);
  CheckLargeSteps(42, false, ChangelogType::kUpsert);
}

TEST_CASE("Large steps in shards give what one shard gives when nine of ten rows have one key") {
  MESSAGE("seed 43");
  CheckLargeSteps(43, true, ChangelogType::kFull);
}

// More blocks than are read in one go, of every kind of table that looks nothing up when it loads.
TEST_CASE("State that one thread reads ahead for another is the state that was saved") {
  const std::string sql =
      "SELECT x.account, x.seq, x.n, x.top, a.name FROM (SELECT account, seq, count(*) AS n, "
      "min(note) AS top, count(DISTINCT score) AS d FROM moves GROUP BY account, seq) x LEFT "
      "JOIN accounts a ON x.account = a.id";
  MESSAGE("seed 47");
  DataflowBench bench(47);
  Steps steps(47, false);
  auto compile = [&](idx_t threads) {
    bench.Divide(1, threads);
    auto flow = bench.Compile(sql);
    flow->Start(bench.InputTypes(*flow));
    return flow;
  };
  Twin first{compile(1), {}, {}};
  MemoryStore store;
  for (int step = 0; step < 8; step++) {
    auto accounts = steps.Accounts();
    Feed(bench, first, accounts, steps.Moves());
    if (step > 5) first.flow->Save(store);  // All, and changes.
  }
  auto accounts = steps.Accounts();
  auto moves = steps.Moves();
  std::vector<std::string> printed;
  for (idx_t threads : {1, 4}) {
    Twin twin{compile(threads), {}, {}};
    twin.flow->Load(store);
    Feed(bench, twin, accounts, moves);
    printed.push_back(twin.printed);
  }
  CHECK(printed[0] == printed[1]);
  Folded& rows = first.folded;
  Feed(bench, first, accounts, moves);
  CHECK(rows.fault.empty());
  CHECK(!printed[0].empty());
  std::multiset<std::string> lines[2];
  for (idx_t i : {0, 1}) {
    std::istringstream text(i == 0 ? first.printed : printed[0]);
    for (std::string line; std::getline(text, line);) lines[i].insert(line);
  }
  CHECK(lines[0] == lines[1]);
  // Damage far inside is the same error.
  size_t largest = 0;
  std::string* damaged = nullptr;
  for (auto& [key, pieces] : store.All()) {
    for (std::string& piece : pieces) {
      if (piece.size() <= largest) continue;
      largest = piece.size();
      damaged = &piece;
    }
  }
  REQUIRE(largest > 1 << 20);
  (*damaged)[largest - 1000] ^= 1;
  std::vector<std::string> errors;
  for (idx_t threads : {1, 4}) {
    auto flow = compile(threads);
    try {
      flow->Load(store);
    } catch (const Error& error) {
      errors.push_back(error.text());
    }
  }
  REQUIRE(errors.size() == 2);
  CHECK(errors[0] == errors[1]);
  CHECK(errors[0].find("a checksum does not match") != std::string::npos);
}

TEST_CASE("A join that multiplies rows by thousands goes through in parts") {
  DataflowBench bench(44);
  const std::string sql =
      "SELECT x.seq, count(*), sum(y.amount) FROM moves x JOIN moves y ON x.account = y.account "
      "GROUP BY x.seq";
  Folded folded[2];
  for (idx_t which : {0, 1}) {
    bench.Divide(which == 0 ? 1 : 4, 4);
    auto flow = bench.Compile(sql);
    flow->Start(bench.InputTypes(*flow));
    std::mt19937 random(44);
    std::vector<TestChange> changes;
    for (int i = 0; i < 6000; i++) {
      Row row = Move(random, false);
      row[0] = Value::INTEGER(static_cast<int32_t>(random() % 3));
      changes.push_back({RowKind::kInsert, row});
    }
    auto receiver = folded[which].Receiver();
    bench.Feed(*flow, bench.Table("moves"), changes, receiver);
    flow->EndStep(receiver);
  }
  CHECK(folded[0].rows.size() == 50);
  CHECK(folded[0].rows == folded[1].rows);
}

TEST_CASE("Rows move only to where they must meet") {
  DataflowBench bench(45);
  bench.Divide(4);
  std::string plan = PlanOf(bench, "SELECT account, count(*) FROM moves GROUP BY account");
  CHECK(plan.find("<by key (account)>") != std::string::npos);
  // The join's key is the group's: rows stay.
  plan =
      PlanOf(bench,
             "SELECT m.account, m.day, count(*) FROM moves m JOIN accounts a ON m.account = a.id "
             "GROUP BY m.account, m.day");
  CHECK(plan.find("<by key (account) as before>") != std::string::npos);
  CHECK(Count(plan, "<by key") == 2);
  // The rows without a partner are elsewhere.
  plan = PlanOf(bench,
                "SELECT m.account, count(*) FROM accounts a LEFT JOIN moves m ON m.account = a.id "
                "GROUP BY m.account");
  CHECK(plan.find("as before") == std::string::npos);
  plan = PlanOf(bench, "SELECT max(n) FROM (SELECT count(*) AS n FROM moves GROUP BY account)");
  CHECK(Count(plan, "<one shard>") == 1);
  CHECK(Count(plan, "<by key") == 1);
  // Nothing by key: one shard, and nothing to say about it.
  plan = PlanOf(bench, "SELECT count(*) FROM moves");
  CHECK(plan.find('<') == std::string::npos);
  plan = PlanOf(bench, "SELECT * FROM moves WHERE amount > 0");
  CHECK(plan.find('<') == std::string::npos);
  DataflowOptions options;
  options.sink_key = {0};
  plan = PlanOf(bench, "SELECT branch, balance, id FROM accounts", options);
  CHECK(plan.find("<by key (#0)>") != std::string::npos);
}

TEST_CASE("State of another number of shards is refused") {
  DataflowBench bench(46);
  const std::string sql = "SELECT account, count(*) FROM moves GROUP BY account";
  std::set<std::string> fingerprints;
  for (idx_t shards : {1, 4, 8}) {
    bench.Divide(shards);
    auto flow = bench.Compile(sql);
    fingerprints.insert(flow->Fingerprint());
    flow->Start(bench.InputTypes(*flow));
    auto& table = bench.Table("moves");
    table.rows.clear();
    bench.Feed(*flow, table, bench.RandomChanges(table, 50), [](ChangeChunk&) {});
    flow->EndStep([](ChangeChunk&) {});
    MemoryStore store;
    flow->Save(store);
    bench.Divide(shards == 4 ? 8 : 4);
    auto again = bench.Compile(sql);
    again->Start(bench.InputTypes(*again));
    CHECK_THROWS_AS(again->Load(store), Error);
  }
  CHECK(fingerprints.size() == 1);
}

TEST_CASE("Where rows are among the shards is what it was in every release") {
  CHECK(HashProbe() == 10322198619709610775ULL);
  CHECK(ShardsFor(1) == 1);
  CHECK(ShardsFor(2) == 4);
  CHECK(ShardsFor(3) == 8);
  CHECK(ShardsFor(4) == 8);
  CHECK(ShardsFor(100) == kMostShards);
}

}  // namespace millrace
