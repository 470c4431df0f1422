// system_files.cc - metadata tables of the files of one state: files, file_key_ranges, manifests,
// partitions, buckets, table_indexes.
#include <algorithm>

#include "base/error.h"
#include "catalog/system_rows.h"
#include "duckdb/common/types/timestamp.hpp"
#include "meta/binary_row.h"
#include "meta/options.h"
#include "table/index_store.h"

namespace millrace {

namespace {

/// {2022-11-22, x}: a partition as Paimon casts it to a string.
std::string PartitionText(const SystemSource& source, const RowBytes& partition) {
  std::vector<DataType> types = PartitionTypes(source.state.schema);
  std::vector<Value> values = DecodeRow(types, partition);
  std::string text;
  for (idx_t i = 0; i < values.size(); i++) {
    text +=
        (i > 0 ? ", " : "") + (values[i].IsNull() ? "null" : ValueText(types[i], values[i], false));
  }
  return "{" + text + "}";
}

std::string InternalText(const DataType& type, const Value& value) {
  return value.IsNull() ? "null" : ValueText(type, value, true);
}

/// [1, x]: a key as Java prints an array.
Value KeyText(const TableSchema& schema, const RowBytes& key) {
  std::vector<DataType> types;
  for (idx_t column : schema.TrimmedPrimaryKey()) types.push_back(schema.fields[column].type);
  if (types.empty()) return Value(LogicalType::VARCHAR);
  std::vector<Value> values = DecodeRow(types, key);
  std::string text;
  for (idx_t i = 0; i < values.size(); i++) {
    text += (i > 0 ? ", " : "") + InternalText(types[i], values[i]);
  }
  return Value("[" + text + "]");
}

/// {a=1, b=null}: statistics of a file's value columns by the table's names, sorted.
struct StatsTexts {
  std::string nulls, least, greatest;
};

StatsTexts TextsOf(const SystemSource& source, const DataFileMeta& file) {
  std::shared_ptr<const TableSchema> schema = source.state.schemas.Get(file.schema_id);
  std::vector<DataType> types;
  std::map<int, idx_t> place;  // Field id -> index into the statistics.
  for (const DataField& field : schema->fields) {
    const auto& named = file.value_stats_columns;
    if (named && std::find(named->begin(), named->end(), field.name) == named->end()) continue;
    place[field.id] = types.size();
    types.push_back(field.type);
  }
  std::vector<Value> least = DecodeRow(types, file.value_stats.min_values);
  std::vector<Value> greatest = DecodeRow(types, file.value_stats.max_values);
  std::map<std::string, const DataField*> by_name;
  for (const DataField& field : source.state.schema.fields) by_name[field.name] = &field;
  StatsTexts texts;
  for (const auto& [name, field] : by_name) {
    std::string nulls = "null", low = "null", high = "null";
    auto found = place.find(field->id);
    if (found != place.end()) {
      idx_t i = found->second;
      const auto& counts = file.value_stats.null_counts;
      if (i < counts.size() && counts[i]) nulls = std::to_string(*counts[i]);
      if (i < least.size()) low = InternalText(types[i], least[i]);
      if (i < greatest.size()) high = InternalText(types[i], greatest[i]);
    } else if (std::none_of(schema->fields.begin(), schema->fields.end(),
                            [&](const DataField& old) { return old.id == field->id; })) {
      nulls = std::to_string(file.row_count);  // The column came later.
    }
    const char* comma = texts.nulls.empty() ? "" : ", ";
    texts.nulls += comma + name + "=" + nulls;
    texts.least += comma + name + "=" + low;
    texts.greatest += comma + name + "=" + high;
  }
  return {"{" + texts.nulls + "}", "{" + texts.least + "}", "{" + texts.greatest + "}"};
}

Value WallTime(const std::optional<int64_t>& wall_ms) {
  if (!wall_ms) return Value(LogicalType::TIMESTAMP);
  return Value::TIMESTAMP(duckdb::Timestamp::FromEpochMs(*wall_ms));
}

std::vector<ManifestEntry> LiveEntries(const SystemSource& source) {
  std::optional<Snapshot> snapshot = StateOf(source);
  if (!snapshot) return {};
  std::vector<ManifestEntry> live = source.state.manifests.LiveEntries(*snapshot);
  std::stable_sort(live.begin(), live.end(), [](const ManifestEntry& a, const ManifestEntry& b) {
    return std::tie(a.partition, a.bucket) < std::tie(b.partition, b.bucket);
  });
  return live;
}

std::string PathOf(const SystemSource& source, const ManifestEntry& entry) {
  return DataFilePath(source.state.BucketFolder(entry.partition, entry.bucket), entry.file);
}

std::string FormatOf(const std::string& file) {
  size_t point = file.rfind('.');
  return point == std::string::npos ? "" : file.substr(point + 1);
}

/// The columns that files and file_key_ranges share.
std::vector<Value> FileCells(const SystemSource& source, const ManifestEntry& entry) {
  const DataFileMeta& file = entry.file;
  std::shared_ptr<const TableSchema> schema = source.state.schemas.Get(file.schema_id);
  return {Value(PartitionText(source, entry.partition)),
          Value::INTEGER(entry.bucket),
          Value(PathOf(source, entry)),
          Value(FormatOf(file.file_name)),
          Value::BIGINT(file.schema_id),
          Value::INTEGER(file.level),
          Value::BIGINT(file.row_count),
          Value::BIGINT(file.file_size),
          KeyText(*schema, file.min_key),
          KeyText(*schema, file.max_key)};
}

SystemRows DataFileRows(const SystemSource& source) {
  SystemRows rows;
  for (const ManifestEntry& entry : LiveEntries(source)) {
    const DataFileMeta& file = entry.file;
    std::vector<Value> row = FileCells(source, entry);
    StatsTexts texts = TextsOf(source, file);
    Value written_by(LogicalType::VARCHAR), columns(LogicalType::LIST(LogicalType::VARCHAR));
    if (file.file_source) {
      written_by = Value(*file.file_source == FileSource::kAppend ? "APPEND" : "COMPACT");
    }
    if (file.write_columns) {
      duckdb::vector<Value> names(file.write_columns->begin(), file.write_columns->end());
      columns = Value::LIST(LogicalType::VARCHAR, std::move(names));
    }
    for (Value value :
         {Value(texts.nulls), Value(texts.least), Value(texts.greatest),
          Value::BIGINT(file.min_sequence_number), Value::BIGINT(file.max_sequence_number),
          WallTime(file.creation_time_ms), OptionalLong(file.delete_row_count), written_by,
          OptionalLong(file.first_row_id), columns}) {
      row.push_back(std::move(value));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

SystemRows KeyRangeRows(const SystemSource& source) {
  SystemRows rows;
  for (const ManifestEntry& entry : LiveEntries(source)) {
    rows.push_back(FileCells(source, entry));
    rows.back().push_back(OptionalLong(entry.file.first_row_id));
  }
  return rows;
}

SystemRows ManifestRows(const SystemSource& source) {
  SystemRows rows;
  std::optional<Snapshot> snapshot = StateOf(source);
  if (!snapshot) return rows;
  std::vector<ManifestFileMeta> manifests = source.state.manifests.ManifestsOf(*snapshot);
  if (snapshot->changelog_manifest_list) {
    for (ManifestFileMeta& manifest : source.state.manifests.ReadList(snapshot->ChangelogList())) {
      manifests.push_back(std::move(manifest));
    }
  }
  for (const ManifestFileMeta& manifest : manifests) {
    rows.push_back({Value(manifest.file_name), Value::BIGINT(manifest.file_size),
                    Value::BIGINT(manifest.added_files), Value::BIGINT(manifest.deleted_files),
                    Value::BIGINT(manifest.schema_id),
                    Value(PartitionText(source, manifest.partition_stats.min_values)),
                    Value(PartitionText(source, manifest.partition_stats.max_values)),
                    OptionalLong(manifest.min_row_id), OptionalLong(manifest.max_row_id)});
  }
  return rows;
}

/// dt=2022-11-22/city=x, with the values cast to strings.
std::string PartitionName(const SystemSource& source, const RowBytes& partition) {
  std::vector<DataType> types = PartitionTypes(source.state.schema);
  std::vector<Value> values = DecodeRow(types, partition);
  std::string none =
      GetString(source.state.options, "partition.default-name", "__DEFAULT_PARTITION__");
  std::string name;
  for (idx_t i = 0; i < values.size(); i++) {
    name += (i > 0 ? "/" : "") + source.state.schema.partition_keys[i] + "=" +
            (values[i].IsNull() ? none : ValueText(types[i], values[i], false));
  }
  return name;
}

SystemRows PartitionRows(const SystemSource& source) {
  std::map<RowBytes, FileTotals> partitions;
  for (const ManifestEntry& entry : LiveEntries(source)) {
    partitions[entry.partition].Add(entry.file);
  }
  SystemRows rows;
  Value nobody(LogicalType::VARCHAR);
  for (const auto& [partition, totals] : partitions) {
    rows.push_back({Value(PartitionName(source, partition)), Value::BIGINT(totals.rows),
                    Value::BIGINT(totals.bytes), Value::BIGINT(totals.files),
                    WallTime(totals.last_created_ms), Value(LogicalType::TIMESTAMP), nobody, nobody,
                    nobody});
  }
  std::sort(rows.begin(), rows.end(),
            [](const auto& a, const auto& b) { return a[0].ToString() < b[0].ToString(); });
  return rows;
}

SystemRows BucketRows(const SystemSource& source) {
  std::map<std::pair<std::string, int>, FileTotals> buckets;
  for (const ManifestEntry& entry : LiveEntries(source)) {
    buckets[{PartitionText(source, entry.partition), entry.bucket}].Add(entry.file);
  }
  SystemRows rows;
  for (const auto& [bucket, totals] : buckets) {
    rows.push_back({Value(bucket.first), Value::INTEGER(bucket.second), Value::BIGINT(totals.rows),
                    Value::BIGINT(totals.bytes), Value::BIGINT(totals.files),
                    WallTime(totals.last_created_ms)});
  }
  return rows;
}

constexpr const char* kRangeType =
    "ROW<f0 STRING NOT NULL, f1 INT NOT NULL, f2 INT NOT NULL, _CARDINALITY BIGINT>";

Value RangesOf(const IndexManifestEntry& entry) {
  LogicalType type = ParseDataType(kRangeType).ToDuck();
  if (!entry.deletion_vectors) return Value(LogicalType::LIST(type));
  duckdb::vector<Value> ranges;
  for (const DeletionVectorRange& range : *entry.deletion_vectors) {
    duckdb::child_list_t<Value> fields;
    fields.emplace_back("f0", Value(range.data_file));
    fields.emplace_back("f1", Value::INTEGER(range.offset));
    fields.emplace_back("f2", Value::INTEGER(range.length));
    fields.emplace_back("_CARDINALITY", OptionalLong(range.cardinality));
    ranges.push_back(Value::STRUCT(std::move(fields)));
  }
  return Value::LIST(type, std::move(ranges));
}

SystemRows IndexRows(const SystemSource& source) {
  SystemRows rows;
  std::optional<Snapshot> snapshot = StateOf(source);
  if (!snapshot) return rows;
  for (const IndexManifestEntry& entry : ReadIndexEntries(source.state, *snapshot)) {
    rows.push_back({Value(PartitionText(source, entry.partition)), Value::INTEGER(entry.bucket),
                    Value(entry.index_type), Value(entry.file_name), Value::BIGINT(entry.file_size),
                    Value::BIGINT(entry.row_count), RangesOf(entry)});
  }
  return rows;
}

std::vector<DataField> FileFields(bool with_statistics) {
  std::vector<DataField> fields = {SystemField("partition", "STRING"),
                                   SystemField("bucket", "INT NOT NULL"),
                                   SystemField("file_path", "STRING NOT NULL"),
                                   SystemField("file_format", "STRING NOT NULL"),
                                   SystemField("schema_id", "BIGINT NOT NULL"),
                                   SystemField("level", "INT NOT NULL"),
                                   SystemField("record_count", "BIGINT NOT NULL"),
                                   SystemField("file_size_in_bytes", "BIGINT NOT NULL"),
                                   SystemField("min_key", "STRING"),
                                   SystemField("max_key", "STRING")};
  std::vector<DataField> more = {SystemField("first_row_id", "BIGINT")};
  if (with_statistics) {
    more = {SystemField("null_value_counts", "STRING NOT NULL"),
            SystemField("min_value_stats", "STRING NOT NULL"),
            SystemField("max_value_stats", "STRING NOT NULL"),
            SystemField("min_sequence_number", "BIGINT"),
            SystemField("max_sequence_number", "BIGINT"),
            SystemField("creation_time", "TIMESTAMP(3)"),
            SystemField("deleteRowCount", "BIGINT"),
            SystemField("file_source", "STRING"),
            SystemField("first_row_id", "BIGINT"),
            SystemField("write_cols", "ARRAY<STRING>")};
  }
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

}  // namespace

void FileTotals::Add(const DataFileMeta& file) {
  rows += file.row_count;
  bytes += file.file_size;
  files++;
  if (file.creation_time_ms) {
    last_created_ms = std::max(last_created_ms.value_or(INT64_MIN), *file.creation_time_ms);
  }
}

const std::vector<MetadataTable>& FileTables() {
  static const std::vector<MetadataTable> tables = {
      {"files", FileFields(true), DataFileRows},
      {"file_key_ranges", FileFields(false), KeyRangeRows},
      {"manifests",
       {SystemField("file_name", "STRING NOT NULL"), SystemField("file_size", "BIGINT NOT NULL"),
        SystemField("num_added_files", "BIGINT NOT NULL"),
        SystemField("num_deleted_files", "BIGINT NOT NULL"),
        SystemField("schema_id", "BIGINT NOT NULL"), SystemField("min_partition_stats", "STRING"),
        SystemField("max_partition_stats", "STRING"), SystemField("min_row_id", "BIGINT"),
        SystemField("max_row_id", "BIGINT")},
       ManifestRows},
      {"partitions",
       {SystemField("partition", "STRING"), SystemField("record_count", "BIGINT NOT NULL"),
        SystemField("file_size_in_bytes", "BIGINT NOT NULL"),
        SystemField("file_count", "BIGINT NOT NULL"),
        SystemField("last_update_time", "TIMESTAMP(3)"), SystemField("created_at", "TIMESTAMP(3)"),
        SystemField("created_by", "STRING"), SystemField("updated_by", "STRING"),
        SystemField("options", "STRING")},
       PartitionRows},
      {"buckets",
       {SystemField("partition", "STRING"), SystemField("bucket", "INT NOT NULL"),
        SystemField("record_count", "BIGINT NOT NULL"),
        SystemField("file_size_in_bytes", "BIGINT NOT NULL"),
        SystemField("file_count", "BIGINT NOT NULL"),
        SystemField("last_update_time", "TIMESTAMP(3)")},
       BucketRows},
      {"table_indexes",
       {SystemField("partition", "STRING"), SystemField("bucket", "INT NOT NULL"),
        SystemField("index_type", "STRING NOT NULL"), SystemField("file_name", "STRING NOT NULL"),
        SystemField("file_size", "BIGINT NOT NULL"), SystemField("row_count", "BIGINT NOT NULL"),
        SystemField("dv_ranges",
                    "ARRAY<ROW<f0 STRING NOT NULL, f1 INT NOT NULL, f2 INT NOT NULL, "
                    "_CARDINALITY BIGINT>>")},
       IndexRows}};
  return tables;
}

}  // namespace millrace
