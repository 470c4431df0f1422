// committable.cc - Committable as text for checkpoints. Serialized rows travel as hexadecimal.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "table/file_sync.h"

namespace millrace {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 2;  // 1: without index files.

std::string ToHex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (unsigned char byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

int HexDigit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  Throw(ErrorCode::kCorrupt, "Cannot read a prepared commit: '{}' is no hexadecimal digit.", digit);
}

std::string FromHex(const std::string& text) {
  std::string bytes(text.size() / 2, '\0');
  for (size_t i = 0; i < bytes.size(); i++) {
    bytes[i] = static_cast<char>(HexDigit(text[2 * i]) << 4 | HexDigit(text[2 * i + 1]));
  }
  return bytes;
}

Json StatsToJson(const SimpleStats& stats) {
  Json nulls = Json::array();
  for (const auto& count : stats.null_counts) nulls.push_back(count ? Json(*count) : Json());
  return {{"min", ToHex(stats.min_values)}, {"max", ToHex(stats.max_values)}, {"nulls", nulls}};
}

SimpleStats StatsFromJson(const Json& json) {
  SimpleStats stats{FromHex(json.at("min")), FromHex(json.at("max")), {}};
  for (const Json& count : json.at("nulls")) {
    stats.null_counts.push_back(count.is_null() ? std::nullopt
                                                : std::optional(count.get<int64_t>()));
  }
  return stats;
}

template <typename T>
void PutOptional(Json& json, const char* name, const std::optional<T>& value) {
  if (value) json[name] = *value;
}

template <typename T>
void GetOptional(const Json& json, const char* name, std::optional<T>& value) {
  auto found = json.find(name);
  if (found != json.end()) value = found->get<T>();
}

Json FileToJson(const DataFileMeta& file) {
  Json json = {{"name", file.file_name},
               {"size", file.file_size},
               {"rows", file.row_count},
               {"minKey", ToHex(file.min_key)},
               {"maxKey", ToHex(file.max_key)},
               {"keyStats", StatsToJson(file.key_stats)},
               {"valueStats", StatsToJson(file.value_stats)},
               {"minSequence", file.min_sequence_number},
               {"maxSequence", file.max_sequence_number},
               {"schemaId", file.schema_id},
               {"level", file.level},
               {"extraFiles", file.extra_files}};
  PutOptional(json, "created", file.creation_time_ms);
  PutOptional(json, "deletes", file.delete_row_count);
  if (file.embedded_index) json["index"] = ToHex(*file.embedded_index);
  if (file.file_source) json["source"] = static_cast<int>(*file.file_source);
  PutOptional(json, "statsColumns", file.value_stats_columns);
  PutOptional(json, "externalPath", file.external_path);
  PutOptional(json, "firstRowId", file.first_row_id);
  PutOptional(json, "writeColumns", file.write_columns);
  return json;
}

DataFileMeta FileFromJson(const Json& json) {
  DataFileMeta file;
  json.at("name").get_to(file.file_name);
  json.at("size").get_to(file.file_size);
  json.at("rows").get_to(file.row_count);
  file.min_key = FromHex(json.at("minKey"));
  file.max_key = FromHex(json.at("maxKey"));
  file.key_stats = StatsFromJson(json.at("keyStats"));
  file.value_stats = StatsFromJson(json.at("valueStats"));
  json.at("minSequence").get_to(file.min_sequence_number);
  json.at("maxSequence").get_to(file.max_sequence_number);
  json.at("schemaId").get_to(file.schema_id);
  json.at("level").get_to(file.level);
  json.at("extraFiles").get_to(file.extra_files);
  GetOptional(json, "created", file.creation_time_ms);
  GetOptional(json, "deletes", file.delete_row_count);
  if (json.contains("index")) file.embedded_index = FromHex(json.at("index"));
  if (json.contains("source"))
    file.file_source = static_cast<FileSource>(json.at("source").get<int>());
  GetOptional(json, "statsColumns", file.value_stats_columns);
  GetOptional(json, "externalPath", file.external_path);
  GetOptional(json, "firstRowId", file.first_row_id);
  GetOptional(json, "writeColumns", file.write_columns);
  return file;
}

Json FilesToJson(const std::vector<DataFileMeta>& files) {
  Json json = Json::array();
  for (const DataFileMeta& file : files) json.push_back(FileToJson(file));
  return json;
}

std::vector<DataFileMeta> FilesFromJson(const Json& json) {
  std::vector<DataFileMeta> files;
  for (const Json& file : json) files.push_back(FileFromJson(file));
  return files;
}

Json IndexToJson(const IndexManifestEntry& entry) {
  Json json = {{"kind", static_cast<int>(entry.kind)},
               {"type", entry.index_type},
               {"name", entry.file_name},
               {"size", entry.file_size},
               {"rows", entry.row_count}};
  if (entry.deletion_vectors) {
    Json ranges = Json::array();
    for (const DeletionVectorRange& range : *entry.deletion_vectors) {
      Json item = {{"file", range.data_file}, {"offset", range.offset}, {"length", range.length}};
      PutOptional(item, "cardinality", range.cardinality);
      ranges.push_back(std::move(item));
    }
    json["vectors"] = std::move(ranges);
  }
  PutOptional(json, "externalPath", entry.external_path);
  return json;
}

IndexManifestEntry IndexFromJson(const Json& json, const BucketChange& bucket) {
  IndexManifestEntry entry;
  int kind = json.at("kind").get<int>();
  if (kind != 0 && kind != 1) {
    Throw(ErrorCode::kCorrupt, "Cannot read a prepared commit: an index file has the kind {}.",
          kind);
  }
  entry.kind = static_cast<FileKind>(kind);
  entry.partition = bucket.partition;
  entry.bucket = bucket.bucket;
  json.at("type").get_to(entry.index_type);
  json.at("name").get_to(entry.file_name);
  json.at("size").get_to(entry.file_size);
  json.at("rows").get_to(entry.row_count);
  if (json.contains("vectors")) {
    entry.deletion_vectors.emplace();
    for (const Json& item : json.at("vectors")) {
      DeletionVectorRange& range = entry.deletion_vectors->emplace_back();
      item.at("file").get_to(range.data_file);
      item.at("offset").get_to(range.offset);
      item.at("length").get_to(range.length);
      GetOptional(item, "cardinality", range.cardinality);
    }
  }
  GetOptional(json, "externalPath", entry.external_path);
  return entry;
}

/// Left out when empty: most tables have no index files.
void PutIndexChanges(Json& json, const char* name, const std::vector<IndexManifestEntry>& entries) {
  if (entries.empty()) return;
  Json changes = Json::array();
  for (const IndexManifestEntry& entry : entries) changes.push_back(IndexToJson(entry));
  json[name] = std::move(changes);
}

void GetIndexChanges(const Json& json, const char* name, const BucketChange& bucket,
                     std::vector<IndexManifestEntry>& entries) {
  if (!json.contains(name)) return;
  for (const Json& entry : json.at(name)) entries.push_back(IndexFromJson(entry, bucket));
}

BucketChange BucketFromJson(const Json& json) {
  BucketChange bucket;
  bucket.partition = FromHex(json.at("partition"));
  json.at("bucket").get_to(bucket.bucket);
  json.at("totalBuckets").get_to(bucket.total_buckets);
  bucket.new_files = FilesFromJson(json.at("newFiles"));
  bucket.changelog_files = FilesFromJson(json.at("changelogFiles"));
  bucket.compact_before = FilesFromJson(json.at("compactBefore"));
  bucket.compact_after = FilesFromJson(json.at("compactAfter"));
  if (json.contains("compactChangelog")) {
    bucket.compact_changelog_files = FilesFromJson(json.at("compactChangelog"));
  }
  GetIndexChanges(json, "index", bucket, bucket.index_changes);
  GetIndexChanges(json, "compactIndex", bucket, bucket.compact_index_changes);
  if (json.contains("hashBase")) json.at("hashBase").get_to(bucket.hash_index_base);
  if (json.contains("vectorBase")) json.at("vectorBase").get_to(bucket.vector_base);
  if (json.contains("deletedFiles")) bucket.deleted_files = FilesFromJson(json.at("deletedFiles"));
  return bucket;
}

Json BucketToJson(const BucketChange& bucket) {
  Json json = {{"partition", ToHex(bucket.partition)},
               {"bucket", bucket.bucket},
               {"totalBuckets", bucket.total_buckets},
               {"newFiles", FilesToJson(bucket.new_files)},
               {"changelogFiles", FilesToJson(bucket.changelog_files)},
               {"compactBefore", FilesToJson(bucket.compact_before)},
               {"compactAfter", FilesToJson(bucket.compact_after)}};
  if (!bucket.compact_changelog_files.empty()) {
    json["compactChangelog"] = FilesToJson(bucket.compact_changelog_files);
  }
  PutIndexChanges(json, "index", bucket.index_changes);
  PutIndexChanges(json, "compactIndex", bucket.compact_index_changes);
  if (!bucket.hash_index_base.empty()) json["hashBase"] = bucket.hash_index_base;
  if (!bucket.vector_base.empty()) json["vectorBase"] = bucket.vector_base;
  if (!bucket.deleted_files.empty()) json["deletedFiles"] = FilesToJson(bucket.deleted_files);
  return json;
}

Json ScopeToJson(const OverwriteScope& scope) {
  Json partitions = Json::array();
  for (const PartitionSpec& spec : scope.partitions) {
    partitions.push_back({{"columns", spec.columns}, {"values", ToHex(spec.values)}});
  }
  return {{"dynamic", scope.dynamic}, {"partitions", partitions}};
}

OverwriteScope ScopeFromJson(const Json& json) {
  OverwriteScope scope;
  json.at("dynamic").get_to(scope.dynamic);
  for (const Json& spec : json.at("partitions")) {
    scope.partitions.push_back(
        {spec.at("columns").get<std::vector<std::string>>(), FromHex(spec.at("values"))});
  }
  return scope;
}

Committable Parse(const Json& json) {
  int version = json.at("version").get<int>();
  if (version < 1 || version > kVersion) {
    Throw(ErrorCode::kUnsupported,
          "Cannot read a prepared commit of version {}: this program knows 1 to {}. "
          "Finish the job with the version that wrote the checkpoint.",
          version, kVersion);
  }
  Committable committable;
  for (const Json& bucket : json.at("buckets")) {
    committable.buckets.push_back(BucketFromJson(bucket));
  }
  for (const auto& [bucket, offset] : json.at("logOffsets").items()) {
    committable.log_offsets[std::stoi(bucket)] = offset.get<int64_t>();
  }
  GetOptional(json, "watermark", committable.watermark);
  json.at("properties").get_to(committable.properties);
  if (json.contains("overwrite")) committable.overwrite = ScopeFromJson(json.at("overwrite"));
  GetOptional(json, "readSnapshot", committable.read_snapshot);
  committable.sync = std::make_shared<FileSync>();
  return committable;
}

}  // namespace

