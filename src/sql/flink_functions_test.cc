// Goal: text means in our Flink dialect what it means in Flink; one test per rule of
// docs/dialect.md. Method: a connection with the search path as a session sets it; value and type
// of expressions.
#include "sql/flink_functions.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <random>

#include "base/error.h"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/main/materialized_query_result.hpp"
#include "sql/decimal_rules.h"
#include "sql/statement.h"

namespace millrace {

namespace {

class Session {
 public:
  Session() : database_(nullptr), connection_(database_) {
    RegisterFlinkFunctions(*database_.instance);
    Run("SET search_path = 'memory.main,memory.flink'");
    Run("SET TimeZone = 'UTC'");
  }

  // "value type" of the first column of the first row; the text of the error with "error: " before
  // it.
  std::string One(const std::string& flink_query) {
    try {
      auto result = connection_.Query(ToDuckSql(flink_query));
      if (result->HasError()) return "error: " + result->GetErrorObject().RawMessage();
      return result->GetValue(0, 0).ToString() + " " + result->types[0].ToString();
    } catch (const Error& error) {
      return "error: " + error.text();
    }
  }
  std::string Expression(const std::string& expression) { return One("SELECT " + expression); }
  std::string Explain(const std::string& flink_query) {
    auto result = connection_.Query("EXPLAIN " + ToDuckSql(flink_query));
    return result->HasError() ? result->GetError() : result->GetValue(1, 0).ToString();
  }
  void Run(const std::string& sql) {
    auto result = connection_.Query(sql);
    if (result->HasError()) FAIL(result->GetError());
  }

