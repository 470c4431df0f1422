#include "table/incremental.h"

#include <algorithm>

#include "base/error.h"
#include "table/changes.h"
#include "table/index_store.h"

namespace millrace {

namespace {

using Mode = IncrementalRange::Mode;
using Buckets = std::map<std::pair<RowBytes, int>, Split>;

Buckets ByBucket(std::vector<ManifestEntry> entries) {
  Buckets buckets;
  for (ManifestEntry& entry : entries) {
    if (entry.kind != FileKind::kAdd) continue;
    Split& split = buckets[{entry.partition, entry.bucket}];
    split.partition = entry.partition;
    split.bucket = entry.bucket;
    split.files.push_back(std::move(entry.file));
  }
  return buckets;
}

/// What one snapshot tells: Paimon passes over COMPACT (but for changelogs) and OVERWRITE.
std::vector<ManifestEntry> ChangesOf(const TableState& table, const Snapshot& snapshot, Mode mode) {
  if (mode == Mode::kDelta) {
    if (snapshot.commit_kind != CommitKind::kAppend) return {};
    return table.manifests.EntriesOf(snapshot.DeltaList());
  }
  RefuseLostChangelog(table, snapshot);
  if (snapshot.commit_kind == CommitKind::kOverwrite || !snapshot.changelog_manifest_list)
    return {};
  return table.manifests.EntriesOf(snapshot.ChangelogList());
}

std::vector<IncrementalSplit> PlanChangesBetween(const TableState& table,
                                                 const IncrementalRange& range, Mode mode) {
  std::vector<IncrementalSplit> splits;
  for (int64_t id = range.after + 1; id <= range.upto; id++) {
    std::optional<Snapshot> snapshot = table.snapshots.Find(id);
    if (!snapshot) {
      Throw(ErrorCode::kNotFound,
            "Reading the changes of table {} after snapshot {} up to {}: snapshot {} has expired; "
            "the oldest is {}",
            table.folder, range.after, range.upto, id, table.snapshots.EarliestId().value_or(0));
    }
    for (auto& [name, split] : ByBucket(ChangesOf(table, *snapshot, mode))) {
      // What compactions record is in the order in which they ran.
      if (!table.parsed.RecordsInCompactions()) {
        std::stable_sort(split.files.begin(), split.files.end(), [](const auto& a, const auto& b) {
          return a.min_sequence_number < b.min_sequence_number;
        });
      }
      splits.push_back({std::move(split), std::nullopt});
    }
  }
  return splits;
}

bool SameFiles(const Split& a, const Split& b) {
  if (a.files.size() != b.files.size() || a.deletions != b.deletions) return false;
  auto has = [&](const DataFileMeta& file) {
    return std::any_of(b.files.begin(), b.files.end(), [&](const DataFileMeta& other) {
      return other.file_name == file.file_name;
    });
  };
  return std::all_of(a.files.begin(), a.files.end(), has);
}

void RefuseRescaled(const TableState& table, const std::vector<ManifestEntry>& from,
                    const std::vector<ManifestEntry>& to) {
  std::map<RowBytes, int> counts;
  for (const ManifestEntry& entry : from) counts[entry.partition] = entry.total_buckets;
  for (const ManifestEntry& entry : to) {
    auto found = counts.find(entry.partition);
    if (found == counts.end() || found->second == entry.total_buckets) continue;
    Throw(ErrorCode::kUnsupported,
          "Comparing two states of table {}: a partition had {} buckets in one and has {} in the "
          "other; compare states with the same number",
          table.folder, found->second, entry.total_buckets);
  }
}

/// What waits in level 0 for its compaction may not be seen (docs/format.md#scan).
std::vector<ManifestEntry> ReadableFiles(const TableState& table, const Snapshot& snapshot) {
  std::vector<ManifestEntry> live = table.manifests.LiveEntries(snapshot);
  if (table.parsed.HidesLevel0()) {
    std::erase_if(live, [](const ManifestEntry& entry) { return entry.file.level == 0; });
  }
  return live;
}

void AddDeletions(const TableState& table, const Snapshot& snapshot, Buckets& buckets) {
  std::map<std::string, DeletionFile> deletions = FindDeletions(table, snapshot);
  if (deletions.empty()) return;
  for (auto& [name, split] : buckets) {
    for (const DataFileMeta& file : split.files) {
      auto deleted = deletions.find(file.file_name);
      if (deleted != deletions.end()) split.deletions.insert(*deleted);
    }
  }
}

std::vector<IncrementalSplit> PlanDiff(const TableState& table, const IncrementalRange& range) {
  // Rows without a key cannot be told apart: what was added in between is the difference.
  if (!table.HasPrimaryKey()) return PlanChangesBetween(table, range, Mode::kDelta);
  std::vector<ManifestEntry> from = ReadableFiles(table, *range.from);
  std::vector<ManifestEntry> to = ReadableFiles(table, *range.to);
  RefuseRescaled(table, from, to);
  Buckets before = ByBucket(std::move(from)), after = ByBucket(std::move(to));
  AddDeletions(table, *range.from, before);
  AddDeletions(table, *range.to, after);
  for (const auto& [name, split] : before) {
    Split& there = after[name];  // A bucket that has gone is an empty one.
    there.partition = split.partition;
    there.bucket = split.bucket;
  }
  std::vector<IncrementalSplit> splits;
  for (auto& [name, split] : after) {
    Split& old = before[name];
    if (SameFiles(old, split)) continue;
    old.partition = split.partition;
    old.bucket = split.bucket;
    splits.push_back({std::move(split), std::move(old)});
  }
  return splits;
}

}  // namespace

std::vector<IncrementalSplit> PlanIncremental(const TableState& table,
                                              const IncrementalRange& range) {
  table.CheckSupported("read");
  if (range.mode == Mode::kDiff) return PlanDiff(table, range);
  return PlanChangesBetween(table, range, range.mode);
}

std::unique_ptr<ChangeReader> ReadIncremental(const TableState& table,
                                              const IncrementalSplit& split,
                                              const std::vector<idx_t>& columns,
                                              bool keep_deletes) {
  if (split.before) return MakeDiffReader(table, *split.before, split.files, columns, keep_deletes);
  return MakeFileChangeReader(table, split.files, columns);
}

}  // namespace millrace