bool Committable::Empty() const {
  for (const BucketChange& bucket : buckets) {
    if (!bucket.Empty()) {
      return false;
    }
  }
  return log_offsets.empty() && !watermark && (!overwrite || overwrite->dynamic);
}

std::string Committable::ToJson() const {
  bool has_files = std::any_of(buckets.begin(), buckets.end(), [](const BucketChange& bucket) {
    return !bucket.new_files.empty() || !bucket.changelog_files.empty() ||
           !bucket.compact_after.empty() || !bucket.compact_changelog_files.empty();
  });
  MILLRACE_CHECK(sync || !has_files);
  if (sync) sync->Wait();
  Json json = {{"version", kVersion}, {"buckets", Json::array()}};
  for (const BucketChange& bucket : buckets) json["buckets"].push_back(BucketToJson(bucket));
  json["logOffsets"] = Json::object();
  for (const auto& [bucket, offset] : log_offsets)
    json["logOffsets"][std::to_string(bucket)] = offset;
  PutOptional(json, "watermark", watermark);
  json["properties"] = properties;
  if (overwrite) json["overwrite"] = ScopeToJson(*overwrite);
  PutOptional(json, "readSnapshot", read_snapshot);
  return json.dump();
}

Committable Committable::FromJson(std::string_view json) {
  try {
    return Parse(Json::parse(json));
  } catch (const nlohmann::json::exception& error) {
    Throw(ErrorCode::kCorrupt, "Cannot read a prepared commit: {}", error.what());
  } catch (const std::logic_error& error) {  // std::stoi
    Throw(ErrorCode::kCorrupt, "Cannot read a prepared commit: a log bucket is no number ({}).",
          error.what());
  }
}

}  // namespace millrace