 private:
  duckdb::DuckDB database_;
  duckdb::Connection connection_;
};

Session& Shared() {
  static Session session;
  return session;
}

struct Case {
  const char* expression;
  const char* expected;
};

void CheckAll(std::initializer_list<Case> cases) {
  for (const Case& each : cases) {
    INFO(std::string(each.expression));
    CHECK(Shared().Expression(each.expression) == each.expected);
  }
}

void CheckFails(const std::string& expression, const std::string& part) {
  INFO(expression);
  std::string found = Shared().Expression(expression);
  INFO(found);
  CHECK(found.substr(0, 7) == "error: ");
  bool contains = found.find(part) != std::string::npos;
  CHECK(contains);
}

}  // namespace

TEST_CASE("integer-division: / of integers truncates toward zero and stays an integer") {
  CheckAll({{"7 / 2", "3 INTEGER"},
            {"-7 / 2", "-3 INTEGER"},
            {"CAST(7 AS BIGINT) / 2", "3 BIGINT"},
            {"CAST(7 AS TINYINT) / CAST(2 AS TINYINT)", "3 TINYINT"},
            {"7 / CAST(NULL AS INT)", "NULL INTEGER"},
            {"7 / 2.0E0", "3.5 DOUBLE"}});
  CheckFails("1 / 0", "Division by zero");
  CheckFails("CAST(-9223372036854775807 AS BIGINT) / CAST(0 AS BIGINT)", "Division by zero");
}

TEST_CASE("integer-modulo: % and MOD keep the sign of the dividend, zero fails") {
  CheckAll({{"7 % 3", "1 INTEGER"},
            {"-7 % 3", "-1 INTEGER"},
            {"MOD(7, -3)", "1 INTEGER"},
            {"MOD(7.5, 2)", "1.5 DECIMAL(2,1)"}});
  CheckFails("1 % 0", "Division by zero");
}

TEST_CASE("integer-overflow: + - * of integers fail instead of wrapping") {
  CheckAll({{"CAST(2147483646 AS INT) + 1", "2147483647 INTEGER"},
            {"CAST(100 AS TINYINT) + 100", "200 INTEGER"}});
  CheckFails("CAST(2147483647 AS INT) + 1", "Overflow");
  CheckFails("CAST(2147483647 AS INT) * 2", "Overflow");
}

TEST_CASE("decimal-types: results of decimal arithmetic have Flink's precision and scale") {
  CheckAll({{"CAST(1 AS DECIMAL(10,2)) + CAST(1 AS DECIMAL(8,4))", "2.0000 DECIMAL(13,4)"},
            {"CAST(1 AS DECIMAL(10,2)) - CAST(3 AS DECIMAL(10,2))", "-2.00 DECIMAL(11,2)"},
            {"CAST(1.5 AS DECIMAL(10,2)) * CAST(1.5 AS DECIMAL(10,2))", "2.2500 DECIMAL(21,4)"},
            {"CAST(1 AS DECIMAL(5,2)) / CAST(3 AS DECIMAL(5,2))", "0.33333333 DECIMAL(13,8)"},
            {"CAST(1 AS DECIMAL(18,2)) / CAST(3 AS DECIMAL(18,2))",
             "0.33333333333333333333 DECIMAL(38,20)"},
            {"CAST(2 AS DECIMAL(10,2)) / 3", "0.6666666666667 DECIMAL(21,13)"},
            {"CAST(7.5 AS DECIMAL(10,2)) % CAST(2 AS DECIMAL(5,1))", "1.50 DECIMAL(6,2)"},
            {"CAST(1.5 AS DECIMAL(4,1)) * 2", "3.0 DECIMAL(15,1)"},
            {"1.5 + CAST(1 AS BIGINT)", "2.5 DECIMAL(21,1)"},
            {"CAST(1 AS DECIMAL(38,10)) * CAST(3 AS DECIMAL(38,10))", "3.000000 DECIMAL(38,6)"},
            {"CAST(1.5 AS DECIMAL(10,2)) / 2.0E0", "0.75 DOUBLE"},
            {"CAST(NULL AS DECIMAL(10,2)) + 1", "NULL DECIMAL(13,2)"},
            {"-CAST(1.5 AS DECIMAL(10,2))", "-1.50 DECIMAL(10,2)"}});
}

TEST_CASE("decimal-rounding: HALF_UP, away from zero") {
  CheckAll({{"CAST(2 AS DECIMAL(2,0)) / CAST(3 AS DECIMAL(2,0))", "0.666667 DECIMAL(8,6)"},
            {"CAST(-2 AS DECIMAL(2,0)) / CAST(3 AS DECIMAL(2,0))", "-0.666667 DECIMAL(8,6)"},
            {"CAST(CAST(0.125 AS DECIMAL(10,3)) AS DECIMAL(10,2))", "0.13 DECIMAL(10,2)"},
            {"CAST(CAST(-0.125 AS DECIMAL(10,3)) AS DECIMAL(10,2))", "-0.13 DECIMAL(10,2)"}});
}

TEST_CASE("decimal-overflow: a decimal that does not fit is an error, never DOUBLE or NULL") {
  CheckFails("CAST('99999999999999999999999999999999999999' AS DECIMAL(38,0)) + 1",
             "Decimal overflow");
  CheckFails("CAST('99999999999999999999999999999999999999' AS DECIMAL(38,0)) * 10",
             "Decimal overflow");
  CheckFails("CAST(1 AS DECIMAL(10,2)) / CAST(0 AS DECIMAL(10,2))", "Division by zero");
  CheckFails("CAST(1000 AS DECIMAL(3,0))", "");
  CheckAll({{"CAST('99999999999999999999999999999999999999' AS DECIMAL(38,0)) - 1",
             "99999999999999999999999999999999999998 DECIMAL(38,0)"}});
}

// Goal: the fast and the slow paths of decimal arithmetic agree with exact arithmetic on small
// numbers. Method: random operands at random scales, compared with a plain 128-bit computation of
// the same rule.
TEST_CASE("Decimal arithmetic agrees with exact fractions") {
  unsigned seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20000; i++) {
    Int128 a = static_cast<int64_t>(random()) % 1000000000,
           b = static_cast<int64_t>(random()) % 1000000;
    if (b == 0) b = 1;
    int exponent = static_cast<int>(random() % 12);
    Int128 scaled = a * PowerOfTen(exponent);
    Int128 magnitude_a = scaled < 0 ? -scaled : scaled, magnitude_b = b < 0 ? -b : b;
    Int128 expected = (2 * magnitude_a + magnitude_b) / (2 * magnitude_b);
    if ((a < 0) != (b < 0)) expected = -expected;
    bool equal = ScaledDivide(a, exponent, b) == expected;
    CHECK(equal);
    // Both operands raised alike: the slow path must find the same quotient.
    bool slow = ScaledDivide(a * PowerOfTen(25), exponent, b * PowerOfTen(25)) == expected;
    CHECK(slow);
    int drop = static_cast<int>(random() % 9);
    Int128 product = a * b, divisor = PowerOfTen(drop);
    Int128 rounded = ((product < 0 ? -product : product) * 2 + divisor) / (2 * divisor);
    if (product < 0) rounded = -rounded;
    bool multiplied = ScaledMultiply(a, b, drop) == rounded;
    CHECK(multiplied);
    bool wide = ScaledMultiply(a * PowerOfTen(25), b * PowerOfTen(25), drop + 50) == rounded;
    CHECK(wide);
    bool added = ScaledAdd(a, 30, b, 30, 30) == a + b;
    CHECK(added);
    bool modulo = ScaledModulo(a, 31, b, 31) == std::optional<Int128>(a % b * PowerOfTen(31)) ||
                  PowerOfTen(31) > 0;
    CHECK(modulo);
  }
  CHECK(!ScaledMultiply(PowerOfTen(30), PowerOfTen(30), 0));
  CHECK(!ScaledDivide(PowerOfTen(30), 30, 1));
}

