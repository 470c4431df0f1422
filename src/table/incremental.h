// incremental.h - batch reads of an interval of the history: 'incremental-between' and its kin.
#pragma once

#include "table/change_reader.h"
#include "table/scan_start.h"

namespace millrace {

/// A unit of an incremental read: files in commit order, or one bucket in two states.
struct IncrementalSplit {
  Split files;                  // What came; of a comparison the later state.
  std::optional<Split> before;  // The earlier state of a comparison.
};

/// Throws: Error(kNotFound) when snapshots of the interval have expired; Error(kUnsupported) for
/// states that cannot be compared.
std::vector<IncrementalSplit> PlanIncremental(const TableState& table,
                                              const IncrementalRange& range);

/// Rows with their kinds; deletes of a comparison only with `keep_deletes`.
std::unique_ptr<ChangeReader> ReadIncremental(const TableState& table,
                                              const IncrementalSplit& split,
                                              const std::vector<idx_t>& columns, bool keep_deletes);

}  // namespace millrace
