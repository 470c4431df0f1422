// file_index_pruner.h - what the file indexes of a table say about a filter.
//
// Only equality and IN lists. Conditions on key columns hold for all versions of a row; others may
// hide rows only where no merge could bring them back.
#pragma once

#include "lsm/merge_reader.h"
#include "table/prune_condition.h"

namespace millrace {

/// Asks indexes of data files, at most those in the manifest or also those beside the files.
/// Threads: safe (immutable). Throws: Error(kCorrupt) naming an index file.
class FileIndexPruner {
 public:
  /// `conditions` outlive this object; those on other columns than `columns` are left aside.
  FileIndexPruner(const TableState& table, const std::vector<PruneCondition>& conditions,
                  const std::vector<idx_t>* columns = nullptr);

  /// False when the index in the manifest says that no row of `file` passes.
  bool MayMatch(const DataFileMeta& file) const;
  /// Also reads an index that lies beside the file, whose bucket's folder is `folder`.
  FileRows RowsOf(const std::string& folder, const DataFileMeta& file) const;

 private:
  FileRows Ask(const DataFileMeta& file, IndexBytes bytes) const;

  const TableState& table_;
  std::vector<const PruneCondition*> conditions_;  // Equality and IN.
};

}  // namespace millrace
