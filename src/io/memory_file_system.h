// memory_file_system.h - a disk in memory for tests, which can lose what was not synced.
#pragma once

#include <mutex>
#include <set>

#include "io/clock.h"
#include "io/file_system.h"

namespace millrace {

/// Keeps files in memory. Files it handed out stay usable after their path is deleted, as on a
/// local disk; writers must not outlive it.
///
/// Threads: safe.
class MemoryFileSystem : public FileSystem {
 public:
  MemoryFileSystem() = default;

  std::unique_ptr<RandomAccessFile> OpenForRead(const std::string& path) override;
  std::unique_ptr<WritableFile> OpenForWrite(const std::string& path) override;
  std::unique_ptr<WritableFile> OpenForAppend(const std::string& path) override;
  CreateOutcome CreateExclusive(const std::string& path, std::string_view bytes) override;
  void Overwrite(const std::string& path, std::string_view bytes) override;
  void OverwriteHint(const std::string& path, std::string_view bytes) override;
  void WriteUnsynced(const std::string& path, std::string_view bytes) override;
  void SyncFiles(const std::vector<std::string>& paths) override;
  void Truncate(const std::string& path, int64_t size) override;
  bool Exists(const std::string& path) override;
  std::vector<FileEntry> List(const std::string& folder) override;
  bool Delete(const std::string& path) override;
  void DeleteFolder(const std::string& folder) override;
  void MakeFolder(const std::string& folder) override;
  void Rename(const std::string& from, const std::string& to) override;

  /// Lets files carry the time of this clock, which must outlive it; else their changes are
  /// counted.
  void SetClock(Clock& clock) { clock_ = &clock; }
  /// What a power cut leaves: bytes that were not synced are gone, and so are files never synced.
  void LoseUnsynced();
  /// The same files on another disk.
  std::unique_ptr<MemoryFileSystem> Clone();
  /// Paths of all files, sorted.
  std::vector<std::string> Files();

 private:
  struct File;
  class Reader;
  class Writer;
  std::shared_ptr<File> Find(const char* doing, const std::string& path);
  void AddParents(const std::string& path);
  int64_t NextTime() { return clock_ ? clock_->NowMs() : ++changes_; }

  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<File>> files_;
  std::set<std::string> folders_;
  Clock* clock_ = nullptr;
  int64_t changes_ = 0;  // Without a clock: stands for the time of modification.
};

}  // namespace millrace
