// command_line.h - the options of the program.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/render.h"

namespace millrace {

struct CommandLine {
  std::vector<std::string> files;       // -f; "-" is stdin.
  std::vector<std::string> statements;  // -e.
  std::string init_file;
  std::map<std::string, std::string> defined;  // --define.
  OutputFormat format = OutputFormat::kTable;
  std::string data_folder = ".millrace";
  bool fresh = false;
  int64_t memory_bytes = 0;
  bool IsScript() const { return !files.empty() || !statements.empty(); }
};

/// The version that --version prints.
const char* MillraceVersion();

/// "4GB", "512MiB", "1000000" -> bytes; nullopt when it is none of these.
std::optional<int64_t> ParseMemorySize(const std::string& text);

/// Either the command line, or nothing and the exit code (help, version and mistakes are printed).
std::optional<CommandLine> ParseCommandLine(int argc, char** argv, int& exit_code);

}  // namespace millrace
