// Goal: when a query is given up by an exception, none of its work goes on. Method: a function that
// tells how many threads are in it; DuckDB's own connection fails this.
#include "base/query_connection.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "base/duck.h"
#include "duckdb/main/config.hpp"
#include "duckdb/main/database.hpp"

namespace millrace {

namespace {

std::atomic<int> at_work{0};

void Slow(DataChunk& arguments, duckdb::ExpressionState&, Vector& result) {
  at_work++;
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  result.Reference(arguments.data[0]);
  at_work--;
}

}  // namespace

TEST_CASE("An exception ends the query that it leaves") {
  duckdb::DBConfig config;
  config.SetOptionByName("threads", Value::BIGINT(4));
  duckdb::DuckDB database(nullptr, &config);
  duckdb::Connection setup(database);
  setup.CreateVectorizedFunction("slow", {LogicalType::BIGINT}, LogicalType::BIGINT, Slow);
  REQUIRE(!setup.Query("CREATE TABLE t AS SELECT range AS id FROM range(2000000)")->HasError());
  for (int round = 0; round < 10; round++) {
    CAPTURE(round);
    try {
      QueryConnection connection(database);
      auto result = connection.SendQuery("SELECT slow(id) FROM t");
      REQUIRE(result->Fetch());
      throw std::runtime_error("given up");
    } catch (const std::runtime_error&) {
      CHECK(at_work == 0);
    }
  }
}

}  // namespace millrace
