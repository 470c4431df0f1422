// commit_group.h - the snapshots that one checkpoint of one job made in several tables of a
// warehouse.
//
// `<warehouse>/.millrace/groups/<job>/<checkpoint>` (JSON: table folder below the warehouse ->
// snapshot id) appears after all members have committed; each member's snapshot says
// `millrace.group` = `<job>/<checkpoint>`. A reader of several members advances by groups that are
// complete, so it never sees half a checkpoint (group_cut.h, group_steps.h). Where several jobs
// write one table, each snapshot also says of every one of them how far it has come there: the
// table's *clock*.
#pragma once

#include "io/file_system.h"
#include "meta/snapshot.h"
#include "table/snapshot_store.h"

namespace millrace {

/// The snapshot property that names the group.
inline constexpr const char* kGroupProperty = "millrace.group";

struct CommitGroup {
  std::string job;
  int64_t checkpoint = 0;
  std::map<std::string, int64_t>
      snapshots;  // Table folder (absolute) -> its last snapshot of this group.
};

/// `/w/db.db/t` -> `/w`.
std::string WarehouseOf(const std::string& table_folder);
/// The job and checkpoint of a snapshot; nullopt when it belongs to no group.
std::optional<std::pair<std::string, int64_t>> GroupOf(const Snapshot& snapshot);

/// Which checkpoint of each job a table has: the newest of every job that ever wrote it in a group,
/// but for very old ones.
using GroupClock = std::map<std::string, int64_t>;
inline constexpr const char* kGroupClockProperty = "millrace.group.clock";
/// The clock of `snapshot`, by itself or by the newest one below it that tells: what other programs
/// write says nothing. Cost: one small file for each of those.
GroupClock GroupClockOf(const SnapshotStore& snapshots, Snapshot snapshot);
/// Gives `next`, which comes after `latest`, what tells its clock.
void SetGroupClock(const SnapshotStore& snapshots, const std::optional<Snapshot>& latest,
                   Snapshot& next);

/// Which tables a job writes, for readers that wait for all of them: table folder -> whether they
/// follow its log. Written before the job's first step, once.
using GroupMembers = std::map<std::string, bool>;
void PublishGroupMembers(FileSystem& files, const std::string& job, const GroupMembers& members);
/// Those in `warehouse`; empty when the job has told of none.
GroupMembers ReadGroupMembers(FileSystem& files, const std::string& warehouse,
                              const std::string& job);
/// The jobs that have written groups, or told of their members, in `warehouse`.
std::vector<std::string> GroupJobs(FileSystem& files, const std::string& warehouse);

/// Publishes one group file in every warehouse that has members. A member that did not change in
/// this checkpoint keeps the snapshot it had in the group before. Idempotent. Keeps the newest
/// `kKeptGroups`.
inline constexpr int64_t kKeptGroups = 100;
void PublishCommitGroup(FileSystem& files, const CommitGroup& group);
/// The job has ended and all of its groups are complete: expiry need not keep what they name.
void EndCommitGroups(FileSystem& files, const std::string& warehouse, const std::string& job);
bool HaveGroupsEnded(FileSystem& files, const std::string& warehouse, const std::string& job);
/// The newest complete group of `job`; nullopt when there is none.
std::optional<CommitGroup> LatestCommitGroup(FileSystem& files, const std::string& warehouse,
                                             const std::string& job);
/// The newest complete group of `job` before `checkpoint` that is still there.
std::optional<CommitGroup> CommitGroupBefore(FileSystem& files, const std::string& warehouse,
                                             const std::string& job, int64_t checkpoint);

}  // namespace millrace
