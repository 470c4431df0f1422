// rollback.h - takes a table back to an older state: the snapshots after it go.
//
// Data files of the lost snapshots stay behind as orphans, for readers may be on them; the orphan
// procedure removes them (RollbackHelper.java).
#pragma once

#include "table/table_state.h"

namespace millrace {

/// Removes all snapshots, changelogs and tags after `target`, which is a snapshot or a tag's; a
/// tag's expired snapshot becomes the only one. Can be repeated after a failure half way. Throws:
/// Error(kConflict) when somebody committed meanwhile, on top of what was being removed.
void RollbackTo(const TableState& table, const Snapshot& target);

}  // namespace millrace
