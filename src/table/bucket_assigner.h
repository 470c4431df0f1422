// bucket_assigner.h - which bucket a key of a table with dynamic buckets belongs to.
//
// A key stays in the bucket that its hash was given first; a new hash goes to the first bucket with
// room ('dynamic-bucket.target-row-num'), else to a new one, else (past
// 'dynamic-bucket.max-buckets') to any (HashBucketAssigner.java, PartitionIndex.java). What has
// been given is written down in HASH index files, one per bucket, which whoever writes next reads
// back. 'dynamic-bucket.initial-buckets' = n starts n buckets at once: as Paimon's n assigners,
// each of which serves the keys and buckets that are alike modulo n.
#pragma once

#include <deque>

#include "table/hash_buckets.h"
#include "table/index_store.h"
#include "table/live_files.h"

namespace millrace {

/// Names what index files a partition has, for a commit to notice that another writer has come
/// between. `entries` may be of any partitions and types.
std::string HashIndexState(const std::vector<IndexManifestEntry>& entries,
                           const RowBytes& partition);

/// The index change of one bucket, and the state of its partition that it is made for.
struct HashIndexChange {
  RowBytes partition;
  int bucket = 0;
  std::vector<IndexManifestEntry> entries;
  std::string base;  // HashIndexState of what must be there.
};

/// Assigns buckets for one writer.
/// Threads: one at a time. Throws: Error(kCorrupt) naming an index file; Error(kInvalid) for a
/// partition whose keys no index tells.
class BucketAssigner {
 public:
  explicit BucketAssigner(const TableState& table);

  /// Looks what others have committed; to be called at the beginning of a cycle. `live` is at its
  /// newest snapshot and outlives the cycle.
  void StartCycle(const LiveFiles& live);
  /// buckets[i] = the bucket of the key that `hashes[rows[i]]` is the hash of.
  void Assign(const RowBytes& partition, const std::vector<int32_t>& hashes,
              const SelectionVector& rows, idx_t count, std::vector<int>& buckets);
  /// Writes the index files of all buckets that got new keys since the last call.
  std::vector<HashIndexChange> PrepareCommit();

 private:
  struct Prepared {
    std::string file_name;
    std::vector<int32_t> hashes;  // Those that the file before it lacks.
  };
  struct Bucket {
    int64_t rows = 0;  // Hashes.
    std::optional<IndexManifestEntry> committed;
    std::deque<Prepared> prepared;             // Not seen committed yet.
    std::vector<int32_t> added;                // Since the last PrepareCommit.
    std::optional<IndexManifestEntry> newest;  // The last prepared or committed file.
  };
  /// The buckets that one of several assigners fills.
  struct Share {
    std::vector<int> with_room;  // Some may be full by now. Filled from the front.
    int next_bucket = 0;         // No bucket below is free, among those of the share.
    std::vector<int> all;
  };
  struct Partition {
    HashBuckets index;
    std::map<int, Bucket> buckets;
    std::vector<Share> shares;
    bool accessed = true;
  };

  Partition& PartitionOf(const RowBytes& name);
  void Load(const RowBytes& name, Partition& partition);
  void AddBucket(Partition& partition, int bucket);
  /// Takes over what has been committed; false when somebody else has changed the partition.
  bool Follow(Partition& partition, const std::map<int, const IndexManifestEntry*>& entries) const;
  int AssignNew(Partition& partition, const RowBytes& name, int32_t hash);
  std::optional<int> NewBucket(Partition& partition, idx_t share) const;

  const TableState& table_;
  const TableOptions& options_;
  IndexFileWriter writer_;
  const LiveFiles* live_ = nullptr;
  std::optional<std::string> index_manifest_;  // That `entries_` are from.
  std::vector<IndexManifestEntry> entries_;
  std::map<RowBytes, Partition> partitions_;
};

}  // namespace millrace
