// committer.h - makes a prepared commit visible: one APPEND (or OVERWRITE) and, after a compaction,
// one COMPACT snapshot.
//
// Optimistic: write manifests, then try to create the next snapshot file; on a lost race look
// whether we are there already, check for conflicts, and try the next id. Crashes and races:
// docs/internals/commit.md. Bytes: docs/format.md#snapshot.
#pragma once

#include "table/table_state.h"

namespace millrace {

/// Publishes commits of one user to one table.
/// Threads: one at a time; others may commit to the same table, in this process or elsewhere.
/// Throws: Error(kConflict) naming who did what; Error(kIo): nothing is lost, the same commit may
/// be repeated, unless it was the sync of its data files that failed (FileSync::Wait).
class Committer {
 public:
  Committer(const TableState& table, std::string user, int64_t identifier);

  /// The id of the last snapshot of this commit; nullopt when there is nothing to commit.
  std::optional<int64_t> Commit(const Committable& committable, CommitReport* report);

 private:
  struct Part;
  int64_t PublishPart(Part& part);
  std::optional<int64_t> TryPublish(Part& part, const std::optional<Snapshot>& latest);
  void CollectEntries(const Committable& committable, Part& main, Part& compact) const;
  /// Makes `part` fit on top of `latest`; what makes that impossible, if anything does.
  std::optional<std::string> Rebase(Part& part, const std::optional<Snapshot>& latest) const;
  [[noreturn]] void GiveUp(Part& part) const;
  void DeleteQuietly(const ManifestEntry& entry) const;
  Snapshot MakeSnapshot(const Part& part, const std::optional<Snapshot>& latest,
                        ListFile base) const;
  std::optional<int64_t> FindPublished(Part& part, const std::optional<Snapshot>& latest);
  void RefuseMissingFiles(const Part& part) const;
  std::optional<std::string> FindMissingFile(const Part& part) const;
  bool IsFullSoFar(std::optional<Snapshot> latest) const;
  int64_t NewestUnlogged(std::optional<Snapshot> latest) const;
  void DeleteInVain(const Part& compact) const;
  bool IsApplied(const Part& part, const Snapshot& latest, int64_t except_id) const;
  std::optional<std::string> FindConflict(Part& part, const std::optional<Snapshot>& latest) const;
  std::optional<std::string> FindOtherBase(const Part& part, const Snapshot& latest,
                                           const std::map<std::string, ManifestEntry>& live) const;
  std::optional<std::string> FindIndexConflictOf(
      Part& part, const Snapshot& latest, const std::map<std::string, ManifestEntry>& live) const;
  std::string WhoRemoved(const ManifestEntry& entry, const Snapshot& latest) const;
  void Wait(int attempt) const;

  const TableState& table_;
  std::string user_;
  int64_t identifier_;
};

}  // namespace millrace
