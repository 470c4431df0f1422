#include "io/scratch_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.h"

namespace millrace {

namespace {

[[noreturn]] void FailIn(const std::string& folder, const char* doing, int error) {
  Throw(ErrorCode::kIo,
        "{} a temporary file in '{}': {} (errno {}); make room there, or raise the memory limit",
        doing, folder, std::strerror(error), error);
}

/// A file system without O_TMPFILE: made with a name, which goes at once.
int OpenUnlinked(const std::string& folder) {
  int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return fd;
  std::string path = JoinPath(folder, ".spill-XXXXXX");
  fd = ::mkostemp(path.data(), O_CLOEXEC);
  if (fd >= 0) ::unlink(path.c_str());
  return fd;
}

}  // namespace

std::unique_ptr<ScratchFile> ScratchFile::Create(const std::string& folder, SystemCallFault fault) {
  MakeLocalFileSystem()->MakeFolder(folder);
  int fd = fault && fault("open", folder) ? (errno = EIO, -1) : OpenUnlinked(folder);
  if (fd < 0) FailIn(folder, "Making", errno);
  return std::unique_ptr<ScratchFile>(new ScratchFile(folder, fd, std::move(fault)));
}

ScratchFile::~ScratchFile() {
  ::close(fd_);
}

bool ScratchFile::Faulty(std::string_view call) const {
  return fault_ && fault_(call, folder_);
}

void ScratchFile::Fail(const char* doing, int error) const {
  FailIn(folder_, doing, error);
}

void ScratchFile::Reserve(int64_t offset, int64_t bytes) {
  int error = Faulty("fallocate") ? ENOSPC : ::posix_fallocate(fd_, offset, bytes);
  if (error != 0) Fail("Taking room for", error);
}

void ScratchFile::Write(int64_t offset, const void* data, int64_t bytes) {
  if (Faulty("pwrite")) Fail("Writing", EIO);
  auto* from = static_cast<const char*>(data);
  for (int64_t done = 0; done < bytes;) {
    ssize_t written = ::pwrite(fd_, from + done, static_cast<size_t>(bytes - done), offset + done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) Fail("Writing", errno);
    done += written;
  }
}

void ScratchFile::Read(int64_t offset, void* data, int64_t bytes) const {
  if (Faulty("pread")) Fail("Reading", EIO);
  auto* to = static_cast<char*>(data);
  for (int64_t done = 0; done < bytes;) {
    ssize_t read = ::pread(fd_, to + done, static_cast<size_t>(bytes - done), offset + done);
    if (read < 0 && errno == EINTR) continue;
    if (read <= 0) Fail("Reading", read < 0 ? errno : EIO);
    done += read;
  }
}

void ScratchFile::Map(void* address, int64_t offset, int64_t bytes) {
  void* mapped = Faulty("mmap")
                     ? (errno = ENOMEM, MAP_FAILED)
                     : ::mmap(address, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_FIXED, fd_, offset);
  if (mapped == MAP_FAILED) Fail("Mapping", errno);
}

void ScratchFile::Release(int64_t offset, int64_t bytes) {
#ifdef FALLOC_FL_PUNCH_HOLE
  (void)::fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes);
#endif
}

}  // namespace millrace
