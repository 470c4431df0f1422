#include "table/snapshot_search.h"

namespace millrace {

namespace {

/// The newest snapshot for which `is_old` holds, when it holds for all before it too.
template <typename IsOld>
std::optional<Snapshot> NewestOld(const SnapshotStore& snapshots, IsOld is_old) {
  std::optional<int64_t> earliest = snapshots.EarliestId(), latest = snapshots.LatestId();
  std::optional<Snapshot> found;
  if (!earliest || !latest) return found;
  int64_t low = *earliest, high = *latest;
  while (low <= high) {
    int64_t middle = low + (high - low) / 2;
    std::optional<Snapshot> snapshot = snapshots.Find(middle);
    if (!snapshot || is_old(*snapshot)) {
      if (snapshot) found = std::move(snapshot);
      low = middle + 1;
    } else {
      high = middle - 1;
    }
  }
  return found;
}

/// The oldest snapshot for which `is_old` does not hold.
template <typename IsOld>
std::optional<Snapshot> OldestNew(const SnapshotStore& snapshots, IsOld is_old) {
  std::optional<Snapshot> old = NewestOld(snapshots, is_old);
  if (old) return snapshots.Find(old->id + 1);
  return EarliestSnapshot(snapshots);
}

}  // namespace

std::optional<Snapshot> EarliestSnapshot(const SnapshotStore& snapshots) {
  std::optional<int64_t> earliest = snapshots.EarliestId(), latest = snapshots.LatestId();
  if (!earliest || !latest) return std::nullopt;
  for (int64_t id = *earliest; id <= *latest; id++) {
    if (auto snapshot = snapshots.Find(id)) return snapshot;  // Else it has just expired.
  }
  return std::nullopt;
}

std::optional<Snapshot> SnapshotAtTime(const SnapshotStore& snapshots, int64_t time_ms) {
  return NewestOld(snapshots,
                   [&](const Snapshot& snapshot) { return snapshot.time_ms <= time_ms; });
}

std::optional<Snapshot> SnapshotSinceTime(const SnapshotStore& snapshots, int64_t time_ms) {
  return OldestNew(snapshots, [&](const Snapshot& snapshot) { return snapshot.time_ms < time_ms; });
}

std::optional<Snapshot> SnapshotSinceWatermark(const SnapshotStore& snapshots, int64_t watermark) {
  return OldestNew(snapshots, [&](const Snapshot& snapshot) {
    return !snapshot.watermark || *snapshot.watermark < watermark;
  });
}

std::optional<Snapshot> SnapshotAtWatermark(const SnapshotStore& snapshots, int64_t watermark) {
  auto at = NewestOld(snapshots, [&](const Snapshot& snapshot) {
    return !snapshot.watermark || *snapshot.watermark <= watermark;
  });
  if (at && at->watermark) return at;
  return SnapshotSinceWatermark(snapshots, INT64_MIN);
}

}  // namespace millrace
