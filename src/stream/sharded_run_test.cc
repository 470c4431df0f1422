// Goal: in shards a query gives the same answer as in one, also when steps are large enough for
// threads, when most rows have one key, and when joins multiply rows; its output does not depend on
// threads or memory; and rows move no more than they must. Method: the bank of the differential
// tests with thousands of rows a step (seeds printed), beside the same dataflow in one shard; plans
// by EXPLAIN.
#include "stream/sharded_run.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
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

/// A query run several times side by side.
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
    // Far less than the state, whose sections go to disk and come back at each level.
    StateMemory memory({.folder = std::filesystem::temp_directory_path(),
                        .limit_bytes = seed % 2 ? 0 : 200'000,
                        .extent_bytes = 32 << 10});
    // One shard; then the same shards with one thread and with several, and with little memory.
    std::vector<Twin> twins(5);
    auto compile = [&](idx_t which) {
      bench.Divide(which == 0 ? 1 : 8, which == 1 || which == 3 ? 1 : 4);
      DataflowOptions options;
      if (which >= 3) options.memory = &memory;
      auto flow = bench.Compile(sql, options);
      flow->Start(bench.InputTypes(*flow));
      return flow;
    };
    for (idx_t i = 0; i < twins.size(); i++) twins[i].flow = compile(i);
    Steps steps(seed, skewed);
    for (int step = 0; step < 3; step++) {
      auto accounts = steps.Accounts();
      auto moves = steps.Moves();
      // As large steps do when state is on disk: the order follows from what is told.
      idx_t wanted = step == 2 ? 1 << 20 : 0;
      for (Twin& twin : twins) {
        twin.flow->BeginStep(wanted);
        Feed(bench, twin, accounts, moves);
      }
      CHECK(twins[1].folded.rows == twins[0].folded.rows);
      for (idx_t i = 2; i < twins.size(); i++) CHECK(twins[i].printed == twins[1].printed);
      for (Twin& twin : twins) CHECK(twin.folded.fault.empty());
      if (step != 1) continue;
      // What one thread has saved several load, and the reverse.
      MemoryStore stores[4];
      for (idx_t i = 0; i < 4; i++) twins[i + 1].flow->Save(stores[i]);
      CHECK(ByPart(stores[0]) == ByPart(stores[1]));
      for (idx_t i = 0; i < 4; i++) {
        twins[i + 1].flow = compile(i + 1);
        twins[i + 1].flow->Load(stores[3 - i]);
      }
    }
  }
}

/// Changes of `moves` in which rows come and go, also far from each other within a step, move from
/// group to group, and have all the keys that are equal in their own way.
struct Restless {
  Restless(uint64_t seed, bool append_only)
      : random(static_cast<uint32_t>(seed)), append(append_only) {}

