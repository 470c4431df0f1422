// database_lease.h - a database file, open as long as somebody needs it and once in this process.
//
// DuckDB's lock on a file keeps other processes away, not a second instance in the same one; so all
// sinks and sources of a file share one instance. The last lease to go checkpoints and closes it.
#pragma once

#include <mutex>
#include "base/duck.h"

#include "io/clock.h"

namespace duckdb {
class DuckDB;
}

namespace millrace {

/// Holds a database file open.
/// Threads: safe. Throws: the constructor, Error(kIo) when the file cannot be opened within
/// `timeout_ms` (another process holds it), Error(kCorrupt) when it is no database.
class DatabaseLease {
 public:
  DatabaseLease(const std::string& path, Clock& clock, int64_t timeout_ms);
  ~DatabaseLease();
  DatabaseLease(const DatabaseLease&) = delete;
  DatabaseLease& operator=(const DatabaseLease&) = delete;
  duckdb::DuckDB& database() { return *database_; }
  /// Held while a transaction writes: of two at once that touch the same row DuckDB fails one.
  std::mutex& writing() { return *writing_; }

 private:
  std::string path_;
  duckdb::DuckDB* database_;
  std::mutex* writing_;
};

}  // namespace millrace
