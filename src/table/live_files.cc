#include "table/live_files.h"

#include <algorithm>

#include "base/error.h"
#include "table/snapshot_search.h"

namespace millrace {

void LiveFiles::Apply(const ManifestEntry& entry) {
  Bucket& bucket = buckets_[BucketName(entry.partition, entry.bucket)];
  if (entry.kind == FileKind::kAdd) {
    bucket.partition = entry.partition;
    bucket.bucket = entry.bucket;
    bucket.total_buckets = entry.total_buckets;
    bucket.files.push_back(entry.file);
    return;
  }
  std::erase_if(bucket.files, [&](const DataFileMeta& file) {
    return file.file_name == entry.file.file_name && file.level == entry.file.level;
  });
}

void LiveFiles::Load(const Snapshot& snapshot) {
  buckets_.clear();
  for (const ManifestEntry& entry : table_.manifests.LiveEntries(snapshot)) Apply(entry);
  at_ = snapshot;
}

bool LiveFiles::Follow(const Snapshot& latest, const Observer& observer) {
  // Another history (a rollback) or none at all: start over.
  if (!at_ || at_->id >= latest.id || table_.snapshots.Find(at_->id) != at_) return false;
  for (int64_t id = at_->id + 1; id <= latest.id; id++) {
    std::optional<Snapshot> next = id == latest.id ? latest : table_.snapshots.Find(id);
    if (!next) return false;
    std::vector<ManifestEntry> delta;
    if (!LookUnlessExpired(table_.snapshots, id,
                           [&] { delta = table_.manifests.EntriesOf(next->DeltaList()); })) {
      return false;
    }
    // An upgrade deletes and adds one name: deletions first.
    for (const ManifestEntry& entry : delta) {
      if (entry.kind == FileKind::kDelete) Apply(entry);
    }
    for (const ManifestEntry& entry : delta) {
      if (entry.kind == FileKind::kAdd) Apply(entry);
    }
    at_ = next;
    observer(*next, &delta);
  }
  return true;
}

void LiveFiles::Advance(const Observer& observer) {
  for (;;) {
    std::optional<Snapshot> latest = table_.snapshots.Latest();
    if (!latest) {
      at_.reset();
      buckets_.clear();
      return;
    }
    if (at_ == latest) return;
    try {
      if (Follow(*latest, observer)) return;
      Load(*latest);
      observer(*latest, nullptr);
      return;
    } catch (const Error& error) {
      // Expired while we were reading: there is a newer one.
      at_.reset();
      if (error.code() != ErrorCode::kCorrupt || table_.snapshots.LatestId() == latest->id) throw;
    }
  }
}

void LiveFiles::MoveTo(int64_t id) {
  if (id == 0) {
    at_.reset();
    buckets_.clear();
    return;
  }
  std::optional<Snapshot> wanted = table_.snapshots.Find(id);
  if (!wanted) {
    Throw(ErrorCode::kNotFound,
          "Reading table {} as of snapshot {}: it has expired; keep more of them "
          "('snapshot.time-retained', 'snapshot.num-retained.min').",
          table_.folder, id);
  }
  if (at_ == wanted || Follow(*wanted, [](const Snapshot&, const std::vector<ManifestEntry>*) {})) {
    return;
  }
  at_.reset();
  Load(*wanted);
}

const LiveFiles::Bucket* LiveFiles::Find(const RowBytes& partition, int bucket) const {
  auto found = buckets_.find(BucketName(partition, bucket));
  return found == buckets_.end() ? nullptr : &found->second;
}

std::optional<int> LiveFiles::TotalBuckets(const RowBytes& partition) const {
  std::string prefix = partition + "/";
  for (auto it = buckets_.lower_bound(prefix);
       it != buckets_.end() && it->first.starts_with(prefix); ++it) {
    const Bucket& bucket = it->second;
    if (bucket.partition == partition && !bucket.files.empty()) return bucket.total_buckets;
  }
  return std::nullopt;
}

}  // namespace millrace
