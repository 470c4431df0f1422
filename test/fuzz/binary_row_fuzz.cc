// BinaryRows: partitions, keys, statistics. The first byte says which types the row has.
#include "fuzz_target.h"
#include "meta/binary_row.h"

namespace millrace {

namespace {

const std::vector<std::vector<DataType>>& TypeLists() {
  static const auto* lists = [] {
    auto* made = new std::vector<std::vector<DataType>>();
    for (const std::vector<const char*>& names : std::vector<std::vector<const char*>>{
             {"STRING"},
             {"BIGINT", "INT", "SMALLINT", "TINYINT", "BOOLEAN", "DATE", "TIME(3)"},
             {"FLOAT", "DOUBLE", "DECIMAL(9, 2)", "DECIMAL(18, 4)", "DECIMAL(38, 10)"},
             {"BYTES", "VARBINARY(9)", "BINARY(3)", "CHAR(4)", "VARCHAR(40)"},
             {"TIMESTAMP(0)", "TIMESTAMP(3)", "TIMESTAMP(6)", "TIMESTAMP(9)",
              "TIMESTAMP(3) WITH LOCAL TIME ZONE", "TIMESTAMP(9) WITH LOCAL TIME ZONE"}}) {
      made->emplace_back();
      for (const char* name : names) made->back().push_back(ParseDataType(name));
    }
    return made;
  }();
  return *lists;
}

Value SeedValue(const DataType& type) {
  switch (type.root) {
    case TypeRoot::kChar:
      return Value("abc");
    case TypeRoot::kVarChar:
      return Value("a text of more than eight bytes");
    case TypeRoot::kBinary:
    case TypeRoot::kVarBinary:
      return Value::BLOB_RAW("\1\2\3");
    case TypeRoot::kBoolean:
      return Value::BOOLEAN(true);
    case TypeRoot::kDate:
      return Value::DATE(duckdb::date_t(19318));
    case TypeRoot::kTime:
      return Value::TIME(duckdb::dtime_t(3'600'000'000));
    case TypeRoot::kTimestamp:
    case TypeRoot::kTimestampLtz:
      return Value::TIMESTAMP(duckdb::timestamp_t(1'669'075'200'123'456))
          .DefaultCastAs(type.ToDuck());
    default:
      return Value::INTEGER(42).DefaultCastAs(type.ToDuck());
  }
}

}  // namespace

std::vector<std::string> FuzzSeeds() {
  std::vector<std::string> seeds;
  for (size_t i = 0; i < TypeLists().size(); i++) {
    const std::vector<DataType>& types = TypeLists()[i];
    std::vector<Value> values, nulls;
    for (const DataType& type : types) {
      values.push_back(SeedValue(type));
      nulls.emplace_back(type.ToDuck());
    }
    std::string choice(1, static_cast<char>(i));
    seeds.push_back(choice + EncodeRow(types, values));
    seeds.push_back(choice + EncodeRow(types, nulls));
  }
  return seeds;
}

}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace;
  if (size == 0) return 0;
  const std::vector<DataType>& types = TypeLists()[data[0] % TypeLists().size()];
  AllowErrors([&] {
    std::vector<Value> values = DecodeRow(types, FuzzBytes(data + 1, size - 1));
    for (size_t i = 0; i < types.size(); i++) {
      if (!values[i].IsNull()) (void)ValueText(types[i], values[i], true);
    }
    CheckRowRoundTrip(
        values, [&](const std::vector<Value>& row) { return EncodeRow(types, row); },
        [&](const std::string& bytes) { return DecodeRow(types, bytes); });
  });
  return 0;
}
