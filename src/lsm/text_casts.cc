#include "lsm/text_casts.h"

#include <charconv>

#include "base/error.h"
#include "duckdb/common/string_util.hpp"
#include "duckdb/common/types/time.hpp"
#include "duckdb/common/types/timestamp.hpp"
#include "duckdb/common/vector_operations/unary_executor.hpp"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "meta/java_text.h"

namespace millrace {

namespace {

using duckdb::StringVector;
using duckdb::UnaryExecutor;
using enum TypeRoot;

bool IsText(TypeRoot root) {
  return root == kChar || root == kVarChar;
}

/// `text` cut to `type`'s length in characters; CHAR is padded with blanks.
std::string FitText(std::string_view text, const DataType& type) {
  size_t at = 0;
  int characters = 0;
  while (at < text.size() && characters < type.length) {
    at++;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) at++;
    characters++;
  }
  std::string out(text.substr(0, at));
  if (type.root == kChar) out.append(static_cast<size_t>(type.length - characters), ' ');
  return out;
}

std::string FitBytes(std::string_view bytes, const DataType& type) {
  std::string out(bytes.substr(0, static_cast<size_t>(type.length)));
  if (type.root == kBinary) out.resize(static_cast<size_t>(type.length));
  return out;
}

/// Each value through a function that gives its text.
template <typename From, typename Work>
FieldCast ToText(const DataType& to, Work work) {
  return [to, work](Vector& source, Vector& target, idx_t count) {
    UnaryExecutor::Execute<From, string_t>(source, target, count, [&](From value) {
      return StringVector::AddStringOrBlob(target, FitText(work(value), to));
    });
  };
}

/// What DuckDB prints, cut or padded.
FieldCast DuckText(const DataType& to) {
  return [to](Vector& source, Vector& target, idx_t count) {
    Vector text(LogicalType(LogicalTypeId::VARCHAR), std::max<idx_t>(count, kChunkRows));
    duckdb::VectorOperations::DefaultCast(source, text, count, true);
    UnaryExecutor::Execute<string_t, string_t>(text, target, count, [&](string_t value) {
      std::string_view view(value.GetData(), value.GetSize());
      return StringVector::AddStringOrBlob(target, FitText(view, to));
    });
  };
}

std::string ClockText(int64_t micros_of_day, int digits, int64_t fraction) {
  int64_t seconds = micros_of_day / 1'000'000;
  std::string text =
      fmt::format("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
  if (digits == 0) return text;
  return text + "." + fmt::format("{:09}", fraction).substr(0, static_cast<size_t>(digits));
}

/// With as many digits as the precision says.
std::string TimestampText(int64_t value, const DataType& type) {
  bool nanos = type.length > 6;
  int64_t per_second = nanos ? 1'000'000'000 : 1'000'000;
  int64_t second = value / per_second - (value % per_second < 0 ? 1 : 0);
  int64_t rest = value - second * per_second;
  int64_t day = second / 86'400 - (second % 86'400 < 0 ? 1 : 0);
  int64_t of_day = second - day * 86'400;
  return duckdb::Date::ToString(duckdb::date_t(static_cast<int32_t>(day))) + " " +
         ClockText(of_day * 1'000'000, type.length, nanos ? rest : rest * 1000);
}

FieldCast ToText(const DataType& from, const DataType& to) {
  switch (from.root) {
    case kFloat:
      return ToText<float>(to, [](float value) { return JavaText(value); });
    case kDouble:
      return ToText<double>(to, [](double value) { return JavaText(value); });
    case kTime:
      return ToText<int64_t>(to, [digits = from.length](int64_t micros) {
        return ClockText(micros, digits, micros % 1'000'000 * 1000);
      });
    case kTimestamp:
    case kTimestampLtz:
      return ToText<int64_t>(to, [from](int64_t value) { return TimestampText(value, from); });
    default:
      return from.root < kArray ? DuckText(to) : nullptr;
  }
}

// ------------------------------------------------------------------------------------------
// From texts

[[noreturn]] void FailText(std::string_view text, const DataType& to) {
  Throw(ErrorCode::kData, "'{}' is no value of type {}", text, to.ToString());
}

template <typename To, typename Work>
FieldCast FromText(Work work) {
  return [work](Vector& source, Vector& target, idx_t count) {
    UnaryExecutor::Execute<string_t, To>(source, target, count, [&](string_t value) {
      return static_cast<To>(work(std::string_view(value.GetData(), value.GetSize())));
    });
  };
}

bool TextToBoolean(std::string_view text, const DataType& to) {
  std::string lower = duckdb::StringUtil::Lower(std::string(text));
  for (const char* yes : {"t", "true", "y", "yes", "1"}) {
    if (lower == yes) return true;
  }
  for (const char* no : {"f", "false", "n", "no", "0"}) {
    if (lower == no) return false;
  }
  FailText(text, to);
}

/// A fraction is cut.
template <typename To>
To TextToInteger(std::string_view text, const DataType& to) {
  std::string_view digits = text;
  while (!digits.empty() && digits.front() == ' ') digits.remove_prefix(1);
  while (!digits.empty() && digits.back() == ' ') digits.remove_suffix(1);
  if (digits.starts_with('+')) digits.remove_prefix(1);
  To value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const char* stop = digits.data() + digits.size();
  if (error == std::errc() && end != stop && *end == '.') {
    end++;
    while (end != stop && *end >= '0' && *end <= '9') end++;
  }
  if (error != std::errc() || end != stop) FailText(text, to);
  return value;
}

FieldCast FromText(const DataType& to) {
  switch (to.root) {
    case kBoolean:
      return FromText<bool>([to](std::string_view text) { return TextToBoolean(text, to); });
    case kTinyInt:
      return FromText<int8_t>([to](std::string_view t) { return TextToInteger<int8_t>(t, to); });
    case kSmallInt:
      return FromText<int16_t>([to](std::string_view t) { return TextToInteger<int16_t>(t, to); });
    case kInt:
      return FromText<int32_t>([to](std::string_view t) { return TextToInteger<int32_t>(t, to); });
    case kBigInt:
      return FromText<int64_t>([to](std::string_view t) { return TextToInteger<int64_t>(t, to); });
    case kFloat:
    case kDouble:
    case kDecimal:
    case kDate:
    case kTime:
    case kTimestamp:
    case kTimestampLtz:
      return [to](Vector& source, Vector& target, idx_t count) {
        std::string message;
        if (duckdb::VectorOperations::DefaultTryCast(source, target, count, &message)) return;
        Throw(ErrorCode::kData, "a text is no value of type {}: {}", to.ToString(), message);
      };
    default:
      return nullptr;
  }
}

template <typename Fit>
FieldCast Refit(Fit fit) {
  return [fit](Vector& source, Vector& target, idx_t count) {
    UnaryExecutor::Execute<string_t, string_t>(source, target, count, [&](string_t value) {
      std::string_view view(value.GetData(), value.GetSize());
      return StringVector::AddStringOrBlob(target, fit(view));
    });
  };
}

std::string CheckedText(std::string_view bytes, const DataType& to) {
  if (!Value::StringIsValid(bytes.data(), bytes.size())) {
    Throw(ErrorCode::kData, "bytes that are no UTF-8 text cannot be read as {}", to.ToString());
  }
  return std::string(bytes);
}

}  // namespace

FieldCast MakeTextCast(const DataType& from, const DataType& to) {
  bool from_text = IsText(from.root), to_text = IsText(to.root);
  bool from_bytes = !from_text && IsTextOrBytes(from.root);
  bool to_bytes = !to_text && IsTextOrBytes(to.root);
  if (from_text && to_text) {
    return Refit([to](std::string_view text) { return FitText(text, to); });
  }
  if (from_bytes && to_text) {
    return Refit([to](std::string_view bytes) { return CheckedText(bytes, to); });
  }
  if ((from_bytes || from_text) && to_bytes) {
    return Refit([to](std::string_view bytes) { return FitBytes(bytes, to); });
  }
  if (from_bytes || to_bytes) return nullptr;
  return to_text ? ToText(from, to) : FromText(to);
}

}  // namespace millrace
