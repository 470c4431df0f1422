// local_file_system.cc - FileSystem over POSIX calls.
//
// Durability: a file is durable once its bytes and the folder entry that names it are synced.
// CreateExclusive writes `.name.<uuid>.tmp` beside the target, syncs it, then link(2)s it to its
// name: link fails when the name is taken, which makes it the one atomic test-and-publish that
// every local disk has. Leftover .tmp files are ignored by readers (Paimon's names never start
// with a dot).
#include "io/local_file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <set>

#include "base/error.h"
#include "io/random.h"

namespace millrace {

namespace {

constexpr size_t kWriteBufferBytes = 256 * 1024;
constexpr size_t kSyncedTogether = 256;  // Files that are open for it.

[[noreturn]] void Fail(const char* doing, const std::string& path, int error) {
  ErrorCode code = error == ENOENT || error == ENOTDIR ? ErrorCode::kNotFound : ErrorCode::kIo;
  Throw(code, "{} '{}': {} (errno {})", doing, path, std::strerror(error), error);
}

std::string ParentOf(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// "file:///x" and "file:/x" -> "/x", without trailing slashes.
std::string LocalPath(const std::string& path) {
  std::string local = path;
  if (local.rfind("file:", 0) == 0) {
    local = local.substr(5);
    if (local.rfind("//", 0) == 0) local = local.substr(2);
  }
  while (local.size() > 1 && local.back() == '/') local.pop_back();
  return local;
}

/// The system calls, each of which a test can fail. Returns -1 with errno as the calls do.
/// Threads: safe when the hook is.
class SystemCalls {
 public:
  explicit SystemCalls(SystemCallFault fault) : fault_(std::move(fault)) {}

  int Open(const std::string& path, int flags) const {
    if (Faulty("open", path)) return -1;
    int fd;
    do {
      fd = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
    } while (fd < 0 && errno == EINTR);
    return fd;
  }

  /// All of `bytes`, however many calls it takes.
  int Write(int fd, std::string_view bytes, const std::string& path) const {
    if (Faulty("write", path)) return -1;
    while (!bytes.empty()) {
      ssize_t written = ::write(fd, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return -1;
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return 0;
  }

  /// Lets the disk begin; what is due at a sync is less then. Failures are told there.
  static void BeginWriting(int fd, int64_t offset, int64_t bytes) {
    (void)::sync_file_range(fd, offset, bytes, SYNC_FILE_RANGE_WRITE);
  }
  int Sync(int fd, const std::string& path) const {
    return Faulty("fsync", path) ? -1 : ::fsync(fd);
  }
  int Close(int fd, const std::string& path) const {
    int result = ::close(fd);  // The descriptor is gone even when close fails.
    return Faulty("close", path) ? -1 : result;
  }
  int Link(const std::string& from, const std::string& to) const {
    return Faulty("link", to) ? -1 : ::link(from.c_str(), to.c_str());
  }
  int RenameWithoutReplacing(const std::string& from, const std::string& to) const {
    return Faulty("rename", to)
               ? -1
               : ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE);
  }
  int Rename(const std::string& from, const std::string& to) const {
    return Faulty("rename", to) ? -1 : ::rename(from.c_str(), to.c_str());
  }
  int Unlink(const std::string& path) const {
    return Faulty("unlink", path) ? -1 : ::unlink(path.c_str());
  }
  int RemoveFolder(const std::string& path) const {
    return Faulty("rmdir", path) ? -1 : ::rmdir(path.c_str());
  }
  int MakeFolder(const std::string& path) const {
    return Faulty("mkdir", path) ? -1 : ::mkdir(path.c_str(), 0755);
  }

  /// Makes the entries of a folder durable.
  void SyncFolder(const std::string& folder) const {
    int fd = Open(folder, O_RDONLY | O_DIRECTORY);
    if (fd < 0) Fail("Syncing folder", folder, errno);
    int result = Sync(fd, folder);
    int error = errno;
    ::close(fd);
    // Some file systems (network mounts) have no sync of folders: their entries are durable at
    // once.
    if (result < 0 && error != EINVAL) Fail("Syncing folder", folder, error);
  }

 private:
  bool Faulty(std::string_view call, const std::string& path) const {
    if (!fault_ || !fault_(call, path)) return false;
    errno = EIO;
    return true;
  }

  SystemCallFault fault_;
};

class LocalRandomAccessFile : public RandomAccessFile {
 public:
  LocalRandomAccessFile(std::string path, int fd, int64_t size)
      : path_(std::move(path)), fd_(fd), size_(size) {}
  ~LocalRandomAccessFile() override { ::close(fd_); }

  int64_t Size() const override { return size_; }

  void ReadAt(int64_t offset, void* buffer, int64_t length) override {
    auto* out = static_cast<char*>(buffer);
    for (int64_t done = 0; done < length;) {
      ssize_t got = ::pread(fd_, out + done, static_cast<size_t>(length - done), offset + done);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) Fail("Reading", path_, errno);
      if (got == 0) {
        Throw(ErrorCode::kCorrupt, "Reading '{}': {} bytes wanted at {}, but the file ends at {}",
              path_, length, offset, offset + done);
      }
      done += got;
    }
  }

 private:
  std::string path_;
  int fd_;
  int64_t size_;
};

/// Threads: one at a time. A log (`buffered` = false) shows every append to readers at once.
class LocalWritableFile : public WritableFile {
 public:
  LocalWritableFile(const SystemCalls& calls, std::string path, int fd, int64_t size, bool buffered)
      : calls_(calls), path_(std::move(path)), fd_(fd), size_(size), buffered_(buffered) {}
  ~LocalWritableFile() override {
    if (fd_ >= 0) ::close(fd_);
  }

  void Append(std::string_view bytes) override {
    RequireOpen();
    size_ += static_cast<int64_t>(bytes.size());
    if (buffered_ && buffer_.size() + bytes.size() <= kWriteBufferBytes) {
      buffer_.append(bytes);
      return;
    }
    Flush();
    if (buffered_ && bytes.size() < kWriteBufferBytes) {
      buffer_.append(bytes);
    } else {
      if (calls_.Write(fd_, bytes, path_) < 0) Fail("Writing", path_, errno);
      auto count = static_cast<int64_t>(bytes.size());
      if (buffered_) SystemCalls::BeginWriting(fd_, size_ - count, count);
    }
  }

  void Sync() override {
    RequireOpen();
    Flush();
    if (calls_.Sync(fd_, path_) < 0) Fail("Syncing", path_, errno);
    if (folder_synced_) return;
    calls_.SyncFolder(ParentOf(path_));
    folder_synced_ = true;
  }

  void Close() override {
    if (fd_ < 0) return;
    Sync();
    CloseDescriptor();
  }

  void CloseUnsynced() override {
    if (fd_ < 0) return;
    Flush();
    SystemCalls::BeginWriting(fd_, 0, 0);
    CloseDescriptor();
  }

  int64_t Size() const override { return size_; }

 private:
  void CloseDescriptor() {
    int result = calls_.Close(fd_, path_);
    fd_ = -1;
    if (result < 0) Fail("Closing", path_, errno);
  }
  void RequireOpen() const {
    if (fd_ < 0) Throw(ErrorCode::kIo, "Writing '{}': the file is closed", path_);
  }
  void Flush() {
    if (buffer_.empty()) return;
    if (calls_.Write(fd_, buffer_, path_) < 0) Fail("Writing", path_, errno);
    buffer_.clear();
  }

  const SystemCalls& calls_;
  std::string path_;
  int fd_;
  int64_t size_;
  bool buffered_;
  bool folder_synced_ = false;
  std::string buffer_;
};

class LocalFileSystem : public FileSystem {
 public:
  explicit LocalFileSystem(SystemCallFault fault) : calls_(std::move(fault)) {}

  std::unique_ptr<RandomAccessFile> OpenForRead(const std::string& given) override {
    std::string path = LocalPath(given);
    int fd = calls_.Open(path, O_RDONLY);
    if (fd < 0) Fail("Opening", path, errno);
    struct stat status;
    if (::fstat(fd, &status) < 0 || S_ISDIR(status.st_mode)) {
      int error = S_ISDIR(status.st_mode) ? EISDIR : errno;
      ::close(fd);
      Fail("Opening", path, error);
    }
    return std::make_unique<LocalRandomAccessFile>(path, fd, status.st_size);
  }

  std::unique_ptr<WritableFile> OpenForWrite(const std::string& given) override {
    std::string path = LocalPath(given);
    int fd = OpenMakingFolders(path, O_WRONLY | O_CREAT | O_TRUNC);
    return std::make_unique<LocalWritableFile>(calls_, path, fd, 0, true);
  }

  std::unique_ptr<WritableFile> OpenForAppend(const std::string& given) override {
    std::string path = LocalPath(given);
    int fd = OpenMakingFolders(path, O_WRONLY | O_CREAT | O_APPEND);
    struct stat status;
    if (::fstat(fd, &status) < 0) {
      int error = errno;
      ::close(fd);
      Fail("Opening", path, error);
    }
    return std::make_unique<LocalWritableFile>(calls_, path, fd, status.st_size, false);
  }

  CreateOutcome CreateExclusive(const std::string& given, std::string_view bytes) override {
    std::string path = LocalPath(given);
    if (Exists(path)) return CreateOutcome::kExists;  // Saves the write; link decides below.
    std::string temporary = WriteTemporary(path, bytes, true);
    int result = calls_.Link(temporary, path);
    int error = errno;
    if (result < 0 && (error == EPERM || error == EOPNOTSUPP || error == ENOSYS)) {
      result = calls_.RenameWithoutReplacing(temporary, path);  // A disk without hard links.
      error = errno;
    }
    calls_.Unlink(temporary);  // What stays behind after a failure is never read.
    if (result < 0 && error == EEXIST) return CreateOutcome::kExists;
    if (result < 0) Fail("Creating", path, error);
    calls_.SyncFolder(ParentOf(path));
    return CreateOutcome::kCreated;
  }

  void Overwrite(const std::string& given, std::string_view bytes) override {
    std::string path = LocalPath(given);
    Replace(path, bytes, true);
    calls_.SyncFolder(ParentOf(path));
  }

  void OverwriteHint(const std::string& given, std::string_view bytes) override {
    Replace(LocalPath(given), bytes, false);
  }

  void WriteUnsynced(const std::string& given, std::string_view bytes) override {
    std::string path = LocalPath(given);
    int fd = OpenMakingFolders(path, O_WRONLY | O_CREAT | O_TRUNC);
    WriteAndClose(fd, bytes, path, false);
  }

  void SyncFiles(const std::vector<std::string>& given) override {
    std::vector<std::string> paths;
    std::set<std::string> folders;
    for (const std::string& one : given) {
      paths.push_back(LocalPath(one));
      folders.insert(ParentOf(paths.back()));
      if (paths.size() < kSyncedTogether) continue;
      SyncOpening(paths);
      paths.clear();
    }
    if (!paths.empty()) SyncOpening(paths);
    for (const std::string& folder : folders) calls_.SyncFolder(folder);
  }

  void Truncate(const std::string& given, int64_t size) override {
    std::string path = LocalPath(given);
    int fd = calls_.Open(path, O_WRONLY);
    if (fd < 0) Fail("Truncating", path, errno);
    int result = ::ftruncate(fd, size);
    if (result == 0) result = calls_.Sync(fd, path);
    int error = errno;
    ::close(fd);
    if (result < 0) Fail("Truncating", path, error);
  }

  bool Exists(const std::string& given) override {
    std::string path = LocalPath(given);
    struct stat status;
    if (::stat(path.c_str(), &status) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    Fail("Looking for", path, errno);
  }

  std::vector<FileEntry> List(const std::string& given) override {
    std::string folder = LocalPath(given);
    std::vector<FileEntry> entries;
    std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(folder.c_str()), ::closedir);
    if (!stream && (errno == ENOENT || errno == ENOTDIR)) return entries;
    if (!stream) Fail("Listing folder", folder, errno);
    for (errno = 0; dirent* child = ::readdir(stream.get()); errno = 0) {
      std::string name = child->d_name;
      if (name == "." || name == "..") continue;
      struct stat status;
      int fd = ::dirfd(stream.get());
      // A file deleted since readdir saw it is no longer in the folder; a dangling link is.
      if (::fstatat(fd, child->d_name, &status, 0) < 0 &&
          ::fstatat(fd, child->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0) {
        continue;
      }
      int64_t modified_ms = status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1000000;
      entries.push_back({name, S_ISDIR(status.st_mode), status.st_size, modified_ms});
    }
    if (errno != 0) Fail("Listing folder", folder, errno);
    std::sort(entries.begin(), entries.end(),
              [](const FileEntry& a, const FileEntry& b) { return a.name < b.name; });
    return entries;
  }

  bool Delete(const std::string& given) override {
    std::string path = LocalPath(given);
    if (calls_.Unlink(path) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    Fail("Deleting", path, errno);
  }

  void DeleteFolder(const std::string& given) override {
    std::string folder = LocalPath(given);
    struct stat status;
    if (::lstat(folder.c_str(), &status) < 0) {
      if (errno == ENOENT || errno == ENOTDIR) return;
      Fail("Deleting folder", folder, errno);
    }
    if (S_ISDIR(status.st_mode)) {
      for (const FileEntry& entry : List(folder)) {
        std::string child = JoinPath(folder, entry.name);
        // A link to a folder is deleted itself, never what it leads to.
        struct stat child_status;
        bool is_folder =
            ::lstat(child.c_str(), &child_status) == 0 && S_ISDIR(child_status.st_mode);
        is_folder ? DeleteFolder(child) : (void)Delete(child);
      }
      if (calls_.RemoveFolder(folder) < 0 && errno != ENOENT)
        Fail("Deleting folder", folder, errno);
    } else {
      Delete(folder);
    }
  }

  void MakeFolder(const std::string& given) override {
    std::string folder = LocalPath(given);
    if (calls_.MakeFolder(folder) == 0) {
      calls_.SyncFolder(ParentOf(folder));
      return;
    }
    int error = errno;
    if (error == ENOENT && ParentOf(folder) != folder) {
      MakeFolder(ParentOf(folder));
      if (calls_.MakeFolder(folder) == 0) {
        calls_.SyncFolder(ParentOf(folder));
        return;
      }
      error = errno;
    }
    struct stat status;
    bool is_folder = ::stat(folder.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
    if (error != EEXIST || !is_folder) {
      Fail("Making folder", folder, error == EEXIST ? ENOTDIR : error);
    }
  }

  void Rename(const std::string& given_from, const std::string& given_to) override {
    std::string from = LocalPath(given_from);
    std::string to = LocalPath(given_to);
    if (calls_.Rename(from, to) < 0) {
      if (errno != ENOENT || !Exists(from)) Fail("Renaming", from, errno);
      MakeFolder(ParentOf(to));
      if (calls_.Rename(from, to) < 0) Fail("Renaming", from, errno);
    }
    calls_.SyncFolder(ParentOf(to));
    if (ParentOf(from) != ParentOf(to)) calls_.SyncFolder(ParentOf(from));
  }

 private:
  int OpenMakingFolders(const std::string& path, int flags) {
    int fd = calls_.Open(path, flags);
    if (fd < 0 && errno == ENOENT) {
      MakeFolder(ParentOf(path));
      fd = calls_.Open(path, flags);
    }
    if (fd < 0) Fail("Creating", path, errno);
    return fd;
  }

  /// A durable file beside `path` with `bytes`; its folder is not synced yet.
  std::string WriteTemporary(const std::string& path, std::string_view bytes, bool durable) {
    std::string name = "." + FileName(path) + "." + random_.Uuid() + ".tmp";
    std::string temporary = JoinPath(ParentOf(path), name);
    int fd = OpenMakingFolders(temporary, O_WRONLY | O_CREAT | O_EXCL);
    WriteAndClose(fd, bytes, temporary, durable);
    return temporary;
  }

  /// All are begun before the first is waited for: one commit of the disk's journal has them.
  void SyncOpening(const std::vector<std::string>& paths) {
    std::vector<int> files;
    std::optional<int> error;
    size_t failed = 0;
    for (const std::string& path : paths) {
      files.push_back(calls_.Open(path, O_RDONLY));
      if (files.back() >= 0) {
        SystemCalls::BeginWriting(files.back(), 0, 0);
        continue;
      }
      error = errno;
      failed = files.size() - 1;
      break;
    }
    for (size_t i = 0; i < files.size(); i++) {
      if (!error && calls_.Sync(files[i], paths[i]) < 0) {
        error = errno;
        failed = i;
      }
      if (files[i] >= 0) ::close(files[i]);
    }
    if (error) Fail("Syncing", paths[failed], *error);
  }

  /// A file that cannot be written whole is taken away.
  void WriteAndClose(int fd, std::string_view bytes, const std::string& path, bool durable) {
    int result = calls_.Write(fd, bytes, path);
    if (result == 0 && durable) result = calls_.Sync(fd, path);
    int error = errno;
    if (calls_.Close(fd, path) < 0 && result == 0) {
      result = -1;
      error = errno;
    }
    if (result == 0) return;
    calls_.Unlink(path);
    Fail("Writing", path, error);
  }

  void Replace(const std::string& path, std::string_view bytes, bool durable) {
    std::string temporary = WriteTemporary(path, bytes, durable);
    if (calls_.Rename(temporary, path) == 0) return;
    int error = errno;
    calls_.Unlink(temporary);
    Fail("Replacing", path, error);
  }

  SystemCalls calls_;
  Random random_;
};

}  // namespace

std::unique_ptr<FileSystem> MakeLocalFileSystem(SystemCallFault fault) {
  return std::make_unique<LocalFileSystem>(std::move(fault));
}

std::unique_ptr<FileSystem> MakeLocalFileSystem() {
  return MakeLocalFileSystem(nullptr);
}

}  // namespace millrace
