// manifest_avro.cc - manifests and manifest lists as Avro rows.
//
// The schemas below are, byte for byte, what Paimon writes (ManifestEntrySerializer,
// ManifestFileMetaSerializer, version 2). Reading goes by the schema in the file and by field name:
// older files lack fields, newer ones have more, and a field may be a union or not.
#include "meta/manifest.h"

#include "meta/avro_rows.h"

namespace millrace {

namespace {

constexpr int kVersion = 2;

std::string StatsRecord(const char* name) {
  return Record(name, "",
                {Field("_MIN_VALUES", kBytes), Field("_MAX_VALUES", kBytes),
                 NullableField("_NULL_COUNTS", kCounts)});
}

const std::string& ManifestListSchema() {
  static const std::string schema =
      Record("record", kNamespace,
             {Field("_VERSION", kInt), Field("_FILE_NAME", kString), Field("_FILE_SIZE", kLong),
              Field("_NUM_ADDED_FILES", kLong), Field("_NUM_DELETED_FILES", kLong),
              Field("_PARTITION_STATS", StatsRecord("record__PARTITION_STATS")),
              Field("_SCHEMA_ID", kLong), NullableField("_MIN_BUCKET", kInt),
              NullableField("_MAX_BUCKET", kInt), NullableField("_MIN_LEVEL", kInt),
              NullableField("_MAX_LEVEL", kInt), NullableField("_MIN_ROW_ID", kLong),
              NullableField("_MAX_ROW_ID", kLong)});
  return schema;
}

std::string FileRecord() {
  return Record("record__FILE", "",
                {Field("_FILE_NAME", kString),
                 Field("_FILE_SIZE", kLong),
                 Field("_ROW_COUNT", kLong),
                 Field("_MIN_KEY", kBytes),
                 Field("_MAX_KEY", kBytes),
                 Field("_KEY_STATS", StatsRecord("record__FILE__KEY_STATS")),
                 Field("_VALUE_STATS", StatsRecord("record__FILE__VALUE_STATS")),
                 Field("_MIN_SEQUENCE_NUMBER", kLong),
                 Field("_MAX_SEQUENCE_NUMBER", kLong),
                 Field("_SCHEMA_ID", kLong),
                 Field("_LEVEL", kInt),
                 Field("_EXTRA_FILES", kStrings),
                 NullableField("_CREATION_TIME", kMillis),
                 NullableField("_DELETE_ROW_COUNT", kLong),
                 NullableField("_EMBEDDED_FILE_INDEX", kBytes),
                 NullableField("_FILE_SOURCE", kInt),
                 NullableField("_VALUE_STATS_COLS", kStrings),
                 NullableField("_EXTERNAL_PATH", kString),
                 NullableField("_FIRST_ROW_ID", kLong),
                 NullableField("_WRITE_COLS", kStrings)});
}

const std::string& ManifestSchema() {
  static const std::string schema =
      Record("record", kNamespace,
             {Field("_VERSION", kInt), Field("_KIND", kInt), Field("_PARTITION", kBytes),
              Field("_BUCKET", kInt), Field("_TOTAL_BUCKETS", kInt), Field("_FILE", FileRecord())});
  return schema;
}

// ---- Writing -------------------------------------------------------------------------------

std::optional<int64_t> Widen(const std::optional<int>& value) {
  return value ? std::optional<int64_t>(*value) : std::nullopt;
}

void AppendStats(std::string& out, const SimpleStats& stats) {
  AppendAvroBytes(out, stats.min_values);
  AppendAvroBytes(out, stats.max_values);
  AppendAvroLong(out, 1);
  if (!stats.null_counts.empty()) {
    AppendAvroLong(out, static_cast<int64_t>(stats.null_counts.size()));
    for (const std::optional<int64_t>& count : stats.null_counts) AppendOptional(out, count);
  }
  AppendAvroLong(out, 0);
}

void AppendFile(std::string& out, const DataFileMeta& file) {
  AppendAvroBytes(out, file.file_name);
  AppendAvroLong(out, file.file_size);
  AppendAvroLong(out, file.row_count);
  AppendAvroBytes(out, file.min_key);
  AppendAvroBytes(out, file.max_key);
  AppendStats(out, file.key_stats);
  AppendStats(out, file.value_stats);
  AppendAvroLong(out, file.min_sequence_number);
  AppendAvroLong(out, file.max_sequence_number);
  AppendAvroLong(out, file.schema_id);
  AppendAvroLong(out, file.level);
  AppendStrings(out, file.extra_files);
  AppendOptional(out, file.creation_time_ms);
  AppendOptional(out, file.delete_row_count);
  AppendOptional(out, file.embedded_index);
  AppendOptional(out, file.file_source
                          ? std::optional<int64_t>(static_cast<int64_t>(*file.file_source))
                          : std::nullopt);
  AppendOptional(out, file.value_stats_columns);
  AppendOptional(out, file.external_path);
  AppendOptional(out, file.first_row_id);
  AppendOptional(out, file.write_columns);
}

// ---- Reading -------------------------------------------------------------------------------

using In = AvroRowReader&;
using Type = const AvroType&;

constexpr FieldCodec<SimpleStats> kStatsCodecs[] = {
    {"_MIN_VALUES", true,
     [](In in, Type type, SimpleStats& out) { out.min_values = in.input.String(type); }},
    {"_MAX_VALUES", true,
     [](In in, Type type, SimpleStats& out) { out.max_values = in.input.String(type); }},
    {"_NULL_COUNTS", false,
     [](In in, Type type, SimpleStats& out) {
       in.input.Array(type,
                      [&](Type item) { out.null_counts.push_back(in.input.OptionalLong(item)); });
     }},
};

void ReadFileSource(In in, Type type, DataFileMeta& out) {
  std::optional<int> source = in.input.OptionalInt(type);
  if (!source) return;
  if (*source != 0 && *source != 1)
    in.input.Fail(fmt::format("_FILE_SOURCE {} is unknown", *source));
  out.file_source = static_cast<FileSource>(*source);
}

using File = DataFileMeta&;
constexpr FieldCodec<DataFileMeta> kFileCodecs[] = {
    {"_FILE_NAME", true, [](In in, Type type, File out) { out.file_name = in.input.String(type); }},
    {"_FILE_SIZE", true, [](In in, Type type, File out) { out.file_size = in.input.Long(type); }},
    {"_ROW_COUNT", true, [](In in, Type type, File out) { out.row_count = in.input.Long(type); }},
    {"_MIN_KEY", true, [](In in, Type type, File out) { out.min_key = in.input.String(type); }},
    {"_MAX_KEY", true, [](In in, Type type, File out) { out.max_key = in.input.String(type); }},
    {"_KEY_STATS", true,
     [](In in, Type type, File out) { in.Read(type, kStatsCodecs, out.key_stats); }},
    {"_VALUE_STATS", true,
     [](In in, Type type, File out) { in.Read(type, kStatsCodecs, out.value_stats); }},
    {"_MIN_SEQUENCE_NUMBER", true,
     [](In in, Type type, File out) { out.min_sequence_number = in.input.Long(type); }},
    {"_MAX_SEQUENCE_NUMBER", true,
     [](In in, Type type, File out) { out.max_sequence_number = in.input.Long(type); }},
    {"_SCHEMA_ID", true, [](In in, Type type, File out) { out.schema_id = in.input.Long(type); }},
    {"_LEVEL", true, [](In in, Type type, File out) { out.level = in.input.Int(type); }},
    {"_EXTRA_FILES", false,
     [](In in, Type type, File out) {
       out.extra_files = in.Strings(type).value_or(std::vector<std::string>());
     }},
    {"_CREATION_TIME", false,
     [](In in, Type type, File out) { out.creation_time_ms = in.input.OptionalLong(type); }},
    {"_DELETE_ROW_COUNT", false,
     [](In in, Type type, File out) { out.delete_row_count = in.input.OptionalLong(type); }},
    {"_EMBEDDED_FILE_INDEX", false,
     [](In in, Type type, File out) { out.embedded_index = in.input.OptionalString(type); }},
    {"_FILE_SOURCE", false, ReadFileSource},
    {"_VALUE_STATS_COLS", false,
     [](In in, Type type, File out) { out.value_stats_columns = in.Strings(type); }},
    {"_EXTERNAL_PATH", false,
     [](In in, Type type, File out) { out.external_path = in.input.OptionalString(type); }},
    {"_FIRST_ROW_ID", false,
     [](In in, Type type, File out) { out.first_row_id = in.input.OptionalLong(type); }},
    {"_WRITE_COLS", false,
     [](In in, Type type, File out) { out.write_columns = in.Strings(type); }},
};

void ReadKind(In in, Type type, ManifestEntry& out) {
  int kind = in.input.Int(type);
  if (kind != 0 && kind != 1) in.input.Fail(fmt::format("_KIND {} is unknown", kind));
  out.kind = static_cast<FileKind>(kind);
}

using Entry = ManifestEntry&;
constexpr FieldCodec<ManifestEntry> kEntryCodecs[] = {
    {"_VERSION", false, [](In in, Type type, Entry) { in.CheckVersion(type, kVersion); }},
    {"_KIND", true, ReadKind},
    {"_PARTITION", true,
     [](In in, Type type, Entry out) { out.partition = in.input.String(type); }},
    {"_BUCKET", true, [](In in, Type type, Entry out) { out.bucket = in.input.Int(type); }},
    {"_TOTAL_BUCKETS", true,
     [](In in, Type type, Entry out) { out.total_buckets = in.input.Int(type); }},
    {"_FILE", true, [](In in, Type type, Entry out) { in.Read(type, kFileCodecs, out.file); }},
};

using Meta = ManifestFileMeta&;
constexpr FieldCodec<ManifestFileMeta> kMetaCodecs[] = {
    {"_VERSION", false, [](In in, Type type, Meta) { in.CheckVersion(type, kVersion); }},
    {"_FILE_NAME", true, [](In in, Type type, Meta out) { out.file_name = in.input.String(type); }},
    {"_FILE_SIZE", true, [](In in, Type type, Meta out) { out.file_size = in.input.Long(type); }},
    {"_NUM_ADDED_FILES", true,
     [](In in, Type type, Meta out) { out.added_files = in.input.Long(type); }},
    {"_NUM_DELETED_FILES", true,
     [](In in, Type type, Meta out) { out.deleted_files = in.input.Long(type); }},
    {"_PARTITION_STATS", true,
     [](In in, Type type, Meta out) { in.Read(type, kStatsCodecs, out.partition_stats); }},
    {"_SCHEMA_ID", true, [](In in, Type type, Meta out) { out.schema_id = in.input.Long(type); }},
    {"_MIN_BUCKET", false,
     [](In in, Type type, Meta out) { out.min_bucket = in.input.OptionalInt(type); }},
    {"_MAX_BUCKET", false,
     [](In in, Type type, Meta out) { out.max_bucket = in.input.OptionalInt(type); }},
    {"_MIN_LEVEL", false,
     [](In in, Type type, Meta out) { out.min_level = in.input.OptionalInt(type); }},
    {"_MAX_LEVEL", false,
     [](In in, Type type, Meta out) { out.max_level = in.input.OptionalInt(type); }},
    {"_MIN_ROW_ID", false,
     [](In in, Type type, Meta out) { out.min_row_id = in.input.OptionalLong(type); }},
    {"_MAX_ROW_ID", false,
     [](In in, Type type, Meta out) { out.max_row_id = in.input.OptionalLong(type); }},
};

}  // namespace

std::string ManifestToAvro(const std::vector<ManifestEntry>& entries) {
  AvroFileWriter writer(ManifestSchema());
  for (const ManifestEntry& entry : entries) {
    std::string& out = writer.row();
    AppendAvroLong(out, kVersion);
    AppendAvroLong(out, static_cast<int64_t>(entry.kind));
    AppendAvroBytes(out, entry.partition);
    AppendAvroLong(out, entry.bucket);
    AppendAvroLong(out, entry.total_buckets);
    AppendFile(out, entry.file);
    writer.EndRow();
  }
  return writer.Finish();
}

std::vector<ManifestEntry> ManifestFromAvro(std::string_view bytes, const std::string& file) {
  return ReadRows(bytes, file, kEntryCodecs);
}

std::string ManifestListToAvro(const std::vector<ManifestFileMeta>& manifests) {
  AvroFileWriter writer(ManifestListSchema());
  for (const ManifestFileMeta& manifest : manifests) {
    std::string& out = writer.row();
    AppendAvroLong(out, kVersion);
    AppendAvroBytes(out, manifest.file_name);
    AppendAvroLong(out, manifest.file_size);
    AppendAvroLong(out, manifest.added_files);
    AppendAvroLong(out, manifest.deleted_files);
    AppendStats(out, manifest.partition_stats);
    AppendAvroLong(out, manifest.schema_id);
    AppendOptional(out, Widen(manifest.min_bucket));
    AppendOptional(out, Widen(manifest.max_bucket));
    AppendOptional(out, Widen(manifest.min_level));
    AppendOptional(out, Widen(manifest.max_level));
    AppendOptional(out, manifest.min_row_id);
    AppendOptional(out, manifest.max_row_id);
    writer.EndRow();
  }
  return writer.Finish();
}

std::vector<ManifestFileMeta> ManifestListFromAvro(std::string_view bytes,
                                                   const std::string& file) {
  return ReadRows(bytes, file, kMetaCodecs);
}

}  // namespace millrace
