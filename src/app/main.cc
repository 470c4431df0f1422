// main.cc - the program `millrace`: a shell, or scripts from files and the command line.
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "app/command_line.h"
#include "app/connectors.h"
#include "app/script_variables.h"
#include "app/shell.h"
#include "app/signals.h"
#include "app/statement_runner.h"

namespace millrace {

namespace {

constexpr int kFailed = 1;
constexpr int kSignalled = 128;
constexpr const char* kByteOrderMark = "\xEF\xBB\xBF";  // Some editors begin a file with it.

struct Script {
  std::string name, text;
  std::string identity;  // What tells it from other scripts: where it lies, or else what it says.
};

Script ReadScript(const std::string& path, const CommandLine& line) {
  std::ostringstream text;
  if (path == "-") {
    text << std::cin.rdbuf();
    return {"<stdin>", ReplaceVariables(text.str(), "<stdin>", line.defined), text.str()};
  }
  std::ifstream file(path);
  if (!file) {
    Throw(ErrorCode::kIo, "Reading the script '{}': {}", path, strerror(errno));
  }
  if (std::filesystem::is_directory(path)) {
    Throw(ErrorCode::kInvalid, "Reading the script '{}': it is a folder", path);
  }
  if (file.peek() != std::ifstream::traits_type::eof()) text << file.rdbuf();
  std::string sql = text.str();
  if (sql.starts_with(kByteOrderMark)) sql.erase(0, strlen(kByteOrderMark));
  CheckScriptText(sql, path);
  bool stays = std::filesystem::is_regular_file(path);  // Not <(a command).
  std::string identity = stays ? std::filesystem::absolute(path).lexically_normal().string() : sql;
  return {path, ReplaceVariables(sql, path, line.defined), identity};
}

std::vector<Script> ReadScripts(const CommandLine& line) {
  std::vector<Script> scripts;
  if (!line.init_file.empty()) scripts.push_back(ReadScript(line.init_file, line));
  for (const std::string& path : line.files) scripts.push_back(ReadScript(path, line));
  for (size_t i = 0; i < line.statements.size(); i++) {
    std::string name = line.statements.size() > 1 ? fmt::format("-e {}", i + 1) : "-e";
    std::string sql = ReplaceVariables(line.statements[i], name, line.defined);
    scripts.push_back({name, sql, sql});
  }
  return scripts;
}

// Of all that a command runs, except for what prepares it: one script with other definitions is
// another one.
std::string IdentityOf(const std::vector<Script>& scripts, const CommandLine& line) {
  std::string identity;
  for (size_t i = line.init_file.empty() ? 0 : 1; i < scripts.size(); i++) {
    identity += (identity.empty() ? "" : "\n") + scripts[i].identity;
  }
  for (const auto& [name, value] : line.defined) identity += "\n" + name + "=" + value;
  return identity;
}

// The parts of a running program, wired together in the order in which they need each other.
struct Program {
  Output output{STDOUT_FILENO};
  ConnectorRegistry connectors;
  std::unique_ptr<Session> session;
  std::unique_ptr<ProgressLine> progress;
  std::unique_ptr<StatementRunner> runner;
  std::unique_ptr<Shell> shell;
  std::mutex mutex;  // Guards the pointers against the listener's thread.
  int signal_number = 0;

  void OnSignal(int number) {
    std::lock_guard lock(mutex);
    bool interactive_key = shell && number == SIGINT;
    if (!interactive_key) signal_number = number;
    if (shell) {
      interactive_key ? shell->Interrupt() : shell->Leave();
    } else if (runner) {
      runner->Interrupt();
    } else {
      _exit(kSignalled + number);  // Nothing has begun yet.
    }
  }
};

int Run(const CommandLine& line) {
  bool interactive = !line.IsScript() && isatty(STDIN_FILENO);
  CommandLine effective = line;
  if (!line.IsScript() && !interactive) effective.files = {"-"};
  Program program;
  SignalListener listener([&](int number) { program.OnSignal(number); }, interactive);
  std::vector<Script> scripts = ReadScripts(effective);
  RegisterConnectors(program.connectors);
  SessionOptions options;
  options.data_folder = line.data_folder;
  options.fresh = line.fresh;
  options.memory_limit_bytes = line.memory_bytes;
  options.out = &program.output.stream();
  options.live = interactive && line.format == OutputFormat::kTable && isatty(STDOUT_FILENO);
  if (!interactive) options.script = IdentityOf(scripts, line);
  auto session = MakeSession(program.connectors, options);
  {
    std::lock_guard lock(program.mutex);
    program.session = std::move(session);
    program.progress =
        std::make_unique<ProgressLine>([&] { return program.session->CurrentProgress(); });
    program.runner = std::make_unique<StatementRunner>(
        *program.session, program.output, *program.progress,
        RunnerOptions{.format = line.format, .interactive = interactive});
  }
  program.output.OnWrite([&] { program.progress->Hide(); });
  program.output.OnClosed([&] { program.OnSignal(SIGPIPE); });
  bool good = true;
  for (const Script& script : scripts) {
    good = good && program.runner->RunScript(script.name, script.text);
  }
  if (interactive && good) {
    {
      std::lock_guard lock(program.mutex);
      program.shell = std::make_unique<Shell>(*program.session, *program.runner, program.output);
    }
    program.shell->Run();
  }
  // The jobs live in this process: when it leaves early they end with a last checkpoint.
  if (interactive || !good) program.session->CancelJobs();
  good = program.runner->WaitForJobs() && good;
  std::lock_guard lock(program.mutex);
  program.shell.reset();
  program.runner.reset();
  if (int failure = program.output.failure()) {
    std::cerr << fmt::format("Writing the output: {}; what follows is missing\n",
                             strerror(failure));
    return kFailed;
  }
  return program.signal_number ? kSignalled + program.signal_number : good ? 0 : kFailed;
}

}  // namespace

}  // namespace millrace

int main(int argc, char** argv) {
  int exit_code = 0;
  auto line = millrace::ParseCommandLine(argc, argv, exit_code);
  if (!line) return exit_code;
  try {
    return millrace::Run(*line);
  } catch (const std::exception& exception) {
    std::cerr << millrace::ErrorFrom(exception).text() + "\n";
    return millrace::kFailed;
  }
}