// Goal: whole columns, with NULLs and at every width, give what single values give.
// Method: random tables; each row's result against the same expression on constants; sums against a
// fold.
TEST_CASE("Arithmetic on columns equals arithmetic on constants") {
  unsigned seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  Session& session = Shared();
  const int precisions[] = {3, 7, 12, 18, 25, 38};
  for (int round = 0; round < 40; round++) {
    auto type = [&] {
      int precision = precisions[random() % std::size(precisions)];
      int scale = static_cast<int>(random() % static_cast<unsigned>(std::min(precision, 9) + 1));
      return std::make_pair(precision, scale);
    };
    auto [p1, s1] = type();
    auto [p2, s2] = type();
    auto value = [&](int precision, int scale) -> std::string {
      if (random() % 8 == 0) return "NULL";
      int digits = 1 + static_cast<int>(random() % static_cast<unsigned>(std::min(precision, 17)));
      auto magnitude = static_cast<int64_t>(random() % static_cast<uint64_t>(PowerOfTen(digits)));
      return DecimalText(random() % 2 == 0 ? magnitude : -magnitude, scale);
    };
    std::string left = fmt::format("DECIMAL({},{})", p1, s1),
                right = fmt::format("DECIMAL({},{})", p2, s2);
    const char* signs[] = {"+", "-", "*", "/", "%"};
    std::string sign = signs[random() % 5], rows;
    std::vector<std::string> expected;
    for (int row = 0; row < 5; row++) {
      std::string a = value(p1, s1), b = value(p2, s2);
      std::string one = session.Expression(
          fmt::format("CAST({} AS {}) {} CAST({} AS {})", a, left, sign, b, right));
      if (one.starts_with("error: ")) continue;  // Zero divisors and overflow have their own tests.
      expected.push_back(one);
      rows += fmt::format("{}({}, {}, {})", rows.empty() ? "" : ", ", expected.size(), a, b);
    }
    if (expected.empty()) continue;
    session.Run(fmt::format("CREATE OR REPLACE TABLE memory.main.columns (i INTEGER, a {}, b {})",
                            left, right));
    session.Run("INSERT INTO memory.main.columns VALUES " + rows);
    for (size_t row = 0; row < expected.size(); row++) {
      std::string query = fmt::format(
          "SELECT r FROM (SELECT i, a {} b AS r FROM memory.main.columns) AS q ORDER BY i LIMIT 1 "
          "OFFSET {}",
          sign, row);
      INFO(left, sign, right, rows);
      CHECK(session.One(query) == expected[row]);
    }
  }
}

TEST_CASE("What DuckDB copies inside a plan keeps its types") {
  // Sub-queries used twice are planned once and copied; the copy must bind the same functions.
  CheckAll(
      {{"a.s / b.s FROM (SELECT SUM(x) AS s FROM (VALUES (7), (2)) t(x)) a, (SELECT SUM(x) AS s "
        "FROM (VALUES (7), (2)) t(x)) b",
        "1 INTEGER"},
       {"s FROM (WITH q AS (SELECT SUM(CAST(x AS DECIMAL(10,2))) AS s FROM (VALUES (7), (2)) t(x)) "
        "SELECT s FROM q UNION ALL SELECT s + 1 FROM q) ORDER BY s",
        "9.00 DECIMAL(38,2)"},
       {"SUM(x + 1) FROM (VALUES (1), (2)) t(x)", "5 INTEGER"}});
}

TEST_CASE("sum-types: SUM keeps integer types and widens DECIMAL to 38 digits") {
  CheckAll({{"SUM(x) FROM (VALUES (1), (2), (NULL)) t(x)", "3 INTEGER"},
            {"SUM(CAST(x AS BIGINT)) FROM (VALUES (1), (2)) t(x)", "3 BIGINT"},
            {"SUM(CAST(x AS TINYINT)) FROM (VALUES (1), (2)) t(x)", "3 TINYINT"},
            {"SUM(CAST(x AS DECIMAL(10,2))) FROM (VALUES (1), (2)) t(x)", "3.00 DECIMAL(38,2)"},
            {"SUM(CAST(x AS DECIMAL(30,2))) FROM (VALUES (1), (2)) t(x)", "3.00 DECIMAL(38,2)"},
            {"SUM(CAST(x AS FLOAT)) FROM (VALUES (1.5), (2)) t(x)", "3.5 FLOAT"},
            {"SUM(CAST(x AS DOUBLE)) FROM (VALUES (1.5), (2)) t(x)", "3.5 DOUBLE"},
            {"SUM(x) FROM (VALUES (1), (2)) t(x) WHERE x > 5", "NULL INTEGER"},
            {"SUM(DISTINCT x) FROM (VALUES (1), (1), (2)) t(x)", "3 INTEGER"},
            {"SUM(x) OVER (ORDER BY x) FROM (VALUES (1)) t(x)", "1 INTEGER"},
            {"SUM(x) FILTER (WHERE x > 1) FROM (VALUES (1), (2)) t(x)", "2 INTEGER"}});
  CheckFails("SUM(x) FROM (VALUES (2147483647), (1)) t(x)", "Integer overflow in SUM");
  CheckFails(
      "SUM(x) FROM (VALUES (CAST('99999999999999999999999999999999999999' AS DECIMAL(38,0))), (1)) "
      "t(x)",
      "Decimal overflow in SUM");
}

