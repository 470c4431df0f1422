// snapshot_json.cc - snapshot files, fields in Paimon's order; logOffsets last (gone since 1.4, and
// readers ignore fields they do not know).
#include <charconv>

#include "base/error.h"
#include "meta/json_fields.h"
#include "meta/snapshot.h"

namespace millrace {

namespace {

constexpr int64_t kVersion = 3;
constexpr const char* kKindNames[] = {"APPEND", "COMPACT", "OVERWRITE", "ANALYZE"};

template <typename T>
void PutOptional(nlohmann::ordered_json& json, const char* name, const std::optional<T>& value) {
  if (value) json[name] = *value;
}

CommitKind KindFromName(const JsonFields& fields) {
  std::string name = fields.String("commitKind");
  for (size_t i = 0; i < std::size(kKindNames); i++) {
    if (name == kKindNames[i]) return static_cast<CommitKind>(i);
  }
  fields.Fail("commitKind", fmt::format("'{}' is unknown", name));
}

std::map<int, int64_t> LogOffsets(const JsonFields& fields) {
  std::map<int, int64_t> offsets;
  const nlohmann::json* object = fields.Find("logOffsets");
  if (object == nullptr) return offsets;
  if (!object->is_object()) fields.Fail("logOffsets", "an object is expected");
  JsonFields members(*object, fields.file(), "logOffsets.");
  for (const auto& [key, value] : object->items()) {
    int bucket = 0;
    auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), bucket);
    if (error != std::errc() || end != key.data() + key.size()) {
      fields.Fail("logOffsets", fmt::format("'{}' is no bucket number", key));
    }
    offsets[bucket] = members.Long(key.c_str());
  }
  return offsets;
}

}  // namespace

std::string SnapshotToJson(const Snapshot& snapshot) {
  nlohmann::ordered_json json;
  json["version"] = kVersion;
  json["id"] = snapshot.id;
  json["schemaId"] = snapshot.schema_id;
  json["baseManifestList"] = snapshot.base_manifest_list;
  PutOptional(json, "baseManifestListSize", snapshot.base_manifest_list_size);
  json["deltaManifestList"] = snapshot.delta_manifest_list;
  PutOptional(json, "deltaManifestListSize", snapshot.delta_manifest_list_size);
  PutOptional(json, "changelogManifestList", snapshot.changelog_manifest_list);
  PutOptional(json, "changelogManifestListSize", snapshot.changelog_manifest_list_size);
  PutOptional(json, "indexManifest", snapshot.index_manifest);
  json["commitUser"] = snapshot.commit_user;
  json["commitIdentifier"] = snapshot.commit_identifier;
  json["commitKind"] = kKindNames[static_cast<size_t>(snapshot.commit_kind)];
  json["timeMillis"] = snapshot.time_ms;
  json["totalRecordCount"] = snapshot.total_record_count;
  json["deltaRecordCount"] = snapshot.delta_record_count;
  PutOptional(json, "changelogRecordCount", snapshot.changelog_record_count);
  PutOptional(json, "watermark", snapshot.watermark);
  PutOptional(json, "statistics", snapshot.statistics);
  if (!snapshot.properties.empty()) json["properties"] = snapshot.properties;
  PutOptional(json, "nextRowId", snapshot.next_row_id);
  for (const auto& [bucket, offset] : snapshot.log_offsets) {
    json["logOffsets"][std::to_string(bucket)] = offset;
  }
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

Snapshot SnapshotFromJson(std::string_view json, const std::string& file) {
  JsonFields fields(json, file);
  int64_t version = fields.OptionalLong("version").value_or(kVersion);
  if (version > kVersion) {
    Throw(ErrorCode::kUnsupported,
          "Reading '{}': snapshot version {} is newer than {}, the last one known", file, version,
          kVersion);
  }
  Snapshot snapshot;
  snapshot.id = fields.Long("id");
  snapshot.schema_id = fields.Long("schemaId");
  snapshot.base_manifest_list = fields.String("baseManifestList");
  snapshot.base_manifest_list_size = fields.OptionalLong("baseManifestListSize");
  snapshot.delta_manifest_list = fields.String("deltaManifestList");
  snapshot.delta_manifest_list_size = fields.OptionalLong("deltaManifestListSize");
  snapshot.changelog_manifest_list = fields.OptionalString("changelogManifestList");
  snapshot.changelog_manifest_list_size = fields.OptionalLong("changelogManifestListSize");
  snapshot.index_manifest = fields.OptionalString("indexManifest");
  snapshot.commit_user = fields.String("commitUser");
  snapshot.commit_identifier = fields.Long("commitIdentifier");
  snapshot.commit_kind = KindFromName(fields);
  snapshot.time_ms = fields.Long("timeMillis");
  // Null in snapshots of the first versions.
  snapshot.total_record_count = fields.OptionalLong("totalRecordCount").value_or(0);
  snapshot.delta_record_count = fields.OptionalLong("deltaRecordCount").value_or(0);
  snapshot.changelog_record_count = fields.OptionalLong("changelogRecordCount");
  snapshot.watermark = fields.OptionalLong("watermark");
  snapshot.statistics = fields.OptionalString("statistics");
  snapshot.properties = fields.StringMap("properties");
  snapshot.next_row_id = fields.OptionalLong("nextRowId");
  snapshot.log_offsets = LogOffsets(fields);
  return snapshot;
}

}  // namespace millrace
