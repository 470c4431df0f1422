#include "stream/job_settlement.h"

#include <set>

#include "base/error.h"
#include "stream/lake_sink.h"
#include "stream/lake_source.h"
#include "stream/log_redo.h"
#include "table/commit_group.h"

namespace millrace {

namespace {

/// A table that the job writes, and that is still there.
struct Written {
  std::shared_ptr<const Table> table;
  idx_t pipeline = 0;
  std::string user;
};

std::vector<Written> FindTables(TableContext context, const JobRecord& record) {
  std::vector<Written> written;
  for (idx_t i = 0; i < record.targets.size(); i++) {
    const JobTarget& target = record.targets[i];
    if (target.table.empty()) continue;
    if (LakeTableIdentity(context.files, target.table) != target.identity) continue;
    Options options;
    if (target.logged) options["log.system"] = "local";  // A hint may have said so.
    written.push_back({Table::Open(context, target.table, options), i, SinkUser(record.user, i)});
  }
  return written;
}

/// nullptr when another job writes it: that one has found nothing of ours there, or taken it over.
std::unique_ptr<LogWriter> TryOpenLog(const Table& table) {
  try {
    return OpenLog(table);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kConflict) throw;
    return nullptr;
  }
}

/// False when something is left to the job.
bool CommitPrepared(TableContext context, const std::vector<Written>& tables,
                    const JobRecord& record, const Checkpoint& checkpoint, Settlement settlement) {
  CommitGroup group{record.user, checkpoint.id, {}};
  for (const Written& written : tables) {
    if (written.pipeline >= checkpoint.prepared.size()) continue;
    const std::string& prepared = checkpoint.prepared[written.pipeline];
    if (prepared.empty()) continue;
    try {
      auto sink = MakeLakeSink(written.table, {.user = written.user, .group = record.user});
      auto published = sink->Commit(checkpoint.id, prepared);
      if (published) group.snapshots[published->table] = published->snapshot_id;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kConflict) throw;
      if (settlement == Settlement::kPause) return false;
      auto latest = written.table->LatestSnapshot();
      if (latest) group.snapshots[written.table->folder()] = latest->id;
    }
  }
  PublishCommitGroup(context.files, group);
  return true;
}

/// What the job has shown in logs and will not commit itself comes into the files, as a checkpoint
/// after its last; and no reader of several logs waits for a step of it.
void CommitLogs(TableContext context, const std::vector<Written>& tables, const JobRecord& record,
                int64_t checkpoint) {
  CommitGroup group{record.user, checkpoint + 1, {}};
  std::vector<const Written*> logged;
  bool has_shown = false;
  for (const Written& written : tables) {
    if (!HasLog(*written.table)) continue;
    logged.push_back(&written);
    auto log = TryOpenLog(*written.table);
    has_shown = has_shown || (log && log->LastStep(written.user));
  }
  if (!has_shown) return;
  for (const Written* written : logged) {
    if (std::unique_ptr<LogWriter> log = TryOpenLog(*written->table)) {
      RedoLog(*written->table, *log,
              [&](const LogBatch& batch) { return batch.job == written->user; },
              {{kGroupProperty, fmt::format("{}/{}", record.user, checkpoint + 1)}});
    }
    auto latest = written->table->LatestSnapshot();
    if (latest) group.snapshots[written->table->folder()] = latest->id;
  }
  PublishCommitGroup(context.files, group);
  for (const Written* written : logged) {
    if (auto log = TryOpenLog(*written->table)) {
      log->EndStep({written->user, kLastLogStep, context.clock.NowMs()});
    }
  }
}

}  // namespace

void SettleJob(TableContext context, const JobFolder& folder, const JobRecord& record,
               Settlement settlement) {
  // An INSERT in batch mode has one table: nobody waits, and nobody was told that it had succeeded.
  // What it has shown in a log, the next writer commits.
  if (record.batch) return;
  auto checkpoint = folder.Latest();
  std::vector<Written> tables = FindTables(context, record);
  if (checkpoint && !folder.IsCommitted(checkpoint->id) &&
      !CommitPrepared(context, tables, record, *checkpoint, settlement)) {
    return;
  }
  if (settlement == Settlement::kPause) return;
  if (!checkpoint || !checkpoint->finished) {
    CommitLogs(context, tables, record, checkpoint ? checkpoint->id : 0);
  }
  std::set<std::string> warehouses;
  for (const Written& written : tables) warehouses.insert(WarehouseOf(written.table->folder()));
  for (const std::string& warehouse : warehouses) {
    EndCommitGroups(context.files, warehouse, record.user);
  }
}

}  // namespace millrace
