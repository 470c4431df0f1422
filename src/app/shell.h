// shell.h - the interactive program: prompt, history, statements over several lines.
#pragma once

#include <string>

#include "app/statement_runner.h"

namespace millrace {

/// Reads statements from the terminal until quit, exit or Ctrl-D.
///
/// Threads: Run in one; Interrupt from any.
class Shell {
 public:
  Shell(Session& session, StatementRunner& runner, Output& output);
  ~Shell();
  void Run();
  /// Ctrl-C: clears the line, or cancels the running statement.
  void Interrupt();
  /// Ends Run soon, as Ctrl-D would.
  void Leave();

  /// $XDG_STATE_HOME/millrace/history, else ~/.millrace_history; "" without a home.
  static std::string HistoryPath();

 private:
  struct Editor;
  void Greet();
  /// True when `line` was a command of the shell; sets `leave`.
  bool RunCommand(const std::string& line, bool& leave);
  void RunComplete(std::string& text);

  Session& session_;
  StatementRunner& runner_;
  Output& output_;
  std::unique_ptr<Editor> editor_;
  std::atomic<bool> executing_ = false;
  std::atomic<bool> leaving_ = false;
};

}  // namespace millrace
