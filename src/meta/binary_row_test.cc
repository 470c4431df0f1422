// Goal: rows, hashes, partition paths and statistics have Paimon's bytes exactly.
// Method: golden vectors that Paimon's Java produced; hashes of random chunks against hashes of
// encoded rows; random rows round trip; every prefix and many flipped bits.
#include "meta/binary_row.h"

#include <doctest/doctest.h>

#include <limits>

#include "base/error.h"
#include "duckdb/common/allocator.hpp"
#include "duckdb/common/types/hugeint.hpp"
#include "io/random.h"
#include "meta/row_codec.h"

namespace millrace {

namespace {

std::string Hex(std::string_view bytes) {
  std::string hex;
  for (char c : bytes) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return hex;
}

std::string Unhex(const std::string& hex) {
  std::string bytes;
  std::string digits;
  for (char c : hex) {
    if (c != ' ' && c != '|') digits += c;
  }
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

std::vector<DataType> Types(const std::vector<std::string>& texts) {
  std::vector<DataType> types;
  for (const std::string& text : texts) types.push_back(ParseDataType(text));
  return types;
}

/// Text cast to the DuckDB type of `type`; "NULL" is null.
Value Parse(const std::string& text, const DataType& type) {
  if (text == "NULL") return Value(type.ToDuck());
  return Value(text).DefaultCastAs(type.ToDuck());
}

struct Golden {
  std::vector<std::string> types;
  std::vector<std::string> values;
  const char* row;
  int32_t hash;
  int buckets[3];  // Of 2, 4 and 16.
};

const std::vector<Golden> kGolden = {
    {{"INT"}, {"1"}, "00000000000000000100000000000000", 1465514398, {0, 2, 14}},
    {{"INT"}, {"-7"}, "0000000000000000f9ffffff00000000", 1485184587, {1, 3, 11}},
    {{"BIGINT"}, {"1001"}, "0000000000000000e903000000000000", 1254117331, {1, 3, 3}},
    {{"STRING"}, {"abc"}, "00000000000000006162630000000083", -101922419, {1, 3, 3}},
    {{"STRING"},
     {"6222020200112233445"},
     "00000000000000001300000010000000363232323032303230303131323233333434350000000000",
     -733038313,
     {1, 1, 9}},
    {{"INT", "STRING"},
     {"7", "CNY"},
     "00000000000000000700000000000000434e590000000083",
     -1277770850,
     {0, 2, 2}},
    {{"DECIMAL(18,2)"}, {"12345.67"}, "000000000000000087d6120000000000", 754928256, {0, 0, 0}},
    {{"DECIMAL(38,2)"},
     {"-12345.67"},
     "00000000000000000300000010000000ed297900000000000000000000000000",
     742563348,
     {0, 0, 4}},
    {{"DATE"}, {"2022-11-22"}, "0000000000000000764b000000000000", 1446110404, {0, 0, 4}},
    {{"TIMESTAMP(3)"},
     {"2022-11-22 00:00:00.123"},
     "00000000000000007b68a29c84010000",
     -1823805628,
     {0, 0, 12}},
    {{"TIMESTAMP(6)"},
     {"2022-11-22 00:00:00.123456"},
     "000000000000000040f50600100000007b68a29c84010000",
     1620326699,
     {1, 3, 11}},
    {{"INT"}, {"NULL"}, "00010000000000000000000000000000", -1748325344, {0, 0, 0}},
    {{"BOOLEAN"}, {"true"}, "00000000000000000100000000000000", 1465514398, {0, 2, 14}},
    {{"DOUBLE"}, {"1.5"}, "0000000000000000000000000000f83f", 1860889473, {1, 1, 1}},
    {{"STRING"}, {"abcdefg"}, "00000000000000006162636465666787", -1431907323, {1, 3, 11}},
    {{"STRING"},
     {"abcdefgh"},
     "000000000000000008000000100000006162636465666768",
     -843760178,
     {0, 2, 2}},
};

/// All atomic types; several where the width of the value matters.
const std::vector<std::string> kAtomic = {"BOOLEAN",
                                          "TINYINT",
                                          "SMALLINT",
                                          "INT",
                                          "BIGINT",
                                          "FLOAT",
                                          "DOUBLE",
                                          "DECIMAL(3,1)",
                                          "DECIMAL(8,2)",
                                          "DECIMAL(18,4)",
                                          "DECIMAL(38,10)",
                                          "DECIMAL(19,0)",
                                          "CHAR(5)",
                                          "STRING",
                                          "BINARY(4)",
                                          "BYTES",
                                          "DATE",
                                          "TIME(3)",
                                          "TIMESTAMP(0)",
                                          "TIMESTAMP(3)",
                                          "TIMESTAMP(6)",
                                          "TIMESTAMP(9)",
                                          "TIMESTAMP_LTZ(3)",
                                          "TIMESTAMP_LTZ(6)",
                                          "TIMESTAMP_LTZ(9)"};

Value RandomValue(Random& random, const DataType& type) {
  if (random.Next() % 5 == 0) return Value(type.ToDuck());
  auto number = static_cast<int64_t>(random.Next()) >> (random.Next() % 64);
  switch (type.root) {
    case TypeRoot::kBoolean:
      return Value::BOOLEAN(number % 2 == 0);
    case TypeRoot::kTinyInt:
      return Value::TINYINT(static_cast<int8_t>(number));
    case TypeRoot::kSmallInt:
      return Value::SMALLINT(static_cast<int16_t>(number));
    case TypeRoot::kInt:
      return Value::INTEGER(static_cast<int32_t>(number));
    case TypeRoot::kBigInt:
      return Value::BIGINT(number);
    case TypeRoot::kFloat:
      return Value::FLOAT(static_cast<float>(number) / 7);
    case TypeRoot::kDouble:
      return Value::DOUBLE(static_cast<double>(number) / 7);
    case TypeRoot::kDecimal: {
      duckdb::hugeint_t limit = duckdb::Hugeint::POWERS_OF_TEN[type.length];
      duckdb::hugeint_t big =
          duckdb::hugeint_t(number) * duckdb::hugeint_t(static_cast<int64_t>(random.Next() >> 20));
      duckdb::hugeint_t unscaled = big % limit;
      auto width = static_cast<uint8_t>(type.length), scale = static_cast<uint8_t>(type.scale);
      return type.length > 18 ? Value::DECIMAL(unscaled, width, scale)
                              : Value::DECIMAL(static_cast<int64_t>(unscaled.lower), width, scale);
    }
    case TypeRoot::kChar:
    case TypeRoot::kVarChar: {
      std::string text;
      for (uint64_t i = random.Next() % 20; i > 0; i--) text += random.Next() % 4 == 0 ? "中" : "x";
      return Value(text);
    }
    case TypeRoot::kBinary:
    case TypeRoot::kVarBinary: {
      std::string bytes;
      for (uint64_t i = random.Next() % 20; i > 0; i--) bytes += static_cast<char>(random.Next());
      return Value::BLOB(reinterpret_cast<duckdb::const_data_ptr_t>(bytes.data()), bytes.size());
    }
    case TypeRoot::kDate:
      return Value::DATE(duckdb::date_t(static_cast<int32_t>(number % 1'000'000)));
    case TypeRoot::kTime:
      return Value::TIME(duckdb::dtime_t(std::abs(number % 86'400'000) * 1000));
    default: {
      int64_t micros = number % 4'000'000'000'000'000;
      if (type.length <= 3) micros = micros / 1000 * 1000;
      bool zoned = type.root == TypeRoot::kTimestampLtz;
      if (type.length <= 6) {
        return zoned ? Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(micros))
                     : Value::TIMESTAMP(duckdb::timestamp_t(micros));
      }
      Value nanos = Value::TIMESTAMPNS(duckdb::timestamp_ns_t(micros * 999 + 7));
      if (zoned) nanos.Reinterpret(type.ToDuck());
      return nanos;
    }
  }
}

}  // namespace

TEST_CASE("Rows, hashes and buckets are Paimon's") {
  for (const Golden& golden : kGolden) {
    CAPTURE(golden.values[0]);
    std::vector<DataType> types = Types(golden.types);
    std::vector<Value> values;
    DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), [&] {
      duckdb::vector<LogicalType> ducks;
      for (const DataType& type : types) ducks.push_back(type.ToDuck());
      return ducks;
    }());
    std::vector<idx_t> columns;
    for (idx_t i = 0; i < types.size(); i++) {
      values.push_back(Parse(golden.values[i], types[i]));
      chunk.SetValue(i, 0, values[i]);
      columns.push_back(i);
    }
    chunk.SetCardinality(1);
    RowBytes bytes = EncodeRow(types, values);
    CHECK(Hex(bytes.substr(4)) == golden.row);
    CHECK(Hex(bytes.substr(0, 4)) == fmt::format("{:08x}", types.size()));
    std::vector<Value> back = DecodeRow(types, bytes);
    for (idx_t i = 0; i < types.size(); i++) CHECK(back[i].ToString() == values[i].ToString());
    std::vector<int32_t> hashes;
    HashRows(types, chunk, columns, hashes);
    CHECK(hashes[0] == golden.hash);
    CHECK(BucketOf(hashes[0], 2) == golden.buckets[0]);
    CHECK(BucketOf(hashes[0], 4) == golden.buckets[1]);
    CHECK(BucketOf(hashes[0], 16) == golden.buckets[2]);
  }
  CHECK(EncodeRow({}, {}) == EmptyRow());
  CHECK(Hex(EmptyRow()) == "000000000000000000000000");
}

