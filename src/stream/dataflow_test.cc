// Goal: the central promise. After every step the accumulated changes of a query equal DuckDB's
// batch answer over the rows fed so far, whatever the cuts into chunks and steps, and a restart in
// the middle changes nothing. Method: random inserts, updates and deletes (seeds printed) through
// fixed query shapes; fold and compare.
#include "stream/dataflow_test.h"

#include <doctest/doctest.h>

namespace millrace {

namespace {

const std::vector<std::string> kShapes = {
    // Stateless.
    "SELECT * FROM moves",
    "SELECT account, amount * 2 AS twice, upper(note) AS note FROM moves WHERE amount > 0",
    "SELECT * FROM accounts WHERE balance > 0 AND (branch = 1 OR name IS NULL)",
    "SELECT id, balance FROM accounts WHERE branch IS NOT NULL UNION ALL SELECT account, amount "
    "FROM moves",
    "SELECT 'x' AS kind, id FROM accounts UNION ALL SELECT 'y', id FROM branches UNION ALL SELECT "
    "'z', 7",
    // Aggregates.
    "SELECT count(*) FROM moves",
    "SELECT count(*), count(amount), sum(amount), avg(amount), min(amount), max(amount) FROM moves",
    "SELECT account, count(*), sum(amount) FROM moves GROUP BY account",
    "SELECT account, min(day), max(day), min(note), max(note), min(score), max(score) FROM moves "
    "GROUP BY account",
    "SELECT note, sum(score), avg(score), count(score) FROM moves GROUP BY note",
    "SELECT account, count(DISTINCT note), sum(DISTINCT amount), avg(DISTINCT seq) FROM moves "
    "GROUP BY account",
    "SELECT account, count(*) FILTER (WHERE amount > 0), sum(amount) FILTER (WHERE note = 'rent') "
    "FROM moves GROUP BY ALL",
    "SELECT count(DISTINCT account) FILTER (WHERE seq > 2), max(note) FILTER (WHERE seq < 3) FROM "
    "moves",
    "SELECT sum(seq), avg(seq), sum(account), avg(account) FROM moves",
    "SELECT account, day, sum(amount) AS s FROM moves GROUP BY account, day HAVING sum(amount) > 0",
    "SELECT account % 3 AS k, sum(amount) + count(*) AS v FROM moves WHERE seq <> 2 GROUP BY k",
    "SELECT n, count(*) FROM (SELECT account, count(*) AS n FROM moves GROUP BY account) GROUP BY "
    "n",
    "SELECT max(s), min(s) FROM (SELECT account, sum(amount) AS s FROM moves GROUP BY account)",
    "SELECT account, note, sum(amount), GROUPING(account) FROM moves GROUP BY GROUPING SETS "
    "((account, note), (account), ())",
    "SELECT branch, name, count(*) FROM accounts GROUP BY ROLLUP (branch, name)",
    // Joins.
    "SELECT m.*, a.name FROM moves m JOIN accounts a ON m.account = a.id",
    "SELECT m.account, a.branch, b.city FROM moves m, accounts a, branches b WHERE m.account = "
    "a.id AND a.branch = b.id",
    "SELECT a.id, m.amount, m.note FROM accounts a LEFT JOIN moves m ON a.id = m.account",
    "SELECT a.id, b.city FROM accounts a RIGHT JOIN branches b ON a.branch = b.id",
    "SELECT a.id, a.branch, b.id, b.city FROM accounts a FULL JOIN branches b ON a.branch = b.id",
    "SELECT a.id, m.amount FROM accounts a LEFT JOIN moves m ON a.id = m.account AND m.amount > "
    "a.balance",
    "SELECT a.id, m.seq FROM accounts a FULL JOIN moves m ON a.id = m.account AND m.amount > "
    "a.balance AND a.branch < m.seq",
    "SELECT a.id, m.seq FROM moves m JOIN accounts a ON a.id = m.account AND m.amount BETWEEN "
    "a.balance - 5 AND a.balance + 5",
    "SELECT a.id, b.id FROM accounts a CROSS JOIN branches b",
    "SELECT a.id, b.id FROM accounts a JOIN branches b ON a.branch < b.id",
    "SELECT a.id, b.id FROM accounts a LEFT JOIN branches b ON a.branch > b.id",
    "SELECT a.id, b.id FROM accounts a FULL JOIN branches b ON a.branch + b.id > 5",
    "SELECT x.id, y.id FROM accounts x JOIN accounts y ON x.branch = y.branch AND x.id < y.id",
    "SELECT x.account, count(*) FROM moves x JOIN moves y ON x.account = y.account GROUP BY "
    "x.account",
    "SELECT a.id, m.day FROM accounts a JOIN moves m ON a.branch IS NOT DISTINCT FROM m.seq",
    "SELECT a.name, m.note FROM accounts a LEFT JOIN moves m ON a.name IS NOT DISTINCT FROM m.note",
    // Joins and aggregates.
    "SELECT b.city, sum(m.amount), count(*) FROM moves m JOIN accounts a ON m.account = a.id JOIN "
    "branches b ON a.branch = b.id GROUP BY b.city",
    "SELECT a.id, a.name, coalesce(s.total, 0) FROM accounts a LEFT JOIN (SELECT account, "
    "sum(amount) AS total FROM moves GROUP BY account) s ON s.account = a.id",
    "SELECT a.branch, count(DISTINCT m.note), max(m.amount) FROM accounts a LEFT JOIN moves m ON "
    "m.account = a.id GROUP BY a.branch",
    "SELECT b.id, (SELECT count(*) FROM accounts) AS n FROM branches b",
    "SELECT id, balance FROM accounts WHERE balance > (SELECT avg(balance) FROM accounts)",
    "SELECT id, balance - (SELECT sum(amount) FROM moves) FROM accounts",
    // IN, EXISTS, correlated.
    "SELECT * FROM accounts WHERE id IN (SELECT account FROM moves)",
    "SELECT * FROM accounts WHERE id NOT IN (SELECT account FROM moves WHERE account IS NOT NULL)",
    "SELECT * FROM accounts WHERE branch NOT IN (SELECT account FROM moves WHERE seq < 2)",
    "SELECT * FROM accounts a WHERE EXISTS (SELECT 1 FROM moves m WHERE m.account = a.id AND "
    "m.amount > 0)",
    "SELECT * FROM accounts a WHERE NOT EXISTS (SELECT 1 FROM moves m WHERE m.account = a.id)",
    "SELECT * FROM accounts a WHERE EXISTS (SELECT 1 FROM moves m WHERE m.account = a.id AND "
    "m.amount > a.balance)",
    "SELECT * FROM accounts a WHERE NOT EXISTS (SELECT 1 FROM moves m WHERE m.account = a.id AND "
    "m.amount > a.balance)",
    "SELECT id, branch IN (SELECT id FROM branches) AS known FROM accounts",
    "SELECT id, branch IN (SELECT account FROM moves) AS known FROM accounts",
    "SELECT id, (SELECT sum(m.amount) FROM moves m WHERE m.account = a.id) FROM accounts a",
    "SELECT id, (SELECT count(*) FROM moves m WHERE m.account = a.id AND m.amount > a.balance) "
    "FROM accounts a",
    "SELECT id FROM accounts a WHERE balance > (SELECT avg(amount) FROM moves m WHERE m.account = "
    "a.id)",
    "SELECT id, name IN (SELECT note FROM moves m WHERE m.account = a.id) FROM accounts a",
    "SELECT id, balance > ALL (SELECT amount FROM moves) FROM accounts",
    // Sets.
    "SELECT DISTINCT note FROM moves",
    "SELECT DISTINCT account, day FROM moves WHERE seq > 1",
    "SELECT id FROM accounts UNION SELECT account FROM moves",
    "SELECT id FROM accounts EXCEPT SELECT account FROM moves",
    "SELECT account FROM moves EXCEPT ALL SELECT id FROM accounts",
    "SELECT id FROM accounts INTERSECT SELECT account FROM moves",
    "SELECT account FROM moves INTERSECT ALL SELECT branch FROM accounts",
    "SELECT name FROM accounts UNION ALL SELECT DISTINCT note FROM moves",
    // Common table expressions, constants, order.
    "WITH s AS (SELECT account, sum(amount) AS t FROM moves GROUP BY account) SELECT x.account, "
    "y.account FROM s x JOIN s y ON x.t < y.t",
    "WITH s AS (SELECT branch, count(*) AS n FROM accounts GROUP BY branch) SELECT * FROM s WHERE "
    "n = (SELECT max(n) FROM s)",
    "SELECT v.k, a.id FROM (VALUES (1, 'one'), (2, 'two')) v(k, t) LEFT JOIN accounts a ON "
    "a.branch = v.k",
    "SELECT r.range, count(a.id) FROM range(4) r LEFT JOIN accounts a ON a.branch = r.range GROUP "
    "BY r.range",
    "SELECT id, CASE WHEN branch IN (1, 3) THEN 'odd' ELSE 'even' END FROM accounts ORDER BY id "
    "DESC",
    "SELECT day, count(*) FROM moves WHERE note LIKE 'a%' OR note IN ('rent', 'b') GROUP BY day "
    "ORDER BY day",
    "SELECT struct_pack(a := account, b := note) AS s, count(*) FROM moves GROUP BY s",
    // Limits, windows and aggregates that DuckDB recomputes.
    "SELECT id, balance FROM accounts ORDER BY balance DESC NULLS LAST, id LIMIT 3",
    "SELECT account, seq FROM moves ORDER BY seq, account NULLS FIRST LIMIT 4 OFFSET 2",
    "SELECT account, sum(amount) AS s FROM moves GROUP BY account ORDER BY s DESC, account LIMIT 2",
    "SELECT note, row_number() OVER (PARTITION BY account ORDER BY seq, amount, day, note, score) "
    "FROM moves",
    "SELECT id, branch, rank() OVER (PARTITION BY branch ORDER BY balance DESC) AS r FROM accounts",
    "SELECT id, sum(balance) OVER (PARTITION BY branch) AS s, count(*) OVER () AS n FROM accounts",
    "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY branch ORDER BY balance DESC, id) AS "
    "r FROM accounts) WHERE r <= 2",
    "SELECT id, lag(balance) OVER (PARTITION BY branch ORDER BY id) FROM accounts",
    "SELECT DISTINCT ON (branch) branch, id, name FROM accounts ORDER BY branch, balance DESC, id",
    "SELECT account, string_agg(note, ',' ORDER BY note, seq) FROM moves GROUP BY account",
    "SELECT account, median(seq), stddev_pop(seq) IS NULL FROM moves GROUP BY account",
    "SELECT list(seq ORDER BY seq) FROM moves",
    "SELECT account, arg_max(note, seq) IS NULL, bool_or(seq > 2), mode(1) FROM moves GROUP BY "
    "account",
    "SELECT [account, seq] AS l, sum(amount) FROM moves GROUP BY l",
    "SELECT account, day, string_agg(note, ',' ORDER BY note), GROUPING(account) FROM moves GROUP "
    "BY GROUPING SETS ((account), (day), ())",
    // Lists and functions of rows.
    "SELECT id, unnest([branch, id]) FROM accounts",
    "SELECT id, unnest([1, 2, branch]), unnest([name]), unnest(NULL) FROM accounts",
    "SELECT account, u FROM moves LEFT JOIN unnest(CASE WHEN seq > 2 THEN [amount, 0, NULL] END) "
    "t(u) ON true",
    "SELECT account, sum(u) FROM (SELECT account, unnest(range(seq)) AS u FROM moves) GROUP BY "
    "account",
    "SELECT b.id, r.range FROM branches b, LATERAL range(b.id) r",
    "SELECT a.id, t.v FROM accounts a, LATERAL (VALUES (a.id), (a.branch)) t(v)",
    // What DuckDB runs as a whole.
    "WITH RECURSIVE r AS (SELECT id, branch FROM accounts WHERE branch IS NULL UNION SELECT a.id, "
    "a.branch FROM accounts a JOIN r ON a.branch = r.id) SELECT * FROM r",
    "WITH RECURSIVE r(n) AS (SELECT min(id) FROM accounts UNION ALL SELECT n + 1 FROM r WHERE n < "
    "(SELECT max(id) FROM accounts)) SELECT n, count(b.id) FROM r LEFT JOIN branches b ON b.id = "
    "r.n GROUP BY n",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT n, a.name "
    "FROM r JOIN accounts a ON a.id = n",
    "SELECT b.id, (WITH RECURSIVE r(n) AS (SELECT b.id UNION ALL SELECT n - 1 FROM r WHERE n > 0) "
    "SELECT sum(n) FROM r) FROM branches b",
    "SELECT a.id, s.seq FROM accounts a ASOF LEFT JOIN (SELECT DISTINCT account, seq FROM moves) s "
    "ON a.branch = s.account AND a.id >= s.seq",
    "SELECT id FROM accounts ORDER BY id LIMIT (SELECT count(*) FROM branches)",
    "SELECT id, name FROM accounts ORDER BY id LIMIT 50%",
    "SELECT n FROM (SELECT id + 1 AS n FROM accounts ORDER BY balance DESC, id) LIMIT 3",
    "PIVOT moves ON note IN ('rent', 'b') USING sum(amount) GROUP BY account",
    "FROM (SELECT account, note, seq FROM moves) PIVOT (list(seq ORDER BY seq) FOR note IN "
    "('rent', 'a'))",
};

}  // namespace

TEST_CASE("A sink key that is not the query's shows the greatest live row per key") {
  DataflowBench bench(3);
  for (ChangelogType mode : {ChangelogType::kFull, ChangelogType::kUpsert}) {
    bench.Table("accounts").type = mode;
    for (auto& table : bench.Tables()) table.rows.clear();
    DataflowOptions options;
    options.sink_key = {0};
    auto flow = bench.Compile("SELECT branch, balance, id FROM accounts", options);
    CHECK(flow->Start(bench.InputTypes(*flow)) == ChangelogType::kFull);
    Folded folded;
    ChangeReceiver receiver = folded.Receiver();
    for (int step = 0; step < 30; step++) {
      auto& table = bench.Table("accounts");
      bench.Feed(*flow, table, bench.RandomChanges(table, 6), receiver);
      flow->EndStep(receiver);
      bench.Publish();
      CHECK(folded.rows ==
            bench.BatchAnswer(
                "SELECT branch, balance, id FROM (SELECT *, row_number() OVER (PARTITION BY "
                "branch ORDER BY balance DESC, id DESC) AS r FROM accounts) WHERE r = 1"));
      CHECK(folded.fault.empty());
      if (step == 15) {
        MemoryStore store;
        flow->Save(store);
        flow = bench.Compile("SELECT branch, balance, id FROM accounts", options);
        flow->Start(bench.InputTypes(*flow));
        flow->Load(store);
      }
    }
  }
}

TEST_CASE("A sink key comes back from a whole state and the changes to it") {
  // Rows go from behind their key among the others and back, between checkpoints and across them.
  for (uint64_t seed = 0; seed < 60; seed++) {
    CAPTURE(seed);
    DataflowBench bench(seed);
    DataflowOptions options;
    options.sink_key = {0};
    const std::string sql = "SELECT branch, name, id FROM accounts";
    auto flow = bench.Compile(sql, options);
    flow->Start(bench.InputTypes(*flow));
    Folded folded;
    ChangeReceiver receiver = folded.Receiver();
    MemoryStore store;
    for (int step = 0; step < 12; step++) {
      CAPTURE(step);
      auto& table = bench.Table("accounts");
      bench.Feed(*flow, table, bench.RandomChanges(table, 7), receiver);
      flow->EndStep(receiver);
      bench.Publish();
      REQUIRE(
          folded.rows ==
          bench.BatchAnswer("SELECT branch, name, id FROM (SELECT *, row_number() OVER "
                            "(PARTITION BY branch ORDER BY name DESC NULLS FIRST, id DESC) AS r "
                            "FROM accounts) WHERE r = 1"));
      if (step % 2 == 1) flow->Save(store);
      if (step % 4 != 3) continue;
      flow = bench.Compile(sql, options);
      flow->Start(bench.InputTypes(*flow));
      flow->Load(store);
    }
  }
}

TEST_CASE("A sink that only upserts and deletes by key ends up with the batch answer") {
  DataflowBench bench(9);
  struct Case {
    std::string sql;
    std::vector<idx_t> key;
  };
  const std::vector<Case> cases = {
      {"SELECT branch, count(*), sum(balance) FROM accounts GROUP BY branch", {0}},
      {"SELECT a.id, a.name, b.city FROM accounts a LEFT JOIN branches b ON a.branch = b.id", {0}},
      {"SELECT a.id, coalesce(sum(m.amount), 0) FROM accounts a LEFT JOIN moves m ON m.account = "
       "a.id GROUP BY a.id",
       {0}},
      {"SELECT b.city, b.id, s.n FROM branches b JOIN (SELECT branch, count(*) AS n FROM accounts "
       "GROUP BY branch) s "
       "ON s.branch = b.id",
       {1}},
      {"SELECT id, branch, balance FROM accounts WHERE balance > 0", {0}},
      {"SELECT id, rank() OVER (PARTITION BY branch ORDER BY balance) FROM accounts", {0}},
      {"SELECT id, balance FROM accounts ORDER BY balance, id LIMIT 4", {0}},
      {"SELECT branch, id, count(*) FROM accounts GROUP BY branch, id", {0, 1}}};
  for (auto& [sql, key] : cases) {
    CAPTURE(sql);
    for (ChangelogType mode : {ChangelogType::kFull, ChangelogType::kUpsert}) {
      for (auto& table : bench.Tables()) {
        table.type = table.definition->primary_key.empty() ? ChangelogType::kFull : mode;
        table.rows.clear();
      }
      DataflowOptions options;
      options.sink_key = key;
      auto flow = bench.Compile(sql, options);
      flow->Start(bench.InputTypes(*flow));
      std::map<std::string, std::string> sink;
      ChangeReceiver receiver = [&](ChangeChunk& chunk) {
        for (idx_t i = 0; i < chunk.size(); i++) {
          std::string name;
          for (idx_t column : key) name += chunk.rows.GetValue(column, i).ToString() + "|";
          if (chunk.KindOf(i) == RowKind::kDelete) sink.erase(name);
          if (IsAdd(chunk.KindOf(i))) sink[name] = PrintRow(chunk.rows, i);
        }
      };
      for (int step = 0; step < 10; step++) {
        for (auto& table : bench.Tables())
          bench.Feed(*flow, table, bench.RandomChanges(table, 8), receiver);
        flow->EndStep(receiver);
        bench.Publish();
        std::map<std::string, int64_t> shown;
        for (auto& [name, row] : sink) shown[row]++;
        CHECK(shown == bench.BatchAnswer(sql));
      }
    }
  }
}

TEST_CASE("A stateless path keeps every change in order") {
  DataflowBench bench(4);
  auto& table = bench.Table("accounts");
  auto flow = bench.Compile("SELECT id, balance FROM accounts WHERE balance >= 0");
  flow->Start(bench.InputTypes(*flow));
  auto row = [](int id, int cents) {
    return Row{Value::INTEGER(id), Value::INTEGER(1), Value("n"),
               Value::DECIMAL(int64_t(cents), 12, 2)};
  };
  using K = RowKind;
  std::vector<TestChange> changes = {
      {K::kInsert, row(1, 100)},      {K::kUpdateBefore, row(1, 100)},
      {K::kUpdateAfter, row(1, 200)}, {K::kUpdateBefore, row(1, 200)},
      {K::kUpdateAfter, row(1, -5)},  {K::kUpdateBefore, row(1, -5)},
      {K::kUpdateAfter, row(1, 300)}, {K::kDelete, row(1, 300)},
      {K::kInsert, row(1, 300)}};
  std::string seen;
  ChangeReceiver receiver = [&](ChangeChunk& chunk) {
    for (idx_t i = 0; i < chunk.size(); i++) {
      seen +=
          std::string(RowKindName(chunk.KindOf(i))) + chunk.rows.GetValue(1, i).ToString() + " ";
    }
  };
  for (int cut = 0; cut < 8; cut++) {  // However the pairs fall across chunks.
    seen.clear();
    bench.Feed(*flow, table, changes, receiver);
    flow->EndStep(receiver);
    CHECK(seen == "+I1.00 -U1.00 +U2.00 -D2.00 +I3.00 -D3.00 +I3.00 ");
  }
}

TEST_CASE("What has no incremental form is refused with its name and the way out") {
  DataflowBench bench(5);
  auto refusal = [&](const std::string& sql) -> std::string {
    try {
      bench.Compile(sql);
    } catch (const std::exception& failure) {
      Error error = ErrorFrom(failure);
      CHECK(error.code() == ErrorCode::kUnsupported);
      return error.text();
    }
    return "";
  };
  CHECK(refusal("SELECT * FROM accounts WHERE balance > random()").find("random()") !=
        std::string::npos);
  CHECK(refusal("SELECT id, now() FROM accounts").find("clock") != std::string::npos);
  CHECK(refusal("SELECT stats(id) FROM accounts").find("batch plan") != std::string::npos);
  CHECK(refusal("SELECT in_search_path('memory', name) FROM accounts").find("session") !=
        std::string::npos);
  CHECK(refusal("SELECT count(*), random() FROM accounts").find("batch mode") != std::string::npos);
  CHECK(refusal("FROM accounts POSITIONAL JOIN moves").find("positions") != std::string::npos);
  CHECK(refusal("SELECT * FROM accounts USING SAMPLE 3").find("SAMPLE") != std::string::npos);
  CHECK(refusal("PIVOT moves ON note USING sum(seq)").find("IN (") != std::string::npos);
  CHECK(refusal("SELECT bitstring_agg(id) FROM accounts").find("bounds") != std::string::npos);
}

TEST_CASE("Nothing gets between the halves of an update that its source has cut in two") {
  DataflowBench bench(18);
  auto flow = bench.Compile(
      "SELECT id, name FROM accounts UNION ALL SELECT id, 'twice' FROM accounts UNION ALL SELECT "
      "id, city FROM branches");
  flow->Start(bench.InputTypes(*flow));
  Folded folded;
  ChangeReceiver receiver = folded.Receiver();
  auto account = [](const char* name) {
    return Row{Value::INTEGER(1), Value::INTEGER(1), Value(name),
               Value::DECIMAL(int64_t(1), 12, 2)};
  };
  auto feed = [&](const std::vector<TestChange>& changes) {
    bench.Feed(*flow, bench.Table("accounts"), changes, receiver);
  };
  feed({{RowKind::kInsert, account("a")}, {RowKind::kUpdateBefore, account("a")}});
  bench.Feed(*flow, bench.Table("branches"),
             {{RowKind::kInsert,
               Row{Value::INTEGER(7), Value("x"), Value::TIMESTAMP(duckdb::timestamp_t(0))}}},
             receiver);
  feed({{RowKind::kUpdateAfter, account("b")}, {RowKind::kUpdateBefore, account("b")}});
  feed({{RowKind::kUpdateAfter, account("c")}});
  flow->EndStep(receiver);
  CHECK(folded.fault == "");
  CHECK(folded.changes == 2 * 5 + 1);
  CHECK(folded.rows ==
        std::map<std::string, int64_t>{{"'1'|'c'", 1}, {"'1'|'twice'", 1}, {"'7'|'x'", 1}});
}

TEST_CASE("What only the session decides is a constant of the query and in its fingerprint") {
  DataflowBench bench(16);
  const std::string sql =
      "SELECT id, current_schema() AS s, current_setting('default_null_order') AS o FROM accounts";
  auto set = [&](const std::string& order) {
    auto result = bench.StreamContext().Query("SET default_null_order = '" + order + "'", false);
    REQUIRE(!result->HasError());
  };
  set("NULLS_LAST");
  auto flow = bench.Compile(sql);
  flow->Start(bench.InputTypes(*flow));
  Folded folded;
  ChangeReceiver receiver = folded.Receiver();
  bench.Feed(*flow, bench.Table("accounts"),
             {{RowKind::kInsert, Row{Value::INTEGER(1), Value::INTEGER(1), Value("n"),
                                     Value::DECIMAL(int64_t(1), 12, 2)}}},
             receiver);
  flow->EndStep(receiver);
  CHECK(folded.rows == std::map<std::string, int64_t>{{"'1'|'streaming'|'NULLS_LAST'", 1}});
  CHECK(bench.Compile(sql)->Fingerprint() == flow->Fingerprint());
  set("NULLS_FIRST");
  CHECK(bench.Compile(sql)->Fingerprint() != flow->Fingerprint());
}

TEST_CASE("What is run as a whole goes by the session's settings") {
  DataflowBench bench(17);
  const char* lenient = "SET scalar_subquery_error_on_multiple_rows = false";
  REQUIRE(!bench.Batch().Query(lenient)->HasError());
  REQUIRE(!bench.StreamContext().Query(lenient, false)->HasError());
  // All rows of the subquery are equal, so that any of them will do.
  CHECK(RunDifferential(bench, "SELECT id, (SELECT 42 + a.id FROM branches) AS b FROM accounts a",
                        12, 5) == "");
}

TEST_CASE("A scalar subquery that yields two rows ends the step, as it ends a batch query") {
  DataflowBench bench(15);
  const std::string sql =
      "SELECT id, (SELECT note FROM moves m WHERE m.account = a.id) FROM accounts a";
  auto flow = bench.Compile(sql);
  flow->Start(bench.InputTypes(*flow));
  Folded folded;
  ChangeReceiver receiver = folded.Receiver();
  auto account = [](int id) {
    return Row{Value::INTEGER(id), Value::INTEGER(1), Value("n"),
               Value::DECIMAL(int64_t(1), 12, 2)};
  };
  auto move = [](int id, const std::string& note) {
    return Row{Value::INTEGER(id),       Value::DECIMAL(int64_t(1), 12, 2),
               Value(LogicalType::DATE), Value(note),
               Value::DOUBLE(1),         Value::BIGINT(1)};
  };
  auto feed = [&](const std::string& table, RowKind kind, const Row& row) {
    bench.Feed(*flow, bench.Table(table), {{kind, row}}, receiver);
  };
  feed("accounts", RowKind::kInsert, account(1));
  feed("moves", RowKind::kInsert, move(1, "a"));
  feed("moves", RowKind::kInsert, move(1, "b"));
  feed("moves", RowKind::kDelete, move(1, "a"));
  flow->EndStep(receiver);  // Two in the middle of a step are nothing.
  CHECK(folded.rows == std::map<std::string, int64_t>{{"'1'|'b'", 1}});
  feed("moves", RowKind::kInsert, move(2, "c"));
  feed("moves", RowKind::kInsert, move(2, "d"));
  feed("accounts", RowKind::kInsert, account(2));
  feed("accounts", RowKind::kDelete, account(2));
  flow->EndStep(receiver);  // Nobody asks for them.
  feed("accounts", RowKind::kInsert, account(2));
  try {
    flow->EndStep(receiver);
    FAIL_CHECK("must throw");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kData);
    CHECK(error.text().find("more than one row") != std::string::npos);
  }
}

