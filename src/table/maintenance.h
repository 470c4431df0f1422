// maintenance.h - what a table does for itself after a commit: tags, expiry of snapshots,
// changelogs, tags, consumers and partitions, marks of finished partitions.
#pragma once

#include "table/table_state.h"

namespace millrace {

/// Runs all of it; of a `write-only` table nothing but the marks. The commit stands already, so
/// failures are not told: what is left is done next time. `batch`: the commit was a batch
/// statement's.
void MaintainAfterCommit(const TableState& table, const Committable& committable, bool batch);

}  // namespace millrace
