// orphan_files.h - finds and removes files that nothing names: what crashes, lost races and
// rollbacks leave behind.
//
// Only files older than a limit: a writer's files are named by nobody until it commits
// (OrphanFilesClean.java, LocalOrphanFilesClean.java).
#pragma once

#include "table/table_state.h"

namespace millrace {

struct OrphanFile {
  std::string path;
  int64_t bytes = 0;
  bool operator==(const OrphanFile&) const = default;
};

/// Files of the table's folder last written before `older_than_ms` that no snapshot, tag or
/// changelog of any branch names; `dry_run`: only tells them. Files that are no part of the format
/// (a log, marks of done partitions, unknown names) are left alone. Throws: Error(kCorrupt, kIo),
/// nothing having been removed, when what is in use cannot be read.
std::vector<OrphanFile> RemoveOrphanFiles(const TableState& table, int64_t older_than_ms,
                                          bool dry_run);

}  // namespace millrace
