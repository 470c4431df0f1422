// row_changes.h - rows of a snapshot that a statement deletes or updates, and the rewriting of the
// files that hold them.
//
// A scan numbers its units (of a table without key: single files) and the rows in each; a statement
// marks the rows that leave. Tables with a key take deletes and updates as rows; of the others
// every touched file is written anew without the marked rows (copy on write), or the marked rows go
// into deletion vectors.
#pragma once

#include "table/table.h"

namespace millrace {

/// The rows of a scan by (unit, position in it), in one number.
inline constexpr int kRowPositionBits = 40;
inline int64_t RowIdOf(idx_t unit, int64_t position) {
  return static_cast<int64_t>(unit) << kRowPositionBits | position;
}

/// A set of row ids: one bit per row up to the last one marked of a unit.
/// Threads: one at a time.
class RowMarks {
 public:
  /// False when it was marked already.
  bool Mark(int64_t row_id);
  /// Marked rows of every unit that has any.
  const std::map<idx_t, std::vector<bool>>& units() const { return units_; }

 private:
  std::map<idx_t, std::vector<bool>> units_;
};

/// Splits of a table without key into units of one file each, so that positions are rows of files.
std::vector<Split> SplitByFile(std::vector<Split> splits);

/// Writes what is left of the files with marked rows through `writer`, and prepares one commit that
/// replaces them; rows that `writer` has taken before are part of it. `units`: of the scan.
/// Throws: Error(kNotFound, kCorrupt) when a file has gone or is damaged.
Committable RewriteMarkedFiles(const Table& table, const std::vector<Split>& units,
                               const RowMarks& marks, TableWriter& writer);

/// The same for a table with 'deletion-vectors.enabled': the files stay, marked rows go into
/// deletion vectors. Positions are those in the files as they lie (ScanOptions::positions).
Committable DeleteMarkedRows(const Table& table, int64_t snapshot_id,
                             const std::vector<Split>& units, const RowMarks& marks,
                             TableWriter& writer);

}  // namespace millrace
