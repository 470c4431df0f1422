// statement_runner.h - executes statements on a session and shows what comes of them.
#pragma once

#include <atomic>
#include <map>

#include "app/error_text.h"
#include "app/output.h"
#include "app/progress_line.h"
#include "app/render.h"
#include "base/error.h"
#include "session/session.h"

namespace millrace {

struct RunnerOptions {
  OutputFormat format = OutputFormat::kTable;
  bool interactive = false;  // Timing and row counts; results live where the terminal can.
};

/// Runs statements one after the other.
/// Threads: one at a time, but Interrupt: any.
class StatementRunner {
 public:
  StatementRunner(Session& session, Output& output, ProgressLine& progress, RunnerOptions options);

  /// Runs all statements; false after the first error, which stands on stderr then.
  bool RunScript(const std::string& name, std::string_view script);
  /// Runs one. Throws: Error.
  void RunStatement(const StatementText& statement);
  /// Waits for jobs after a script; false after an error.
  bool WaitForJobs();

  /// Ends the running statement; of a script, also its jobs and what would follow.
  void Interrupt();
  bool interrupted() const { return interrupted_; }
  /// The shell goes on after an interrupt.
  void Rearm() { interrupted_ = false; }

 private:
  /// Writes to stderr.
  void Tell(const std::string& text);
  std::optional<idx_t> ShowResult(StatementResult& result);
  idx_t ShowRows(ResultStream& rows, bool may_be_text);
  idx_t ShowLive(ResultStream& rows);

  Session& session_;
  Output& output_;
  ProgressLine& progress_;
  RunnerOptions options_;
  std::atomic<bool> interrupted_ = false;
  std::string told_;                           // The text of the error that ended a script.
  std::string script_;                         // The name of the script that runs.
  std::map<std::string, std::string> places_;  // Of jobs by name: "script:line:column: ".
};

}  // namespace millrace