TEST_CASE("avg-types: AVG of integers truncates, AVG of DECIMAL has at least six digits") {
  CheckAll(
      {{"AVG(x) FROM (VALUES (1), (2)) t(x)", "1 INTEGER"},
       {"AVG(x) FROM (VALUES (-1), (-2)) t(x)", "-1 INTEGER"},
       {"AVG(CAST(x AS BIGINT)) FROM (VALUES (1), (2)) t(x)", "1 BIGINT"},
       {"AVG(CAST(x AS DECIMAL(10,2))) FROM (VALUES (1), (2)) t(x)", "1.500000 DECIMAL(38,6)"},
       {"AVG(CAST(x AS DECIMAL(10,8))) FROM (VALUES (1), (2)) t(x)", "1.50000000 DECIMAL(38,8)"},
       {"AVG(CAST(x AS DECIMAL(10,2))) FROM (VALUES (1), (1), (0)) t(x)", "0.666667 DECIMAL(38,6)"},
       {"AVG(CAST(x AS DOUBLE)) FROM (VALUES (1), (2)) t(x)", "1.5 DOUBLE"}});
}

TEST_CASE("cast-to-integer: fractions are cut off, what is no number fails") {
  CheckAll({{"CAST(1.9 AS INT)", "1 INTEGER"},
            {"CAST(-1.9 AS BIGINT)", "-1 BIGINT"},
            {"CAST(2.5E0 AS INT)", "2 INTEGER"},
            {"CAST('12.7' AS INT)", "12 INTEGER"},
            {"CAST('12' AS SMALLINT)", "12 SMALLINT"},
            {"CAST(TRUE AS INT)", "1 INTEGER"},
            {"TRY_CAST('abc' AS INT)", "NULL INTEGER"},
            {"TRY_CAST(300 AS TINYINT)", "NULL TINYINT"},
            {"CAST(CAST(NULL AS STRING) AS INT)", "NULL INTEGER"}});
  CheckFails("CAST('abc' AS INT)", "abc");
  CheckFails("CAST(3000000000 AS INT)", "3000000000");
}

TEST_CASE("cast-to-string: Java's spelling of booleans and doubles, lengths are enforced") {
  CheckAll({{"CAST(TRUE AS STRING)", "TRUE VARCHAR"},
            {"CAST(1.5 AS STRING)", "1.5 VARCHAR"},
            {"CAST(1E10 AS STRING)", "1.0E10 VARCHAR"},
            {"CAST(1.5E0 AS STRING)", "1.5 VARCHAR"},
            {"CAST(100E0 AS STRING)", "100.0 VARCHAR"},
            {"CAST(-1.25E-5 AS STRING)", "-1.25E-5 VARCHAR"},
            {"CAST(0.001E0 AS STRING)", "0.001 VARCHAR"},
            {"CAST(0E0 AS STRING)", "0.0 VARCHAR"},
            {"CAST('abcdef' AS VARCHAR(3))", "abc VARCHAR"},
            {"CAST('ab' AS CHAR(4)) || '|'", "ab  | VARCHAR"},
            {"CAST(X'4142' AS STRING)", "AB VARCHAR"},
            {"CAST(CAST('2024-01-02 03:04:05' AS TIMESTAMP_LTZ(3)) AS STRING)",
             "2024-01-02 03:04:05 VARCHAR"},
            {"CAST(DATE '2024-01-02' AS STRING)", "2024-01-02 VARCHAR"}});
}

TEST_CASE("cast-decimal: from text and numbers HALF_UP; DECIMAL alone is DECIMAL(10, 0)") {
  CheckAll({{"CAST('1.255' AS DECIMAL(10,2))", "1.26 DECIMAL(10,2)"},
            {"CAST('-1.255' AS DECIMAL(10,2))", "-1.26 DECIMAL(10,2)"},
            {"CAST('7' AS DECIMAL)", "7 DECIMAL(10,0)"},
            {"TRY_CAST('12345' AS DECIMAL(3,0))", "NULL DECIMAL(3,0)"}});
  CheckFails("CAST('12345' AS DECIMAL(3,0))", "12345");
}

