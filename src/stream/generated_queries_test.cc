// Goal: the central promise, for queries nobody thought of. Method: queries generated at random
// over small tables, all orders in them total; each equal to batch after every step, with a
// restart. MILLRACE_SEED and MILLRACE_QUERIES say where it begins and how many; a failure prints
// its seed, which is then added to kKept.
#include <doctest/doctest.h>

#include <cstdlib>

#include "stream/dataflow_test.h"

namespace millrace {

namespace {

/// Makes queries: a source (table, join, aggregate, set operation), then filters and columns over
/// it.
class QueryMaker {
 public:
  explicit QueryMaker(std::mt19937& random) : random_(random) {}

  /// A query of columns a (integer), b (decimal) and c (text).
  std::string Make(int depth) {
    int kind = depth <= 0 ? Pick(2) : Pick(24);
    if (kind >= 10) return kind < 17 ? Ordered(kind, depth - 1) : Rarer(kind, depth - 1);
    switch (kind) {
      case 0:
        return "SELECT id AS a, balance AS b, name AS c FROM accounts" +
               Where("id", "balance", "name");
      case 1:
        return "SELECT account AS a, amount AS b, note AS c FROM moves" +
               Where("account", "amount", "note");
      case 2:
        return Grouped(depth);
      case 3:
        return Joined(depth);
      case 4:
        return "SELECT * FROM (" + Make(depth - 1) + ") u" + SetWord() + "SELECT * FROM (" +
               Make(depth - 1) + ") v";
      case 5:
        return "SELECT DISTINCT * FROM (" + Make(depth - 1) + ") d";
      case 6: {
        std::string sub = Make(depth - 1);
        return "SELECT * FROM (" + Make(depth - 1) + ") s WHERE a " + (Pick(2) ? "" : "NOT ") +
               "IN (SELECT a FROM (" + sub + ") t)";
      }
      case 7: {
        std::string sub = Make(depth - 1);
        return "SELECT * FROM (" + Make(depth - 1) + ") s WHERE " + (Pick(2) ? "" : "NOT ") +
               "EXISTS (SELECT 1 FROM (" + sub + ") t WHERE t.a = s.a" +
               (Pick(2) ? " AND t.b > s.b" : "") + ")";
      }
      case 8:
        return "SELECT a + " + std::to_string(Pick(3)) +
               " AS a, b, coalesce(c, 'none') AS c FROM (" + Make(depth - 1) + ") p" +
               Where("a", "b", "c");
      default:
        return "SELECT a, (SELECT max(t.b) FROM (" + Make(depth - 1) +
               ") t WHERE t.a = s.a) AS b, c FROM (" + Make(depth - 1) + ") s";
    }
  }

  /// Three to five such queries, joined by one column, and one over that.
  std::string Chained(int depth) {
    constexpr const char* kJoins[] = {"JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN"};
    const std::string key = Pick(3) ? "a" : "c";
    const std::string equals = Pick(6) ? " = " : " IS NOT DISTINCT FROM ";
    const int tables = 3 + Pick(3);
    std::string from = "(" + Make(depth - 1) + ") t0", b = "t0.b", c = "t0.c";
    for (int i = 1; i < tables; i++) {
      std::string left = Pick(8) ? "t0." : "t" + std::to_string(Pick(i)) + ".";
      std::string right = "t" + std::to_string(i) + ".";
      from += " " + std::string(kJoins[Pick(5)]) + " (" + Make(Pick(2) ? 0 : depth - 1) + ") t" +
              std::to_string(i) + " ON " + left + key + equals + right + key;
      if (Pick(12) == 0) from += " AND " + left + "b <= " + right + "b";
      if (Pick(2)) b = right + "b";
      if (Pick(2)) c = right + "c";
    }
    std::string columns = " t0.a AS a, " + b + " AS b, " + c + " AS c";
    if (Pick(3)) return "SELECT" + columns + " FROM " + from;
    return "SELECT a, CAST(sum(b) AS DECIMAL(12,2)) AS b, min(c) AS c FROM (SELECT" + columns +
           " FROM " + from + ") g GROUP BY a";
  }

