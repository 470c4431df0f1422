// index_manifest_avro.cc - index manifests as Avro rows, version 1.
#include "base/error.h"
#include "meta/avro_rows.h"
#include "meta/index_manifest.h"

namespace millrace {

namespace {

constexpr int kVersion = 1;

const std::string& IndexManifestSchema() {
  static const std::string schema = [] {
    std::string range = Record("record__DELETIONS_VECTORS_RANGES", "",
                               {Field("f0", kString), Field("f1", kInt), Field("f2", kInt),
                                NullableField("_CARDINALITY", kLong)});
    std::string ranges = fmt::format(R"({{"type":"array","items":["null",{}]}})", range);
    std::string global =
        Record("record__GLOBAL_INDEX", "",
               {Field("_ROW_RANGE_START", kLong), Field("_ROW_RANGE_END", kLong),
                Field("_INDEX_FIELD_ID", kInt),
                NullableField("_EXTRA_FIELD_IDS", R"({"type":"array","items":"int"})"),
                NullableField("_INDEX_META", kBytes)});
    return Record(
        "record", kNamespace,
        {Field("_VERSION", kInt), Field("_KIND", kInt), Field("_PARTITION", kBytes),
         Field("_BUCKET", kInt), Field("_INDEX_TYPE", kString), Field("_FILE_NAME", kString),
         Field("_FILE_SIZE", kLong), Field("_ROW_COUNT", kLong),
         NullableField("_DELETIONS_VECTORS_RANGES", ranges.c_str()),
         NullableField("_EXTERNAL_PATH", kString), NullableField("_GLOBAL_INDEX", global.c_str())});
  }();
  return schema;
}

void AppendRanges(std::string& out, const std::optional<std::vector<DeletionVectorRange>>& ranges) {
  AppendAvroLong(out, ranges ? 1 : 0);
  if (!ranges) return;
  if (!ranges->empty()) AppendAvroLong(out, static_cast<int64_t>(ranges->size()));
  for (const DeletionVectorRange& range : *ranges) {
    AppendAvroLong(out, 1);
    AppendAvroBytes(out, range.data_file);
    AppendAvroLong(out, range.offset);
    AppendAvroLong(out, range.length);
    AppendOptional(out, range.cardinality);
  }
  AppendAvroLong(out, 0);
}

void AppendGlobal(std::string& out, const std::optional<GlobalIndexMeta>& global) {
  AppendAvroLong(out, global ? 1 : 0);
  if (!global) return;
  AppendAvroLong(out, global->row_range_start);
  AppendAvroLong(out, global->row_range_end);
  AppendAvroLong(out, global->field_id);
  AppendAvroLong(out, global->extra_field_ids ? 1 : 0);
  if (global->extra_field_ids) {
    const std::vector<int>& ids = *global->extra_field_ids;
    if (!ids.empty()) AppendAvroLong(out, static_cast<int64_t>(ids.size()));
    for (int id : ids) AppendAvroLong(out, id);
    AppendAvroLong(out, 0);
  }
  AppendOptional(out, global->index_meta);
}

using In = AvroRowReader&;
using Type = const AvroType&;

using Range = DeletionVectorRange&;
constexpr FieldCodec<DeletionVectorRange> kRangeCodecs[] = {
    {"f0", true, [](In in, Type type, Range out) { out.data_file = in.input.String(type); }},
    {"f1", true, [](In in, Type type, Range out) { out.offset = in.input.Int(type); }},
    {"f2", true, [](In in, Type type, Range out) { out.length = in.input.Int(type); }},
    {"_CARDINALITY", false,
     [](In in, Type type, Range out) { out.cardinality = in.input.OptionalLong(type); }},
};

using Global = GlobalIndexMeta&;
constexpr FieldCodec<GlobalIndexMeta> kGlobalCodecs[] = {
    {"_ROW_RANGE_START", true,
     [](In in, Type type, Global out) { out.row_range_start = in.input.Long(type); }},
    {"_ROW_RANGE_END", true,
     [](In in, Type type, Global out) { out.row_range_end = in.input.Long(type); }},
    {"_INDEX_FIELD_ID", true,
     [](In in, Type type, Global out) { out.field_id = in.input.Int(type); }},
    {"_EXTRA_FIELD_IDS", false,
     [](In in, Type type, Global out) {
       std::vector<int> ids;
       bool present = in.input.Array(type, [&](Type item) { ids.push_back(in.input.Int(item)); });
       if (present) out.extra_field_ids = std::move(ids);
     }},
    {"_INDEX_META", false,
     [](In in, Type type, Global out) { out.index_meta = in.input.OptionalString(type); }},
};

using Entry = IndexManifestEntry&;

void ReadRanges(In in, Type type, Entry out) {
  std::vector<DeletionVectorRange> ranges;
  bool present = in.input.Array(type, [&](Type item) {
    const AvroType& actual = in.input.Resolve(item);
    if (actual.kind != AvroKind::kNull) in.Read(actual, kRangeCodecs, ranges.emplace_back());
  });
  if (present) out.deletion_vectors = std::move(ranges);
}

void ReadGlobal(In in, Type type, Entry out) {
  const AvroType& actual = in.input.Resolve(type);
  if (actual.kind != AvroKind::kNull) in.Read(actual, kGlobalCodecs, out.global_index.emplace());
}

void ReadKind(In in, Type type, Entry out) {
  int kind = in.input.Int(type);
  if (kind != 0 && kind != 1) in.input.Fail(fmt::format("_KIND {} is unknown", kind));
  out.kind = static_cast<FileKind>(kind);
}

constexpr FieldCodec<IndexManifestEntry> kEntryCodecs[] = {
    {"_VERSION", false, [](In in, Type type, Entry) { in.CheckVersion(type, kVersion); }},
    {"_KIND", true, ReadKind},
    {"_PARTITION", true,
     [](In in, Type type, Entry out) { out.partition = in.input.String(type); }},
    {"_BUCKET", true, [](In in, Type type, Entry out) { out.bucket = in.input.Int(type); }},
    {"_INDEX_TYPE", true,
     [](In in, Type type, Entry out) { out.index_type = in.input.String(type); }},
    {"_FILE_NAME", true,
     [](In in, Type type, Entry out) { out.file_name = in.input.String(type); }},
    {"_FILE_SIZE", true, [](In in, Type type, Entry out) { out.file_size = in.input.Long(type); }},
    {"_ROW_COUNT", true, [](In in, Type type, Entry out) { out.row_count = in.input.Long(type); }},
    {"_DELETIONS_VECTORS_RANGES", false, ReadRanges},
    {"_EXTERNAL_PATH", false,
     [](In in, Type type, Entry out) { out.external_path = in.input.OptionalString(type); }},
    {"_GLOBAL_INDEX", false, ReadGlobal},
};

}  // namespace

std::string IndexManifestToAvro(const std::vector<IndexManifestEntry>& entries) {
  AvroFileWriter writer(IndexManifestSchema());
  for (const IndexManifestEntry& entry : entries) {
    std::string& out = writer.row();
    AppendAvroLong(out, kVersion);
    AppendAvroLong(out, static_cast<int64_t>(entry.kind));
    AppendAvroBytes(out, entry.partition);
    AppendAvroLong(out, entry.bucket);
    AppendAvroBytes(out, entry.index_type);
    AppendAvroBytes(out, entry.file_name);
    AppendAvroLong(out, entry.file_size);
    AppendAvroLong(out, entry.row_count);
    AppendRanges(out, entry.deletion_vectors);
    AppendOptional(out, entry.external_path);
    AppendGlobal(out, entry.global_index);
    writer.EndRow();
  }
  return writer.Finish();
}

std::vector<IndexManifestEntry> IndexManifestFromAvro(std::string_view bytes,
                                                      const std::string& file) {
  std::vector<IndexManifestEntry> entries = ReadRows(bytes, file, kEntryCodecs);
  for (const IndexManifestEntry& entry : entries) {
    // A damaged name of the field: deleted rows would come back.
    if (entry.index_type != kDeletionVectorsIndex || entry.row_count == 0) continue;
    if (entry.deletion_vectors) continue;
    Throw(ErrorCode::kCorrupt,
          "{}: index file {} has {} deletion vectors, but nothing says of what", file,
          entry.file_name, entry.row_count);
  }
  return entries;
}

}  // namespace millrace
