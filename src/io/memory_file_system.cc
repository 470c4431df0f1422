// memory_file_system.cc - files as strings in a sorted map, one lock around all of it.
#include "io/memory_file_system.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace millrace {

struct MemoryFileSystem::File {
  std::string bytes;
  std::optional<size_t> synced;  // nullopt: not even its name survives a crash.
  int64_t modified_ms = 0;
};

class MemoryFileSystem::Reader : public RandomAccessFile {
 public:
  Reader(MemoryFileSystem& disk, std::string path, std::shared_ptr<File> file)
      : disk_(disk), path_(std::move(path)), file_(std::move(file)), size_(file_->bytes.size()) {}

  int64_t Size() const override { return static_cast<int64_t>(size_); }

  void ReadAt(int64_t offset, void* buffer, int64_t length) override {
    std::lock_guard<std::mutex> lock(disk_.mutex_);
    int64_t size = static_cast<int64_t>(file_->bytes.size());
    if (offset < 0 || length < 0 || offset > size || length > size - offset) {
      Throw(ErrorCode::kCorrupt, "Reading '{}': {} bytes wanted at {}, but the file ends at {}",
            path_, length, offset, size);
    }
    if (length > 0) std::memcpy(buffer, file_->bytes.data() + offset, static_cast<size_t>(length));
  }

 private:
  MemoryFileSystem& disk_;
  std::string path_;
  std::shared_ptr<File> file_;
  size_t size_;
};

class MemoryFileSystem::Writer : public WritableFile {
 public:
  Writer(MemoryFileSystem& disk, std::string path, std::shared_ptr<File> file)
      : disk_(disk), path_(std::move(path)), file_(std::move(file)) {}

  void Append(std::string_view bytes) override {
    std::lock_guard<std::mutex> lock(disk_.mutex_);
    if (closed_) Throw(ErrorCode::kIo, "Writing '{}': the file is closed", path_);
    file_->bytes.append(bytes);
    file_->modified_ms = disk_.NextTime();
  }
  void Sync() override {
    std::lock_guard<std::mutex> lock(disk_.mutex_);
    file_->synced = file_->bytes.size();
  }
  void Close() override {
    if (closed_) return;
    Sync();
    closed_ = true;
  }
  void CloseUnsynced() override { closed_ = true; }
  int64_t Size() const override {
    std::lock_guard<std::mutex> lock(disk_.mutex_);
    return static_cast<int64_t>(file_->bytes.size());
  }

 private:
  MemoryFileSystem& disk_;
  std::string path_;
  std::shared_ptr<File> file_;
  bool closed_ = false;
};

std::shared_ptr<MemoryFileSystem::File> MemoryFileSystem::Find(const char* doing,
                                                               const std::string& path) {
  auto found = files_.find(path);
  if (found == files_.end())
    Throw(ErrorCode::kNotFound, "{} '{}': there is no such file", doing, path);
  return found->second;
}

void MemoryFileSystem::AddParents(const std::string& path) {
  for (size_t slash = path.rfind('/'); slash != std::string::npos && slash > 0;
       slash = path.rfind('/', slash - 1)) {
    if (!folders_.insert(path.substr(0, slash)).second) return;
  }
}

std::unique_ptr<RandomAccessFile> MemoryFileSystem::OpenForRead(const std::string& path) {
  std::lock_guard<std::mutex> lock(mutex_);
  return std::make_unique<Reader>(*this, path, Find("Opening", path));
}

std::unique_ptr<WritableFile> MemoryFileSystem::OpenForWrite(const std::string& path) {
  std::lock_guard<std::mutex> lock(mutex_);
  auto file = std::make_shared<File>();
  file->modified_ms = NextTime();
  files_[path] = file;
  AddParents(path);
  return std::make_unique<Writer>(*this, path, file);
}

std::unique_ptr<WritableFile> MemoryFileSystem::OpenForAppend(const std::string& path) {
  std::lock_guard<std::mutex> lock(mutex_);
  std::shared_ptr<File>& file = files_[path];
  if (!file) file = std::make_shared<File>();
  file->modified_ms = NextTime();
  AddParents(path);
  return std::make_unique<Writer>(*this, path, file);
}

CreateOutcome MemoryFileSystem::CreateExclusive(const std::string& path, std::string_view bytes) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (files_.count(path) > 0) return CreateOutcome::kExists;
  files_[path] = std::make_shared<File>(File{std::string(bytes), bytes.size(), NextTime()});
  AddParents(path);
  return CreateOutcome::kCreated;
}

void MemoryFileSystem::Overwrite(const std::string& path, std::string_view bytes) {
  std::lock_guard<std::mutex> lock(mutex_);
  files_[path] = std::make_shared<File>(File{std::string(bytes), bytes.size(), NextTime()});
  AddParents(path);
}

void MemoryFileSystem::OverwriteHint(const std::string& path, std::string_view bytes) {
  WriteUnsynced(path, bytes);
}

void MemoryFileSystem::WriteUnsynced(const std::string& path, std::string_view bytes) {
  std::lock_guard<std::mutex> lock(mutex_);
  files_[path] = std::make_shared<File>(File{std::string(bytes), std::nullopt, NextTime()});
  AddParents(path);
}

