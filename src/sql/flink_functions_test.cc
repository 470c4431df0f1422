// Goal: text means in our Flink dialect what it means in Flink; one test per rule of docs/dialect.md.
// Method: a connection with the search path as a session sets it; value and type of expressions.
#include "sql/flink_functions.h"

#include <doctest/doctest.h>

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

  // "value type" of the first column of the first row; the text of the error with "error: " before it.
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
  CheckAll({{"7 % 3", "1 INTEGER"}, {"-7 % 3", "-1 INTEGER"}, {"MOD(7, -3)", "1 INTEGER"}, {"MOD(7.5, 2)", "1.5 DECIMAL(2,1)"}});
  CheckFails("1 % 0", "Division by zero");
}

TEST_CASE("integer-overflow: + - * of integers fail instead of wrapping") {
  CheckAll({{"CAST(2147483646 AS INT) + 1", "2147483647 INTEGER"}, {"CAST(100 AS TINYINT) + 100", "200 INTEGER"}});
  CheckFails("CAST(2147483647 AS INT) + 1", "Overflow");
  CheckFails("CAST(2147483647 AS INT) * 2", "Overflow");
}

TEST_CASE("decimal-types: results of decimal arithmetic have Flink's precision and scale") {
  CheckAll({{"CAST(1 AS DECIMAL(10,2)) + CAST(1 AS DECIMAL(8,4))", "2.0000 DECIMAL(13,4)"},
            {"CAST(1 AS DECIMAL(10,2)) - CAST(3 AS DECIMAL(10,2))", "-2.00 DECIMAL(11,2)"},
            {"CAST(1.5 AS DECIMAL(10,2)) * CAST(1.5 AS DECIMAL(10,2))", "2.2500 DECIMAL(21,4)"},
            {"CAST(1 AS DECIMAL(5,2)) / CAST(3 AS DECIMAL(5,2))", "0.33333333 DECIMAL(13,8)"},
            {"CAST(1 AS DECIMAL(18,2)) / CAST(3 AS DECIMAL(18,2))", "0.33333333333333333333 DECIMAL(38,20)"},
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
  CheckFails("CAST('99999999999999999999999999999999999999' AS DECIMAL(38,0)) + 1", "Decimal overflow");
  CheckFails("CAST('99999999999999999999999999999999999999' AS DECIMAL(38,0)) * 10", "Decimal overflow");
  CheckFails("CAST(1 AS DECIMAL(10,2)) / CAST(0 AS DECIMAL(10,2))", "Division by zero");
  CheckFails("CAST(1000 AS DECIMAL(3,0))", "");
  CheckAll({{"CAST('99999999999999999999999999999999999999' AS DECIMAL(38,0)) - 1",
             "99999999999999999999999999999999999998 DECIMAL(38,0)"}});
}

// Goal: the fast and the slow paths of decimal arithmetic agree with exact arithmetic on small numbers.
// Method: random operands at random scales, compared with a plain 128-bit computation of the same rule.
TEST_CASE("Decimal arithmetic agrees with exact fractions") {
  unsigned seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20000; i++) {
    Int128 a = static_cast<int64_t>(random()) % 1000000000, b = static_cast<int64_t>(random()) % 1000000;
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
    bool modulo = ScaledModulo(a, 31, b, 31) == std::optional<Int128>(a % b * PowerOfTen(31)) || PowerOfTen(31) > 0;
    CHECK(modulo);
  }
  CHECK(!ScaledMultiply(PowerOfTen(30), PowerOfTen(30), 0));
  CHECK(!ScaledDivide(PowerOfTen(30), 30, 1));
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
  CheckFails("SUM(x) FROM (VALUES (CAST('99999999999999999999999999999999999999' AS DECIMAL(38,0))), (1)) t(x)", "Decimal overflow in SUM");
}

TEST_CASE("avg-types: AVG of integers truncates, AVG of DECIMAL has at least six digits") {
  CheckAll({{"AVG(x) FROM (VALUES (1), (2)) t(x)", "1 INTEGER"},
            {"AVG(x) FROM (VALUES (-1), (-2)) t(x)", "-1 INTEGER"},
            {"AVG(CAST(x AS BIGINT)) FROM (VALUES (1), (2)) t(x)", "1 BIGINT"},
            {"AVG(CAST(x AS DECIMAL(10,2))) FROM (VALUES (1), (2)) t(x)", "1.500000 DECIMAL(38,6)"},
            {"AVG(CAST(x AS DECIMAL(10,8))) FROM (VALUES (1), (2)) t(x)", "1.50000000 DECIMAL(38,8)"},
            {"AVG(CAST(x AS DECIMAL(10,2))) FROM (VALUES (1), (1), (0)) t(x)", "0.666667 DECIMAL(38,6)"},
            {"AVG(CAST(x AS DOUBLE)) FROM (VALUES (1), (2)) t(x)", "1.5 DOUBLE"}});
}

}  // namespace millrace
