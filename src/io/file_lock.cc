#include "io/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace millrace {

namespace {

class FlockLock : public FileLock {
 public:
  explicit FlockLock(int fd) : fd_(fd) {}
  ~FlockLock() override { ::close(fd_); }

 private:
  const int fd_;
};

}  // namespace

std::unique_ptr<FileLock> FileLock::TryAcquire(const std::string& path) {
  while (true) {
    int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) Throw(ErrorCode::kIo, "Locking '{}': {}", path, std::strerror(errno));
    auto lock = std::make_unique<FlockLock>(fd);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return nullptr;
      Throw(ErrorCode::kIo, "Locking '{}': {}", path, std::strerror(errno));
    }
    // Whoever held it may have deleted the file meanwhile: then the lock is on nothing.
    struct stat held, there;
    if (::fstat(fd, &held) == 0 && ::stat(path.c_str(), &there) == 0 &&
        held.st_ino == there.st_ino && held.st_dev == there.st_dev) {
      return lock;
    }
  }
}

}  // namespace millrace
