#include "format/duck_file_system.h"

#include "base/error.h"

namespace millrace {

namespace {

struct Handle : duckdb::FileHandle {
  Handle(duckdb::FileSystem& file_system, const std::string& path, duckdb::FileOpenFlags flags)
      : duckdb::FileHandle(file_system, path, flags) {}
  void Close() override {
    if (writer) writer->Close();
    writer.reset();
    reader.reset();
  }
  std::shared_ptr<RandomAccessFile> reader;
  std::unique_ptr<WritableFile> writer;
  int64_t position = 0;
};

Handle& Of(duckdb::FileHandle& handle) { return static_cast<Handle&>(handle); }

}  // namespace

duckdb::unique_ptr<duckdb::FileHandle> DuckFileSystem::OpenFile(
    const std::string& path, duckdb::FileOpenFlags flags, duckdb::optional_ptr<duckdb::FileOpener>) {
  auto handle = duckdb::make_uniq<Handle>(*this, path, flags);
  if (flags.OpenForWriting()) {
    handle->writer = files_.OpenForWrite(path);
    written_bytes_ = 0;
  } else {
    if (!opened_ || opened_path_ != path) {
      opened_ = files_.OpenForRead(path);
      opened_path_ = path;
    }
    handle->reader = opened_;
  }
  return handle;
}

void DuckFileSystem::Read(duckdb::FileHandle& handle, void* buffer, int64_t length, idx_t location) {
  RandomAccessFile& file = *Of(handle).reader;
  auto offset = static_cast<int64_t>(location);
  // Offsets and lengths stand in the file itself: a damaged one asks for anything.
  if (length < 0 || offset < 0 || offset > file.Size() || length > file.Size() - offset) {
    Throw(ErrorCode::kCorrupt, "Reading '{}': {} bytes at {} lie outside of its {} bytes",
          handle.path, length, location, file.Size());
  }
  file.ReadAt(offset, buffer, length);
}

int64_t DuckFileSystem::Read(duckdb::FileHandle& handle, void* buffer, int64_t length) {
  Handle& own = Of(handle);
  length = std::max<int64_t>(0, std::min(length, own.reader->Size() - own.position));
  if (length > 0) own.reader->ReadAt(own.position, buffer, length);
  own.position += length;
  return length;
}

void DuckFileSystem::Write(duckdb::FileHandle& handle, void* buffer, int64_t length, idx_t location) {
  MILLRACE_CHECK(static_cast<int64_t>(location) == Of(handle).writer->Size());
  Write(handle, buffer, length);
}

int64_t DuckFileSystem::Write(duckdb::FileHandle& handle, void* buffer, int64_t length) {
  Of(handle).writer->Append({static_cast<const char*>(buffer), static_cast<size_t>(length)});
  written_bytes_ += length;
  return length;
}

int64_t DuckFileSystem::GetFileSize(duckdb::FileHandle& handle) {
  Handle& own = Of(handle);
  return own.writer ? own.writer->Size() : own.reader->Size();
}

void DuckFileSystem::FileSync(duckdb::FileHandle& handle) { Of(handle).writer->Sync(); }

void DuckFileSystem::Seek(duckdb::FileHandle& handle, idx_t location) {
  Of(handle).position = static_cast<int64_t>(location);
}

idx_t DuckFileSystem::SeekPosition(duckdb::FileHandle& handle) {
  return static_cast<idx_t>(Of(handle).position);
}

}  // namespace millrace
