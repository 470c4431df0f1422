#include "table/tag_periods.h"

#include <cctype>

#include "base/error.h"
#include "duckdb/common/types/date.hpp"
#include "meta/options.h"

namespace millrace {

namespace {

constexpr int64_t kMinuteMs = 60'000;
constexpr int64_t kHourMs = 60 * kMinuteMs;
constexpr int64_t kDayMs = 24 * kHourMs;
constexpr const char* kDelay = "tag.creation-delay";

int64_t FloorDivide(int64_t value, int64_t by) {
  return value / by - (value % by < 0 ? 1 : 0);
}

/// Digits of `text` at `at`, exactly `count` of them; moves on.
std::optional<int> Digits(std::string_view text, size_t& at, size_t count) {
  if (at + count > text.size()) return std::nullopt;
  int number = 0;
  for (size_t i = 0; i < count; i++) {
    if (!std::isdigit(static_cast<unsigned char>(text[at + i]))) return std::nullopt;
    number = number * 10 + (text[at + i] - '0');
  }
  at += count;
  return number;
}

}  // namespace

TagPeriods::TagPeriods(const Options& options) {
  std::string formatter = GetChoice(options, "tag.period-formatter", "with_dashes",
                                    {"with_dashes", "without_dashes", "without_dashes_and_spaces"});
  std::string period =
      GetChoice(options, "tag.creation-period", "daily", {"daily", "hourly", "two-hours"});
  bool dashes = formatter == "with_dashes";
  if (options.contains("tag.creation-period-duration")) {
    period_ms_ = GetDurationMs(options, "tag.creation-period-duration", kDayMs);
    pattern_ = "%Y%m%d%H%M";
  } else if (period == "daily") {
    period_ms_ = kDayMs;
    pattern_ = dashes ? "%Y-%m-%d" : "%Y%m%d";
  } else {
    period_ms_ = period == "hourly" ? kHourMs : 2 * kHourMs;
    pattern_ = dashes || period != "hourly"    ? "%Y-%m-%d %H"
               : formatter == "without_dashes" ? "%Y%m%d %H"
                                               : "%Y%m%d%H";
  }
  if (period_ms_ < kMinuteMs) {
    Throw(ErrorCode::kInvalid,
          "Option 'tag.creation-period-duration' cannot be {} ms: a minute is "
          "the least",
          period_ms_);
  }
  int64_t delay = GetDurationMs(options, kDelay, 0);
  if (delay >= period_ms_) {
    Throw(ErrorCode::kInvalid, "Option '{}' = '{}' is not less than the period of the tags", kDelay,
          GetString(options, kDelay, ""));
  }
}

std::optional<TagPeriods> TagPeriods::OfAutomatic(const Options& options) {
  std::string mode = GetChoice(options, "tag.automatic-creation", "none",
                               {"none", "process-time", "watermark", "batch"});
  if (mode == "none" || mode == "batch") return std::nullopt;
  return TagPeriods(options);
}

std::optional<int64_t> TagPeriods::TimeOf(const std::string& name) const {
  int year = 1970, month = 1, day = 1, hour = 0, minute = 0;
  size_t at = 0;
  for (size_t i = 0; i < pattern_.size(); i++) {
    if (pattern_[i] != '%') {
      if (at >= name.size() || name[at++] != pattern_[i]) return std::nullopt;
      continue;
    }
    char part = pattern_[++i];
    std::optional<int> number = Digits(name, at, part == 'Y' ? 4 : 2);
    if (!number) return std::nullopt;
    (part == 'Y'   ? year
     : part == 'm' ? month
     : part == 'd' ? day
     : part == 'H' ? hour
                   : minute) = *number;
  }
  // A daily tag may carry a suffix after a blank.
  bool daily = pattern_.find("%H") == std::string::npos;
  if (at < name.size() && !(daily && name[at] == ' ')) return std::nullopt;
  duckdb::date_t date;
  if (hour > 23 || minute > 59 || !duckdb::Date::TryFromDate(year, month, day, date)) {
    return std::nullopt;
  }
  return date.days * kDayMs + hour * kHourMs + minute * kMinuteMs;
}

std::string TagPeriods::NameOf(int64_t begin_ms) const {
  int64_t days = FloorDivide(begin_ms, kDayMs);
  int64_t rest = begin_ms - days * kDayMs;
  int32_t year = 0, month = 0, day = 0;
  duckdb::Date::Convert(duckdb::date_t(static_cast<int32_t>(days)), year, month, day);
  std::string name;
  for (size_t i = 0; i < pattern_.size(); i++) {
    if (pattern_[i] != '%') {
      name += pattern_[i];
      continue;
    }
    switch (pattern_[++i]) {
      case 'Y':
        name += fmt::format("{:04}", year);
        break;
      case 'm':
        name += fmt::format("{:02}", month);
        break;
      case 'd':
        name += fmt::format("{:02}", day);
        break;
      case 'H':
        name += fmt::format("{:02}", rest / kHourMs);
        break;
      default:
        name += fmt::format("{:02}", rest / kMinuteMs % 60);
    }
  }
  return name;
}

int64_t TagPeriods::LastOver(int64_t local_ms) const {
  return (FloorDivide(local_ms, period_ms_) - 1) * period_ms_;
}

}  // namespace millrace
