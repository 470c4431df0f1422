// expire.h - removes old snapshots and the files that only they need.
#pragma once

#include "table/table_state.h"

namespace millrace {

/// Removes what `snapshot.num-retained.*` and `snapshot.time-retained` no longer keep: snapshots
/// from the oldest on, never one that a commit group names, and nothing at all while tags or
/// consumers exist. Failures are not told: what is left behind is removed next time or is an
/// orphan. Returns how many snapshots went.
int64_t ExpireSnapshots(const TableState& table);

}  // namespace millrace
