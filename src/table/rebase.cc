#include "table/rebase.h"

#include <algorithm>
#include <set>
#include <unordered_set>

#include "base/error.h"
#include "duckdb/common/allocator.hpp"
#include "lsm/merge_reader.h"
#include "lsm/sort_key.h"
#include "meta/binary_row.h"
#include "meta/options.h"
#include "table/index_store.h"
#include "table/snapshot_search.h"

namespace millrace {

namespace {

/// Beyond so many rows key ranges are compared instead of keys, to keep memory bounded.
constexpr int64_t kKeysMax = 1'000'000;

std::string PartitionText(const TableState& table, const RowBytes& partition) {
  std::string path = PartitionPath(table.schema, partition);
  return path.empty() ? "the table" : "partition " + path;
}

/// Calls `see` with the normalised keys of the rows in `files`, chunk by chunk.
void ReadKeys(const TableState& table, const ManifestEntry& bucket,
              const std::vector<DataFileMeta>& files, const std::function<void(string_t)>& see) {
  KeyValueLayout layout = table.Layout();
  MergeReadOptions options;
  options.fields = layout.key;
  options.drop_deletes = false;
  options.fields_of_schema = [&table](int64_t id) { return table.schemas.Get(id)->fields; };
  RunReader reader(table.lsm(), layout, table.BucketFolder(bucket.partition, bucket.bucket), files,
                   options);
  DataChunk keys;
  keys.Initialize(duckdb::Allocator::DefaultAllocator(), reader.Types());
  for (;;) {
    keys.Reset();
    if (!reader.Next(keys)) return;
    Vector blobs(LogicalType(LogicalTypeId::BLOB), keys.size());
    NormaliseToBlobs(keys, blobs);
    const auto* texts = duckdb::FlatVector::GetData<string_t>(blobs);
    for (idx_t i = 0; i < keys.size(); i++) see(texts[i]);
  }
}

/// The partitions that an overwriting commit replaces.
class PartitionChoice {
 public:
  PartitionChoice(const TableState& table, const OverwriteScope& scope,
                  const std::vector<ManifestEntry>& added)
      : matcher_(table.schema, scope.partitions),
        dynamic_(scope.dynamic && !table.schema.partition_keys.empty()) {
    for (const ManifestEntry& entry : added) touched_.insert(entry.partition);
    if (dynamic_) return;
    for (const RowBytes& partition : touched_) {
      if (matcher_.Matches(partition)) continue;
      Throw(ErrorCode::kInvalid,
            "Cannot overwrite a part of table {}: new rows lie in {}, outside of that part.",
            table.folder, PartitionText(table, partition));
    }
  }
  bool Has(const RowBytes& partition) const {
    return dynamic_ ? touched_.contains(partition) : matcher_.Matches(partition);
  }

 private:
  PartitionMatcher matcher_;
  bool dynamic_;
  std::set<RowBytes> touched_;
};

/// The keys that one commit writes, by bucket.
class WrittenKeys {
 public:
  WrittenKeys(const TableState& table, const std::vector<ManifestEntry>& delta)
      : table_(table), order_(table.Layout().KeyTypes()) {
    for (const ManifestEntry& entry : delta) {
      if (entry.kind != FileKind::kAdd) continue;
      Bucket& bucket = buckets_[BucketName(entry.partition, entry.bucket)];
      bucket.entry = &entry;
      bucket.files.push_back(entry.file);
      bucket.rows += entry.file.row_count;
      bucket.ranges.emplace_back(order_.Normalise(entry.file.min_key),
                                 order_.Normalise(entry.file.max_key));
    }
  }

  EntryFilter InTheseBuckets() const {
    return [this](const ManifestEntry& entry) {
      return buckets_.contains(BucketName(entry.partition, entry.bucket));
    };
  }