TEST_CASE("Damaged state is refused") {
  DataflowBench bench(6);
  const std::string sql =
      "SELECT account, min(note), count(DISTINCT day) FROM moves GROUP BY account";
  auto flow = bench.Compile(sql);
  flow->Start(bench.InputTypes(*flow));
  Folded folded;
  ChangeReceiver receiver = folded.Receiver();
  auto& table = bench.Table("moves");
  MemoryStore store;
  for (int step = 0; step < 3; step++) {
    bench.Feed(*flow, table, bench.RandomChanges(table, 50), receiver);
    flow->EndStep(receiver);
    flow->Save(store);
  }
  auto refused = [&](MemoryStore damaged) {
    auto again = bench.Compile(sql);
    again->Start(bench.InputTypes(*again));
    try {
      again->Load(damaged);
      return false;
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kCorrupt);
      return true;
    }
  };
  CHECK_FALSE(refused(store));
  for (auto& [key, pieces] : store.All()) {
    for (size_t p = 0; p < pieces.size(); p++) {
      CAPTURE(key);
      CAPTURE(p);
      for (size_t at = 0; at < pieces[p].size(); at += 1 + pieces[p].size() / 40) {
        CAPTURE(at);
        MemoryStore damaged = store;
        damaged.All()[key][p][at] ^= 0x20;
        CHECK(refused(damaged));
        damaged = store;
        damaged.All()[key][p].resize(at);
        CHECK(refused(damaged));
      }
    }
    if (pieces.size() < 2) continue;
    MemoryStore damaged = store;
    damaged.All()[key].erase(damaged.All()[key].begin());
    CHECK(refused(damaged));  // Changes to nothing.
  }
}

