// procedures_history.cc - expire_snapshots, expire_changelogs, rollback_to and its kin,
// remove_orphan_files, reset_consumer, clear_consumers, repair.
#include <regex>

#include "base/error.h"
#include "catalog/procedures.h"
#include "table/expire.h"
#include "table/orphan_files.h"
#include "table/rollback.h"
#include "table/snapshot_search.h"
#include "table/table_state.h"
#include "table/tags.h"

namespace millrace {

namespace {

using enum ArgumentType;

const std::pair<const char*, LogicalType> kResult = {"result", LogicalType::VARCHAR};
constexpr int64_t kDayMs = 86'400'000;

ProcedureRows Success() {
  return {{Value("Success")}};
}

ExpireRequest RequestOf(const ProcedureCall& call) {
  ExpireRequest request;
  request.retain_max = call.Long("retain_max");
  request.retain_min = call.Long("retain_min");
  request.older_than_ms = call.Time("older_than");
  request.max_deletes = call.Long("max_deletes");
  return request;
}

ProcedureRows RunExpireSnapshots(const ProcedureCall& call) {
  auto table = call.OpenTable();
  return {{Value(std::to_string(ExpireSnapshots(table->state(), RequestOf(call))))}};
}

ProcedureRows RunExpireChangelogs(const ProcedureCall& call) {
  auto table = call.OpenTable();
  bool all = call.Bool("delete_all", false);
  int64_t count = ExpireChangelogs(table->state(), RequestOf(call), all);
  if (all) return {{Value("Delete all separated changelogs success.")}};
  return {{Value(std::to_string(count))}};
}

int64_t NeedLatest(const TableState& table) {
  if (auto latest = table.snapshots.LatestId()) return *latest;
  Throw(ErrorCode::kNotFound, "Table {} has no snapshots: there is nothing to roll back",
        table.folder);
}

ProcedureRows RolledBack(const TableState& table, const Snapshot& target) {
  int64_t previous = NeedLatest(table);
  RollbackTo(table, target);
  return {{Value::BIGINT(previous), Value::BIGINT(target.id)}};
}

ProcedureRows RunRollbackTo(const ProcedureCall& call) {
  auto table = call.OpenTable();
  NeedLatest(table->state());
  if (call.Has("tag"))
    return RolledBack(table->state(), table->state().tags.Need(call.Text("tag")).snapshot);
  std::optional<int64_t> id = call.Long("snapshot_id");
  if (!id) {
    Throw(ErrorCode::kInvalid, "Calling sys.rollback_to: give a tag or a snapshot_id");
  }
  return RolledBack(table->state(), NeedSnapshotOrTag(table->state(), *id));
}

ProcedureRows RunRollbackToTimestamp(const ProcedureCall& call) {
  auto table = call.OpenTable();
  NeedLatest(table->state());
  int64_t time = *call.Long("timestamp");
  auto target = SnapshotAtTime(table->state().snapshots, time);
  if (!target) {
    Throw(ErrorCode::kNotFound, "Table {} has no snapshot of {} or before", table->folder(), time);
  }
  return RolledBack(table->state(), *target);
}

ProcedureRows RunRollbackToWatermark(const ProcedureCall& call) {
  auto table = call.OpenTable();
  int64_t watermark = *call.Long("watermark");
  auto target = SnapshotAtWatermark(table->state().snapshots, watermark);
  if (!target)
    Throw(ErrorCode::kNotFound, "Table {} has no snapshot with a watermark", table->folder());
  RollbackTo(table->state(), *target);
  return {{Value(fmt::format("Success roll back to snapshot: {} .", target->id))}};
}

/// Of one table, or with `db.*` of all in a database: how many files went, and their bytes.
ProcedureRows RunRemoveOrphans(const ProcedureCall& call) {
  int64_t now = call.context.clock.NowMs();
  int64_t older_than = call.Time("older_than").value_or(now - kDayMs);
  if (older_than >= now) {
    Throw(ErrorCode::kInvalid,
          "Calling sys.remove_orphan_files: 'older_than' must be in the past, for files that are "
          "being written are named by nobody yet");
  }
  bool dry_run = call.Bool("dry_run", false);
  int64_t files = 0, bytes = 0;
  auto clean = [&](const Table& table) {
    for (const OrphanFile& orphan : RemoveOrphanFiles(table.state(), older_than, dry_run)) {
      files++;
      bytes += orphan.bytes;
    }
  };
  std::string name = call.Text("table");
  if (name.ends_with(".*") || name == "*") {
    std::string database = name == "*" ? call.database : name.substr(0, name.size() - 2);
    for (const std::string& table : call.store.Tables(database)) {
      ProcedureCall one = call;
      one.arguments["table"] = Value(database + "." + table);
      clean(*one.OpenTable());
    }
  } else {
    clean(*call.OpenTable());
  }
  return {{Value(std::to_string(files))}, {Value(std::to_string(bytes))}};
}

ProcedureRows RunResetConsumer(const ProcedureCall& call) {
  auto table = call.OpenTable();
  const TableState& state = table->state();
  std::string id = call.Text("consumer_id");
  auto next = call.Long("next_snapshot_id");
  if (!next) {
    state.consumers.Remove(id);
    return Success();
  }
  if (!state.snapshots.Find(*next)) {
    Throw(ErrorCode::kNotFound, "Table {} has no snapshot {}; there are {} to {}", state.folder,
          *next, state.snapshots.EarliestId().value_or(0), state.snapshots.LatestId().value_or(0));
  }
  state.consumers.Reset(id, *next);
  return Success();
}

std::regex Pattern(const ProcedureCall& call, const std::string& name,
                   const std::string& fallback) {
  try {
    return std::regex(call.Text(name, fallback));
  } catch (const std::regex_error& error) {
    Throw(ErrorCode::kInvalid, "Argument '{}' = '{}' is no regular expression: {}", name,
          call.Text(name), error.what());
  }
}

ProcedureRows RunClearConsumers(const ProcedureCall& call) {
  auto table = call.OpenTable();
  std::regex including = Pattern(call, "including_consumers", ".*");
  std::regex excluding = Pattern(call, "excluding_consumers", "");
  for (const auto& [id, next] : table->state().consumers.All()) {
    bool excluded = call.Has("excluding_consumers") && std::regex_match(id, excluding);
    if (std::regex_match(id, including) && !excluded) table->state().consumers.Remove(id);
  }
  return Success();
}

/// A warehouse in files has no metastore that could differ from it; what can be stale are the
/// hints.
ProcedureRows RunRepair(const ProcedureCall& call) {
  auto repair = [](const Table& table) {
    const SnapshotStore& snapshots = table.state().snapshots;
    std::vector<int64_t> ids = snapshots.Ids();
    if (ids.empty()) return;
    table.state().snapshots.WriteLatestHint(ids.back());
    table.state().snapshots.WriteEarliestHint(ids.front());
  };
  if (call.Has("table") && call.Text("table").find('.') != std::string::npos) {
    repair(*call.OpenTable());
    return Success();
  }
  std::vector<std::string> databases = call.store.Databases();
  if (call.Has("table")) databases = {call.Text("table")};
  for (const std::string& database : databases) {
    for (const std::string& table : call.store.Tables(database)) {
      ProcedureCall one = call;
      one.arguments["table"] = Value(database + "." + table);
      repair(*one.OpenTable());
    }
  }
  return Success();
}

}  // namespace

const std::vector<Procedure>& HistoryProcedures() {
  static const std::vector<std::pair<const char*, LogicalType>> kMoved = {
      {"previous_snapshot_id", LogicalType::BIGINT}, {"current_snapshot_id", LogicalType::BIGINT}};
  static const std::vector<Procedure> procedures = {
      {"expire_snapshots",
       {{"table", kText, true},
        {"retain_max", kLong, false},
        {"retain_min", kLong, false},
        {"older_than", kText, false},
        {"max_deletes", kLong, false},
        {"options", kText, false}},
       {kResult},
       RunExpireSnapshots},
      {"expire_changelogs",
       {{"table", kText, true},
        {"retain_max", kLong, false},
        {"retain_min", kLong, false},
        {"older_than", kText, false},
        {"max_deletes", kLong, false},
        {"delete_all", kBool, false}},
       {kResult},
       RunExpireChangelogs},
      {"rollback_to",
       {{"table", kText, true}, {"tag", kText, false}, {"snapshot_id", kLong, false}},
       kMoved,
       RunRollbackTo},
      {"rollback_to_timestamp",
       {{"table", kText, true}, {"timestamp", kLong, true}},
       kMoved,
       RunRollbackToTimestamp},
      {"rollback_to_watermark",
       {{"table", kText, true}, {"watermark", kLong, true}},
       {kResult},
       RunRollbackToWatermark},
      {"remove_orphan_files",
       {{"table", kText, true},
        {"older_than", kText, false},
        {"dry_run", kBool, false},
        {"parallelism", kLong, false},
        {"mode", kText, false}},
       {kResult},
       RunRemoveOrphans},
      {"reset_consumer",
       {{"table", kText, true}, {"consumer_id", kText, true}, {"next_snapshot_id", kLong, false}},
       {kResult},
       RunResetConsumer},
      {"clear_consumers",
       {{"table", kText, true},
        {"including_consumers", kText, false},
        {"excluding_consumers", kText, false}},
       {kResult},
       RunClearConsumers},
      {"repair", {{"table", kText, false}}, {kResult}, RunRepair}};
  return procedures;
}

}  // namespace millrace
