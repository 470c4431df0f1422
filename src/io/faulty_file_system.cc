// faulty_file_system.cc - counting and failing.
#include "io/faulty_file_system.h"

#include "base/error.h"

namespace millrace {

bool FaultyFileSystem::IsDue(bool reads) {
  if (reads && !options_.count_reads) return false;
  int64_t number = operations_++;
  return options_.fail_at >= 0 && number >= options_.fail_at &&
         number - options_.fail_at < options_.fail_count;
}

void FaultyFileSystem::Fail(const char* doing, const std::string& path) {
  Throw(ErrorCode::kIo, "{} '{}': injected fault", doing, path);
}

template <typename Operation>
auto FaultyFileSystem::Run(const char* doing, const std::string& path, bool reads,
                           Operation operation) {
  bool due = IsDue(reads);
  if (due && options_.mode != FaultMode::kAfter) Fail(doing, path);
  if (due) {
    (void)operation();
    Fail(doing, path);
  }
  return operation();
}

class FaultyFileSystem::Reader : public RandomAccessFile {
 public:
  Reader(FaultyFileSystem& owner, std::string path, std::unique_ptr<RandomAccessFile> base)
      : owner_(owner), path_(std::move(path)), base_(std::move(base)) {}
  int64_t Size() const override { return base_->Size(); }
  void ReadAt(int64_t offset, void* buffer, int64_t length) override {
    owner_.Run("Reading", path_, true, [&] { base_->ReadAt(offset, buffer, length); });
  }

 private:
  FaultyFileSystem& owner_;
  std::string path_;
  std::unique_ptr<RandomAccessFile> base_;
};

class FaultyFileSystem::Writer : public WritableFile {
 public:
  Writer(FaultyFileSystem& owner, std::string path, std::unique_ptr<WritableFile> base)
      : owner_(owner), path_(std::move(path)), base_(std::move(base)) {}
  void Append(std::string_view bytes) override {
    bool due = owner_.IsDue(false);
    if (!due) return base_->Append(bytes);
    if (owner_.options_.mode == FaultMode::kAfter) base_->Append(bytes);
    if (owner_.options_.mode == FaultMode::kHalf) base_->Append(bytes.substr(0, bytes.size() / 2));
    Fail("Writing", path_);
  }
  void Sync() override {
    owner_.Run("Syncing", path_, false, [&] { base_->Sync(); });
  }
  void Close() override {
    owner_.Run("Closing", path_, false, [&] { base_->Close(); });
  }
  void CloseUnsynced() override {
    owner_.Run("Closing", path_, false, [&] { base_->CloseUnsynced(); });
  }
  int64_t Size() const override { return base_->Size(); }

 private:
  FaultyFileSystem& owner_;
  std::string path_;
  std::unique_ptr<WritableFile> base_;
};

std::unique_ptr<RandomAccessFile> FaultyFileSystem::OpenForRead(const std::string& path) {
  return Run("Opening", path, true, [&]() -> std::unique_ptr<RandomAccessFile> {
    return std::make_unique<Reader>(*this, path, base_.OpenForRead(path));
  });
}

std::unique_ptr<WritableFile> FaultyFileSystem::OpenForWrite(const std::string& path) {
  return Run("Creating", path, false, [&]() -> std::unique_ptr<WritableFile> {
    return std::make_unique<Writer>(*this, path, base_.OpenForWrite(path));
  });
}

std::unique_ptr<WritableFile> FaultyFileSystem::OpenForAppend(const std::string& path) {
  return Run("Opening", path, false, [&]() -> std::unique_ptr<WritableFile> {
    return std::make_unique<Writer>(*this, path, base_.OpenForAppend(path));
  });
}

CreateOutcome FaultyFileSystem::CreateExclusive(const std::string& path, std::string_view bytes) {
  return Run("Creating", path, false, [&] { return base_.CreateExclusive(path, bytes); });
}

void FaultyFileSystem::Overwrite(const std::string& path, std::string_view bytes) {
  Run("Replacing", path, false, [&] { base_.Overwrite(path, bytes); });
}

void FaultyFileSystem::OverwriteHint(const std::string& path, std::string_view bytes) {
  Run("Replacing", path, false, [&] { base_.OverwriteHint(path, bytes); });
}

void FaultyFileSystem::WriteUnsynced(const std::string& path, std::string_view bytes) {
  Run("Writing", path, false, [&] { base_.WriteUnsynced(path, bytes); });
}

void FaultyFileSystem::SyncFiles(const std::vector<std::string>& paths) {
  if (paths.empty()) return;
  Run("Syncing", paths.front(), false, [&] { base_.SyncFiles(paths); });
}

void FaultyFileSystem::Truncate(const std::string& path, int64_t size) {
  Run("Truncating", path, false, [&] { base_.Truncate(path, size); });
}

bool FaultyFileSystem::Exists(const std::string& path) {
  return Run("Looking for", path, true, [&] { return base_.Exists(path); });
}

std::vector<FileEntry> FaultyFileSystem::List(const std::string& folder) {
  return Run("Listing folder", folder, true, [&] { return base_.List(folder); });
}

bool FaultyFileSystem::Delete(const std::string& path) {
  return Run("Deleting", path, false, [&] { return base_.Delete(path); });
}

void FaultyFileSystem::DeleteFolder(const std::string& folder) {
  Run("Deleting folder", folder, false, [&] { base_.DeleteFolder(folder); });
}

void FaultyFileSystem::MakeFolder(const std::string& folder) {
  Run("Making folder", folder, false, [&] { base_.MakeFolder(folder); });
}

void FaultyFileSystem::Rename(const std::string& from, const std::string& to) {
  Run("Renaming", from, false, [&] { base_.Rename(from, to); });
}

}  // namespace millrace
