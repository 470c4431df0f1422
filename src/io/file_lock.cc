#include "io/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
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
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) Throw(ErrorCode::kIo, "Locking '{}': {}", path, std::strerror(errno));
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return std::make_unique<FlockLock>(fd);
  int error = errno;
  ::close(fd);
  if (error == EWOULDBLOCK) return nullptr;
  Throw(ErrorCode::kIo, "Locking '{}': {}", path, std::strerror(error));
}

}  // namespace millrace