TEST_CASE("A checkpoint writes what has changed, and now and then all") {
  DataflowBench bench(10);
  const std::string sql = "SELECT account, max(note), sum(amount) FROM moves GROUP BY account";
  auto flow = bench.Compile(sql);
  flow->Start(bench.InputTypes(*flow));
  Folded folded;
  ChangeReceiver receiver = folded.Receiver();
  auto& table = bench.Table("moves");
  bench.Feed(*flow, table, bench.RandomChanges(table, 200), receiver);
  flow->EndStep(receiver);
  MemoryStore store;
  flow->Save(store);
  auto& pieces = store.All().rbegin()->second;
  REQUIRE(pieces.size() == 1);
  size_t whole = pieces[0].size();
  flow->Save(store);
  CHECK(pieces.size() == 1);  // Nothing has changed.
  bool began_anew = false;
  for (int step = 0; step < 600; step++) {
    size_t before = pieces.size();
    auto changes = bench.RandomChanges(table, 1);
    bench.Feed(*flow, table, changes, receiver);
    flow->EndStep(receiver);
    flow->Save(store);
    if (changes.empty()) continue;
    if (pieces.size() == 1) {
      began_anew = true;
    } else {
      CHECK(pieces.size() == before + 1);
      CHECK(pieces.back().size() < whole / 2);
    }
  }
  CHECK(began_anew);
  auto again = bench.Compile(sql);
  again->Start(bench.InputTypes(*again));
  again->Load(store);
  bench.Feed(*again, table, bench.RandomChanges(table, 20), receiver);
  again->EndStep(receiver);
  bench.Publish();
  CHECK(folded.rows == bench.BatchAnswer(sql));
}