  /// Whether `other`, a file of one of these buckets, has one of the keys.
  bool Meets(const ManifestEntry& other) {
    Bucket& bucket = buckets_.at(BucketName(other.partition, other.bucket));
    std::string least = order_.Normalise(other.file.min_key);
    std::string greatest = order_.Normalise(other.file.max_key);
    bool overlaps = std::any_of(bucket.ranges.begin(), bucket.ranges.end(), [&](const auto& range) {
      return least <= range.second && range.first <= greatest;
    });
    if (!overlaps) return false;
    if (bucket.rows > kKeysMax) return true;
    if (bucket.keys.empty()) {
      ReadKeys(table_, *bucket.entry, bucket.files,
               [&](string_t key) { bucket.keys.insert(key.GetString()); });
    }
    bool found = false;
    ReadKeys(table_, other, {other.file},
             [&](string_t key) { found = found || bucket.keys.contains(key.GetString()); });
    return found;
  }

 private:
  struct Bucket {
    const ManifestEntry* entry = nullptr;
    std::vector<DataFileMeta> files;
    int64_t rows = 0;
    std::vector<std::pair<std::string, std::string>> ranges;
    std::unordered_set<std::string> keys;  // Read when they are first needed.
  };

  const TableState& table_;
  KeyOrder order_;
  std::map<std::string, Bucket> buckets_;
};

/// With deletion vectors whoever reads does not see level 0, which a compaction will show later:
/// the same as a change by others after the snapshot was read.
std::optional<std::string> FindWaitingChange(const TableState& table, WrittenKeys& keys,
                                             int64_t read_snapshot) {
  if (!table.parsed.HidesLevel0()) return std::nullopt;
  std::optional<Snapshot> read = table.snapshots.Find(read_snapshot);
  if (!read) return std::nullopt;
  std::vector<ManifestEntry> waiting;
  EntryFilter is_ours = keys.InTheseBuckets();
  if (!LookUnlessExpired(table.snapshots, read_snapshot, [&] {
        waiting = table.manifests.LiveEntries(*read, [&](const ManifestEntry& entry) {
          return entry.file.level == 0 && is_ours(entry);
        });
      })) {
    return std::nullopt;
  }
  for (const ManifestEntry& entry : waiting) {
    if (!keys.Meets(entry)) continue;
    return fmt::format(
        "snapshot {}, which it read, has newer rows of the same keys in level 0 (file {}), which "
        "are not to be seen before they are compacted",
        read_snapshot, entry.file.file_name);
  }
  return std::nullopt;
}

}  // namespace

const char* CommitKindName(CommitKind kind) {
  constexpr const char* kNames[] = {"APPEND", "COMPACT", "OVERWRITE", "ANALYZE"};
  return kNames[static_cast<size_t>(kind)];
}

std::string Culprit(const Snapshot& snapshot) {
  return fmt::format("snapshot {}, {} by '{}'", snapshot.id, CommitKindName(snapshot.commit_kind),
                     snapshot.commit_user);
}

std::vector<ManifestEntry> ReplacedEntries(const TableState& table, const OverwriteScope& scope,
                                           const std::vector<ManifestEntry>& added,
                                           const std::optional<Snapshot>& latest) {
  PartitionChoice chosen(table, scope, added);
  std::vector<ManifestEntry> replaced;
  if (!latest) return replaced;
  replaced = table.manifests.LiveEntries(
      *latest, [&](const ManifestEntry& entry) { return chosen.Has(entry.partition); });
  for (ManifestEntry& entry : replaced) entry.kind = FileKind::kDelete;
  return replaced;
}

std::vector<IndexManifestEntry> ReplacedIndexEntries(const TableState& table,
                                                     const OverwriteScope& scope,
                                                     const std::vector<ManifestEntry>& added,
                                                     const std::optional<Snapshot>& latest) {
  PartitionChoice chosen(table, scope, added);
  std::vector<IndexManifestEntry> replaced;
  if (!latest) return replaced;
  for (IndexManifestEntry& entry : ReadIndexEntries(table, *latest)) {
    if (!chosen.Has(entry.partition)) continue;
    entry.kind = FileKind::kDelete;
    replaced.push_back(std::move(entry));
  }
  return replaced;
}

void LiftToTop(const TableState& table, std::vector<ManifestEntry>& added) {
  if (!table.HasPrimaryKey() || !table.parsed.overwrite_upgrade) return;
  KeyOrder order(table.Layout().KeyTypes());
  struct Range {
    std::string least, greatest;
    ManifestEntry* entry;
  };
  std::map<std::string, std::vector<Range>> buckets;
  for (ManifestEntry& entry : added) {
    if (entry.kind != FileKind::kAdd || entry.file.level > 0) return;
    buckets[BucketName(entry.partition, entry.bucket)].push_back(
        {order.Normalise(entry.file.min_key), order.Normalise(entry.file.max_key), &entry});
  }
  for (auto& [name, files] : buckets) {
    std::sort(files.begin(), files.end(), [](auto& a, auto& b) { return a.least < b.least; });
    bool one_run = true;
    for (size_t i = 0; i < files.size(); i++) {
      // Deletes hide nothing here, but at the highest level nobody expects them.
      one_run = one_run && files[i].entry->file.delete_row_count.value_or(1) == 0 &&
                (i == 0 || files[i - 1].greatest < files[i].least);
    }
    if (!one_run) continue;
    for (Range& file : files) file.entry->file.level = table.parsed.level_count - 1;
  }
}

std::optional<std::string> FindBucketChange(const TableState& table,
                                            const std::vector<ManifestEntry>& delta,
                                            const std::optional<Snapshot>& latest) {
  // The number of buckets changes by ALTER TABLE first, so a writer of the newest schema has
  // compared it with the files that are there.
  if (!latest || table.schemas.LatestId() == table.schema.id) return std::nullopt;
  std::map<RowBytes, int> buckets;
  for (const ManifestEntry& entry : delta) {
    if (entry.kind == FileKind::kAdd && entry.total_buckets > 0)
      buckets[entry.partition] = entry.total_buckets;
  }
  if (buckets.empty() ||
      GetInt(table.schemas.Latest()->options, "bucket", -1) == buckets.begin()->second) {
    return std::nullopt;
  }
  std::vector<ManifestEntry> others =
      table.manifests.LiveEntries(*latest, [&](const ManifestEntry& entry) {
        auto ours = buckets.find(entry.partition);
        return ours != buckets.end() && entry.total_buckets > 0 &&
               entry.total_buckets != ours->second;
      });
  if (others.empty()) return std::nullopt;
  return fmt::format("{} has been rewritten into {} buckets, these rows are for {}",
                     PartitionText(table, others[0].partition), others[0].total_buckets,
                     buckets.at(others[0].partition));
}

std::optional<std::string> FindForeignChange(const TableState& table,
                                             const std::vector<ManifestEntry>& delta,
                                             int64_t read_snapshot, const Snapshot& latest) {
  if (!table.HasPrimaryKey()) return std::nullopt;
  WrittenKeys keys(table, delta);
  if (auto waiting = FindWaitingChange(table, keys, read_snapshot)) return waiting;
  for (int64_t id = read_snapshot + 1; id <= latest.id; id++) {
    std::optional<Snapshot> snapshot = table.snapshots.Find(id);
    bool meets = false;
    bool there = snapshot && LookUnlessExpired(table.snapshots, id, [&] {
                   if (snapshot->commit_kind == CommitKind::kCompact) return;
                   std::vector<ManifestEntry> entries =
                       table.manifests.EntriesOf(snapshot->DeltaList(), keys.InTheseBuckets());
                   meets =
                       std::any_of(entries.begin(), entries.end(),
                                   [&](const ManifestEntry& entry) { return keys.Meets(entry); });
                 });
    if (!there) {
      return fmt::format(
          "the rows were read at snapshot {}, and what came after it has expired: snapshot {} "
          "cannot be compared",
          read_snapshot, id);
    }
    if (!meets) continue;
    return fmt::format("rows that were read at snapshot {} have been changed since by {}",
                       read_snapshot, Culprit(*snapshot));
  }
  return std::nullopt;
}

}  // namespace millrace