 private:
  /// What depends on order. All orders are total: by the whole row.
  std::string Ordered(int kind, int depth) {
    std::string from = " FROM (" + Make(depth) + ") o";
    constexpr const char* kOrders[] = {"b DESC, a, c", "a, b, c", "c DESC NULLS LAST, b, a DESC"};
    std::string order = kOrders[Pick(3)];
    switch (kind) {
      case 10: {
        constexpr const char* kFrames[] = {
            "", " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW",
            " ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW",
            " GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING",
            " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"};
        constexpr const char* kPartitions[] = {"", "PARTITION BY a % 3 ", "PARTITION BY c "};
        constexpr const char* kValues[] = {"sum(b)", "min(b)", "first_value(b)", "max(b)"};
        return "SELECT a, CAST(" + std::string(kValues[Pick(4)]) + " OVER (" +
               kPartitions[Pick(3)] + "ORDER BY " + order + kFrames[Pick(5)] +
               ") AS DECIMAL(12,2)) AS b, c" + from;
      }
      case 11: {
        constexpr const char* kRanks[] = {"rank()", "dense_rank()", "row_number()", "ntile(3)",
                                          "count(*)"};
        return "SELECT " + std::string(kRanks[Pick(5)]) + " OVER (" +
               (Pick(2) ? "PARTITION BY a " : "") + "ORDER BY " + order +
               ") AS a, b, lag(c) OVER (ORDER BY " + order + ") AS c" + from;
      }
      case 12:
        return "SELECT * FROM (SELECT *" + from + " ORDER BY " + order + " LIMIT " +
               std::to_string(1 + Pick(6)) + (Pick(2) ? " OFFSET 1" : "") + ") t";
      case 13:
        return "SELECT a, b, c FROM (SELECT *, row_number() OVER (PARTITION BY " +
               (Pick(2) ? std::string("c") : std::string("a % 2")) + " ORDER BY " + order +
               ") AS r" + from + ") t WHERE r <= " + std::to_string(1 + Pick(3));
      case 14:
        return "SELECT DISTINCT ON (a) a, b, c" + from + " ORDER BY a, b, c";
      case 15:
        return "SELECT * FROM (SELECT *" + from + " ORDER BY " + order +
               (Pick(2) ? " LIMIT 40%" : " LIMIT (SELECT count(*) // 3 FROM moves)") + ") t";
      default:
        return "SELECT a, CAST(median(b) AS DECIMAL(12,2)) AS b, string_agg(c, ',' ORDER BY c) AS "
               "c" +
               from + " GROUP BY a";
    }
  }

  std::string Rarer(int kind, int depth) {
    std::string from = " FROM (" + Make(depth) + ") o";
    switch (kind) {
      case 17: {
        constexpr const char* kSets[] = {"ROLLUP (a, c)", "CUBE (a, c)",
                                         "GROUPING SETS ((a), (c), ())"};
        return "SELECT a, CAST(" + std::string(Pick(2) ? "sum(b)" : "quantile_disc(b, 0.5)") +
               " AS DECIMAL(12,2)) AS b, c" + from + " GROUP BY " + kSets[Pick(3)];
      }
      case 18:
        return Pick(2) ? "SELECT unnest([a, a + 1]) AS a, b, c" + from
                       : "SELECT x AS a, b, c" + from +
                             ", unnest(CASE WHEN a > 3 THEN [a, NULL] ELSE [] END) t(x)";
      case 19:
        return "(WITH RECURSIVE r AS (SELECT a, b, c" + from +
               " UNION SELECT a - 1, b, c FROM r WHERE a > 0) SELECT * FROM r)";
      case 20:
        return "(WITH q AS (SELECT *" + from +
               ") SELECT x.a, y.b, x.c FROM q x JOIN q y ON x.a = y.a AND x.b <= y.b)";
      case 21:
        return "SELECT o.a, l.b, o.c" + from + ", LATERAL (SELECT max(t.b) AS b FROM (" +
               Make(depth) + ") t WHERE t.a " + (Pick(2) ? "<=" : "=") + " o.a) l";
      case 22:
        return "SELECT *" + from + " WHERE a IN (SELECT a FROM (" + Make(depth) + ") t) OR b > " +
               (Pick(2) ? "ALL" : "ANY") + " (SELECT amount FROM moves WHERE seq = 2)";
      default:
        return "SELECT o.a, t.b, o.c" + from + " ASOF LEFT JOIN (SELECT a, max(b) AS b FROM (" +
               Make(depth) + ") u GROUP BY a) t ON o.a >= t.a";
    }
  }
  int Pick(int below) { return static_cast<int>(random_() % below); }
  std::string SetWord() {
    constexpr const char* kWords[] = {" UNION ALL ", " UNION ",      " EXCEPT ",
                                      " INTERSECT ", " EXCEPT ALL ", " INTERSECT ALL "};
    return kWords[Pick(6)];
  }
  std::string Where(const std::string& a, const std::string& b, const std::string& c) {
    switch (Pick(6)) {
      case 0:
        return " WHERE " + a + " % 2 = 0";
      case 1:
        return " WHERE " + b + " > 0";
      case 2:
        return " WHERE " + c + " IS NOT NULL AND " + a + " < 8";
      case 3:
        return " WHERE " + a + " IS NULL OR " + b + " <= 2.5";
      default:
        return "";
    }
  }
  std::string Grouped(int depth) {
    constexpr const char* kValues[] = {"sum(b)", "min(b)", "max(b)", "sum(DISTINCT b)",
                                       "sum(b) FILTER (WHERE c = 'a')"};
    std::string having = Pick(3) ? "" : " HAVING count(*) > 1";
    return "SELECT a, CAST(" + std::string(kValues[Pick(5)]) + " AS DECIMAL(12,2)) AS b, " +
           (Pick(2) ? "min(c)" : "CAST(count(DISTINCT c) AS VARCHAR)") + " AS c FROM (" +
           Make(depth - 1) + ") g GROUP BY a" + having;
  }
  std::string Joined(int depth) {
    constexpr const char* kJoins[] = {"JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"};
    constexpr const char* kConditions[] = {"x.a = y.a",
                                           "x.a = y.a AND x.b < y.b",
                                           "x.c = y.c",
                                           "x.a IS NOT DISTINCT FROM y.a",
                                           "x.a = y.a AND x.c <> y.c",
                                           "x.a < y.a AND y.b > 9"};
    return "SELECT coalesce(x.a, y.a) AS a, y.b AS b, x.c AS c FROM (" + Make(depth - 1) + ") x " +
           kJoins[Pick(4)] + " (" + Make(depth - 1) + ") y ON " + kConditions[Pick(6)];
  }

