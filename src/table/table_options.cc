#include "table/table_options.h"

#include <charconv>

#include "base/error.h"
#include "duckdb/common/string_util.hpp"

namespace millrace {

namespace {

using duckdb::StringUtil;

std::string Trimmed(std::string text) {
  StringUtil::Trim(text);
  return text;
}

struct Unit {
  const char* name;
  int64_t factor;
};

constexpr Unit kByteUnits[] = {{"", 1},         {"b", 1},         {"bytes", 1},     {"k", 1 << 10},
                               {"kb", 1 << 10}, {"m", 1 << 20},   {"mb", 1 << 20},  {"g", 1 << 30},
                               {"gb", 1 << 30}, {"t", 1LL << 40}, {"tb", 1LL << 40}};
constexpr Unit kTimeUnits[] = {{"", 1},
                               {"ms", 1},
                               {"milli", 1},
                               {"millis", 1},
                               {"millisecond", 1},
                               {"milliseconds", 1},
                               {"s", 1000},
                               {"sec", 1000},
                               {"second", 1000},
                               {"seconds", 1000},
                               {"m", 60'000},
                               {"min", 60'000},
                               {"minute", 60'000},
                               {"minutes", 60'000},
                               {"h", 3'600'000},
                               {"hour", 3'600'000},
                               {"hours", 3'600'000},
                               {"d", 86'400'000},
                               {"day", 86'400'000},
                               {"days", 86'400'000}};

template <size_t N>
int64_t ParseWithUnit(const std::string& option, const std::string& text, const Unit (&units)[N],
                      const char* example) {
  std::string trimmed = Trimmed(text);
  int64_t number = 0;
  auto [end, error] = std::from_chars(trimmed.data(), trimmed.data() + trimmed.size(), number);
  std::string unit = error == std::errc() ? StringUtil::Lower(Trimmed(end)) : "?";
  for (const Unit& known : units) {
    if (unit == known.name && number >= 0 && number <= INT64_MAX / known.factor) {
      return number * known.factor;
    }
  }
  Throw(ErrorCode::kInvalid,
        "Option '{}' cannot be '{}': expected a number with a unit, such as '{}'.", option, text,
        example);
}

/// Reads single options out of the map, each with its Paimon default.
class OptionReader {
 public:
  explicit OptionReader(const Options& options) : options_(options) {}

  const std::string* Find(const std::string& name) const {
    auto found = options_.find(name);
    return found == options_.end() ? nullptr : &found->second;
  }
  std::string Text(const std::string& name, const std::string& fallback) const {
    const std::string* text = Find(name);
    return text ? StringUtil::Lower(Trimmed(*text)) : fallback;
  }
  bool Bool(const std::string& name, bool fallback) const {
    const std::string* text = Find(name);
    if (!text) return fallback;
    std::string lower = StringUtil::Lower(Trimmed(*text));
    if (lower == "true") return true;
    if (lower == "false") return false;
    Throw(ErrorCode::kInvalid, "Option '{}' cannot be '{}': expected 'true' or 'false'.", name,
          *text);
  }
  int64_t Number(const std::string& name, int64_t fallback, int64_t least) const {
    const std::string* text = Find(name);
    if (!text) return fallback;
    std::string trimmed = Trimmed(*text);
    int64_t number = 0;
    auto [end, error] = std::from_chars(trimmed.data(), trimmed.data() + trimmed.size(), number);
    if (error != std::errc() || *end != '\0' || number < least || number > INT32_MAX) {
      Throw(ErrorCode::kInvalid, "Option '{}' cannot be '{}': expected a whole number from {} on.",
            name, *text, least);
    }
    return number;
  }
  int64_t Bytes(const std::string& name, int64_t fallback) const {
    const std::string* text = Find(name);
    return text ? ParseWithUnit(name, *text, kByteUnits, "256 MB") : fallback;
  }
  int64_t Ms(const std::string& name, int64_t fallback) const {
    const std::string* text = Find(name);
    return text ? ParseWithUnit(name, *text, kTimeUnits, "1 h") : fallback;
  }

 private:
  const Options& options_;
};

int ParseStatsTruncate(const std::string& text) {
  if (text == "full") return -1;
  if (text.starts_with("truncate(") && text.ends_with(")")) {
    int length = 0;
    auto [end, error] = std::from_chars(text.data() + 9, text.data() + text.size() - 1, length);
    if (error == std::errc() && length > 0) return length;
  }
  return 16;  // 'none' and 'counts' ask for less than we write, which does no harm.
}

/// An option that changes a table's meaning when it has any other value than `harmless`.
struct Meaning {
  const char* name;
  const char* harmless;  // nullptr: being there is enough.
  const char* instead;
};

constexpr Meaning kMeanings[] = {
    {"type", "table", "only ordinary tables can be used"},
    {"file.format", "parquet", "use 'parquet'"},
    {"manifest.format", "avro", "use 'avro'"},
    {"bucket-function.type", "default", "use 'default'"},
    {"data-file.thin-mode", "false", "use 'false'"},
    {"data-file.path-directory", nullptr, "leave it out: data lies in the table's folder"},
    {"data-file.external-paths", nullptr, "leave it out: data lies in the table's folder"},
    {"deletion-vectors.enabled", "false", "leave it out: primary-key tables merge on read"},
    {"row-tracking.enabled", "false", "leave it out"},
    {"data-evolution.enabled", "false", "leave it out"},
    {"branch", "main", "only the main branch can be used"},
    {"record-level.expire-time", nullptr, "delete old rows with DELETE"},
};

constexpr Meaning kKeyMeanings[] = {
    {"merge-engine", "deduplicate",
     "use 'deduplicate', and compute the merged rows with a continuous query (GROUP BY)"},
    {"sequence.field", nullptr,
     "leave it out: rows of one key win in the order in which they are written"},
    {"sequence.field.sort-order", "ascending", "leave it out"},
    {"rowkind.field", nullptr, "leave it out: row kinds come with the change stream"},
    {"pk-clustering-override", "false", "leave it out"},
};

template <size_t N>
std::optional<std::string> FindMeaning(const Options& options, const Meaning (&meanings)[N]) {
  for (const Meaning& meaning : meanings) {
    auto found = options.find(meaning.name);
    if (found == options.end()) continue;
    if (meaning.harmless && StringUtil::Lower(Trimmed(found->second)) == meaning.harmless) continue;
    return fmt::format("option '{}' = '{}' is not supported yet; {}", meaning.name, found->second,
                       meaning.instead);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> FindUnsupported(const TableSchema& schema, const Options& options) {
  if (auto found = FindMeaning(options, kMeanings)) return found;
  OptionReader read(options);
  std::string bucket = read.Text("bucket", "-1");
  if (schema.primary_keys.empty()) {
    if (bucket == "-2") return "option 'bucket' = '-2' (postpone) needs a primary key; use '-1'";
    return std::nullopt;
  }
  if (auto found = FindMeaning(options, kKeyMeanings)) return found;
  std::string producer = read.Text("changelog-producer", "none");
  if (producer != "none" && producer != "input") {
    return fmt::format(
        "option 'changelog-producer' = '{}' is not supported yet; use 'input' if what is "
        "written is a complete change stream, else 'none'",
        producer);
  }
  if (bucket == "-1" || bucket == "-2") {
    return fmt::format(
        "option 'bucket' = '{}' ({}) is not supported yet for tables with a primary key; "
        "use a fixed number of buckets, such as '1'",
        bucket, bucket == "-1" ? "dynamic buckets, Paimon's default" : "postponed buckets");
  }
  return std::nullopt;
}

TableOptions ParseTableOptions(const TableSchema& schema, const Options& options) {
  OptionReader read(options);
  bool keyed = !schema.primary_keys.empty();
  TableOptions parsed;
  parsed.bucket = static_cast<int>(read.Number("bucket", -1, -2));
  if (parsed.bucket == 0) {
    Throw(ErrorCode::kInvalid,
          "Option 'bucket' cannot be '0': expected a number of buckets from 1 on.");
  }
  if (!keyed && parsed.bucket > 0 && schema.BucketKey().empty()) {
    Throw(ErrorCode::kInvalid,
          "A table without primary key and with 'bucket' = '{}' needs the option "
          "'bucket-key': the columns that choose the bucket.",
          parsed.bucket);
  }
  if (read.Text("changelog-producer", "none") == "input") {
    parsed.changelog_producer = ChangelogProducer::kInput;
  }
  parsed.write_only = read.Bool("write-only", false);
  parsed.ignore_delete = read.Bool("ignore-delete", false);
  parsed.ignore_update_before = read.Bool("ignore-update-before", false);
  parsed.write_buffer_bytes = read.Bytes("write-buffer-size", parsed.write_buffer_bytes);
  parsed.target_file_bytes = read.Bytes("target-file-size", (keyed ? 128LL : 256LL) << 20);
  parsed.stats_truncate = ParseStatsTruncate(read.Text("metadata.stats-mode", "truncate(16)"));
  parsed.parquet.compression = read.Text("file.compression", "zstd");
  parsed.parquet.zstd_level = static_cast<int>(read.Number("file.compression.zstd-level", 1, 1));
  CompactionOptions& compaction = parsed.compaction;
  compaction.trigger = static_cast<int>(read.Number("num-sorted-run.compaction-trigger", 5, 1));
  compaction.max_size_amplification_percent =
      static_cast<int>(read.Number("compaction.max-size-amplification-percent", 200, 0));
  compaction.size_ratio_percent = static_cast<int>(read.Number("compaction.size-ratio", 1, 0));
  if (read.Find("compaction.total-size-threshold")) {
    compaction.total_size_threshold = read.Bytes("compaction.total-size-threshold", 0);
  }
  if (read.Find("compaction.incremental-size-threshold")) {
    compaction.incremental_size_threshold = read.Bytes("compaction.incremental-size-threshold", 0);
  }
  parsed.level_count = static_cast<int>(read.Number("num-levels", compaction.trigger + 1, 2));
  parsed.manifest_target_bytes =
      read.Bytes("manifest.target-file-size", parsed.manifest_target_bytes);
  parsed.manifest_merge_min_count =
      static_cast<int>(read.Number("manifest.merge-min-count", 30, 1));
  parsed.manifest_full_bytes =
      read.Bytes("manifest.full-compaction-threshold-size", parsed.manifest_full_bytes);
  parsed.commit_max_retries = static_cast<int>(read.Number("commit.max-retries", 10, 0));
  parsed.commit_min_wait_ms = read.Ms("commit.min-retry-wait", parsed.commit_min_wait_ms);
  parsed.commit_max_wait_ms = read.Ms("commit.max-retry-wait", parsed.commit_max_wait_ms);
  parsed.snapshot_retained_min = read.Number("snapshot.num-retained.min", 10, 1);
  parsed.snapshot_retained_max = read.Number("snapshot.num-retained.max", 2147483647, 1);
  if (parsed.snapshot_retained_max < parsed.snapshot_retained_min) {
    Throw(ErrorCode::kInvalid,
          "Option 'snapshot.num-retained.max' cannot be '{}': "
          "'snapshot.num-retained.min' is {}.",
          parsed.snapshot_retained_max, parsed.snapshot_retained_min);
  }
  parsed.snapshot_retained_ms = read.Ms("snapshot.time-retained", parsed.snapshot_retained_ms);
  parsed.snapshot_expire_limit = read.Number("snapshot.expire.limit", 50, 1);
  parsed.split_target_bytes = read.Bytes("source.split.target-size", parsed.split_target_bytes);
  parsed.split_open_bytes = read.Bytes("source.split.open-file-cost", parsed.split_open_bytes);
  return parsed;
}

}  // namespace millrace
