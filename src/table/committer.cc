#include "table/committer.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "table/changes.h"
#include "table/commit_group.h"
#include "table/commit_part.h"
#include "table/file_references.h"
#include "table/file_sync.h"
#include "table/index_changes.h"
#include "table/index_store.h"
#include "table/rebase.h"
#include "table/snapshot_search.h"

namespace millrace {

namespace {

ManifestEntry MakeEntry(FileKind kind, const BucketChange& bucket, const DataFileMeta& file) {
  return {kind, bucket.partition, bucket.bucket, bucket.total_buckets, file};
}

int64_t CountRows(const std::vector<ManifestEntry>& entries) {
  int64_t rows = 0;
  for (const ManifestEntry& entry : entries) {
    rows += entry.kind == FileKind::kAdd ? entry.file.row_count : -entry.file.row_count;
  }
  return rows;
}

bool HasVectors(const std::vector<IndexManifestEntry>& changes) {
  return std::any_of(changes.begin(), changes.end(), [](const IndexManifestEntry& change) {
    return change.index_type == kDeletionVectorsIndex;
  });
}

}  // namespace

Committer::Committer(const TableState& table, std::string user, int64_t identifier)
    : table_(table), user_(std::move(user)), identifier_(identifier) {}

std::optional<int64_t> Committer::Commit(const Committable& committable, CommitReport* report) {
  CommitReport ignored;
  if (!report) report = &ignored;
  Part main(CommitKind::kAppend, committable, *report);
  Part compact(CommitKind::kCompact, committable, *report);
  CollectEntries(committable, main, compact);
  if (committable.sync) {
    committable.sync->Wait();
  } else {
    table_.context.files.SyncFiles(AddedFiles(table_, committable));
  }
  bool has_compact = !compact.delta.empty() || !compact.changelog.empty() ||
                     !compact.prepared_index_changes.empty();
  bool has_main = !main.delta.empty() || !main.changelog.empty() ||
                  !main.prepared_index_changes.empty() || (!has_compact && !committable.Empty());
  std::optional<int64_t> last;
  if (has_main) last = PublishPart(main);
  if (main.conflict) GiveUp(main);
  if (!has_compact) return last;
  if (last && !main.repeated) compact.searched_to = *last;
  int64_t compacted = PublishPart(compact);
  if (!compact.conflict) return compacted;
  report->dropped_compaction = *compact.conflict;
  DeleteInVain(compact);
  if (!has_main) {
    Throw(ErrorCode::kConflict,
          "Cannot commit the compaction of table {}: {}. Nothing was changed; run "
          "one compacting writer per table and set 'write-only'='true' for the others.",
          table_.folder, *compact.conflict);
  }
  return last;
}

void Committer::CollectEntries(const Committable& committable, Part& main, Part& compact) const {
  auto add = [](std::vector<ManifestEntry>& entries, FileKind kind, const BucketChange& bucket,
                const std::vector<DataFileMeta>& files) {
    for (const DataFileMeta& file : files) entries.push_back(MakeEntry(kind, bucket, file));
  };
  if (committable.overwrite) main.kind = CommitKind::kOverwrite;
  for (const BucketChange& bucket : committable.buckets) {
    if (!bucket.deleted_files.empty()) main.kind = CommitKind::kOverwrite;
    add(main.delta, FileKind::kDelete, bucket, bucket.deleted_files);
    add(main.delta, FileKind::kAdd, bucket, bucket.new_files);
    add(main.changelog, FileKind::kAdd, bucket, bucket.changelog_files);
    add(compact.delta, FileKind::kDelete, bucket, bucket.compact_before);
    add(compact.delta, FileKind::kAdd, bucket, bucket.compact_after);
    add(compact.changelog, FileKind::kAdd, bucket, bucket.compact_changelog_files);
    for (const auto& change : bucket.index_changes) {
      main.prepared_index_changes.push_back(change);
      if (change.index_type == kHashIndex && !bucket.hash_index_base.empty()) {
        main.hash_index_bases[bucket.partition] = bucket.hash_index_base;
      }
    }
    for (const auto& change : bucket.compact_index_changes) {
      compact.prepared_index_changes.push_back(change);
    }
  }
  // Rows that were there before go: as in Paimon, readers of new rows must not take it for an
  // append.
  if (HasVectors(main.prepared_index_changes)) main.kind = CommitKind::kOverwrite;
  if (committable.overwrite && compact.delta.empty()) LiftToTop(table_, main.delta);
}

/// What was compacted in vain is of no use to anyone; files that were only lifted stay. So does
/// everything when this commit may be a repeat whose first snapshots have expired: then the files
/// are perhaps live.
void Committer::DeleteInVain(const Part& compact) const {
  if (compact.history_cut) return;
  std::set<std::string> kept;
  for (const ManifestEntry& entry : compact.delta) {
    if (entry.kind == FileKind::kDelete) kept.insert(entry.file.file_name);
  }
  for (const ManifestEntry& entry : compact.delta) {
    if (entry.kind == FileKind::kDelete || kept.contains(entry.file.file_name)) continue;
    DeleteQuietly(entry);
  }
  for (const ManifestEntry& entry : compact.changelog) {
    DeleteQuietly(entry);
  }
  for (const IndexManifestEntry& change : compact.prepared_index_changes) {
    if (change.kind == FileKind::kAdd) {
      millrace::DeleteQuietly(table_, {IndexFilePath(table_, change)});
    }
  }
}

// Nothing of `part` is published. Rows that follow from what was read will never be: their files
// are nobody's. Others a job has in its checkpoint, and may still be able to commit.
void Committer::GiveUp(Part& part) const {
  part.TakeBack();
  if (part.committable.read_snapshot) {
    for (const ManifestEntry& entry : part.delta) {
      if (entry.kind == FileKind::kAdd) DeleteQuietly(entry);
    }
    for (const ManifestEntry& entry : part.changelog) DeleteQuietly(entry);
  }
  Throw(ErrorCode::kConflict,
        "Cannot commit to table {}: {}. Nothing was changed; run the statement again.",
        table_.folder, *part.conflict);
}

void Committer::DeleteQuietly(const ManifestEntry& entry) const {
  millrace::DeleteQuietly(
      table_, DataFilePaths(table_.BucketFolder(entry.partition, entry.bucket), entry.file));
}

std::optional<std::string> Committer::Rebase(Part& part,
                                             const std::optional<Snapshot>& latest) const {
  const Committable& committable = part.committable;
  part.index_changes = part.prepared_index_changes;
  if (part.kind == CommitKind::kCompact) return FindConflict(part, latest);
  if (committable.overwrite) {
    std::vector<ManifestEntry> added(part.delta.begin() + static_cast<int64_t>(part.replaced),
                                     part.delta.end());
    part.Replace(ReplacedEntries(table_, *committable.overwrite, added, latest));
    auto removed = ReplacedIndexEntries(table_, *committable.overwrite, added, latest);
    part.index_changes.insert(part.index_changes.begin(), removed.begin(), removed.end());
    return std::nullopt;
  }
  if (auto changed = FindBucketChange(table_, part.delta, latest)) return changed;
  if (part.CanConflict()) {
    if (auto conflict = FindConflict(part, latest)) return conflict;
  }
  if (!committable.read_snapshot || !latest) return std::nullopt;
  return FindForeignChange(table_, part.delta, *committable.read_snapshot, *latest);
}

/// The snapshot id of `part`; -1 with part.conflict set when it cannot stand.
int64_t Committer::PublishPart(Part& part) {
  const TableOptions& options = table_.parsed;
  for (int attempt = 0;; attempt++) {
    std::optional<Snapshot> latest = table_.snapshots.Latest();
    try {
      if (auto there = FindPublished(part, latest)) {
        part.repeated = true;
        return *there;
      }
      part.conflict = Rebase(part, latest);
      if (part.conflict) {
        part.TakeBack();
        return -1;
      }
      if (auto id = TryPublish(part, latest)) return *id;
    } catch (const Error& error) {
      // Others have gone on so far that the snapshot we started from has expired. A lost race too.
      if (error.code() != ErrorCode::kCorrupt || !latest ||
          table_.snapshots.LatestId() == latest->id) {
        throw;
      }
    }
    part.report.lost_races++;
    if (attempt >= options.commit_max_retries) {
      part.TakeBack();
      std::optional<Snapshot> winner = table_.snapshots.Latest();
      Throw(
          ErrorCode::kConflict,
          "Cannot commit to table {}: {} other commits came first, the last by '{}' (snapshot {}). "
          "Nothing was changed; try again, or raise 'commit.max-retries' ({}).",
          table_.folder, attempt + 1, winner ? winner->commit_user : "?", winner ? winner->id : 0,
          options.commit_max_retries);
    }
    Wait(attempt);
  }
}

void Committer::Wait(int attempt) const {
  int64_t wait = table_.parsed.commit_min_wait_ms << std::min(attempt, 20);
  wait = std::min(wait, table_.parsed.commit_max_wait_ms);
  wait += static_cast<int64_t>(table_.context.random.Next() % (wait / 5 + 1));
  table_.context.clock.SleepMs(wait);
}

/// A commit that is repeated long after may come to a table that was dropped and made anew: no
/// snapshot may name what is not there.
void Committer::RefuseMissingFiles(const Part& part) const {
  if (auto missing = FindMissingFile(part)) {
    Throw(ErrorCode::kConflict,
          "Cannot commit to table {}: the prepared file {} is gone; was the table dropped and made "
          "anew? Start the job over with --fresh.",
          table_.folder, *missing);
  }
}

/// Writes what the snapshot names and publishes it. nullopt: someone else took the id.
std::optional<int64_t> Committer::TryPublish(Part& part, const std::optional<Snapshot>& latest) {
  const TableOptions& options = table_.parsed;
  if (!part.writer) {
    part.writer =
        std::make_unique<ManifestWriter>(table_.context.files, table_.manifests, table_.schema,
                                         table_.context.random, options.manifest_target_bytes);
  }
  ManifestWriter& writer = *part.writer;
  Snapshot next;
  size_t mark = 0;
  try {
    if (!part.delta_list) RefuseMissingFiles(part);
    // The changes are written once for all attempts, only the base depends on who came first.
    if (!part.delta_list) part.delta_list = writer.WriteList(writer.WriteManifests(part.delta));
    if (!part.changelog_list && !part.changelog.empty()) {
      part.changelog_list = writer.WriteList(writer.WriteManifests(part.changelog));
    }
    mark = writer.Mark();
    std::vector<ManifestFileMeta> base;
    if (latest) {
      base = writer.MergeManifests(table_.manifests.ManifestsOf(*latest),
                                   options.manifest_merge_min_count, options.manifest_full_bytes);
    }
    next = MakeSnapshot(part, latest, writer.WriteList(base));
    if (!part.index_changes.empty()) {
      std::vector<IndexManifestEntry> there;
      if (latest) there = ReadIndexEntries(table_, *latest);
      next.index_manifest =
          writer.WriteIndex(ApplyIndexChanges(std::move(there), part.index_changes));
    }
    writer.Sync();
  } catch (...) {
    part.TakeBack();
    throw;
  }
  try {
    PublishOutcome outcome = table_.snapshots.Publish(next);
    if (outcome == PublishOutcome::kPublished) return next.id;
    if (outcome == PublishOutcome::kOvertaken) {
      std::optional<Snapshot> newest = table_.snapshots.Latest();
      if (newest && IsApplied(part, *newest, next.id)) return next.id;
      table_.snapshots.Remove(next.id);
    }
  } catch (const Error& error) {
    // Unknown outcome. While the file cannot be looked at nothing may be taken back.
    std::optional<Snapshot> there = table_.snapshots.Find(next.id);
    if (there && *there == next) return next.id;
    if (!there) {
      part.TakeBack();
      throw;
    }
  }
  writer.DeleteSince(mark);
  return std::nullopt;
}

Snapshot Committer::MakeSnapshot(const Part& part, const std::optional<Snapshot>& latest,
                                 ListFile base) const {
  Snapshot next;
  next.id = latest ? latest->id + 1 : 1;
  next.schema_id = table_.schemas.LatestId().value_or(table_.schema.id);
  next.base_manifest_list = base.name;
  next.base_manifest_list_size = base.size;
  next.delta_manifest_list = part.delta_list->name;
  next.delta_manifest_list_size = part.delta_list->size;
  if (part.changelog_list) {
    next.changelog_manifest_list = part.changelog_list->name;
    next.changelog_manifest_list_size = part.changelog_list->size;
    next.changelog_record_count = CountRows(part.changelog);
  }
  next.commit_user = user_;
  next.commit_identifier = identifier_;
  next.commit_kind = part.kind;
  next.time_ms = table_.context.clock.NowMs();
  next.delta_record_count = CountRows(part.delta);
  next.total_record_count = next.delta_record_count;
  next.watermark = part.committable.watermark;
  next.properties = part.committable.properties;
  if (next.properties.contains(kInputFullProperty) && !IsFullSoFar(latest)) {
    next.properties.erase(kInputFullProperty);
  }
  auto unlogged = next.properties.find(kUnloggedProperty);
  if (unlogged != next.properties.end()) unlogged->second = std::to_string(NewestUnlogged(latest));
  SetGroupClock(table_.snapshots, latest, next);
  next.log_offsets = part.committable.log_offsets;
  if (latest) {  // Whoever writes no log leaves it where it is.
    for (const auto& [bucket, offset] : latest->log_offsets) {
      int64_t& known = next.log_offsets.try_emplace(bucket, offset).first->second;
      known = std::max(known, offset);
    }
  }
  if (!latest) return next;
  next.time_ms =
      std::max(next.time_ms, latest->time_ms);  // Time travel needs an ascending history.
  next.total_record_count += latest->total_record_count;
  next.index_manifest = latest->index_manifest;
  if (latest->watermark)
    next.watermark = std::max(*latest->watermark, next.watermark.value_or(INT64_MIN));
  if (latest->schema_id == next.schema_id) next.statistics = latest->statistics;
  next.next_row_id = latest->next_row_id ? latest->next_row_id : next.next_row_id;
  return next;
}

/// Whether the changelogs of all that was ever written are this user's, and full: each snapshot
/// says so of those before it. Compactions of anybody change nothing.
bool Committer::IsFullSoFar(std::optional<Snapshot> latest) const {
  if (!latest) return true;
  std::optional<Snapshot> write = LastWrite(table_, std::move(latest));
  if (!write) return false;
  auto writer = write->properties.find(kInputFullProperty);
  return writer != write->properties.end() && writer->second == user_;
}

/// The newest snapshot up to `latest` whose rows did not come through the log; 0 for none.
int64_t Committer::NewestUnlogged(std::optional<Snapshot> latest) const {
  if (!latest) return 0;
  int64_t newest = latest->id;
  std::optional<Snapshot> write = LastWrite(table_, std::move(latest));
  if (!write) return newest;  // Expired: nobody can tell.
  auto logged = write->properties.find(kUnloggedProperty);
  return logged == write->properties.end() ? write->id
                                           : std::strtoll(logged->second.c_str(), nullptr, 10);
}

/// Looks for this part among the snapshots after those searched before, newest first: a repeat
/// after a crash, or after an attempt whose outcome was unknown.
std::optional<int64_t> Committer::FindPublished(Part& part, const std::optional<Snapshot>& latest) {
  if (!latest) return std::nullopt;
  bool passed = false;  // This user has gone on to a later identifier.
  bool cut = false;     // Expired before we found out.
  for (int64_t id = latest->id; id > part.searched_to; id--) {
    std::optional<Snapshot> snapshot = id == latest->id ? latest : table_.snapshots.Find(id);
    if (!snapshot) {
      cut = part.history_cut = true;
      break;
    }
    if (snapshot->commit_user != user_) continue;
    if (snapshot->commit_identifier == identifier_ && snapshot->commit_kind == part.kind) return id;
    // A compaction comes after the rows of its commit.
    if (snapshot->commit_identifier == identifier_ && part.kind == CommitKind::kCompact) break;
    if (snapshot->commit_identifier < identifier_) break;
    if (snapshot->commit_identifier > identifier_) passed = true;
  }
  bool first = part.searched_to == 0;
  part.searched_to = latest->id;
  if (!cut && !(first && passed)) return std::nullopt;
  if (IsApplied(part, *latest, 0)) return latest->id;
  if (!first || part.kind == CommitKind::kCompact) return std::nullopt;
  bool has_files = !part.delta.empty() || !part.prepared_index_changes.empty();
  if (passed && (!has_files || FindMissingFile(part))) {
    return latest->id;  // Committed, compacted away and expired.
  }
  if (auto missing = FindMissingFile(part)) {
    Throw(ErrorCode::kConflict,
          "Cannot commit to table {}: the prepared file {} is gone and the snapshots that could "
          "tell whether it was committed (user '{}', identifier {}) have expired. Start the job "
          "afresh after checking its last rows.",
          table_.folder, *missing, user_, identifier_);
  }
  return std::nullopt;
}

/// The first of the files that `part` adds that does not exist.
std::optional<std::string> Committer::FindMissingFile(const Part& part) const {
  for (const ManifestEntry& entry : part.delta) {
    if (entry.kind != FileKind::kAdd) continue;
    std::string path = DataFilePath(table_.BucketFolder(entry.partition, entry.bucket), entry.file);
    if (!table_.context.files.Exists(path)) return path;
  }
  for (const IndexManifestEntry& change : part.prepared_index_changes) {
    if (change.kind != FileKind::kAdd) continue;
    std::string path = IndexFilePath(table_, change);
    if (!table_.context.files.Exists(path)) return path;
  }
  return std::nullopt;
}

/// Whether files that `part` adds, or the compaction that comes after it, are or were in the table,
/// by what snapshots from `latest` down say; that of `except_id` is not asked.
bool Committer::IsApplied(const Part& part, const Snapshot& latest, int64_t except_id) const {
  // A file that a compaction lifts was there before, at another level; new files may be lifted.
  bool by_level = part.kind == CommitKind::kCompact;
  auto name_of = [&](const ManifestEntry& entry) {
    return by_level ? FileIdentifier(entry) : entry.file.file_name;
  };
  std::set<std::string> names, index_names;
  for (const ManifestEntry& entry : part.delta) {
    if (entry.kind == FileKind::kAdd) names.insert(name_of(entry));
  }
  for (const BucketChange& bucket : part.committable.buckets) {
    if (by_level) break;
    std::set<std::string> made;
    for (const DataFileMeta& file : bucket.compact_after) made.insert(file.file_name);
    for (const DataFileMeta& file : bucket.compact_before) made.erase(file.file_name);  // Lifted.
    names.merge(made);
  }
  for (const IndexManifestEntry& change : part.prepared_index_changes) {
    if (change.kind == FileKind::kAdd) index_names.insert(change.file_name);
  }
  if (names.empty() && index_names.empty()) return false;
  auto is_ours = [&](const ManifestEntry& entry) { return names.contains(name_of(entry)); };
  auto has_our_index = [&](const Snapshot& snapshot) {
    if (index_names.empty()) return false;
    std::vector<IndexManifestEntry> entries = ReadIndexEntries(table_, snapshot);
    return std::any_of(entries.begin(), entries.end(), [&](const IndexManifestEntry& entry) {
      return index_names.contains(entry.file_name);
    });
  };
  if (!table_.manifests.LiveEntries(latest, is_ours).empty()) return true;
  for (int64_t id = latest.id; id > 0; id--) {
    if (id == except_id) continue;
    std::optional<Snapshot> snapshot = table_.snapshots.Find(id);
    if (!snapshot) break;
    bool found = false;
    if (!LookUnlessExpired(table_.snapshots, id, [&] {
          found = !table_.manifests.EntriesOf(snapshot->DeltaList(), is_ours).empty() ||
                  has_our_index(*snapshot);
        })) {
      break;
    }
    if (found) return true;
  }
  return false;
}

}  // namespace millrace
