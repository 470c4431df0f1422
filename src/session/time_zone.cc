#include "session/time_zone.h"

#include "base/error.h"
#include "duckdb/common/string_util.hpp"
#include "duckdb/main/materialized_query_result.hpp"
#include "sql/lexer.h"

namespace millrace {

namespace {

constexpr const char* kKey = "table.local-time-zone";

std::string Single(duckdb::Connection& connection, const std::string& sql) {
  auto result = connection.Query(sql);
  if (result->HasError()) result->ThrowError();
  return result->RowCount() == 0 ? "" : result->GetValue(0, 0).ToString();
}

/// "GMT+08:00", "UTC-5", "+08:00" -> minutes east; nullopt for what has not this form.
std::optional<int> OffsetMinutes(std::string text) {
  for (const char* prefix : {"GMT", "UTC", "UT"}) {
    if (!duckdb::StringUtil::StartsWith(duckdb::StringUtil::Upper(text), prefix)) continue;
    text.erase(0, std::string_view(prefix).size());
    break;
  }
  int hours = 0, minutes = 0, length = 0;
  if (text.empty() || (text[0] != '+' && text[0] != '-')) return std::nullopt;
  const char* digits = text.c_str() + 1;
  int found = std::sscanf(digits, "%2d:%2d%n", &hours, &minutes, &length);
  if (found != 2) found = std::sscanf(digits, "%2d%n", &hours, &length);
  if (found < 1 || static_cast<size_t>(length) + 1 != text.size()) return std::nullopt;
  if (!std::isdigit(static_cast<unsigned char>(digits[0])) || minutes < 0) return std::nullopt;
  int offset = hours * 60 + minutes;
  return text[0] == '-' ? -offset : offset;
}

}  // namespace

std::string ResolveTimeZone(duckdb::Connection& connection, const std::string& zone) {
  if (auto minutes = OffsetMinutes(zone)) {
    if (*minutes % 60 != 0 || *minutes < -12 * 60 || *minutes > 14 * 60) {
      Throw(
          ErrorCode::kInvalid,
          "SET '{}' = '{}': offsets are whole hours from -12:00 to +14:00; name a region instead, "
          "such as 'Asia/Kolkata'",
          kKey, zone);
    }
    // The names of these zones follow POSIX: west is positive.
    int hours = *minutes / 60;
    return hours == 0 ? "UTC" : fmt::format("Etc/GMT{:+d}", -hours);
  }
  std::string same = QuoteString(duckdb::StringUtil::Lower(zone));
  std::string name = Single(
      connection, "SELECT name FROM pg_timezone_names() WHERE lower(name) = " + same + " LIMIT 1");
  if (!name.empty()) return name;
  // A city alone is no zone, but says which one is meant.
  std::string city = "'%/' || " + same;
  std::string meant = Single(
      connection, "SELECT min(name) FROM pg_timezone_names() WHERE lower(name) LIKE " + city);
  std::vector<std::string> known;
  auto names = connection.Query("SELECT name FROM pg_timezone_names() ORDER BY 1");
  for (idx_t row = 0; row < names->RowCount(); row++) {
    known.push_back(names->GetValue(0, row).ToString());
  }
  Throw(ErrorCode::kInvalid,
        "SET '{}' = '{}': it is no time zone; there are 'default' (the system's), regions such as "
        "'Europe/Prague', and offsets such as 'GMT+08:00'{}",
        kKey, zone, DidYouMean(meant == "NULL" ? zone : meant, known));
}

void UseTimeZone(duckdb::Connection& connection, const std::string& zone) {
  auto result = connection.Query("SET GLOBAL TimeZone = " + QuoteString(zone));
  if (result->HasError()) result->ThrowError();
}

std::string LocalTimeText(duckdb::Connection& connection, int64_t unix_ms) {
  std::string text = Single(
      connection, fmt::format("SELECT strftime(CAST(make_timestamptz({}) AS TIMESTAMP), CASE WHEN "
                              "CAST(make_timestamptz({}) AS DATE) = current_date THEN '%H:%M:%S' "
                              "ELSE '%Y-%m-%d %H:%M:%S' END)",
                              unix_ms / 1000 * 1'000'000, unix_ms / 1000 * 1'000'000));
  return text;
}

std::string CurrentTimeZone(duckdb::Connection& connection) {
  return Single(connection, "SELECT current_setting('TimeZone')");
}

}  // namespace millrace