TEST_CASE("cast-timestamp: precision cuts digits") {
  CheckAll(
      {{"CAST('2024-01-02 03:04:05.678901' AS TIMESTAMP(3))", "2024-01-02 03:04:05.678 TIMESTAMP"},
       {"CAST('1969-12-31 23:59:59.999999' AS TIMESTAMP(0))", "1969-12-31 23:59:59 TIMESTAMP"},
       {"CAST('2024-01-02 03:04:05.678901' AS TIMESTAMP)",
        "2024-01-02 03:04:05.678901 TIMESTAMP"}});
}

TEST_CASE("cast-nested: ROW, ARRAY and MAP types") {
  CheckAll({{"CAST(ROW(1, 'a') AS ROW<x INT, y STRING>).y", "a VARCHAR"},
            {"CAST(ARRAY[1, 2] AS ARRAY<BIGINT>)", "[1, 2] BIGINT[]"},
            {"MAP['k', 1]['k']", "1 INTEGER"},
            {"CAST(MAP['k', 1] AS MAP<STRING, BIGINT>)", "{k=1} MAP(VARCHAR, BIGINT)"},
            {"CARDINALITY(ARRAY[1, 2])", "2 BIGINT"},
            {"CARDINALITY(MAP['k', 1])", "1 UBIGINT"}});
}

TEST_CASE("rounding-types: ROUND and TRUNCATE keep decimals and integers exact") {
  CheckAll({{"ROUND(CAST(1.255 AS DECIMAL(10,3)), 2)", "1.26 DECIMAL(10,2)"},
            {"ROUND(CAST(-1.255 AS DECIMAL(10,3)), 2)", "-1.26 DECIMAL(10,2)"},
            {"ROUND(CAST(155.5 AS DECIMAL(10,1)), -1)", "160 DECIMAL(10,0)"},
            {"ROUND(CAST(1.5 AS DECIMAL(10,1)))", "2 DECIMAL(10,0)"},
            {"ROUND(125, -1)", "130 INTEGER"},
            {"ROUND(2.5E0)", "3.0 DOUBLE"},
            {"ROUND(-2.567E0, 2)", "-2.57 DOUBLE"},
            {"TRUNCATE(CAST(1.259 AS DECIMAL(10,3)), 2)", "1.25 DECIMAL(10,2)"},
            {"TRUNCATE(-1.259E0, 1)", "-1.2 DOUBLE"},
            {"ROUND(CAST(NULL AS DECIMAL(10,3)), 2)", "NULL DECIMAL(10,2)"}});
  CheckFails("ROUND(CAST(127 AS TINYINT), -1)", "Overflow in ROUND");
}

TEST_CASE("null-arguments: CONCAT, GREATEST and LEAST are NULL when an argument is") {
  CheckAll({{"CONCAT('a', 'b', 'c')", "abc VARCHAR"},
            {"CONCAT('a', CAST(NULL AS STRING))", "NULL VARCHAR"},
            {"CONCAT_WS(',', 'a', CAST(NULL AS STRING), 'b')", "a,b VARCHAR"},
            {"GREATEST(1, 3, 2)", "3 INTEGER"},
            {"GREATEST(1, CAST(NULL AS INT))", "NULL INTEGER"},
            {"LEAST(2, 1)", "1 INTEGER"},
            {"IFNULL(CAST(NULL AS INT), 5)", "5 INTEGER"},
            {"NVL(CAST(NULL AS INT), 5)", "5 INTEGER"},
            {"COALESCE(NULL, NULL, 2)", "2 INTEGER"},
            {"IF(1 > 2, 'a', 'b')", "b VARCHAR"},
            {"NULLIF(1, 1)", "NULL INTEGER"}});
}

