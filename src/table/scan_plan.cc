#include "table/scan_plan.h"

#include <algorithm>
#include <ctime>

#include "base/error.h"
#include "duckdb/parallel/task_scheduler.hpp"
#include "lsm/key_cuts.h"
#include "table/index_store.h"
#include "table/scan_pruner.h"

namespace millrace {

namespace {

constexpr int64_t kRangesOfSplit = 4;   // No range is smaller than this part of a split's target.
constexpr int64_t kSplitsOfRange = 4;   // Nor larger than so many targets.
constexpr int64_t kSplitsOfThread = 4;  // So that threads end at about the same time,
constexpr int64_t kLeastSplitBytes = 8 << 20;  // unless splits would be smaller than this.

/// The Unix time of a wall clock of this machine's time zone.
int64_t EpochOfWallClockMs(int64_t wall_ms) {
  std::time_t seconds = wall_ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  parts.tm_isdst = -1;
  return static_cast<int64_t>(mktime(&parts)) * 1000 + wall_ms % 1000;
}

/// Files tell the local wall clock. One that tells nothing is taken for old.
bool CreatedSince(const DataFileMeta& file, int64_t time_ms) {
  return file.creation_time_ms && EpochOfWallClockMs(*file.creation_time_ms) >= time_ms;
}

bool IsRaw(const Section& section) {
  if (section.size() != 1) return false;
  return std::all_of(
      section[0].files.begin(), section[0].files.end(),
      [](const DataFileMeta& file) { return file.level > 0 && file.delete_row_count == 0; });
}

using Deletions = std::map<std::string, DeletionFile>;  // By data file.

int64_t SplitWeight(const TableOptions& options, const DataFileMeta& file) {
  return std::max(file.file_size, options.split_open_bytes);
}

/// Collects files into splits of about the target size.
class SplitPacker {
 public:
  /// `target_bytes`: of a split.
  SplitPacker(const TableOptions& options, int64_t target_bytes, const Deletions& deletions,
              std::vector<Split>& splits)
      : options_(options), target_bytes_(target_bytes), deletions_(deletions), splits_(splits) {}

  void Add(const ManifestEntry& bucket, std::vector<DataFileMeta> files, bool raw) {
    int64_t weight = 0;
    for (const DataFileMeta& file : files) weight += SplitWeight(options_, file);
    if (open_ && (open_->raw != raw || weight_ + weight > target_bytes_)) Finish();
    if (!open_) {
      open_ = Split{bucket.partition, bucket.bucket, {}, raw};
      open_->total_buckets = bucket.total_buckets;
    }
    for (const DataFileMeta& file : files) {
      auto deleted = deletions_.find(file.file_name);
      if (deleted != deletions_.end()) open_->deletions.insert(*deleted);
    }
    std::move(files.begin(), files.end(), std::back_inserter(open_->files));
    weight_ += weight;
  }
  /// A split of its own.
  void AddRange(const ManifestEntry& bucket, std::vector<DataFileMeta> files, const RowBytes& from,
                const RowBytes& below) {
    Finish();
    Add(bucket, std::move(files), false);
    open_->from_key = from;
    open_->below_key = below;
    Finish();
  }
  void Finish() {
    if (open_) splits_.push_back(std::move(*open_));
    open_.reset();
    weight_ = 0;
  }

