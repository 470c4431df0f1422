#include "stream/job_settlement.h"

#include "base/error.h"
#include "stream/lake_sink.h"
#include "stream/lake_source.h"
#include "table/commit_group.h"

namespace millrace {

namespace {

/// nullptr when it is not a lake table, or no longer the one that the job wrote.
std::shared_ptr<const Table> Find(TableContext context, const JobTarget& target) {
  if (target.table.empty()) return nullptr;
  if (LakeTableIdentity(context.files, target.table) != target.identity) return nullptr;
  return Table::Open(context, target.table);
}

}  // namespace

void SettleJob(TableContext context, const JobFolder& folder, const JobRecord& record,
               Settlement settlement) {
  // An INSERT in batch mode has one table: nobody waits, and nobody was told that it had succeeded.
  if (record.batch) return;
  auto checkpoint = folder.Latest();
  if (!checkpoint || folder.IsCommitted(checkpoint->id)) return;
  CommitGroup group{record.user, checkpoint->id, {}};
  for (idx_t i = 0; i < record.targets.size() && i < checkpoint->prepared.size(); i++) {
    if (checkpoint->prepared[i].empty()) continue;
    auto table = Find(context, record.targets[i]);
    if (!table) continue;
    auto sink = MakeLakeSink(table, {.user = SinkUser(record.user, i), .group = record.user});
    try {
      auto published = sink->Commit(checkpoint->id, checkpoint->prepared[i]);
      if (published) group.snapshots[published->table] = published->snapshot_id;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kConflict) throw;
      if (settlement == Settlement::kPause) return;
      auto latest = table->LatestSnapshot();
      if (latest) group.snapshots[table->folder()] = latest->id;
    }
  }
  PublishCommitGroup(context.files, group);
}

}  // namespace millrace