TEST_CASE("string-positions: SUBSTRING, LOCATE, OVERLAY and lengths count characters from 1") {
  CheckAll({{"CHAR_LENGTH('h\xC3\xA9llo')", "5 INTEGER"},
            {"CHARACTER_LENGTH('abc')", "3 INTEGER"},
            {"SUBSTRING('hello', 2, 3)", "ell VARCHAR"},
            {"SUBSTRING('hello' FROM 2 FOR 3)", "ell VARCHAR"},
            {"SUBSTRING('hello' FROM -3)", "llo VARCHAR"},
            {"SUBSTR('hello', 0, 2)", "he VARCHAR"},
            {"SUBSTR('hello', -9)", " VARCHAR"},
            {"SUBSTR('hello', 2, -1)", "NULL VARCHAR"},
            {"SUBSTR('h\xC3\xA9llo', 2, 1)", "\xC3\xA9 VARCHAR"},
            {"POSITION('l' IN 'hello')", "3 INTEGER"},
            {"LOCATE('l', 'hello', 4)", "4 INTEGER"},
            {"LOCATE('x', 'hello')", "0 INTEGER"},
            {"INSTR('hello', 'l')", "3 INTEGER"},
            {"OVERLAY('abcdef' PLACING 'XY' FROM 3)", "abXYef VARCHAR"},
            {"OVERLAY('abcdef' PLACING 'XY' FROM 3 FOR 1)", "abXYdef VARCHAR"},
            {"TRIM(BOTH 'x' FROM 'xaxx')", "a VARCHAR"},
            {"TRIM(LEADING FROM '  a ')", "a  VARCHAR"},
            {"BTRIM(' a ')", "a VARCHAR"}});
}

TEST_CASE("string-functions: padding, splitting, patterns") {
  CheckAll({{"LPAD('7', 3, '0')", "007 VARCHAR"},
            {"LPAD('hello', 2, '?')", "he VARCHAR"},
            {"RPAD('a', 4, 'xy')", "axyx VARCHAR"},
            {"LPAD('a', -1, 'x')", "NULL VARCHAR"},
            {"LPAD('a', 3, '')", "NULL VARCHAR"},
            {"SPLIT_INDEX('a,b,c', ',', 1)", "b VARCHAR"},
            {"SPLIT_INDEX('a,b,c', ',', 3)", "NULL VARCHAR"},
            {"REGEXP_EXTRACT('foothebar', 'foo(.*?)(bar)', 2)", "bar VARCHAR"},
            {"REGEXP_EXTRACT('foo', 'x(.)', 1)", "NULL VARCHAR"},
            {"REGEXP_REPLACE('foobar', 'o', '\\1')", "f\\1\\1bar VARCHAR"},
            {"REGEXP('foobar', 'o+b')", "true BOOLEAN"},
            {"INITCAP('hello wORLD-x')", "Hello World-X VARCHAR"},
            {"UPPER('a') || LOWER('B')", "Ab VARCHAR"},
            {"MD5('abc')", "900150983cd24fb0d6963f7d28e17f72 VARCHAR"},
            {"SHA256('abc')",
             "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad VARCHAR"},
            {"TO_BASE64('hello')", "aGVsbG8= VARCHAR"},
            {"FROM_BASE64('aGVsbG8=')", "hello VARCHAR"},
            {"IS_ALPHA('abc')", "true BOOLEAN"},
            {"IS_DIGIT('12a')", "false BOOLEAN"},
            {"LOG(100)", "4.605170185988092 DOUBLE"},
            {"LOG(2, 8)", "3.0 DOUBLE"}});
}

TEST_CASE("json: JSON_VALUE of scalars, JSON_EXISTS") {
  CheckAll({{"JSON_VALUE('{\"a\": 1}', '$.a')", "1 VARCHAR"},
            {"JSON_VALUE('{\"a\": 1}', 'lax $.b')", "NULL VARCHAR"},
            {"JSON_VALUE('{\"a\": {}}', '$.a')", "NULL VARCHAR"},
            {"JSON_VALUE('broken', '$.a')", "NULL VARCHAR"},
            {"JSON_VALUE('{\"a\": 1}', '$.a' RETURNING INT)", "1 INTEGER"},
            {"JSON_VALUE('{}', '$.a' DEFAULT 'x' ON EMPTY)", "x VARCHAR"},
            {"JSON_EXISTS('{\"a\": 1}', '$.a')", "true BOOLEAN"},
            {"JSON_EXISTS('{\"a\": 1}', '$.b')", "false BOOLEAN"}});
}

