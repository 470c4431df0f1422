// group_steps.h - how far a reader that follows several tables may go on, snapshot by snapshot.
//
// Each step ends at a cut: snapshots of a commit group (commit_group.h) count once the group is
// complete, and of tables that one job writes none is ahead of another, also when several jobs
// write them. Where the reader stands is such a cut already (group_cut.h for the first).
#pragma once

#include <deque>

#include "table/commit_group.h"
#include "table/table.h"

namespace millrace {

/// A table and where its reader stands.
struct FollowedTable {
  std::shared_ptr<const Table> table;
  int64_t position = 0;        // The last snapshot read; 0: none yet.
  bool is_future = false;      // The history may not have come to it yet.
  std::deque<Snapshot> ahead;  // What comes after it, as far as it has been looked at.
  std::optional<int64_t> bounded_watermark;  // Its reading ends before a greater one.

  bool IsPastBound(const Snapshot& snapshot) const {
    return bounded_watermark && snapshot.watermark && *snapshot.watermark > *bounded_watermark;
  }

  /// Looks what has come. Throws: Error(kNotFound) when what comes next has expired;
  /// Error(kInvalid) when the history is another one.
  void LookAhead();
  void MoveTo(int64_t snapshot);
};

/// Up to which snapshot each of `tables` may be read in a step of about `max_rows` rows. Cost: the
/// snapshots that are new, and one group per job.
std::vector<int64_t> ChooseStep(FileSystem& files, const std::vector<FollowedTable*>& tables,
                                idx_t max_rows);

}  // namespace millrace
