#include "table/expire.h"

#include <algorithm>

#include "base/error.h"
#include "meta/options.h"
#include "table/commit_group.h"
#include "table/file_references.h"
#include "table/group_pins.h"

namespace millrace {

namespace {

/// Limits of snapshots or of changelogs, as the options say.
struct Limits {
  int64_t retain_max, retain_min, retained_ms, max_deletes;
};

Limits SnapshotLimits(const TableState& table) {
  const TableOptions& options = table.parsed;
  return {options.snapshot_retained_max, options.snapshot_retained_min,
          options.snapshot_retained_ms, options.snapshot_expire_limit};
}

Limits ChangelogLimits(const TableState& table) {
  Limits limits = SnapshotLimits(table);
  const Options& options = table.options;
  limits.retain_max = GetInt(options, "changelog.num-retained.max", limits.retain_max);
  limits.retain_min = GetInt(options, "changelog.num-retained.min", limits.retain_min);
  limits.retained_ms = GetDurationMs(options, "changelog.time-retained", limits.retained_ms);
  return limits;
}

Limits Applied(Limits limits, const ExpireRequest& request, int64_t now_ms) {
  limits.retain_max = request.retain_max.value_or(limits.retain_max);
  limits.retain_min = request.retain_min.value_or(limits.retain_min);
  limits.max_deletes = request.max_deletes.value_or(limits.max_deletes);
  if (request.older_than_ms) limits.retained_ms = now_ms - *request.older_than_ms;
  if (limits.retain_min < 1 || limits.retain_max < limits.retain_min) {
    Throw(ErrorCode::kInvalid,
          "Expiring: at least {} (from 1 on) and at most {} are to be kept, which cannot be",
          limits.retain_min, limits.retain_max);
  }
  return limits;
}

/// The first snapshot to keep; `earliest` when nothing is due.
int64_t FirstToKeep(const TableState& table, const Limits& limits, int64_t earliest,
                    int64_t latest) {
  int64_t keep_from = std::max(earliest, latest - limits.retain_max + 1);
  int64_t bound = latest - limits.retain_min + 1;
  if (limits.max_deletes < latest) bound = std::min(bound, earliest + limits.max_deletes);
  if (auto grouped = OldestPinned(table)) bound = std::min(bound, *grouped);
  if (!GetBool(table.options, "consumer.changelog-only", false)) {
    if (auto next = table.consumers.LeastNext()) bound = std::min(bound, *next);
  }
  int64_t due_before = table.context.clock.NowMs() - limits.retained_ms;
  while (keep_from < bound) {
    std::optional<Snapshot> snapshot = table.snapshots.Find(keep_from);
    if (!snapshot || snapshot->time_ms >= due_before) break;
    keep_from++;
  }
  return std::max(earliest, std::min(keep_from, bound));
}

/// Files that went with one snapshot, for readers of it and of those after it.
struct Removed {
  int64_t snapshot_id;
  std::vector<ManifestEntry> entries;
};

/// The files that a delta removed. One that was lifted to another level is there under its old
/// name.
std::vector<ManifestEntry> RemovedBy(const TableState& table, const ListFile& delta_list) {
  std::vector<ManifestEntry> delta = table.manifests.EntriesOf(delta_list);
  std::set<std::string> added;
  for (const ManifestEntry& entry : delta) {
    if (entry.kind == FileKind::kAdd) added.insert(PathsOfEntry(table, entry)[0]);
  }
  std::erase_if(delta, [&](const ManifestEntry& entry) {
    return entry.kind == FileKind::kAdd || added.contains(PathsOfEntry(table, entry)[0]);
  });
  return delta;
}

/// Drops from `removed` what tags still need: of those before a removal only the nearest can.
/// Returns the paths that may go.
std::vector<std::string> WithoutTagged(const TableState& table, const std::vector<Removed>& removed,
                                       const std::vector<NamedTag>& tags) {
  std::vector<std::string> paths;
  std::optional<int64_t> cached;
  std::unique_ptr<FileReferences> tagged;
  for (const Removed& item : removed) {
    const Snapshot* nearest = nullptr;
    for (const NamedTag& tag : tags) {
      if (tag.tag.snapshot.id < item.snapshot_id) nearest = &tag.tag.snapshot;
    }
    if (nearest && cached != nearest->id) {
      tagged = std::make_unique<FileReferences>(table);
      tagged->AddLiveFiles(*nearest);
      cached = nearest->id;
    }
    for (const ManifestEntry& entry : item.entries) {
      for (std::string& path : PathsOfEntry(table, entry)) {
        if (!nearest || !tagged->Has(path)) paths.push_back(std::move(path));
      }
    }
  }
  return paths;
}

/// Adds the metadata of those tags that can share some with snapshots in [begin, end).
void AddNeighbourTags(const std::vector<NamedTag>& tags, int64_t begin, int64_t end,
                      FileReferences& kept) {
  const Snapshot* before = nullptr;
  for (const NamedTag& tag : tags) {
    const Snapshot& snapshot = tag.tag.snapshot;
    if (snapshot.id <= begin) {
      before = &snapshot;
    } else if (snapshot.id < end) {
      kept.AddLists(snapshot);
      kept.AddIndexes(snapshot);
    }
  }
  if (!before) return;
  kept.AddLists(*before);
  kept.AddIndexes(*before);
}

/// One run of the expiry of snapshots [begin, end).
class SnapshotExpiry {
 public:
  SnapshotExpiry(const TableState& table, int64_t begin, int64_t end)
      : table_(table), begin_(begin), end_(end), gone_(table) {
    decoupled_ = HasDecoupledChangelog(table);
    produces_ =
        table.HasPrimaryKey() && table.parsed.changelog_producer != ChangelogProducer::kNone;
  }

