#include "table/table_options.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "duckdb/common/string_util.hpp"
#include "meta/options.h"
#include "meta/stats_collector.h"
#include "table/file_index_options.h"
#include "table/merge_options.h"

namespace millrace {

namespace {

using duckdb::StringUtil;

std::string Trimmed(std::string text) {
  StringUtil::Trim(text);
  return text;
}

/// A whole number from `least` on.
int64_t Number(const Options& options, const std::string& name, int64_t fallback, int64_t least) {
  int64_t number = GetInt(options, name, fallback);
  if (number < least || number > INT32_MAX) {
    Throw(ErrorCode::kInvalid, "Option '{}' cannot be '{}': expected a whole number from {} on.",
          name, number, least);
  }
  return number;
}

std::string LowerText(const Options& options, const std::string& name,
                      const std::string& fallback) {
  return StringUtil::Lower(Trimmed(GetString(options, name, fallback)));
}

/// "0:lz4,1:zstd"
std::map<int, std::string> ParsePerLevel(const Options& options, const std::string& name) {
  std::map<int, std::string> levels;
  for (const std::string& item : GetList(options, name)) {
    int level = -1;
    size_t colon = item.find(':');
    if (colon != std::string::npos) {
      auto [end, error] = std::from_chars(item.data(), item.data() + colon, level);
      if (error != std::errc() || end != item.data() + colon) level = -1;
    }
    if (level < 0) {
      Throw(ErrorCode::kInvalid,
            "Option '{}' cannot be '{}': expected levels and what they use, such as "
            "'0:lz4,5:zstd'.",
            name, options.at(name));
    }
    levels[level] = StringUtil::Lower(Trimmed(item.substr(colon + 1)));
  }
  return levels;
}

/// Files below the top level are soon rewritten, and changelogs soon expire: where the table says
/// nothing, what costs least to write and read is worth more there than the last byte. So it is
/// with sequence numbers at all levels: each merge reads them, and they hardly shrink.
void CompressYoungFiles(const Options& options, TableOptions& parsed) {
  constexpr const char* young = "lz4";
  if (options.contains("file.compression") || options.contains("file.compression.per.level")) {
    return;
  }
  for (int level = 0; level + 1 < parsed.level_count; level++) {
    parsed.compression_of_level[level] = young;
  }
  if (parsed.changelog_compression.empty()) parsed.changelog_compression = young;
  parsed.parquet.sequence_compression = young;
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
    {"data-file.path-directory", nullptr, "leave it out: data lies in the table's folder"},
    {"data-file.external-paths", nullptr, "leave it out: data lies in the table's folder"},
    {"row-tracking.enabled", "false", "leave it out"},
    {"data-evolution.enabled", "false", "leave it out"},
    {"branch", "main", "only the main branch can be used"},
    {"record-level.expire-time", nullptr, "delete old rows with DELETE"},
};

constexpr Meaning kKeyMeanings[] = {
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

// The options that Millrace reads.
constexpr const char* kRead[] = {"aggregation.remove-record-on-delete",
                                 "bucket",
                                 "bucket-key",
                                 "changelog-file.compression",
                                 "changelog-file.prefix",
                                 "changelog-file.stats-mode",
                                 "changelog-producer",
                                 "changelog-producer.row-deduplicate",
                                 "changelog-producer.row-deduplicate-ignore-fields",
                                 "commit.max-retries",
                                 "commit.max-retry-wait",
                                 "commit.min-retry-wait",
                                 "compaction.delete-ratio-threshold",
                                 "compaction.file-num-limit",
                                 "compaction.incremental-size-threshold",
                                 "compaction.max-size-amplification-percent",
                                 "compaction.max.file-num",  // Of old: without a meaning.
                                 "compaction.min.file-num",
                                 "compaction.optimization-interval",
                                 "compaction.size-ratio",
                                 "compaction.small-file-ratio",
                                 "compaction.total-size-threshold",
                                 "data-file.prefix",
                                 "data-file.thin-mode",
                                 "deletion-vector.index-file.target-size",
                                 "deletion-vectors.bitmap64",
                                 "deletion-vectors.enabled",
                                 "dynamic-bucket.initial-buckets",
                                 "dynamic-bucket.max-buckets",
                                 "dynamic-bucket.target-row-num",
                                 "dynamic-partition-overwrite",
                                 "fields.default-aggregate-function",
                                 "file-index.in-manifest-threshold",
                                 "file-index.read.enabled",
                                 "file.compression",
                                 "file.compression.per.level",
                                 "file.compression.zstd-level",
                                 "file.format",
                                 "force-lookup",
                                 "full-compaction.delta-commits",
                                 "ignore-delete",
                                 "ignore-update-before",
                                 "index-file-in-data-file-dir",
                                 "log.system",
                                 "lookup-wait",
                                 "manifest.full-compaction-threshold-size",
                                 "manifest.merge-min-count",
                                 "manifest.target-file-size",
                                 "merge-engine",
                                 "millrace.old-values",
                                 "metadata.stats-mode",
                                 "num-levels",
                                 "num-sorted-run.compaction-trigger",
                                 "num-sorted-run.stop-trigger",
                                 "partial-update.remove-record-on-delete",
                                 "partial-update.remove-record-on-sequence-group",
                                 "rowkind.field",
                                 "consumer-id",
                                 "consumer.expiration-time",
                                 "consumer.ignore-progress",
                                 "consumer.mode",
                                 "incremental-between",
                                 "incremental-between-scan-mode",
                                 "incremental-between-tag-to-snapshot",
                                 "incremental-between-timestamp",
                                 "scan.bounded.watermark",
                                 "scan.creation-time-millis",
                                 "scan.file-creation-time-millis",
                                 "scan.mode",
                                 "overwrite-upgrade",
                                 "scan.snapshot-id",
                                 "scan.tag-name",
                                 "scan.timestamp",
                                 "scan.timestamp-millis",
                                 "scan.version",
                                 "scan.watermark",
                                 "sequence.field",
                                 "sequence.field.sort-order",
                                 "snapshot.expire.limit",
                                 "snapshot.num-retained.max",
                                 "snapshot.num-retained.min",
                                 "snapshot.time-retained",
                                 "source.split.open-file-cost",
                                 "source.split.target-size",
                                 "streaming-read-overwrite",
                                 "target-file-size",
                                 "write-buffer-size",
                                 "write-only"};

}  // namespace

void RefuseMisspelled(const std::string& what, const Options& options) {
  for (const auto& [key, value] : options) {
    if (std::find(std::begin(kRead), std::end(kRead), key) != std::end(kRead)) continue;
    for (const char* known : kRead) {
      if (StringUtil::LevenshteinDistance(key, known) > 2) continue;
      Throw(ErrorCode::kNotFound, "{}: there is no option '{}'; did you mean '{}'?", what, key,
            known);
    }
  }
}

namespace {

std::optional<std::string> FindUnsupportedDynamic(const TableSchema& schema) {
  for (const std::string& name : schema.partition_keys) {
    const auto& key = schema.primary_keys;
    if (std::find(key.begin(), key.end(), name) != key.end()) continue;
    return fmt::format(
        "its primary key lacks the partition column '{}', so a row may move between partitions, "
        "which dynamic buckets do not support yet; add the column to the key",
        name);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> FindUnsupported(const TableSchema& schema, const Options& options) {
  if (auto found = FindMeaning(options, kMeanings)) return found;
  std::string bucket = LowerText(options, "bucket", "-1");
  if (schema.primary_keys.empty()) {
    if (bucket == "-2") return "option 'bucket' = '-2' (postpone) needs a primary key; use '-1'";
    return std::nullopt;
  }
  if (auto found = FindMeaning(options, kKeyMeanings)) return found;
  if (auto found = FindUnsupportedAggregate(schema, options)) return found;
  if (LowerText(options, "log.system", "none") != "none") {
    std::string engine = LowerText(options, "merge-engine", "deduplicate");
    if (engine != "deduplicate" || options.contains("rowkind.field") ||
        options.contains("sequence.field")) {
      return "option 'log.system' needs merge engine 'deduplicate' without 'sequence.field' and "
             "'rowkind.field': the log holds rows as they are written";
    }
    std::string producer = LowerText(options, "changelog-producer", "none");
    if (producer != "none" && producer != "input") {
      return "option 'log.system' needs 'changelog-producer' = 'input' or 'none': the log holds "
             "rows as they are written";
    }
  }
  if (bucket == "-2") {
    return "option 'bucket' = '-2' (postponed buckets) is not supported yet; use '-1' (dynamic "
           "buckets) or a fixed number of buckets";
  }
  if (bucket == "-1") return FindUnsupportedDynamic(schema);
  return std::nullopt;
}

std::optional<std::string> FindUnwritable(const TableSchema& schema, const TableOptions& options) {
  if (!options.deletion_vectors || schema.primary_keys.empty()) return std::nullopt;
  if (options.merge.engine == MergeEngine::kFirstRow) {
    return "option 'deletion-vectors.enabled' = 'true' does not go with 'merge-engine' = "
           "'first-row', where no row is ever replaced; remove one of the two";
  }
  if (options.changelog_producer == ChangelogProducer::kFullCompaction) {
    return "option 'deletion-vectors.enabled' = 'true' of a table with a primary key does not go "
           "with 'changelog-producer' = 'full-compaction'; use 'lookup'";
  }
  return std::nullopt;
}

namespace {

void ParseDynamicBuckets(const Options& options, TableOptions& parsed) {
  parsed.dynamic_target_rows =
      Number(options, "dynamic-bucket.target-row-num", parsed.dynamic_target_rows, 1);
  constexpr int64_t kMost = 32767;
  int64_t most = Number(options, "dynamic-bucket.max-buckets", -1, -1);
  if (most == 0 || most > kMost) {
    Throw(ErrorCode::kInvalid,
          "Option 'dynamic-bucket.max-buckets' cannot be '{}': expected -1 or 1 to {}.", most,
          kMost);
  }
  parsed.dynamic_max_buckets = static_cast<int>(most);
  int64_t initial = Number(options, "dynamic-bucket.initial-buckets", 1, 1);
  parsed.dynamic_initial_buckets = static_cast<int>(std::min(initial, most == -1 ? kMost : most));
}

}  // namespace

namespace {

void ParseChangelog(const TableSchema& schema, const Options& options, TableOptions& parsed) {
  std::string producer = GetChoice(options, "changelog-producer", "none",
                                   {"none", "input", "lookup", "full-compaction"});
  parsed.changelog_producer = producer == "input"    ? ChangelogProducer::kInput
                              : producer == "lookup" ? ChangelogProducer::kLookup
                              : producer == "none"   ? ChangelogProducer::kNone
                                                     : ChangelogProducer::kFullCompaction;
  parsed.force_lookup = GetBool(options, "force-lookup", false);
  parsed.lookup_wait = GetBool(options, "changelog-producer.lookup-wait", true);
  parsed.lookup_wait = GetBool(options, "lookup-wait", parsed.lookup_wait);
  bool records_fully = parsed.changelog_producer == ChangelogProducer::kFullCompaction;
  parsed.full_compaction_commits =
      static_cast<int>(Number(options, "full-compaction.delta-commits", records_fully ? 1 : 0, 0));
  if (records_fully) parsed.full_compaction_commits = std::max(parsed.full_compaction_commits, 1);
  parsed.changelog_row_deduplicate = GetBool(options, "changelog-producer.row-deduplicate", false);
  constexpr const char* kIgnored = "changelog-producer.row-deduplicate-ignore-fields";
  std::vector<std::string> ignored = GetList(options, kIgnored);
  for (idx_t i = 0; i < schema.fields.size(); i++) {
    if (std::erase(ignored, schema.fields[i].name) == 0) parsed.changelog_compared.push_back(i);
  }
  if (!ignored.empty()) {
    Throw(ErrorCode::kInvalid, "Option '{}' names column '{}', which the table has not.", kIgnored,
          ignored[0]);
  }
}

/// A share between 0 and 1.
double Share(const Options& options, const std::string& name, double fallback) {
  double share = GetDouble(options, name, fallback);
  if (share >= 0 && share <= 1) return share;
  Throw(ErrorCode::kInvalid, "Option '{}' cannot be '{}': expected a share from 0 to 1.", name,
        options.at(name));
}

/// REQUIRES: target_file_bytes is set.
void ParseAppendCompaction(const Options& options, TableOptions& parsed) {
  parsed.append_min_files = static_cast<int>(Number(options, "compaction.min.file-num", 5, 1));
  parsed.append_min_files = std::max(parsed.append_min_files, 2);  // One alone gains nothing.
  parsed.append_file_limit = Number(options, "compaction.file-num-limit", 100'000, 1);
  parsed.append_delete_ratio = Share(options, "compaction.delete-ratio-threshold", 0.2);
  parsed.append_small_bytes =
      static_cast<int64_t>(static_cast<double>(parsed.target_file_bytes) *
                           Share(options, "compaction.small-file-ratio", 0.7));
}

}  // namespace

TableOptions ParseTableOptions(const TableSchema& schema, const Options& options) {
  bool keyed = !schema.primary_keys.empty();
  TableOptions parsed;
  parsed.bucket = static_cast<int>(Number(options, "bucket", -1, -2));
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
  if (keyed) ParseChangelog(schema, options, parsed);
  parsed.write_only = GetBool(options, "write-only", false);
  if (keyed) {
    parsed.merge = ParseMergeSpec(schema, options);
    parsed.sequence_fields = ParseSequenceFields(schema, options);
    parsed.sequence_descending = GetChoice(options, "sequence.field.sort-order", "ascending",
                                           {"ascending", "descending"}) == "descending";
    parsed.rowkind_field = ParseRowKindField(schema, options);
  }
  parsed.ignore_update_before = GetBool(options, "ignore-update-before", false);
  parsed.streaming_read_overwrite = GetBool(options, "streaming-read-overwrite", false);
  parsed.overwrite_upgrade = GetBool(options, "overwrite-upgrade", true);
  parsed.write_buffer_bytes =
      GetMemoryBytes(options, "write-buffer-size", parsed.write_buffer_bytes);
  parsed.target_file_bytes =
      GetMemoryBytes(options, "target-file-size", (keyed ? 128LL : 256LL) << 20);
  (void)StatsModes(schema);  // Throws when one is no mode.
  parsed.data_prefix = GetString(options, "data-file.prefix", parsed.data_prefix);
  parsed.thin_files = GetBool(options, "data-file.thin-mode", false);
  parsed.changelog_prefix = GetString(options, "changelog-file.prefix", parsed.changelog_prefix);
  parsed.compression_of_level = ParsePerLevel(options, "file.compression.per.level");
  parsed.changelog_compression = LowerText(options, "changelog-file.compression", "");
  parsed.parquet.compression = LowerText(options, "file.compression", "zstd");
  parsed.parquet.zstd_level =
      static_cast<int>(Number(options, "file.compression.zstd-level", 1, 1));
  CompactionOptions& compaction = parsed.compaction;
  compaction.trigger = static_cast<int>(Number(options, "num-sorted-run.compaction-trigger", 5, 1));
  compaction.max_size_amplification_percent =
      static_cast<int>(Number(options, "compaction.max-size-amplification-percent", 200, 0));
  compaction.size_ratio_percent =
      static_cast<int>(Number(options, "compaction.size-ratio", 1, -100));
  if (options.contains("compaction.total-size-threshold")) {
    compaction.total_size_threshold = GetMemoryBytes(options, "compaction.total-size-threshold", 0);
  }
  if (options.contains("compaction.incremental-size-threshold")) {
    compaction.incremental_size_threshold =
        GetMemoryBytes(options, "compaction.incremental-size-threshold", 0);
  }
  parsed.stop_trigger =
      static_cast<int>(Number(options, "num-sorted-run.stop-trigger", compaction.trigger + 3, 1));
  parsed.stop_trigger = std::max(parsed.stop_trigger, compaction.trigger);
  if (options.contains("compaction.optimization-interval")) {
    parsed.compaction_interval_ms = GetDurationMs(options, "compaction.optimization-interval", 0);
  }
  parsed.level_count = static_cast<int>(Number(options, "num-levels", compaction.trigger + 1, 2));
  if (keyed) CompressYoungFiles(options, parsed);
  ParseAppendCompaction(options, parsed);
  parsed.manifest_target_bytes =
      GetMemoryBytes(options, "manifest.target-file-size", parsed.manifest_target_bytes);
  parsed.manifest_merge_min_count =
      static_cast<int>(Number(options, "manifest.merge-min-count", 30, 1));
  parsed.manifest_full_bytes = GetMemoryBytes(options, "manifest.full-compaction-threshold-size",
                                              parsed.manifest_full_bytes);
  ParseDynamicBuckets(options, parsed);
  parsed.file_indexes = ParseFileIndexes(schema, options);
  parsed.file_index_in_manifest_bytes = GetMemoryBytes(options, "file-index.in-manifest-threshold",
                                                       parsed.file_index_in_manifest_bytes);
  parsed.file_index_read = GetBool(options, "file-index.read.enabled", true);
  parsed.deletion_vectors = GetBool(options, "deletion-vectors.enabled", false);
  parsed.deletion_vectors_64 = GetBool(options, "deletion-vectors.bitmap64", false);
  parsed.deletion_vector_bytes = GetMemoryBytes(options, "deletion-vector.index-file.target-size",
                                                parsed.deletion_vector_bytes);
  parsed.index_in_data_folder = GetBool(options, "index-file-in-data-file-dir", false);
  parsed.commit_max_retries = static_cast<int>(Number(options, "commit.max-retries", 10, 0));
  parsed.commit_min_wait_ms =
      GetDurationMs(options, "commit.min-retry-wait", parsed.commit_min_wait_ms);
  parsed.commit_max_wait_ms =
      GetDurationMs(options, "commit.max-retry-wait", parsed.commit_max_wait_ms);
  parsed.snapshot_retained_min = Number(options, "snapshot.num-retained.min", 10, 1);
  parsed.snapshot_retained_max = Number(options, "snapshot.num-retained.max", 2147483647, 1);
  if (parsed.snapshot_retained_max < parsed.snapshot_retained_min) {
    Throw(ErrorCode::kInvalid,
          "Option 'snapshot.num-retained.max' cannot be '{}': "
          "'snapshot.num-retained.min' is {}.",
          parsed.snapshot_retained_max, parsed.snapshot_retained_min);
  }
  parsed.snapshot_retained_ms =
      GetDurationMs(options, "snapshot.time-retained", parsed.snapshot_retained_ms);
  parsed.snapshot_expire_limit = Number(options, "snapshot.expire.limit", 50, 1);
  parsed.split_target_bytes =
      GetMemoryBytes(options, "source.split.target-size", parsed.split_target_bytes);
  parsed.split_open_bytes =
      GetMemoryBytes(options, "source.split.open-file-cost", parsed.split_open_bytes);
  return parsed;
}

}  // namespace millrace
