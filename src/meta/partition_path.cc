// partition_path.cc - the folder of a partition. A path is only a place (the values are in the
// manifests), but all writers must compute the same one. docs/format.md#partition-paths
#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "duckdb/common/types/date.hpp"
#include "duckdb/common/types/decimal.hpp"
#include "duckdb/common/types/timestamp.hpp"
#include "meta/binary_row.h"
#include "meta/java_text.h"
#include "meta/options.h"
#include "meta/row_codec.h"

namespace millrace {

namespace {

constexpr std::string_view kEscaped = "\"#%'*/:=?\\{}[]^\x7f";

std::string Escape(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || kEscaped.find(c) != std::string_view::npos) {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out;
}

bool IsBlank(const std::string& text) {
  return text.find_first_not_of(" \t\n\v\f\r\x1c\x1d\x1e\x1f") == std::string::npos;
}

/// Java's BigDecimal.toString: plain unless that needs many leading zeros.
std::string JavaDecimal(const Value& value, int scale) {
  std::string plain = value.ToString();
  bool negative = plain[0] == '-';
  std::string digits;
  for (char c : plain) {
    if (c >= '0' && c <= '9') digits += c;
  }
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size() - 1));
  int exponent = static_cast<int>(digits.size()) - 1 - scale;
  if (exponent >= -6) return plain;
  std::string mantissa = digits.size() == 1 ? digits : digits.substr(0, 1) + "." + digits.substr(1);
  return fmt::format("{}{}E{}", negative ? "-" : "", mantissa, exponent);
}

struct TimeParts {
  int32_t year, month, day;
  int64_t second_of_day;
  int64_t nanos;
};

TimeParts PartsOf(const DataType& type, const Value& value) {
  int64_t number = value.GetValueUnsafe<int64_t>();
  MillisNanos time = type.length > 6 ? SplitNanos(number) : SplitMicros(number);
  int64_t day_ms = 86'400'000;
  int64_t days = time.millis / day_ms - (time.millis % day_ms < 0 ? 1 : 0);
  int64_t ms_of_day = time.millis - days * day_ms;
  TimeParts parts{};
  duckdb::Date::Convert(duckdb::date_t(static_cast<int32_t>(days)), parts.year, parts.month,
                        parts.day);
  parts.second_of_day = ms_of_day / 1000;
  parts.nanos = ms_of_day % 1000 * 1'000'000 + time.nanos;
  return parts;
}

std::string Clock(int64_t second_of_day) {
  return fmt::format("{:02}:{:02}:{:02}", second_of_day / 3600, second_of_day / 60 % 60,
                     second_of_day % 60);
}

/// Nine digits, cut to groups of three (`groups`) or to at least `precision` digits.
std::string Fraction(int64_t nanos, int precision, bool groups) {
  std::string digits = fmt::format("{:09}", nanos);
  size_t kept = digits.find_last_not_of('0') + 1;  // 0 when there are only zeros.
  kept = groups ? (kept + 2) / 3 * 3 : std::max(kept, static_cast<size_t>(precision));
  return kept == 0 ? "" : "." + digits.substr(0, kept);
}

/// LocalDateTime.toString: seconds only when there are any.
std::string LegacyTimestamp(const TimeParts& parts) {
  std::string date = fmt::format("{:04}-{:02}-{:02}T", parts.year, parts.month, parts.day);
  std::string clock = Clock(parts.second_of_day);
  if (parts.second_of_day % 60 == 0 && parts.nanos == 0) return date + clock.substr(0, 5);
  return date + clock + Fraction(parts.nanos, 0, true);
}

}  // namespace

std::string ValueText(const DataType& type, const Value& value, bool legacy) {
  switch (type.root) {
    case TypeRoot::kBoolean:
      return value.GetValueUnsafe<bool>() ? "true" : "false";
    case TypeRoot::kFloat:
      return JavaText(value.GetValueUnsafe<float>());
    case TypeRoot::kDouble:
      return JavaText(value.GetValueUnsafe<double>());
    case TypeRoot::kDecimal:
      return JavaDecimal(value, type.scale);
    case TypeRoot::kDate:
      if (legacy) return std::to_string(value.GetValueUnsafe<int32_t>());  // Days since 1970.
      return duckdb::Date::ToString(duckdb::date_t(value.GetValueUnsafe<int32_t>()));
    case TypeRoot::kTime: {
      int64_t millis = value.GetValueUnsafe<int64_t>() / 1000;
      if (legacy) return std::to_string(millis);
      return Clock(millis / 1000) + Fraction(millis % 1000 * 1'000'000, type.length, false);
    }
    case TypeRoot::kTimestamp:
    case TypeRoot::kTimestampLtz: {
      TimeParts parts = PartsOf(type, value);
      if (legacy) return LegacyTimestamp(parts);
      return fmt::format("{:04}-{:02}-{:02} {}{}", parts.year, parts.month, parts.day,
                         Clock(parts.second_of_day), Fraction(parts.nanos, type.length, false));
    }
    case TypeRoot::kChar:
    case TypeRoot::kVarChar:
    case TypeRoot::kBinary:
    case TypeRoot::kVarBinary:
      return duckdb::StringValue::Get(value);
    default:
      return value.ToString();
  }
}

std::string PartitionPath(const TableSchema& schema, std::string_view partition) {
  if (schema.partition_keys.empty()) return "";
  std::vector<DataType> types;
  for (idx_t column : schema.PartitionColumns()) types.push_back(schema.fields[column].type);
  std::vector<Value> values = DecodeRow(types, partition);
  bool legacy = GetBool(schema.options, "partition.legacy-name", true);
  std::string default_name =
      GetString(schema.options, "partition.default-name", "__DEFAULT_PARTITION__");
  std::string path;
  for (idx_t i = 0; i < types.size(); i++) {
    std::string text = values[i].IsNull() ? "" : ValueText(types[i], values[i], legacy);
    path +=
        Escape(schema.partition_keys[i]) + "=" + Escape(IsBlank(text) ? default_name : text) + "/";
  }
  return path;
}

}  // namespace millrace
