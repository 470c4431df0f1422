// file_system.h - storage as Millrace sees it: immutable files, published by an exclusive create.
//
// Paths are absolute for local disks; a later object store has a scheme. Everything durable goes
// through here, so that a test can fail the n-th operation or lose what was not synced.
#pragma once

#include "base/duck.h"

namespace millrace {

struct FileEntry {
  std::string name;  // Without the folder.
  bool is_folder = false;
  int64_t size = 0;         // Bytes.
  int64_t modified_ms = 0;  // Unix time.
};

/// Reads parts of one immutable file.
/// Threads: safe (positional reads). Throws: Error(kIo).
class RandomAccessFile {
 public:
  virtual ~RandomAccessFile() = default;
  virtual int64_t Size() const = 0;
  /// Fills `buffer` with exactly `length` bytes from `offset`; Error(kCorrupt) at the end of file.
  virtual void ReadAt(int64_t offset, void* buffer, int64_t length) = 0;
};

/// Writes one file from front to back.
/// Threads: one at a time. Throws: Error(kIo).
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  virtual void Append(std::string_view bytes) = 0;
  /// Everything appended so far survives a crash.
  virtual void Sync() = 0;
  /// Syncs and closes. Without it the file may be missing or cut.
  virtual void Close() = 0;
  /// Closes; not durable before FileSystem::SyncFiles.
  virtual void CloseUnsynced() = 0;
  virtual int64_t Size() const = 0;
};

enum class CreateOutcome { kCreated, kExists };

/// The operations on files that storage needs, small enough to implement on an object store.
///
/// Threads: safe. Throws: Error(kIo) naming the path; Error(kNotFound) from the reading calls.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual std::unique_ptr<RandomAccessFile> OpenForRead(const std::string& path) = 0;
  /// Creates (truncates) `path`; missing folders are made.
  virtual std::unique_ptr<WritableFile> OpenForWrite(const std::string& path) = 0;
  /// Opens `path` to append at its end, created when missing; logs and journals only.
  virtual std::unique_ptr<WritableFile> OpenForAppend(const std::string& path) = 0;

  /// Makes `path` appear whole and durable with `bytes`, or tells that it exists. Atomic between
  /// processes (link(2) on local disks); nobody ever sees a part.
  [[nodiscard]] virtual CreateOutcome CreateExclusive(const std::string& path,
                                                      std::string_view bytes) = 0;
  /// Replaces `path` with `bytes`, durable and whole (rename).
  virtual void Overwrite(const std::string& path, std::string_view bytes) = 0;
  /// The same, but a crash of the machine may bring the old bytes back, or leave none: for hints,
  /// whose readers can do without.
  virtual void OverwriteHint(const std::string& path, std::string_view bytes) = 0;
  /// Writes a file that is not durable before SyncFiles; missing folders are made.
  virtual void WriteUnsynced(const std::string& path, std::string_view bytes) = 0;
  /// Makes files durable, and their names: together, for that costs little more than one does.
  virtual void SyncFiles(const std::vector<std::string>& paths) = 0;
  /// Cuts the file to `size` bytes; for logs after a crash.
  virtual void Truncate(const std::string& path, int64_t size) = 0;

  virtual bool Exists(const std::string& path) = 0;
  /// Direct children, sorted by name; empty when the folder does not exist.
  virtual std::vector<FileEntry> List(const std::string& folder) = 0;
  /// True when it was there.
  virtual bool Delete(const std::string& path) = 0;
  virtual void DeleteFolder(const std::string& folder) = 0;  // With all in it.
  virtual void MakeFolder(const std::string& folder) = 0;    // With its parents.
  virtual void Rename(const std::string& from, const std::string& to) = 0;

  /// The whole content.
  std::string Read(const std::string& path);
};

/// "a/b" + "c" -> "a/b/c".
std::string JoinPath(const std::string& folder, const std::string& name);
/// "a/b/c" -> "c".
std::string FileName(const std::string& path);

/// The disks of this machine. "file:///x" is taken as "/x".
std::unique_ptr<FileSystem> MakeLocalFileSystem();

}  // namespace millrace
