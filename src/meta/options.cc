// options.cc - parsing of option values.
#include "meta/options.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "duckdb/common/string_util.hpp"

namespace millrace {

namespace {

struct Unit {
  std::vector<const char*> names;
  double factor;
};

const std::vector<Unit>& DurationUnits() {
  static const std::vector<Unit> units = {
      {{"", "ms", "milli", "millis", "millisecond", "milliseconds"}, 1},
      {{"s", "sec", "secs", "second", "seconds"}, 1000},
      {{"m", "min", "mins", "minute", "minutes"}, 60'000},
      {{"h", "hour", "hours"}, 3'600'000},
      {{"d", "day", "days"}, 86'400'000},
      {{"us", "µs", "micro", "micros", "microsecond", "microseconds"}, 1e-3},
      {{"ns", "nano", "nanos", "nanosecond", "nanoseconds"}, 1e-6},
  };
  return units;
}

const std::vector<Unit>& MemoryUnits() {
  static const std::vector<Unit> units = {
      {{"", "b", "bytes"}, 1},
      {{"k", "kb", "kib", "kibibytes"}, 1024},
      {{"m", "mb", "mib", "mebibytes"}, 1024.0 * 1024},
      {{"g", "gb", "gib", "gibibytes"}, 1024.0 * 1024 * 1024},
      {{"t", "tb", "tib", "tebibytes"}, 1024.0 * 1024 * 1024 * 1024},
  };
  return units;
}

const std::string* Find(const Options& options, const std::string& name) {
  auto found = options.find(name);
  return found == options.end() ? nullptr : &found->second;
}

std::string Trim(std::string text) {
  duckdb::StringUtil::Trim(text);
  return text;
}

template <typename T>
bool ParseWhole(const std::string& text, T& value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

/// "64 mb" -> 64 * factor of mb; nullopt when it is not of this form or out of range.
std::optional<int64_t> ParseWithUnit(const std::string& given, const std::vector<Unit>& units) {
  std::string text = duckdb::StringUtil::Lower(Trim(given));
  size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') digits++;
  int64_t number = 0;
  if (digits == 0 || !ParseWhole(text.substr(0, digits), number)) return std::nullopt;
  std::string name = Trim(text.substr(digits));
  for (const Unit& unit : units) {
    if (std::find(unit.names.begin(), unit.names.end(), name) == unit.names.end()) continue;
    if (unit.factor < 1) return static_cast<int64_t>(static_cast<double>(number) * unit.factor);
    int64_t result = 0;
    if (__builtin_mul_overflow(number, static_cast<int64_t>(unit.factor), &result))
      return std::nullopt;
    return result;
  }
  return std::nullopt;
}

[[noreturn]] void Fail(const std::string& name, const std::string& value,
                       const std::string& wanted) {
  Throw(ErrorCode::kInvalid, "Option '{}' = '{}': {} is expected", name, value, wanted);
}

}  // namespace

std::string GetString(const Options& options, const std::string& name,
                      const std::string& fallback) {
  const std::string* value = Find(options, name);
  return value == nullptr ? fallback : *value;
}

bool GetBool(const Options& options, const std::string& name, bool fallback) {
  const std::string* value = Find(options, name);
  if (value == nullptr) return fallback;
  std::string text = duckdb::StringUtil::Lower(Trim(*value));
  if (text == "true") return true;
  if (text == "false") return false;
  Fail(name, *value, "true or false");
}

int64_t GetInt(const Options& options, const std::string& name, int64_t fallback) {
  const std::string* value = Find(options, name);
  if (value == nullptr) return fallback;
  int64_t number = 0;
  if (!ParseWhole(Trim(*value), number)) Fail(name, *value, "a whole number");
  return number;
}

double GetDouble(const Options& options, const std::string& name, double fallback) {
  const std::string* value = Find(options, name);
  if (value == nullptr) return fallback;
  double number = 0;
  if (!ParseWhole(Trim(*value), number)) Fail(name, *value, "a number");
  return number;
}

int64_t ParseDurationMs(const std::string& what, const std::string& text) {
  std::optional<int64_t> ms = ParseWithUnit(text, DurationUnits());
  if (!ms) Fail(what, text, "a duration such as '500 ms', '10 s', '1 min', '2 h' or '1 d'");
  return *ms;
}

int64_t ParseMemoryBytes(const std::string& what, const std::string& text) {
  std::optional<int64_t> bytes = ParseWithUnit(text, MemoryUnits());
  if (!bytes) Fail(what, text, "a size such as '512 kb', '64 mb' or '1 gb'");
  return *bytes;
}

int64_t GetDurationMs(const Options& options, const std::string& name, int64_t fallback_ms) {
  const std::string* value = Find(options, name);
  return value == nullptr ? fallback_ms : ParseDurationMs(name, *value);
}

int64_t GetMemoryBytes(const Options& options, const std::string& name, int64_t fallback_bytes) {
  const std::string* value = Find(options, name);
  return value == nullptr ? fallback_bytes : ParseMemoryBytes(name, *value);
}

std::string GetChoice(const Options& options, const std::string& name, const std::string& fallback,
                      const std::vector<std::string>& known) {
  const std::string* value = Find(options, name);
  if (value == nullptr) return fallback;
  std::string text = duckdb::StringUtil::Lower(Trim(*value));
  if (std::find(known.begin(), known.end(), text) != known.end()) return text;
  Throw(ErrorCode::kInvalid, "Option '{}' = '{}': one of {} is expected{}", name, *value,
        fmt::join(known, ", "), DidYouMean(text, known));
}

std::vector<std::string> GetList(const Options& options, const std::string& name) {
  std::vector<std::string> items;
  const std::string* value = Find(options, name);
  if (value == nullptr) return items;
  for (const std::string& item : duckdb::StringUtil::Split(*value, ',')) {
    if (std::string trimmed = Trim(item); !trimmed.empty()) items.push_back(std::move(trimmed));
  }
  return items;
}

}  // namespace millrace
