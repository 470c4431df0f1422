// commit_group.h - the snapshots that one checkpoint of one job made in several tables of a
// warehouse.
//
// `<warehouse>/.millrace/groups/<job>/<checkpoint>` (JSON: table folder below the warehouse ->
// snapshot id) appears after all members have committed; each member's snapshot says
// `millrace.group` = `<job>/<checkpoint>`. A reader of several members advances by groups that are
// complete, so it never sees half a checkpoint.
#pragma once

#include "io/file_system.h"
#include "meta/snapshot.h"

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

/// Publishes one group file in every warehouse that has members. A member that did not change in
/// this checkpoint keeps the snapshot it had in the group before. Idempotent. Keeps the newest
/// `kKeptGroups`.
inline constexpr int64_t kKeptGroups = 100;
void PublishCommitGroup(FileSystem& files, const CommitGroup& group);
/// The newest complete group of `job`; nullopt when there is none.
std::optional<CommitGroup> LatestCommitGroup(FileSystem& files, const std::string& warehouse,
                                             const std::string& job);
/// The newest complete group of `job` before `checkpoint` that is still there.
std::optional<CommitGroup> CommitGroupBefore(FileSystem& files, const std::string& warehouse,
                                             const std::string& job, int64_t checkpoint);

}  // namespace millrace
