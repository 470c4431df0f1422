// Goal: Flink text becomes text that DuckDB's parser takes and that means the same.
// Method: pairs of text; every result also goes through DuckDB's parser.
#include "sql/rewriter.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "duckdb/parser/parser.hpp"

namespace millrace {

namespace {

struct Pair {
  const char* flink;
  const char* duck;
};

void CheckPairs(std::initializer_list<Pair> pairs) {
  for (const Pair& pair : pairs) {
    INFO(std::string(pair.flink));
    std::string duck = ToDuckSql(pair.flink);
    CHECK(duck == pair.duck);
    duckdb::Parser parser;
    CHECK_NOTHROW(parser.ParseQuery(duck));
  }
}

std::string ErrorOf(const std::string& flink) {
  try {
    ToDuckSql(flink);
  } catch (const Error& error) {
    return error.text();
  }
  return "";
}

}  // namespace

TEST_CASE("Names, strings and comments") {
  CheckPairs(
      {{"SELECT `a b`, `x``y`, `q\"r` FROM `t`", "SELECT \"a b\", \"x`y\", \"q\"\"r\" FROM \"t\""},
       {"SELECT 'it''s', 'a\\n', U&'\\0041\\+00006D', N'x', _UTF8'y', X'0aFF'",
        "SELECT 'it''s', 'a\\n', 'Am', 'x', 'y', CAST('\\x0a\\xFF' AS BLOB)"},
       {"SELECT 1 -- one\n, /* two\n*/ 2", "SELECT 1       \n,       \n   2"},
       {"SELECT /*+ BROADCAST(a) */ 1", "SELECT   1"},
       {"SELECT a.`select`, a.values, t.*", "SELECT a.\"select\", a.values, t.*"}});
}

TEST_CASE("Lines stay where they were") {
  CHECK(ToDuckSql("SELECT CAST(a\nAS INT),\n  `b`\nFROM t").find("\"b\"\nFROM t") !=
        std::string::npos);
}

TEST_CASE("OPTIONS hints and time travel become a name with options") {
  CheckPairs(
      {{"SELECT * FROM t /*+ OPTIONS('a'='b', 'c'='it''s') */",
        "SELECT * FROM \"t$options{\"\"a\"\":\"\"b\"\",\"\"c\"\":\"\"it's\"\"}\" AS \"t\""},
       {"SELECT * FROM lake.db.`T` /*+ OPTIONS('k'='v') */ AS x WHERE x.a > 1",
        "SELECT * FROM \"lake\".\"db\".\"T$options{\"\"k\"\":\"\"v\"\"}\" AS x WHERE x.a > 1"},
       {"SELECT * FROM t /*+ OPTIONS('k'='v') */ x, s",
        "SELECT * FROM \"t$options{\"\"k\"\":\"\"v\"\"}\" x, s"},
       {"SELECT * FROM t /*+ OPTIONS('k'='v') */ JOIN s ON t.a = s.a",
        "SELECT * FROM \"t$options{\"\"k\"\":\"\"v\"\"}\" AS \"t\" JOIN s ON t.a = s.a"},
       {"SELECT * FROM t FOR SYSTEM_TIME AS OF TIMESTAMP '2024-01-01 00:00:00' WHERE a = 1",
        "SELECT * FROM \"t$options{\"\"scan.timestamp\"\":\"\"2024-01-01 00:00:00\"\"}\" AS \"t\" "
        "WHERE a = 1"},
       {"SELECT * FROM (SELECT * FROM t /*+ OPTIONS('k'='v') */)",
        "SELECT * FROM (SELECT * FROM \"t$options{\"\"k\"\":\"\"v\"\"}\" AS \"t\")"},
       {"SELECT * FROM `t$snapshots`", "SELECT * FROM \"t$snapshots\""}});
  CHECK(ErrorOf("SELECT * FROM o JOIN d FOR SYSTEM_TIME AS OF o.proctime ON o.a = d.a")
            .find("not supported") != std::string::npos);
  CHECK(ErrorOf("SELECT 1 + /*+ OPTIONS('k'='v') */ 2").find("right after the name") !=
        std::string::npos);
}

TEST_CASE("Types in casts") {
  CheckPairs(
      {{"SELECT CAST(a AS STRING), TRY_CAST(a AS BYTES)", "SELECT to_text(a), TRY_CAST(a AS BLOB)"},
       {"SELECT CAST(a AS TIMESTAMP(3)), CAST(a AS TIMESTAMP)",
        "SELECT to_precision(CAST(a AS TIMESTAMP), 3), CAST(a AS TIMESTAMP)"},
       {"SELECT CAST(a AS TIMESTAMP(3) WITH LOCAL TIME ZONE)",
        "SELECT to_precision(CAST(a AS TIMESTAMP WITH TIME ZONE), 3)"},
       {"SELECT CAST(a AS DECIMAL), CAST(a AS DEC(5)), CAST(a AS NUMERIC(5,2))",
        "SELECT CAST(a AS DECIMAL(10,0)), CAST(a AS DECIMAL(5,0)), CAST(a AS DECIMAL(5,2))"},
       {"SELECT CAST(a AS ARRAY<INT>), CAST(a AS MAP<STRING, ROW<x INT, y ARRAY<STRING>>>)",
        "SELECT CAST(a AS INTEGER[]), CAST(a AS MAP(VARCHAR, STRUCT(x INTEGER, y VARCHAR[])))"},
       {"SELECT CAST(CASE WHEN a THEN 1 END AS DOUBLE)",
        "SELECT CAST(CASE WHEN a THEN 1 END AS DOUBLE)"},
       {"SELECT CAST(a AS HUGEINT)", "SELECT CAST(a AS HUGEINT)"},
       {"SELECT CAST(CAST(a AS INT) AS BIGINT)",
        "SELECT CAST(to_integral(CAST(to_integral(a) AS INTEGER)) AS BIGINT)"}});
  CHECK(ErrorOf("SELECT CAST(a AS ARRAY<INTT>)").find("line 1, column 18") != std::string::npos);
  CHECK(ErrorOf("SELECT CAST(a, INT)").find("expected CAST(value AS type)") != std::string::npos);
}

TEST_CASE("Literals and intervals") {
  CheckPairs({{"SELECT DATE '2024-01-01', TIME '01:02:03', TIMESTAMP '2024-01-01 00:00:00.5'",
               "SELECT DATE '2024-01-01', TIME '01:02:03', TIMESTAMP '2024-01-01 00:00:00.5'"},
              {"SELECT INTERVAL '1' DAY, INTERVAL -'2' HOUR, INTERVAL '3' MONTH(2)",
               "SELECT INTERVAL '1 days', INTERVAL '-2 hours', INTERVAL '3 months'"},
              {"SELECT INTERVAL '1-2' YEAR TO MONTH, INTERVAL '1 02:03:04.5' DAY TO SECOND(3)",
               "SELECT INTERVAL '14 months', INTERVAL '1 days 7384500000 microseconds'"},
              {"SELECT INTERVAL '1:30' MINUTE TO SECOND, INTERVAL '1 day'",
               "SELECT INTERVAL '90000000 microseconds', INTERVAL '1 day'"},
              {"SELECT CURRENT_TIMESTAMP, CURRENT_DATE AS d, t.current_date FROM t",
               "SELECT now(), flink_current_date() AS d, t.current_date FROM t"}});
  CHECK(ErrorOf("SELECT INTERVAL 'x' DAY").find("line 1, column 17") != std::string::npos);
  CHECK(ErrorOf("SELECT INTERVAL '1' DAY TO YEAR").find("no interval from DAY TO YEAR") !=
        std::string::npos);
}

TEST_CASE("Functions with a syntax of their own") {
  CheckPairs({{"SELECT EXTRACT(MONTH FROM a + 1), EXTRACT(DOW FROM a)",
               "SELECT date_part('month', a + 1), dayofweek(a)"},
              {"SELECT FLOOR(a TO DAY), CEIL(b TO MONTH), FLOOR(x), CEILING(x + 1)",
               "SELECT floor_to('day', a), ceil_to('month', b), FLOOR(x), CEILING(x + 1)"},
              {"SELECT TIMESTAMPADD(DAY, 1, a), TIMESTAMPDIFF(SQL_TSI_HOUR, a, b)",
               "SELECT timestampadd('day', 1, a), timestampdiff('hour', a, b)"},
              {"SELECT SUBSTRING(a FROM 2 FOR 3), SUBSTRING(a, 2), POSITION('x' IN a)",
               "SELECT substr(a, 2, 3), substr(a, 2), locate('x', a)"},
              {"SELECT OVERLAY(a PLACING 'b' FROM 1 FOR 2), TRIM(BOTH 'x' FROM a)",
               "SELECT \"overlay\"(a, 'b', 1, 2), TRIM(BOTH 'x' FROM a)"},
              {"SELECT MAP['a', 1, 'b', 2], ARRAY[1, 2][1], ROW(1, 'a')",
               "SELECT MAP {'a': 1, 'b': 2}, ARRAY[1, 2][1], ROW(1, 'a')"},
              {"SELECT JSON_VALUE(a, 'lax $.b' RETURNING INT), JSON_EXISTS(a, '$.b')",
               "SELECT TRY_CAST(to_integral(json_path_value(a, '$.b')) AS INTEGER), "
               "coalesce(json_path_exists(a, '$.b'), FALSE)"}});
  CHECK(ErrorOf("SELECT MAP['a']").find("pairs") != std::string::npos);
  CHECK(ErrorOf("SELECT EXTRACT(FOO FROM a)").find("unit of time") != std::string::npos);
  CHECK(ErrorOf("SELECT * FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(a), INTERVAL '1' DAY))")
            .find("not supported") != std::string::npos);
}

TEST_CASE("Query forms that both take") {
  for (const char* same :
       {"SELECT a <> b, a != b, a || b, a IS DISTINCT FROM b, a IS NOT DISTINCT FROM b, NOT a IN "
        "(1, 2)",
        "SELECT a, COUNT(*) FROM t GROUP BY GROUPING SETS ((a), ()) HAVING COUNT(*) > 1 ORDER BY a "
        "DESC LIMIT 3",
        "SELECT a FROM t GROUP BY ROLLUP(a), CUBE(a)",
        "SELECT a FROM t ORDER BY a FETCH FIRST 5 ROWS ONLY",
        "SELECT * FROM t CROSS JOIN UNNEST(t.a) AS u(x)",
        "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v(x, y)",
        "WITH q AS (SELECT 1 AS a) SELECT * FROM q UNION ALL SELECT 2 EXCEPT SELECT 3",
        "SELECT SUM(a) OVER (PARTITION BY b ORDER BY c ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) "
        "FROM t",
        "SELECT * FROM a LEFT JOIN b ON a.x = b.x AND a.y LIKE 'x%' ESCAPE '!' WHERE EXISTS "
        "(SELECT 1 FROM c)",
        "SELECT CASE a WHEN 1 THEN 'x' ELSE 'y' END, COUNT(DISTINCT b) FILTER (WHERE b > 1) FROM "
        "t"}) {
    CheckPairs({{same, same}});
  }
}

}  // namespace millrace
