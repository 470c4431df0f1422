// file_sync.h - makes the files of a prepared commit durable, beside what goes on meanwhile.
//
// Data files are closed without waiting for the disk. Before anything lasting names them (a
// snapshot, a checkpoint) they must survive a crash: Commit and Committable::ToJson see to it.
#pragma once

#include <mutex>

#include "io/executor.h"
#include "table/table_state.h"

namespace millrace {

/// The files that `committable` brings, with those that belong to them.
std::vector<std::string> AddedFiles(const TableState& table, const Committable& committable);

/// Starts to sync the files that `committable` brings.
void StartSync(std::shared_ptr<const TableState> table, Committable& committable);

/// A sync of files under way. The destructor waits.
/// Threads: safe.
class FileSync {
 public:
  FileSync() = default;  // Nothing is left to do.
  FileSync(std::shared_ptr<const TableState> table, std::vector<std::string> paths);
  ~FileSync();
  /// Throws: Error(kIo) naming the file, each time: what a disk has failed to take is lost.
  void Wait();

 private:
  std::mutex mutex_;
  std::exception_ptr error_;
  std::unique_ptr<Task> task_;  // The last: it uses the rest.
};

}  // namespace millrace
