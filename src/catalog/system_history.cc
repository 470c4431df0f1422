// system_history.cc - metadata tables of a table's history: snapshots, schemas, options, tags,
// branches, consumers, statistics, aggregation_fields.
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "catalog/system_rows.h"
#include "duckdb/common/types/timestamp.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/materialized_query_result.hpp"
#include "table/scan_start.h"
#include "table/statistics.h"

namespace millrace {

namespace {

const char* KindName(CommitKind kind) {
  constexpr const char* kNames[] = {"APPEND", "COMPACT", "OVERWRITE", "ANALYZE"};
  return kNames[static_cast<size_t>(kind)];
}

SystemRows SnapshotRows(const SystemSource& source) {
  SystemRows rows;
  for (int64_t id : source.state.snapshots.Ids()) {
    std::optional<Snapshot> found = source.state.snapshots.Find(id);
    if (!found) continue;  // Expired since.
    const Snapshot& snapshot = *found;
    rows.push_back(
        {Value::BIGINT(snapshot.id), Value::BIGINT(snapshot.schema_id), Value(snapshot.commit_user),
         Value::BIGINT(snapshot.commit_identifier), Value(KindName(snapshot.commit_kind)),
         LocalTime(source, snapshot.time_ms), Value(snapshot.base_manifest_list),
         Value(snapshot.delta_manifest_list), OptionalText(snapshot.changelog_manifest_list),
         Value::BIGINT(snapshot.total_record_count), Value::BIGINT(snapshot.delta_record_count),
         OptionalLong(snapshot.changelog_record_count), OptionalLong(snapshot.watermark),
         OptionalLong(snapshot.next_row_id)});
  }
  return rows;
}

SystemRows SchemaRows(const SystemSource& source) {
  SystemRows rows;
  std::optional<int64_t> latest = source.state.schemas.LatestId();
  for (int64_t id = 0; latest && id <= *latest; id++) {
    if (!source.state.schemas.Exists(id)) continue;
    std::shared_ptr<const TableSchema> schema = source.state.schemas.Get(id);
    // The parts of the schema file, each as JSON.
    nlohmann::ordered_json json = nlohmann::ordered_json::parse(SchemaToJson(*schema));
    Value comment(LogicalType::VARCHAR);
    if (!schema->comment.empty()) comment = Value(schema->comment);
    rows.push_back({Value::BIGINT(id), Value(json["fields"].dump()),
                    Value(json["partitionKeys"].dump()), Value(json["primaryKeys"].dump()),
                    Value(json["options"].dump()), comment, LocalTime(source, schema->time_ms)});
  }
  return rows;
}

SystemRows OptionRows(const SystemSource& source) {
  SystemRows rows;
  for (const auto& [key, value] : source.state.schema.options) {
    rows.push_back({Value(key), Value(value)});
  }
  return rows;
}

/// Java's Duration.toString: PT168H, PT1M30.5S.
std::string DurationText(int64_t nanos) {
  constexpr int64_t kSecond = 1'000'000'000;
  int64_t seconds = nanos / kSecond, rest = nanos % kSecond;
  std::string text = "PT";
  if (seconds / 3600 > 0) text += fmt::format("{}H", seconds / 3600);
  if (seconds / 60 % 60 > 0) text += fmt::format("{}M", seconds / 60 % 60);
  if (seconds % 60 == 0 && rest == 0) return text == "PT" ? "PT0S" : text;
  std::string fraction = rest == 0 ? "" : fmt::format(".{:09}", rest);
  while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
  return text + fmt::format("{}{}S", seconds % 60, fraction);
}

SystemRows TagRows(const SystemSource& source) {
  SystemRows rows;
  for (const auto& [name, tag] : source.state.tags.All()) {
    Value created(LogicalType::TIMESTAMP), retained(LogicalType::VARCHAR);
    if (tag.created_ns) {
      created = Value::TIMESTAMP(duckdb::Timestamp::FromEpochMs(*tag.created_ns / 1'000'000));
    }
    if (tag.retained_ns) retained = Value(DurationText(*tag.retained_ns));
    rows.push_back({Value(name), Value::BIGINT(tag.snapshot.id),
                    Value::BIGINT(tag.snapshot.schema_id), LocalTime(source, tag.snapshot.time_ms),
                    Value::BIGINT(tag.snapshot.total_record_count), created, retained});
  }
  return rows;
}

SystemRows BranchRows(const SystemSource& source) {
  constexpr std::string_view kPrefix = "branch-";
  SystemRows rows;
  FileSystem& files = source.state.context.files;
  std::string folder = JoinPath(source.state.folder, "branch");
  for (const FileEntry& entry : files.List(folder)) {
    if (!entry.is_folder || !entry.name.starts_with(kPrefix)) continue;
    rows.push_back(
        {Value(entry.name.substr(kPrefix.size())), LocalTime(source, entry.modified_ms)});
  }
  return rows;
}

SystemRows ConsumerRows(const SystemSource& source) {
  SystemRows rows;
  for (const auto& [id, next] : source.state.consumers.All()) {
    rows.push_back({Value(id), Value::BIGINT(next)});
  }
  return rows;
}

SystemRows StatisticRows(const SystemSource& source) {
  std::optional<Snapshot> snapshot = StateOf(source);
  if (!snapshot || !snapshot->statistics) return {};
  TableStatistics statistics = ReadStatistics(source.state, *snapshot->statistics);
  return {{Value::BIGINT(statistics.snapshot_id), Value::BIGINT(statistics.schema_id),
           OptionalLong(statistics.row_count), OptionalLong(statistics.bytes),
           Value(ColumnStatisticsJson(statistics))}};
}

/// Options `fields.<column>.*`, as Java prints lists: [a, b].
SystemRows AggregationRows(const SystemSource& source) {
  SystemRows rows;
  for (const DataField& field : source.state.schema.fields) {
    std::vector<std::string> functions, options;
    std::string prefix = "fields." + field.name + ".";
    for (const auto& [key, value] : source.state.schema.options) {
      if (!key.starts_with(prefix)) continue;
      functions.push_back(value);
      options.push_back(key);
    }
    Value comment(LogicalType::VARCHAR);
    if (!field.description.empty()) comment = Value(field.description);
    rows.push_back({Value(field.name), Value(field.type.ToString()),
                    Value(fmt::format("[{}]", fmt::join(functions, ", "))),
                    Value(fmt::format("[{}]", fmt::join(options, ", "))), comment});
  }
  return rows;
}

}  // namespace

Value LocalTime(const SystemSource& source, int64_t time_ms) {
  duckdb::timestamp_t moment = duckdb::Timestamp::FromEpochMs(time_ms);
  if (source.zone.empty() || source.zone == "UTC") return Value::TIMESTAMP(moment);
  duckdb::Connection connection(source.state.context.database);
  auto result = connection.Query("SELECT timezone($1, $2)", Value(source.zone),
                                 Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(moment)));
  if (result->HasError()) result->ThrowError();
  return result->Fetch()->GetValue(0, 0);
}

