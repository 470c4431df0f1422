// file_lock.h - a lease that ends with its process: an exclusive lock on a local file (flock).
#pragma once

#include <memory>
#include <string>

namespace millrace {

/// Held until destroyed or the process dies. Threads: one owner.
class FileLock {
 public:
  virtual ~FileLock() = default;
  /// nullptr when another process (or another FileLock here) holds it. Throws: Error(kIo).
  [[nodiscard]] static std::unique_ptr<FileLock> TryAcquire(const std::string& path);
};

}  // namespace millrace
