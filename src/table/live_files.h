// live_files.h - a writer's view of the committed files of its table, kept up to date by deltas.
//
// Loaded once from a snapshot, then moved on snapshot by snapshot: a checkpoint costs reading what
// was committed since the last one, not the whole table's manifests.
#pragma once

#include "table/table_state.h"

namespace millrace {

/// Files of all buckets as of one snapshot.
/// Threads: one at a time. Throws: Error(kCorrupt, kIo) naming the file.
class LiveFiles {
 public:
  struct Bucket {
    RowBytes partition;
    int bucket = 0;
    int total_buckets = 0;
    std::vector<DataFileMeta> files;
  };
  /// Told of every snapshot passed; `delta` is null when the history between has expired.
  using Observer = std::function<void(const Snapshot&, const std::vector<ManifestEntry>* delta)>;

  explicit LiveFiles(const TableState& table) : table_(table) {}

  /// Moves to the newest snapshot.
  void Advance(const Observer& observer);
  /// Moves to one snapshot; 0: to none. Throws: Error(kNotFound) when it has expired.
  void MoveTo(int64_t id);
  /// nullptr when the bucket has no files.
  const Bucket* Find(const RowBytes& partition, int bucket) const;
  /// Into how many buckets the files of `partition` lie; nullopt when it has none.
  std::optional<int> TotalBuckets(const RowBytes& partition) const;
  const std::map<std::string, Bucket>& buckets() const { return buckets_; }
  /// The snapshot reached; none when the table has none.
  const std::optional<Snapshot>& at() const { return at_; }

 private:
  /// False when the deltas since the last snapshot cannot be had.
  bool Follow(const Snapshot& latest, const Observer& observer);
  void Load(const Snapshot& snapshot);
  void Apply(const ManifestEntry& entry);

  const TableState& table_;
  std::optional<Snapshot> at_;
  std::map<std::string, Bucket> buckets_;  // By BucketName.
};

}  // namespace millrace
