#include "table/expire.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "table/commit_group.h"
#include "table/index_store.h"

namespace millrace {

namespace {

/// The smallest id of this table that a commit group still names.
std::optional<int64_t> OldestInGroups(const TableState& table) {
  std::string warehouse = WarehouseOf(table.folder);
  std::optional<int64_t> oldest;
  for (const FileEntry& job : table.context.files.List(JoinPath(warehouse, ".millrace/groups"))) {
    auto group = LatestCommitGroup(table.context.files, warehouse, job.name);
    if (!group) continue;
    auto member = group->snapshots.find(table.folder);
    if (member == group->snapshots.end()) continue;
    oldest = std::min(oldest.value_or(member->second), member->second);
  }
  return oldest;
}

/// The first snapshot to keep; `earliest` when nothing is due.
int64_t FirstToKeep(const TableState& table, int64_t earliest, int64_t latest) {
  const TableOptions& options = table.parsed;
  int64_t keep_from = std::max(earliest, latest - options.snapshot_retained_max + 1);
  int64_t oldest_by_count = latest - options.snapshot_retained_min + 1;
  int64_t bound = std::min(oldest_by_count, earliest + options.snapshot_expire_limit);
  if (auto grouped = OldestInGroups(table)) bound = std::min(bound, *grouped);
  int64_t due_before = table.context.clock.NowMs() - options.snapshot_retained_ms;
  while (keep_from < bound) {
    std::optional<Snapshot> snapshot = table.snapshots.Find(keep_from);
    if (!snapshot || snapshot->time_ms >= due_before) break;
    keep_from++;
  }
  return std::max(earliest, std::min(keep_from, bound));
}

void AddMetadata(const TableState& table, const Snapshot& snapshot, std::set<std::string>& names) {
  auto add_list = [&](const std::string& list) {
    names.insert(list);
    for (const ManifestFileMeta& manifest : table.manifests.ReadList(list))
      names.insert(manifest.file_name);
  };
  add_list(snapshot.base_manifest_list);
  add_list(snapshot.delta_manifest_list);
  if (snapshot.changelog_manifest_list) add_list(*snapshot.changelog_manifest_list);
  if (snapshot.index_manifest) names.insert(*snapshot.index_manifest);
}

void AddIndexFiles(const TableState& table, const Snapshot& snapshot,
                   std::set<std::string>& paths) {
  for (const IndexManifestEntry& entry : ReadIndexEntries(table, snapshot)) {
    paths.insert(IndexFilePath(table, entry));
  }
}

std::string PathOf(const TableState& table, const ManifestEntry& entry) {
  return DataFilePath(table.BucketFolder(entry.partition, entry.bucket), entry.file);
}

/// Data files that snapshot `snapshot` removed: needed by none from it on.
void AddRemovedFiles(const TableState& table, const Snapshot& snapshot,
                     std::set<std::string>& paths) {
  std::set<std::string> removed;
  std::vector<ManifestEntry> delta = table.manifests.EntriesOf(snapshot.delta_manifest_list);
  for (const ManifestEntry& entry : delta) {
    if (entry.kind == FileKind::kDelete) removed.insert(PathOf(table, entry));
  }
  for (const ManifestEntry& entry : delta) {  // Lifted to another level, under the same name.
    if (entry.kind == FileKind::kAdd) removed.erase(PathOf(table, entry));
  }
  paths.merge(removed);
}

int64_t Expire(const TableState& table) {
  FileSystem& files = table.context.files;
  for (const char* folder : {"tag", "consumer", "branch", "changelog"}) {
    if (!files.List(JoinPath(table.folder, folder)).empty()) return 0;
  }
  std::optional<int64_t> earliest = table.snapshots.EarliestId(),
                         latest = table.snapshots.LatestId();
  if (!earliest || !latest) return 0;
  int64_t keep_from = FirstToKeep(table, *earliest, *latest);
  if (keep_from <= *earliest) return 0;
  // First everything is read, then removed: what cannot be read stays whole.
  std::set<std::string> kept, gone, paths, kept_indexes;
  std::optional<Snapshot> first_kept = table.snapshots.Find(keep_from);
  if (!first_kept) return 0;
  AddMetadata(table, *first_kept, kept);
  AddIndexFiles(table, *first_kept, kept_indexes);
  for (int64_t id = *earliest; id < keep_from; id++) {
    std::optional<Snapshot> snapshot = table.snapshots.Find(id);
    if (!snapshot) return 0;
    AddMetadata(table, *snapshot, gone);
    AddIndexFiles(table, *snapshot, paths);
    if (id > *earliest) AddRemovedFiles(table, *snapshot, paths);
    if (!snapshot->changelog_manifest_list) continue;
    for (const ManifestEntry& entry :
         table.manifests.EntriesOf(*snapshot->changelog_manifest_list)) {
      paths.insert(PathOf(table, entry));
    }
  }
  AddRemovedFiles(table, *first_kept, paths);
  for (const std::string& path : kept_indexes) paths.erase(path);
  // Snapshots go first, oldest first, so that no reader starts on one whose files are going. A
  // failure here ends it: what the rest needs is still there.
  for (int64_t id = *earliest; id < keep_from; id++) table.snapshots.Remove(id);
  auto quietly = [](auto operation) {
    try {
      operation();
    } catch (const Error&) {
      // A stale hint, or an orphan.
    }
  };
  quietly([&] { table.snapshots.WriteEarliestHint(keep_from); });
  for (const std::string& path : paths) quietly([&] { files.Delete(path); });
  for (const std::string& name : gone) {
    if (!kept.contains(name)) quietly([&] { files.Delete(table.manifests.PathOf(name)); });
  }
  return keep_from - *earliest;
}

}  // namespace

int64_t ExpireSnapshots(const TableState& table) {
  try {
    return Expire(table);
  } catch (const Error&) {
    return 0;
  }
}

}  // namespace millrace
