// Goal: joins of three and more tables by one key equal batch after every step, as one operator.
// Method: chains made at random over the bank of the differential tests (seeds printed): INNER,
// LEFT and RIGHT joins, nested ones, composite keys in any order, NULL = NULL, tables more than
// once; in one shard and several, in memory and on disk, with a restart from whole and changed
// state. Under DISTINCT, which refuses to see a row go that is not there, every prefix of the
// output is looked at. What becomes one operator, and its keys, by EXPLAIN.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "stream/dataflow_test.h"
#include "stream/plan_compiler.h"

namespace millrace {

namespace {

/// A table with its columns of two types, by which it may be joined, and one more.
struct Joinable {
  const char* table;
  std::vector<const char*> keys;  // INT, STRING.
  const char* other;
};
const std::vector<Joinable> kJoinables = {{"accounts", {"id", "name"}, "balance"},
                                          {"accounts", {"branch", "name"}, "id"},
                                          {"moves", {"account", "note"}, "amount"},
                                          {"moves", {"account", "note"}, "seq"},
                                          {"branches", {"id", "city"}, "opened"},
                                          {"(SELECT account, max(note) AS note, max(seq) AS seq "
                                           "FROM moves GROUP BY account) g",
                                           {"account", "note"},
                                           "seq"}};

/// Makes chains of joins. Columns of table i are named k<i>0, k<i>1 and v<i>.
class ChainMaker {
 public:
  explicit ChainMaker(std::mt19937& random) : random_(random) {}

  std::string Make() {
    switch (Pick(5)) {
      case 0:
        keys_ = {1};
        break;
      case 1:
        keys_ = {0, 1};
        break;
      default:
        keys_ = {0};
    }
    equals_ = Pick(5) ? " = " : " IS NOT DISTINCT FROM ";
    const int tables = 3 + Pick(3);
    std::string from = Table();
    std::vector<int> full = {0};  // Tables that are never NULL.
    while (tables_ < tables) {
      const int next = tables_, kind = Pick(8);
      std::string right = Table();
      if (kind == 7 && tables_ < tables) {
        right = "(" + right + " JOIN " + Table() + " ON " + On(next, next + 1) + ")";
      }
      const char* join = kind < 4 ? " JOIN " : kind == 6 ? " RIGHT JOIN " : " LEFT JOIN ";
      // Seldom by a table that may be NULL: that is another key.
      int left =
          Pick(12) ? full[static_cast<size_t>(Pick(static_cast<int>(full.size())))] : Pick(next);
      from += join + right + " ON " + On(left, next);
      if (kind == 6) full.clear();
      if (kind < 4 || kind == 6) full.push_back(next);
      if (Pick(9) == 0) Wrap(from);
    }
    std::string columns;
    for (int i = 0; i < tables_; i++) {
      if (Pick(4)) columns += fmt::format("{}k{}0", columns.empty() ? "" : ", ", i);
      if (Pick(3)) columns += fmt::format("{}v{}", columns.empty() ? "" : ", ", i);
    }
    return "SELECT " + (columns.empty() ? "k00" : columns) + " FROM " + from;
  }

 private:
  int Pick(int below) { return static_cast<int>(random_() % below); }

  std::string Table() {
    const Joinable& of = kJoinables[static_cast<size_t>(Pick(static_cast<int>(kJoinables.size())))];
    const int i = tables_++;
    std::string where;
    if (Pick(6) == 0) where = fmt::format(" WHERE {} IS NOT NULL", of.other);
    return fmt::format("(SELECT {} AS k{}0, {} AS k{}1, {} AS v{} FROM {}{}) t{}", of.keys[0], i,
                       of.keys[1], i, of.other, i, of.table, where, i);
  }
  std::string On(int left, int right) {
    std::vector<int> keys = keys_;
    if (Pick(2)) std::reverse(keys.begin(), keys.end());
    std::string text;
    for (int key : keys) {
      bool turn = Pick(2);
      text += fmt::format("{}k{}{}{}k{}{}", text.empty() ? "" : " AND ", turn ? right : left, key,
                          equals_, turn ? left : right, key);
    }
    return text;
  }
  /// As a sub-query, whose columns are in another order.
  void Wrap(std::string& from) {
    std::string columns;
    for (int i = tables_ - 1; i >= 0; i--) {
      columns += fmt::format("{}v{}, k{}1, k{}0", columns.empty() ? "" : ", ", i, i, i);
    }
    from = fmt::format("(SELECT {} FROM {}) w{}", columns, from, tables_);
  }

