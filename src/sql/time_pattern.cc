// Formatting and parsing by Java date patterns.
#include "sql/time_pattern.h"

#include <cctype>

#include "base/error.h"
#include "duckdb/common/types/date.hpp"
#include "duckdb/common/types/time.hpp"
#include "duckdb/common/types/timestamp.hpp"

namespace millrace {

namespace {

constexpr const char* kMonths[] = {"January",   "February", "March",    "April",
                                   "May",       "June",     "July",     "August",
                                   "September", "October",  "November", "December"};
constexpr const char* kDays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                 "Thursday", "Friday", "Saturday"};

void AppendNumber(std::string& out, int64_t value, int width) {
  char digits[24];
  int size = 0;
  bool negative = value < 0;
  uint64_t rest = negative ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  do {
    digits[size++] = static_cast<char>('0' + rest % 10);
    rest /= 10;
  } while (rest > 0);
  if (negative) out += '-';
  for (int i = size; i < width; i++) out += '0';
  while (size > 0) out += digits[--size];
}

// What a text says so far.
struct Parts {
  int32_t year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0, micros = 0;
  int half = -1;  // 0 AM, 1 PM.
};

// Up to `width` digits; all of them when another number follows at once.
std::optional<int32_t> ReadNumber(std::string_view text, idx_t& at, int width) {
  int32_t value = 0;
  idx_t start = at;
  while (at < text.size() && at - start < static_cast<idx_t>(width) &&
         std::isdigit(static_cast<unsigned char>(text[at]))) {
    value = value * 10 + (text[at++] - '0');
  }
  if (at == start) return std::nullopt;
  return value;
}

std::optional<int32_t> ReadMonth(std::string_view text, idx_t& at, bool full) {
  for (int32_t month = 0; month < 12; month++) {
    std::string_view name(kMonths[month]);
    if (!full) name = name.substr(0, 3);
    if (text.substr(at, name.size()) == name) {
      at += name.size();
      return month + 1;
    }
  }
  return std::nullopt;
}

bool ReadField(char letter, int count, bool packed, std::string_view text, idx_t& at,
               Parts& parts) {
  auto number = [&](int32_t& to, int width) {
    auto value = ReadNumber(text, at, packed ? count : width);
    if (value) to = *value;
    return value.has_value();
  };
  switch (letter) {
    case 'y':
    case 'u': {
      if (count != 2) return number(parts.year, 4);
      auto value = ReadNumber(text, at, 2);
      if (value) parts.year = 2000 + *value;
      return value.has_value();
    }
    case 'M': {
      if (count < 3) return number(parts.month, 2);
      auto value = ReadMonth(text, at, count > 3);
      if (value) parts.month = *value;
      return value.has_value();
    }
    case 'd':
      return number(parts.day, 2);
    case 'H':
    case 'h':
      return number(parts.hour, 2);
    case 'm':
      return number(parts.minute, 2);
    case 's':
      return number(parts.second, 2);
    case 'S': {
      idx_t start = at;
      auto value = ReadNumber(text, at, std::min(count, 9));
      if (!value) return false;
      double scaled = *value;
      for (idx_t i = at - start; i < 6; i++) scaled *= 10;
      for (idx_t i = at - start; i > 6; i--) scaled /= 10;
      parts.micros = static_cast<int32_t>(scaled);
      return true;
    }
    case 'a': {
      std::string_view half = text.substr(at, 2);
      parts.half = half == "PM" || half == "pm" ? 1 : half == "AM" || half == "am" ? 0 : -1;
      at += 2;
      return parts.half >= 0;
    }
    default:
      return false;
  }
}

}  // namespace

TimePattern::TimePattern(std::string_view pattern) {
  auto literal = [&](char c) {
    if (fields_.empty() || fields_.back().letter != '\0') fields_.push_back({'\0', 0, ""});
    fields_.back().literal += c;
  };
  for (idx_t i = 0; i < pattern.size();) {
    char c = pattern[i];
    if (c == '\'') {
      if (i + 1 < pattern.size() && pattern[i + 1] == '\'') {
        literal('\'');
        i += 2;
        continue;
      }
      for (i++; i < pattern.size() && pattern[i] != '\''; i++) literal(pattern[i]);
      i++;
    } else if (std::isalpha(static_cast<unsigned char>(c))) {
      if (std::string_view("yuMdDHhmsSaE").find(c) == std::string_view::npos) {
        Throw(ErrorCode::kInvalid,
              "The date pattern '{}' has the letter '{}'; known are y M d D H h m s S a E and "
              "'quoted text'",
              pattern, c);
      }
      idx_t start = i;
      while (i < pattern.size() && pattern[i] == c) i++;
      fields_.push_back({c, static_cast<int>(i - start), ""});
    } else {
      literal(c);
      i++;
    }
  }
}