TEST_CASE("Nulls of long decimals and fine timestamps keep their room") {
  std::vector<DataType> types =
      Types({"INT", "BIGINT", "STRING", "STRING", "DECIMAL(38,4)", "TIMESTAMP(6)", "BOOLEAN",
             "ARRAY<INT>", "MAP<STRING, INT>", "ROW<a INT>", "DECIMAL(10,2)"});
  std::vector<Value> nulls;
  for (const DataType& type : types) nulls.push_back(Value(type.ToDuck()));
  std::string zeros(16, '0');
  CHECK(Hex(EncodeRow(types, nulls)).substr(8) ==
        "00ff070000000000" + zeros + zeros + zeros + zeros + "00000000600000000000000070000000" +
            zeros + zeros + zeros + zeros + zeros + zeros + zeros + zeros);
  Value list = Value::LIST(LogicalType::INTEGER, {Value::INTEGER(1)});
  CHECK_THROWS_AS(EncodeRow(Types({"ARRAY<INT>"}), {list}), Error);
}

TEST_CASE("Statistics of a real file have the bytes that Paimon wrote") {
  std::vector<DataType> types =
      Types({"BIGINT", "STRING", "DECIMAL(18,2)", "TIMESTAMP(3)", "STRING"});
  std::vector<std::string> row = {"1", "Branch-1", "100.00", "2022-11-22 00:00:00.001",
                                  "2022-11-22"};
  DataChunk chunk;
  duckdb::vector<LogicalType> ducks;
  for (const DataType& type : types) ducks.push_back(type.ToDuck());
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), ducks);
  for (idx_t i = 0; i < types.size(); i++) chunk.SetValue(i, 0, Parse(row[i], types[i]));
  chunk.SetCardinality(1);
  StatsCollector collector(types);
  collector.Add(chunk, 0);
  SimpleStats stats = collector.Finish();
  CHECK(stats.min_values == stats.max_values);
  CHECK(Hex(stats.min_values) ==
        Hex(Unhex("00000005 0000000000000000 0100000000000000 0800000030000000 1027000000000000"
                  "0168a29c84010000 0a00000038000000 4272616e63682d31"
                  "323032322d31312d3232000000000000")));
  CHECK(stats.null_counts == std::vector<std::optional<int64_t>>(5, 0));
}