  std::mt19937& random_;
};

/// Runs the query of a seed; empty when it is the same as batch after every step.
std::string RunSeed(uint64_t seed) {
  DataflowBench bench(seed);
  if (seed % 3 == 0) bench.LimitMemory(0);  // All of its state goes to disk, again and again.
  if (seed % 2 == 0) {
    bench.Divide(idx_t(2) << seed / 2 % 4);
    // Level by level, or each row to its shard at once; summed up before or not; in rounds or not.
    bench.TreatAsLarge(seed / 8 % 3 != 0,
                       seed / 8 % 3 == 1 ? AggregatePhases::kTwo : AggregatePhases::kAuto);
    if (seed / 4 % 2) bench.TakeRounds();
  }
  QueryMaker maker(bench.Random());
  int depth = 1 + static_cast<int>(seed % 2);
  std::string sql = seed % 5 == 4 ? maker.Chained(depth) : maker.Make(depth);
  for (auto& table : bench.Tables()) {
    bool keyed = !table.definition->primary_key.empty();
    int mode = static_cast<int>(bench.Random()() % 4);
    table.type = mode == 0            ? ChangelogType::kAppend
                 : mode == 1 && keyed ? ChangelogType::kUpsert
                                      : ChangelogType::kFull;
  }
  try {
    return RunDifferential(bench, sql, 5, static_cast<int>(bench.Random()() % 5));
  } catch (const std::exception& failure) {
    return ErrorFrom(failure).text() + " in " + sql;
  }
}

/// Seeds whose queries have failed once, and why. They run each time. Who changes QueryMaker so
/// that seeds make other queries looks for new ones: put the mistake back, run some thousand.
struct Kept {
  uint64_t seed;
  const char* found;
};
constexpr Kept kKept[] = {
    {7, "the error() that guards a scalar subquery was taken for a call of chance"},
    {21, "the same"},
    {850, "UNION ALL of a table with itself: rows got between the halves of an update cut in two"},
    {40189, "DuckDB's batch took filters from a join down past a LIMIT"},
    {102151, "DuckDB's batch ends with an internal error; ours has to go on"},
};

}  // namespace

TEST_CASE("Generated queries that have failed once") {
  for (const Kept& kept : kKept) {
    CAPTURE(kept.found);
    std::string problem = RunSeed(kept.seed);
    bool without_batch = problem.rfind(kBatchFails, 0) == 0;
    CHECK_MESSAGE((problem.empty() || without_batch), "seed " << kept.seed << ": " << problem);
  }
}

TEST_CASE("Generated queries equal batch after every step") {
  const char* given = std::getenv("MILLRACE_SEED");
  uint64_t seed = given ? std::strtoull(given, nullptr, 10) : 7;
  const char* wanted = std::getenv("MILLRACE_QUERIES");
  int queries = wanted ? std::atoi(wanted) : 100;
  MESSAGE("seed " << seed);
  int without_batch = 0;  // DuckDB 1.5.6 has bugs of its own: seed 102151, an ASOF LEFT JOIN.
  for (int i = 0; i < queries; i++) {
    std::string problem = RunSeed(seed + static_cast<uint64_t>(i));
    if (problem.rfind(kBatchFails, 0) == 0) {
      without_batch++;
    } else {
      CHECK_MESSAGE(problem.empty(), "seed " << seed + static_cast<uint64_t>(i) << ": " << problem);
    }
  }
  CHECK(without_batch <= 1 + queries / 500);
}

}  // namespace millrace
