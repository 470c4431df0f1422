// Goal: a type survives its text, its DuckDB type is the one that carries it, and mistakes are
// explained. Method: tables of texts; random nested types printed and parsed again; every prefix of
// a text.
#include "meta/data_type.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "io/random.h"

namespace millrace {

namespace {

std::string Reprinted(const std::string& text) {
  return ParseDataType(text).ToString();
}

std::string ParseFailure(const std::string& text) {
  try {
    ParseDataType(text);
  } catch (const Error& error) {
    return error.text();
  }
  return "";
}

/// Nested, nullable or not, with lengths of every kind.
DataType RandomType(Random& random, int depth) {
  DataType type;
  type.nullable = random.Next() % 2 == 0;
  type.root = static_cast<TypeRoot>(random.Next() % (depth > 0 ? 20 : 16));
  switch (type.root) {
    case TypeRoot::kDecimal:
      type.length = 1 + static_cast<int>(random.Next() % 38);
      type.scale = static_cast<int>(random.Next() % (static_cast<uint64_t>(type.length) + 1));
      break;
    case TypeRoot::kChar:
    case TypeRoot::kBinary:
      type.length = 1 + static_cast<int>(random.Next() % 1000);
      break;
    case TypeRoot::kVarChar:
    case TypeRoot::kVarBinary:
      type.length =
          random.Next() % 2 == 0 ? kMaxLength : 1 + static_cast<int>(random.Next() % 1000);
      break;
    case TypeRoot::kTime:
    case TypeRoot::kTimestamp:
    case TypeRoot::kTimestampLtz:
      type.length = static_cast<int>(random.Next() % 10);
      break;
    case TypeRoot::kMap:
      type.children.push_back(RandomType(random, depth - 1));
      [[fallthrough]];
    case TypeRoot::kArray:
    case TypeRoot::kMultiset:
      type.children.push_back(RandomType(random, depth - 1));
      break;
    case TypeRoot::kRow:
      for (uint64_t i = 0, count = random.Next() % 4; i < count; i++) {
        constexpr const char* kNames[] = {"a", "order", "two words", "back`tick", "名"};
        DataField field;
        field.name = kNames[random.Next() % 5] + std::to_string(i);
        field.type = RandomType(random, depth - 1);
        if (random.Next() % 3 == 0) field.description = "it's a field";
        type.fields.push_back(field);
      }
      break;
    default:
      break;
  }
  return type;
}

}  // namespace

TEST_CASE("Types are read in Flink's and Paimon's forms and printed in one") {
  CHECK(Reprinted("decimal(18,2) not null") == "DECIMAL(18, 2) NOT NULL");
  CHECK(Reprinted("NUMERIC") == "DECIMAL(10, 0)");
  CHECK(Reprinted("TIMESTAMP_LTZ(3)") == "TIMESTAMP(3) WITH LOCAL TIME ZONE");
  CHECK(Reprinted("TIMESTAMP WITH LOCAL TIME ZONE NOT NULL") ==
        "TIMESTAMP(6) WITH LOCAL TIME ZONE NOT NULL");
  CHECK(Reprinted("TIMESTAMP(9) WITHOUT TIME ZONE") == "TIMESTAMP(9)");
  CHECK(Reprinted("INT NOT NULL ARRAY NOT NULL") == "ARRAY<INT NOT NULL> NOT NULL");
  CHECK(Reprinted("STRING MULTISET") == "MULTISET<STRING>");
  CHECK(Reprinted("VARCHAR(2147483647)") == "STRING");
  CHECK(Reprinted("VARCHAR") == "STRING");
  CHECK(Reprinted("VARBINARY(2147483647)") == "BYTES");
  CHECK(Reprinted("MAP<STRING,ROW<a INT,`b c` ARRAY<DOUBLE PRECISION>>>") ==
        "MAP<STRING, ROW<a INT, `b c` ARRAY<DOUBLE>>>");
  CHECK(Reprinted("ROW(a INT 'the first', b STRING)") == "ROW<a INT 'the first', b STRING>");
  CHECK(Reprinted("ROW<>") == "ROW<>");
}

TEST_CASE("A random type survives its text") {
  uint64_t seed = Random().Next();
  INFO("seed " << seed);
  Random random(seed);
  for (int i = 0; i < 2000; i++) {
    DataType type = RandomType(random, 3);
    std::string text = type.ToString();
    CAPTURE(text);
    REQUIRE(ParseDataType(text) == type);
    REQUIRE_NOTHROW(type.ToDuck());
    for (size_t length = 0; length < text.size() && i < 100;
         length++) {  // Either a type or an Error.
      try {
        ParseDataType(text.substr(0, length));
      } catch (const Error& error) {
        REQUIRE(error.code() == ErrorCode::kInvalid);
      }
    }
  }
}

TEST_CASE("DuckDB's type carries Paimon's") {
  CHECK(ParseDataType("TIMESTAMP(6)").ToDuck() == LogicalType::TIMESTAMP);
  CHECK(ParseDataType("TIMESTAMP(7)").ToDuck() == LogicalType::TIMESTAMP_NS);
  CHECK(ParseDataType("TIMESTAMP_LTZ(6)").ToDuck() == LogicalType::TIMESTAMP_TZ);
  CHECK(ParseDataType("MULTISET<STRING>").ToDuck() ==
        LogicalType::MAP(LogicalType::VARCHAR, LogicalType::INTEGER));
  for (const char* text :
       {"BOOLEAN", "SMALLINT", "DECIMAL(38, 10)", "STRING", "BYTES", "DATE", "TIME(3)",
        "TIMESTAMP(9)", "TIMESTAMP(9) WITH LOCAL TIME ZONE", "ARRAY<INT>",
        "MAP<INT NOT NULL, STRING>", "ROW<a INT, b ARRAY<STRING>>"}) {
    CHECK(DataTypeFromDuck(ParseDataType(text).ToDuck()).ToString() == text);
  }
  CHECK(DataTypeFromDuck(LogicalType::HUGEINT).ToString() == "DECIMAL(38, 0)");
  CHECK_THROWS_AS(DataTypeFromDuck(LogicalType::INTERVAL), Error);
}

TEST_CASE("A mistake in a type is explained") {
  CHECK(ParseFailure("BIGNIT") ==
        "Parsing type 'BIGNIT': unknown type 'BIGNIT'; did you mean 'BIGINT'?");
  CHECK(ParseFailure("DATETIME") ==
        "Parsing type 'DATETIME': unknown type 'DATETIME'; did you mean TIMESTAMP(3)?");
  CHECK(ParseFailure("DECIMAL(39, 2)") ==
        "Parsing type 'DECIMAL(39, 2)': DECIMAL takes 1 to 38, not 39");
  CHECK(ParseFailure("DECIMAL(3, 5)") ==
        "Parsing type 'DECIMAL(3, 5)': the scale is greater than the precision");
  CHECK(ParseFailure("TIMESTAMP(3) WITH TIME ZONE") ==
        "Parsing type 'TIMESTAMP(3) WITH TIME ZONE': there is no type WITH TIME ZONE; did you mean "
        "TIMESTAMP_LTZ?");
  CHECK(ParseFailure("VARCHAR(99999999999)") ==
        "Parsing type 'VARCHAR(99999999999)': 99999999999 is too large");
  CHECK(ParseFailure("INT NOT") == "Parsing type 'INT NOT': unexpected 'NOT'");
  CHECK(ParseFailure(std::string(1000, '<')).empty() == false);
  std::string deep;
  for (int i = 0; i < 5000; i++) deep += "ARRAY<";
  CHECK(ParseFailure(deep).find("nested too deeply") != std::string::npos);
}

}  // namespace millrace