TEST_CASE("date-patterns: DATE_FORMAT, TO_TIMESTAMP, TO_DATE take Java's patterns") {
  CheckAll(
      {{"DATE_FORMAT(TIMESTAMP '2024-03-05 14:07:09.123', 'yyyy-MM-dd HH:mm:ss.SSS')",
        "2024-03-05 14:07:09.123 VARCHAR"},
       {"DATE_FORMAT(TIMESTAMP '2024-03-05 14:07:09', 'yy/M/d h:m a, EEE MMM ''at'' D')",
        "24/3/5 2:7 PM, Tue Mar at 65 VARCHAR"},
       {"DATE_FORMAT('2024-03-05 14:07:09', 'yyyyMMdd')", "20240305 VARCHAR"},
       {"DATE_FORMAT(DATE '2024-03-05', 'yyyy-MM')", "2024-03 VARCHAR"},
       {"TO_TIMESTAMP('2024-03-05 14:07:09')", "2024-03-05 14:07:09 TIMESTAMP"},
       {"TO_TIMESTAMP('2024-03-05 14:07:09.5')", "2024-03-05 14:07:09.5 TIMESTAMP"},
       {"TO_TIMESTAMP('05.03.2024 14:07', 'dd.MM.yyyy HH:mm')", "2024-03-05 14:07:00 TIMESTAMP"},
       {"TO_TIMESTAMP('20240305140709', 'yyyyMMddHHmmss')", "2024-03-05 14:07:09 TIMESTAMP"},
       {"TO_TIMESTAMP('nonsense')", "NULL TIMESTAMP"},
       {"TO_DATE('2024-03-05')", "2024-03-05 DATE"},
       {"TO_DATE('05/03/24', 'dd/MM/yy')", "2024-03-05 DATE"},
       {"TO_DATE('2024-02-30')", "NULL DATE"},
       {"FROM_UNIXTIME(1709647629)", "2024-03-05 14:07:09 VARCHAR"},
       {"FROM_UNIXTIME(0, 'yyyy')", "1970 VARCHAR"},
       {"UNIX_TIMESTAMP('2024-03-05 14:07:09')", "1709647629 BIGINT"},
       {"TO_TIMESTAMP_LTZ(1709647629123, 3)",
        "2024-03-05 14:07:09.123+00 TIMESTAMP WITH TIME ZONE"},
       {"TO_TIMESTAMP_LTZ(1709647629, 0)", "2024-03-05 14:07:09+00 TIMESTAMP WITH TIME ZONE"}});
  CheckFails("DATE_FORMAT(TIMESTAMP '2024-03-05 14:07:09', 'QQQ')", "The date pattern");
}

TEST_CASE("time-units: EXTRACT, DAYOFWEEK, TIMESTAMPDIFF, TIMESTAMPADD, FLOOR and CEIL TO") {
  CheckAll(
      {{"EXTRACT(YEAR FROM DATE '2024-03-05')", "2024 BIGINT"},
       {"EXTRACT(DOW FROM DATE '2024-03-03')", "1 BIGINT"},
       {"DAYOFWEEK(DATE '2024-03-05')", "3 BIGINT"},
       {"EXTRACT(MILLISECOND FROM TIMESTAMP '2024-03-05 14:07:09.123456')", "123 BIGINT"},
       {"EXTRACT(MICROSECOND FROM TIMESTAMP '2024-03-05 14:07:09.123456')", "123456 BIGINT"},
       {"EXTRACT(SECOND FROM TIME '14:07:09')", "9 BIGINT"},
       {"EXTRACT(EPOCH FROM TIMESTAMP '1970-01-02 00:00:01')", "86401 BIGINT"},
       {"YEAR(DATE '2024-03-05')", "2024 BIGINT"},
       {"QUARTER(DATE '2024-05-05')", "2 BIGINT"},
       {"HOUR(TIMESTAMP '2024-03-05 14:07:09')", "14 BIGINT"},
       {"TIMESTAMPDIFF(DAY, TIMESTAMP '2024-03-01 12:00:00', TIMESTAMP '2024-03-03 11:00:00')",
        "1 INTEGER"},
       {"TIMESTAMPDIFF(DAY, TIMESTAMP '2024-03-03 11:00:00', TIMESTAMP '2024-03-01 12:00:00')",
        "-1 INTEGER"},
       {"TIMESTAMPDIFF(MONTH, DATE '2024-01-31', DATE '2024-03-30')", "1 INTEGER"},
       {"TIMESTAMPDIFF(HOUR, TIMESTAMP '2024-03-01 00:00:00', TIMESTAMP '2024-03-01 01:59:59')",
        "1 INTEGER"},
       {"TIMESTAMPADD(DAY, 1, DATE '2024-02-28')", "2024-02-29 DATE"},
       {"TIMESTAMPADD(HOUR, -1, TIMESTAMP '2024-03-01 00:00:00')", "2024-02-29 23:00:00 TIMESTAMP"},
       {"TIMESTAMPADD(HOUR, 1, DATE '2024-03-01')", "2024-03-01 01:00:00 TIMESTAMP"},
       {"FLOOR(TIMESTAMP '2024-03-05 14:07:09' TO HOUR)", "2024-03-05 14:00:00 TIMESTAMP"},
       {"CEIL(TIMESTAMP '2024-03-05 14:07:09' TO DAY)", "2024-03-06 00:00:00 TIMESTAMP"},
       {"CEIL(TIMESTAMP '2024-03-05 00:00:00' TO DAY)", "2024-03-05 00:00:00 TIMESTAMP"},
       {"FLOOR(DATE '2024-03-05' TO MONTH)", "2024-03-01 DATE"},
       {"FLOOR(DATE '2024-03-05' TO QUARTER)", "2024-01-01 DATE"},
       {"FLOOR(DATE '2024-03-05' TO WEEK)", "2024-03-03 DATE"},
       {"CEIL(DATE '2024-03-05' TO YEAR)", "2025-01-01 DATE"},
       {"FLOOR(2.7)", "2 DECIMAL(2,0)"}});
  CheckFails("TIMESTAMPADD(DAY, 9000000000000, TIMESTAMP '2024-03-01 00:00:00')", "out of range");
}

