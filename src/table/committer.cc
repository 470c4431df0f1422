#include "table/committer.h"

#include <algorithm>
#include <set>

#include "base/error.h"

namespace millrace {

namespace {

const char* KindName(CommitKind kind) {
  constexpr const char* kNames[] = {"APPEND", "COMPACT", "OVERWRITE", "ANALYZE"};
  return kNames[static_cast<size_t>(kind)];
}

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

EntryFilter InBuckets(const std::vector<ManifestEntry>& entries) {
  auto names = std::make_shared<std::set<std::string>>();
  for (const ManifestEntry& entry : entries)
    names->insert(BucketName(entry.partition, entry.bucket));
  return [names](const ManifestEntry& entry) {
    return names->contains(BucketName(entry.partition, entry.bucket));
  };
}

}  // namespace

/// One snapshot to be: its changes, and what of its files has been written so far.
struct Committer::Part {
  Part(CommitKind kind, const Committable& committable, CommitReport& report)
      : kind(kind), committable(committable), report(report) {}

  CommitKind kind;
  const Committable& committable;
  CommitReport& report;
  std::vector<ManifestEntry> delta;
  std::vector<ManifestEntry> changelog;

  std::unique_ptr<ManifestWriter> writer;
  std::optional<WrittenList> delta_list;
  std::optional<WrittenList> changelog_list;
  int64_t searched_to = 0;  // No snapshot up to this id is ours.
  std::optional<std::string> conflict;

