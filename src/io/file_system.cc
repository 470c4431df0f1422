// file_system.cc - what is the same on every storage.
#include "io/file_system.h"

namespace millrace {

std::string FileSystem::Read(const std::string& path) {
  std::unique_ptr<RandomAccessFile> file = OpenForRead(path);
  std::string bytes(static_cast<size_t>(file->Size()), '\0');
  if (!bytes.empty()) file->ReadAt(0, bytes.data(), static_cast<int64_t>(bytes.size()));
  return bytes;
}

std::string JoinPath(const std::string& folder, const std::string& name) {
  if (folder.empty()) return name;
  if (name.empty()) return folder;
  return folder.back() == '/' ? folder + name : folder + "/" + name;
}

std::string FileName(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

}  // namespace millrace