void MemoryFileSystem::SyncFiles(const std::vector<std::string>& paths) {
  std::lock_guard<std::mutex> lock(mutex_);
  for (const std::string& path : paths) {
    std::shared_ptr<File> file = Find("Syncing", path);
    file->synced = file->bytes.size();
  }
}

void MemoryFileSystem::Truncate(const std::string& path, int64_t size) {
  std::lock_guard<std::mutex> lock(mutex_);
  std::shared_ptr<File> file = Find("Truncating", path);
  file->bytes.resize(static_cast<size_t>(size));
  file->synced = file->bytes.size();
}

bool MemoryFileSystem::Exists(const std::string& path) {
  std::lock_guard<std::mutex> lock(mutex_);
  return files_.count(path) > 0 || folders_.count(path) > 0;
}

std::vector<FileEntry> MemoryFileSystem::List(const std::string& folder) {
  std::lock_guard<std::mutex> lock(mutex_);
  std::string prefix = folder.empty() || folder.back() == '/' ? folder : folder + "/";
  std::vector<FileEntry> entries;
  auto is_child = [&](const std::string& path) {
    return path.size() > prefix.size() && path.compare(0, prefix.size(), prefix) == 0 &&
           path.find('/', prefix.size()) == std::string::npos;
  };
  for (auto it = files_.lower_bound(prefix);
       it != files_.end() && it->first.compare(0, prefix.size(), prefix) == 0; ++it) {
    if (!is_child(it->first)) continue;
    entries.push_back({it->first.substr(prefix.size()), false,
                       static_cast<int64_t>(it->second->bytes.size()), it->second->modified_ms});
  }
  for (auto it = folders_.lower_bound(prefix);
       it != folders_.end() && it->compare(0, prefix.size(), prefix) == 0; ++it) {
    if (is_child(*it)) entries.push_back({it->substr(prefix.size()), true, 0, 0});
  }
  std::sort(entries.begin(), entries.end(),
            [](const FileEntry& a, const FileEntry& b) { return a.name < b.name; });
  return entries;
}

bool MemoryFileSystem::Delete(const std::string& path) {
  std::lock_guard<std::mutex> lock(mutex_);
  return files_.erase(path) > 0;
}

void MemoryFileSystem::DeleteFolder(const std::string& folder) {
  std::lock_guard<std::mutex> lock(mutex_);
  std::string prefix = folder + "/";
  auto inside = [&](const std::string& path) {
    return path.compare(0, prefix.size(), prefix) == 0;
  };
  std::erase_if(files_, [&](const auto& file) { return inside(file.first); });
  std::erase_if(folders_, [&](const auto& path) { return path == folder || inside(path); });
}

void MemoryFileSystem::MakeFolder(const std::string& folder) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (files_.count(folder) > 0) {
    Throw(ErrorCode::kIo, "Making folder '{}': a file of that name exists", folder);
  }
  folders_.insert(folder);
  AddParents(folder);
}

void MemoryFileSystem::Rename(const std::string& from, const std::string& to) {
  std::lock_guard<std::mutex> lock(mutex_);
  AddParents(to);
  auto single = files_.find(from);
  if (single != files_.end()) {
    std::shared_ptr<File> file = single->second;
    files_.erase(single);
    files_[to] = file;
    return;
  }
  if (folders_.erase(from) == 0) Find("Renaming", from);
  folders_.insert(to);
  std::string prefix = from + "/";
  auto inside = [&](const std::string& path) {
    return path.compare(0, prefix.size(), prefix) == 0;
  };
  std::map<std::string, std::shared_ptr<File>> moved_files;
  for (const auto& [path, file] : files_) {
    if (inside(path)) moved_files[to + path.substr(from.size())] = file;
  }
  std::set<std::string> moved_folders;
  for (const std::string& path : folders_) {
    if (inside(path)) moved_folders.insert(to + path.substr(from.size()));
  }
  std::erase_if(files_, [&](const auto& file) { return inside(file.first); });
  std::erase_if(folders_, inside);
  files_.merge(moved_files);
  folders_.merge(moved_folders);
}

void MemoryFileSystem::LoseUnsynced() {
  std::lock_guard<std::mutex> lock(mutex_);
  std::erase_if(files_, [](const auto& file) { return !file.second->synced; });
  for (auto& [path, file] : files_) {
    if (*file->synced < file->bytes.size()) file->bytes.resize(*file->synced);
  }
}

std::unique_ptr<MemoryFileSystem> MemoryFileSystem::Clone() {
  std::lock_guard<std::mutex> lock(mutex_);
  auto clone = std::make_unique<MemoryFileSystem>();
  for (const auto& [path, file] : files_) clone->files_[path] = std::make_shared<File>(*file);
  clone->folders_ = folders_;
  clone->clock_ = clock_;
  clone->changes_ = changes_;
  return clone;
}

std::vector<std::string> MemoryFileSystem::Files() {
  std::lock_guard<std::mutex> lock(mutex_);
  std::vector<std::string> paths;
  for (const auto& [path, file] : files_) paths.push_back(path);
  return paths;
}

}  // namespace millrace