  /// Reads all that will be decided on; false when somebody else is at it.
  bool Read() {
    for (int64_t id = begin_; id <= end_; id++) {
      std::optional<Snapshot> snapshot = table_.snapshots.Find(id);
      if (!snapshot) return false;
      if (id > begin_) removed_.push_back({id, RemovedBy(table_, snapshot->DeltaList())});
      snapshots_.push_back(std::move(*snapshot));
    }
    for (size_t i = 0; i + 1 < snapshots_.size(); i++) {
      const Snapshot& snapshot = snapshots_[i];
      gone_.AddIndexes(snapshot);
      // Of a table without changelog files the appended data files are the changelog.
      if (!decoupled_ || produces_) gone_.AddLists(snapshot);
      if (decoupled_) continue;
      gone_.AddChangelogLists(snapshot);
      if (snapshot.changelog_manifest_list) {
        for (const ManifestEntry& entry : table_.manifests.EntriesOf(snapshot.ChangelogList())) {
          for (std::string& path : PathsOfEntry(table_, entry))
            changelog_.push_back(std::move(path));
        }
      }
    }
    if (decoupled_ && !produces_) KeepAppended();
    (void)table_.tags.All();  // One that cannot be read may need any of it.
    return true;
  }

  void Remove() {
    if (decoupled_) {
      for (size_t i = 0; i + 1 < snapshots_.size(); i++) table_.changelogs.Put(snapshots_[i]);
      table_.changelogs.WriteLatestHint(end_ - 1);
    }
    // Oldest first, so that no reader starts on one whose files are going. A failure here ends it:
    // what the rest needs is still there.
    for (int64_t id = begin_; id < end_; id++) table_.snapshots.Remove(id);
    try {
      table_.snapshots.WriteEarliestHint(end_);
      RemoveFiles();
    } catch (const Error&) {
      // A stale hint, or orphans.
    }
  }

 private:
  void KeepAppended() {
    for (Removed& item : removed_) {
      std::erase_if(item.entries, [](const ManifestEntry& entry) {
        return entry.file.file_source.value_or(FileSource::kAppend) == FileSource::kAppend;
      });
    }
  }

  /// Tags and branches are looked at only now: one made from here on finds its snapshot gone.
  void RemoveFiles() {
    std::vector<NamedTag> tags = table_.tags.All();
    FileReferences kept(table_), branches(table_);
    kept.AddLists(snapshots_.back());
    kept.AddIndexes(snapshots_.back());
    AddNeighbourTags(tags, begin_, end_, kept);
    branches.AddBranches();
    std::vector<std::string> data = WithoutTagged(table_, removed_, tags);
    data.insert(data.end(), changelog_.begin(), changelog_.end());
    std::erase_if(data, [&](const std::string& path) { return branches.Has(path); });
    DeleteQuietly(table_, data);
    std::vector<std::string> metadata;
    for (const std::string& path : gone_.paths()) {
      if (!kept.Has(path) && !branches.Has(path)) metadata.push_back(path);
    }
    DeleteQuietly(table_, metadata);
  }