TEST_CASE("Random rows round trip, and hashes of columns are hashes of rows") {
  uint64_t seed = Random().Next();
  INFO("seed " << seed);
  Random random(seed);
  for (int round = 0; round < 150; round++) {
    std::vector<DataType> types;
    std::vector<idx_t> columns;
    duckdb::vector<LogicalType> ducks;
    idx_t width = round % 10 == 0 ? 60 + random.Next() % 70
                                  : 1 + random.Next() % 4;  // Wide: more null words.
    bool narrow_types = round % 2 == 0;                     // Only types that lie in their slots.
    while (types.size() < width) {
      DataType type = ParseDataType(kAtomic[random.Next() % kAtomic.size()]);
      SlotKind kind = SlotKindOf(type);
      bool outside = kind == SlotKind::kBytes || kind == SlotKind::kBigDecimal ||
                     kind == SlotKind::kMillisOutside;
      if (narrow_types && outside) continue;
      columns.push_back(types.size());
      types.push_back(type);
      ducks.push_back(type.ToDuck());
    }
    DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), ducks);
    idx_t rows = 1 + random.Next() % 20;
    std::vector<int32_t> expected;
    for (idx_t row = 0; row < rows; row++) {
      std::vector<Value> values;
      for (idx_t i = 0; i < width; i++) {
        values.push_back(RandomValue(random, types[i]));
        chunk.SetValue(i, row, values[i]);
      }
      RowBytes bytes = EncodeRow(types, values);
      std::vector<Value> back = DecodeRow(types, bytes);
      for (idx_t i = 0; i < width; i++) {
        CAPTURE(types[i].ToString());
        REQUIRE(back[i].type() == types[i].ToDuck());
        REQUIRE(back[i].IsNull() == values[i].IsNull());
        REQUIRE(back[i].ToString() == values[i].ToString());
      }
      expected.push_back(HashBytesByWords(bytes.data() + 4, bytes.size() - 4));
    }
    chunk.SetCardinality(rows);
    std::vector<int32_t> hashes;
    HashRows(types, chunk, columns, hashes);
    REQUIRE(hashes == expected);
    // A dictionary over the same rows, back to front.
    SelectionVector backwards(rows);
    for (idx_t i = 0; i < rows; i++) backwards.set_index(i, rows - 1 - i);
    chunk.Slice(backwards, rows);
    HashRows(types, chunk, columns, hashes);
    REQUIRE(hashes == std::vector<int32_t>(expected.rbegin(), expected.rend()));
  }
}

