// Goal: Bloom filters and bitmaps have Paimon's bytes, find what is there in files of either side,
// and damage is told by name. Method: bytes that Paimon 1.4.2 wrote (BloomFilterFileIndex,
// BitmapFileIndex, FileIndexFormat.Writer called with the rows told here); random columns against
// naive answers; cuts and flipped bits.
#include "format/file_index.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <set>

#include "base/error.h"
#include "duckdb/common/allocator.hpp"
#include "format/test_values.h"
#include "io/memory_file_system.h"

namespace millrace {

namespace {

constexpr const char* kIntBitmap =
    "02000000080000000301000000000000001400000001fffffffd000000000000002800000003"
    "fffffffd000000140000001400000005000000280000001600000007fffffffaffffffff3a30"
    "0000010000000000010010000000010006003a30000001000000000001001000000003000700"
    "3a300000010000000000020010000000000002000400";
constexpr const char* kTextBitmap =
    "02000000050000000301fffffffc00000012000000010000000161000000000000002d000000"
    "030000000161fffffffeffffffff0000000162000000000000001400000003636363fffffffb"
    "ffffffff3a30000001000000000001001000000000000200";
constexpr const char* kDoubleBitmap =
    "0200000006000000050000000001c000000000000000000000000000005400000005c0000000"
    "00000000fffffffaffffffff8000000000000000fffffffeffffffff00000000000000000000"
    "0000000000143ff8000000000000fffffffcffffffff7ff8000000000000fffffffdffffffff"
    "3a30000001000000000001001000000000000400";
constexpr const char* kIntBitmap1 =
    "0100000008000000030100000000fffffffd00000014000000050000002800000007fffffffa"
    "3a300000010000000000010010000000010006003a3000000100000000000100100000000300"
    "07003a300000010000000000020010000000000002000400";
constexpr const char* kTextBitmap1 =
    "01000000050000000301fffffffc0000000161fffffffe00000003636363fffffffb00000001"
    "62000000003a30000001000000000001001000000000000200";
constexpr const char* kBlocksBitmap =
    "020000000a000000050000000003000000000000000000000000000000000000000200000024"
    "0000000000000004000000480000005c00000002000000000000000000000000000000140000"
    "0000000000010000001400000014000000020000000000000002000000280000001400000000"
    "000000030000003c0000001400000001000000000000000400000050000000143a3000000100"
    "00000000010010000000000005003a300000010000000000010010000000010006003a300000"
    "010000000000010010000000020007003a300000010000000000010010000000030008003a30"
    "000001000000000001001000000004000900";
constexpr const char* kBooleanBitmap =
    "02000000050000000201fffffffb00000012000000010000000000000000160000000200ffff"
    "fffeffffffff0100000000000000163a300000010000000000020010000000000002000300";
constexpr const char* kTimestampBitmap =
    "0200000003000000020000000001fffffffffffffffb000000000000002400000002ffffffff"
    "fffffffbfffffffeffffffff000000000000000500000000000000143a300000010000000000"
    "01001000000000000200";
constexpr const char* kBigIntFilter = "00000004497f1035a598ddec";
constexpr const char* kTextFilter =
    "000000030084041020010100000000010000030000000000080091100400c000000000000000"
    "0040020000800000000000080404000000000000800008000420";
constexpr const char* kContainer =
    "00054e4ed01a35ae00000001000000660000000200046e616d6500000002000c626c6f6f6d2d"
    "66696c746572000000660000000a00066269746d6170000000700000004d0002696400000001"
    "000c626c6f6f6d2d66696c746572000000bd0000000a00000000000000030004420040840200"
    "0000030000000200000000010000000178000000000000001e00000002000000017800000000"
    "000000140000000179fffffffeffffffff3a3000000100000000000100100000000000020000"
    "000003892001504000";

std::string FromHex(const std::string& text) {
  std::string bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

/// A chunk of one column.
struct Column {
  Column(const std::string& type_text, const std::vector<Value>& values)
      : type(ParseDataType(type_text)) {
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), {type.ToDuck()});
    for (idx_t i = 0; i < values.size(); i++) {
      chunk.SetValue(0, i, values[i].DefaultCastAs(type.ToDuck()));
    }
    chunk.SetCardinality(values.size());
    chunk.data[0].ToUnifiedFormat(values.size(), format);
  }
  DataType type;
  DataChunk chunk;
  UnifiedVectorFormat format;
};

std::string Bitmap(const std::string& type, const std::vector<Value>& values,
                   int64_t block_bytes = 16'384) {
  Column column(type, values);
  BitmapIndex index(column.type, block_bytes);
  index.Add(column.format, values.size());
  return index.Finish();
}

std::vector<int64_t> RowsOf(const std::string& index, const std::string& type, const Value& value) {
  DataType data_type = ParseDataType(type);
  return BitmapRowsOf(IndexBytes(index, "f"), data_type, {value.DefaultCastAs(data_type.ToDuck())})
      .Positions();
}

const Value kNull;
using Rows = std::vector<int64_t>;

}  // namespace