  const TableState& table_;
  const int64_t begin_, end_;
  bool decoupled_ = false;
  bool produces_ = false;            // Changelog files apart from the data.
  std::vector<Snapshot> snapshots_;  // [begin, end].
  std::vector<Removed> removed_;     // By (begin, end].
  std::vector<std::string> changelog_;
  FileReferences gone_;
};

/// The changelogs from `begin` up to, not including, `end` and what only they need.
void RemoveChangelogs(const TableState& table, const std::vector<int64_t>& ids, int64_t end) {
  FileReferences gone(table), kept(table);
  std::vector<Removed> removed;
  std::vector<std::string> data;
  auto has_list = [&](const std::string& list) {
    return table.context.files.Exists(table.manifests.PathOf(list));
  };
  for (int64_t id : ids) {
    if (id >= end) break;
    std::optional<Snapshot> changelog = table.changelogs.Find(id);
    if (!changelog) continue;
    if (changelog->changelog_manifest_list) {
      if (!has_list(*changelog->changelog_manifest_list)) continue;
      gone.AddChangelogLists(*changelog);
      FileReferences files(table);
      files.AddChangelogFiles(*changelog);
      data.insert(data.end(), files.paths().begin(), files.paths().end());
    } else if (has_list(changelog->delta_manifest_list) &&
               has_list(changelog->base_manifest_list)) {
      gone.AddLists(*changelog);
      removed.push_back({id, RemovedBy(table, changelog->DeltaList())});
    }
  }
  for (int64_t id : ids) {
    if (id < end) table.changelogs.Remove(id);
  }
  std::vector<NamedTag> tags = table.tags.All();
  AddNeighbourTags(tags, ids.front(), end, kept);
  for (const auto& next : {table.changelogs.Find(end), table.snapshots.Find(end)}) {
    if (next && has_list(next->base_manifest_list) && has_list(next->delta_manifest_list)) {
      kept.AddLists(*next);
    }
  }
  if (auto earliest = table.snapshots.EarliestId()) {
    if (auto snapshot = table.snapshots.Find(*earliest)) kept.AddLists(*snapshot);
  }
  kept.AddBranches();
  for (std::string& path : WithoutTagged(table, removed, tags)) data.push_back(std::move(path));
  std::erase_if(data, [&](const std::string& path) { return kept.Has(path); });
  DeleteQuietly(table, data);
  std::vector<std::string> metadata;
  for (const std::string& path : gone.paths()) {
    if (!kept.Has(path)) metadata.push_back(path);
  }
  DeleteQuietly(table, metadata);
}

}  // namespace

bool HasDecoupledChangelog(const TableState& table) {
  Limits snapshots = SnapshotLimits(table), changelogs = ChangelogLimits(table);
  return changelogs.retain_max > snapshots.retain_max ||
         changelogs.retain_min > snapshots.retain_min ||
         changelogs.retained_ms > snapshots.retained_ms;
}

int64_t ExpireSnapshots(const TableState& table, const ExpireRequest& request) {
  Limits limits = Applied(SnapshotLimits(table), request, table.context.clock.NowMs());
  std::optional<int64_t> earliest = table.snapshots.EarliestId(),
                         latest = table.snapshots.LatestId();
  if (!earliest || !latest) return 0;
  int64_t end = FirstToKeep(table, limits, *earliest, *latest);
  if (end <= *earliest) return 0;
  SnapshotExpiry expiry(table, *earliest, end);
  if (!expiry.Read()) return 0;
  expiry.Remove();
  ForgetPassedGroups(table);
  return end - *earliest;
}

int64_t ExpireChangelogs(const TableState& table, const ExpireRequest& request, bool all) {
  std::vector<int64_t> ids = table.changelogs.Ids();
  std::optional<int64_t> latest = table.snapshots.LatestId();
  if (ids.empty() || !latest) return 0;
  int64_t end = ids.back() + 1;
  if (!all) {
    Limits limits = Applied(ChangelogLimits(table), request, table.context.clock.NowMs());
    int64_t keep_from = std::max(ids.front(), *latest - limits.retain_max + 1);
    int64_t bound = std::min(*latest - limits.retain_min + 1, end);
    if (limits.max_deletes < *latest) bound = std::min(bound, ids.front() + limits.max_deletes);
    if (auto next = table.consumers.LeastNext()) bound = std::min(bound, *next);
    int64_t due_before = table.context.clock.NowMs() - limits.retained_ms;
    while (keep_from < bound) {
      std::optional<Snapshot> changelog = table.changelogs.Find(keep_from);
      if (changelog && changelog->time_ms >= due_before) break;
      keep_from++;
    }
    end = std::min(keep_from, bound);
  }
  if (end <= ids.front()) return 0;
  int64_t count = std::count_if(ids.begin(), ids.end(), [&](int64_t id) { return id < end; });
  RemoveChangelogs(table, ids, end);
  if (count == static_cast<int64_t>(ids.size())) table.changelogs.WriteLatestHint(-1);
  table.changelogs.WriteEarliestHint(end);
  return count;
}

}  // namespace millrace
