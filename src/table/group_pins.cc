#include "table/group_pins.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "table/commit_group.h"
#include "table/snapshot_search.h"

namespace millrace {

namespace {

constexpr int64_t kHourMs = 3'600'000;
constexpr int64_t kForgetAfterMs = 24 * kHourMs;

std::string GroupsFolder(const TableState& table) {
  return JoinPath(WarehouseOf(table.folder), ".millrace/groups");
}

/// When the newest group of a job was published; 0 when there is none.
int64_t PublishedMs(const TableState& table, const std::string& job) {
  int64_t newest = 0;
  for (const FileEntry& entry : table.context.files.List(JoinPath(GroupsFolder(table), job))) {
    if (!std::isdigit(static_cast<unsigned char>(entry.name[0]))) continue;  // Members, the end.
    newest = std::max(newest, entry.modified_ms);
  }
  return newest;
}

/// Whether the table has a later group of the job, which is not complete.
bool IsHalfCommitted(const TableState& table, const CommitGroup& group) {
  if (HaveGroupsEnded(table.context.files, WarehouseOf(table.folder), group.job)) return false;
  std::optional<Snapshot> latest = table.snapshots.Latest();
  if (!latest) return false;
  GroupClock clock = GroupClockOf(table.snapshots, *latest);
  auto member = clock.find(group.job);
  return member != clock.end() && member->second > group.checkpoint;
}

/// Whether every table that the group names has gone past it, or is gone itself, and no clock names
/// the job any more: readers would look for its groups.
bool IsPassed(const TableState& table, const CommitGroup& group) {
  for (const auto& [folder, id] : group.snapshots) {
    SnapshotStore snapshots(table.context.files, folder);
    std::optional<Snapshot> earliest = EarliestSnapshot(snapshots);
    if (!earliest) continue;
    if (earliest->id <= id || GroupClockOf(snapshots, *earliest).contains(group.job)) return false;
    for (int64_t later = earliest->id + 1; auto snapshot = snapshots.Find(later); later++) {
      auto member = GroupOf(*snapshot);
      if (member && member->first == group.job) return false;
    }
  }
  return true;
}

}  // namespace

std::optional<int64_t> OldestPinned(const TableState& table) {
  FileSystem& files = table.context.files;
  std::string warehouse = WarehouseOf(table.folder);
  int64_t kept_ms = std::max(table.parsed.snapshot_retained_ms, kHourMs);
  std::optional<int64_t> oldest;
  for (const FileEntry& job : files.List(GroupsFolder(table))) {
    auto group = LatestCommitGroup(files, warehouse, job.name);
    if (!group) continue;
    auto member = group->snapshots.find(table.folder);
    if (member == group->snapshots.end()) continue;
    bool is_recent = PublishedMs(table, job.name) >= table.context.clock.NowMs() - kept_ms;
    if (!is_recent && !IsHalfCommitted(table, *group)) continue;
    oldest = std::min(oldest.value_or(member->second), member->second);
  }
  return oldest;
}

void ForgetPassedGroups(const TableState& table) {
  try {
    FileSystem& files = table.context.files;
    std::string warehouse = WarehouseOf(table.folder);
    for (const FileEntry& job : files.List(GroupsFolder(table))) {
      int64_t published = PublishedMs(table, job.name);
      if (published >= table.context.clock.NowMs() - kForgetAfterMs) continue;
      auto group = LatestCommitGroup(files, warehouse, job.name);
      bool concerns_us = group && group->snapshots.contains(table.folder);
      if (concerns_us && IsPassed(table, *group)) {
        files.DeleteFolder(JoinPath(GroupsFolder(table), job.name));
      }
    }
  } catch (const Error&) {
    // The next expiry tries again.
  }
}

}  // namespace millrace
