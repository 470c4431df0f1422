// faulty_file_system.h - a file system whose n-th operation fails; for tests.
//
// Run a scenario with fail_at = 0, 1, ... until no operation was left to fail, and look at the
// result each time through the healthy file system below.
#pragma once

#include <atomic>

#include "io/file_system.h"

namespace millrace {

/// What the failing operation does before it throws Error(kIo).
enum class FaultMode : uint8_t {
  kBefore,  // Nothing.
  kAfter,   // All of it: only the answer is lost.
  kHalf,    // Append writes the first half; other operations do nothing.
};

struct FaultOptions {
  int64_t fail_at = -1;    // Number of the first operation that fails, from 0; < 0: none.
  int64_t fail_count = 1;  // How many fail from there on.
  FaultMode mode = FaultMode::kBefore;
  bool count_reads = true;  // Whether opening, reading and listing are operations too.
};

/// Passes every operation to `base` (which must outlive it), but fails those that are due.
/// Operations on the files it opened count too.
///
/// Threads: safe.
class FaultyFileSystem : public FileSystem {
 public:
  FaultyFileSystem(FileSystem& base, FaultOptions options) : base_(base), options_(options) {}

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

  /// Operations asked for so far.
  int64_t operations() const { return operations_; }
  /// Whether an operation has failed.
  bool failed() const { return operations_ > options_.fail_at && options_.fail_at >= 0; }

 private:
  class Reader;
  class Writer;
  /// Runs `operation`, failing as told.
  template <typename Operation>
  auto Run(const char* doing, const std::string& path, bool reads, Operation operation);
  bool IsDue(bool reads);
  [[noreturn]] static void Fail(const char* doing, const std::string& path);

  FileSystem& base_;
  FaultOptions options_;
  std::atomic<int64_t> operations_{0};
};

}  // namespace millrace
