// rebase.h - what a commit must know of the snapshots that came before it.
//
// Appends stand on top of anything; what replaces files or follows from rows that were read does
// not. Rules and reasons: docs/internals/commit.md#overwriting.
#pragma once

#include "table/table_state.h"

namespace millrace {

const char* CommitKindName(CommitKind kind);

/// "snapshot 7, APPEND by 'job-1'": who did it, for conflict messages.
std::string Culprit(const Snapshot& snapshot);

/// DELETE entries for every file of `latest` that `scope` replaces; `added`: the commit's new
/// files. Throws: Error(kInvalid) when a new file lies outside a scope that is not dynamic.
std::vector<ManifestEntry> ReplacedEntries(const TableState& table, const OverwriteScope& scope,
                                           const std::vector<ManifestEntry>& added,
                                           const std::optional<Snapshot>& latest);

/// The same for index files.
std::vector<IndexManifestEntry> ReplacedIndexEntries(const TableState& table,
                                                     const OverwriteScope& scope,
                                                     const std::vector<ManifestEntry>& added,
                                                     const std::optional<Snapshot>& latest);

/// New level-0 files of a bucket that do not overlap become its only run, at the highest level:
/// where everything else is replaced there is nothing to merge them with.
void LiftToTop(const TableState& table, std::vector<ManifestEntry>& added);

/// Whether a partition that `delta` adds to has been rewritten into another number of buckets.
std::optional<std::string> FindBucketChange(const TableState& table,
                                            const std::vector<ManifestEntry>& delta,
                                            const std::optional<Snapshot>& latest);

/// Who has written keys of `delta` after `read_snapshot`, from whose rows it follows; for tables
/// without key nobody (their files are compared by name). Reads the keys of files whose ranges
/// overlap.
std::optional<std::string> FindForeignChange(const TableState& table,
                                             const std::vector<ManifestEntry>& delta,
                                             int64_t read_snapshot, const Snapshot& latest);

}  // namespace millrace
