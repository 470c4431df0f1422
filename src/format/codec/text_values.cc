#include "format/codec/text_values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace millrace {

namespace {

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

/// Reads exactly `count` digits at `position`, which moves behind them.
bool Digits(std::string_view text, size_t& position, int count, int& value) {
  if (position + count > text.size()) return false;
  value = 0;
  for (int i = 0; i < count; i++) {
    char c = text[position + i];
    if (!IsDigit(c)) return false;
    value = value * 10 + (c - '0');
  }
  position += count;
  return true;
}

bool Expect(std::string_view text, size_t& position, char c) {
  if (position >= text.size() || text[position] != c) return false;
  position++;
  return true;
}

bool ReadDate(std::string_view text, size_t& position, int32_t& days) {
  bool negative = position < text.size() && text[position] == '-';
  if (negative) position++;
  int year, month, day;
  if (!Digits(text, position, 4, year)) return false;
  // Years of five digits and more, as Java writes them.
  while (position < text.size() && IsDigit(text[position]) && year < 1'000'000) {
    year = year * 10 + (text[position++] - '0');
  }
  if (!Expect(text, position, '-') || !Digits(text, position, 2, month) ||
      !Expect(text, position, '-') || !Digits(text, position, 2, day)) {
    return false;
  }
  if (negative) year = -year;
  constexpr int kDays[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (month < 1 || month > 12 || day < 1 || day > kDays[month - 1]) return false;
  bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  if (month == 2 && day == 29 && !leap) return false;
  days = DaysFromCivil(year, month, day);
  return true;
}

bool ReadTime(std::string_view text, size_t& position, int64_t& nanos) {
  int hour, minute, second = 0;
  if (!Digits(text, position, 2, hour) || !Expect(text, position, ':') ||
      !Digits(text, position, 2, minute)) {
    return false;
  }
  int64_t fraction = 0;
  if (position < text.size() && text[position] == ':') {
    position++;
    if (!Digits(text, position, 2, second)) return false;
    if (position < text.size() && text[position] == '.') {
      int digits = 0;
      for (position++; position < text.size() && IsDigit(text[position]); position++) {
        if (++digits <= 9) fraction = fraction * 10 + (text[position] - '0');
      }
      if (digits == 0) return false;
      for (; digits < 9; digits++) fraction *= 10;
    }
  }
  if (hour > 23 || minute > 59 || second > 59) return false;
  nanos = ((hour * 60LL + minute) * 60 + second) * 1'000'000'000 + fraction;
  return true;
}

/// "Z", "+02:00", "-0530", "+02" or nothing, up to the end of the text.
bool ReadOffset(std::string_view text, size_t& position, int& offset_seconds) {
  offset_seconds = 0;
  if (position == text.size()) return true;
  char c = text[position++];
  if (c == 'Z' || c == 'z') return position == text.size();
  if (c != '+' && c != '-') return false;
  int hours, minutes = 0;
  if (!Digits(text, position, 2, hours)) return false;
  if (position < text.size()) {
    if (text[position] == ':') position++;
    if (!Digits(text, position, 2, minutes)) return false;
  }
  if (hours > 18 || minutes > 59) return false;
  offset_seconds = (hours * 60 + minutes) * 60 * (c == '-' ? -1 : 1);
  return position == text.size();
}

void AppendPadded(int value, int width, std::string& out) {
  char digits[12];
  for (int i = width; i-- > 0; value /= 10) digits[i] = static_cast<char>('0' + value % 10);
  out.append(digits, width);
}

void AppendFraction(int64_t nanos, std::string& out) {
  if (nanos == 0) return;
  char digits[10];
  digits[0] = '.';
  for (int i = 9; i > 0; i--, nanos /= 10) digits[i] = static_cast<char>('0' + nanos % 10);
  int length = 10;
  while (digits[length - 1] == '0') length--;
  out.append(digits, length);
}

template <typename T>
void AppendJavaNumber(T value, std::string& out) {
  if (std::isnan(value)) return void(out += "NaN");
  if (std::isinf(value)) return void(out += value < 0 ? "-Infinity" : "Infinity");
  if (value == 0) return void(out += std::signbit(value) ? "-0.0" : "0.0");
  char buffer[64];
  T size = std::fabs(value);
  if (size >= static_cast<T>(1e-3) && size < static_cast<T>(1e7)) {
    auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed).ptr;
    std::string_view text(buffer, end - buffer);
    out += text;
    if (text.find('.') == std::string_view::npos) out += ".0";
    return;
  }
  auto end =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  std::string_view text(buffer, end - buffer);
  size_t e = text.find('e');
  out += text.substr(0, e);
  if (text.substr(0, e).find('.') == std::string_view::npos) out += ".0";
  out += 'E';
  std::string_view exponent = text.substr(e + 1);
  if (exponent[0] == '-') out += '-';
  exponent.remove_prefix(1);
  while (exponent.size() > 1 && exponent[0] == '0') exponent.remove_prefix(1);
  out += exponent;
}

constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<int8_t, 256> Base64Values() {
  std::array<int8_t, 256> values{};
  for (auto& value : values) value = -1;
  for (int i = 0; i < 64; i++) values[static_cast<uint8_t>(kBase64[i])] = static_cast<int8_t>(i);
  return values;
}

/// Digits, then the point `scale` places from the right.
void AppendSmallDecimal(int64_t value, int scale, std::string& out) {
  if (value < 0) out += '-';
  uint64_t magnitude = value < 0 ? -static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  char digits[24];
  int count = static_cast<int>(std::to_chars(digits, digits + 24, magnitude).ptr - digits);
  int whole = count - scale;
  if (whole > 0) {
    out.append(digits, static_cast<size_t>(whole));
  } else {
    out += '0';
  }
  if (scale == 0) return;
  out += '.';
  if (whole < 0) out.append(static_cast<size_t>(-whole), '0');
  out.append(digits + std::max(whole, 0), static_cast<size_t>(std::min(count, scale)));
}

}  // namespace

