// group_cut.h - which snapshots of several tables may be read together.
//
// Snapshots of a commit group (commit_group.h) may be read once the group is complete, and of
// tables that one job writes none may be ahead of another. Tables are looked at one after the other
// while the job goes on, so the cut remembers what it has chosen and takes an older group where a
// newer one would ask more of a table that has been looked at already.
#pragma once

#include <mutex>

#include "table/commit_group.h"
#include "table/table.h"

namespace millrace {

/// Chooses one snapshot per table, for one query or one step.
///
/// Threads: safe. Throws: Error(kIo, kCorrupt) naming the file.
class GroupCut {
 public:
  explicit GroupCut(FileSystem& files) : files_(files) {}

  /// The newest snapshot of `table` that may be read; 0 when there is none. The first answer for a
  /// table stands. Cost: one small file per snapshot looked at, at least kLookBack of them.
  int64_t Newest(const std::shared_ptr<const Table>& table);

  /// A commit of somebody else may lie on top of a group that is not complete: so many snapshots
  /// below the newest are looked at.
  static constexpr int64_t kLookBack = 8;

 private:
  struct Chosen {
    std::shared_ptr<const Table> table;
    int64_t snapshot = 0;
  };

  bool Admits(const Table& table, const Snapshot& snapshot);
  std::optional<CommitGroup> ChooseGroup(const std::string& warehouse, const std::string& job);
  bool Fits(const CommitGroup& group) const;

  FileSystem& files_;
  std::mutex mutex_;
  std::map<std::string, Chosen> chosen_;                      // By table folder.
  std::map<std::string, std::optional<CommitGroup>> groups_;  // By warehouse and job.
};

}  // namespace millrace
