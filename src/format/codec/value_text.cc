#include "format/codec/value_text.h"

#include <charconv>
#include <cmath>

#include "base/error.h"
#include "duckdb/common/types/date.hpp"
#include "duckdb/common/types/hugeint.hpp"
#include "duckdb/common/types/interval.hpp"
#include "duckdb/common/types/timestamp.hpp"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "format/codec/text_values.h"

namespace millrace {

namespace {

using duckdb::list_entry_t;

constexpr int64_t kMicrosPerDay = 86'400'000'000;

template <typename T>
void AppendWhole(T value, std::string& out) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof(digits), value).ptr);
}

// The time behind `start` in `out` as `form` wants it: its fraction in threes, or Java's way.
void FitTime(size_t start, bool instant, const TextForm& form, std::string& out) {
  if (form.fraction != TextForm::Fraction::kNeeded) {
    size_t point = out.find('.', start);
    if (point != std::string::npos) {
      while ((out.size() - point - 1) % 3 != 0) out += '0';
    } else if (form.fraction == TextForm::Fraction::kJava && !instant && out.ends_with(":00")) {
      out.resize(out.size() - 3);
    }
  }
  if (instant && form.zone_suffix) out += 'Z';
}

void AppendTimeOfDay(int64_t nanos, const TextForm& form, std::string& out) {
  size_t start = out.size();
  AppendTime(nanos, out);
  FitTime(start, false, form, out);
}

// DATE and the TIMESTAMP types have these of DuckDB's.
template <typename T>
bool AppendInfinity(T value, T infinity, T ninfinity, std::string& out) {
  if (value != infinity && value != ninfinity) return false;
  out += value == infinity ? "infinity" : "-infinity";
  return true;
}

void AppendDay(duckdb::date_t date, std::string& out) {
  if (AppendInfinity(date, duckdb::date_t::infinity(), duckdb::date_t::ninfinity(), out)) return;
  AppendDate(date.days, out);
}

