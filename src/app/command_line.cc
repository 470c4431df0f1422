#include "app/command_line.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <charconv>
#include <iostream>

#include "base/error.h"

namespace millrace {

namespace {

constexpr const char* kExamples = R"(
Examples:
  millrace                                   the shell
  millrace -f report.sql                     runs a script; jobs go on where they stopped
  millrace -e "SELECT 1 + 1"                 runs statements
  millrace --format csv -f report.sql > report.csv
  echo "SHOW CATALOGS;" | millrace -f -

Exit code: 0; 1 after the first error, whose place is on stderr; 130 after Ctrl-C.)";

// An argument that is no option, or none of ours.
std::string DescribeExtra(const CLI::App& app, const std::string& extra) {
  if (!extra.starts_with("-")) {
    return fmt::format("millrace: '{}' stands alone; to run a script: millrace -f {}\n", extra,
                       extra);
  }
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  std::string name = extra.substr(0, extra.find('='));
  return fmt::format("millrace: there is no option '{}'{}{}\n", name, DidYouMean(name, known),
                     DidYouMean(name, known).empty() ? "; --help lists them" : "");
}

}  // namespace

const char* MillraceVersion() {
  return MILLRACE_VERSION;
}

std::optional<int64_t> ParseMemorySize(const std::string& text) {
  double number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0) return std::nullopt;
  std::string unit(end, text.data() + text.size());
  for (char& c : unit) c = static_cast<char>(tolower(c));
  unit.erase(0, unit.find_first_not_of(' '));
  struct Unit {
    const char* name;
    double bytes;
  };
  constexpr Unit kUnits[] = {{"", 1},          {"b", 1},
                             {"kb", 1e3},      {"mb", 1e6},
                             {"gb", 1e9},      {"tb", 1e12},
                             {"k", 1e3},       {"m", 1e6},
                             {"g", 1e9},       {"t", 1e12},
                             {"kib", 1024},    {"mib", 1 << 20},
                             {"gib", 1 << 30}, {"tib", 1099511627776.0}};
  for (const Unit& known : kUnits) {
    if (unit == known.name) return static_cast<int64_t>(number * known.bytes);
  }
  return std::nullopt;
}

std::optional<CommandLine> ParseCommandLine(int argc, char** argv, int& exit_code) {
  CommandLine line;
  std::string format = "table", memory;
  CLI::App app("Millrace: streams of changes into lake tables, and SQL results always up to date.",
               "millrace");
  app.footer(kExamples);
  app.get_formatter()->column_width(28);
  app.add_option("-f", line.files, "Run a script; - is standard input")
      ->type_name("FILE")
      ->allow_extra_args(false);
  app.add_option("-e", line.statements, "Run SQL; may be given again")
      ->type_name("SQL")
      ->allow_extra_args(false);
  app.add_option("--format", format, "table, csv, json (a line each) or markdown")
      ->type_name("FORMAT");
  std::vector<std::string> defined;
  app.add_option("-D,--define", defined, "Value of ${NAME} in scripts; else the environment's")
      ->type_name("NAME=VALUE");
  app.add_option("--init", line.init_file, "Run a script first")->type_name("FILE");
  app.add_option("--data", line.data_folder, "Folder of jobs and checkpoints (.millrace)")
      ->type_name("DIR");
  app.add_flag("--fresh", line.fresh, "Forget the checkpoints of the script's jobs");
  app.add_option("--memory", memory, "Limit of all memory: 512MB, 4GB (80% of the machine's)")
      ->type_name("SIZE");
  app.set_version_flag("--version", std::string("millrace ") + MillraceVersion());
  app.allow_extras();  // Told below, in words of ours.
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    exit_code = app.exit(error) == 0 ? 0 : 2;
    return std::nullopt;
  }
  exit_code = 2;
  for (const std::string& extra : app.remaining()) {
    std::cerr << DescribeExtra(app, extra);
    return std::nullopt;
  }
  for (const std::string& definition : defined) {
    size_t equals = definition.find('=');
    if (equals == std::string::npos || equals == 0) {
      std::cerr << "--define " << definition << ": must be NAME=VALUE\n";
      return std::nullopt;
    }
    line.defined[definition.substr(0, equals)] = definition.substr(equals + 1);
  }
  auto parsed = ParseOutputFormat(format);
  if (!parsed) {
    std::cerr << "--format " << format << ": must be table, csv, json or markdown"
              << DidYouMean(format, {"table", "csv", "json", "markdown"}) << "\n";
    return std::nullopt;
  }
  line.format = *parsed;
  if (!memory.empty()) {
    auto bytes = ParseMemorySize(memory);
    if (!bytes || *bytes < 1'000'000) {
      std::cerr << "--memory " << memory << ": must be a size of at least 1MB, such as 4GB\n";
      return std::nullopt;
    }
    line.memory_bytes = *bytes;
  }
  return line;
}

}  // namespace millrace
