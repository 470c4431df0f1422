#include "sql/connect/jdbc/database_lease.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <mutex>

#include "base/error.h"
#include "duckdb/main/config.hpp"
#include "duckdb/main/database.hpp"
#include "io/file_system.h"

namespace millrace {

namespace {

struct OpenDatabase {
  std::unique_ptr<duckdb::DuckDB> database;
  int leases = 0;
  std::mutex writing;
};

std::mutex& Mutex() {
  static std::mutex mutex;
  return mutex;
}
std::map<std::string, OpenDatabase>& OpenDatabases() {
  static std::map<std::string, OpenDatabase> databases;
  return databases;
}

std::unique_ptr<duckdb::DuckDB> Open(const std::string& path) {
  duckdb::DBConfig config;
  // One thread: steps are small, and a pool for each opening would cost more than it gives.
  config.SetOptionByName("threads", Value::BIGINT(1));
  config.SetOptionByName("autoinstall_known_extensions", Value::BOOLEAN(false));
  config.SetOptionByName("autoload_known_extensions", Value::BOOLEAN(false));
  return std::make_unique<duckdb::DuckDB>(path, &config);
}

/// A database file without tables, as bytes.
std::string EmptyDatabase(FileSystem& files) {
  std::string folder = (std::filesystem::temp_directory_path() / "millrace-XXXXXX").string();
  if (!::mkdtemp(folder.data())) {
    Throw(ErrorCode::kIo, "Making the folder {}: {}", folder, std::strerror(errno));
  }
  std::string path = JoinPath(folder, "empty.db");
  Open(path).reset();
  std::string bytes = files.Read(path);
  files.DeleteFolder(folder);
  return bytes;
}

/// DuckDB writes a new file in place: a process killed then leaves one that nobody can open. So a
/// new one appears whole.
void CreateIfMissing(const std::string& path) {
  std::unique_ptr<FileSystem> files = MakeLocalFileSystem();
  if (files->Exists(path)) return;
  (void)files->CreateExclusive(path, EmptyDatabase(*files));  // Or another process was first.
}

}  // namespace

DatabaseLease::DatabaseLease(const std::string& path, Clock& clock, int64_t timeout_ms)
    : path_(path) {
  int64_t end_us = clock.MonotonicUs() + timeout_ms * 1000;
  while (true) {
    {
      std::lock_guard lock(Mutex());
      OpenDatabase& open = OpenDatabases()[path];
      try {
        if (!open.database) {
          CreateIfMissing(path);
          open.database = Open(path);
        }
        open.leases++;
        database_ = open.database.get();
        writing_ = &open.writing;
        return;
      } catch (const std::exception& exception) {
        OpenDatabases().erase(path);
        std::string text = ErrorFrom(exception).text();
        bool locked = text.find("lock") != std::string::npos;
        if (!locked || clock.MonotonicUs() >= end_us) {
          Throw(locked ? ErrorCode::kIo : ErrorCode::kCorrupt, "Opening database {}: {}{}", path,
                text, locked ? ". Close it there, or raise 'connection.max-retry-timeout'" : "");
        }
      }
    }
    clock.SleepMs(50);
  }
}

DatabaseLease::~DatabaseLease() {
  std::lock_guard lock(Mutex());
  auto found = OpenDatabases().find(path_);
  if (--found->second.leases == 0) OpenDatabases().erase(found);
}

}  // namespace millrace
