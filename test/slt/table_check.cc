#include "table_check.h"

#include <filesystem>

#include "base/error.h"
#include "duckdb/main/database.hpp"
#include "table/verify.h"

namespace millrace {

namespace {

namespace fs = std::filesystem;

/// Folders with a schema: tables, not their branches.
std::vector<std::string> TableFolders(const std::string& folder) {
  std::vector<std::string> tables;
  for (fs::recursive_directory_iterator at(folder), end; at != end; ++at) {
    if (!at->is_directory() || !fs::exists(at->path() / "schema" / "schema-0")) continue;
    tables.push_back(at->path().string());
    at.disable_recursion_pending();
  }
  return tables;
}

}  // namespace

std::string FindWrongTables(const std::string& folder) {
  std::vector<std::string> tables = TableFolders(folder);
  if (tables.empty()) return "";
  std::unique_ptr<FileSystem> files = MakeLocalFileSystem();
  std::unique_ptr<Clock> clock = MakeSystemClock();
  Random random;
  duckdb::DuckDB database(nullptr);
  std::string wrong;
  for (const std::string& path : tables) {
    auto table = Table::Open({*files, *clock, random, *database.instance}, path);
    for (const Finding& finding : VerifyTable(table->state(), true)) {
      if (finding.severity != Finding::Severity::kError) continue;
      wrong += fmt::format("{}: {}: {}\n", path, finding.file, finding.problem);
    }
  }
  return wrong;
}

}  // namespace millrace