  std::mt19937& random_;
  std::vector<int> keys_;
  std::string equals_;
  int tables_ = 0;
};

std::vector<UniqueKey> KeysOf(DataflowBench& bench, const std::string& sql, bool multi_joins) {
  StateMemory memory;
  StateArena arena(memory);
  duckdb::ClientContext& context = bench.StreamContext();
  BoundPlan bound = BindStreamingPlan(context, sql);
  std::vector<UniqueKey> keys;
  context.RunFunctionInTransaction([&] {
    PlanCompiler compiler(context, arena, {multi_joins});
    keys = compiler.Compile(std::move(bound.root)).root->unique_keys;
  });
  return keys;
}

/// Whether the keys that the compiler derives are keys of the rows at hand, and no fewer than those
/// of joins of two; empty when they are.
std::string CheckKeys(DataflowBench& bench, const std::string& sql) {
  const std::vector<UniqueKey> keys = KeysOf(bench, sql, true);
  for (UniqueKey key : KeysOf(bench, sql, false)) {
    auto is_in = [&](UniqueKey part) {
      return std::all_of(part.begin(), part.end(), [&](idx_t column) {
        return std::find(key.begin(), key.end(), column) != key.end();
      });
    };
    if (std::none_of(keys.begin(), keys.end(), is_in)) return "a key is lost of " + sql;
  }
  for (const UniqueKey& key : keys) {
    std::string columns;
    for (idx_t column : key)
      columns += fmt::format("{}#{}", columns.empty() ? "" : ", ", column + 1);
    if (columns.empty()) columns = "1";
    auto all = bench.BatchAnswer(fmt::format("SELECT count(*) FROM ({}) q", sql));
    auto different = bench.BatchAnswer(
        fmt::format("SELECT count(*) FROM (SELECT DISTINCT {} FROM ({}) q) d", columns, sql));
    if (all != different) return fmt::format("({}) is no key of {}", columns, sql);
  }
  return "";
}

/// Runs the chain of a seed; empty when it is the same as batch after every step.
std::string RunSeed(uint64_t seed, int& operators) {
  DataflowBench bench(seed);
  if (seed % 3 == 0) bench.LimitMemory(0);
  if (seed % 2 == 0) {
    bench.Divide(idx_t(2) << seed / 2 % 3);
    bench.TreatAsLarge(seed / 4 % 2 != 0);
    if (seed / 8 % 2) bench.TakeRounds();
  }
  std::string sql = ChainMaker(bench.Random()).Make();
  if (seed % 4 < 2) sql = "SELECT DISTINCT * FROM (" + sql + ") d";
  for (auto& table : bench.Tables()) {
    bool keyed = !table.definition->primary_key.empty();
    int mode = static_cast<int>(bench.Random()() % 5);
    table.type = mode == 0            ? ChangelogType::kAppend
                 : mode == 1 && keyed ? ChangelogType::kUpsert
                                      : ChangelogType::kFull;
  }
  try {
    auto flow = bench.Compile(sql);
    operators += flow->Explain().find("JOIN OF ") != std::string::npos;
    std::string problem = RunDifferential(bench, sql, 6, static_cast<int>(bench.Random()() % 6));
    return problem.empty() ? CheckKeys(bench, sql) : problem;
  } catch (const std::exception& failure) {
    return ErrorFrom(failure).text() + " in " + sql;
  }
}

std::string ExplainOf(DataflowBench& bench, const std::string& sql) {
  return bench.Compile(sql)->Explain();
}

std::string Count(const std::string& text, const std::string& part) {
  int found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) found++;
  return std::to_string(found);
}

}  // namespace

