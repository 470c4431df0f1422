// tag_json.cc - a tag is the JSON of its snapshot; with a lifetime two fields more:
//   "tagCreateTime": [year, month, day, hour, minute, second, nanosecond]   (zero tails left out)
//   "tagTimeRetained": 604800.000000000                                     (seconds)
#include <cmath>

#include "base/error.h"
#include "duckdb/common/types/date.hpp"
#include "meta/json_fields.h"
#include "meta/tag.h"

namespace millrace {

namespace {

constexpr const char* kCreated = "tagCreateTime";
constexpr const char* kRetained = "tagTimeRetained";
constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kDay = 86'400 * kSecond;

int64_t FloorDivide(int64_t value, int64_t by) {
  return value / by - (value % by < 0 ? 1 : 0);
}

/// Java's LocalDateTime as Jackson writes it: seconds and nanoseconds only when they are not zero.
std::string CreatedText(int64_t created_ns) {
  int64_t day = FloorDivide(created_ns, kDay);
  int64_t rest = created_ns - day * kDay;
  int32_t year = 0, month = 0, of_month = 0;
  duckdb::Date::Convert(duckdb::date_t(static_cast<int32_t>(day)), year, month, of_month);
  int64_t seconds = rest / kSecond, nanos = rest % kSecond;
  std::string text =
      fmt::format("[{},{},{},{},{}", year, month, of_month, seconds / 3600, seconds / 60 % 60);
  if (seconds % 60 > 0 || nanos > 0) text += fmt::format(",{}", seconds % 60);
  if (nanos > 0) text += fmt::format(",{}", nanos);
  return text + "]";
}

int64_t CreatedFrom(const JsonFields& fields, const nlohmann::json& json) {
  int64_t parts[7] = {0, 1, 1, 0, 0, 0, 0};
  if (!json.is_array() || json.size() < 3 || json.size() > 7) {
    fields.Fail(kCreated, "an array [year, month, day, ...] is expected");
  }
  for (size_t i = 0; i < json.size(); i++) {
    if (!json[i].is_number_integer()) fields.Fail(kCreated, "its parts must be whole numbers");
    parts[i] = json[i].get<int64_t>();
  }
  duckdb::date_t day;
  if (!duckdb::Date::TryFromDate(static_cast<int32_t>(parts[0]), static_cast<int32_t>(parts[1]),
                                 static_cast<int32_t>(parts[2]), day) ||
      std::abs(day.days) > 100'000) {
    fields.Fail(kCreated, "it is no date");
  }
  return day.days * kDay + ((parts[3] * 60 + parts[4]) * 60 + parts[5]) * kSecond + parts[6];
}

int64_t RetainedFrom(const JsonFields& fields, const nlohmann::json& json) {
  if (!json.is_number()) fields.Fail(kRetained, "a number of seconds is expected");
  if (json.is_number_integer() && std::abs(json.get<int64_t>()) < INT64_MAX / kSecond) {
    return json.get<int64_t>() * kSecond;
  }
  double nanos = json.get<double>() * static_cast<double>(kSecond);
  return nanos >= 9e18 ? INT64_MAX : std::llround(nanos);
}

}  // namespace

std::string TagToJson(const Tag& tag) {
  std::string json = SnapshotToJson(tag.snapshot);
  if (!tag.retained_ns) return json;
  // Decimals with nine digits: JSON libraries would print them as doubles.
  json.resize(json.rfind('\n'));
  json += fmt::format(",\n  \"{}\": {},\n  \"{}\": {}.{:09}\n}}", kCreated,
                      CreatedText(tag.created_ns.value_or(0)), kRetained,
                      *tag.retained_ns / kSecond, *tag.retained_ns % kSecond);
  return json;
}

Tag TagFromJson(std::string_view json, const std::string& file) {
  Tag tag;
  tag.snapshot = SnapshotFromJson(json, file);
  JsonFields fields(json, file);
  if (const nlohmann::json* created = fields.Find(kCreated)) {
    tag.created_ns = CreatedFrom(fields, *created);
  }
  if (const nlohmann::json* retained = fields.Find(kRetained)) {
    tag.retained_ns = RetainedFrom(fields, *retained);
  }
  return tag;
}

}  // namespace millrace
