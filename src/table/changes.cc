#include "table/changes.h"

#include <algorithm>

#include "base/error.h"
#include "duckdb/parallel/task_scheduler.hpp"
#include "table/change_reader.h"
#include "table/partition_expire.h"
#include "table/read_ahead.h"
#include "table/scan_plan.h"
#include "table/snapshot_search.h"

namespace millrace {

namespace {

constexpr int64_t kReadAheadBytes = 4 << 20;
constexpr size_t kReadAheadThreadsMax = 4;

bool HasFullInput(const Snapshot& snapshot) {
  return snapshot.properties.contains(kInputFullProperty);
}

/// What was written to such tables is not what they hold.
void RefuseInputOfMerged(const TableState& table) {
  if (table.parsed.RecordsInCompactions()) return;
  const char* engine = table.parsed.merge.engine == MergeEngine::kAggregation     ? "aggregation"
                       : table.parsed.merge.engine == MergeEngine::kPartialUpdate ? "partial-update"
                       : table.parsed.merge.engine == MergeEngine::kFirstRow      ? "first-row"
                                                                                  : nullptr;
  if (!engine) return;
  Throw(ErrorCode::kUnsupported,
        "Cannot follow table {}: with merge engine '{}' its rows come about when they are merged; "
        "set 'changelog-producer' to {} to have their changes recorded{}.",
        table.folder, engine,
        table.parsed.merge.engine == MergeEngine::kFirstRow ? "'lookup'"
                                                            : "'lookup' or 'full-compaction'",
        table.parsed.merge.engine == MergeEngine::kFirstRow
            ? ""
            : ", or read it with the hint 'millrace.old-values' = 'index'");
}

/// The files that tell what `snapshot` changed; `full` as in SnapshotChanges.
std::vector<ManifestEntry> EntriesOfChanges(const TableState& table, const Snapshot& snapshot,
                                            bool& full) {
  bool keyed = table.HasPrimaryKey();
  bool listed = snapshot.changelog_manifest_list.has_value();
  if (keyed && table.parsed.RecordsInCompactions()) {
    if (snapshot.commit_kind != CommitKind::kCompact || !listed) return {};
    return table.manifests.EntriesOf(snapshot.ChangelogList());
  }
  if (snapshot.commit_kind != CommitKind::kAppend) return {};
  bool input = keyed && table.parsed.changelog_producer == ChangelogProducer::kInput;
  std::vector<ManifestEntry> entries;
  if (!input) {
    entries = table.manifests.EntriesOf(snapshot.DeltaList());
  } else if (listed) {
    entries = table.manifests.EntriesOf(snapshot.ChangelogList());
  }
  if (keyed && (snapshot.delta_record_count != 0 || !entries.empty())) {
    full = input && HasFullInput(snapshot);
  }
  return entries;
}

/// Files added or deleted, by bucket, in the order in which their rows were written.
std::vector<Split> SplitsOf(const TableState& table, std::vector<ManifestEntry> entries,
                            FileKind kind) {
  std::map<std::pair<RowBytes, int>, Split> buckets;
  for (ManifestEntry& entry : entries) {
    if (entry.kind != kind) continue;
    Split& split = buckets[{entry.partition, entry.bucket}];
    split.partition = entry.partition;
    split.bucket = entry.bucket;
    split.removed = kind == FileKind::kDelete;
    split.files.push_back(std::move(entry.file));
  }
  std::vector<Split> splits;
  for (auto& [name, split] : buckets) {
    // What compactions record is in the order in which they ran.
    if (!table.parsed.RecordsInCompactions()) {
      std::stable_sort(split.files.begin(), split.files.end(), [](const auto& a, const auto& b) {
        return a.min_sequence_number < b.min_sequence_number;
      });
    }
    splits.push_back(std::move(split));
  }
  return splits;
}

/// What an overwriting commit changed: of a keyed table all rows of the replaced files leave, then
/// the new ones come; a table without key only tells of the new ones, as Paimon does.
std::vector<Split> OverwrittenSplits(const TableState& table, const Snapshot& snapshot) {
  std::vector<ManifestEntry> entries = table.manifests.EntriesOf(snapshot.DeltaList());
  std::vector<Split> splits;
  if (table.HasPrimaryKey()) splits = SplitsOf(table, entries, FileKind::kDelete);
  std::vector<Split> added = SplitsOf(table, std::move(entries), FileKind::kAdd);
  std::move(added.begin(), added.end(), std::back_inserter(splits));
  return splits;
}

SnapshotChanges ChangesOf(const TableState& table, const Snapshot& snapshot) {
  RefuseLostChangelog(table, snapshot);
  SnapshotChanges changes;
  changes.snapshot_id = snapshot.id;
  changes.time_ms = snapshot.time_ms;
  changes.properties = snapshot.properties;
  if (snapshot.commit_kind == CommitKind::kOverwrite) {
    if (table.parsed.streaming_read_overwrite) {
      changes.splits = OverwrittenSplits(table, snapshot);
    } else {
      changes.full = !table.HasPrimaryKey() || IsNoChange(snapshot);
    }
    return changes;
  }
  changes.splits = SplitsOf(table, EntriesOfChanges(table, snapshot, changes.full), FileKind::kAdd);
  return changes;
}

/// The rows of a split of changes.
ChangePull OpenChanges(const TableState& table, const Split& split,
                       const std::vector<idx_t>& columns) {
  if (!split.removed) {
    std::shared_ptr<ChangeReader> reader = MakeFileChangeReader(table, split, columns);
    return [reader](ChangeChunk& chunk) { return reader->Next(chunk); };
  }
  // The live rows of files that have left the table, as deletes.
  ScanOptions options;
  options.columns = columns;
  std::shared_ptr<SplitReader> reader = MakeSplitReader(table, split, options);
  return [reader](ChangeChunk& chunk) {
    if (!reader->Next(chunk.rows)) return false;
    chunk.kinds.assign(chunk.rows.size(), RowKind::kDelete);
    return true;
  };
}

/// How many threads decode `splits` ahead: none when there is little to read.
size_t ReadAheadThreads(const TableState& table, const std::vector<Split>& splits) {
  int64_t bytes = 0;
  for (const Split& split : splits) {
    for (const DataFileMeta& file : split.files) bytes += file.file_size;
  }
  if (splits.size() < 2 || bytes < kReadAheadBytes) return 0;
  auto& scheduler = duckdb::TaskScheduler::GetScheduler(table.context.database);
  return std::min(kReadAheadThreadsMax, static_cast<size_t>(scheduler.NumberOfThreads()));
}

}  // namespace

void RefuseLostChangelog(const TableState& table, const Snapshot& snapshot) {
  if (!snapshot.properties.contains(kChangelogGoneProperty)) return;
  Throw(ErrorCode::kNotFound,
        "Cannot follow table {} through snapshot {}: a rollback brought it back from a tag, its "
        "changelog had expired. Start the job afresh from a full snapshot.",
        table.folder, snapshot.id);
}

bool IsNoChange(const Snapshot& snapshot) {
  return snapshot.commit_kind == CommitKind::kCompact ||
         snapshot.commit_kind == CommitKind::kAnalyze ||
         snapshot.properties.contains(kPartitionsExpired);
}

std::optional<Snapshot> LastWrite(const TableState& table, std::optional<Snapshot> snapshot) {
  while (snapshot && IsNoChange(*snapshot)) {
    snapshot = table.snapshots.Find(snapshot->id - 1);
  }
  return snapshot;
}

ChangelogType StreamTypeOf(const TableState& table) {
  if (!table.HasPrimaryKey()) return ChangelogType::kAppend;
  RefuseInputOfMerged(table);
  if (table.parsed.RecordsInCompactions()) {
    return table.parsed.merge.engine == MergeEngine::kFirstRow ? ChangelogType::kAppend
                                                               : ChangelogType::kFull;
  }
  if (table.parsed.changelog_producer != ChangelogProducer::kInput) return ChangelogType::kUpsert;
  // While the table is empty nobody has promised anything yet.
  std::optional<Snapshot> write = LastWrite(table, table.snapshots.Latest());
  return write && HasFullInput(*write) ? ChangelogType::kFull : ChangelogType::kUpsert;
}

std::optional<Snapshot> FindChange(const TableState& table, int64_t id) {
  if (auto snapshot = table.snapshots.Find(id)) return snapshot;
  return table.changelogs.Find(id);
}

std::optional<SnapshotChanges> PlanSnapshotChanges(const TableState& table, int64_t id) {
  table.CheckSupported("follow");
  std::optional<SnapshotChanges> changes;
  auto plan_from = [&](const std::optional<Snapshot>& snapshot) {
    return snapshot &&
           LookUnlessExpired(table.snapshots, id, [&] { changes = ChangesOf(table, *snapshot); });
  };
  if (plan_from(table.snapshots.Find(id))) return changes;
  std::optional<int64_t> latest = table.snapshots.LatestId();
  if (!latest || *latest < id) return std::nullopt;
  // It may have come between the two looks.
  if (plan_from(table.snapshots.Find(id))) return changes;
  if (auto changelog = table.changelogs.Find(id)) return ChangesOf(table, *changelog);
  Throw(ErrorCode::kNotFound,
        "Cannot follow table {}: snapshot {} has expired, the oldest is {}. Start the "
        "job afresh from a full snapshot, or keep more of them ('snapshot.time-retained', "
        "'snapshot.num-retained.min').",
        table.folder, id, table.snapshots.EarliestId().value_or(0));
}

void ReadSplitChanges(const TableState& table, const std::vector<Split>& splits,
                      const std::vector<idx_t>& columns, const ChangeReceiver& receive) {
  ReadAheadOptions options;
  for (idx_t column : columns) options.types.push_back(table.schema.fields[column].type.ToDuck());
  options.threads = ReadAheadThreads(table, splits);
  ReadAhead(
      splits.size(), [&](size_t number) { return OpenChanges(table, splits[number], columns); },
      options, receive);
}

}  // namespace millrace
