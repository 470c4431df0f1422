// expire.h - removes old snapshots and long-lived changelogs, and the files that only they need.
//
// Never what a tag, branch, consumer or commit group needs. A snapshot's file goes before the files
// it names, so that nobody starts on one whose files are going; a crash leaves orphans, which the
// orphan procedure finds. Rules: docs/internals/commit.md#expiry (ExpireSnapshotsImpl.java,
// SnapshotDeletion.java, ExpireChangelogImpl.java).
#pragma once

#include "table/table_state.h"

namespace millrace {

/// What to keep; absent: as the table's options say.
struct ExpireRequest {
  std::optional<int64_t> retain_max = {}, retain_min = {};
  std::optional<int64_t> older_than_ms = {};  // A moment, Unix ms; later ones stay.
  std::optional<int64_t> max_deletes = {};
};

/// Whether changelogs outlive their snapshots.
bool HasDecoupledChangelog(const TableState& table);

/// Removes snapshots from the oldest on. Returns how many went.
/// Throws: Error(kCorrupt, kIo), nothing having been removed; later failures only leave orphans.
int64_t ExpireSnapshots(const TableState& table, const ExpireRequest& request = {});

/// Removes long-lived changelogs from the oldest on; `all`: every one. As above.
int64_t ExpireChangelogs(const TableState& table, const ExpireRequest& request = {},
                         bool all = false);

}  // namespace millrace
