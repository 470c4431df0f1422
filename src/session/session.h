// session.h - a user's session: settings, current catalog, statements to results.
//
// The shell, the command line and the test runner see Millrace through these classes alone.
#pragma once

#include "base/change_chunk.h"
#include "base/error.h"
#include "sql/statement.h"
#include "stream/connector.h"

namespace millrace {

/// What a call of Fetch brought.
enum class FetchStatus : uint8_t {
  kRows,     // The chunk has rows.
  kNothing,  // Nothing came within the time; only streaming results say so.
  kEnd,      // No more rows will come.
};

/// Rows of a result, chunk after chunk.
///
/// Several results of a session may be open while it executes further statements. The destructor
/// ends the query. Threads: one at a time, but Cancel: any.
class ResultStream {
 public:
  virtual ~ResultStream() = default;
  virtual const duckdb::vector<std::string>& Names() const = 0;
  virtual const duckdb::vector<LogicalType>& Types() const = 0;
  /// Rows carry kinds: streaming mode, 'sql-client.execution.result-mode' = 'changelog' or 'table'.
  virtual bool IsChangelog() const = 0;
  /// Makes `chunk` (the caller initializes it once, with Types()) the next rows, waiting at most
  /// `wait_ms` (-1: no limit). The rows of a step come before kNothing is said.
  /// Throws: Error of the query; Error(kCancelled) after Cancel.
  virtual FetchStatus Fetch(ChangeChunk& chunk, int64_t wait_ms) = 0;
  /// Fetch without a limit; false at the end.
  bool Next(ChangeChunk& chunk) {
    FetchStatus status;
    do status = Fetch(chunk, -1);
    while (status == FetchStatus::kNothing);
    return status == FetchStatus::kRows;
  }
  /// Ends the query soon; Fetch throws Error(kCancelled) then.
  virtual void Cancel() = 0;
};

enum class ResultKind : uint8_t {
  kOk,     // Done, nothing to show but perhaps `message`.
  kRows,   // Rows that describe: SHOW, DESCRIBE, EXPLAIN, SET.
  kQuery,  // A query's rows.
  kJob,    // A job was submitted (and has ended already where 'table.dml-sync' is true).
};

struct StatementResult {
  ResultKind kind = ResultKind::kOk;
  std::string message;
  std::optional<int64_t> rows_changed = {};  // UPDATE, DELETE, MERGE: how many.
  std::unique_ptr<ResultStream> rows;        // kRows, kQuery.
  std::string job;                           // kJob: its id.
  std::string job_name;                      // kJob: what messages call it.
};

/// How the running statement, or else all running jobs together, get on.
struct Progress {
  int64_t rows_in = 0;
  int64_t rows_out = 0;
  int64_t lag_ms = -1;  // -1: unknown.
  double rows_per_second = 0;
  std::string what;  // "job-1", "query" ...; empty when nothing runs.
};

/// Executes statements one after the other; owns its jobs.
///
/// Threads: one at a time, but Cancel, CancelJobs and CurrentProgress: any.
/// Throws: Error, from every call that executes.
class Session {
 public:
  virtual ~Session() = default;
  virtual StatementResult Execute(const StatementText& statement) = 0;
  /// Ends the statement that Execute or the newest open result is running; Error(kCancelled) there.
  virtual void Cancel() = 0;
  virtual Progress CurrentProgress() = 0;
  /// What the user should know of what ran since the last call, a sentence each: records skipped.
  virtual std::vector<std::string> TakeNotes() { return {}; }
  /// Names that a statement may use now: tables, views, databases, catalogs, settings. For
  /// completion.
  virtual std::vector<std::string> KnownNames() { return {}; }
  /// "" when unset and without default.
  virtual std::string Setting(const std::string& key) const = 0;
  /// After the last statement of a script: returns when all jobs have ended, which unbounded ones
  /// do by CancelJobs only. Throws the Error of the first job that failed.
  virtual void WaitForJobs() = 0;
  /// Asks all jobs to end with a last checkpoint; does not wait. The script goes on with them when
  /// it runs again.
  virtual void CancelJobs() = 0;
  /// A statement of the script has failed, in Execute or while its rows were read: CancelJobs. With
  /// most errors the script has come to its end, and its next run is a new one.
  virtual void FailScript(const Error& error) = 0;

  // For tests (test/slt).
  /// Returns after every job and open streaming result has read all that its sources had at the
  /// time of the call and delivered the steps: Fetch(chunk, 0) then gives all rows and kNothing.
  virtual void SettleForTest() = 0;
  /// Every running job has completed a checkpoint on return.
  virtual void CheckpointForTest() = 0;
  /// Abandons all jobs and results as kill -9 would: nothing is flushed, committed or deleted.
  /// After it only the destructor may be called.
  virtual void CrashForTest() = 0;
};

struct SessionOptions {
  std::string data_folder = ".millrace";
  bool fresh = false;              // Forget the jobs' checkpoints of this script.
  int64_t memory_limit_bytes = 0;  // 0: DuckDB's default.
  std::ostream* out = nullptr;     // For `print` sinks; null: stdout.
  std::string script;  // What tells this script from others, for its jobs; "" in the shell.
  // Results of streaming queries are changelogs, also of those that come to an end.
  bool live = false;
  bool older_plans = false;  // Of new jobs, as an earlier release made them; for tests.
};

/// `connectors` must outlive the session.
std::unique_ptr<Session> MakeSession(ConnectorRegistry& connectors, const SessionOptions& options);

}  // namespace millrace
