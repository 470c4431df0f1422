// Goal: old values read under a new type are what Paimon's CastExecutors give, at the top and
// inside ROW, ARRAY and MAP, also where rows are NULL. Method: golden values worked out from Java's
// rules; nested ones against a naive conversion of boxed values, random rows with a printed seed.
#include "lsm/schema_mapping.h"

#include <doctest/doctest.h>

#include <random>

#include "base/error.h"
#include "duckdb/common/allocator.hpp"

namespace millrace {

namespace {

DataType Type(const std::string& text) {
  return ParseDataType(text);
}

/// Texts of `values` (of type `from`) as `to`.
std::vector<std::string> Cast(const std::string& from, const std::string& to,
                              const std::vector<Value>& values) {
  DataType from_type = Type(from), to_type = Type(to);
  Vector source(from_type.ToDuck()), target(to_type.ToDuck());
  for (idx_t i = 0; i < values.size(); i++) {
    source.SetValue(i, values[i].DefaultCastAs(from_type.ToDuck()));
  }
  FieldCast cast = MakeFieldCast(from_type, to_type);
  if (cast) {
    cast(source, target, values.size());
  } else {
    target.Reference(source);
  }
  std::vector<std::string> texts;
  for (idx_t i = 0; i < values.size(); i++) texts.push_back(target.GetValue(i).ToString());
  return texts;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("Numbers narrow as in Java") {
  CHECK(Cast("BIGINT", "INT", {Value::BIGINT(4294967297), Value::BIGINT(-1), Value()}) ==
        Texts{"1", "-1", "NULL"});
  CHECK(Cast("INT", "TINYINT", {Value::INTEGER(383), Value::INTEGER(-129)}) == Texts{"127", "127"});
  CHECK(Cast("INT", "BIGINT", {Value::INTEGER(-7)}) == Texts{"-7"});
  CHECK(Cast("DOUBLE", "INT", {Value::DOUBLE(1e20), Value::DOUBLE(-1e20), Value::DOUBLE(2.9)}) ==
        Texts{"2147483647", "-2147483648", "2"});
  CHECK(Cast("DOUBLE", "TINYINT", {Value::DOUBLE(1e20), Value::DOUBLE(NAN)}) == Texts{"-1", "0"});
  CHECK(Cast("FLOAT", "BIGINT", {Value::FLOAT(1e30f)}) == Texts{"9223372036854775807"});
  CHECK(Cast("INT", "BOOLEAN", {Value::INTEGER(0), Value::INTEGER(5)}) == Texts{"false", "true"});
  CHECK(Cast("BOOLEAN", "BIGINT", {Value::BOOLEAN(true)}) == Texts{"1"});
}

TEST_CASE("Decimals round half up, and are NULL where they do not fit") {
  Value half = Value("2.345").DefaultCastAs(LogicalType::DECIMAL(10, 3));
  Value minus = Value("-2.345").DefaultCastAs(LogicalType::DECIMAL(10, 3));
  CHECK(Cast("DECIMAL(10, 3)", "DECIMAL(5, 2)", {half, minus}) == Texts{"2.35", "-2.35"});
  CHECK(Cast("DECIMAL(10, 3)", "DECIMAL(3, 3)", {half}) == Texts{"NULL"});
  CHECK(Cast("INT", "DECIMAL(3, 1)", {Value::INTEGER(12), Value::INTEGER(123)}) ==
        Texts{"12.0", "NULL"});
  CHECK(Cast("DOUBLE", "DECIMAL(10, 2)", {Value::DOUBLE(1.005), Value::DOUBLE(1e30)}) ==
        Texts{"1.01", "NULL"});
  CHECK(Cast("DECIMAL(10, 3)", "INT", {half, minus}) == Texts{"2", "-2"});
  Value large = Value("99999999999999999999.5").DefaultCastAs(LogicalType::DECIMAL(38, 1));
  CHECK(Cast("DECIMAL(38, 1)", "BIGINT", {large}) == Texts{"7766279631452241919"});
  CHECK(Cast("DECIMAL(10, 3)", "DOUBLE", {half}) == Texts{"2.345"});
}

TEST_CASE("Texts are cut and padded, numbers print as in Java") {
  CHECK(Cast("STRING", "VARCHAR(2)", {Value("äöü"), Value("a")}) == Texts{"äö", "a"});
  CHECK(Cast("STRING", "CHAR(3)", {Value("ä"), Value("abcd")}) == Texts{"ä  ", "abc"});
  CHECK(Cast("DOUBLE", "STRING", {Value::DOUBLE(1e10), Value::DOUBLE(2)}) ==
        Texts{"1.0E10", "2.0"});
  CHECK(Cast("FLOAT", "STRING", {Value::FLOAT(0.1f)}) == Texts{"0.1"});
  CHECK(Cast("BOOLEAN", "STRING", {Value::BOOLEAN(true)}) == Texts{"true"});
  CHECK(Cast("INT", "VARCHAR(2)", {Value::INTEGER(12345)}) == Texts{"12"});
  CHECK(Cast("STRING", "INT", {Value(" 12.7 "), Value("-3"), Value()}) ==
        Texts{"12", "-3", "NULL"});
  CHECK(Cast("STRING", "BOOLEAN", {Value("Y"), Value("0")}) == Texts{"true", "false"});
  CHECK_THROWS_WITH_AS(Cast("STRING", "INT", {Value("abc")}),
                       doctest::Contains("'abc' is no value of type INT"), Error);
  CHECK_THROWS_AS(Cast("STRING", "DATE", {Value("x")}), Error);
  CHECK(Cast("STRING", "BYTES", {Value("ab")}) == Texts{"ab"});
  CHECK(Cast("BYTES", "BINARY(3)", {Value::BLOB("a")}) == Texts{"a\\x00\\x00"});
}

TEST_CASE("Times lose digits downwards and never wrap") {
  auto at = [](const char* text) { return Value(text); };
  CHECK(Cast("TIMESTAMP(6)", "TIMESTAMP(3)",
             {at("2024-01-02 03:04:05.678912"), at("1969-12-31 23:59:59.999999")}) ==
        Texts{"2024-01-02 03:04:05.678", "1969-12-31 23:59:59.999"});
  CHECK(Cast("TIMESTAMP(9)", "TIMESTAMP(6)", {at("1969-12-31 23:59:59.999999999")}) ==
        Texts{"1969-12-31 23:59:59.999999"});
  CHECK(Cast("TIMESTAMP(3)", "TIMESTAMP(9)", {at("2024-01-02 03:04:05.678")}) ==
        Texts{"2024-01-02 03:04:05.678"});
  CHECK_THROWS_WITH_AS(Cast("TIMESTAMP(3)", "TIMESTAMP(9)", {at("9999-01-01 00:00:00")}),
                       doctest::Contains("out of range"), Error);
  CHECK(Cast("TIMESTAMP(6)", "DATE", {at("1969-12-31 23:00:00")}) == Texts{"1969-12-31"});
  CHECK(Cast("TIMESTAMP(6)", "TIME(3)", {at("1969-12-31 23:00:00.123456")}) ==
        Texts{"23:00:00.123"});
  CHECK(Cast("DATE", "TIMESTAMP(3)", {at("2024-02-29")}) == Texts{"2024-02-29 00:00:00"});
  CHECK(Cast("BIGINT", "TIMESTAMP(3)", {Value::BIGINT(-1)}) == Texts{"1969-12-31 23:59:59"});
  CHECK(Cast("TIMESTAMP(3)", "INT", {at("1970-01-02 00:00:00")}) == Texts{"86400"});
  CHECK(Cast("TIMESTAMP(6)", "STRING", {at("1969-12-31 23:59:59.5")}) ==
        Texts{"1969-12-31 23:59:59.500000"});
  CHECK(Cast("TIMESTAMP(0)", "STRING", {at("2024-01-02 03:04:05")}) ==
        Texts{"2024-01-02 03:04:05"});
  CHECK(Cast("TIME(3)", "STRING", {at("03:04:05.6")}) == Texts{"03:04:05.600"});
}

namespace {

/// The naive way: boxed values.
Value Naive(const Value& value, const DataType& from, const DataType& to) {
  if (value.IsNull()) return Value(to.ToDuck());
  if (to.root == TypeRoot::kRow) {
    duckdb::child_list_t<Value> members;
    for (const DataField& field : to.fields) {
      Value member(field.type.ToDuck());
      for (idx_t i = 0; i < from.fields.size(); i++) {
        if (from.fields[i].id != field.id) continue;
        member = Naive(duckdb::StructValue::GetChildren(value)[i], from.fields[i].type, field.type);
      }
      members.emplace_back(field.name, member);
    }
    return Value::STRUCT(std::move(members));
  }
  if (to.root == TypeRoot::kArray) {
    duckdb::vector<Value> elements;
    for (const Value& element : duckdb::ListValue::GetChildren(value)) {
      elements.push_back(Naive(element, from.children[0], to.children[0]));
    }
    return Value::LIST(to.children[0].ToDuck(), std::move(elements));
  }
  if (to.root == TypeRoot::kMap) {
    duckdb::vector<Value> keys, values;
    for (const Value& entry : duckdb::MapValue::GetChildren(value)) {
      const auto& pair = duckdb::StructValue::GetChildren(entry);
      keys.push_back(pair[0]);
      values.push_back(Naive(pair[1], from.children[1], to.children[1]));
    }
    return Value::MAP(to.children[0].ToDuck(), to.children[1].ToDuck(), keys, values);
  }
  return value.DefaultCastAs(to.ToDuck());
}

Value RandomValue(const DataType& type, std::mt19937& random) {
  if (random() % 5 == 0) return Value(type.ToDuck());
  switch (type.root) {
    case TypeRoot::kRow: {
      duckdb::child_list_t<Value> members;
      for (const DataField& field : type.fields) {
        members.emplace_back(field.name, RandomValue(field.type, random));
      }
      return Value::STRUCT(std::move(members));
    }
    case TypeRoot::kArray: {
      duckdb::vector<Value> elements;
      for (uint32_t i = random() % 4; i > 0; i--) {
        elements.push_back(RandomValue(type.children[0], random));
      }
      return Value::LIST(type.children[0].ToDuck(), std::move(elements));
    }
    case TypeRoot::kMap: {
      duckdb::vector<Value> keys, values;
      for (uint32_t i = random() % 3; i > 0; i--) {
        keys.push_back(Value("k" + std::to_string(i)));
        values.push_back(RandomValue(type.children[1], random));
      }
      return Value::MAP(type.children[0].ToDuck(), type.children[1].ToDuck(), keys, values);
    }
    case TypeRoot::kVarChar:
      return Value("text " + std::to_string(random() % 100));
    default:
      return Value::INTEGER(static_cast<int32_t>(random() % 1000)).DefaultCastAs(type.ToDuck());
  }
}

void SetId(DataType& row, const std::string& name, int id) {
  for (DataField& field : row.fields) {
    if (field.name == name) field.id = id;
  }
}

}  // namespace

TEST_CASE("Nested fields are matched by id, whatever lies around them") {
  DataType from = Type("ROW<a INT, b ARRAY<ROW<x INT, y STRING>>, m MAP<STRING, ROW<p INT>>>");
  DataType to = Type(
      "ROW<n STRING, bb ARRAY<ROW<yy STRING, z INT, x BIGINT>>, m MAP<STRING, ROW<p BIGINT, q "
      "INT>>>");
  SetId(from, "a", 1);
  SetId(from, "b", 2);
  SetId(from, "m", 3);
  SetId(to, "n", 9);
  SetId(to, "bb", 2);
  SetId(to, "m", 3);
  SetId(from.fields[1].type.children[0], "x", 4);
  SetId(from.fields[1].type.children[0], "y", 5);
  SetId(to.fields[1].type.children[0], "x", 4);
  SetId(to.fields[1].type.children[0], "yy", 5);
  SetId(to.fields[1].type.children[0], "z", 6);
  SetId(from.fields[2].type.children[1], "p", 7);
  SetId(to.fields[2].type.children[1], "p", 7);
  SetId(to.fields[2].type.children[1], "q", 8);
  FieldCast cast = MakeNestedCast(from, to);
  REQUIRE(cast);
  CHECK(!MakeNestedCast(from, from));
  for (uint32_t seed = 1; seed <= 30; seed++) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    idx_t count = 1 + random() % kChunkRows;
    std::vector<Value> values;
    Vector source(from.ToDuck()), target(to.ToDuck());
    for (idx_t i = 0; i < count; i++) {
      values.push_back(RandomValue(from, random));
      source.SetValue(i, values.back());
    }
    cast(source, target, count);
    for (idx_t i = 0; i < count; i++) {
      CAPTURE(i);
      REQUIRE(target.GetValue(i).ToString() == Naive(values[i], from, to).ToString());
    }
  }
}

}  // namespace millrace