TEST_CASE("values are hashed as Paimon hashes them") {
  struct Case {
    const char* type;
    Value value;
    uint64_t hash;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<Case> cases = {
      {"STRING", Value(""), 0xef46db3751d8e999},
      {"STRING", Value("hello"), 0x26c7827d889f6da3},
      {"STRING", Value("a longer string of more than thirty-two bytes"), 0x92db26ea8ea488e5},
      {"BYTES", Value::BLOB_RAW("\x01\x02\x03"), 0x743e13ee0c4ee5a5},
      {"TINYINT", Value::TINYINT(-5), 0xcaf4f57015e9eac5},
      {"SMALLINT", Value::SMALLINT(300), 0x9beb6e5837d6d652},
      {"INT", Value::INTEGER(-7), 0x828a41e6051483a6},
      {"BIGINT", Value::BIGINT(1234567890123), 0x2331ba7f2269f7c6},
      {"FLOAT", Value::FLOAT(2.5F), 0x4d73479bf75ef934},
      {"FLOAT", Value::FLOAT(-2.5F), 0xf57944f6c619af1f},
      {"DOUBLE", Value::DOUBLE(-0.0), 0x3be7d0f7780de548},
      {"DOUBLE", Value::DOUBLE(nan), 0x13d2d3f2cc0e846e},
      {"DATE", Value("2022-11-22"), 0xe44ba3364895ac59},
      {"TIME(3)", Value("12:34:56.789"), 0xfaaafce266a9e289},
      {"TIMESTAMP(3)", Value("2022-11-22 00:00:00.123"), 0x309be976d10bef69},
      {"TIMESTAMP(6)", Value("1969-12-31 23:59:58.765433"), 0xf81519366fc3d079},
      {"TIMESTAMP(9)", Value("1969-12-31 23:59:59.999999999"), 0x5bca868437950d03},
  };
  for (const Case& item : cases) {
    CAPTURE(item.type);
    CAPTURE(item.value.ToString());
    DataType type = ParseDataType(item.type);
    Value value = item.value.DefaultCastAs(type.ToDuck());
    if (IndexKeyKindOf(type) == IndexKeyKind::kBytes) {
      CHECK(BloomHash(duckdb::StringValue::Get(value)) == item.hash);
    } else {
      CHECK(BloomHash(ToIndexNumber(type, value)) == item.hash);
    }
  }
}

TEST_CASE("Bloom filters have Paimon's bytes") {
  std::vector<Value> numbers, texts;
  for (int64_t i = 1; i <= 10; i++) numbers.push_back(Value::BIGINT(i));
  for (int i = 0; i < 10; i++) texts.push_back(Value("k" + std::to_string(i)));
  texts.push_back(kNull);
  Column ids("BIGINT", numbers), names("STRING", texts);
  BloomFilter by_id(ids.type, 10, 0.05), by_name(names.type, 100, 0.1);
  by_id.Add(ids.format, numbers.size());
  by_name.Add(names.format, texts.size());
  CHECK(by_id.Bytes() == FromHex(kBigIntFilter));
  CHECK(by_name.Bytes() == FromHex(kTextFilter));
  for (const Value& id : numbers) CHECK(BloomMayContain(by_id.Bytes(), ids.type, id, "f"));
  int wrong = 0;
  for (int i = 100; i < 1100; i++) {
    wrong += BloomMayContain(by_name.Bytes(), names.type, Value("k" + std::to_string(i)), "f");
  }
  CHECK(wrong < 20);  // Ten values in a filter for a hundred.
  CHECK_THROWS_AS(BloomFilter(ids.type, 0, 0.1), Error);
  CHECK_THROWS_AS(BloomFilter(ids.type, 10, 1.5), Error);
  CHECK_THROWS_AS(BloomFilter(ids.type, int64_t{1} << 40, 0.1), Error);
}

TEST_CASE("bitmap indexes have Paimon's bytes and say where values are") {
  auto ints = {Value(5), kNull, Value(5), Value(-3), Value(5), Value(7), kNull, Value(-3)};
  CHECK(Bitmap("INT", ints) == FromHex(kIntBitmap));
  auto texts = {Value("b"), Value("a"), Value("b"), kNull, Value("ccc")};
  CHECK(Bitmap("STRING", texts) == FromHex(kTextBitmap));
  auto booleans = {Value(true), Value(false), Value(true), Value(true), kNull};
  CHECK(Bitmap("BOOLEAN", booleans) == FromHex(kBooleanBitmap));
  auto times = {Value("1970-01-01 00:00:00.000005"), Value("1969-12-31 23:59:59.999995"),
                Value("1970-01-01 00:00:00.000005")};
  CHECK(Bitmap("TIMESTAMP(6)", times) == FromHex(kTimestampBitmap));
  std::vector<Value> many;
  for (int64_t i = 0; i < 10; i++) many.push_back(Value::BIGINT(i % 5));
  CHECK(Bitmap("BIGINT", many, 50) == FromHex(kBlocksBitmap));
  for (int64_t i = 0; i < 5; i++) {
    CHECK(RowsOf(FromHex(kBlocksBitmap), "BIGINT", Value::BIGINT(i)) == Rows{i, i + 5});
  }
  CHECK(RowsOf(FromHex(kBlocksBitmap), "BIGINT", Value::BIGINT(-1)).empty());
  CHECK(RowsOf(FromHex(kBlocksBitmap), "BIGINT", Value::BIGINT(9)).empty());
  for (const char* index : {kIntBitmap, kIntBitmap1}) {
    CHECK(RowsOf(FromHex(index), "INT", Value(5)) == Rows{0, 2, 4});
    CHECK(RowsOf(FromHex(index), "INT", Value(-3)) == Rows{3, 7});
    CHECK(RowsOf(FromHex(index), "INT", Value(7)) == Rows{5});
    CHECK(RowsOf(FromHex(index), "INT", Value(6)).empty());
  }
  for (const char* index : {kTextBitmap, kTextBitmap1}) {
    CHECK(RowsOf(FromHex(index), "STRING", Value("b")) == Rows{0, 2});
    CHECK(RowsOf(FromHex(index), "STRING", Value("ccc")) == Rows{4});
    CHECK(RowsOf(FromHex(index), "STRING", Value("cc")).empty());
  }
}

TEST_CASE("zeros of both signs are one value, NaN is itself") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  auto values = {Value::DOUBLE(0.0), Value::DOUBLE(-0.0), Value::DOUBLE(nan),
                 Value::DOUBLE(1.5), Value::DOUBLE(0.0),  Value::DOUBLE(-2.0)};
  for (const std::string& index : {Bitmap("DOUBLE", values), FromHex(kDoubleBitmap)}) {
    CHECK(RowsOf(index, "DOUBLE", Value::DOUBLE(0.0)) == Rows{0, 1, 4});
    CHECK(RowsOf(index, "DOUBLE", Value::DOUBLE(-0.0)) == Rows{0, 1, 4});
    CHECK(RowsOf(index, "DOUBLE", Value::DOUBLE(nan)) == Rows{2});
    CHECK(RowsOf(index, "DOUBLE", Value::DOUBLE(-2.0)) == Rows{5});
  }
  Column zero("FLOAT", {Value::FLOAT(-0.0F)});
  BloomFilter filter(zero.type, 100, 0.01);
  filter.Add(zero.format, 1);
  CHECK(BloomMayContain(filter.Bytes(), zero.type, Value::FLOAT(0.0F), "f"));
}