void TimePattern::Format(int64_t micros, std::string& out) const {
  duckdb::timestamp_t timestamp(micros);
  if (!duckdb::Timestamp::IsFinite(timestamp)) {
    out += micros > 0 ? "infinity" : "-infinity";
    return;
  }
  duckdb::date_t date;
  duckdb::dtime_t time;
  duckdb::Timestamp::Convert(timestamp, date, time);
  int32_t year, month, day, hour, minute, second, fraction;
  duckdb::Date::Convert(date, year, month, day);
  duckdb::Time::Convert(time, hour, minute, second, fraction);
  for (const Field& field : fields_) {
    switch (field.letter) {
      case 'y':
      case 'u':
        if (field.count == 2)
          AppendNumber(out, year % 100, 2);
        else
          AppendNumber(out, year, field.count);
        break;
      case 'M':
        if (field.count < 3)
          AppendNumber(out, month, field.count);
        else
          out.append(std::string_view(kMonths[month - 1])
                         .substr(0, field.count == 3 ? 3 : std::string_view::npos));
        break;
      case 'd':
        AppendNumber(out, day, field.count);
        break;
      case 'D':
        AppendNumber(out, duckdb::Date::ExtractDayOfTheYear(date), field.count);
        break;
      case 'H':
        AppendNumber(out, hour, field.count);
        break;
      case 'h':
        AppendNumber(out, hour % 12 == 0 ? 12 : hour % 12, field.count);
        break;
      case 'm':
        AppendNumber(out, minute, field.count);
        break;
      case 's':
        AppendNumber(out, second, field.count);
        break;
      case 'S': {
        int32_t rest = fraction, unit = 100000;
        for (int i = 0; i < field.count; i++) {
          out += static_cast<char>(unit > 0 ? '0' + rest / unit : '0');
          if (unit > 0) rest %= unit;
          unit /= 10;
        }
        break;
      }
      case 'a':
        out += hour < 12 ? "AM" : "PM";
        break;
      case 'E': {
        std::string_view name(kDays[duckdb::Date::ExtractISODayOfTheWeek(date) % 7]);
        out.append(name.substr(0, field.count < 4 ? 3 : std::string_view::npos));
        break;
      }
      default:
        out += field.literal;
    }
  }
}

std::optional<int64_t> TimePattern::Parse(std::string_view text) const {
  Parts parts;
  idx_t at = 0;
  for (idx_t i = 0; i < fields_.size(); i++) {
    const Field& field = fields_[i];
    if (field.letter == '\0') {
      if (text.substr(at, field.literal.size()) != field.literal) return std::nullopt;
      at += field.literal.size();
      continue;
    }
    bool packed = i + 1 < fields_.size() && fields_[i + 1].letter != '\0';
    if (at > text.size() || !ReadField(field.letter, field.count, packed, text, at, parts))
      return std::nullopt;
  }
  // A fraction beyond the pattern is kept, as '... 12:00:00.123' by the default pattern.
  if (at < text.size() && text[at] == '.' && !fields_.empty() && fields_.back().letter == 's') {
    at++;
    if (!ReadField('S', 9, false, text, at, parts)) return std::nullopt;
  }
  if (at != text.size()) return std::nullopt;
  if (parts.half >= 0) parts.hour = parts.hour % 12 + 12 * parts.half;
  if (!duckdb::Date::IsValid(parts.year, parts.month, parts.day)) return std::nullopt;
  if (parts.hour > 23 || parts.minute > 59 || parts.second > 59) return std::nullopt;
  duckdb::dtime_t time =
      duckdb::Time::FromTime(parts.hour, parts.minute, parts.second, parts.micros);
  return duckdb::Timestamp::FromDatetime(duckdb::Date::FromDate(parts.year, parts.month, parts.day),
                                         time)
      .value;
}

}  // namespace millrace