TEST_CASE("A row that cannot be evaluated names the expression and the row") {
  DataflowBench bench(8);
  auto flow = bench.Compile("SELECT id, CAST(name AS INTEGER) AS n FROM accounts");
  flow->Start(bench.InputTypes(*flow));
  Row row = {Value::INTEGER(42), Value::INTEGER(1), Value("seven"),
             Value::DECIMAL(int64_t(1), 12, 2)};
  try {
    bench.Feed(*flow, bench.Table("accounts"), {{RowKind::kInsert, row}}, [](ChangeChunk&) {});
    FAIL_CHECK("must throw");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kData);
    CHECK(error.text().find("42") != std::string::npos);
    CHECK(error.text().find("CAST(name AS INTEGER)") != std::string::npos);
  }
}

TEST_CASE("A row that cannot be evaluated in a shard ends the step with that one error") {
  DataflowBench bench(8);
  bench.Divide(4);
  for (idx_t rows : {1, 20'000}) {
    CAPTURE(rows);
    auto flow = bench.Compile("SELECT CAST(note AS INTEGER) AS n, count(*) FROM moves GROUP BY n");
    flow->Start(bench.InputTypes(*flow));
    auto& table = bench.Table("moves");
    std::vector<TestChange> changes;
    for (idx_t i = 0; i < rows; i++) {
      Row row = table.random_row(bench.Random());
      row[3] = i == rows / 2 ? Value("seven") : Value("7");
      changes.push_back({RowKind::kInsert, row});
    }
    try {
      bench.Feed(*flow, table, changes, [](ChangeChunk&) {});
      flow->EndStep([](ChangeChunk&) {});
      FAIL_CHECK("must throw");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kData);
      CHECK(error.text().find("Evaluating CAST(note AS INTEGER)") == 0);
      CHECK(error.text().find("seven") != std::string::npos);
    }
  }
}