 private:
  const TableOptions& options_;
  const int64_t target_bytes_;
  const Deletions& deletions_;
  std::vector<Split>& splits_;
  std::optional<Split> open_;
  int64_t weight_ = 0;
};

/// Above level 0 every key has one live row, wherever it lies; level 0 waits for the compaction
/// that will say which (docs/format.md#scan).
void PlanHidingBucket(const ScanPruner& pruner, std::vector<ManifestEntry>& entries,
                      SplitPacker& packer) {
  for (ManifestEntry& entry : entries) {
    if (entry.file.level == 0 || !pruner.KeepByKey(entry.file) ||
        !pruner.KeepByValues(entry.file)) {
      continue;
    }
    packer.Add(entry, {entry.file}, true);
  }
  packer.Finish();
}

/// What lies there when a stream starts has been told of already, and is not told again when it is
/// compacted (but by changelogs of compactions, whose readers leave level 0 out before).
bool HasLevel0(const std::vector<ManifestEntry>& entries) {
  return std::any_of(entries.begin(), entries.end(),
                     [](const ManifestEntry& entry) { return entry.file.level == 0; });
}

int64_t ThreadCount(const TableState& table) {
  return duckdb::TaskScheduler::GetScheduler(table.context.database).NumberOfThreads();
}

using BucketFileLists = std::map<std::pair<RowBytes, int>, std::vector<ManifestEntry>>;

int64_t TargetBytes(const TableState& table, const BucketFileLists& buckets) {
  int64_t total = 0;
  for (const auto& [name, entries] : buckets) {
    for (const ManifestEntry& entry : entries) total += SplitWeight(table.parsed, entry.file);
  }
  int64_t share = total / (ThreadCount(table) * kSplitsOfThread);
  return std::min(table.parsed.split_target_bytes, std::max(share, kLeastSplitBytes));
}

/// As many as there are threads, more of them in a section of many split target sizes: each reads
/// some rows of its neighbours along.
int64_t RangeCount(const TableState& table, const Section& section) {
  int64_t bytes = 0;
  for (const SortedRun& run : section) bytes += run.TotalBytes();
  int64_t target = std::max<int64_t>(table.parsed.split_target_bytes, 1);
  return std::max(std::min(ThreadCount(table), bytes * kRangesOfSplit / target),
                  bytes / (kSplitsOfRange * target));
}

/// Adds a section as one split for each range of keys.
void AddByKeyRange(const ManifestEntry& bucket, const Section& section, const KeyOrder& order,
                   const std::vector<KeyRange>& ranges, SplitPacker& packer) {
  std::vector<DataFileMeta> all;
  for (const SortedRun& run : section) all.insert(all.end(), run.files.begin(), run.files.end());
  for (const KeyRange& range : ranges) {
    packer.AddRange(bucket, FilesInRange(all, range, order), range.from, range.below);
  }
}

void PlanKeyedBucket(const TableState& table, const ScanPruner& pruner, const KeyOrder& order,
                     const std::vector<ManifestEntry>& entries, SplitPacker& packer) {
  std::vector<DataFileMeta> files;
  for (const ManifestEntry& entry : entries) {
    if (pruner.KeepByKey(entry.file)) files.push_back(entry.file);
  }

  for (Section& section : PartitionIntoSections(std::move(files), order)) {
    bool raw = IsRaw(section);
    if (!raw && !pruner.NamesKeys()) {
      std::vector<KeyRange> ranges = ChooseKeyRanges(
          table.lsm(), table.Layout(), table.BucketFolder(entries[0].partition, entries[0].bucket),
          section, order, RangeCount(table, section));
      if (ranges.size() > 1) {
        AddByKeyRange(entries[0], section, order, ranges, packer);
        continue;
      }
    }
    std::vector<DataFileMeta> wanted;
    for (SortedRun& run : section) {
      for (DataFileMeta& file : run.files) {
        if (!raw || pruner.KeepByValues(file)) wanted.push_back(std::move(file));
      }
    }
    if (!wanted.empty()) packer.Add(entries[0], std::move(wanted), raw);
  }
  packer.Finish();
}

/// The level from which on compactions have told of all rows.
int LeastRecordedLevel(const TableOptions& options) {
  if (options.changelog_producer == ChangelogProducer::kLookup) return 1;
  if (options.changelog_producer == ChangelogProducer::kFullCompaction) {
    return options.level_count - 1;
  }
  return 0;
}

}  // namespace

std::vector<Split> PlanTableScan(const TableState& table, const ScanOptions& options) {
  table.CheckSupported("read");
  std::optional<Snapshot> snapshot = options.snapshot;
  if (snapshot) {
    // A tag's perhaps, whose own file has expired.
  } else if (options.snapshot_id) {
    snapshot = table.snapshots.Find(*options.snapshot_id);
    if (!snapshot) {
      Throw(ErrorCode::kNotFound,
            "Cannot read snapshot {} of table {}: there are snapshots {} to {}. Set "
            "'scan.snapshot-id' to one of them.",
            *options.snapshot_id, table.folder, table.snapshots.EarliestId().value_or(0),
            table.snapshots.LatestId().value_or(0));
    }
  } else {
    snapshot = table.snapshots.Latest();
  }
  std::vector<Split> splits;
  if (!snapshot) return splits;
  ScanPruner pruner(table, options.predicates);
  std::vector<ManifestEntry> live;
  Deletions deletions;
  for (;;) {
    try {
      deletions = FindDeletions(table, *snapshot);
      live = table.scan_manifests.LiveEntries(
          *snapshot, [&](const ManifestEntry& entry) { return pruner.KeepBucket(entry); },
          [&](const ManifestFileMeta& manifest) { return pruner.KeepManifest(manifest); });
      break;
    } catch (const Error& error) {
      // Expired while we were reading: whoever wants the latest takes the next one.
      std::optional<Snapshot> next = table.snapshots.Latest();
      if (error.code() != ErrorCode::kCorrupt || options.snapshot_id || options.snapshot || !next ||
          next == snapshot)
        throw;
      snapshot = next;
    }
  }
  if (options.as_stream_start) {
    int least = LeastRecordedLevel(table.parsed);
    std::erase_if(live, [&](const ManifestEntry& entry) { return entry.file.level < least; });
  }
  BucketFileLists buckets;
  for (ManifestEntry& entry : live) {
    if (options.only_level && entry.file.level != *options.only_level) continue;
    if (options.created_since_ms && !CreatedSince(entry.file, *options.created_since_ms)) continue;
    buckets[{entry.partition, entry.bucket}].push_back(std::move(entry));
  }
  SplitPacker packer(table.parsed, TargetBytes(table, buckets), deletions, splits);
  KeyOrder order(table.Layout().KeyTypes());
  for (auto& [name, entries] : buckets) {
    if (table.HasPrimaryKey() && table.parsed.HidesLevel0() &&
        !(options.as_stream_start && HasLevel0(entries))) {
      PlanHidingBucket(pruner, entries, packer);
      continue;
    }
    if (table.HasPrimaryKey()) {
      PlanKeyedBucket(table, pruner, order, entries, packer);
      continue;
    }
    if (table.HasBuckets()) {  // A bucket has an order, which compactions keep.
      std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
        return a.file.min_sequence_number < b.file.min_sequence_number;
      });
    }
    for (ManifestEntry& entry : entries) {
      if (pruner.KeepByValues(entry.file)) packer.Add(entry, {entry.file}, true);
    }
    packer.Finish();
  }
  return splits;
}

}  // namespace millrace
