#include "cells.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>

#include "base/error.h"

namespace millrace {

namespace {

using Json = nlohmann::json;

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

std::string ToHex(const std::string& bytes) {
  std::string hex;
  for (unsigned char byte : bytes) hex += fmt::format("{:02x}", byte);
  return hex;
}

DataType KeyType(const DataType& type) {
  return type.children[0];
}

DataType ValueType(const DataType& type) {
  return type.root == TypeRoot::kMap ? type.children[1] : DataType();  // A MULTISET counts in INT.
}

/// "<epoch ms>:<ns of the ms>"
Value TimestampFromText(const std::string& text, const DataType& type) {
  size_t colon = text.find(':');
  int64_t millis = std::stoll(text.substr(0, colon)), nanos = std::stoll(text.substr(colon + 1));
  if (type.length > 6) {
    Value value = Value::TIMESTAMPNS(duckdb::timestamp_ns_t(millis * 1000000 + nanos));
    value.Reinterpret(type.ToDuck());
    return value;
  }
  int64_t micros = millis * 1000 + nanos / 1000;
  if (type.root == TypeRoot::kTimestampLtz) {
    return Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(micros));
  }
  return Value::TIMESTAMP(duckdb::timestamp_t(micros));
}

std::string TimestampToText(const Value& value, const DataType& type) {
  int64_t count = value.GetValueUnsafe<int64_t>();
  int64_t unit = type.length > 6 ? 1000000 : 1000;
  int64_t rest = count % unit < 0 ? count % unit + unit : count % unit;
  return fmt::format("{}:{}", (count - rest) / unit, rest * (1000000 / unit));
}

/// DuckDB leaves the zero before the point out when all digits stand behind it.
std::string DecimalText(const Value& value) {
  std::string text = value.ToString();
  size_t point = text.find('.');
  bool bare = point == 0 || (point == 1 && text[0] == '-');
  return bare ? text.insert(point, "0") : text;
}

Value MapFromJson(const Json& json, const DataType& type) {
  duckdb::vector<Value> keys, values;
  for (const Json& pair : json) {
    keys.push_back(CellFromJson(pair.at(0), KeyType(type)));
    values.push_back(CellFromJson(pair.at(1), ValueType(type)));
  }
  return Value::MAP(KeyType(type).ToDuck(), ValueType(type).ToDuck(), std::move(keys),
                    std::move(values));
}

Json MapToJson(const Value& value, const DataType& type) {
  std::map<std::string, Json> sorted;
  for (const Value& entry : duckdb::MapValue::GetChildren(value)) {
    const auto& pair = duckdb::StructValue::GetChildren(entry);
    Json key = CellToJson(pair[0], KeyType(type));
    sorted.emplace(key.dump(), Json::array({key, CellToJson(pair[1], ValueType(type))}));
  }
  Json json = Json::array();
  for (auto& [text, pair] : sorted) json.push_back(std::move(pair));
  return json;
}

Value RowFromJson(const Json& json, const DataType& type) {
  duckdb::child_list_t<Value> members;
  for (size_t i = 0; i < type.fields.size(); i++) {
    members.emplace_back(type.fields[i].name, CellFromJson(json.at(i), type.fields[i].type));
  }
  return Value::STRUCT(std::move(members));
}

}  // namespace

Value CellFromJson(const Json& json, const DataType& type) {
  LogicalType duck = type.ToDuck();
  if (json.is_null()) return Value(duck);
  switch (type.root) {
    case TypeRoot::kBoolean:
      return Value::BOOLEAN(json.get<bool>());
    case TypeRoot::kFloat:
      return Value::FLOAT(std::bit_cast<float>(
          static_cast<uint32_t>(std::stoull(json.get<std::string>(), nullptr, 16))));
    case TypeRoot::kDouble:
      return Value::DOUBLE(std::bit_cast<double>(
          static_cast<uint64_t>(std::stoull(json.get<std::string>(), nullptr, 16))));
    case TypeRoot::kDecimal:
      return Value(json.get<std::string>()).DefaultCastAs(duck, true);
    case TypeRoot::kChar:
    case TypeRoot::kVarChar:
      return Value(json.get<std::string>());
    case TypeRoot::kBinary:
    case TypeRoot::kVarBinary:
      return Value::BLOB_RAW(FromHex(json.get<std::string>()));
    case TypeRoot::kDate:
      return Value::DATE(duckdb::date_t(json.get<int32_t>()));
    case TypeRoot::kTime:
      return Value::TIME(duckdb::dtime_t(json.get<int64_t>() * 1000));
    case TypeRoot::kTimestamp:
    case TypeRoot::kTimestampLtz:
      return TimestampFromText(json.get<std::string>(), type);
    case TypeRoot::kArray: {
      duckdb::vector<Value> elements;
      for (const Json& each : json) elements.push_back(CellFromJson(each, type.children[0]));
      return Value::LIST(type.children[0].ToDuck(), std::move(elements));
    }
    case TypeRoot::kMap:
    case TypeRoot::kMultiset:
      return MapFromJson(json, type);
    case TypeRoot::kRow:
      return RowFromJson(json, type);
    default:
      return Value::Numeric(duck, json.get<int64_t>());
  }
}

Json CellToJson(const Value& value, const DataType& type) {
  if (value.IsNull()) return Json();
  switch (type.root) {
    case TypeRoot::kBoolean:
      return value.GetValueUnsafe<bool>();
    case TypeRoot::kFloat: {
      float number = value.GetValueUnsafe<float>();
      uint32_t bits = std::isnan(number) ? 0x7fc00000U : std::bit_cast<uint32_t>(number);
      return fmt::format("{:08x}", bits);
    }
    case TypeRoot::kDouble: {
      double number = value.GetValueUnsafe<double>();
      uint64_t bits = std::isnan(number) ? 0x7ff8000000000000ULL : std::bit_cast<uint64_t>(number);
      return fmt::format("{:016x}", bits);
    }
    case TypeRoot::kDecimal:
      return DecimalText(value);
    case TypeRoot::kChar:
    case TypeRoot::kVarChar:
      return duckdb::StringValue::Get(value);
    case TypeRoot::kBinary:
    case TypeRoot::kVarBinary:
      return ToHex(duckdb::StringValue::Get(value));
    case TypeRoot::kDate:
      return value.GetValueUnsafe<int32_t>();
    case TypeRoot::kTime:
      return value.GetValueUnsafe<int64_t>() / 1000;
    case TypeRoot::kTimestamp:
    case TypeRoot::kTimestampLtz:
      return TimestampToText(value, type);
    case TypeRoot::kArray: {
      Json json = Json::array();
      for (const Value& each : duckdb::ListValue::GetChildren(value)) {
        json.push_back(CellToJson(each, type.children[0]));
      }
      return json;
    }
    case TypeRoot::kMap:
    case TypeRoot::kMultiset:
      return MapToJson(value, type);
    case TypeRoot::kRow: {
      Json json = Json::array();
      const auto& members = duckdb::StructValue::GetChildren(value);
      for (size_t i = 0; i < members.size(); i++) {
        json.push_back(CellToJson(members[i], type.fields[i].type));
      }
      return json;
    }
    default:
      return value.GetValue<int64_t>();
  }
}

}  // namespace millrace
