// winner_merge.h - merges the runs of a section where one row of each key wins as it is.
#pragma once

#include "lsm/run_scan.h"

namespace millrace {

/// Threads: one at a time. Throws: as RunScan.
class WinnerMerge {
 public:
  virtual ~WinnerMerge() = default;
  /// Fills `output` with the plan's output columns; false at the end.
  virtual bool Next(DataChunk& output) = 0;
};

/// `newest_wins`: deduplicate; else the oldest: first-row. `plan` outlives it.
std::unique_ptr<WinnerMerge> MakeWinnerMerge(std::vector<RunScan> runs, const ReadPlan& plan,
                                             bool newest_wins, bool drop_deletes);

}  // namespace millrace
