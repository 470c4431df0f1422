// Goal: statistics bound every value, cut strings safely, and follow the options.
// Method: hand-made edges; random columns against a naive minimum and maximum over Values.
#include "meta/stats_collector.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "duckdb/common/allocator.hpp"
#include "io/random.h"
#include "meta/binary_row.h"

namespace millrace {

namespace {

struct Bounds {
  Value min, max;
  std::optional<int64_t> nulls;
};

/// Collects one column of `type` from texts ("NULL" is null).
Bounds Collect(const std::string& type_text, const std::vector<std::string>& texts,
               ColumnStatsMode mode = {StatsMode::kTruncate, 16}) {
  DataType type = ParseDataType(type_text);
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), {type.ToDuck()});
  for (idx_t i = 0; i < texts.size(); i++) {
    chunk.SetValue(
        0, i,
        texts[i] == "NULL" ? Value(type.ToDuck()) : Value(texts[i]).DefaultCastAs(type.ToDuck()));
  }
  chunk.SetCardinality(texts.size());
  StatsCollector collector({type}, std::vector<ColumnStatsMode>{mode});
  collector.Add(chunk, 0);
  SimpleStats stats = collector.Finish();
  return {DecodeRow({type}, stats.min_values)[0], DecodeRow({type}, stats.max_values)[0],
          stats.null_counts[0]};
}

std::string Text(const Value& value) {
  return value.IsNull() ? "NULL" : duckdb::StringValue::Get(value);
}

}  // namespace

TEST_CASE("Long strings are cut: the minimum to a prefix, the maximum to its successor") {
  Bounds bounds = Collect("STRING", {"abcdefghijklmnopqrstuvwxyz", "NULL", "abcdefghijklmnopZZ"});
  CHECK(Text(bounds.min) == "abcdefghijklmnop");
  CHECK(Text(bounds.max) == "abcdefghijklmnoq");
  CHECK(bounds.nulls == 1);
  CHECK(Text(Collect("STRING", {"abcdefghijklmnop"}).max) ==
        "abcdefghijklmnop");  // Not longer: whole.
  std::string wide;
  for (int i = 0; i < 17; i++) wide += "中";
  CHECK(Text(Collect("STRING", {wide}).min) == wide.substr(0, 48));  // 16 characters.
  CHECK(Text(Collect("STRING", {wide}).max) == wide.substr(0, 45) + "丮");
  std::string greatest;
  for (int i = 0; i < 3; i++) greatest += "\xf4\x8f\xbf\xbf";  // U+10FFFF has no successor.
  CHECK(Text(Collect("STRING", {"a" + greatest}, {StatsMode::kTruncate, 2}).max) == "b");
  Bounds none = Collect("STRING", {greatest}, {StatsMode::kTruncate, 2});
  CHECK(none.min.IsNull());
  CHECK(none.max.IsNull());
  CHECK(none.nulls == 0);
  CHECK(Text(Collect("STRING", {"\xed\x9f\xbf!"}, {StatsMode::kTruncate, 1}).max) ==
        "\xee\x80\x80");  // U+D7FF.
  CHECK(Text(Collect("STRING", {wide}, {StatsMode::kFull, 0}).max) == wide);
}

TEST_CASE("Types and modes without bounds keep their null count") {
  CHECK(Collect("BYTES", {"x", "NULL"}).min.IsNull());
  CHECK(Collect("BYTES", {"x", "NULL"}).nulls == 1);
  CHECK(Collect("TIMESTAMP(9)", {"2022-11-22 00:00:00"}).max.IsNull());
  CHECK(Collect("TIMESTAMP(6)", {"2022-11-22 00:00:00"}).max.ToString() == "2022-11-22 00:00:00");
  CHECK(Collect("INT", {"1"}, {StatsMode::kCounts, 0}).min.IsNull());
  CHECK(Collect("INT", {"NULL"}, {StatsMode::kCounts, 0}).nulls == 1);
  CHECK(Collect("INT", {"1"}, {StatsMode::kNone, 0}).nulls == std::nullopt);
  Bounds all_null = Collect("DECIMAL(38, 2)", {"NULL", "NULL"});
  CHECK(all_null.min.IsNull());
  CHECK(all_null.nulls == 2);
}

TEST_CASE("NaN is the greatest number, and both zeros are within") {
  CHECK(Collect("DOUBLE", {"1", "nan", "2"}).min.GetValue<double>() == 1);
  CHECK(std::isnan(Collect("DOUBLE", {"nan", "1", "2"}).max.GetValue<double>()));
  CHECK(std::isnan(Collect("FLOAT", {"nan", "nan"}).min.GetValue<float>()));
  CHECK(Collect("DOUBLE", {"1", "nan", "2"}).nulls == 0);
  Bounds zeros = Collect("DOUBLE", {"0", "0"});
  CHECK(std::signbit(zeros.min.GetValue<double>()));
  CHECK_FALSE(std::signbit(zeros.max.GetValue<double>()));
  CHECK(Collect("FLOAT", {"-1.5", "inf"}).max.ToString() == "inf");
}

