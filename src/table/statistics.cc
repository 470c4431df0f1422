#include "table/statistics.h"

#include <algorithm>

#include "base/error.h"
#include "meta/json_fields.h"
#include "table/commit_group.h"

namespace millrace {

namespace {

using Json = nlohmann::ordered_json;

template <typename T>
void PutOptional(Json& json, const char* name, const std::optional<T>& value) {
  if (value) json[name] = *value;
}

Json ColumnsToJson(const TableStatistics& statistics) {
  Json columns = Json::object();
  for (const auto& [name, column] : statistics.columns) {
    Json& json = columns[name];
    json["colId"] = column.column_id;
    PutOptional(json, "distinctCount", column.distinct_count);
    PutOptional(json, "min", column.least);
    PutOptional(json, "max", column.greatest);
    PutOptional(json, "nullCount", column.null_count);
    PutOptional(json, "avgLen", column.average_bytes);
    PutOptional(json, "maxLen", column.greatest_bytes);
  }
  return columns;
}

std::string Dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

/// The next snapshot: the state of `latest` with other statistics.
Snapshot Following(const TableState& table, const Snapshot& latest, const std::string& name,
                   ManifestWriter& writer) {
  ListFile base = writer.WriteList(table.manifests.ManifestsOf(latest));
  ListFile delta = writer.WriteList({});
  Snapshot next = latest;
  next.id++;
  next.base_manifest_list = base.name;
  next.base_manifest_list_size = base.size;
  next.delta_manifest_list = delta.name;
  next.delta_manifest_list_size = delta.size;
  next.changelog_manifest_list.reset();
  next.changelog_manifest_list_size.reset();
  next.changelog_record_count.reset();
  next.commit_user = table.context.random.Uuid();
  next.commit_identifier = kBatchCommitIdentifier;
  next.commit_kind = CommitKind::kAnalyze;
  next.time_ms = std::max(latest.time_ms, table.context.clock.NowMs());
  next.delta_record_count = 0;
  next.statistics = name;
  next.properties.clear();
  SetGroupClock(table.snapshots, latest, next);
  return next;
}

}  // namespace

std::string StatisticsToJson(const TableStatistics& statistics) {
  Json json;
  json["snapshotId"] = statistics.snapshot_id;
  json["schemaId"] = statistics.schema_id;
  PutOptional(json, "mergedRecordCount", statistics.row_count);
  PutOptional(json, "mergedRecordSize", statistics.bytes);
  json["colStats"] = ColumnsToJson(statistics);
  return Dump(json, 2);
}

std::string ColumnStatisticsJson(const TableStatistics& statistics) {
  return Dump(ColumnsToJson(statistics), -1);
}

TableStatistics StatisticsFromJson(std::string_view json, const std::string& file) {
  JsonFields fields(json, file);
  TableStatistics statistics;
  statistics.snapshot_id = fields.Long("snapshotId");
  statistics.schema_id = fields.Long("schemaId");
  statistics.row_count = fields.OptionalLong("mergedRecordCount");
  statistics.bytes = fields.OptionalLong("mergedRecordSize");
  const nlohmann::json* columns = fields.Find("colStats");
  if (columns == nullptr) return statistics;
  if (!columns->is_object()) fields.Fail("colStats", "an object is expected");
  for (const auto& [name, value] : columns->items()) {
    std::string where = "colStats." + name + ".";
    if (!value.is_object()) fields.Fail(where.c_str(), "an object is expected");
    JsonFields parts(value, file, where);
    ColumnStatistics& column = statistics.columns[name];
    column.column_id = static_cast<int>(parts.Long("colId"));
    column.distinct_count = parts.OptionalLong("distinctCount");
    column.least = parts.OptionalString("min");
    column.greatest = parts.OptionalString("max");
    column.null_count = parts.OptionalLong("nullCount");
    column.average_bytes = parts.OptionalLong("avgLen");
    column.greatest_bytes = parts.OptionalLong("maxLen");
  }
  return statistics;
}

std::string StatisticsPath(const TableState& table, const std::string& name) {
  return JoinPath(table.folder, "statistics/" + name);
}

TableStatistics ReadStatistics(const TableState& table, const std::string& name) {
  std::string path = StatisticsPath(table, name);
  return StatisticsFromJson(table.context.files.Read(path), path);
}

int64_t CommitStatistics(const TableState& table, const TableStatistics& statistics) {
  FileSystem& files = table.context.files;
  std::string name = fmt::format("stat-{}-0", table.context.random.Uuid());
  files.Overwrite(StatisticsPath(table, name), StatisticsToJson(statistics));
  ManifestWriter writer(files, table.manifests, table.schema, table.context.random,
                        table.parsed.manifest_target_bytes);
  auto take_back = [&] {
    writer.DeleteSince(0);
    try {
      files.Delete(StatisticsPath(table, name));
    } catch (const Error&) {
      // An orphan: no snapshot names it.
    }
  };
  for (int attempt = 0; attempt <= table.parsed.commit_max_retries; attempt++) {
    std::optional<Snapshot> latest = table.snapshots.Latest();
    if (!latest || latest->schema_id != statistics.schema_id) {
      take_back();
      Throw(latest ? ErrorCode::kConflict : ErrorCode::kNotFound,
            "Cannot commit statistics of table {}: {}.", table.folder,
            latest ? "its schema has changed meanwhile; try again" : "it has no snapshots");
    }
    Snapshot next;
    try {
      next = Following(table, *latest, name, writer);
      writer.Sync();
    } catch (const Error& error) {
      bool lost = error.code() == ErrorCode::kCorrupt && table.snapshots.LatestId() != latest->id;
      if (lost) continue;  // What it began from has expired.
      take_back();
      throw;
    }
    try {
      PublishOutcome outcome = table.snapshots.Publish(next);
      if (outcome == PublishOutcome::kPublished) return next.id;
      if (outcome == PublishOutcome::kOvertaken) {
        std::optional<Snapshot> newest = table.snapshots.Latest();
        if (newest && newest->statistics == name) return next.id;  // Others have built on it.
        table.snapshots.Remove(next.id);
      }
    } catch (const Error&) {
      std::optional<Snapshot> there = table.snapshots.Find(next.id);
      if (there == next) return next.id;
      if (!there) {
        take_back();
        throw;
      }
    }
    writer.DeleteSince(0);
  }
  take_back();
  Throw(ErrorCode::kConflict, "Cannot commit statistics of table {}: {} other commits came first.",
        table.folder, table.parsed.commit_max_retries + 1);
}

}  // namespace millrace