TEST_CASE("the container has Paimon's bytes") {
  std::vector<DataField> fields(2);
  fields[0].name = "id";
  fields[0].type = ParseDataType("BIGINT");
  fields[1].name = "name";
  fields[1].type = ParseDataType("STRING");
  FileIndexBuilder builder(fields, {{"name", FileIndexType::kBloomFilter, 10},
                                    {"name", FileIndexType::kBitmap},
                                    {"id", FileIndexType::kBloomFilter, 10}});
  DataChunk rows;
  rows.Initialize(duckdb::Allocator::DefaultAllocator(),
                  {LogicalType::BIGINT, LogicalType::VARCHAR});
  const char* names[] = {"x", "y", "x"};
  for (idx_t i = 0; i < 3; i++) {
    rows.SetValue(0, i, Value::BIGINT(static_cast<int64_t>(i) + 1));
    rows.SetValue(1, i, Value(names[i]));
  }
  rows.SetCardinality(3);
  builder.Add(rows, 0);
  std::string bytes = builder.Finish();
  CHECK(bytes == FromHex(kContainer));
  FileIndexReader reader{IndexBytes(bytes, "f")};
  IndexAnswer answer = reader.Ask("name", fields[1].type, {Value("x")});
  CHECK(answer.may_match);
  REQUIRE(answer.rows);
  CHECK(answer.rows->Positions() == Rows{0, 2});
  CHECK(!reader.Ask("name", fields[1].type, {Value("z"), Value("zz")}).may_match);
  CHECK(reader.Ask("name", fields[1].type, {Value("z"), Value("y")}).rows->Positions() == Rows{1});
  CHECK(!reader.Ask("id", fields[0].type, {Value::BIGINT(1'000'003)}).may_match);
  CHECK(reader.Ask("id", fields[0].type, {Value::BIGINT(2)}).may_match);
  CHECK(reader.Ask("other", fields[0].type, {Value::BIGINT(2)}).may_match);
}