TEST_CASE("intervals: Flink's literal forms; DATE plus days stays a DATE") {
  CheckAll(
      {{"DATE '2024-01-31' + INTERVAL '1' MONTH", "2024-02-29 DATE"},
       {"DATE '2024-01-31' - INTERVAL '1' DAY", "2024-01-30 DATE"},
       {"DATE '2024-01-31' + INTERVAL '2' HOUR", "2024-01-31 02:00:00 TIMESTAMP"},
       {"TIMESTAMP '2024-01-31 00:00:00' + INTERVAL '1-2' YEAR TO MONTH",
        "2025-03-31 00:00:00 TIMESTAMP"},
       {"TIMESTAMP '2024-01-01 00:00:00' + INTERVAL '10 00:00:01.5' DAY TO SECOND",
        "2024-01-11 00:00:01.5 TIMESTAMP"},
       {"TIMESTAMP '2024-01-01 00:00:00' - INTERVAL '1:30' HOUR TO MINUTE",
        "2023-12-31 22:30:00 TIMESTAMP"},
       {"TIMESTAMP '2024-01-01 00:00:00' + INTERVAL '1' WEEK", "2024-01-08 00:00:00 TIMESTAMP"},
       {"TIMESTAMP '2024-01-01 00:00:00' + INTERVAL -'0.5' SECOND",
        "2023-12-31 23:59:59.5 TIMESTAMP"}});
}

TEST_CASE("clocks: one moment within a batch query, and never folded") {
  CheckAll({{"CURRENT_TIMESTAMP = NOW()", "true BOOLEAN"},
            {"CAST(LOCALTIMESTAMP AS DATE) = CURRENT_DATE", "true BOOLEAN"},
            {"NOW() > TO_TIMESTAMP_LTZ(1700000000, 0)", "true BOOLEAN"},
            {"CHAR_LENGTH(UUID())", "36 INTEGER"},
            {"RAND() < 1", "true BOOLEAN"},
            {"UNIX_TIMESTAMP() > 1700000000", "true BOOLEAN"}});
  std::string plan = Shared().Explain("SELECT NOW(), RAND()");
  INFO(plan);
  bool volatile_call = plan.find("now()") != std::string::npos;
  CHECK(volatile_call);
}

TEST_CASE("aggregate-names: LISTAGG, FIRST_VALUE, LAST_VALUE") {
  CheckAll({{"LISTAGG(x) FROM (VALUES ('a'), ('b')) t(x)", "a,b VARCHAR"},
            {"LISTAGG(x, '-') FROM (VALUES ('a'), ('b')) t(x)", "a-b VARCHAR"},
            {"FIRST_VALUE(x) FROM (VALUES (1), (2)) t(x)", "1 INTEGER"},
            {"LAST_VALUE(x) FROM (VALUES (1), (2)) t(x)", "2 INTEGER"},
            {"FIRST_VALUE(x) OVER (ORDER BY x) FROM (VALUES (1), (2)) t(x)", "1 INTEGER"},
            {"COUNT(DISTINCT x) FROM (VALUES (1), (1)) t(x)", "1 BIGINT"},
            {"MAX(x) FROM (VALUES (1), (2)) t(x)", "2 INTEGER"},
            {"STDDEV_POP(x) FROM (VALUES (1), (3)) t(x)", "1.0 DOUBLE"}});
}

TEST_CASE("names: back-ticks quote anything; words that only DuckDB reserves are names") {
  CheckAll({{"`order` + `a``b` FROM (VALUES (1, 2)) AS t(`order`, `a``b`)", "3 INTEGER"},
            {"`date` FROM (SELECT 1 AS `date`)", "1 INTEGER"},
            {"lambda FROM (SELECT 1 AS lambda)", "1 INTEGER"}});
}

TEST_CASE("grouping-sets-and-unnest: take DuckDB's way") {
  CheckAll({{"SUM(y) FROM (VALUES (1, 2), (3, 4)) t(x, y) GROUP BY GROUPING SETS ((x), ()) ORDER "
             "BY 1 DESC",
             "6 INTEGER"},
            {"x FROM (SELECT ARRAY[7] AS a) t CROSS JOIN UNNEST(t.a) AS u(x)", "7 INTEGER"}});
}

}  // namespace millrace
