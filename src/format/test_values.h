// test_values.h - random values of any type, for tests.
#pragma once

#include <random>

#include "duckdb/common/types/decimal.hpp"
#include "duckdb/common/types/timestamp.hpp"
#include "meta/data_type.h"

namespace millrace {

inline std::string RandomText(std::mt19937_64& random, size_t length_max) {
  static const char* const kLetters[] = {"a", "b", "Z", "0", " ", "\x01", "ä", "€", "😀"};
  std::string text;
  for (size_t i = random() % (length_max + 1); i > 0; i--) text += kLetters[random() % 9];
  return text;
}

/// A value of `type`, in DuckDB's type for it; from a domain of about `domain` values where that is
/// easy.
inline Value RandomValue(std::mt19937_64& random, const DataType& type, int64_t domain = 1 << 30) {
  if (type.nullable && random() % 5 == 0) return Value(type.ToDuck());
  int64_t number = static_cast<int64_t>(random() % static_cast<uint64_t>(domain)) - domain / 2;
  switch (type.root) {
    case TypeRoot::kBoolean:
      return Value::BOOLEAN(number % 2 != 0);
    case TypeRoot::kTinyInt:
      return Value::TINYINT(static_cast<int8_t>(number % 128));
    case TypeRoot::kSmallInt:
      return Value::SMALLINT(static_cast<int16_t>(number % 32768));
    case TypeRoot::kInt:
      return Value::INTEGER(static_cast<int32_t>(number));
    case TypeRoot::kBigInt:
      return Value::BIGINT(number * (domain > 1000 ? 1'000'003 : 1));
    case TypeRoot::kFloat:
      return Value::FLOAT(static_cast<float>(number) / 8);
    case TypeRoot::kDouble:
      return Value::DOUBLE(static_cast<double>(number) / 8);
    case TypeRoot::kDecimal: {
      std::string digits = std::to_string(number % (type.length < 10 ? 999 : 999'999'999));
      return Value::BIGINT(std::stoll(digits) % (type.length - type.scale < 3 ? 9 : 999))
          .DefaultCastAs(type.ToDuck());
    }
    case TypeRoot::kChar:
    case TypeRoot::kVarChar:
      if (domain < 100'000) return Value("key" + std::to_string(number));
      return Value(RandomText(random, 30));
    case TypeRoot::kBinary:
    case TypeRoot::kVarBinary: {
      std::string bytes;
      for (size_t i = random() % 20; i > 0; i--) bytes += static_cast<char>(random());
      return Value::BLOB(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    }
    case TypeRoot::kDate:
      return Value::DATE(duckdb::date_t(static_cast<int32_t>(number % 40000)));
    case TypeRoot::kTime:
      return Value::TIME(duckdb::dtime_t(static_cast<int64_t>(random() % 86'400'000) * 1000));
    case TypeRoot::kTimestamp:
    case TypeRoot::kTimestampLtz: {
      int64_t unit = type.length == 0 ? 1'000'000 : type.length <= 3 ? 1000 : 1;
      if (type.length > 6) {
        Value nanos = Value::TIMESTAMPNS(duckdb::timestamp_ns_t(number * 1'000'003));
        nanos.Reinterpret(type.ToDuck());
        return nanos;
      }
      duckdb::timestamp_t micros(number * unit);
      return type.root == TypeRoot::kTimestamp ? Value::TIMESTAMP(micros)
                                               : Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(micros));
    }
    case TypeRoot::kArray: {
      duckdb::vector<Value> values;
      for (size_t i = random() % 4; i > 0; i--) {
        values.push_back(RandomValue(random, type.children[0], domain));
      }
      return Value::LIST(type.children[0].ToDuck(), std::move(values));
    }
    case TypeRoot::kMap:
    case TypeRoot::kMultiset: {
      duckdb::vector<Value> keys;
      duckdb::vector<Value> values;
      if (random() % 2 == 0) {
        keys.push_back(RandomValue(random, type.children[0].NotNull(), domain));
        values.push_back(type.root == TypeRoot::kMap ? RandomValue(random, type.children[1], domain)
                                                     : Value::INTEGER(2));
      }
      return Value::MAP(type.children[0].ToDuck(),
                        type.root == TypeRoot::kMap ? type.children[1].ToDuck()
                                                    : LogicalType(LogicalTypeId::INTEGER),
                        std::move(keys), std::move(values));
    }
    case TypeRoot::kRow: {
      duckdb::child_list_t<Value> members;
      for (const DataField& field : type.fields) {
        members.emplace_back(field.name, RandomValue(random, field.type, domain));
      }
      return Value::STRUCT(std::move(members));
    }
  }
  return Value();
}

}  // namespace millrace