TEST_CASE("random columns: an index never loses a row, and a bitmap finds no other") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (const char* text : {"TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "STRING",
                           "CHAR(5)", "DATE", "TIME(3)", "TIMESTAMP(3)", "TIMESTAMP(6)",
                           "TIMESTAMP(9)", "TIMESTAMP_LTZ(3)", "BOOLEAN", "BYTES"}) {
    CAPTURE(text);
    DataType type = ParseDataType(text);
    std::vector<Value> values;
    for (idx_t i = 0; i < 700; i++) values.push_back(RandomValue(random, type, 60));
    Column column(text, values);
    MemoryFileSystem disk;
    bool bitmap = TakesFileIndex(type, FileIndexType::kBitmap);
    if (TakesFileIndex(type, FileIndexType::kBloomFilter)) {
      BloomFilter filter(type, 60, 0.01);
      filter.Add(column.format, values.size());
      for (const Value& value : values) {
        if (!value.IsNull()) REQUIRE(BloomMayContain(filter.Bytes(), type, value, "f"));
      }
    }
    if (!bitmap) continue;
    BitmapIndex index(type, 200);
    index.Add(column.format, values.size());
    auto file = disk.OpenForWrite("d/x.index");
    file->Append("before" + index.Finish());
    file->Close();
    std::shared_ptr<RandomAccessFile> open = disk.OpenForRead("d/x.index");
    IndexBytes bytes = IndexBytes(open, "d/x.index").Part(6, open->Size() - 6);
    for (int probe = 0; probe < 40; probe++) {
      Value wanted = RandomValue(random, type, 80);
      if (wanted.IsNull()) continue;
      Rows expected;
      for (idx_t i = 0; i < values.size(); i++) {
        if (!values[i].IsNull() && values[i] == wanted) expected.push_back(static_cast<int64_t>(i));
      }
      Rows found = BitmapRowsOf(bytes, type, {wanted}).Positions();
      if (type.length > 6) {  // Nanoseconds share their microsecond.
        REQUIRE(std::includes(found.begin(), found.end(), expected.begin(), expected.end()));
      } else {
        REQUIRE(found == expected);
      }
    }
  }
}

TEST_CASE("damaged file indexes are told by name, or read without harm") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  DataType text = ParseDataType("STRING");
  std::string whole = FromHex(kContainer);
  auto look = [&](const std::string& bytes) {
    try {
      FileIndexReader reader{IndexBytes(bytes, "the-file")};
      (void)reader.Ask("name", text, {Value("x")});
      (void)reader.Ask("id", ParseDataType("BIGINT"), {Value::BIGINT(1)});
    } catch (const Error& error) {
      REQUIRE(error.code() == ErrorCode::kCorrupt);
      REQUIRE(error.text().find("the-file") != std::string::npos);
    }
  };
  for (size_t length = 0; length < whole.size(); length++) look(whole.substr(0, length));
  for (size_t bit = 0; bit < whole.size() * 8; bit++) {
    std::string damaged = whole;
    damaged[bit / 8] ^= static_cast<char>(1 << bit % 8);
    look(damaged);
  }
  for (const char* golden : {kIntBitmap, kIntBitmap1, kTextBitmap, kTextBitmap1, kBlocksBitmap}) {
    std::string index = FromHex(golden);
    for (int round = 0; round < 2000; round++) {
      std::string damaged = index.substr(0, random() % 4 ? index.size() : random() % index.size());
      for (int flips = 0; flips < 2 && !damaged.empty(); flips++) {
        damaged[random() % damaged.size()] ^= static_cast<char>(1 << random() % 8);
      }
      for (const char* type : {"INT", "STRING", "BIGINT"}) {
        try {
          (void)RowsOf(damaged, type, Value(type == std::string("STRING") ? "1" : "5"));
        } catch (const Error& error) {
          REQUIRE(error.code() == ErrorCode::kCorrupt);
        }
      }
    }
  }
}

}  // namespace millrace
