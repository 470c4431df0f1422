#include "format/codec/cell_text.h"

#include <simdjson.h>

#include <charconv>
#include <limits>

#include "base/error.h"
#include "duckdb/common/hugeint.hpp"
#include "duckdb/common/types/date.hpp"
#include "duckdb/common/types/timestamp.hpp"

namespace millrace {

namespace {

using duckdb::FlatVector;

template <typename T>
T& Cell(Vector& vector, idx_t row) {
  return FlatVector::GetDataUnsafe<T>(vector)[row];
}

template <typename T>
bool SetInteger(Vector& vector, idx_t row, int64_t value) {
  if (value < std::numeric_limits<T>::min() || value > std::numeric_limits<T>::max()) return false;
  Cell<T>(vector, row) = static_cast<T>(value);
  return true;
}

/// Integer types take "12", "12.0", "1.2E1": whatever is a whole number.
bool IntegerFromText(std::string_view text, int64_t& value) {
  if (ParseInteger(text, value)) return true;
  if (text.find_first_of(".eE") == std::string_view::npos) return false;
  Int128 billionths;  // What is finer does not make a whole number less whole to a reader.
  if (!ParseDecimal(text, 38, 9, billionths) || billionths % 1'000'000'000 != 0) return false;
  billionths /= 1'000'000'000;
  value = static_cast<int64_t>(billionths);
  return value == billionths;
}

/// Seconds and nanoseconds as the type's int64: microseconds up to precision 6, else nanoseconds.
bool SetTimestamp(const DataType& type, Vector& vector, idx_t row, int64_t seconds, int32_t nanos) {
  // Digits beyond the declared precision are cut, as in Flink's casts.
  static constexpr int32_t kUnits[] = {1'000'000'000, 100'000'000, 10'000'000, 1'000'000, 100'000,
                                       10'000,        1'000,       100,        10,        1};
  nanos -= nanos % kUnits[type.length];
  bool fine = type.length > 6;
  int64_t value;
  if (__builtin_mul_overflow(seconds, fine ? 1'000'000'000LL : 1'000'000LL, &value) ||
      __builtin_add_overflow(value, fine ? nanos : nanos / 1000, &value)) {
    return false;
  }
  // The extremes are DuckDB's infinities.
  if (value >= std::numeric_limits<int64_t>::max() ||
      value <= -std::numeric_limits<int64_t>::max()) {
    return false;
  }
  Cell<int64_t>(vector, row) = value;
  return true;
}

bool SetTime(const DataType& type, Vector& vector, idx_t row, int64_t nanos) {
  if (nanos < 0 || nanos >= 86'400'000'000'000) return false;
  int64_t unit = 1000;
  for (int digits = 6; digits > type.length && digits > 0; digits--) unit *= 10;
  Cell<int64_t>(vector, row) = nanos / unit * (unit / 1000);
  return true;
}

bool SetTimestampFromEpoch(const DataType& type, Vector& vector, idx_t row, int64_t value,
                           EpochUnit unit) {
  int64_t per_second = unit == EpochUnit::kMillis   ? 1'000
                       : unit == EpochUnit::kMicros ? 1'000'000
                                                    : 1'000'000'000;
  int64_t seconds = value / per_second, rest = value % per_second;
  if (rest < 0) {
    rest += per_second;
    seconds--;
  }
  return SetTimestamp(type, vector, row, seconds,
                      static_cast<int32_t>(rest * (1'000'000'000 / per_second)));
}

}  // namespace

bool SetCellFromUnscaled(const DataType& type, Vector& vector, idx_t row, Int128 value) {
  Int128 limit = 1;
  for (int i = 0; i < type.length; i++) limit *= 10;
  if (value >= limit || value <= -limit) return false;
  if (type.length <= 4) {
    Cell<int16_t>(vector, row) = static_cast<int16_t>(value);
  } else if (type.length <= 9) {
    Cell<int32_t>(vector, row) = static_cast<int32_t>(value);
  } else if (type.length <= 18) {
    Cell<int64_t>(vector, row) = static_cast<int64_t>(value);
  } else {
    auto& huge = Cell<duckdb::hugeint_t>(vector, row);
    huge.lower = static_cast<uint64_t>(value);
    huge.upper = static_cast<int64_t>(value >> 64);
  }
  return true;
}

void SetCellFromString(Vector& vector, idx_t row, std::string_view text) {
  Cell<string_t>(vector, row) =
      text.size() <= string_t::INLINE_LENGTH
          ? string_t(text.data(), static_cast<uint32_t>(text.size()))
          : duckdb::StringVector::AddStringOrBlob(vector, text.data(), text.size());
}

bool SetCellFromText(const DataType& type, Vector& vector, idx_t row, std::string_view text) {
  int64_t integer;
  double number;
  switch (type.root) {
    case TypeRoot::kBoolean:
      return ParseBoolean(text, Cell<bool>(vector, row));
    case TypeRoot::kTinyInt:
      return IntegerFromText(text, integer) && SetInteger<int8_t>(vector, row, integer);
    case TypeRoot::kSmallInt:
      return IntegerFromText(text, integer) && SetInteger<int16_t>(vector, row, integer);
    case TypeRoot::kInt:
      return IntegerFromText(text, integer) && SetInteger<int32_t>(vector, row, integer);
    case TypeRoot::kBigInt:
      return IntegerFromText(text, Cell<int64_t>(vector, row));
    case TypeRoot::kFloat:
      if (!ParseDouble(text, number)) return false;
      Cell<float>(vector, row) = static_cast<float>(number);
      return true;
    case TypeRoot::kDouble:
      return ParseDouble(text, Cell<double>(vector, row));
    case TypeRoot::kDecimal: {
      Int128 value;
      return ParseDecimal(text, type.length, type.scale, value) &&
             SetCellFromUnscaled(type, vector, row, value);
    }
    case TypeRoot::kChar:
    case TypeRoot::kVarChar:
      if (!simdjson::validate_utf8(text.data(), text.size())) return false;
      SetCellFromString(vector, row, text);
      return true;
    case TypeRoot::kBinary:
    case TypeRoot::kVarBinary: {
      std::string bytes;
      if (!ParseBase64(text, bytes)) return false;
      SetCellFromString(vector, row, bytes);
      return true;
    }
    case TypeRoot::kDate: {
      if (ParseDate(text, Cell<int32_t>(vector, row))) return true;
      ParsedTimestamp value;  // A timestamp at midnight is a date too.
      if (!ParseTimestamp(text, value) || value.nanos != 0 || value.seconds % 86400 != 0)
        return false;
      Cell<int32_t>(vector, row) = static_cast<int32_t>(value.seconds / 86400);
      return true;
    }
    case TypeRoot::kTime:
      return ParseTime(text, integer) && SetTime(type, vector, row, integer);
    case TypeRoot::kTimestamp:
    case TypeRoot::kTimestampLtz: {
      ParsedTimestamp value;
      return ParseTimestamp(text, value) &&
             SetTimestamp(type, vector, row, value.seconds, value.nanos);
    }
    default:
      return false;
  }
}

bool SetCellFromInteger(const DataType& type, Vector& vector, idx_t row, int64_t value,
                        EpochUnit unit) {
  switch (type.root) {
    case TypeRoot::kTinyInt:
      return SetInteger<int8_t>(vector, row, value);
    case TypeRoot::kSmallInt:
      return SetInteger<int16_t>(vector, row, value);
    case TypeRoot::kInt:
      return SetInteger<int32_t>(vector, row, value);
    case TypeRoot::kBigInt:
      Cell<int64_t>(vector, row) = value;
      return true;
    case TypeRoot::kFloat:
      Cell<float>(vector, row) = static_cast<float>(value);
      return true;
    case TypeRoot::kDouble:
      Cell<double>(vector, row) = static_cast<double>(value);
      return true;
    case TypeRoot::kDecimal: {
      Int128 scaled = value;
      for (int i = 0; i < type.scale; i++) {
        scaled *= 10;
        if (scaled > (Int128{1} << 120) || scaled < -(Int128{1} << 120)) break;
      }
      // The loop stops early only past 10^36; DECIMAL(38) beyond that goes by its text.
      if (scaled > (Int128{1} << 120) || scaled < -(Int128{1} << 120)) {
        std::string text;
        AppendInteger(value, text);
        return SetCellFromText(type, vector, row, text);
      }
      return SetCellFromUnscaled(type, vector, row, scaled);
    }
    case TypeRoot::kChar:
    case TypeRoot::kVarChar: {
      char digits[24];
      auto* end = std::to_chars(digits, digits + sizeof digits, value).ptr;
      SetCellFromString(vector, row, {digits, static_cast<size_t>(end - digits)});
      return true;
    }
    case TypeRoot::kBoolean:  // MySQL's TINYINT(1).
      if (unit == EpochUnit::kNone && value != 0 && value != 1) return false;
      Cell<bool>(vector, row) = value != 0;
      return true;
    case TypeRoot::kDate:
      return unit == EpochUnit::kDays && SetInteger<int32_t>(vector, row, value);
    case TypeRoot::kTime: {
      if (unit == EpochUnit::kNone || unit == EpochUnit::kDays) return false;
      int64_t factor = unit == EpochUnit::kMillis   ? 1'000'000
                       : unit == EpochUnit::kMicros ? 1'000
                                                    : 1;
      int64_t nanos;
      return !__builtin_mul_overflow(value, factor, &nanos) && SetTime(type, vector, row, nanos);
    }
    case TypeRoot::kTimestamp:
    case TypeRoot::kTimestampLtz:
      if (unit == EpochUnit::kNone) return false;
      if (unit == EpochUnit::kDays) return SetTimestamp(type, vector, row, value * 86400, 0);
      return SetTimestampFromEpoch(type, vector, row, value, unit);
    default:
      return false;
  }
}

EpochUnit DefaultEpochUnit(const DataType& type) {
  if (type.root == TypeRoot::kDate) return EpochUnit::kDays;
  if (type.length <= 3) return EpochUnit::kMillis;
  return type.length <= 6 ? EpochUnit::kMicros : EpochUnit::kNanos;
}

bool IsPlainInJson(const DataType& type) {
  switch (type.root) {
    case TypeRoot::kBoolean:
    case TypeRoot::kTinyInt:
    case TypeRoot::kSmallInt:
    case TypeRoot::kInt:
    case TypeRoot::kBigInt:
    case TypeRoot::kFloat:
    case TypeRoot::kDouble:
    case TypeRoot::kDecimal:
      return true;
    default:
      return false;
  }
}

}  // namespace millrace
