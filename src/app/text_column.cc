#include "app/text_column.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "duckdb/common/types/date.hpp"
#include "duckdb/common/types/decimal.hpp"
#include "duckdb/common/types/hugeint.hpp"
#include "duckdb/common/types/interval.hpp"
#include "duckdb/common/types/time.hpp"
#include "duckdb/common/types/timestamp.hpp"
#include "duckdb/common/types/uuid.hpp"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "format/codec/json.h"
#include "format/codec/text_values.h"

namespace millrace {

namespace {

using duckdb::RecursiveUnifiedVectorFormat;

constexpr int64_t kMicrosPerDay = 86'400'000'000;

template <typename T>
void AppendInteger(T value, std::string& out) {
  char digits[24];
  auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  out.append(digits, end);
}

void AppendPadded(int64_t value, int width, std::string& out) {
  char digits[24];
  auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  for (int missing = width - static_cast<int>(end - digits); missing > 0; missing--) out += '0';
  out.append(digits, end);
}

void AppendDate(duckdb::date_t date, std::string& out) {
  if (date == duckdb::date_t::infinity() || date == duckdb::date_t::ninfinity()) {
    out += date == duckdb::date_t::infinity() ? "infinity" : "-infinity";
    return;
  }
  int32_t year, month, day;
  duckdb::Date::Convert(date, year, month, day);
  if (year < 0) out += '-';
  AppendPadded(std::abs(year), 4, out);
  out += '-';
  AppendPadded(month, 2, out);
  out += '-';
  AppendPadded(day, 2, out);
}

// As many digits as the value needs, in groups of three.
void AppendFraction(int64_t nanos, std::string& out) {
  if (nanos == 0) return;
  out += '.';
  if (nanos % 1'000'000 == 0) {
    AppendPadded(nanos / 1'000'000, 3, out);
  } else if (nanos % 1'000 == 0) {
    AppendPadded(nanos / 1'000, 6, out);
  } else {
    AppendPadded(nanos, 9, out);
  }
}

void AppendTime(int64_t seconds, int64_t nanos, std::string& out) {
  AppendPadded(seconds / 3600, 2, out);
  out += ':';
  AppendPadded(seconds / 60 % 60, 2, out);
  out += ':';
  AppendPadded(seconds % 60, 2, out);
  AppendFraction(nanos, out);
}

void AppendTimestamp(int64_t value, int64_t units_per_second, std::string& out) {
  if (value == duckdb::timestamp_t::infinity().value ||
      value == duckdb::timestamp_t::ninfinity().value) {
    out += value > 0 ? "infinity" : "-infinity";
    return;
  }
  int64_t seconds = value / units_per_second, rest = value % units_per_second;
  if (rest < 0) {
    rest += units_per_second;
    seconds--;
  }
  int64_t days = seconds / 86400, second_of_day = seconds % 86400;
  if (second_of_day < 0) {
    second_of_day += 86400;
    days--;
  }
  AppendDate(duckdb::date_t(static_cast<int32_t>(days)), out);
  out += ' ';
  AppendTime(second_of_day, rest * (1'000'000'000 / units_per_second), out);
}

// Flink's two families: "+1-02" (years-months) and "+3 04:05:06.000" (days, time).
void AppendInterval(const duckdb::interval_t& value, std::string& out) {
  bool has_rest = value.days != 0 || value.micros != 0;
  if (value.months != 0 || !has_rest) {
    out += value.months < 0 ? '-' : '+';
    AppendInteger(std::abs(value.months) / 12, out);
    out += '-';
    AppendPadded(std::abs(value.months) % 12, 2, out);
    if (!has_rest) return;
    out += ' ';
  }
  int64_t micros = value.days * kMicrosPerDay + value.micros;
  out += micros < 0 ? '-' : '+';
  micros = std::abs(micros);
  AppendInteger(micros / kMicrosPerDay, out);
  out += ' ';
  int64_t of_day = micros % kMicrosPerDay;
  AppendTime(of_day / 1'000'000, 0, out);
  out += '.';
  AppendPadded(of_day % 1'000'000 / 1000, 3, out);
}

template <typename T>
void AppendDecimal(T value, uint8_t width, uint8_t scale, std::string& out) {
  if constexpr (std::is_integral_v<T>) {
    // Digits, then the point `scale` places from the right; the common sizes avoid a string.
    int64_t wide = value;
    if (wide < 0) out += '-';
    uint64_t magnitude = wide < 0 ? -static_cast<uint64_t>(wide) : static_cast<uint64_t>(wide);
    char digits[24];
    int count = static_cast<int>(std::to_chars(digits, digits + 24, magnitude).ptr - digits);
    int whole = count - scale;
    if (whole > 0) {
      out.append(digits, whole);
    } else {
      out += '0';
    }
    if (scale == 0) return;
    out += '.';
    if (whole < 0) out.append(-whole, '0');
    out.append(digits + std::max(whole, 0), std::min<int>(count, scale));
  } else {
    std::string text = duckdb::Decimal::ToString(value, width, scale);
    if (!text.empty() && text[0] == '.') out += '0';
    if (text.size() > 1 && text[0] == '-' && text[1] == '.') text.insert(1, "0");
    out += text;
  }
}

void AppendHex(std::string_view bytes, std::string& out) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (unsigned char byte : bytes) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
}

// Keeps a table's lines whole: a control character would move the cursor.
void AppendTableString(std::string_view text, std::string& out) {
  bool clean = true;
  for (unsigned char c : text) clean &= c >= 0x20 && c != 0x7f;
  if (clean) {
    out += text;
    return;
  }
  for (unsigned char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c < 0x20 || c == 0x7f) {
      out += "\\x";
      AppendHex(std::string_view(reinterpret_cast<const char*>(&c), 1), out);
    } else {
      out += static_cast<char>(c);
    }
  }
}

void AppendString(std::string_view text, TextStyle style, std::string& out) {
  if (style == TextStyle::kJson) {
    AppendJsonString(text, out);
  } else if (style == TextStyle::kTable) {
    AppendTableString(text, out);
  } else {
    out += text;
  }
}

// Calls `use(append)` where append(index, out) appends the value at an index of `format`'s data, in
// plain form. False for types that have no form of their own.
template <typename Use>
bool WithAppender(const RecursiveUnifiedVectorFormat& format, TextStyle style, Use&& use);

void AppendNested(const RecursiveUnifiedVectorFormat& format, idx_t row, TextStyle style,
                  std::string& out);

void AppendList(const RecursiveUnifiedVectorFormat& child, idx_t offset, idx_t length,
                TextStyle style, std::string& out) {
  bool json = style == TextStyle::kJson;
  out += '[';
  for (idx_t i = 0; i < length; i++) {
    if (i > 0) out += json ? "," : ", ";
    AppendNested(child, offset + i, style, out);
  }
  out += ']';
}

void AppendStruct(const RecursiveUnifiedVectorFormat& format, idx_t row, TextStyle style,
                  std::string& out) {
  bool json = style == TextStyle::kJson;
  auto& fields = duckdb::StructType::GetChildTypes(format.logical_type);
  out += json ? '{' : '(';
  for (idx_t i = 0; i < fields.size(); i++) {
    if (i > 0) out += json ? "," : ", ";
    if (json) {
      AppendJsonString(fields[i].first, out);
      out += ':';
    }
    AppendNested(format.children[i], row, style, out);
  }
  out += json ? '}' : ')';
}

void AppendMap(const RecursiveUnifiedVectorFormat& entries, idx_t offset, idx_t length,
               TextStyle style, std::string& out) {
  bool json = style == TextStyle::kJson;
  out += '{';
  for (idx_t i = 0; i < length; i++) {
    if (i > 0) out += json ? "," : ", ";
    idx_t entry = entries.unified.sel->get_index(offset + i);
    if (json) {  // Keys of JSON objects are strings, whatever the map's are.
      std::string key;
      AppendNested(entries.children[0], entry, TextStyle::kPlain, key);
      AppendJsonString(key, out);
      out += ':';
    } else {
      AppendNested(entries.children[0], entry, style, out);
      out += '=';
    }
    AppendNested(entries.children[1], entry, style, out);
  }
  out += '}';
}

void AppendNested(const RecursiveUnifiedVectorFormat& format, idx_t row, TextStyle style,
                  std::string& out) {
  idx_t index = format.unified.sel->get_index(row);
  if (!format.unified.validity.RowIsValid(index)) {
    out += style == TextStyle::kJson ? "null" : "NULL";
    return;
  }
  bool known = WithAppender(format, style, [&](auto&& append) { append(index, out); });
  if (!known) {
    Throw(ErrorCode::kUnsupported,
          "Printing a value of type {} inside a nested value; cast it to STRING",
          format.logical_type.ToString());
  }
}

template <typename T, typename Use, typename Append>
bool Apply(const RecursiveUnifiedVectorFormat& format, Use&& use, Append append) {
  const T* data = UnifiedVectorFormat::GetData<T>(format.unified);
  use([data, append](idx_t index, std::string& out) { append(data[index], out); });
  return true;
}

// `open` and `close` are quotes in JSON.
template <typename T, typename Use, typename Append>
bool ApplyQuoted(const RecursiveUnifiedVectorFormat& format, TextStyle style, Use&& use,
                 Append append) {
  if (style != TextStyle::kJson) return Apply<T>(format, use, append);
  return Apply<T>(format, use, [append](const T& value, std::string& out) {
    out += '"';
    append(value, out);
    out += '"';
  });
}

template <typename Use>
bool WithDecimalAppender(const RecursiveUnifiedVectorFormat& format, Use&& use) {
  uint8_t width = 0, scale = 0;
  format.logical_type.GetDecimalProperties(width, scale);
  auto append = [width, scale](auto value, std::string& out) {
    AppendDecimal(value, width, scale, out);
  };
  switch (format.logical_type.InternalType()) {
    case duckdb::PhysicalType::INT16:
      return Apply<int16_t>(format, use, append);
    case duckdb::PhysicalType::INT32:
      return Apply<int32_t>(format, use, append);
    case duckdb::PhysicalType::INT64:
      return Apply<int64_t>(format, use, append);
    default:
      return Apply<duckdb::hugeint_t>(format, use, append);
  }
}

template <typename Use>
bool WithTimeAppender(const RecursiveUnifiedVectorFormat& format, TextStyle style, Use&& use) {
  auto stamp = [&](int64_t units_per_second) {
    return ApplyQuoted<int64_t>(format, style, use, [=](int64_t value, std::string& out) {
      AppendTimestamp(value, units_per_second, out);
    });
  };
  switch (format.logical_type.id()) {
    case LogicalTypeId::DATE:
      return ApplyQuoted<duckdb::date_t>(format, style, use, AppendDate);
    case LogicalTypeId::TIME:
      return ApplyQuoted<int64_t>(format, style, use, [](int64_t micros, std::string& out) {
        AppendTime(micros / 1'000'000, micros % 1'000'000 * 1000, out);
      });
    case LogicalTypeId::TIMESTAMP:
    case LogicalTypeId::TIMESTAMP_TZ:
      return stamp(1'000'000);
    case LogicalTypeId::TIMESTAMP_NS:
      return stamp(1'000'000'000);
    case LogicalTypeId::TIMESTAMP_MS:
      return stamp(1'000);
    case LogicalTypeId::TIMESTAMP_SEC:
      return stamp(1);
    case LogicalTypeId::INTERVAL:
      return ApplyQuoted<duckdb::interval_t>(format, style, use, AppendInterval);
    default:
      return false;
  }
}

template <typename Use>
bool WithNestedAppender(const RecursiveUnifiedVectorFormat& format, TextStyle style, Use&& use) {
  using duckdb::list_entry_t;
  switch (format.logical_type.id()) {
    case LogicalTypeId::LIST:
      return Apply<list_entry_t>(format, use, [&, style](list_entry_t list, std::string& out) {
        AppendList(format.children[0], list.offset, list.length, style, out);
      });
    case LogicalTypeId::MAP:
      return Apply<list_entry_t>(format, use, [&, style](list_entry_t list, std::string& out) {
        AppendMap(format.children[0], list.offset, list.length, style, out);
      });
    case LogicalTypeId::ARRAY: {
      idx_t length = duckdb::ArrayType::GetSize(format.logical_type);
      use([&, style, length](idx_t index, std::string& out) {
        AppendList(format.children[0], index * length, length, style, out);
      });
      return true;
    }
    case LogicalTypeId::STRUCT:
      use([&, style](idx_t index, std::string& out) { AppendStruct(format, index, style, out); });
      return true;
    default:
      return false;
  }
}

template <typename Use>
bool WithAppender(const RecursiveUnifiedVectorFormat& format, TextStyle style, Use&& use) {
  auto integer = [](auto value, std::string& out) { AppendInteger(value, out); };
  bool json = style == TextStyle::kJson;
  switch (format.logical_type.id()) {
    case LogicalTypeId::BOOLEAN:
      return Apply<bool>(format, use,
                         [upper = style == TextStyle::kTable](bool value, std::string& out) {
                           out += value ? (upper ? "TRUE" : "true") : (upper ? "FALSE" : "false");
                         });
    case LogicalTypeId::TINYINT:
      return Apply<int8_t>(format, use, integer);
    case LogicalTypeId::SMALLINT:
      return Apply<int16_t>(format, use, integer);
    case LogicalTypeId::INTEGER:
      return Apply<int32_t>(format, use, integer);
    case LogicalTypeId::BIGINT:
      return Apply<int64_t>(format, use, integer);
    case LogicalTypeId::UTINYINT:
      return Apply<uint8_t>(format, use, integer);
    case LogicalTypeId::USMALLINT:
      return Apply<uint16_t>(format, use, integer);
    case LogicalTypeId::UINTEGER:
      return Apply<uint32_t>(format, use, integer);
    case LogicalTypeId::UBIGINT:
      return Apply<uint64_t>(format, use, integer);
    case LogicalTypeId::HUGEINT:
      return Apply<duckdb::hugeint_t>(format, use, [](duckdb::hugeint_t value, std::string& out) {
        out += duckdb::Hugeint::ToString(value);
      });
    case LogicalTypeId::FLOAT:
      return Apply<float>(format, use, [json](float value, std::string& out) {
        bool quote = json && !std::isfinite(value);
        if (quote) out += '"';
        AppendFloat(value, out);
        if (quote) out += '"';
      });
    case LogicalTypeId::DOUBLE:
      return Apply<double>(format, use, [json](double value, std::string& out) {
        bool quote = json && !std::isfinite(value);
        if (quote) out += '"';
        AppendDouble(value, out);
        if (quote) out += '"';
      });
    case LogicalTypeId::DECIMAL:
      return WithDecimalAppender(format, use);
    case LogicalTypeId::VARCHAR:
      return Apply<string_t>(format, use, [style](const string_t& value, std::string& out) {
        AppendString(std::string_view(value.GetData(), value.GetSize()), style, out);
      });
    case LogicalTypeId::BLOB:
      return ApplyQuoted<string_t>(format, style, use, [](const string_t& value, std::string& out) {
        out += "x'";
        AppendHex(std::string_view(value.GetData(), value.GetSize()), out);
        out += '\'';
      });
    case LogicalTypeId::SQLNULL:
      use([](idx_t, std::string&) {});
      return true;
    default:
      return WithTimeAppender(format, style, use) || WithNestedAppender(format, style, use);
  }
}

}  // namespace

bool IsRightAligned(const LogicalType& type) {
  return type.IsNumeric();
}

void RenderColumn(Vector& column, idx_t count, TextStyle style, TextColumn& out) {
  out.bytes.clear();
  out.ends.resize(count);
  out.is_null.assign(count, 0);
  const char* null_text = style == TextStyle::kTable  ? "NULL"
                          : style == TextStyle::kJson ? "null"
                                                      : "";
  RecursiveUnifiedVectorFormat format;
  Vector::RecursiveToUnifiedFormat(column, count, format);
  auto render = [&](auto&& append) {
    for (idx_t row = 0; row < count; row++) {
      idx_t index = format.unified.sel->get_index(row);
      if (format.unified.validity.RowIsValid(index)) {
        append(index, out.bytes);
      } else {
        out.is_null[row] = 1;
        out.bytes += null_text;
      }
      out.ends[row] = out.bytes.size();
    }
  };
  if (WithAppender(format, style, render)) return;
  // UUID, ENUM, BIT ...: DuckDB's own text.
  Vector text(LogicalType::VARCHAR, count);
  duckdb::VectorOperations::DefaultCast(column, text, count);
  RenderColumn(text, count, style, out);
}

}  // namespace millrace
