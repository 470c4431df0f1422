// Goal: printed changes look as Flink prints them.
// Method: one row of every type through the sink, compared with the text of Flink's print sink.
#include "sql/connect/print/print.h"

#include <doctest/doctest.h>

#include <sstream>

#include "sql/connect/connector_fixture.h"

using namespace millrace;

TEST_CASE("Rows are printed in Flink's form, with identifier and step") {
  TestEnvironment test;
  TableDefinition table = TestTable(
      "print",
      "a INT, b STRING, c DECIMAL(10, 2), d DOUBLE, e TIMESTAMP(3), f TIMESTAMP_LTZ(3), "
      "g ARRAY<INT>, h MAP<STRING, INT>, i ROW<x INT, y STRING>, j BYTES, k DATE, l BOOLEAN",
      {});
  ConnectorRegistry registry;
  RegisterPrintConnector(registry);
  auto print = [&](const Options& options) {
    for (const auto& [name, value] : options) table.options[name] = value;
    registry.Check(table);
    auto sink = registry.Get("print").MakeSink(test.environment, table, "job");
    auto chunk = MakeChunk(
        table, {"1, 'abc', 3.10, 1e10, TIMESTAMP '2024-01-02 03:04:00', "
                "TIMESTAMPTZ '2024-01-02 03:04:05.12+00', [1, NULL], MAP {'k': 7}, "
                "{'x': 1, 'y': 'z'}, '\\x01\\xFF'::BLOB, DATE '2024-02-29', true",
                "NULL, 'two\nlines', NULL, 0.5, NULL, NULL, [], MAP {}, NULL, NULL, NULL, NULL"});
    chunk->kinds = {RowKind::kUpdateBefore, RowKind::kUpdateAfter};
    sink->Write(*chunk);
    sink->EndStep(12);
    std::string text = test.out.str();
    test.out.str("");
    return text;
  };
  std::string first =
      "-U[1, abc, 3.10, 1.0E10, 2024-01-02T03:04, 2024-01-02T03:04:05.120Z, [1, null], {k=7}, "
      "+I[1, z], [1, -1], 2024-02-29, true]\n";
  std::string second =
      "+U[null, two\nlines, null, 0.5, null, null, [], {}, null, null, null, null]\n";
  CHECK(print({}) == first + second);
  CHECK(print({{"print-identifier", "out"}}) == "out> " + first + "out> " + second);
  CHECK(print({{"print.with-step", "true"}}) == "12: out> " + first + "12: out> " + second);
}

TEST_CASE("Nothing of a step is printed before its end, however much it is") {
  TestEnvironment test;
  TableDefinition table = TestTable("print", "a STRING", {});
  ConnectorRegistry registry;
  RegisterPrintConnector(registry);
  auto sink = registry.Get("print").MakeSink(test.environment, table, "job");
  auto chunk = MakeChunk(table, std::vector<std::string>(1000, "repeat('x', 10000)"));
  for (int i = 0; i < 20; i++) sink->Write(*chunk);
  CHECK(test.out.str().empty());  // The job's journal does not have the step yet.
  sink->EndStep(1);
  CHECK(test.out.str().size() == 20 * 1000 * (10000 + 5));
}
