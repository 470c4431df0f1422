#include "table/partition_time.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "duckdb/common/string_util.hpp"
#include "duckdb/common/types/timestamp.hpp"
#include "duckdb/function/scalar/strftime_format.hpp"
#include "meta/binary_row.h"
#include "meta/options.h"

namespace millrace {

namespace {

constexpr const char* kFormatter = "partition.timestamp-formatter";

/// What DuckDB calls a run of one of Java's letters; "" for letters that it cannot read.
std::string DuckSpecifier(char letter, size_t count) {
  switch (letter) {
    case 'y':
    case 'u':
      return count == 2 ? "%y" : "%Y";
    case 'M':
      return "%m";
    case 'd':
      return "%d";
    case 'H':
      return "%H";
    case 'm':
      return "%M";
    case 's':
      return "%S";
    case 'S':
      return count <= 3 ? "%g" : "%f";
    default:
      return "";
  }
}

/// yyyy-MM-dd HH:mm:ss -> %Y-%m-%d %H:%M:%S; text between quotes stands for itself.
std::string DuckFormat(const std::string& formatter) {
  std::string out;
  bool quoted = false;
  for (size_t i = 0; i < formatter.size();) {
    char letter = formatter[i];
    size_t end = std::min(formatter.find_first_not_of(letter, i), formatter.size());
    size_t count = end - i;
    i = end;
    if (letter == '\'') {
      quoted = quoted != (count % 2 == 1);
      out += std::string(count / 2, letter);
    } else if (quoted || !std::isalpha(static_cast<unsigned char>(letter))) {
      out += letter == '%' ? std::string(2 * count, '%') : std::string(count, letter);
    } else {
      std::string specifier = DuckSpecifier(letter, count);
      if (specifier.empty()) {
        Throw(ErrorCode::kInvalid,
              "Option '{}' = '{}': the letter {} is not supported; use y, M, d, H, m, s and S",
              kFormatter, formatter, letter);
      }
      out += specifier;
    }
  }
  return out;
}

std::optional<int64_t> ParseTime(const std::string& text, const std::string& formatter) {
  duckdb::timestamp_t time;
  if (formatter.empty()) {
    auto result = duckdb::Timestamp::TryConvertTimestamp(text.data(), text.size(), time, false,
                                                         nullptr, true);
    if (result != duckdb::TimestampCastResult::SUCCESS) return std::nullopt;
    return duckdb::Timestamp::GetEpochMs(time);
  }
  duckdb::StrpTimeFormat format;
  std::string specifier = DuckFormat(formatter);
  std::string problem = duckdb::StrTimeFormat::ParseFormatSpecifier(specifier, format);
  if (!problem.empty()) {
    Throw(ErrorCode::kInvalid, "Option '{}' = '{}': {}", kFormatter, formatter, problem);
  }
  format.format_specifier = specifier;
  string_t input(text.data(), static_cast<uint32_t>(text.size()));
  if (!format.TryParseTimestamp(input, time, problem)) return std::nullopt;
  return duckdb::Timestamp::GetEpochMs(time);
}

/// The values as texts; nullopt where NULL.
std::vector<std::optional<std::string>> TextsOf(const TableState& table,
                                                const RowBytes& partition) {
  std::vector<DataType> types = PartitionTypes(table.schema);
  std::vector<Value> values = DecodeRow(types, partition);
  std::vector<std::optional<std::string>> texts(values.size());
  for (idx_t i = 0; i < values.size(); i++) {
    if (!values[i].IsNull()) texts[i] = ValueText(types[i], values[i], false);
  }
  return texts;
}

}  // namespace

PartitionTimeFormat PartitionTimeFormatOf(const TableState& table) {
  return {GetString(table.options, "partition.timestamp-pattern", ""),
          GetString(table.options, kFormatter, "")};
}

std::optional<int64_t> PartitionTimeMs(const TableState& table, const RowBytes& partition,
                                       const PartitionTimeFormat& format) {
  const std::vector<std::string>& keys = table.schema.partition_keys;
  std::vector<std::optional<std::string>> texts = TextsOf(table, partition);
  if (std::any_of(texts.begin(), texts.end(), [](const auto& text) { return !text; })) {
    return std::nullopt;
  }
  if (format.pattern.empty()) return ParseTime(*texts[0], format.formatter);
  // Longer names first: $hours is not $hour followed by an s.
  std::vector<idx_t> order(keys.size());
  for (idx_t i = 0; i < order.size(); i++) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](idx_t a, idx_t b) { return keys[a].size() > keys[b].size(); });
  std::string text = format.pattern;
  for (idx_t i : order) text = duckdb::StringUtil::Replace(text, "$" + keys[i], *texts[i]);
  return ParseTime(text, format.formatter);
}

std::map<RowBytes, int64_t> LastUpdates(const TableState& table, const Snapshot& snapshot) {
  std::map<RowBytes, int64_t> updates;
  for (const ManifestEntry& entry : table.manifests.LiveEntries(snapshot)) {
    int64_t& newest = updates.try_emplace(entry.partition, 0).first->second;
    newest = std::max(newest, entry.file.creation_time_ms.value_or(0));
  }
  return updates;
}

std::string PartitionText(const TableState& table, const RowBytes& partition) {
  std::vector<std::optional<std::string>> texts = TextsOf(table, partition);
  std::vector<std::string> parts;
  for (idx_t i = 0; i < texts.size(); i++) {
    parts.push_back(table.schema.partition_keys[i] + "=" +
                    texts[i].value_or(GetString(table.options, "partition.default-name",
                                                "__DEFAULT_PARTITION__")));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace millrace
