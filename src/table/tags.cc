#include "table/tags.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "lsm/run_file_writer.h"
#include "meta/options.h"
#include "table/file_references.h"
#include "table/tag_periods.h"

namespace millrace {

namespace {

constexpr int64_t kNanosPerMs = 1'000'000;

void CheckName(const std::string& name) {
  bool blank =
      std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isspace(c) != 0; });
  if (blank) Throw(ErrorCode::kInvalid, "A tag's name cannot be blank");
  if (name.find('/') != std::string::npos) {
    Throw(ErrorCode::kInvalid, "'{}' cannot be a tag's name: it must be a file's name", name);
  }
}

Tag MakeTag(const TableState& table, const Snapshot& snapshot, std::optional<int64_t> retained_ms) {
  constexpr const char* kDefault = "tag.default-time-retained";
  if (!retained_ms && table.options.contains(kDefault)) {
    retained_ms = GetDurationMs(table.options, kDefault, 0);
  }
  Tag tag{snapshot, {}, {}};
  if (!retained_ms) return tag;
  // Only with a lifetime: readers of before 0.8 do not know these fields.
  tag.created_ns = LocalWallClockMs(table.context.clock) * kNanosPerMs;
  tag.retained_ns = std::min(*retained_ms, INT64_MAX / kNanosPerMs) * kNanosPerMs;
  return tag;
}

/// Two automatic tags of one snapshot could not be told apart later.
void RefuseSecondAutomatic(const TableState& table, const std::string& name,
                           const Snapshot& snapshot) {
  std::optional<TagPeriods> periods = TagPeriods::OfAutomatic(table.options);
  if (!periods || !periods->TimeOf(name)) return;
  for (const NamedTag& tag : table.tags.All()) {
    if (tag.name == name || tag.tag.snapshot.id != snapshot.id || !periods->TimeOf(tag.name))
      continue;
    Throw(ErrorCode::kExists, "Snapshot {} has the automatic tag '{}' already", snapshot.id,
          tag.name);
  }
}

/// Expiry removes a snapshot's file and then asks for tags: a tag that came too late for that finds
/// the file gone. Of a snapshot that lives on in another tag the files are kept by that.
bool IsKept(const TableState& table, const std::string& name, const Snapshot& snapshot) {
  if (table.snapshots.Find(snapshot.id)) return true;
  std::vector<NamedTag> tags = table.tags.All();
  return std::any_of(tags.begin(), tags.end(), [&](const NamedTag& tag) {
    return tag.name != name && tag.tag.snapshot.id == snapshot.id;
  });
}

[[noreturn]] void FailExpired(const std::string& name, const Snapshot& snapshot) {
  Throw(ErrorCode::kConflict, "Tag '{}' cannot be made: snapshot {} has just expired", name,
        snapshot.id);
}

/// Removes the files that only the snapshot of a removed tag needed. `tags`: those that remain.
void RemoveFilesOf(const TableState& table, const Snapshot& snapshot,
                   const std::vector<NamedTag>& tags) {
  const Snapshot* left = nullptr;
  std::optional<Snapshot> right;
  if (auto earliest = table.snapshots.EarliestId()) right = table.snapshots.Find(*earliest);
  for (const NamedTag& tag : tags) {
    const Snapshot& other = tag.tag.snapshot;
    if (other.id == snapshot.id) return;  // Another tag of the same snapshot.
    if (other.id < snapshot.id) left = &other;
    if (other.id > snapshot.id && (!right || other.id < right->id)) right = other;
  }
  FileReferences gone(table), kept(table);
  gone.AddState(snapshot);
  if (left) kept.AddState(*left);
  if (right) kept.AddState(*right);
  kept.AddBranches();
  // A changelog that outlives its snapshot may need files of the tag too.
  for (int64_t id : table.changelogs.Ids()) {
    auto changelog = table.changelogs.Find(id);
    if (!changelog || changelog->changelog_manifest_list) continue;
    if (!table.context.files.Exists(table.manifests.PathOf(changelog->delta_manifest_list)))
      continue;
    kept.AddLists(*changelog);
    for (const ManifestEntry& entry : table.manifests.EntriesOf(changelog->DeltaList())) {
      kept.AddEntry(entry);
    }
  }
  std::vector<std::string> paths;
  for (const std::string& path : gone.paths()) {
    if (!kept.Has(path)) paths.push_back(path);
  }
  DeleteQuietly(table, paths);
}

}  // namespace