TEST_CASE("Chains of joins by one key equal batch after every step") {
  const char* given = std::getenv("MILLRACE_SEED");
  const uint64_t seed = given ? std::strtoull(given, nullptr, 10) : 11;
  const char* wanted = std::getenv("MILLRACE_QUERIES");
  const int queries = wanted ? std::atoi(wanted) : 80;
  MESSAGE("seed " << seed);
  int operators = 0;
  for (int i = 0; i < queries; i++) {
    std::string problem = RunSeed(seed + static_cast<uint64_t>(i), operators);
    CHECK_MESSAGE(problem.empty(), "seed " << seed + static_cast<uint64_t>(i) << ": " << problem);
  }
  CHECK(operators * 2 > queries);
}

TEST_CASE("Which joins become one operator") {
  struct Case {
    const char* from;
    const char* operator_text;  // "": none.
  };
  const std::vector<Case> cases = {
      {"accounts a JOIN moves m ON a.id = m.account JOIN branches b ON a.id = b.id",
       "JOIN OF 3 ON"},
      {"accounts a JOIN moves m ON a.id = m.account JOIN branches b ON m.account = b.id",
       "JOIN OF 3 ON"},
      {"accounts a JOIN moves m ON a.id = m.account LEFT JOIN branches b ON m.account = b.id",
       "JOIN OF 3 ON id = account, LEFT id"},
      {"accounts a LEFT JOIN moves m ON a.id = m.account LEFT JOIN branches b ON a.id = b.id",
       "JOIN OF 3 ON id, LEFT account, LEFT id"},
      {"branches b LEFT JOIN (accounts a JOIN moves m ON a.id = m.account) ON a.id = b.id",
       "JOIN OF 3 ON id, LEFT id = account"},
      {"accounts a JOIN moves m ON a.id = m.account RIGHT JOIN branches b ON a.id = b.id",
       "JOIN OF 3 ON id, LEFT id = account"},
      {"(SELECT m.note, a.id FROM accounts a JOIN moves m ON a.id = m.account) x LEFT JOIN "
       "branches "
       "b ON x.id = b.id",
       "JOIN OF 3 ON id = account, LEFT id"},
      {"accounts a JOIN moves m ON a.id = m.account AND a.name = m.note LEFT JOIN branches b ON "
       "b.city = a.name AND m.account = b.id",
       "JOIN OF 3 ON id, name = account, note, LEFT id, city"},
      {"accounts a JOIN moves m ON a.id IS NOT DISTINCT FROM m.account LEFT JOIN branches b ON "
       "a.id "
       "IS NOT DISTINCT FROM b.id",
       "JOIN OF 3 ON id = account, LEFT id (NULL = NULL)"},
      // Another key, that of a side which may be NULL, one that is computed, NULL = NULL in one
      // only.
      {"accounts a JOIN moves m ON a.id = m.account LEFT JOIN branches b ON a.branch = b.id", ""},
      {"accounts a LEFT JOIN moves m ON a.id = m.account LEFT JOIN branches b ON m.account = b.id",
       ""},
      {"accounts a JOIN moves m ON a.id + 1 = m.account LEFT JOIN branches b ON a.id = b.id", ""},
      {"accounts a JOIN moves m ON a.id = m.account LEFT JOIN branches b ON a.id IS NOT DISTINCT "
       "FROM b.id",
       ""},
      // What is more than the key; NULL one within the other; FULL.
      {"accounts a JOIN moves m ON a.id = m.account LEFT JOIN branches b ON a.id = b.id AND "
       "b.opened > m.day",
       ""},
      {"branches b LEFT JOIN (accounts a LEFT JOIN moves m ON a.id = m.account) ON a.id = b.id",
       ""},
      {"accounts a JOIN moves m ON a.id = m.account FULL JOIN branches b ON a.id = b.id", ""},
  };
  DataflowBench bench(1);
  for (const Case& made : cases) {
    CAPTURE(made.from);
    std::string text = ExplainOf(bench, fmt::format("SELECT * FROM {}", made.from));
    CAPTURE(text);
    if (*made.operator_text) {
      CHECK(text.find(made.operator_text) != std::string::npos);
    } else {
      CHECK(text.find("JOIN OF") == std::string::npos);
    }
  }
  // Both sides of a join; two keys, three tables each; a shared WITH stays apart.
  std::string four = ExplainOf(
      bench,
      "SELECT x.note, y.city FROM (SELECT m.note, a.id FROM accounts a JOIN moves m ON a.id = "
      "m.account) x JOIN (SELECT b.city, c.id FROM branches b JOIN accounts c ON b.id = c.id) y ON "
      "x.id = y.id");
  CHECK(four.find("JOIN OF 4 ON id = account = id = id") != std::string::npos);
  std::string two = ExplainOf(
      bench,
      "SELECT x.note, b.city FROM (SELECT m.note, a.branch FROM accounts a JOIN moves m ON a.id = "
      "m.account LEFT JOIN moves n ON a.id = n.account) x LEFT JOIN branches b ON x.branch = b.id "
      "LEFT JOIN branches c ON x.branch = c.id");
  CHECK(Count(two, "JOIN OF 3") == "2");
  std::string shared =
      ExplainOf(bench,
                "WITH s AS MATERIALIZED (SELECT m.note, a.id FROM accounts a JOIN moves m ON a.id "
                "= m.account)"
                " SELECT x.note, b.city FROM s x LEFT JOIN branches b ON x.id = b.id, s z");
  CHECK(shared.find("JOIN OF") == std::string::npos);
}

