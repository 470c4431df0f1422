// datagen_bench.cc - rows a second of the generator, one thread.
#include <chrono>
#include <cstdio>

#include "sql/connect/connector_fixture.h"
#include "sql/connect/generate/datagen.h"

using namespace millrace;

int main() {
  ConnectorRegistry registry;
  RegisterDatagenConnector(registry);
  TestEnvironment test;
  for (const char* columns :
       {"a INT", "a INT, b BIGINT", "a BIGINT, b DECIMAL(18, 2), c TIMESTAMP(3), d STRING"}) {
    TableDefinition table = TestTable(
        "datagen", columns, {{"rows-per-second", "1000000000"}, {"number-of-rows", "20000000"}});
    if (table.columns.size() == 4) table.options["fields.d.length"] = "10";
    auto source = registry.Get("datagen").MakeSource(test.environment, {WholeTable(table)}, true);
    auto start = std::chrono::steady_clock::now();
    while (source->Read({}, [](idx_t, ChangeChunk&) {}) != SourceStatus::kEnd) {
    }
    double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::printf("%-55s %7.1f M rows/s\n", columns, 20 / seconds);
  }
}