  Row Made() {
    Row row = Move(random, true);
    if (random() % 10 == 0) row[0] = Value(row[0].type());
    if (random() % 5 == 0) row[1] = Value(row[1].type());
    if (random() % 5 == 0) row[3] = Value(row[3].type());
    constexpr double kScores[] = {-0.0, 0.0, NAN, -NAN, INFINITY, -INFINITY, 1e300, 0.1};
    row[4] = random() % 9 ? Value::DOUBLE(kScores[random() % 8]) : Value(row[4].type());
    return row;
  }
  void Insert(std::vector<Row>& into) {
    into.push_back(Made());
    changes.push_back({RowKind::kInsert, into.back()});
  }
  void Delete(std::vector<Row>& from) {
    std::swap(from[random() % from.size()], from.back());
    changes.push_back({RowKind::kDelete, from.back()});
    from.pop_back();
  }
  void Update() {
    Row& row = rows[random() % rows.size()];
    changes.push_back({RowKind::kUpdateBefore, row});
    row = Made();
    changes.push_back({RowKind::kUpdateAfter, row});
  }
  std::vector<TestChange> Step() {
    changes.clear();
    std::vector<Row> guests;  // Gone when the step ends; their groups with them.
    for (int i = 0; i < 7000; i++) {
      bool all = !append && !rows.empty() && !guests.empty();
      switch (all ? random() % 6 : append ? 0 : random() % 2) {
        case 1:
          Insert(guests);
          guests.back()[0] = changes.back().row[0] =
              Value::INTEGER(100'000 + static_cast<int32_t>(random() % 500));
          break;
        case 2:
          Delete(rows);
          break;
        case 3:
          Delete(guests);
          break;
        case 4:
          Update();
          break;
        default:
          Insert(rows);
      }
    }
    while (!guests.empty()) Delete(guests);
    return changes;
  }

  std::mt19937 random;
  const bool append;
  std::vector<Row> rows;
  std::vector<TestChange> changes;
};

const std::vector<std::string> kSums = {
    "SELECT account, count(*), count(amount), sum(amount), avg(seq), min(note), max(seq), "
    "max(note) FROM moves GROUP BY account",
    "SELECT score, count(*), sum(seq) FILTER (WHERE note = 'rent'), count(DISTINCT account), "
    "sum(DISTINCT seq), min(seq) FILTER (WHERE seq > 20), max(amount), min(score) FROM moves "
    "GROUP BY score",
    "SELECT account, note, sum(CAST(amount AS DECIMAL(38,2))) FROM moves GROUP BY ALL HAVING "
    "count(*) > 1",
    "SELECT count(*), sum(amount), min(seq), max(note), count(DISTINCT account) FROM moves WHERE "
    "seq <> 3",
    "SELECT account, sum(score), avg(score), count(*) FROM moves GROUP BY account",
    "SELECT account, seq, count(*), sum(amount) FROM moves GROUP BY ROLLUP (account, seq)",
    "SELECT a.branch, sum(m.amount), count(*), min(m.note) FROM moves m JOIN accounts a ON "
    "m.account = a.id GROUP BY a.branch",
    "SELECT n, count(*) FROM (SELECT account, count(*) AS n FROM moves GROUP BY account) GROUP BY "
    "n"};

int64_t RowsIntoAggregates(const Dataflow& flow) {
  int64_t rows = 0;
  for (const OperatorLine& line : flow.Lines()) {
    if (line.text.starts_with("AGGREGATE")) rows += line.figures.rows_in;
  }
  return rows;
}

/// What operators keep, as EXPLAIN tells it.
std::string StatesOf(const Dataflow& flow) {
  const std::string plan = flow.Explain();
  std::string states;
  for (size_t at = plan.find('{'); at != std::string::npos; at = plan.find('{', at + 1)) {
    states += plan.substr(at, plan.find('}', at) - at + 1);
  }
  return states;
}

/// One shard; then shards in one phase, in two, in two by several threads, and as it decides.
void CheckPhases(uint64_t seed, bool append_only) {
  DataflowBench bench(seed);
  bench.Table("moves").type = append_only ? ChangelogType::kAppend : ChangelogType::kFull;
  const AggregatePhases phases[] = {AggregatePhases::kOne, AggregatePhases::kOne,
                                    AggregatePhases::kTwo, AggregatePhases::kTwo,
                                    AggregatePhases::kAuto};
  for (const std::string& sql : kSums) {
    CAPTURE(sql);
    std::vector<Twin> twins(5);
    for (idx_t i = 0; i < twins.size(); i++) {
      bench.Divide(i == 0 ? 1 : 8, i < 3 ? 1 : 4);
      bench.TreatAsLarge(i != 4, phases[i]);
      twins[i].flow = bench.Compile(sql);
      twins[i].flow->Start(bench.InputTypes(*twins[i].flow));
    }
    Restless moves(seed, append_only);
    Steps accounts(seed, false);
    for (int step = 0; step < 3; step++) {
      auto moved = moves.Step();
      auto opened = accounts.Accounts();
      for (Twin& twin : twins) Feed(bench, twin, opened, moved);
      for (Twin& twin : twins) {
        CHECK(twin.folded.fault.empty());
        CHECK(twin.folded.rows == twins[0].folded.rows);
        if (&twin == &twins[0]) continue;
        CHECK(twin.printed == twins[1].printed);
        CHECK(RowsIntoAggregates(*twin.flow) == RowsIntoAggregates(*twins[1].flow));
      }
      CHECK(!twins[1].printed.empty());
    }
    for (Twin& twin : twins) CHECK(StatesOf(*twin.flow) == StatesOf(*twins[0].flow));
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
  CHECK(plan.find("<by key (account) in two phases>") != std::string::npos);
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
  plan = PlanOf(bench, "SELECT avg(n) FROM (SELECT avg(score) AS n FROM moves GROUP BY account)");
  CHECK(Count(plan, "<one shard>") == 1);
  CHECK(Count(plan, "<by key (account)>") == 1);
  // Nothing by key: one shard, and nothing to say about it.
  plan = PlanOf(bench, "SELECT sum(score) FROM moves");
  CHECK(plan.find('<') == std::string::npos);
  plan = PlanOf(bench, "SELECT * FROM moves WHERE amount > 0");
  CHECK(plan.find('<') == std::string::npos);
  DataflowOptions options;
  options.sink_key = {0};
  plan = PlanOf(bench, "SELECT branch, balance, id FROM accounts", options);
  CHECK(plan.find("<by key (#0)>") != std::string::npos);
}

TEST_CASE("Rows are summed up before they move unless their order matters or it is not wanted") {
  DataflowBench bench(48);
  bench.Divide(4);
  auto two = [&](const std::string& sql) { return Count(PlanOf(bench, sql), "in two phases"); };
  CHECK(two("SELECT account, sum(amount) FROM moves GROUP BY account") == 1);
  CHECK(two("SELECT account, sum(score) FROM moves GROUP BY account") == 0);
  CHECK(two("SELECT account, count(*), avg(score) FROM moves GROUP BY account") == 0);
  CHECK(two("SELECT account, sum(DISTINCT score) FROM moves GROUP BY account") == 0);
  CHECK(two("SELECT account, count(score), max(score) FROM moves GROUP BY account") == 1);
  CHECK(two("SELECT account, seq, sum(amount) FROM moves GROUP BY ROLLUP (account, seq)") == 3);
  CHECK(two("SELECT count(*) FROM moves") == 1);
  bench.TreatAsLarge(false, AggregatePhases::kOne);
  CHECK(two("SELECT account, sum(amount) FROM moves GROUP BY account") == 0);
  CHECK(two("SELECT count(*) FROM moves") == 0);
}

TEST_CASE("Sums before rows move change nothing: rows that come and go within a step, NULL, NaN") {
  MESSAGE("seeds 49, 50");
  CheckPhases(49, false);
  CheckPhases(50, true);
}

// A sum of a part of the rows may be too large where none of the sums in their order is.
TEST_CASE("Sums before rows move do not overflow where sums in order do not") {
  DataflowBench bench(51);
  const std::string sql =
      "SELECT account, sum(CAST(amount AS HUGEINT) * 90000000000000000000000000000000000000), "
      "count(*) FROM moves GROUP BY account";
  std::mt19937 random(51);
  auto row = [&](int64_t amount) {
    Row made = Move(random, true);
    made[0] = Value::INTEGER(7);
    made[1] = Value::DECIMAL(amount * 100, 12, 2);
    return TestChange{RowKind::kInsert, made};
  };
  for (auto phases : {AggregatePhases::kOne, AggregatePhases::kTwo}) {
    bench.Divide(4);
    bench.TreatAsLarge(true, phases);
    auto flow = bench.Compile(sql);
    flow->Start(bench.InputTypes(*flow));
    Folded folded;
    auto receiver = folded.Receiver();
    bench.Feed(*flow, bench.Table("moves"), {row(-1)}, receiver);
    flow->EndStep(receiver);
    std::vector<TestChange> changes = {row(1)};
    for (int i = 0; i < 2500; i++) changes.insert(changes.end(), {row(1), row(-1)});
    bench.Feed(*flow, bench.Table("moves"), changes, receiver);
    flow->EndStep(receiver);
    CHECK(folded.rows == std::map<std::string, int64_t>{{"'7'|'0'|'5002'", 1}});
  }
}

// A job that began when global aggregates were not divided goes on, its state being in one shard.
TEST_CASE("State of global aggregates is the same whether their rows are divided or not") {
  const std::string sql = "SELECT count(*), sum(amount), max(seq) FROM moves WHERE seq <> 3";
  DataflowBench bench(52);
  MESSAGE("seed 52");
  Steps steps(52, false);
  std::vector<Twin> twins(2);
  MemoryStore stores[2];
  auto compile = [&](AggregatePhases phases) {
    bench.Divide(8);
    bench.TreatAsLarge(true, phases);
    auto flow = bench.Compile(sql);
    flow->Start(bench.InputTypes(*flow));
    return flow;
  };
  const AggregatePhases phases[] = {AggregatePhases::kOne, AggregatePhases::kTwo};
  for (idx_t i : {0, 1}) twins[i].flow = compile(phases[i]);
  for (int step = 0; step < 4; step++) {
    auto moves = steps.Moves();
    for (Twin& twin : twins) Feed(bench, twin, {}, moves);
    CHECK(twins[0].printed == twins[1].printed);
    if (step != 1) continue;
    for (idx_t i : {0, 1}) {
      twins[i].flow->Save(stores[i]);
      twins[i].flow = compile(phases[1 - i]);
      twins[i].flow->Load(stores[i]);
    }
  }
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
  CHECK(ShardsFor(2) == 32);
  CHECK(ShardsFor(3) == 64);
  CHECK(ShardsFor(100) == kMostShards);
}

}  // namespace millrace