void CheckShapes(DataflowBench& bench, const std::vector<ChangelogType>& modes) {
  int number = 0;
  for (const std::string& sql : kShapes) {
    CAPTURE(sql);
    for (ChangelogType mode : modes) {
      for (auto& table : bench.Tables()) {
        bool keyed = !table.definition->primary_key.empty();
        table.type = mode == ChangelogType::kUpsert && !keyed ? ChangelogType::kFull : mode;
      }
      std::string problem;
      try {
        problem = RunDifferential(bench, sql, 8, number++ % 8);
      } catch (const std::exception& failure) {
        problem = ErrorFrom(failure).text() + " in " + sql;
      }
      CHECK_MESSAGE(problem.empty(), std::string(ChangelogTypeName(mode))
                                         << " inputs: " << problem);
    }
  }
}

TEST_CASE("Every query shape equals batch after every step") {
  uint64_t seed = 20261123;
  MESSAGE("seed " << seed);
  DataflowBench bench(seed);
  CheckShapes(bench, {ChangelogType::kFull, ChangelogType::kUpsert, ChangelogType::kAppend});
}

TEST_CASE("Every query shape equals batch when nothing of its state may stay in memory") {
  uint64_t seed = 20261124;
  MESSAGE("seed " << seed);
  DataflowBench bench(seed);
  bench.LimitMemory(0);
  CheckShapes(bench, {ChangelogType::kUpsert, ChangelogType::kAppend});
}

TEST_CASE("Every query shape equals batch in shards") {
  uint64_t seed = 20261130;
  MESSAGE("seed " << seed);
  for (idx_t shards : {2, 8}) {
    CAPTURE(shards);
    DataflowBench bench(seed + shards);
    bench.Divide(shards);
    if (shards == 2) bench.LimitMemory(0);
    CheckShapes(bench, {ChangelogType::kFull, ChangelogType::kUpsert, ChangelogType::kAppend});
  }
}

TEST_CASE("When state cannot go to disk the step fails and says why") {
  DataflowBench bench(12);
  bench.LimitMemory(0,
                    [](std::string_view call, const std::string&) { return call == "fallocate"; });
  auto flow = bench.Compile("SELECT account, min(note), max(note) FROM moves GROUP BY account");
  flow->Start(bench.InputTypes(*flow));
  auto& table = bench.Table("moves");
  try {
    bench.Feed(*flow, table, bench.RandomChanges(table, 50), [](ChangeChunk&) {});
    FAIL_CHECK("must throw");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kIo);
    CHECK(error.text().find("No space left on device") != std::string::npos);
  }
}

}  // namespace millrace
