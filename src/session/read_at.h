// read_at.h - tables read as a job had read them at a checkpoint, instead of as they are now.
#pragma once

#include <map>

#include "duckdb/main/client_context_state.hpp"

namespace millrace {

/// Where a connection reads inputs, by InputKey; other tables are read as always. Set before the
/// query: scans look it up when they open.
/// Threads: not changed while a query runs.
struct ReadAt : public duckdb::ClientContextState {
  static constexpr const char* kName = "millrace_read_at";
  struct Place {
    std::optional<int64_t> snapshot;  // Of a lake table; 0: it was empty.
    std::string position;             // Else of its source: all up to there.
  };
  std::map<std::string, Place> places;
};

}  // namespace millrace
