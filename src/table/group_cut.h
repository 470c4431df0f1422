// group_cut.h - which snapshots of several tables may be read together.
//
// Snapshots of a commit group (commit_group.h) may be read once the group is complete, and of
// tables that one job writes none may be ahead of another. A reader asks for one table after the
// other while the jobs go on, and a later table could not move an answer that was given; so the
// first question settles all tables that the same jobs write, theirs, and so on. Where two jobs
// write the same tables, a group of one may lie behind half a group of the other: then an older one
// is taken, until every table has exactly the groups that are taken.
#pragma once

#include <mutex>

#include "io/clock.h"
#include "table/commit_group.h"
#include "table/table.h"

namespace millrace {

/// Chooses one snapshot per table, for one query or one step.
///
/// Threads: safe. Throws: Error(kIo, kCorrupt) naming the file; Error(kConflict) naming the job
/// that has left half a group behind, when what came before has expired.
class GroupCut {
 public:
  GroupCut(FileSystem& files, Clock& clock) : files_(files), clock_(clock) {}

  /// The newest snapshot of `table` that may be read; 0 when there is none. The first answer for a
  /// table stands. Cost: a few small files per table that the same jobs write.
  int64_t Newest(const std::shared_ptr<const Table>& table);
  /// The same, for a reader that has found its snapshot to be expired: chooses anew, if nothing
  /// else was asked; nullopt otherwise.
  std::optional<int64_t> NewestAgain(const std::shared_ptr<const Table>& table);

 private:
  /// One table of the closure while its snapshot is being chosen.
  struct Candidate;
  using Candidates = std::map<std::string, Candidate>;
  using Groups = std::map<std::string, std::optional<CommitGroup>>;  // By warehouse and job.
  enum class Outcome : uint8_t { kChosen, kExpired };

  Outcome Choose(const std::string& table, std::string* culprit);
  void AddTable(const std::string& folder, Candidates& candidates, Groups& groups) const;
  std::optional<CommitGroup> NewestGroup(const std::string& warehouse,
                                         const std::string& job) const;
  bool Fits(const CommitGroup& group) const;
  bool Descend(Candidate& candidate, const Groups& groups) const;
  bool LowerGroups(const Candidates& candidates, Groups& groups) const;

  FileSystem& files_;
  Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, int64_t> chosen_;  // By table folder; -1: expired.
  Groups groups_;                          // As taken, of the jobs of chosen tables.
  int asked_ = 0;
};

}  // namespace millrace