Snapshot NeedSnapshotOrTag(const TableState& table, int64_t id) {
  if (auto snapshot = table.snapshots.Find(id)) return *snapshot;
  for (const NamedTag& tag : table.tags.All()) {
    if (tag.tag.snapshot.id == id) return tag.tag.snapshot;
  }
  Throw(ErrorCode::kNotFound, "Table {} has no snapshot {} and no tag of it; there are {} to {}",
        table.folder, id, table.snapshots.EarliestId().value_or(0),
        table.snapshots.LatestId().value_or(0));
}

void CreateTag(const TableState& table, const std::string& name, const Snapshot& snapshot,
               std::optional<int64_t> retained_ms, bool ignore_existing) {
  CheckName(name);
  RefuseSecondAutomatic(table, name, snapshot);
  if (!table.tags.Create(name, MakeTag(table, snapshot, retained_ms))) {
    if (ignore_existing) return;
    Throw(ErrorCode::kExists, "Table {} has a tag '{}' already; replace_tag changes it",
          table.folder, name);
  }
  if (IsKept(table, name, snapshot)) return;
  table.tags.Remove(name);
  FailExpired(name, snapshot);
}

void ReplaceTag(const TableState& table, const std::string& name, const Snapshot& snapshot,
                std::optional<int64_t> retained_ms) {
  Tag before = table.tags.Need(name);
  table.tags.Replace(name, MakeTag(table, snapshot, retained_ms));
  if (!IsKept(table, name, snapshot)) {
    table.tags.Replace(name, before);
    FailExpired(name, snapshot);
  }
  if (before.snapshot.id == snapshot.id || table.snapshots.Find(before.snapshot.id)) return;
  try {
    RemoveFilesOf(table, before.snapshot, table.tags.All());
  } catch (const Error&) {
    // Orphans.
  }
}

void RenameTag(const TableState& table, const std::string& from, const std::string& to) {
  CheckName(to);
  table.tags.Need(from);
  if (table.tags.Find(to)) {
    Throw(ErrorCode::kExists, "Table {} has a tag '{}' already", table.folder, to);
  }
  table.tags.Rename(from, to);
}

bool DeleteTag(const TableState& table, const std::string& name) {
  std::optional<Tag> tag = table.tags.Find(name);
  if (!tag) return false;
  // Renamed meanwhile: then its files are still needed.
  if (!table.tags.Remove(name)) return false;
  try {
    if (!table.snapshots.Find(tag->snapshot.id)) {
      RemoveFilesOf(table, tag->snapshot, table.tags.All());
    }
  } catch (const Error&) {
    // Orphans: nothing names them any more.
  }
  return true;
}

std::vector<std::string> ExpireTags(const TableState& table, std::optional<int64_t> older_than_ms) {
  int64_t now_ns = LocalWallClockMs(table.context.clock) * kNanosPerMs;
  int64_t zone_ms = LocalWallClockMs(table.context.clock) - table.context.clock.NowMs();
  std::map<std::string, int64_t> written_ms;  // For tags that do not tell when they were made.
  if (older_than_ms) {
    for (const FileEntry& entry : table.context.files.List(table.tags.folder())) {
      written_ms[entry.name] = entry.modified_ms;
    }
  }
  std::vector<std::string> expired;
  for (const auto& [name, tag] : table.tags.All()) {
    bool over = false;
    if (tag.created_ns && tag.retained_ns) {
      over = now_ns - *tag.created_ns > *tag.retained_ns;
      if (older_than_ms) {
        over = over || *tag.created_ns < (*older_than_ms + zone_ms) * kNanosPerMs;
      }
    } else if (older_than_ms) {
      auto written = written_ms.find("tag-" + name);
      over = written != written_ms.end() && written->second < *older_than_ms;
    }
    if (over && DeleteTag(table, name)) expired.push_back(name);
  }
  return expired;
}

}  // namespace millrace
