#include "table/group_cut.h"

#include <deque>

#include "base/error.h"

namespace millrace {

namespace {

constexpr int kAttempts = 100;
constexpr int64_t kWaitMs = 20;  // A job that lives completes its group in that time.
constexpr int64_t kExpired = -1;

std::string KeyOf(const std::string& warehouse, const std::string& job) {
  return warehouse + "\n" + job;
}

}  // namespace

struct GroupCut::Candidate {
  Candidate(FileSystem& files, const std::string& folder)
      : files(files), snapshots(files, folder), warehouse(WarehouseOf(folder)) {}

  /// A long history of other programs is not searched where no job has told of its tables, which it
  /// does before it writes.
  GroupClock ClockOf(const Snapshot& snapshot) {
    bool tells = snapshot.properties.contains(kGroupProperty) ||
                 snapshot.properties.contains(kGroupClockProperty);
    if (!tells && !has_groups) has_groups = !GroupJobs(files, warehouse).empty();
    return tells || has_groups ? GroupClockOf(snapshots, snapshot) : GroupClock();
  }

  FileSystem& files;
  SnapshotStore snapshots;
  const std::string warehouse;
  int64_t latest = 0;
  std::optional<Snapshot> at;  // Not ahead of any group that is taken; nullopt: there is none.
  bool expired = false;        // ... any more.
  bool has_groups = false;
  std::string waits_for;  // A job whose group made it go down.
};

int64_t GroupCut::Newest(const std::shared_ptr<const Table>& table) {
  std::lock_guard lock(mutex_);
  const std::string& folder = table->folder();
  if (!chosen_.contains(folder)) {
    std::string culprit;
    for (int attempt = 1; Choose(folder, &culprit) == Outcome::kExpired; attempt++) {
      if (attempt == kAttempts) {
        Throw(
            ErrorCode::kConflict,
            "Reading table {}: job '{}' has left half a checkpoint in its tables, and what was "
            "there before has expired. Run its script again, so that it goes on, or with --fresh.",
            folder, culprit);
      }
      clock_.SleepMs(kWaitMs);
    }
  }
  asked_++;
  return chosen_.at(folder);
}

std::optional<int64_t> GroupCut::NewestAgain(const std::shared_ptr<const Table>& table) {
  {
    std::lock_guard lock(mutex_);
    if (asked_ > 1) return std::nullopt;
    chosen_.clear();
    groups_.clear();
    asked_ = 0;
  }
  return Newest(table);
}

/// Settles `table` and all that hangs together with it. Nothing is kept when `table` has no
/// snapshot left that could be read.
GroupCut::Outcome GroupCut::Choose(const std::string& table, std::string* culprit) {
  Candidates candidates;
  Groups groups = groups_;
  AddTable(table, candidates, groups);
  // Looked at again after the groups: then every table has all that these name. Jobs that have come
  // since are not taken.
  for (auto& [folder, candidate] : candidates) {
    candidate.at = candidate.snapshots.Latest();
    candidate.latest = candidate.at ? candidate.at->id : 0;
  }
  for (bool moved = true; moved;) {
    moved = false;
    for (auto& [folder, candidate] : candidates) moved = Descend(candidate, groups) || moved;
    moved = LowerGroups(candidates, groups) || moved;
  }
  const Candidate& asked = candidates.at(table);
  if (asked.expired) {
    *culprit = asked.waits_for;
    return Outcome::kExpired;
  }
  for (const auto& [folder, candidate] : candidates) {
    if (!candidate.expired) chosen_[folder] = candidate.at ? candidate.at->id : 0;
  }
  groups_ = std::move(groups);
  return Outcome::kChosen;
}

/// Adds `folder`, the jobs that write it, and the tables that these write.
void GroupCut::AddTable(const std::string& first, Candidates& candidates, Groups& groups) const {
  std::deque<std::string> folders = {first};
  for (; !folders.empty(); folders.pop_front()) {
    const std::string& folder = folders.front();
    if (chosen_.contains(folder)) continue;
    auto [slot, is_new] = candidates.try_emplace(folder, files_, folder);
    if (!is_new) continue;
    Candidate& candidate = slot->second;
    auto latest = candidate.snapshots.Latest();
    if (!latest) continue;
    for (const auto& [job, checkpoint] : candidate.ClockOf(*latest)) {
      auto [group, is_new_job] = groups.try_emplace(KeyOf(candidate.warehouse, job));
      if (!is_new_job) continue;
      group->second = NewestGroup(candidate.warehouse, job);
      if (!group->second) continue;
      for (const auto& [member, snapshot] : group->second->snapshots) folders.push_back(member);
    }
  }
}

/// The newest group that asks nothing more of a table that has been answered for.
std::optional<CommitGroup> GroupCut::NewestGroup(const std::string& warehouse,
                                                 const std::string& job) const {
  auto group = LatestCommitGroup(files_, warehouse, job);
  while (group && !Fits(*group)) {
    group = CommitGroupBefore(files_, warehouse, job, group->checkpoint);
  }
  return group;
}

bool GroupCut::Fits(const CommitGroup& group) const {
  for (const auto& [folder, snapshot] : group.snapshots) {
    auto chosen = chosen_.find(folder);
    if (chosen == chosen_.end() || chosen->second >= snapshot) continue;
    // A table that was dropped and made anew counts from 1 again.
    if (SnapshotStore(files_, folder).LatestId().value_or(0) >= snapshot) return false;
  }
  return true;
}

/// Goes down to the newest snapshot that has no more of any job than is taken. True when it moved.
bool GroupCut::Descend(Candidate& candidate, const Groups& groups) const {
  bool moved = false;
  while (candidate.at) {
    bool admitted = true;
    for (const auto& [job, checkpoint] : candidate.ClockOf(*candidate.at)) {
      auto taken = groups.find(KeyOf(candidate.warehouse, job));
      if (taken != groups.end() && taken->second && taken->second->checkpoint >= checkpoint) {
        continue;
      }
      admitted = false;
      candidate.waits_for = job;
      break;
    }
    if (admitted) break;
    moved = true;
    int64_t below = candidate.at->id - 1;
    candidate.at = candidate.snapshots.Find(below);
    candidate.expired = !candidate.at && below > 0;
  }
  return moved;
}

/// Takes older groups of jobs whose newest is not in every table as it is now. True when it did.
bool GroupCut::LowerGroups(const Candidates& candidates, Groups& groups) const {
  bool moved = false;
  for (auto& [key, group] : groups) {
    if (groups_.contains(key)) continue;  // Tables have been answered for by it.
    auto is_there = [&](const CommitGroup& wanted) {
      for (const auto& [folder, snapshot] : wanted.snapshots) {
        auto found = candidates.find(folder);
        if (found == candidates.end() || found->second.latest < snapshot) continue;  // Made anew.
        if (found->second.expired) continue;  // Nobody can read it.
        if (!found->second.at || found->second.at->id < snapshot) return false;
      }
      return true;
    };
    while (group && !is_there(*group)) {
      std::string warehouse = key.substr(0, key.find('\n'));
      group = CommitGroupBefore(files_, warehouse, group->job, group->checkpoint);
      moved = true;
    }
  }
  return moved;
}

}  // namespace millrace
