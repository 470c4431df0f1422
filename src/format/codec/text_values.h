// text_values.h - scalar values as text: what JSON, CSV and Debezium records have in common.
//
// Parsing is exact (decimals never pass through DOUBLE) and tells failure by value, for a record
// that does not decode may be skipped. Writing gives the forms that Flink's formats write.
#pragma once

#include "base/duck.h"

namespace millrace {

using Int128 = __int128;

/// The text without the blanks around it.
std::string_view TrimBlanks(std::string_view text);

[[nodiscard]] bool ParseBoolean(std::string_view text, bool& value);
[[nodiscard]] bool ParseInteger(std::string_view text, int64_t& value);
[[nodiscard]] bool ParseDouble(std::string_view text, double& value);
/// "-12.345", "1.5E3" as an integer in units of 10^-scale, rounded half up as Flink does; false
/// when it is no number or needs more than `precision` digits.
[[nodiscard]] bool ParseDecimal(std::string_view text, int precision, int scale, Int128& value);
/// "2024-01-31" as days since 1970.
[[nodiscard]] bool ParseDate(std::string_view text, int32_t& days);
/// "12:34:56.789" as nanoseconds of the day.
[[nodiscard]] bool ParseTime(std::string_view text, int64_t& nanos);

struct ParsedTimestamp {
  int64_t seconds = 0;  // Since 1970 in UTC, the text's offset taken away.
  int32_t nanos = 0;
};
/// "2024-01-31 12:34:56.789", 'T' for the blank, offset "Z" or "+02:00" or none.
[[nodiscard]] bool ParseTimestamp(std::string_view text, ParsedTimestamp& value);
/// Standard base64, with or without '=' at its end.
[[nodiscard]] bool ParseBase64(std::string_view text, std::string& bytes);

void AppendInteger(int64_t value, std::string& out);
void AppendDecimal(Int128 value, int scale, std::string& out);
/// The shortest digits that read back to the same number, in Java's form: "1.0", "1.0E10", "NaN".
void AppendDouble(double value, std::string& out);
void AppendFloat(float value, std::string& out);
void AppendDate(int32_t days, std::string& out);
/// "12:34:56" and the fraction's significant digits.
void AppendTime(int64_t nanos, std::string& out);
/// Date, `separator`, time.
void AppendTimestamp(int64_t seconds, int32_t nanos, char separator, std::string& out);
void AppendBase64(std::string_view bytes, std::string& out);

/// Days since 1970 of a date of the proleptic Gregorian calendar.
int32_t DaysFromCivil(int year, int month, int day);

/// At most `limit` characters of `text` for a message, without breaking a UTF-8 character.
std::string Shortened(std::string_view text, size_t limit = 120);

}  // namespace millrace