std::optional<Snapshot> StateOf(const SystemSource& source) {
  if (HasScanOptions(source.state.options)) {
    if (auto travelled = TravelTo(source.state)) return travelled;
  }
  return source.state.snapshots.Latest();
}

const std::vector<MetadataTable>& HistoryTables() {
  static const std::vector<MetadataTable> tables = {
      {"snapshots",
       {SystemField("snapshot_id", "BIGINT NOT NULL"), SystemField("schema_id", "BIGINT NOT NULL"),
        SystemField("commit_user", "STRING NOT NULL"),
        SystemField("commit_identifier", "BIGINT NOT NULL"),
        SystemField("commit_kind", "STRING NOT NULL"),
        SystemField("commit_time", "TIMESTAMP(3) NOT NULL"),
        SystemField("base_manifest_list", "STRING NOT NULL"),
        SystemField("delta_manifest_list", "STRING NOT NULL"),
        SystemField("changelog_manifest_list", "STRING"),
        SystemField("total_record_count", "BIGINT"), SystemField("delta_record_count", "BIGINT"),
        SystemField("changelog_record_count", "BIGINT"), SystemField("watermark", "BIGINT"),
        SystemField("next_row_id", "BIGINT")},
       SnapshotRows},
      {"schemas",
       {SystemField("schema_id", "BIGINT NOT NULL"), SystemField("fields", "STRING NOT NULL"),
        SystemField("partition_keys", "STRING NOT NULL"),
        SystemField("primary_keys", "STRING NOT NULL"), SystemField("options", "STRING NOT NULL"),
        SystemField("comment", "STRING"), SystemField("update_time", "TIMESTAMP(3) NOT NULL")},
       SchemaRows},
      {"options",
       {SystemField("key", "STRING NOT NULL"), SystemField("value", "STRING NOT NULL")},
       OptionRows},
      {"tags",
       {SystemField("tag_name", "STRING NOT NULL"), SystemField("snapshot_id", "BIGINT NOT NULL"),
        SystemField("schema_id", "BIGINT NOT NULL"),
        SystemField("commit_time", "TIMESTAMP(3) NOT NULL"), SystemField("record_count", "BIGINT"),
        SystemField("create_time", "TIMESTAMP(3)"), SystemField("time_retained", "STRING")},
       TagRows},
      {"branches",
       {SystemField("branch_name", "STRING NOT NULL"),
        SystemField("create_time", "TIMESTAMP(3) NOT NULL")},
       BranchRows},
      {"consumers",
       {SystemField("consumer_id", "STRING NOT NULL"),
        SystemField("next_snapshot_id", "BIGINT NOT NULL")},
       ConsumerRows},
      {"statistics",
       {SystemField("snapshot_id", "BIGINT NOT NULL"), SystemField("schema_id", "BIGINT NOT NULL"),
        SystemField("mergedRecordCount", "BIGINT"), SystemField("mergedRecordSize", "BIGINT"),
        SystemField("colstat", "STRING")},
       StatisticRows},
      {"aggregation_fields",
       {SystemField("field_name", "STRING NOT NULL"), SystemField("field_type", "STRING NOT NULL"),
        SystemField("function", "STRING"), SystemField("function_options", "STRING"),
        SystemField("comment", "STRING")},
       AggregationRows}};
  return tables;
}

}  // namespace millrace
