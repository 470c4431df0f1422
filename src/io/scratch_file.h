// scratch_file.h - a file without a name: where memory goes that does not fit.
//
// It is unlinked as soon as it is made, so it is gone with the process, however that ends. Its
// pages are mapped in the place of memory; room is taken on the disk before, so that a full disk is
// an Error here and never a signal there.
#pragma once

#include "io/local_file_system.h"

namespace millrace {

/// Owns one temporary file and maps parts of it.
/// Threads: safe for parts that do not overlap. Throws: Error(kIo) naming the folder.
class ScratchFile {
 public:
  /// `fault` may fail "open", "fallocate", "pwrite", "pread" and "mmap".
  static std::unique_ptr<ScratchFile> Create(const std::string& folder,
                                             SystemCallFault fault = nullptr);
  ~ScratchFile();
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;

  /// Takes room on the disk: to write these bytes cannot fail for want of it any more.
  void Reserve(int64_t offset, int64_t bytes);
  void Write(int64_t offset, const void* data, int64_t bytes);
  void Read(int64_t offset, void* data, int64_t bytes) const;
  /// Puts these bytes of the file in the place of the memory at `address`; what is written there
  /// from now on is written to the file. REQUIRES: page boundaries; the bytes are reserved.
  void Map(void* address, int64_t offset, int64_t bytes);
  /// Gives the room back; the bytes are zero when they are next reserved.
  void Release(int64_t offset, int64_t bytes);

 private:
  ScratchFile(std::string folder, int fd, SystemCallFault fault)
      : folder_(std::move(folder)), fd_(fd), fault_(std::move(fault)) {}
  bool Faulty(std::string_view call) const;
  [[noreturn]] void Fail(const char* doing, int error) const;

  const std::string folder_;
  const int fd_;
  const SystemCallFault fault_;
};

}  // namespace millrace
