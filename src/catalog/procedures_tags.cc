// procedures_tags.cc - create_tag, replace_tag, delete_tag, rename_tag, expire_tags,
// create_tag_from_timestamp, create_tag_from_watermark, trigger_tag_automatic_creation.
#include "base/error.h"
#include "catalog/procedures.h"
#include "duckdb/common/string_util.hpp"
#include "table/snapshot_search.h"
#include "table/table_state.h"
#include "table/tag_creation.h"
#include "table/tags.h"

namespace millrace {

namespace {

using enum ArgumentType;

const std::pair<const char*, LogicalType> kResult = {"result", LogicalType::VARCHAR};

ProcedureRows Success() {
  return {{Value("Success")}};
}

/// The snapshot that `snapshot_id` names, else the newest.
Snapshot WantedSnapshot(const ProcedureCall& call, const TableState& table) {
  if (auto id = call.Long("snapshot_id")) return NeedSnapshotOrTag(table, *id);
  if (auto latest = table.snapshots.Latest()) return *latest;
  Throw(ErrorCode::kNotFound, "Table {} has no snapshots: there is nothing to tag", table.folder);
}

ProcedureRows RunCreate(const ProcedureCall& call) {
  auto table = call.OpenTable();
  CreateTag(table->state(), call.Text("tag"), WantedSnapshot(call, table->state()),
            call.Duration("time_retained"));
  return Success();
}

ProcedureRows RunReplace(const ProcedureCall& call) {
  auto table = call.OpenTable();
  ReplaceTag(table->state(), call.Text("tag"), WantedSnapshot(call, table->state()),
             call.Duration("time_retained"));
  return Success();
}

/// Several tags with commas between them; one that is not there is none to delete.
ProcedureRows RunDelete(const ProcedureCall& call) {
  auto table = call.OpenTable();
  for (std::string name : duckdb::StringUtil::Split(call.Text("tag"), ',')) {
    duckdb::StringUtil::Trim(name);
    DeleteTag(table->state(), name);
  }
  return Success();
}

ProcedureRows RunRename(const ProcedureCall& call) {
  auto table = call.OpenTable();
  std::string from = call.Text("tagName"), to = call.Text("targetTagName");
  RenameTag(table->state(), from, to);
  return {{Value(fmt::format("Rename [{}] to [{}] successfully.", from, to))}};
}

ProcedureRows RunExpire(const ProcedureCall& call) {
  auto table = call.OpenTable();
  ProcedureRows rows;
  for (const std::string& name : ExpireTags(table->state(), call.Time("older_than"))) {
    rows.push_back({Value(name)});
  }
  if (rows.empty()) rows.push_back({Value("No expired tags.")});
  return rows;
}

ProcedureRows Created(const ProcedureCall& call, const TableState& table,
                      const Snapshot& snapshot) {
  std::string name = call.Text("tag");
  CreateTag(table, name, snapshot, call.Duration("time_retained"));
  return {{Value(name), Value::BIGINT(snapshot.id), Value::BIGINT(snapshot.time_ms),
           Value(snapshot.watermark ? std::to_string(*snapshot.watermark) : "null")}};
}

ProcedureRows RunCreateFromTimestamp(const ProcedureCall& call) {
  auto table = call.OpenTable();
  const TableState& state = table->state();
  int64_t time = *call.Long("timestamp");
  std::optional<Snapshot> chosen = SnapshotSinceTime(state.snapshots, time);
  for (const NamedTag& tag : state.tags.All()) {  // Its snapshot may have expired.
    const Snapshot& snapshot = tag.tag.snapshot;
    if (snapshot.time_ms >= time && (!chosen || snapshot.time_ms < chosen->time_ms)) {
      chosen = snapshot;
    }
  }
  if (!chosen) {
    Throw(ErrorCode::kNotFound, "Table {} has no snapshot of {} or later", state.folder, time);
  }
  return Created(call, state, *chosen);
}

ProcedureRows RunCreateFromWatermark(const ProcedureCall& call) {
  auto table = call.OpenTable();
  const TableState& state = table->state();
  int64_t watermark = *call.Long("watermark");
  std::optional<Snapshot> chosen = SnapshotSinceWatermark(state.snapshots, watermark);
  for (const NamedTag& tag : state.tags.All()) {
    const Snapshot& snapshot = tag.tag.snapshot;
    if (snapshot.watermark.value_or(INT64_MIN) < watermark) continue;
    if (!chosen || *snapshot.watermark < chosen->watermark.value_or(INT64_MAX)) chosen = snapshot;
  }
  if (!chosen) {
    Throw(ErrorCode::kNotFound, "Table {} has no snapshot with a watermark of {} or more",
          state.folder, watermark);
  }
  return Created(call, state, *chosen);
}

ProcedureRows RunAutomatic(const ProcedureCall& call) {
  auto table = call.OpenTable();
  CreateDueTags(table->state());
  ExpireTags(table->state());
  return Success();
}

}  // namespace

const std::vector<Procedure>& TagProcedures() {
  static const std::vector<std::pair<const char*, LogicalType>> kCreated = {
      {"tagName", LogicalType::VARCHAR},
      {"snapshot", LogicalType::BIGINT},
      {"commit_time", LogicalType::BIGINT},
      {"watermark", LogicalType::VARCHAR}};
  static const std::vector<ProcedureArgument> kTagArguments = {{"table", kText, true},
                                                               {"tag", kText, true},
                                                               {"snapshot_id", kLong, false},
                                                               {"time_retained", kText, false}};
  static const std::vector<Procedure> procedures = {
      {"create_tag", kTagArguments, {kResult}, RunCreate},
      {"replace_tag", kTagArguments, {kResult}, RunReplace},
      {"delete_tag", {{"table", kText, true}, {"tag", kText, true}}, {kResult}, RunDelete},
      {"rename_tag",
       {{"table", kText, true}, {"tagName", kText, true}, {"targetTagName", kText, true}},
       {kResult},
       RunRename},
      {"expire_tags",
       {{"table", kText, true}, {"older_than", kText, false}},
       {{"expired_tags", LogicalType::VARCHAR}},
       RunExpire},
      {"create_tag_from_timestamp",
       {{"table", kText, true},
        {"tag", kText, true},
        {"timestamp", kLong, true},
        {"time_retained", kText, false}},
       kCreated,
       RunCreateFromTimestamp},
      {"create_tag_from_watermark",
       {{"table", kText, true},
        {"tag", kText, true},
        {"watermark", kLong, true},
        {"time_retained", kText, false}},
       kCreated,
       RunCreateFromWatermark},
      {"trigger_tag_automatic_creation", {{"table", kText, true}}, {kResult}, RunAutomatic}};
  return procedures;
}

}  // namespace millrace
