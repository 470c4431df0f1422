// File indexes: the container, Bloom filters and bitmaps.
#include "duckdb/common/allocator.hpp"
#include "format/file_index.h"
#include "fuzz_target.h"

namespace millrace {

namespace {

std::vector<DataField> Fields() {
  std::vector<DataField> fields;
  for (const char* type : {"INT", "STRING", "TIMESTAMP(3)"}) {
    DataField field;
    field.id = static_cast<int>(fields.size());
    field.name = std::string(1, "ist"[fields.size()]);
    field.type = ParseDataType(type);
    fields.push_back(std::move(field));
  }
  return fields;
}

std::vector<Value> Constants(size_t field) {
  if (field == 0) return {Value::INTEGER(3), Value::INTEGER(-7)};
  if (field == 1) return {Value("v3"), Value("other")};
  return {Value::TIMESTAMP(duckdb::timestamp_t(3'000'000))};
}

}  // namespace

std::vector<std::string> FuzzSeeds() {
  duckdb::vector<LogicalType> types;
  for (const DataField& field : Fields()) types.push_back(field.type.ToDuck());
  DataChunk rows;
  rows.Initialize(duckdb::Allocator::DefaultAllocator(), types);
  for (idx_t row = 0; row < 300; row++) {
    auto number = static_cast<int32_t>(row % 11);
    rows.SetValue(0, row, row % 7 == 0 ? Value(types[0]) : Value::INTEGER(number));
    rows.SetValue(1, row, Value("v" + std::to_string(row % 50)));
    rows.SetValue(2, row, Value::TIMESTAMP(duckdb::timestamp_t(number * 1'000'000)));
  }
  rows.SetCardinality(300);
  std::vector<std::string> seeds;
  for (FileIndexType type : {FileIndexType::kBloomFilter, FileIndexType::kBitmap}) {
    for (int64_t block : {64, 16'384}) {
      std::vector<FileIndexSpec> specs;
      for (const DataField& field : Fields()) {
        specs.push_back({.column = field.name, .type = type, .items = 100, .block_bytes = block});
      }
      FileIndexBuilder builder(Fields(), specs);
      builder.Add(rows, 0);
      seeds.push_back(builder.Finish());
    }
  }
  return seeds;
}

}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace;
  std::vector<DataField> fields = Fields();
  for (size_t i = 0; i < fields.size(); i++) {
    AllowErrors([&] {
      FileIndexReader reader(IndexBytes(FuzzBytes(data, size), "fuzzed"));
      if (!reader.Has(fields[i].name)) return;
      IndexAnswer answer = reader.Ask(fields[i].name, fields[i].type, Constants(i));
      if (answer.rows) (void)answer.rows->Size();
    });
    // Without the container.
    AllowErrors([&] {
      (void)BloomMayContain(FuzzBytes(data, size), fields[i].type, Constants(i)[0], "fuzzed");
    });
    AllowErrors([&] {
      IndexBytes index(FuzzBytes(data, size), "fuzzed");
      (void)BitmapRowsOf(index, fields[i].type, Constants(i)).Size();
    });
  }
  return 0;
}