std::string_view TrimBlanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool ParseBoolean(std::string_view text, bool& value) {
  text = TrimBlanks(text);
  auto is = [&](std::string_view word) {
    if (text.size() != word.size()) return false;
    for (size_t i = 0; i < word.size(); i++) {
      if ((text[i] | 0x20) != word[i]) return false;
    }
    return true;
  };
  value = is("true");
  return value || is("false");
}

bool ParseInteger(std::string_view text, int64_t& value) {
  text = TrimBlanks(text);
  if (!text.empty() && text[0] == '+') {
    text.remove_prefix(1);
    if (!text.empty() && text[0] == '-') return false;
  }
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

bool ParseDouble(std::string_view text, double& value) {
  text = TrimBlanks(text);
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  if (text.empty() || text[0] == '+') return false;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

bool ParseDecimal(std::string_view text, int precision, int scale, Int128& value) {
  text = TrimBlanks(text);
  bool negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  size_t e = text.find_first_of("eE");
  int64_t exponent = 0;
  if (e != std::string_view::npos) {
    if (!ParseInteger(text.substr(e + 1), exponent) || std::abs(exponent) > 1000) return false;
    text = text.substr(0, e);
  }
  size_t point = text.find('.');
  std::string_view whole = text.substr(0, point);
  std::string_view fraction = point == std::string_view::npos ? "" : text.substr(point + 1);
  if (whole.empty() && fraction.empty()) return false;
  for (char c : whole) {
    if (!IsDigit(c)) return false;
  }
  for (char c : fraction) {
    if (!IsDigit(c)) return false;
  }
  // Digits that count: those before the point, moved by the exponent, and `scale` behind it.
  int64_t wanted = static_cast<int64_t>(whole.size()) + exponent + scale;
  int64_t total = static_cast<int64_t>(whole.size() + fraction.size());
  Int128 result = 0;
  int used = 0;
  for (int64_t i = 0; i < wanted; i++) {
    int digit = 0;
    if (i < total) {
      size_t at = static_cast<size_t>(i);
      digit = (at < whole.size() ? whole[at] : fraction[at - whole.size()]) - '0';
    }
    if (used > 0 || digit != 0) used++;
    if (used > 38) return false;
    result = result * 10 + digit;
    if (i >= total && result == 0) break;
  }
  if (wanted >= 0 && wanted < total) {
    size_t at = static_cast<size_t>(wanted);
    if ((at < whole.size() ? whole[at] : fraction[at - whole.size()]) >= '5') result++;
  }
  Int128 limit = 1;
  for (int i = 0; i < precision; i++) limit *= 10;
  if (result >= limit) return false;
  value = negative ? -result : result;
  return true;
}

bool ParseDate(std::string_view text, int32_t& days) {
  text = TrimBlanks(text);
  size_t position = 0;
  return ReadDate(text, position, days) && position == text.size();
}

bool ParseTime(std::string_view text, int64_t& nanos) {
  text = TrimBlanks(text);
  size_t position = 0;
  if (!ReadTime(text, position, nanos)) return false;
  // Debezium's ZonedTime ends in 'Z'; a time of day has no offset to take away but that one.
  if (position < text.size() && text[position] == 'Z') position++;
  return position == text.size();
}

bool ParseTimestamp(std::string_view text, ParsedTimestamp& value) {
  text = TrimBlanks(text);
  size_t position = 0;
  int32_t days;
  if (!ReadDate(text, position, days)) return false;
  int64_t nanos = 0;
  int offset = 0;
  if (position < text.size()) {
    if (text[position] != ' ' && text[position] != 'T' && text[position] != 't') return false;
    position++;
    if (!ReadTime(text, position, nanos) || !ReadOffset(text, position, offset)) return false;
  }
  value.seconds = days * 86400LL + nanos / 1'000'000'000 - offset;
  value.nanos = static_cast<int32_t>(nanos % 1'000'000'000);
  return true;
}

bool ParseBase64(std::string_view text, std::string& bytes) {
  static constexpr std::array<int8_t, 256> kValues = Base64Values();
  bytes.clear();
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  if (text.size() % 4 == 1) return false;
  uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    int value = kValues[static_cast<uint8_t>(c)];
    if (value < 0) return false;
    bits = bits << 6 | static_cast<uint32_t>(value);
    if (++count == 4) {
      bytes +=
          {static_cast<char>(bits >> 16), static_cast<char>(bits >> 8), static_cast<char>(bits)};
      bits = 0;
      count = 0;
    }
  }
  if (count == 2) bytes += static_cast<char>(bits >> 4);
  if (count == 3) bytes += {static_cast<char>(bits >> 10), static_cast<char>(bits >> 2)};
  return true;
}

void AppendInteger(int64_t value, std::string& out) {
  char buffer[24];
  out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
}

void AppendDecimal(Int128 value, int scale, std::string& out) {
  if (value == static_cast<int64_t>(value))
    return AppendSmallDecimal(static_cast<int64_t>(value), scale, out);
  if (value < 0) out += '-';
  auto rest =
      value < 0 ? -static_cast<unsigned __int128>(value) : static_cast<unsigned __int128>(value);
  char digits[48];
  int at = sizeof digits;
  for (int written = 0; rest != 0 || written <= scale; written++) {
    if (written == scale && scale > 0) digits[--at] = '.';
    digits[--at] = static_cast<char>('0' + static_cast<int>(rest % 10));
    rest /= 10;
  }
  out.append(digits + at, sizeof digits - at);
}

void AppendDouble(double value, std::string& out) {
  AppendJavaNumber(value, out);
}
void AppendFloat(float value, std::string& out) {
  AppendJavaNumber(value, out);
}

void AppendDate(int32_t days, std::string& out) {
  // The inverse of DaysFromCivil (H. Hinnant's civil_from_days, restated for 32 bits).
  int64_t shifted = static_cast<int64_t>(days) + 719468;
  int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
  int day_of_era = static_cast<int>(shifted - era * 146097);
  int year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  int month_index = (5 * day_of_year + 2) / 153;
  int day = day_of_year - (153 * month_index + 2) / 5 + 1;
  int month = month_index < 10 ? month_index + 3 : month_index - 9;
  int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  if (year < 0) out += '-';
  year = std::abs(year);
  if (year > 9999) {
    AppendInteger(year, out);
  } else {
    AppendPadded(static_cast<int>(year), 4, out);
  }
  out += '-';
  AppendPadded(month, 2, out);
  out += '-';
  AppendPadded(day, 2, out);
}

void AppendTime(int64_t nanos, std::string& out) {
  int seconds = static_cast<int>(nanos / 1'000'000'000);
  AppendPadded(seconds / 3600, 2, out);
  out += ':';
  AppendPadded(seconds / 60 % 60, 2, out);
  out += ':';
  AppendPadded(seconds % 60, 2, out);
  AppendFraction(nanos % 1'000'000'000, out);
}

void AppendTimestamp(int64_t seconds, int32_t nanos, char separator, std::string& out) {
  int64_t days = (seconds >= 0 ? seconds : seconds - 86399) / 86400;
  AppendDate(static_cast<int32_t>(days), out);
  out += separator;
  AppendTime((seconds - days * 86400) * 1'000'000'000 + nanos, out);
}

void AppendBase64(std::string_view bytes, std::string& out) {
  size_t i = 0;
  auto byte = [&](size_t at) { return static_cast<uint32_t>(static_cast<uint8_t>(bytes[at])); };
  for (; i + 3 <= bytes.size(); i += 3) {
    uint32_t bits = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    out += {kBase64[bits >> 18], kBase64[bits >> 12 & 63], kBase64[bits >> 6 & 63],
            kBase64[bits & 63]};
  }
  if (bytes.size() - i == 1) {
    uint32_t bits = byte(i) << 16;
    out += {kBase64[bits >> 18], kBase64[bits >> 12 & 63], '=', '='};
  } else if (bytes.size() - i == 2) {
    uint32_t bits = byte(i) << 16 | byte(i + 1) << 8;
    out += {kBase64[bits >> 18], kBase64[bits >> 12 & 63], kBase64[bits >> 6 & 63], '='};
  }
}

int32_t DaysFromCivil(int year, int month, int day) {
  // Years begin in March, so that the leap day is the last of its year.
  int64_t y = month <= 2 ? year - 1 : year;
  int64_t era = (y >= 0 ? y : y - 399) / 400;
  int64_t year_of_era = y - era * 400;
  int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return static_cast<int32_t>(era * 146097 + day_of_era - 719468);
}

std::string Shortened(std::string_view text, size_t limit) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  if (text.size() <= limit) return std::string(text);
  size_t end = limit;
  while (end > 0 && (static_cast<uint8_t>(text[end]) & 0xC0) == 0x80) end--;
  return std::string(text.substr(0, end)) + "...";
}

}  // namespace millrace
