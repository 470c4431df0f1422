// Goal: every value prints as Flink prints it, in every format, and tables fit the terminal.
// Method: chunks built from Values, texts compared whole; doubles are parsed back; a rate is
// measured.
#include "app/render.h"
#include "format/codec/text_values.h"
#include "format/codec/value_text.h"

#include <doctest/doctest.h>

#include <random>
#include <sstream>

#include "app/display_width.h"
#include "duckdb/common/types/timestamp.hpp"

namespace millrace {

namespace {

std::string TextOf(const Value& value, const TextForm& form = kPlainText) {
  Vector vector(value.type(), kChunkRows);
  vector.SetValue(0, value);
  TextColumn text;
  RenderColumn(vector, 1, form, text);
  return std::string(text.At(0));
}

void Fill(ChangeChunk& chunk, const duckdb::vector<LogicalType>& types,
          const std::vector<std::vector<Value>>& rows) {
  chunk.Initialize(types);
  for (idx_t row = 0; row < rows.size(); row++) {
    for (idx_t column = 0; column < types.size(); column++) {
      chunk.rows.SetValue(column, row, rows[row][column]);
    }
  }
  chunk.rows.SetCardinality(rows.size());
}

std::string Rendered(RenderOptions options, const duckdb::vector<std::string>& names,
                     const duckdb::vector<LogicalType>& types, ChangeChunk& chunk,
                     bool changelog = false) {
  std::ostringstream out;
  auto writer = MakeResultWriter(options, names, types, changelog, out);
  writer->Write(chunk);
  writer->End();
  return out.str();
}

std::string DoubleText(double value) {
  std::string text;
  AppendDouble(value, text);
  return text;
}

}  // namespace

TEST_CASE("Values print in Flink's text forms") {
  CHECK(TextOf(Value::BOOLEAN(true)) == "true");
  CHECK(TextOf(Value::BOOLEAN(true), kTableText) == "TRUE");
  CHECK(TextOf(Value::BIGINT(INT64_MIN)) == "-9223372036854775808");
  CHECK(TextOf(Value::DECIMAL(int64_t(-5), 18, 2)) == "-0.05");
  CHECK(TextOf(Value::DECIMAL(int64_t(123450), 18, 2)) == "1234.50");
  CHECK(TextOf(Value::DECIMAL(int64_t(100), 18, 2)) == "1.00");
  CHECK(TextOf(Value::DECIMAL(int16_t(7), 4, 0)) == "7");
  CHECK(TextOf(Value::DECIMAL(duckdb::hugeint_t(5), 38, 2)) == "0.05");
  CHECK(TextOf(Value::DECIMAL(duckdb::hugeint_t(-5), 38, 2)) == "-0.05");
  CHECK(TextOf(Value::DATE(2022, 3, 9)) == "2022-03-09");
  auto stamp = [](int64_t micros) { return Value::TIMESTAMP(duckdb::timestamp_t(micros)); };
  CHECK(TextOf(stamp(0)) == "1970-01-01 00:00:00");
  CHECK(TextOf(stamp(120'000)) == "1970-01-01 00:00:00.120");
  CHECK(TextOf(stamp(-1)) == "1969-12-31 23:59:59.999999");
  CHECK(TextOf(Value::TIMESTAMPNS(duckdb::timestamp_ns_t(1))) == "1970-01-01 00:00:00.000000001");
  CHECK(TextOf(Value::INTERVAL(14, 0, 0)) == "+1-02");
  CHECK(TextOf(Value::INTERVAL(0, 1, 3'661'500'000)) == "+1 01:01:01.500");
  CHECK(TextOf(Value::BLOB_RAW("\x01\xff")) == "x'01ff'");
  CHECK(TextOf(Value(LogicalType::INTEGER)) == "");
  CHECK(TextOf(Value(LogicalType::INTEGER), kTableText) == "NULL");
  CHECK(TextOf(Value("a\nb"), kTableText) == "a\\nb");
}

TEST_CASE("Nested values print as Flink's rows, arrays and maps, and as JSON") {
  Value row = Value::STRUCT({{"a", Value::INTEGER(1)}, {"b", Value("x\"y")}});
  Value list = Value::LIST(LogicalType::INTEGER, {Value::INTEGER(1), Value(LogicalType::INTEGER)});
  Value map = Value::MAP(LogicalType::VARCHAR, LogicalType::INTEGER, {Value("k"), Value("m")},
                         {Value::INTEGER(1), Value::INTEGER(2)});
  CHECK(TextOf(row) == "(1, x\"y)");
  CHECK(TextOf(list) == "[1, NULL]");
  CHECK(TextOf(map) == "{k=1, m=2}");
  CHECK(TextOf(row, kJsonText) == R"({"a":1,"b":"x\"y"})");
  CHECK(TextOf(list, kJsonText) == "[1,null]");
  CHECK(TextOf(map, kJsonText) == R"({"k":1,"m":2})");
  Value nested = Value::LIST({row, row});
  CHECK(TextOf(nested) == "[(1, x\"y), (1, x\"y)]");
}

TEST_CASE("Doubles print Java's shortest form and read back exactly") {
  CHECK(DoubleText(1) == "1.0");
  CHECK(DoubleText(-0.0) == "-0.0");
  CHECK(DoubleText(0.1) == "0.1");
  CHECK(DoubleText(0.001) == "0.001");
  CHECK(DoubleText(0.00012) == "1.2E-4");
  CHECK(DoubleText(1234567) == "1234567.0");
  CHECK(DoubleText(12345678) == "1.2345678E7");
  CHECK(DoubleText(1e10) == "1.0E10");
  CHECK(DoubleText(-1.0 / 0.0) == "-Infinity");
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20000; i++) {
    uint64_t bits = random();
    double value;
    memcpy(&value, &bits, sizeof(value));
    if (i % 2) value = static_cast<double>(static_cast<int64_t>(bits)) / 1e12;
    if (value != value) continue;
    std::string text = DoubleText(value);
    CAPTURE(text);
    CHECK(std::strtod(text.c_str(), nullptr) == value);
  }
}

TEST_CASE("CSV quotes what RFC 4180 asks for and tells NULL from the empty string") {
  duckdb::vector<LogicalType> types{LogicalType::VARCHAR, LogicalType::INTEGER};
  ChangeChunk chunk;
  Fill(chunk, types,
       {{Value("a,b\"c"), Value::INTEGER(1)},
        {Value(""), Value(LogicalType::INTEGER)},
        {Value(LogicalType::VARCHAR), Value::INTEGER(3)}});
  chunk.kinds = {RowKind::kInsert, RowKind::kUpdateBefore, RowKind::kDelete};
  RenderOptions csv{.format = OutputFormat::kCsv};
  CHECK(Rendered(csv, {"x", "y z"}, types, chunk) == "x,y z\n\"a,b\"\"c\",1\n\"\",\n,3\n");
  CHECK(Rendered(csv, {"x", "y"}, types, chunk, true) ==
        "op,x,y\n+I,\"a,b\"\"c\",1\n-U,\"\",\n-D,,3\n");
  RenderOptions json{.format = OutputFormat::kJson};
  CHECK(Rendered(json, {"x", "y"}, types, chunk, true) ==
        "{\"op\":\"+I\",\"x\":\"a,b\\\"c\",\"y\":1}\n{\"op\":\"-U\",\"x\":\"\",\"y\":null}\n"
        "{\"op\":\"-D\",\"x\":null,\"y\":3}\n");
}

TEST_CASE("Tables align, count wide characters twice, and fit the terminal") {
  duckdb::vector<LogicalType> types{LogicalType::VARCHAR, LogicalType::INTEGER};
  ChangeChunk chunk;
  Fill(chunk, types,
       {{Value("银行"), Value::INTEGER(5)}, {Value(LogicalType::VARCHAR), Value::INTEGER(-42)}});
  CHECK(Rendered({}, {"name", "n"}, types, chunk) ==
        "+------+-----+\n| name |   n |\n+------+-----+\n| 银行 |   5 |\n| NULL | -42 |\n"
        "+------+-----+\n");
  CHECK(Rendered({.format = OutputFormat::kMarkdown}, {"name", "n"}, types, chunk) ==
        "| name |   n |\n| ---- | --: |\n| 银行 |   5 |\n| NULL | -42 |\n");

  ChangeChunk wide;
  Fill(wide, types,
       {{Value(std::string(100, 'x')), Value::INTEGER(1)},
        {Value("银行银行银行银行银行银行银行"), Value::INTEGER(2)}});
  std::istringstream lines(Rendered({.terminal_width = 30}, {"name", "n"}, types, wide));
  for (std::string line; std::getline(lines, line);) CHECK(DisplayWidth(line) == 30);
  std::string unlimited = Rendered({}, {"name", "n"}, types, wide);
  CHECK(unlimited.find(std::string(100, 'x')) != std::string::npos);
}

TEST_CASE("A large table keeps no more rows than it needs to size its columns") {
  duckdb::vector<LogicalType> types{LogicalType::BIGINT};
  std::ostringstream out;
  auto writer = MakeResultWriter({}, {"n"}, types, false, out);
  ChangeChunk chunk;
  chunk.Initialize(types);
  chunk.rows.data[0].Sequence(0, 1, kChunkRows);
  chunk.rows.SetCardinality(kChunkRows);
  writer->Write(chunk);
  chunk.rows.data[0].Flatten(kChunkRows);
  size_t after_first = out.str().size();
  for (int i = 0; i < 20; i++) writer->Write(chunk);
  CHECK(out.str().size() > after_first + 15 * kChunkRows * 10);
  writer->End();
  std::string text = out.str();
  CHECK(std::count(text.begin(), text.end(), '\n') == 4 + 21 * int64_t(kChunkRows));
}

}  // namespace millrace
