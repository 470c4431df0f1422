// running_connection.h - which DuckDB connection Cancel interrupts.
#pragma once

#include <mutex>

#include "duckdb/main/connection.hpp"

namespace millrace {

/// Marks a connection as the running one for its own lifetime.
class RunningConnection {
 public:
  RunningConnection(std::mutex& mutex, duckdb::Connection*& slot, duckdb::Connection& connection)
      : mutex_(mutex), slot_(slot) {
    std::lock_guard lock(mutex_);
    slot_ = &connection;
  }
  ~RunningConnection() {
    std::lock_guard lock(mutex_);
    slot_ = nullptr;
  }

 private:
  std::mutex& mutex_;
  duckdb::Connection*& slot_;
};

}  // namespace millrace
