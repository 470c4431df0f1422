// Schemas: JSON with types, which may be nested.
#include "fuzz_target.h"
#include "meta/schema.h"

namespace millrace {

std::vector<std::string> FuzzSeeds() {
  TableDefinition definition;
  definition.path = {"c", "d", "t"};
  for (const char* type :
       {"BIGINT NOT NULL", "STRING NOT NULL", "DECIMAL(18, 2)", "TIMESTAMP(3) WITH LOCAL TIME ZONE",
        "ARRAY<INT NOT NULL>", "MAP<STRING, ROW<a INT, b ARRAY<ROW<x STRING>>>>", "MULTISET<DATE>",
        "VARBINARY(7)", "CHAR(3)", "TIME(3)"}) {
    ColumnDefinition column;
    column.name = "c" + std::to_string(definition.columns.size());
    column.type = ParseDataType(type);
    definition.columns.push_back(column);
  }
  definition.primary_key = {"c1", "c0"};
  definition.partition_keys = {"c1"};
  definition.options = {{"bucket", "2"}, {"changelog-producer", "input"}};
  return {SchemaToJson(MakeSchema(definition, 1'700'000'000'000))};
}

}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace;
  AllowErrors([&] {
    auto decode = [](std::string_view json) { return SchemaFromJson(json, "fuzzed"); };
    CheckRoundTrip(decode(FuzzBytes(data, size)), SchemaToJson, decode);
  });
  return 0;
}
