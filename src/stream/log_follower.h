// log_follower.h - reads the logs of tables as they grow, several of them in step.
//
// A job shows a step in one log after the other; a reader of several goes on with a step when all
// of them have it. Whom it waits for is told by the job (GroupMembers, commit_group.h).
#pragma once

#include <deque>
#include <set>

#include "table/log/table_log.h"
#include "table/table.h"

namespace millrace {

/// Follows one log.
/// Threads: one at a time. Throws: Error(kCorrupt) naming file and offset.
class LogFollower {
 public:
  /// Reads on from `offset`, the end of a batch.
  LogFollower(const Table& table, int64_t offset);

  /// Looks what has been appended. Cost: the new bytes.
  void Poll();
  /// What Poll has found and ReadTo has not read.
  const std::deque<LogBatch>& ahead() const { return ahead_; }
  int64_t offset() const { return offset_; }
  /// The last step of `job` (JobOfLog) that was ever found here; -1 for none.
  int64_t LastSeen(const std::string& job) const;
  /// Reads the batches up to `offset`, each after `check`, which may throw.
  void ReadTo(int64_t offset, const std::vector<idx_t>& columns, const ChangeReceiver& receive,
              const std::function<void(const LogBatch&)>& check);

 private:
  LogReader looking_, reading_;
  int64_t offset_;
  std::deque<LogBatch> ahead_;
  std::map<std::string, int64_t> last_seen_;
};

/// Sinks of one job write as `<job>` and `<job>.<number>`.
std::string JobOfLog(const std::string& user);

/// Up to which offset each log may be read, after Poll. `writes(job, i)`: whether the job shows its
/// steps in log i; asked of every job that has new ones.
std::vector<int64_t> AlignLogs(const std::vector<const LogFollower*>& logs,
                               const std::function<bool(const std::string& job, idx_t i)>& writes);

}  // namespace millrace
