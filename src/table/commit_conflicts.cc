// commit_conflicts.cc - the part of Committer that finds what others did that a commit cannot stand
// on: ConflictDetection.java, and what Paimon does not look at (docs/internals/commit.md).
#include <algorithm>
#include <set>

#include "table/bucket_vectors.h"
#include "table/changes.h"
#include "table/commit_part.h"
#include "table/hash_index_merge.h"
#include "table/index_changes.h"
#include "table/rebase.h"
#include "table/snapshot_search.h"
#include "table/vector_merge.h"

namespace millrace {

namespace {

EntryFilter InBuckets(const std::vector<ManifestEntry>& entries,
                      const std::vector<IndexManifestEntry>& index_entries) {
  auto names = std::make_shared<std::set<std::string>>();
  for (const ManifestEntry& entry : entries)
    names->insert(BucketName(entry.partition, entry.bucket));
  for (const IndexManifestEntry& entry : index_entries)
    names->insert(BucketName(entry.partition, entry.bucket));
  return [names](const ManifestEntry& entry) {
    return names->contains(BucketName(entry.partition, entry.bucket));
  };
}

}  // namespace

/// What another writer did that makes the deletions and additions of `part` impossible.
std::optional<std::string> Committer::FindConflict(Part& part,
                                                   const std::optional<Snapshot>& latest) const {
  if (!latest) {
    bool removes = part.kind != CommitKind::kAppend;
    return removes ? std::optional<std::string>("the table has no files") : std::nullopt;
  }
  std::map<std::string, ManifestEntry> live;
  for (ManifestEntry& entry :
       table_.manifests.LiveEntries(*latest, InBuckets(part.delta, part.index_changes))) {
    live.emplace(FileIdentifier(entry), std::move(entry));
  }
  std::optional<std::string> other_base = FindOtherBase(part, *latest, live);
  for (const ManifestEntry& entry : part.delta) {
    if (entry.kind == FileKind::kDelete && live.erase(FileIdentifier(entry)) == 0) {
      return WhoRemoved(entry, *latest);
    }
  }
  if (other_base) return other_base;
  std::set<std::string> added;
  for (const ManifestEntry& entry : part.delta) {
    if (entry.kind != FileKind::kAdd) continue;
    std::string identifier = FileIdentifier(entry);
    if (!live.emplace(identifier, entry).second) {
      return fmt::format("file {} is in the table already", entry.file.file_name);
    }
    added.insert(identifier);
  }
  if (auto conflict = FindIndexConflictOf(part, *latest, live)) return conflict;
  if (!table_.HasPrimaryKey()) return std::nullopt;
  // Files of one level of one bucket must not overlap: sort them by their least key and look at
  // neighbours.
  KeyOrder order(table_.Layout().KeyTypes());
  struct Range {
    std::string least, greatest;
    const ManifestEntry* entry;
  };
  std::map<std::string, std::vector<Range>> runs;
  for (const auto& [identifier, entry] : live) {
    if (entry.file.level == 0) continue;
    runs[BucketName(entry.partition, entry.bucket) + "/" + std::to_string(entry.file.level)]
        .push_back(
            {order.Normalise(entry.file.min_key), order.Normalise(entry.file.max_key), &entry});
  }
  for (auto& [name, ranges] : runs) {
    std::sort(ranges.begin(), ranges.end(), [](auto& a, auto& b) { return a.least < b.least; });
    for (size_t i = 1; i < ranges.size(); i++) {
      if (ranges[i - 1].greatest < ranges[i].least) continue;
      return fmt::format(
          "files {} and {} of bucket {} would overlap in level {}: another writer has "
          "compacted the same keys (latest snapshot {}, {} by '{}')",
          ranges[i - 1].entry->file.file_name, ranges[i].entry->file.file_name,
          ranges[i].entry->bucket, ranges[i].entry->file.level, latest->id,
          CommitKindName(latest->commit_kind), latest->commit_user);
    }
  }
  return std::nullopt;
}

/// Whether a compaction with deletion vectors was made for other files above level 0, or other
/// vectors, than `live` and `latest` have.
std::optional<std::string> Committer::FindOtherBase(
    const Part& part, const Snapshot& latest,
    const std::map<std::string, ManifestEntry>& live) const {
  if (part.kind != CommitKind::kCompact) return std::nullopt;
  std::map<std::string, BucketState> states;  // By BucketName.
  for (const BucketChange& bucket : part.committable.buckets) {
    if (!bucket.vector_base.empty()) states[BucketName(bucket.partition, bucket.bucket)];
  }
  if (states.empty()) return std::nullopt;
  auto add = [&](const auto& entry, const auto& what) {
    auto found = states.find(BucketName(entry.partition, entry.bucket));
    if (found != states.end()) found->second.Add(what);
  };
  for (const auto& [identifier, entry] : live) add(entry, entry.file);
  for (const IndexManifestEntry& entry : ReadIndexEntries(table_, latest)) add(entry, entry);
  for (const BucketChange& bucket : part.committable.buckets) {
    if (bucket.vector_base.empty() ||
        states[BucketName(bucket.partition, bucket.bucket)].Text() == bucket.vector_base) {
      continue;
    }
    return fmt::format(
        "bucket {} has been compacted meanwhile: its files above level 0, or which of their rows "
        "are deleted, are others (latest snapshot {}, {} by '{}')",
        bucket.bucket, latest.id, CommitKindName(latest.commit_kind), latest.commit_user);
  }
  return std::nullopt;
}

/// The same for index files, with `live` as the data files afterwards.
std::optional<std::string> Committer::FindIndexConflictOf(
    Part& part, const Snapshot& latest, const std::map<std::string, ManifestEntry>& live) const {
  std::vector<IndexManifestEntry> entries = ReadIndexEntries(table_, latest);
  if (entries.empty() && part.index_changes.empty()) return std::nullopt;
  if (!part.index_writer) part.index_writer = std::make_unique<IndexFileWriter>(table_);
  part.index_writer->DeleteAll();  // Of an attempt that lost a race.
  auto conflict = MergeHashIndexes(table_, entries, part.hash_index_bases, *part.index_writer,
                                   part.index_changes);
  if (!conflict) {
    conflict = MergeVectorIndexes(table_, entries, *part.index_writer, part.index_changes);
  }
  if (!conflict) {
    conflict = FindIndexConflict(entries, part.index_changes, table_.HasBuckets());
  }
  if (!conflict) {
    std::set<std::string> names, removed;
    for (const auto& [identifier, entry] : live) names.insert(entry.file.file_name);
    for (const ManifestEntry& entry : part.delta) {
      if (!names.contains(entry.file.file_name)) removed.insert(entry.file.file_name);
    }
    entries = ApplyIndexChanges(std::move(entries), part.index_changes);
    conflict = FindVectorConflict(entries, part.index_changes, removed, names);
  }
  if (!conflict) return std::nullopt;
  return fmt::format("{}: another writer was faster (latest snapshot {}, {} by '{}')", *conflict,
                     latest.id, CommitKindName(latest.commit_kind), latest.commit_user);
}

std::string Committer::WhoRemoved(const ManifestEntry& entry, const Snapshot& latest) const {
  std::string identifier = FileIdentifier(entry);
  auto removes = [&](const ManifestEntry& other) {
    return other.kind == FileKind::kDelete && FileIdentifier(other) == identifier;
  };
  for (int64_t id = latest.id; id > 0; id--) {
    std::optional<Snapshot> snapshot = table_.snapshots.Find(id);
    if (!snapshot) break;
    bool removed = false;
    if (!LookUnlessExpired(table_.snapshots, id, [&] {
          removed = !table_.manifests.EntriesOf(snapshot->DeltaList(), removes).empty();
        })) {
      break;
    }
    if (!removed) continue;
    return fmt::format("file {} (level {}) was removed by {}", entry.file.file_name,
                       entry.file.level, Culprit(*snapshot));
  }
  return fmt::format("file {} (level {}) is no longer in the table", entry.file.file_name,
                     entry.file.level);
}

}  // namespace millrace