void AppendStamp(int64_t value, int64_t units_per_second, bool instant, const TextForm& form,
                 std::string& out) {
  if (AppendInfinity(value, duckdb::timestamp_t::infinity().value,
                     duckdb::timestamp_t::ninfinity().value, out)) {
    return;
  }
  int64_t seconds = value / units_per_second, rest = value % units_per_second;
  if (rest < 0) {
    rest += units_per_second;
    seconds--;
  }
  size_t start = out.size();
  AppendTimestamp(seconds, static_cast<int32_t>(rest * (1'000'000'000 / units_per_second)),
                  form.separator, out);
  FitTime(start, instant, form, out);
}

// Flink's two families: "+1-02" (years-months) and "+3 04:05:06.000" (days, time).
void AppendInterval(const duckdb::interval_t& value, std::string& out) {
  bool has_rest = value.days != 0 || value.micros != 0;
  if (value.months != 0 || !has_rest) {
    int32_t months = std::abs(value.months) % 12;
    out += value.months < 0 ? '-' : '+';
    AppendWhole(std::abs(value.months) / 12, out);
    out += months < 10 ? "-0" : "-";
    AppendWhole(months, out);
    if (!has_rest) return;
    out += ' ';
  }
  int64_t micros = value.days * kMicrosPerDay + value.micros;
  out += micros < 0 ? '-' : '+';
  micros = std::abs(micros);
  AppendWhole(micros / kMicrosPerDay, out);
  out += ' ';
  size_t start = out.size();
  AppendTime(micros % kMicrosPerDay / 1000 * 1'000'000, out);
  if (out.find('.', start) == std::string::npos) out += ".0";
  FitTime(start, false, kPlainText, out);
}

void AppendBytes(std::string_view bytes, TextForm::Bytes form, std::string& out) {
  constexpr char kDigits[] = "0123456789abcdef";
  if (form == TextForm::Bytes::kBase64) return AppendBase64(bytes, out);
  bool hex = form == TextForm::Bytes::kHex;
  out += hex ? "x'" : "[";
  for (size_t i = 0; i < bytes.size(); i++) {
    auto byte = static_cast<uint8_t>(bytes[i]);
    if (hex) {
      out += {kDigits[byte >> 4], kDigits[byte & 15]};
    } else {
      if (i > 0) out += ", ";
      AppendWhole(static_cast<int8_t>(byte), out);
    }
  }
  out += hex ? '\'' : ']';
}

// A control character would move the cursor.
void AppendEscaped(std::string_view text, std::string& out) {
  for (char c : text) {
    auto code = static_cast<uint8_t>(c);
    if (code >= 0x20 && code != 0x7f) {
      out += c;
    } else if (c == '\n' || c == '\t' || c == '\r') {
      out += {'\\', c == '\n' ? 'n' : c == '\t' ? 't' : 'r'};
    } else {
      out += fmt::format("\\x{:02x}", code);
    }
  }
}

void AppendString(std::string_view text, TextForm::Strings form, std::string& out) {
  switch (form) {
    case TextForm::Strings::kRaw:
      out += text;
      return;
    case TextForm::Strings::kEscaped:
      return AppendEscaped(text, out);
    case TextForm::Strings::kQuoted:
      return AppendJsonString(text, out);
  }
}

// ------------------------------------------------------------------------------------------
// Nested values

void AppendMember(const ReadableColumn& column, idx_t row, const TextForm& form, std::string& out) {
  if (!column.unified.validity.RowIsValid(column.unified.sel->get_index(row))) {
    out += form.null_member;
    return;
  }
  AppendValue(column, row, form, out);
}

const char* Comma(const TextForm& form) {
  return form.nested == TextForm::Nested::kJson ? "," : ", ";
}

void AppendList(const ReadableColumn& elements, idx_t offset, idx_t length, const TextForm& form,
                std::string& out) {
  out += '[';
  for (idx_t i = 0; i < length; i++) {
    if (i > 0) out += Comma(form);
    AppendMember(elements, offset + i, form, out);
  }
  out += ']';
}

void AppendStruct(const ReadableColumn& column, idx_t row, const TextForm& form, std::string& out) {
  bool json = form.nested == TextForm::Nested::kJson;
  bool java = form.nested == TextForm::Nested::kJava;
  const auto& fields = duckdb::StructType::GetChildTypes(column.logical_type);
  out += json ? "{" : java ? "+I[" : "(";
  for (idx_t i = 0; i < fields.size(); i++) {
    if (i > 0) out += Comma(form);
    if (json) {  // Unnamed fields are called as Flink calls them.
      AppendJsonString(fields[i].first.empty() ? fmt::format("f{}", i) : fields[i].first, out);
      out += ':';
    }
    AppendMember(column.children[i], row, form, out);
  }
  out += json ? '}' : java ? ']' : ')';
}

void AppendMap(const ReadableColumn& pairs, idx_t offset, idx_t length, const TextForm& form,
               std::string& out) {
  bool json = form.nested == TextForm::Nested::kJson;
  TextForm key_form = form;
  key_form.strings = TextForm::Strings::kRaw;
  if (json) key_form.nested = TextForm::Nested::kSql;
  out += '{';
  for (idx_t i = 0; i < length; i++) {
    if (i > 0) out += Comma(form);
    idx_t pair = pairs.unified.sel->get_index(offset + i);
    if (json) {  // Keys of JSON objects are strings, whatever the map's are.
      std::string key;
      AppendMember(pairs.children[0], pair, key_form, key);
      AppendJsonString(key, out);
      out += ':';
    } else {
      AppendMember(pairs.children[0], pair, form, out);
      out += '=';
    }
    AppendMember(pairs.children[1], pair, form, out);
  }
  out += '}';
}

// ------------------------------------------------------------------------------------------
// One switch on the type: `use(append)` where append(index, out) writes the value at an index of
// the column's data. False for types that have no form of their own.

template <typename T, typename Use, typename Append>
bool Apply(const ReadableColumn& column, Use&& use, Append append) {
  const T* data = UnifiedVectorFormat::GetDataUnsafe<T>(column.unified);
  use([data, append](idx_t index, std::string& out) { append(data[index], out); });
  return true;
}

// In JSON in quotes.
template <typename T, typename Use, typename Append>
bool ApplyQuoted(const ReadableColumn& column, const TextForm& form, Use&& use, Append append) {
  if (form.strings != TextForm::Strings::kQuoted) return Apply<T>(column, use, append);
  return Apply<T>(column, use, [append](const T& value, std::string& out) {
    out += '"';
    append(value, out);
    out += '"';
  });
}

template <typename Use>
bool WithDecimal(const ReadableColumn& column, Use&& use) {
  int scale = duckdb::DecimalType::GetScale(column.logical_type);
  auto append = [scale](auto value, std::string& out) { AppendDecimal(value, scale, out); };
  switch (column.logical_type.InternalType()) {
    case duckdb::PhysicalType::INT16:
      return Apply<int16_t>(column, use, append);
    case duckdb::PhysicalType::INT32:
      return Apply<int32_t>(column, use, append);
    case duckdb::PhysicalType::INT64:
      return Apply<int64_t>(column, use, append);
    default:
      return Apply<duckdb::hugeint_t>(
          column, use, [scale](const duckdb::hugeint_t& value, std::string& out) {
            auto upper = static_cast<unsigned __int128>(static_cast<uint64_t>(value.upper));
            AppendDecimal(static_cast<Int128>(upper << 64 | value.lower), scale, out);
          });
  }
}

template <typename Use>
bool WithTime(const ReadableColumn& column, const TextForm& form, Use&& use) {
  auto stamp = [&](int64_t units_per_second, bool instant) {
    return ApplyQuoted<int64_t>(column, form, use, [=, &form](int64_t value, std::string& out) {
      AppendStamp(value, units_per_second, instant, form, out);
    });
  };
  switch (column.logical_type.id()) {
    case LogicalTypeId::DATE:
      return ApplyQuoted<duckdb::date_t>(column, form, use, AppendDay);
    case LogicalTypeId::TIME:
      return ApplyQuoted<int64_t>(column, form, use, [&form](int64_t micros, std::string& out) {
        AppendTimeOfDay(micros * 1000, form, out);
      });
    case LogicalTypeId::TIMESTAMP:
      return stamp(1'000'000, false);
    case LogicalTypeId::TIMESTAMP_TZ:
      return stamp(1'000'000, true);
    case LogicalTypeId::TIMESTAMP_NS:  // An alias is TIMESTAMP_LTZ of 7 digits and more.
      return stamp(1'000'000'000, column.logical_type.HasAlias());
    case LogicalTypeId::TIMESTAMP_MS:
      return stamp(1'000, false);
    case LogicalTypeId::TIMESTAMP_SEC:
      return stamp(1, false);
    case LogicalTypeId::INTERVAL:
      return ApplyQuoted<duckdb::interval_t>(column, form, use, AppendInterval);
    default:
      return false;
  }
}

template <typename Use>
bool WithNested(const ReadableColumn& column, const TextForm& form, Use&& use) {
  switch (column.logical_type.id()) {
    case LogicalTypeId::LIST:
      return Apply<list_entry_t>(column, use, [&](list_entry_t list, std::string& out) {
        AppendList(column.children[0], list.offset, list.length, form, out);
      });
    case LogicalTypeId::MAP:
      return Apply<list_entry_t>(column, use, [&](list_entry_t list, std::string& out) {
        AppendMap(column.children[0], list.offset, list.length, form, out);
      });
    case LogicalTypeId::ARRAY: {
      idx_t length = duckdb::ArrayType::GetSize(column.logical_type);
      use([&, length](idx_t index, std::string& out) {
        AppendList(column.children[0], index * length, length, form, out);
      });
      return true;
    }
    case LogicalTypeId::STRUCT:
      use([&](idx_t index, std::string& out) { AppendStruct(column, index, form, out); });
      return true;
    default:
      return false;
  }
}

template <typename T, typename Use>
bool WithNumber(const ReadableColumn& column, const TextForm& form, Use&& use) {
  bool json = form.nested == TextForm::Nested::kJson;
  return Apply<T>(column, use, [json](T value, std::string& out) {
    bool quote = json && !std::isfinite(value);  // JSON has no NaN.
    if (quote) out += '"';
    if constexpr (std::is_same_v<T, float>) {
      AppendFloat(value, out);
    } else {
      AppendDouble(value, out);
    }
    if (quote) out += '"';
  });
}

template <typename Use>
bool WithWriter(const ReadableColumn& column, const TextForm& form, Use&& use) {
  auto whole = [](auto value, std::string& out) { AppendWhole(value, out); };
  switch (column.logical_type.id()) {
    case LogicalTypeId::BOOLEAN:
      return Apply<bool>(column, use, [upper = form.upper_booleans](bool value, std::string& out) {
        out += value ? (upper ? "TRUE" : "true") : (upper ? "FALSE" : "false");
      });
    case LogicalTypeId::TINYINT:
      return Apply<int8_t>(column, use, whole);
    case LogicalTypeId::SMALLINT:
      return Apply<int16_t>(column, use, whole);
    case LogicalTypeId::INTEGER:
      return Apply<int32_t>(column, use, whole);
    case LogicalTypeId::BIGINT:
      return Apply<int64_t>(column, use, whole);
    case LogicalTypeId::UTINYINT:
      return Apply<uint8_t>(column, use, whole);
    case LogicalTypeId::USMALLINT:
      return Apply<uint16_t>(column, use, whole);
    case LogicalTypeId::UINTEGER:
      return Apply<uint32_t>(column, use, whole);
    case LogicalTypeId::UBIGINT:
      return Apply<uint64_t>(column, use, whole);
    case LogicalTypeId::HUGEINT:
      return Apply<duckdb::hugeint_t>(column, use, [](duckdb::hugeint_t value, std::string& out) {
        out += duckdb::Hugeint::ToString(value);
      });
    case LogicalTypeId::FLOAT:
      return WithNumber<float>(column, form, use);
    case LogicalTypeId::DOUBLE:
      return WithNumber<double>(column, form, use);
    case LogicalTypeId::DECIMAL:
      return WithDecimal(column, use);
    case LogicalTypeId::VARCHAR:
      return Apply<string_t>(column, use, [&form](const string_t& value, std::string& out) {
        AppendString({value.GetData(), value.GetSize()}, form.strings, out);
      });
    case LogicalTypeId::BLOB:
      return ApplyQuoted<string_t>(
          column, form, use, [&form](const string_t& value, std::string& out) {
            AppendBytes({value.GetData(), value.GetSize()}, form.bytes, out);
          });
    case LogicalTypeId::SQLNULL:
      use([](idx_t, std::string&) {});
      return true;
    default:
      return WithTime(column, form, use) || WithNested(column, form, use);
  }
}

}  // namespace

void RenderColumn(Vector& column, idx_t count, const TextForm& form, TextColumn& out) {
  out.bytes.clear();
  out.ends.resize(count);
  out.is_null.assign(count, 0);
  ReadableColumn readable;
  Vector::RecursiveToUnifiedFormat(column, count, readable);
  auto render = [&](auto&& append) {
    for (idx_t row = 0; row < count; row++) {
      idx_t index = readable.unified.sel->get_index(row);
      if (readable.unified.validity.RowIsValid(index)) {
        append(index, out.bytes);
      } else {
        out.is_null[row] = 1;
        out.bytes += form.null_text;
      }
      out.ends[row] = out.bytes.size();
    }
  };
  if (WithWriter(readable, form, render)) return;
  // UUID, ENUM, BIT ...: DuckDB's own text.
  Vector text(LogicalType::VARCHAR, count);
  duckdb::VectorOperations::DefaultCast(column, text, count);
  RenderColumn(text, count, form, out);
}

void AppendValue(const ReadableColumn& column, idx_t row, const TextForm& form, std::string& out) {
  idx_t index = column.unified.sel->get_index(row);
  if (!column.unified.validity.RowIsValid(index)) {
    out += form.null_text;
    return;
  }
  if (WithWriter(column, form, [&](auto&& append) { append(index, out); })) return;
  Throw(ErrorCode::kUnsupported, "Writing a value of type {} as text; cast it to STRING",
        column.logical_type.ToString());
}

void AppendJsonString(std::string_view text, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  size_t clean = 0;
  for (size_t i = 0; i < text.size(); i++) {
    auto c = static_cast<uint8_t>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text.substr(clean, i - clean));
    clean = i + 1;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += {'\\', 'u', '0', '0', kHex[c >> 4], kHex[c & 15]};
    }
  }
  out.append(text.substr(clean));
  out += '"';
}

}  // namespace millrace
