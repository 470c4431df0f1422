// manifest.h - manifest lists and manifests: which data files a snapshot has. Avro on disk:
// docs/format.md#manifests (ManifestEntry.java, ManifestFileMeta.java, DataFileMeta.java).
#pragma once

#include "base/duck.h"

namespace millrace {

/// A serialized BinaryRow with its 4-byte arity in front, as metadata stores rows.
using RowBytes = std::string;

/// SimpleStats.java: min and max per column and null counts (nullopt = unknown).
struct SimpleStats {
  RowBytes min_values;
  RowBytes max_values;
  std::vector<std::optional<int64_t>> null_counts;
  bool operator==(const SimpleStats&) const = default;
};

enum class FileSource : uint8_t { kAppend = 0, kCompact = 1 };

struct DataFileMeta {
  std::string file_name;
  int64_t file_size = 0;  // Bytes, exact.
  int64_t row_count = 0;
  RowBytes min_key;
  RowBytes max_key;
  SimpleStats key_stats;
  SimpleStats value_stats;
  int64_t min_sequence_number = 0;
  int64_t max_sequence_number = 0;
  int64_t schema_id = 0;
  int level = 0;
  std::vector<std::string> extra_files;
  std::optional<int64_t> creation_time_ms;  // Local wall clock encoded as if UTC.
  std::optional<int64_t> delete_row_count;
  std::optional<std::string> embedded_index;
  std::optional<FileSource> file_source;
  std::optional<std::vector<std::string>> value_stats_columns;
  std::optional<std::string> external_path;
  std::optional<int64_t> first_row_id;
  std::optional<std::vector<std::string>> write_columns;
  bool operator==(const DataFileMeta&) const = default;
};

enum class FileKind : uint8_t { kAdd = 0, kDelete = 1 };

struct ManifestEntry {
  FileKind kind = FileKind::kAdd;
  RowBytes partition;
  int bucket = 0;
  int total_buckets = 0;
  DataFileMeta file;
  bool operator==(const ManifestEntry&) const = default;
};

/// One line of a manifest list.
struct ManifestFileMeta {
  std::string file_name;
  int64_t file_size = 0;
  int64_t added_files = 0;
  int64_t deleted_files = 0;
  SimpleStats partition_stats;
  int64_t schema_id = 0;
  std::optional<int> min_bucket, max_bucket, min_level, max_level;
  std::optional<int64_t> min_row_id, max_row_id;
  bool operator==(const ManifestFileMeta&) const = default;
};

/// Whole Avro files (zstandard blocks). The From functions throw Error(kCorrupt) naming `file`;
/// they match fields by name, take missing optional fields and ignore unknown ones.
std::string ManifestToAvro(const std::vector<ManifestEntry>& entries);
std::vector<ManifestEntry> ManifestFromAvro(std::string_view bytes, const std::string& file);
std::string ManifestListToAvro(const std::vector<ManifestFileMeta>& manifests);
std::vector<ManifestFileMeta> ManifestListFromAvro(std::string_view bytes, const std::string& file);

/// Live entries: ADD inserts by identifier (partition, bucket, level, name ...), DELETE removes
/// (FileEntry.java). A DELETE of an absent file stays in the result.
/// Throws: Error(kCorrupt) when a file is added twice.
std::vector<ManifestEntry> MergeManifestEntries(std::vector<ManifestEntry> entries);
/// The identifier as one string.
std::string FileIdentifier(const ManifestEntry& entry);

}  // namespace millrace
