// log_redo.h - what of a table's log is in its files, and how the rest gets there.
//
// A step is in the log before it is in the files. Its job commits it at its next checkpoint, also
// after a crash. What a job shows in a log and then never commits, since it was given up, is
// committed from the log itself: so every row that a reader of the log has seen comes into the
// table.
#pragma once

#include "table/log/table_log.h"
#include "table/table.h"

namespace millrace {

/// The types of a table's columns, as its log needs them.
std::vector<DataType> LogTypes(const Table& table);

/// Whether `table` has a log: 'log.system' = 'local'.
bool HasLog(const Table& table);

/// The log position that the files of `snapshot` include; 0 for none.
/// Throws: Error(kNotFound) when every snapshot that could tell has expired.
int64_t LogOffsetAt(const Table& table, std::optional<Snapshot> snapshot);

/// Whether the rows of `snapshot` did not come through the log.
bool IsUnlogged(const Snapshot& snapshot);

/// Takes the lease on the table's log.
std::unique_ptr<LogWriter> OpenLog(const Table& table);

/// Commits what the tail of `log` has of jobs that `wanted` takes, each as what the job would have
/// committed; `properties` go into the snapshots. True when there was something.
/// REQUIRES: what it takes comes before what it does not.
bool RedoLog(const Table& table, const LogWriter& log,
             const std::function<bool(const LogBatch&)>& wanted,
             const std::map<std::string, std::string>& properties);

/// The commit identifier of a job's last commit, which was made from its log.
inline constexpr int64_t kRedoIdentifier = INT64_MAX - 1;

}  // namespace millrace