TEST_CASE("Dense statistics leave out what has none") {
  std::vector<DataType> types = {ParseDataType("INT"), ParseDataType("ARRAY<INT>"),
                                 ParseDataType("BYTES"), ParseDataType("STRING")};
  duckdb::vector<LogicalType> ducks;
  for (const DataType& type : types) ducks.push_back(type.ToDuck());
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), ducks);
  chunk.SetValue(0, 0, Value::INTEGER(5));
  chunk.SetValue(1, 0, Value::LIST(LogicalType::INTEGER, {Value::INTEGER(1)}));
  chunk.SetValue(2, 0, Value::BLOB("x"));
  chunk.SetValue(3, 0, Value("y"));
  chunk.SetCardinality(1);
  StatsCollector collector(types, std::vector<ColumnStatsMode>(4));
  collector.Add(chunk, 0);
  std::vector<idx_t> kept;
  SimpleStats dense = collector.FinishDense(kept);
  CHECK(kept == std::vector<idx_t>{0, 2, 3});
  CHECK(DecodeRow({types[0], types[2], types[3]}, dense.min_values)[0] == Value::INTEGER(5));
  CHECK(dense.null_counts.size() == 3);
  SimpleStats whole = collector.Finish();
  CHECK(whole.null_counts.size() == 4);
  CHECK(whole.null_counts[1] == std::nullopt);
}

TEST_CASE("Options choose the mode of each column") {
  TableSchema schema;
  for (const char* name : {"id", "a", "b"}) {
    DataField field;
    field.name = name;
    schema.fields.push_back(field);
  }
  schema.primary_keys = {"id"};
  CHECK(StatsModes(schema) == std::vector<ColumnStatsMode>(3));
  schema.options = {{"metadata.stats-mode", "none"}, {"fields.b.stats-mode", "full"}};
  CHECK(StatsModes(schema)[0].mode == StatsMode::kTruncate);  // Keys keep theirs.
  CHECK(StatsModes(schema)[1].mode == StatsMode::kNone);
  CHECK(StatsModes(schema)[2].mode == StatsMode::kFull);
  schema.options = {{"metadata.stats-mode.per.level", "0:counts,1:truncate(4)"}};
  CHECK(StatsModes(schema, 0)[1].mode == StatsMode::kCounts);
  CHECK(StatsModes(schema, 1)[1] == ColumnStatsMode{StatsMode::kTruncate, 4});
  CHECK(StatsModes(schema, 2)[1] == ColumnStatsMode{});
  schema.options = {{"metadata.stats-keep-first-n-columns", "2"}};
  CHECK(StatsModes(schema)[1].mode == StatsMode::kTruncate);
  CHECK(StatsModes(schema)[2].mode == StatsMode::kNone);
  schema.options = {{"metadata.stats-mode", "truncate(x)"}};
  CHECK_THROWS_AS(StatsModes(schema), Error);
}

TEST_CASE("Bounds hold for random columns, however the chunks are laid out") {
  uint64_t seed = Random().Next();
  INFO("seed " << seed);
  Random random(seed);
  for (const char* text :
       {"TINYINT", "SMALLINT", "INT", "BIGINT", "DECIMAL(4, 1)", "DECIMAL(9, 1)", "DECIMAL(18, 1)",
        "DECIMAL(38, 1)", "DOUBLE", "FLOAT", "STRING", "DATE", "BOOLEAN", "TIMESTAMP(6)"}) {
    CAPTURE(text);
    DataType type = ParseDataType(text);
    StatsCollector collector({type}, -1);
    Value min, max;
    int64_t nulls = 0;
    for (int part = 0; part < 5; part++) {
      DataChunk chunk;
      chunk.Initialize(duckdb::Allocator::DefaultAllocator(), {type.ToDuck()});
      idx_t rows = 1 + random.Next() % 50;
      for (idx_t i = 0; i < rows; i++) {
        auto number = static_cast<int>(random.Next() % 200) - 100;
        Value value(type.ToDuck());
        if (random.Next() % 4 == 0) {
          nulls++;
        } else {
          value = type.root == TypeRoot::kDate ? Value::DATE(duckdb::date_t(number))
                  : type.root == TypeRoot::kTimestamp
                      ? Value::TIMESTAMP(duckdb::timestamp_t(number * 1000))
                      : Value::INTEGER(number).DefaultCastAs(type.ToDuck());
          if (min.IsNull() || value < min) min = value;
          if (max.IsNull() || value > max) max = value;
        }
        chunk.SetValue(0, i, value);
      }
      chunk.SetCardinality(rows);
      if (part % 2 == 1) {  // A dictionary instead of a flat vector.
        SelectionVector backwards(rows);
        for (idx_t i = 0; i < rows; i++) backwards.set_index(i, rows - 1 - i);
        chunk.Slice(backwards, rows);
      }
      collector.Add(chunk, 0);
    }
    SimpleStats stats = collector.Finish();
    CHECK(DecodeRow({type}, stats.min_values)[0].ToString() == min.ToString());
    CHECK(DecodeRow({type}, stats.max_values)[0].ToString() == max.ToString());
    CHECK(stats.null_counts[0] == nulls);
  }
}

}  // namespace millrace