TEST_CASE("Products come in chunks, and go again") {
  DataflowBench bench(3);
  const std::string sql =
      "SELECT a.id, m.seq, n.seq, o.seq FROM accounts a LEFT JOIN moves m ON a.id = m.account LEFT "
      "JOIN moves n ON a.id = n.account LEFT JOIN moves o ON a.id = o.account";
  auto flow = bench.Compile(sql);
  flow->Start(bench.InputTypes(*flow));
  CHECK(flow->Explain().find("JOIN OF 4") != std::string::npos);
  Folded folded;
  ChangeReceiver receiver = folded.Receiver();
  TestTable& accounts = bench.Table("accounts");
  TestTable& moves = bench.Table("moves");
  auto feed = [&](TestTable& table, RowKind kind, std::vector<Row> rows) {
    std::vector<TestChange> changes;
    for (Row& row : rows) changes.push_back({kind, row});
    bench.Feed(*flow, table, changes, receiver);
    flow->EndStep(receiver);
  };
  Row account = accounts.random_row(bench.Random());
  auto total = [&] {
    int64_t rows = 0;
    for (auto& [row, weight] : folded.rows) rows += weight;
    return rows;
  };
  // Rows that differ, and one row as often: a product then begins in one chunk and ends in others.
  for (bool differ : {true, false}) {
    CAPTURE(differ);
    std::vector<Row> many;
    for (int i = 0; i < 25; i++) {
      many.push_back(i == 0 || differ ? moves.random_row(bench.Random()) : many[0]);
      many.back()[0] = account[0];
      if (differ) many.back()[5] = Value::BIGINT(i);
    }
    feed(accounts, RowKind::kInsert, {account});
    CHECK(total() == 1);
    feed(moves, RowKind::kInsert, many);
    CHECK(total() == 25 * 25 * 25);
    feed(moves, RowKind::kDelete, {many.begin() + 12, many.end()});
    CHECK(total() == 12 * 12 * 12);
    feed(moves, RowKind::kDelete, {many.begin() + 1, many.begin() + 12});
    CHECK(total() == 1);
    feed(moves, RowKind::kDelete, {many.begin(), many.begin() + 1});
    CHECK(total() == 1);
    feed(accounts, RowKind::kDelete, {account});
    CHECK(total() == 0);
  }
  CHECK(folded.fault.empty());
  CHECK(flow->Explain().find("{0 keys, rows 0, 0, 0, 0}") != std::string::npos);
  Row unknown = moves.random_row(bench.Random());
  unknown[0] = account[0];
  CHECK_THROWS_WITH_AS(feed(moves, RowKind::kDelete, {unknown}),
                       doctest::Contains("never inserted"), Error);
}

}  // namespace millrace