  /// Deletes what was written for it.
  void TakeBack() {
    if (writer) writer->DeleteSince(0);
    delta_list.reset();
    changelog_list.reset();
  }
};

Committer::Committer(const TableState& table, std::string user, int64_t identifier)
    : table_(table), user_(std::move(user)), identifier_(identifier) {}

std::optional<int64_t> Committer::Commit(const Committable& committable, CommitReport* report) {
  CommitReport ignored;
  if (!report) report = &ignored;
  Part append(CommitKind::kAppend, committable, *report);
  Part compact(CommitKind::kCompact, committable, *report);
  for (const BucketChange& bucket : committable.buckets) {
    for (const auto& file : bucket.new_files)
      append.delta.push_back(MakeEntry(FileKind::kAdd, bucket, file));
    for (const auto& file : bucket.changelog_files) {
      append.changelog.push_back(MakeEntry(FileKind::kAdd, bucket, file));
    }
    for (const auto& file : bucket.compact_before) {
      compact.delta.push_back(MakeEntry(FileKind::kDelete, bucket, file));
    }
    for (const auto& file : bucket.compact_after) {
      compact.delta.push_back(MakeEntry(FileKind::kAdd, bucket, file));
    }
  }
  bool has_compact = !compact.delta.empty();
  bool has_append =
      !append.delta.empty() || !append.changelog.empty() || (!has_compact && !committable.Empty());
  std::optional<int64_t> last;
  if (has_append) last = PublishPart(append);
  if (!has_compact) return last;
  int64_t compacted = PublishPart(compact);
  if (!compact.conflict) return compacted;
  if (!has_append) {
    Throw(ErrorCode::kConflict,
          "Cannot commit the compaction of table {}: {}. Nothing was changed; run "
          "one compacting writer per table and set 'write-only'='true' for the others.",
          table_.folder, *compact.conflict);
  }
  report->dropped_compaction = *compact.conflict;
  // What was compacted in vain is of no use to anyone; files that were only lifted stay.
  std::set<std::string> kept;
  for (const ManifestEntry& entry : compact.delta) {
    if (entry.kind == FileKind::kDelete) kept.insert(entry.file.file_name);
  }
  for (const ManifestEntry& entry : compact.delta) {
    if (entry.kind == FileKind::kDelete || kept.contains(entry.file.file_name)) continue;
    try {
      table_.context.files.Delete(
          DataFilePath(table_.BucketFolder(entry.partition, entry.bucket), entry.file));
    } catch (const Error&) {
      // An orphan: no snapshot names it.
    }
  }
  return last;
}

/// The snapshot id of `part`; -1 with part.conflict set when a compaction cannot stand.
int64_t Committer::PublishPart(Part& part) {
  const TableOptions& options = table_.parsed;
  for (int attempt = 0;; attempt++) {
    std::optional<Snapshot> latest = table_.snapshots.Latest();
    try {
      if (auto there = FindPublished(part, latest)) return *there;
      if (part.kind == CommitKind::kCompact) part.conflict = FindConflict(part, latest);
      if (part.conflict) {
        part.TakeBack();
        return -1;
      }
      if (auto id = TryPublish(part, latest)) return *id;
    } catch (const Error& error) {
      // Others have gone on so far that the snapshot we started from is expired, or about to be:
      // its files go before it does. A lost race too.
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
  for (const ManifestEntry& entry : part.delta) {
    if (entry.kind != FileKind::kAdd) continue;
    std::string path = DataFilePath(table_.BucketFolder(entry.partition, entry.bucket), entry.file);
    if (table_.context.files.Exists(path)) continue;
    Throw(ErrorCode::kConflict,
          "Cannot commit to table {}: the prepared file {} is gone; was the table dropped and made "
          "anew? Start the job over with --fresh.",
          table_.folder, path);
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
  } catch (...) {
    part.TakeBack();
    throw;
  }
  try {
    if (table_.snapshots.Publish(next) == PublishOutcome::kPublished) return next.id;
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
                                 WrittenList base) const {
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
  next.log_offsets = part.committable.log_offsets;
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

/// Looks for this part among the snapshots after those searched before, newest first: a repeat
/// after a crash, or after an attempt whose outcome was unknown.
std::optional<int64_t> Committer::FindPublished(Part& part, const std::optional<Snapshot>& latest) {
  if (!latest) return std::nullopt;
  bool passed = false;  // This user has gone on to a later identifier.
  bool cut = false;     // Expired before we found out.
  for (int64_t id = latest->id; id > part.searched_to; id--) {
    std::optional<Snapshot> snapshot = id == latest->id ? latest : table_.snapshots.Find(id);
    if (!snapshot) {
      cut = true;
      break;
    }
    if (snapshot->commit_user != user_) continue;
    if (snapshot->commit_identifier == identifier_ && snapshot->commit_kind == part.kind) return id;
    if (snapshot->commit_identifier < identifier_) break;
    if (snapshot->commit_identifier > identifier_) passed = true;
  }
  bool first = part.searched_to == 0;
  part.searched_to = latest->id;
  if (first && (passed || cut) && part.kind == CommitKind::kAppend &&
      IsApplied(part, *latest, passed)) {
    return latest->id;
  }
  return std::nullopt;
}

/// Whether the files of `part` have been committed by a snapshot that is expired by now.
bool Committer::IsApplied(const Part& part, const Snapshot& latest, bool passed) const {
  if (part.delta.empty()) return passed;
  std::set<std::string> names;
  for (const ManifestEntry& entry : part.delta) names.insert(entry.file.file_name);
  auto is_ours = [&](const ManifestEntry& entry) { return names.contains(entry.file.file_name); };
  if (!table_.manifests.LiveEntries(latest, is_ours).empty()) return true;
  for (int64_t id = latest.id; id > 0; id--) {
    std::optional<Snapshot> snapshot = table_.snapshots.Find(id);
    if (!snapshot) break;
    if (!table_.manifests.EntriesOf(snapshot->delta_manifest_list, is_ours).empty()) return true;
  }
  for (const ManifestEntry& entry : part.delta) {
    std::string path = DataFilePath(table_.BucketFolder(entry.partition, entry.bucket), entry.file);
    if (table_.context.files.Exists(path)) continue;
    if (passed) return true;  // Committed, compacted away and expired.
    Throw(ErrorCode::kConflict,
          "Cannot commit to table {}: the prepared file {} is gone and the snapshots "
          "that could tell whether it was committed (user '{}', identifier {}) have expired. Start "
          "the job "
          "afresh after checking its last rows.",
          table_.folder, path, user_, identifier_);
  }
  return false;
}

/// What another writer did that makes the deletions and additions of `part` impossible.
std::optional<std::string> Committer::FindConflict(const Part& part,
                                                   const std::optional<Snapshot>& latest) const {
  if (!latest) return "the table has no files";
  std::map<std::string, ManifestEntry> live;
  for (ManifestEntry& entry : table_.manifests.LiveEntries(*latest, InBuckets(part.delta))) {
    live.emplace(FileIdentifier(entry), std::move(entry));
  }
  for (const ManifestEntry& entry : part.delta) {
    if (entry.kind == FileKind::kDelete && live.erase(FileIdentifier(entry)) == 0) {
      return WhoRemoved(entry, *latest);
    }
  }
  std::set<std::string> added;
  for (const ManifestEntry& entry : part.delta) {
    if (entry.kind != FileKind::kAdd) continue;
    std::string identifier = FileIdentifier(entry);
    if (!live.emplace(identifier, entry).second) {
      return fmt::format("file {} is in the table already", entry.file.file_name);
    }
    added.insert(identifier);
  }
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
          KindName(latest->commit_kind), latest->commit_user);
    }
  }
  return std::nullopt;
}

std::string Committer::WhoRemoved(const ManifestEntry& entry, const Snapshot& latest) const {
  std::string identifier = FileIdentifier(entry);
  auto removes = [&](const ManifestEntry& other) {
    return other.kind == FileKind::kDelete && FileIdentifier(other) == identifier;
  };
  for (int64_t id = latest.id; id > 0; id--) {
    std::optional<Snapshot> snapshot = table_.snapshots.Find(id);
    if (!snapshot) break;
    if (table_.manifests.EntriesOf(snapshot->delta_manifest_list, removes).empty()) continue;
    return fmt::format("file {} (level {}) was removed by snapshot {}, {} by '{}'",
                       entry.file.file_name, entry.file.level, id, KindName(snapshot->commit_kind),
                       snapshot->commit_user);
  }
  return fmt::format("file {} (level {}) is no longer in the table", entry.file.file_name,
                     entry.file.level);
}

}  // namespace millrace
