// snapshot_search.h - snapshots by time and by watermark, as Paimon looks for them.
//
// Both ascend along a history, so a search halves the range; a snapshot that expires meanwhile
// counts as one of the old. (SnapshotManager.java, TimeTravelUtil.java)
#pragma once

#include "base/error.h"
#include "table/snapshot_store.h"

namespace millrace {

/// Calls `look`, which reads files of snapshot `id`. False when it failed because that snapshot has
/// expired: it goes before its files do.
template <typename Look>
bool LookUnlessExpired(const SnapshotStore& snapshots, int64_t id, Look look) {
  try {
    look();
    return true;
  } catch (const Error&) {
    if (snapshots.Find(id)) throw;
    return false;
  }
}

/// The newest snapshot committed at `time_ms` or before; nullopt when all are later.
std::optional<Snapshot> SnapshotAtTime(const SnapshotStore& snapshots, int64_t time_ms);
/// The oldest one committed at `time_ms` or later.
std::optional<Snapshot> SnapshotSinceTime(const SnapshotStore& snapshots, int64_t time_ms);
/// The oldest one whose watermark is `watermark` or more.
std::optional<Snapshot> SnapshotSinceWatermark(const SnapshotStore& snapshots, int64_t watermark);
/// The newest one whose watermark is `watermark` or less; the oldest that has a watermark, when all
/// have more.
std::optional<Snapshot> SnapshotAtWatermark(const SnapshotStore& snapshots, int64_t watermark);
/// The oldest there is.
std::optional<Snapshot> EarliestSnapshot(const SnapshotStore& snapshots);

}  // namespace millrace
