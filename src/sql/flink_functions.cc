// Registration of the schema `flink`.
#include "sql/flink_functions.h"

#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "base/error.h"

namespace millrace {

namespace {

const char* const kMacros[] = {
    "to_text(x) AS CAST(x AS VARCHAR)",
    "cut_to(x, n) AS left(x, n)",
    "pad_to(x, n) AS rpad(x, n, ' ')",
    "to_integral(x) AS x",
    "to_precision(x, p) AS x",
};

}  // namespace

void RegisterFlinkFunctions(duckdb::DatabaseInstance& database) {
  duckdb::Connection connection(database);
  auto run = [&](const std::string& sql) {
    auto result = connection.Query(sql);
    if (result->HasError()) result->ThrowError();
  };
  run(fmt::format("CREATE SCHEMA memory.{}", kFlinkSchema));
  for (const char* macro : kMacros) run(fmt::format("CREATE MACRO memory.{}.{}", kFlinkSchema, macro));
}

}  // namespace millrace
