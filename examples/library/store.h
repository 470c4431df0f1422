// store.h - what tables need from outside, in one place: storage, clock, randomness, DuckDB,
// memory.
#pragma once

#include <iostream>

#include "base/memory_budget.h"
#include "base/object_cache.h"
#include "duckdb/main/database.hpp"
#include "io/clock.h"
#include "io/file_system.h"
#include "io/random.h"
#include "table/table.h"

namespace millrace {

/// Outlives all tables that were opened with its context.
struct LocalStore {
  std::unique_ptr<FileSystem> files = MakeLocalFileSystem();
  std::unique_ptr<Clock> clock = MakeSystemClock();
  Random random;
  duckdb::DuckDB database{nullptr};  // For Parquet, sorting and memory; it holds no tables.
  MemoryBudget budget{*database.instance};
  ObjectCache cache{64 << 20, &budget};

  TableContext context() { return {*files, *clock, random, *database.instance, &budget, &cache}; }
};

/// What main returns: runs `example` over the folder that the command line names.
inline int RunExample(const char* name, int count, char** arguments,
                      void (*example)(const std::string& folder)) {
  if (count != 2) {
    std::cerr << "usage: " << name << " <folder>\n";
    return 2;
  }
  try {
    example(arguments[1]);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}

}  // namespace millrace
