// Goal: the central promise. After every step the accumulated changes of a query equal DuckDB's batch answer over
// the rows fed so far, whatever the cuts into chunks and steps, and a restart in the middle changes nothing.
// Method: random inserts, updates and deletes (seeds printed) through fixed query shapes; fold and compare.
#include "stream/dataflow_test.h"

#include <doctest/doctest.h>

namespace millrace {

namespace {

const std::vector<std::string> kShapes = {
    // Stateless.
    "SELECT * FROM moves",
    "SELECT account, amount * 2 AS twice, upper(note) AS note FROM moves WHERE amount > 0",
    "SELECT * FROM accounts WHERE balance > 0 AND (branch = 1 OR name IS NULL)",
    "SELECT id, balance FROM accounts WHERE branch IS NOT NULL UNION ALL SELECT account, amount FROM moves",
    "SELECT 'x' AS kind, id FROM accounts UNION ALL SELECT 'y', id FROM branches UNION ALL SELECT 'z', 7",
    // Aggregates.
    "SELECT count(*) FROM moves",
    "SELECT count(*), count(amount), sum(amount), avg(amount), min(amount), max(amount) FROM moves",
    "SELECT account, count(*), sum(amount) FROM moves GROUP BY account",
    "SELECT account, min(day), max(day), min(note), max(note), min(score), max(score) FROM moves GROUP BY account",
    "SELECT note, sum(score), avg(score), count(score) FROM moves GROUP BY note",
    "SELECT account, count(DISTINCT note), sum(DISTINCT amount), avg(DISTINCT seq) FROM moves GROUP BY account",
    "SELECT account, count(*) FILTER (WHERE amount > 0), sum(amount) FILTER (WHERE note = 'rent') FROM moves GROUP BY ALL",
    "SELECT count(DISTINCT account) FILTER (WHERE seq > 2), max(note) FILTER (WHERE seq < 3) FROM moves",
    "SELECT sum(seq), avg(seq), sum(account), avg(account) FROM moves",
    "SELECT account, day, sum(amount) AS s FROM moves GROUP BY account, day HAVING sum(amount) > 0",
    "SELECT account % 3 AS k, sum(amount) + count(*) AS v FROM moves WHERE seq <> 2 GROUP BY k",
    "SELECT n, count(*) FROM (SELECT account, count(*) AS n FROM moves GROUP BY account) GROUP BY n",
    "SELECT max(s), min(s) FROM (SELECT account, sum(amount) AS s FROM moves GROUP BY account)",
    "SELECT account, note, sum(amount), GROUPING(account) FROM moves GROUP BY GROUPING SETS ((account, note), (account), ())",
    "SELECT branch, name, count(*) FROM accounts GROUP BY ROLLUP (branch, name)",
    // Joins.
    "SELECT m.*, a.name FROM moves m JOIN accounts a ON m.account = a.id",
    "SELECT m.account, a.branch, b.city FROM moves m, accounts a, branches b WHERE m.account = a.id AND a.branch = b.id",
    "SELECT a.id, m.amount, m.note FROM accounts a LEFT JOIN moves m ON a.id = m.account",
    "SELECT a.id, b.city FROM accounts a RIGHT JOIN branches b ON a.branch = b.id",
    "SELECT a.id, a.branch, b.id, b.city FROM accounts a FULL JOIN branches b ON a.branch = b.id",
    "SELECT a.id, m.amount FROM accounts a LEFT JOIN moves m ON a.id = m.account AND m.amount > a.balance",
    "SELECT a.id, m.seq FROM accounts a FULL JOIN moves m ON a.id = m.account AND m.amount > a.balance AND a.branch < m.seq",
    "SELECT a.id, m.seq FROM moves m JOIN accounts a ON a.id = m.account AND m.amount BETWEEN a.balance - 5 AND a.balance + 5",
    "SELECT a.id, b.id FROM accounts a CROSS JOIN branches b",
    "SELECT a.id, b.id FROM accounts a JOIN branches b ON a.branch < b.id",
    "SELECT a.id, b.id FROM accounts a LEFT JOIN branches b ON a.branch > b.id",
    "SELECT a.id, b.id FROM accounts a FULL JOIN branches b ON a.branch + b.id > 5",
    "SELECT x.id, y.id FROM accounts x JOIN accounts y ON x.branch = y.branch AND x.id < y.id",
    "SELECT x.account, count(*) FROM moves x JOIN moves y ON x.account = y.account GROUP BY x.account",
    "SELECT a.id, m.day FROM accounts a JOIN moves m ON a.branch IS NOT DISTINCT FROM m.seq",
    "SELECT a.name, m.note FROM accounts a LEFT JOIN moves m ON a.name IS NOT DISTINCT FROM m.note",
    // Joins and aggregates.
    "SELECT b.city, sum(m.amount), count(*) FROM moves m JOIN accounts a ON m.account = a.id JOIN branches b ON a.branch = b.id GROUP BY b.city",
    "SELECT a.id, a.name, coalesce(s.total, 0) FROM accounts a LEFT JOIN (SELECT account, sum(amount) AS total FROM moves GROUP BY account) s ON s.account = a.id",
    "SELECT a.branch, count(DISTINCT m.note), max(m.amount) FROM accounts a LEFT JOIN moves m ON m.account = a.id GROUP BY a.branch",
    // IN, EXISTS, correlated.
    "SELECT * FROM accounts WHERE id IN (SELECT account FROM moves)",
    "SELECT * FROM accounts WHERE id NOT IN (SELECT account FROM moves WHERE account IS NOT NULL)",
    "SELECT * FROM accounts WHERE branch NOT IN (SELECT account FROM moves WHERE seq < 2)",
    "SELECT * FROM accounts a WHERE EXISTS (SELECT 1 FROM moves m WHERE m.account = a.id AND m.amount > 0)",
    "SELECT * FROM accounts a WHERE NOT EXISTS (SELECT 1 FROM moves m WHERE m.account = a.id)",
    "SELECT * FROM accounts a WHERE EXISTS (SELECT 1 FROM moves m WHERE m.account = a.id AND m.amount > a.balance)",
    "SELECT * FROM accounts a WHERE NOT EXISTS (SELECT 1 FROM moves m WHERE m.account = a.id AND m.amount > a.balance)",
    "SELECT id, branch IN (SELECT id FROM branches) AS known FROM accounts",
    "SELECT id, branch IN (SELECT account FROM moves) AS known FROM accounts",
    "SELECT id, (SELECT sum(m.amount) FROM moves m WHERE m.account = a.id) FROM accounts a",
    "SELECT id, (SELECT count(*) FROM moves m WHERE m.account = a.id AND m.amount > a.balance) FROM accounts a",
    "SELECT id FROM accounts a WHERE balance > (SELECT avg(amount) FROM moves m WHERE m.account = a.id)",
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
    "WITH s AS (SELECT account, sum(amount) AS t FROM moves GROUP BY account) SELECT x.account, y.account FROM s x JOIN s y ON x.t < y.t",
    "SELECT v.k, a.id FROM (VALUES (1, 'one'), (2, 'two')) v(k, t) LEFT JOIN accounts a ON a.branch = v.k",
    "SELECT r.range, count(a.id) FROM range(4) r LEFT JOIN accounts a ON a.branch = r.range GROUP BY r.range",
    "SELECT id, CASE WHEN branch IN (1, 3) THEN 'odd' ELSE 'even' END FROM accounts ORDER BY id DESC",
    "SELECT day, count(*) FROM moves WHERE note LIKE 'a%' OR note IN ('rent', 'b') GROUP BY day ORDER BY day",
    "SELECT struct_pack(a := account, b := note) AS s, count(*) FROM moves GROUP BY s",
    "SELECT [account, seq] AS l, sum(amount) FROM moves GROUP BY l",
};

}  // namespace

TEST_CASE("Every query shape equals batch after every step") {
  uint64_t seed = 20261123;
  MESSAGE("seed " << seed);
  DataflowBench bench(seed);
  int number = 0;
  for (const std::string& sql : kShapes) {
    CAPTURE(sql);
    for (ChangelogType mode : {ChangelogType::kFull, ChangelogType::kUpsert, ChangelogType::kAppend}) {
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
      CHECK_MESSAGE(problem.empty(), std::string(ChangelogTypeName(mode)) << " inputs: " << problem);
    }
  }
}

}  // namespace millrace
