// changes.h - what single snapshots changed: the streaming read of a table from its files.
//
// changelog-producer none: the level-0 files of APPEND snapshots; input: their changelog files;
// lookup, full-compaction: the changelog files of COMPACT snapshots. OVERWRITE ones are skipped
// (docs/format.md#changelogs).
#pragma once

#include "table/table_state.h"

namespace millrace {

/// A snapshot property: up to here every row that left the table came with its old values. Its
/// value names the one writer of all snapshots so far: a committable asks for it, the committer
/// grants it only on top of a snapshot that has it (or of none), so what somebody else writes ends
/// it.
inline constexpr const char* kInputFullProperty = "millrace.input.full";

/// A snapshot property: a rollback brought the snapshot back after its changelog had expired.
inline constexpr const char* kChangelogGoneProperty = "millrace.changelog.gone";

/// Throws: Error(kNotFound) when what `snapshot` changed can no longer be told.
void RefuseLostChangelog(const TableState& table, const Snapshot& snapshot);

/// A snapshot property: its rows came through the table's log. Its value is the newest snapshot
/// below it of which that is not true; 0: none. A committable asks for it, the committer fills it
/// in.
inline constexpr const char* kUnloggedProperty = "millrace.unlogged";

/// Whether what `snapshot` did is nothing to who follows the table: compactions, statistics, rows
/// that expired (they are forgotten, not deleted: followers keep what they led to).
bool IsNoChange(const Snapshot& snapshot);

/// The newest snapshot up to `snapshot` that changed rows: no compaction, no expiry of partitions;
/// nullopt when it has expired.
std::optional<Snapshot> LastWrite(const TableState& table, std::optional<Snapshot> snapshot);

/// The row kinds that a streaming read of this table can be trusted with.
ChangelogType StreamTypeOf(const TableState& table);

/// A snapshot, or the changelog that outlived it; nullopt when it is not there, or has expired.
std::optional<Snapshot> FindChange(const TableState& table, int64_t id);

/// nullopt when the snapshot does not exist yet. Throws: Error(kNotFound) when it has expired.
std::optional<SnapshotChanges> PlanSnapshotChanges(const TableState& table, int64_t id);

/// One split after the other.
void ReadSplitChanges(const TableState& table, const std::vector<Split>& splits,
                      const std::vector<idx_t>& columns, const ChangeReceiver& receive);

}  // namespace millrace
