#include "table/bucket_assigner.h"

#include <algorithm>

#include "base/error.h"
#include "format/hash_index.h"
#include "meta/binary_row.h"
#include "meta/row_codec.h"

namespace millrace {

namespace {

constexpr int kMaxBuckets = 32767;  // Paimon keeps buckets as short.

using BucketEntries = std::map<int, const IndexManifestEntry*>;

BucketEntries EntriesOf(const std::vector<IndexManifestEntry>& entries, const RowBytes& partition) {
  BucketEntries of_partition;
  for (const IndexManifestEntry& entry : entries) {
    if (entry.index_type == kHashIndex && entry.partition == partition) {
      of_partition[entry.bucket] = &entry;
    }
  }
  return of_partition;
}

/// Order does not count.
uint64_t DigestOf(int bucket, const std::string& file_name) {
  uint64_t digest = 14695981039346656037ULL ^ static_cast<uint64_t>(bucket);
  for (unsigned char letter : file_name) digest = (digest ^ letter) * 1099511628211ULL;
  return digest * 0x9E3779B97F4A7C15ULL ^ digest >> 32;
}

std::string StateText(uint64_t digest) {
  return fmt::format("{:016x}", digest);
}

/// BucketAssigner.computeAssigner with as many channels as assigners.
idx_t ShareOf(int32_t partition_hash, int32_t key_hash, int shares) {
  auto rest = [&](int32_t hash) { return std::abs(hash % shares); };
  return static_cast<idx_t>((rest(partition_hash) + rest(key_hash)) % shares);
}

int32_t HashOfPartition(const RowBytes& partition) {
  return HashBytesByWords(partition.data() + 4, partition.size() - 4);  // Without the arity.
}

}  // namespace

std::string HashIndexState(const std::vector<IndexManifestEntry>& entries,
                           const RowBytes& partition) {
  uint64_t digest = 0;
  for (const auto& [bucket, entry] : EntriesOf(entries, partition)) {
    digest += DigestOf(bucket, entry->file_name);
  }
  return StateText(digest);
}

BucketAssigner::BucketAssigner(const TableState& table)
    : table_(table), options_(table.parsed), writer_(table) {}

void BucketAssigner::StartCycle(const LiveFiles& live) {
  live_ = &live;
  std::optional<std::string> manifest;
  if (live.at()) manifest = live.at()->index_manifest;
  if (manifest == index_manifest_) return;
  entries_.clear();
  if (live.at()) entries_ = ReadIndexEntries(table_, *live.at());
  index_manifest_ = manifest;
  for (auto& [name, partition] : partitions_) {
    if (!Follow(partition, EntriesOf(entries_, name))) Load(name, partition);
  }
}

bool BucketAssigner::Follow(Partition& partition, const BucketEntries& entries) const {
  for (auto& [id, bucket] : partition.buckets) {
    auto found = entries.find(id);
    std::string actual = found == entries.end() ? "" : found->second->file_name;
    if (actual == (bucket.committed ? bucket.committed->file_name : "")) continue;
    auto ours =
        std::find_if(bucket.prepared.begin(), bucket.prepared.end(),
                     [&](const Prepared& prepared) { return prepared.file_name == actual; });
    if (ours == bucket.prepared.end()) return false;
    bucket.prepared.erase(bucket.prepared.begin(), ours + 1);
    bucket.committed = *found->second;
  }
  return std::all_of(entries.begin(), entries.end(),
                     [&](const auto& entry) { return partition.buckets.contains(entry.first); });
}

BucketAssigner::Partition& BucketAssigner::PartitionOf(const RowBytes& name) {
  auto [found, is_new] = partitions_.try_emplace(name);
  if (is_new) Load(name, found->second);
  found->second.accessed = true;
  return found->second;
}

void BucketAssigner::AddBucket(Partition& partition, int bucket) {
  partition.buckets.try_emplace(bucket);
  Share& share = partition.shares[static_cast<size_t>(bucket) % partition.shares.size()];
  share.with_room.push_back(bucket);
  share.all.push_back(bucket);
}

/// From the index files; what this writer has given and not seen committed yet is kept.
void BucketAssigner::Load(const RowBytes& name, Partition& partition) {
  std::map<int, Bucket> before = std::move(partition.buckets);
  partition = Partition();
  partition.shares.resize(static_cast<size_t>(options_.dynamic_initial_buckets));
  BucketEntries entries = EntriesOf(entries_, name);
  for (const auto& [key, live] : live_->buckets()) {
    if (live.partition != name || live.files.empty() || entries.contains(live.bucket)) continue;
    Throw(ErrorCode::kInvalid,
          "Cannot write to table {}: no index file tells which keys are in bucket {} of partition "
          "'{}', so new rows of these keys could go astray. Rewrite the partition with INSERT "
          "OVERWRITE.",
          table_.folder, live.bucket, PartitionPath(table_.schema, name));
  }
  for (const auto& [id, entry] : entries) {
    if (id < 0 || id > kMaxBuckets) {
      Throw(ErrorCode::kCorrupt, "Index file '{}' is of the impossible bucket {}",
            IndexFilePath(table_, *entry), id);
    }
    AddBucket(partition, id);
    Bucket& bucket = partition.buckets[id];
    bucket.committed = bucket.newest = *entry;
    for (int32_t hash : DecodeHashIndex(ReadIndexFile(table_, *entry), entry->row_count,
                                        IndexFilePath(table_, *entry))) {
      bucket.rows++;
      if (partition.index.Find(hash) == HashBuckets::kNone) partition.index.Add(hash, id);
    }
  }
  for (auto& [id, old] : before) {
    if (old.prepared.empty() && old.added.empty()) continue;
    if (!partition.buckets.contains(id)) AddBucket(partition, id);
    Bucket& bucket = partition.buckets[id];
    auto keep = [&](const std::vector<int32_t>& hashes) {
      for (int32_t hash : hashes) {
        if (partition.index.Find(hash) != HashBuckets::kNone) continue;
        partition.index.Add(hash, id);
        bucket.rows++;
      }
    };
    for (const Prepared& prepared : old.prepared) keep(prepared.hashes);
    keep(old.added);
    if (!old.prepared.empty()) bucket.newest = old.newest;
    bucket.prepared = std::move(old.prepared);
    bucket.added = std::move(old.added);
  }
}

void BucketAssigner::Assign(const RowBytes& name, const std::vector<int32_t>& hashes,
                            const SelectionVector& rows, idx_t count, std::vector<int>& buckets) {
  Partition& partition = PartitionOf(name);
  buckets.resize(count);
  for (idx_t i = 0; i < count; i++) partition.index.Prefetch(hashes[rows.get_index(i)]);
  for (idx_t i = 0; i < count; i++) {
    int32_t hash = hashes[rows.get_index(i)];
    int bucket = partition.index.Find(hash);
    buckets[i] = bucket == HashBuckets::kNone ? AssignNew(partition, name, hash) : bucket;
  }
}

int BucketAssigner::AssignNew(Partition& partition, const RowBytes& name, int32_t hash) {
  int shares = options_.dynamic_initial_buckets;
  idx_t number = shares == 1 ? 0 : ShareOf(HashOfPartition(name), hash, shares);
  Share& share = partition.shares[number];
  int chosen = HashBuckets::kNone;
  while (!share.with_room.empty()) {
    int first = share.with_room.front();
    if (partition.buckets[first].rows < options_.dynamic_target_rows) {
      chosen = first;
      break;
    }
    share.with_room.erase(share.with_room.begin());
  }
  if (chosen == HashBuckets::kNone) {
    if (auto made = NewBucket(partition, number)) {
      chosen = *made;
      AddBucket(partition, chosen);
    }
  }
  if (chosen == HashBuckets::kNone) {  // All there may be are full.
    const std::vector<int>& any = share.all.empty() ? partition.shares[0].all : share.all;
    MILLRACE_CHECK(!any.empty());
    chosen = any[table_.context.random.Next() % any.size()];
  }
  Bucket& bucket = partition.buckets[chosen];
  bucket.rows++;
  bucket.added.push_back(hash);
  partition.index.Add(hash, chosen);
  return chosen;
}

/// The least number that is free and of this share; nullopt when the table may not have more.
std::optional<int> BucketAssigner::NewBucket(Partition& partition, idx_t number) const {
  int shares = options_.dynamic_initial_buckets;
  int limit = options_.dynamic_max_buckets == -1 ? kMaxBuckets : options_.dynamic_max_buckets;
  Share& share = partition.shares[number];
  for (int id = std::max(share.next_bucket, static_cast<int>(number)); id < limit; id += shares) {
    share.next_bucket = id + shares;
    if (!partition.buckets.contains(id)) return id;
  }
  if (options_.dynamic_max_buckets != -1) return std::nullopt;
  Throw(
      ErrorCode::kInvalid,
      "Cannot write to table {}: a partition has {} dynamic buckets, the most there can be. Raise "
      "'dynamic-bucket.target-row-num' ({}).",
      table_.folder, partition.buckets.size(), options_.dynamic_target_rows);
}

std::vector<HashIndexChange> BucketAssigner::PrepareCommit() {
  std::vector<HashIndexChange> changes;
  for (auto& [name, partition] : partitions_) {
    std::map<int, std::vector<int32_t>> contents;
    uint64_t base = 0;
    for (const auto& [id, bucket] : partition.buckets) {
      if (!bucket.added.empty()) contents[id].reserve(static_cast<size_t>(bucket.rows));
      if (bucket.newest) base += DigestOf(id, bucket.newest->file_name);
    }
    if (contents.empty()) continue;
    partition.index.ForEach([&](int32_t hash, int id) {
      auto found = contents.find(id);
      if (found != contents.end()) found->second.push_back(hash);
    });
    for (const auto& [id, hashes] : contents) {
      Bucket& bucket = partition.buckets[id];
      IndexManifestEntry entry;
      entry.partition = name;
      entry.bucket = id;
      entry.index_type = kHashIndex;
      entry.row_count = static_cast<int64_t>(hashes.size());
      writer_.Write(EncodeHashIndex(hashes), entry);
      HashIndexChange change{name, id, {entry}, StateText(base)};
      if (bucket.newest) {
        change.entries.push_back(*bucket.newest);
        change.entries.back().kind = FileKind::kDelete;
      }
      changes.push_back(std::move(change));
      bucket.prepared.push_back({entry.file_name, std::move(bucket.added)});
      bucket.added.clear();
      bucket.newest = std::move(entry);
    }
  }
  // Yesterday's partitions go from memory once all that was given in them is committed.
  std::erase_if(partitions_, [](const auto& item) {
    const auto& buckets = item.second.buckets;
    return !item.second.accessed &&
           std::all_of(buckets.begin(), buckets.end(),
                       [](const auto& bucket) { return bucket.second.prepared.empty(); });
  });
  for (auto& [name, partition] : partitions_) partition.accessed = false;
  return changes;
}

}  // namespace millrace
