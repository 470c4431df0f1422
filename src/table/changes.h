// changes.h - what single snapshots changed: the streaming read of a table from its files.
//
// changelog-producer none: the level-0 files of APPEND snapshots; input: their changelog files.
// COMPACT snapshots change nothing; OVERWRITE ones are skipped (docs/format.md#scan).
#pragma once

#include "table/table_state.h"

namespace millrace {

/// A snapshot property: every row that left came with its old values. Its value names the writer; a
/// table is full while all its changelogs are of one writer.
inline constexpr const char* kInputFullProperty = "millrace.input.full";

/// The row kinds that a streaming read of this table can be trusted with.
ChangelogType StreamTypeOf(const TableState& table);

/// nullopt when the snapshot does not exist yet. Throws: Error(kNotFound) when it has expired.
std::optional<SnapshotChanges> PlanSnapshotChanges(const TableState& table, int64_t id);

void ReadSplitChanges(const TableState& table, const Split& split,
                      const std::vector<idx_t>& columns, const ChangeReceiver& receive);

}  // namespace millrace