TEST_CASE("Damaged rows are reported") {
  std::vector<DataType> types = Types(kAtomic);
  Random random(5);
  for (int round = 0; round < 50; round++) {
    std::vector<Value> values;
    for (const DataType& type : types) values.push_back(RandomValue(random, type));
    RowBytes bytes = EncodeRow(types, values);
    auto decode = [&](const std::string& damaged) {
      try {
        DecodeRow(types, damaged);
      } catch (const Error& error) {
        REQUIRE(error.code() == ErrorCode::kCorrupt);
      }
    };
    for (size_t length = 0; length < bytes.size(); length++) decode(bytes.substr(0, length));
    for (int i = 0; i < 500; i++) {
      std::string damaged = bytes;
      damaged[random.Next() % damaged.size()] ^= static_cast<char>(1 << (random.Next() % 8));
      decode(damaged);
    }
  }
  CHECK_THROWS_AS(DecodeRow(Types({"INT", "INT"}), EncodeRow(Types({"INT"}), {Value::INTEGER(1)})),
                  Error);
}

TEST_CASE("Partition folders have Paimon's names") {
  auto path = [](const std::string& type, const std::string& value, bool legacy = true) {
    TableSchema schema;
    DataField field;
    field.name = "dt";
    field.type = ParseDataType(type);
    schema.fields = {field};
    schema.partition_keys = {"dt"};
    if (!legacy) schema.options["partition.legacy-name"] = "false";
    return PartitionPath(schema, EncodeRow({field.type}, {Parse(value, field.type)}));
  };
  CHECK(path("STRING", "2022-11-22") == "dt=2022-11-22/");
  CHECK(path("STRING", "a/b=c 中%") == "dt=a%2Fb%3Dc 中%25/");
  CHECK(path("STRING", "") == "dt=__DEFAULT_PARTITION__/");
  CHECK(path("STRING", "  ") == "dt=__DEFAULT_PARTITION__/");
  CHECK(path("INT", "NULL") == "dt=__DEFAULT_PARTITION__/");
  CHECK(path("DATE", "2022-11-22") == "dt=19318/");
  CHECK(path("DATE", "2022-11-22", false) == "dt=2022-11-22/");
  CHECK(path("TIMESTAMP(3)", "2022-11-22 00:00:00.123") == "dt=2022-11-22T00%3A00%3A00.123/");
  CHECK(path("TIMESTAMP(3)", "2022-11-22 00:00:00.123", false) ==
        "dt=2022-11-22 00%3A00%3A00.123/");
  CHECK(path("TIMESTAMP(6)", "2022-11-22 00:00:00.1") == "dt=2022-11-22T00%3A00%3A00.100/");
  CHECK(path("TIMESTAMP(3)", "2022-11-22 07:30:00") == "dt=2022-11-22T07%3A30/");
  CHECK(path("TIMESTAMP(3)", "2022-11-22 07:30:00", false) == "dt=2022-11-22 07%3A30%3A00.000/");
  CHECK(path("TIMESTAMP(9)", "1969-12-31 23:59:59.999999999") ==
        "dt=1969-12-31T23%3A59%3A59.999999999/");
  CHECK(path("BOOLEAN", "true") == "dt=true/");
  CHECK(path("DECIMAL(10,2)", "1.50") == "dt=1.50/");
  CHECK(path("DECIMAL(10,2)", "-0.05") == "dt=-0.05/");
  CHECK(path("DECIMAL(10,8)", "0.00000012") == "dt=1.2E-7/");
  CHECK(path("DOUBLE", "1.5") == "dt=1.5/");
  CHECK(path("DOUBLE", "1e10") == "dt=1.0E10/");
  CHECK(path("DOUBLE", "1e-5") == "dt=1.0E-5/");
  CHECK(path("FLOAT", "100") == "dt=100.0/");
  CHECK(PartitionPath(TableSchema(), EmptyRow()).empty());
}

}  // namespace millrace
