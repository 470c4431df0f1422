// Date and time functions with Flink's patterns, units and types.
//
// A text that is no time gives NULL, as in Flink. Clock functions are VOLATILE: while a statement
// holds a transaction (batch, planning) they tell its start, so that a query sees one moment; a
// streaming job holds none, and sees the clock at each chunk.
#include "duckdb/common/types/date.hpp"
#include "duckdb/common/types/interval.hpp"
#include "duckdb/common/types/timestamp.hpp"
#include "duckdb/common/vector_operations/binary_executor.hpp"
#include "duckdb/common/vector_operations/unary_executor.hpp"
#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/execution/expression_executor_state.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/transaction/meta_transaction.hpp"

#include "base/error.h"
#include "sql/function_registry.h"
#include "sql/time_pattern.h"

namespace millrace {

namespace {

std::string_view View(const string_t& text) {
  return {text.GetData(), text.GetSize()};
}

// The pattern of the row before, mostly that of all rows.
class PatternCache {
 public:
  const TimePattern& Get(const string_t& text) {
    if (!pattern_ || View(text) != text_) {
      text_ = View(text);
      pattern_.emplace(text_);
    }
    return *pattern_;
  }

 private:
  std::string text_;
  std::optional<TimePattern> pattern_;
};

void DateFormat(DataChunk& arguments, duckdb::ExpressionState&, Vector& result) {
  PatternCache cache;
  std::string text;
  duckdb::BinaryExecutor::Execute<duckdb::timestamp_t, string_t, string_t>(
      arguments.data[0], arguments.data[1], result, arguments.size(),
      [&](duckdb::timestamp_t time, string_t pattern) {
        text.clear();
        cache.Get(pattern).Format(time.value, text);
        return duckdb::StringVector::AddString(result, text.data(), text.size());
      });
}

template <class Result>
void ParseTime(DataChunk& arguments, duckdb::ExpressionState&, Vector& result) {
  PatternCache cache;
  duckdb::BinaryExecutor::ExecuteWithNulls<string_t, string_t, Result>(
      arguments.data[0], arguments.data[1], result, arguments.size(),
      [&](string_t text, string_t pattern, duckdb::ValidityMask& mask, idx_t row) -> Result {
        auto micros = cache.Get(pattern).Parse(View(text));
        if (!micros) {
          mask.SetInvalid(row);
          return Result();
        }
        if constexpr (std::is_same_v<Result, duckdb::date_t>) {
          return duckdb::Timestamp::GetDate(duckdb::timestamp_t(*micros));
        } else {
          return duckdb::timestamp_t(*micros);
        }
      });
}

// --------------------------------------------------------------------------------------- Units of
// time

enum class Unit : uint8_t {
  kMicro,
  kMilli,
  kSecond,
  kMinute,
  kHour,
  kDay,
  kWeek,
  kMonth,
  kQuarter,
  kYear,
  kDecade,
  kCentury,
  kMillennium
};

Unit UnitOf(duckdb::ClientContext& context, const duckdb::Expression& expression,
            const std::string& function) {
  static const std::map<std::string, Unit> kUnits = {
      {"nanosecond", Unit::kMicro},  {"microsecond", Unit::kMicro},
      {"millisecond", Unit::kMilli}, {"second", Unit::kSecond},
      {"minute", Unit::kMinute},     {"hour", Unit::kHour},
      {"day", Unit::kDay},           {"week", Unit::kWeek},
      {"month", Unit::kMonth},       {"quarter", Unit::kQuarter},
      {"year", Unit::kYear},         {"decade", Unit::kDecade},
      {"century", Unit::kCentury},   {"millennium", Unit::kMillennium}};
  Value value;
  if (expression.IsFoldable() &&
      duckdb::ExpressionExecutor::TryEvaluateScalar(context, expression, value) &&
      !value.IsNull()) {
    auto found = kUnits.find(value.ToString());
    if (found != kUnits.end()) return found->second;
  }
  Throw(
      ErrorCode::kInvalid,
      "{} takes a unit of time as a word: SECOND, MINUTE, HOUR, DAY, WEEK, MONTH, QUARTER or YEAR",
      function);
}

struct UnitBind : public duckdb::FunctionData {
  explicit UnitBind(Unit unit) : unit(unit) {}
  Unit unit;
  duckdb::unique_ptr<duckdb::FunctionData> Copy() const override {
    return duckdb::make_uniq<UnitBind>(unit);
  }
  bool Equals(const duckdb::FunctionData& other) const override {
    return unit == other.Cast<UnitBind>().unit;
  }
};

Unit BoundUnit(duckdb::ExpressionState& state) {
  return state.expr.Cast<duckdb::BoundFunctionExpression>().bind_info->Cast<UnitBind>().unit;
}

// Months, days and microseconds of one unit.
duckdb::interval_t OneOf(Unit unit) {
  duckdb::interval_t one{0, 0, 0};
  switch (unit) {
    case Unit::kMicro:
      one.micros = 1;
      break;
    case Unit::kMilli:
      one.micros = 1000;
      break;
    case Unit::kSecond:
      one.micros = 1000000;
      break;
    case Unit::kMinute:
      one.micros = 60000000;
      break;
    case Unit::kHour:
      one.micros = 3600000000;
      break;
    case Unit::kDay:
      one.days = 1;
      break;
    case Unit::kWeek:
      one.days = 7;
      break;
    case Unit::kMonth:
      one.months = 1;
      break;
    case Unit::kQuarter:
      one.months = 3;
      break;
    case Unit::kYear:
      one.months = 12;
      break;
    case Unit::kDecade:
      one.months = 120;
      break;
    case Unit::kCentury:
      one.months = 1200;
      break;
    case Unit::kMillennium:
      one.months = 12000;
      break;
  }
  return one;
}

// The beginning of the unit that holds `time`. Weeks begin on Sunday, as in Flink.
duckdb::timestamp_t Floor(duckdb::timestamp_t time, Unit unit) {
  duckdb::interval_t one = OneOf(unit);
  if (one.months == 0 && unit != Unit::kWeek) {
    int64_t size = one.days != 0 ? 86400000000 : one.micros;
    int64_t rest = time.value % size;
    return duckdb::timestamp_t(time.value - (rest < 0 ? rest + size : rest));
  }
  duckdb::date_t date = duckdb::Timestamp::GetDate(time);
  int32_t year, month, day;
  if (unit == Unit::kWeek) {
    date = duckdb::date_t(date.days - duckdb::Date::ExtractISODayOfTheWeek(date) % 7);
  } else {
    duckdb::Date::Convert(date, year, month, day);
    if (one.months < 12) {
      month -= (month - 1) % one.months;
    } else {
      month = 1;
      int32_t years = one.months / 12, origin = years > 10 ? 1 : 0;  // Centuries begin with year 1.
      int32_t rest = (year - origin) % years;
      year -= rest < 0 ? rest + years : rest;
    }
    date = duckdb::Date::FromDate(year, month, 1);
  }
  return duckdb::Timestamp::FromDatetime(date, duckdb::dtime_t(0));
}

template <bool up>
duckdb::timestamp_t FloorOrCeil(duckdb::timestamp_t time, Unit unit) {
  if (!duckdb::Timestamp::IsFinite(time)) return time;
  duckdb::timestamp_t floor = Floor(time, unit);
  return up && floor != time ? duckdb::Interval::Add(floor, OneOf(unit)) : floor;
}

template <bool up, class T>
void FloorTo(DataChunk& arguments, duckdb::ExpressionState& state, Vector& result) {
  Unit unit = BoundUnit(state);
  duckdb::UnaryExecutor::Execute<T, T>(
      arguments.data[1], result, arguments.size(), [unit](T time) -> T {
        if constexpr (std::is_same_v<T, duckdb::date_t>) {
          if (!duckdb::Date::IsFinite(time)) return time;
          auto midnight = duckdb::Timestamp::FromDatetime(time, duckdb::dtime_t(0));
          return duckdb::Timestamp::GetDate(FloorOrCeil<up>(midnight, unit));
        } else {
          return FloorOrCeil<up>(time, unit);
        }
      });
}

template <bool up>
BindData BindFloorTo(duckdb::ClientContext& context, duckdb::ScalarFunction& bound,
                     Expressions& arguments) {
  auto types = TypesOf(arguments);
  auto bind = duckdb::make_uniq<UnitBind>(UnitOf(context, *arguments[0], up ? "CEIL" : "FLOOR"));
  bool date = types[1].id() == LogicalTypeId::DATE;
  LogicalType type = date ? LogicalType::DATE : LogicalType::TIMESTAMP;  // LTZ: in local time.
  bound.function = date ? FloorTo<up, duckdb::date_t> : FloorTo<up, duckdb::timestamp_t>;
  bound.arguments = {LogicalType::VARCHAR, type};
  bound.SetReturnType(type);
  return bind;
}

duckdb::interval_t Scaled(duckdb::interval_t one, int64_t count) {
  int64_t months, days, micros;
  bool wrong = __builtin_mul_overflow(static_cast<int64_t>(one.months), count, &months) ||
               __builtin_mul_overflow(static_cast<int64_t>(one.days), count, &days) ||
               __builtin_mul_overflow(one.micros, count, &micros) ||
               months != static_cast<int32_t>(months) || days != static_cast<int32_t>(days);
  if (wrong) Throw(ErrorCode::kData, "TIMESTAMPADD of {} units is out of range", count);
  return {static_cast<int32_t>(months), static_cast<int32_t>(days), micros};
}

template <class T>
void TimestampAdd(DataChunk& arguments, duckdb::ExpressionState& state, Vector& result) {
  duckdb::interval_t one = OneOf(BoundUnit(state));
  duckdb::BinaryExecutor::Execute<int64_t, T, T>(
      arguments.data[1], arguments.data[2], result, arguments.size(),
      [one](int64_t count, T time) { return duckdb::Interval::Add(time, Scaled(one, count)); });
}

BindData BindTimestampAdd(duckdb::ClientContext& context, duckdb::ScalarFunction& bound,
                          Expressions& arguments) {
  auto types = TypesOf(arguments);
  auto bind = duckdb::make_uniq<UnitBind>(UnitOf(context, *arguments[0], "TIMESTAMPADD"));
  bool date = types[2].id() == LogicalTypeId::DATE && bind->unit >= Unit::kDay;
  bool local = types[2].id() == LogicalTypeId::TIMESTAMP_TZ;
  LogicalType type = date    ? LogicalType::DATE
                     : local ? LogicalType::TIMESTAMP_TZ
                             : LogicalType::TIMESTAMP;
  bound.function = date ? TimestampAdd<duckdb::date_t> : TimestampAdd<duckdb::timestamp_t>;
  bound.arguments = {LogicalType::VARCHAR, LogicalType::BIGINT, type};
  bound.SetReturnType(type);
  return bind;
}

// ----------------------------------------------------------------------------------------------
// Clocks

void Now(DataChunk&, duckdb::ExpressionState& state, Vector& result) {
  duckdb::timestamp_t now = duckdb::Timestamp::GetCurrentTimestamp();
  if (state.HasContext()) {
    auto& context = state.GetContext();
    if (context.transaction.HasActiveTransaction())
      now = duckdb::MetaTransaction::Get(context).start_timestamp;
  }
  now.value -= now.value % 1000;  // TIMESTAMP_LTZ(3)
  result.SetVectorType(duckdb::VectorType::CONSTANT_VECTOR);
  duckdb::ConstantVector::GetData<duckdb::timestamp_t>(result)[0] = now;
}

// The argument of a TIMESTAMPDIFF: between two TIMESTAMP_LTZ true time counts, what UTC's clocks
// show.
BindData BindToClock(duckdb::ClientContext&, duckdb::ScalarFunction& bound,
                     Expressions& arguments) {
  bool instant = TypesOf(arguments)[0].id() == LogicalTypeId::TIMESTAMP_TZ;
  bound.arguments = {instant ? LogicalType::TIMESTAMP_TZ : LogicalType::TIMESTAMP};
  bound.SetReturnType(LogicalType::TIMESTAMP);
  return nullptr;
}

void ToClock(DataChunk& arguments, duckdb::ExpressionState&, Vector& result) {
  result.Reinterpret(arguments.data[0]);
}

constexpr const char* kMacros[] = {
    "proctime() AS now()",
    "current_row_timestamp() AS now()",
    "flink_localtimestamp() AS CAST(now() AS TIMESTAMP)",
    "flink_current_date() AS CAST(CAST(now() AS TIMESTAMP) AS DATE)",
    "flink_localtime() AS CAST(date_trunc('second', CAST(now() AS TIMESTAMP)) AS TIME)",
    "dayofweek(x) AS system.main.dayofweek(x) + 1",
    "timestampdiff(u, a, b) AS CAST(date_sub(u, to_clock(a), to_clock(b)) AS INTEGER)",
    "date_format(x, p) AS format_time(TRY_CAST(x AS TIMESTAMP), p)",
    "to_timestamp(x) AS parse_timestamp(x, 'yyyy-MM-dd HH:mm:ss'), (x, p) AS parse_timestamp(x, p)",
    "to_date(x) AS parse_date(x, 'yyyy-MM-dd'), (x, p) AS parse_date(x, p)",
    "to_timestamp_ltz(x, p) AS make_timestamptz(CAST(CASE WHEN p = 3 THEN CAST(x AS BIGINT) * 1000 "
    "ELSE CAST(x AS BIGINT) * 1000000 END AS BIGINT))",
    "from_unixtime(x) AS format_time(CAST(make_timestamptz(CAST(x AS BIGINT) * 1000000) AS "
    "TIMESTAMP), 'yyyy-MM-dd HH:mm:ss'), "
    "(x, p) AS format_time(CAST(make_timestamptz(CAST(x AS BIGINT) * 1000000) AS TIMESTAMP), p)",
    "unix_timestamp() AS CAST(floor(epoch(now())) AS BIGINT), "
    "(x) AS CAST(floor(epoch(CAST(parse_timestamp(x, 'yyyy-MM-dd HH:mm:ss') AS TIMESTAMPTZ))) AS "
    "BIGINT), "
    "(x, p) AS CAST(floor(epoch(CAST(parse_timestamp(x, p) AS TIMESTAMPTZ))) AS BIGINT)",
    "convert_tz(x, a, b) AS format_time(timezone(b, timezone(a, parse_timestamp(x, 'yyyy-MM-dd "
    "HH:mm:ss'))), "
    "'yyyy-MM-dd HH:mm:ss')",
};

}  // namespace

void RegisterTimes(FunctionRegistry& registry) {
  const LogicalType text = LogicalType::VARCHAR, any = LogicalType::ANY;
  registry.Scalar(
      duckdb::ScalarFunction("format_time", {LogicalType::TIMESTAMP, text}, text, DateFormat));
  registry.Scalar(duckdb::ScalarFunction("parse_timestamp", {text, text}, LogicalType::TIMESTAMP,
                                         ParseTime<duckdb::timestamp_t>));
  registry.Scalar(duckdb::ScalarFunction("parse_date", {text, text}, LogicalType::DATE,
                                         ParseTime<duckdb::date_t>));
  registry.Scalar(
      duckdb::ScalarFunction("floor_to", {text, any}, any, nullptr, BindFloorTo<false>));
  registry.Scalar(duckdb::ScalarFunction("ceil_to", {text, any}, any, nullptr, BindFloorTo<true>));
  registry.Scalar(duckdb::ScalarFunction("to_clock", {any}, any, ToClock, BindToClock));
  registry.Scalar(duckdb::ScalarFunction("timestampadd", {text, LogicalType::BIGINT, any}, any,
                                         nullptr, BindTimestampAdd));
  duckdb::ScalarFunction now("now", {}, LogicalType::TIMESTAMP_TZ, Now);
  now.SetVolatile();
  registry.Scalar(now);
  for (const char* macro : kMacros) registry.Macro(macro);
}

}  // namespace millrace
