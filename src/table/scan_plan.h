// scan_plan.h - which files of a snapshot a scan reads, cut into splits for parallel reading.
//
// What can be left out decides scan_pruner.h.
#pragma once

#include "table/table_state.h"

namespace millrace {

/// Live files of the wanted snapshot as splits. Throws: Error(kNotFound) for a snapshot that is not
/// there.
std::vector<Split> PlanTableScan(const TableState& table, const ScanOptions& options);

/// Reads the live rows of one split of PlanTableScan with the same options.
std::unique_ptr<SplitReader> MakeSplitReader(const TableState& table, const Split& split,
                                             const ScanOptions& options);

}  // namespace millrace
