// tags.h - making and removing tags, with the files that hang on them.
//
// A tag keeps its snapshot's files when the snapshot expires; when the tag goes they go, unless a
// neighbouring tag, a snapshot or a branch needs them (TagManager.java, TagDeletion.java).
#pragma once

#include "table/table_state.h"

namespace millrace {

/// Tags `snapshot` for `retained_ms` (default: `tag.default-time-retained`, else for ever).
/// `ignore_existing`: a tag of that name stays as it is. Throws: Error(kExists); Error(kInvalid)
/// for a name that cannot be; Error(kConflict) when the snapshot expired meanwhile.
void CreateTag(const TableState& table, const std::string& name, const Snapshot& snapshot,
               std::optional<int64_t> retained_ms, bool ignore_existing = false);

/// Lets an existing tag name another snapshot. Throws: as CreateTag; Error(kNotFound).
void ReplaceTag(const TableState& table, const std::string& name, const Snapshot& snapshot,
                std::optional<int64_t> retained_ms);

/// Throws: Error(kNotFound, kExists, kInvalid).
void RenameTag(const TableState& table, const std::string& from, const std::string& to);

/// Removes the tag, then what only it needed; false when there was none. Failures after the tag has
/// gone leave orphans and are not told.
bool DeleteTag(const TableState& table, const std::string& name);

/// Removes tags whose lifetime is over, and with `older_than_ms` all that were made before. Returns
/// their names.
std::vector<std::string> ExpireTags(const TableState& table,
                                    std::optional<int64_t> older_than_ms = {});

/// A snapshot by its id: of the history, else of a tag. Throws: Error(kNotFound).
Snapshot NeedSnapshotOrTag(const TableState& table, int64_t id);

}  // namespace millrace
