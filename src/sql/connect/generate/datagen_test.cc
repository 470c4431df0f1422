// Goal: generated rows follow the options, and any stretch of them can be made again.
// Method: every type and kind, compared with bounds; replay from random cuts (seed printed).
#include "sql/connect/generate/datagen.h"

#include <doctest/doctest.h>

#include <set>

#include "sql/connect/connector_fixture.h"

using namespace millrace;

namespace {

std::unique_ptr<Source> MakeDatagen(TestEnvironment& test, const TableDefinition& table,
                                    bool bounded = false) {
  ConnectorRegistry registry;
  RegisterDatagenConnector(registry);
  registry.Check(table);
  return registry.Get("datagen").MakeSource(test.environment, {WholeTable(table)}, bounded);
}

std::string Failure(const TableDefinition& table, bool bounded = false) {
  TestEnvironment test;
  try {
    MakeDatagen(test, table, bounded);
  } catch (const Error& error) {
    return error.text();
  }
  return "no error";
}

}  // namespace

TEST_CASE("Replay from any cut gives the same rows of every type") {
  auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  TestEnvironment test;
  TableDefinition table = TestTable("datagen",
                                    "a BOOLEAN, b TINYINT, c SMALLINT, d INT, e BIGINT, f FLOAT, g "
                                    "DOUBLE, h DECIMAL(4, 1), i DECIMAL(30, 5), "
                                    "j CHAR(5), k STRING, l BYTES, m DATE, n TIME(3), o "
                                    "TIMESTAMP(3), p TIMESTAMP_LTZ(9), q ARRAY<STRING>, "
                                    "r MAP<STRING, INT>, s ROW<x INT, y ARRAY<DOUBLE>>",
                                    {{"rows-per-second", "1000000"},
                                     {"number-of-rows", "20000"},
                                     {"fields.d.kind", "sequence"},
                                     {"fields.d.start", "-5"},
                                     {"fields.d.end", "14000"},
                                     {"fields.k.length", "20"},
                                     {"fields.k.null-rate", "0.3"},
                                     {"fields.o.max-past", "2 h"},
                                     {"fields.s.x.min", "3"},
                                     {"fields.s.x.max", "4"},
                                     {"fields.q.element.length", "2"}});
  Lines lines = CheckReplay([&] { return MakeDatagen(test, table); }, random);
  CHECK(lines.size() == 14006);
  CHECK(std::set<std::string>(lines.begin(), lines.end()).size() == lines.size());
  // Another run of the same table gives the same rows: the seed is the table's path.
  auto again = MakeDatagen(test, table);
  CHECK(ReadAll(*again, random) == lines);
}

TEST_CASE("Values keep to their bounds and reach them") {
  std::mt19937_64 random(1);
  TestEnvironment test;
  TableDefinition table = TestTable("datagen", "a INT, b DECIMAL(5, 2), c BIGINT, d STRING",
                                    {{"rows-per-second", "100000"},
                                     {"number-of-rows", "5000"},
                                     {"fields.a.min", "-2"},
                                     {"fields.a.max", "2"},
                                     {"fields.b.min", "1.25"},
                                     {"fields.b.max", "1.27"},
                                     {"fields.c.kind", "sequence"},
                                     {"fields.c.start", "10"},
                                     {"fields.c.end", "1000000"},
                                     {"fields.d.length", "3"},
                                     {"fields.d.null-rate", "0.5"}});
  auto source = MakeDatagen(test, table);
  CHECK(source->IsBounded());
  std::set<int> a;
  std::set<std::string> b;
  int64_t next = 10, nulls = 0;
  SourceStatus status;
  do {
    status = source->Read({}, [&](idx_t, ChangeChunk& chunk) {
      for (idx_t row = 0; row < chunk.size(); row++) {
        a.insert(chunk.rows.GetValue(0, row).GetValue<int32_t>());
        b.insert(chunk.rows.GetValue(1, row).ToString());
        REQUIRE(chunk.rows.GetValue(2, row).GetValue<int64_t>() == next++);
        Value d = chunk.rows.GetValue(3, row);
        if (d.IsNull())
          nulls++;
        else
          REQUIRE(d.ToString().size() == 3);
      }
    });
  } while (status != SourceStatus::kEnd);
  CHECK(next == 5010);
  CHECK(a == std::set<int>{-2, -1, 0, 1, 2});
  CHECK(b == std::set<std::string>{"1.25", "1.26", "1.27"});
  CHECK(nulls > 2200);
  CHECK(nulls < 2800);
}

TEST_CASE("The rate is kept by the clock") {
  TestEnvironment test;
  auto source = MakeDatagen(test, TestTable("datagen", "a INT", {{"rows-per-second", "100"}}));
  CHECK_FALSE(source->IsBounded());
  int64_t rows = 0;
  auto read = [&] {
    return source->Read(
        {}, [&](idx_t, ChangeChunk& chunk) { rows += static_cast<int64_t>(chunk.size()); });
  };
  CHECK(read() == SourceStatus::kProgress);
  CHECK(rows == 100);
  CHECK(read() == SourceStatus::kIdle);
  test.clock.SleepMs(500);
  CHECK(read() == SourceStatus::kProgress);
  CHECK(rows == 150);
}

TEST_CASE("Options that do not fit are refused") {
  CHECK(Failure(TestTable("datagen", "a INT", {{"fields.b.min", "1"}})).find("column 'b'") !=
        std::string::npos);
  CHECK(Failure(TestTable("datagen", "a INT", {{"fields.a.min", "x"}})).find("whole number") !=
        std::string::npos);
  CHECK(Failure(TestTable("datagen", "a TINYINT", {{"fields.a.max", "300"}})).find("at most 127") !=
        std::string::npos);
  CHECK(Failure(TestTable("datagen", "a INT", {{"fields.a.kind", "sequence"}}))
            .find("fields.a.start") != std::string::npos);
  CHECK(Failure(TestTable("datagen", "a INT", {{"rows-per-secnd", "1"}}))
            .find("'rows-per-second'?") != std::string::npos);
  CHECK(Failure(TestTable("datagen", "a INT", {}), true).find("number-of-rows") !=
        std::string::npos);
}
