// time_zone.h - the session's time zone: 'table.local-time-zone' as Flink writes it, to DuckDB's
// name.
//
// TIMESTAMP_LTZ is a point in time; the zone decides what the clock on the wall shows then, in
// casts, DATE_FORMAT, CURRENT_DATE and on the screen. DuckDB's ICU brings the rules, whatever the
// machine has installed.
#pragma once

#include "duckdb/main/connection.hpp"

namespace millrace {

/// "Europe/Prague", "utc" (by any case), "GMT+08:00", "UTC-5": the zone's name in DuckDB.
/// Throws: Error(kInvalid) with a suggestion.
std::string ResolveTimeZone(duckdb::Connection& connection, const std::string& zone);
/// The zone of new connections of the same database, and of this one.
void UseTimeZone(duckdb::Connection& connection, const std::string& zone);
std::string CurrentTimeZone(duckdb::Connection& connection);
/// What clocks of the zone show at a Unix time: "12:34:56" of today, else "2024-01-31 12:34:56".
std::string LocalTimeText(duckdb::Connection& connection, int64_t unix_ms);

}  // namespace millrace
