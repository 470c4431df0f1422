#include "format/duck_file_system.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/error.h"

namespace millrace {

struct DuckFileSystem::Handle : duckdb::FileHandle {
  Handle(DuckFileSystem& file_system, const std::string& path, duckdb::FileOpenFlags flags)
      : duckdb::FileHandle(file_system, path, flags), owner(file_system) {}
  void Close() override {
    if (flags.OpenForWriting()) owner.Close();
  }
  DuckFileSystem& owner;
  int64_t position = 0;
};

void DuckFileSystem::OpenChecked(const std::string& path) {
  reading_ = files_.OpenForRead(path);
  path_ = path;
  tail_ = ReadTail(*reading_, path);
}

void DuckFileSystem::Open(const std::string& path) {
  reading_ = files_.OpenForRead(path);
  path_ = path;
  tail_ = {reading_->Size(), ""};
}

void DuckFileSystem::SetParts(std::vector<FilePart> parts) {
  parts_ = std::move(parts);
}

int64_t DuckFileSystem::ReadableBytes() const {
  return parts_.empty() ? reading_->Size() : parts_.back().at + parts_.back().length;
}

void DuckFileSystem::SetChecksums(std::shared_ptr<const std::vector<ChunkChecksum>> chunks) {
  chunks_ = std::move(chunks);
  checked_.assign(chunks_->size(), false);
}

duckdb::unique_ptr<duckdb::FileHandle> DuckFileSystem::OpenFile(
    const std::string& path, duckdb::FileOpenFlags flags,
    duckdb::optional_ptr<duckdb::FileOpener>) {
  if (flags.OpenForWriting()) {
    writing_ = files_.OpenForWrite(path);
    path_ = path;
  } else if (!reading_ || path_ != path) {
    OpenChecked(path);
  }
  return duckdb::make_uniq<Handle>(*this, path, flags);
}

void DuckFileSystem::Read(duckdb::FileHandle&, void* buffer, int64_t length, idx_t location) {
  auto offset = static_cast<int64_t>(location);
  int64_t size = ReadableBytes();
  // Offsets and lengths stand in the file itself: a damaged one asks for anything.
  if (length < 0 || offset < 0 || offset > size || length > size - offset) {
    Throw(ErrorCode::kCorrupt, "Reading data file '{}': {} bytes at {} lie outside of its {} bytes",
          path_, length, location, size);
  }
  Fetch(buffer, length, offset);
}

int64_t DuckFileSystem::Read(duckdb::FileHandle& handle, void* buffer, int64_t length) {
  auto& own = static_cast<Handle&>(handle);
  length = std::max<int64_t>(0, std::min(length, ReadableBytes() - own.position));
  if (length > 0) Fetch(buffer, length, own.position);
  own.position += length;
  return length;
}

void DuckFileSystem::Fetch(void* buffer, int64_t length, int64_t offset) {
  FetchUnchecked(static_cast<char*>(buffer), length, offset);
  if (!checked_.empty()) CheckChunks(static_cast<const char*>(buffer), length, offset);
}

void DuckFileSystem::FetchUnchecked(char* buffer, int64_t length, int64_t offset) {
  int64_t size = reading_->Size();
  while (length > 0 && offset >= size) {
    auto after = std::upper_bound(parts_.begin(), parts_.end(), offset,
                                  [](int64_t at, const FilePart& part) { return at < part.at; });
    MILLRACE_CHECK(after != parts_.begin());
    const FilePart& part = *std::prev(after);
    int64_t count = std::min(length, part.at + part.length - offset);
    MILLRACE_CHECK(count > 0);
    reading_->ReadAt(part.offset + (offset - part.at), buffer, count);
    buffer += count;
    offset += count;
    length -= count;
  }
  if (length <= 0) return;
  MILLRACE_CHECK(offset + length <= size);
  if (offset >= tail_.offset) {
    std::memcpy(buffer, tail_.bytes.data() + (offset - tail_.offset), static_cast<size_t>(length));
  } else {
    reading_->ReadAt(offset, buffer, length);
  }
}

void DuckFileSystem::CheckChunks(const char* buffer, int64_t length, int64_t offset) {
  auto first = std::partition_point(
      chunks_->begin(), chunks_->end(),
      [&](const ChunkChecksum& chunk) { return chunk.offset + chunk.length <= offset; });
  for (auto entry = first; entry != chunks_->end() && entry->offset < offset + length; ++entry) {
    auto checked = checked_[static_cast<size_t>(entry - chunks_->begin())];
    if (checked) continue;
    const ChunkChecksum& chunk = *entry;
    std::string whole;  // Only when a part of the chunk was asked for.
    const char* bytes = buffer + (chunk.offset - offset);
    if (chunk.offset < offset || chunk.offset + chunk.length > offset + length) {
      whole.resize(static_cast<size_t>(chunk.length));
      FetchUnchecked(whole.data(), chunk.length, chunk.offset);
      bytes = whole.data();
    }
    if (Crc32({bytes, static_cast<size_t>(chunk.length)}) != chunk.crc) {
      Throw(ErrorCode::kCorrupt,
            "Reading data file '{}': the checksum of {} bytes at {} does not match: the file is "
            "damaged",
            path_, chunk.length, chunk.offset);
    }
    checked = true;
  }
}

void DuckFileSystem::Write(duckdb::FileHandle& handle, void* buffer, int64_t length,
                           idx_t location) {
  MILLRACE_CHECK(static_cast<int64_t>(location) == written_bytes());
  Write(handle, buffer, length);
}

int64_t DuckFileSystem::Write(duckdb::FileHandle&, void* buffer, int64_t length) {
  pending_.append(static_cast<const char*>(buffer), static_cast<size_t>(length));
  return length;
}

void DuckFileSystem::SendPending() {
  if (pending_.empty()) return;
  writing_->Append(pending_);
  pending_offset_ += static_cast<int64_t>(pending_.size());
  pending_.clear();
}

void DuckFileSystem::Close() {
  if (!writing_) return;
  SealFooter(pending_);
  SendPending();
  writing_->CloseUnsynced();
  writing_.reset();
}

int64_t DuckFileSystem::GetFileSize(duckdb::FileHandle& handle) {
  return handle.flags.OpenForWriting() ? written_bytes() : ReadableBytes();
}

void DuckFileSystem::FileSync(duckdb::FileHandle&) {
  SendPending();
  writing_->Sync();
}

void DuckFileSystem::Seek(duckdb::FileHandle& handle, idx_t location) {
  static_cast<Handle&>(handle).position = static_cast<int64_t>(location);
}

idx_t DuckFileSystem::SeekPosition(duckdb::FileHandle& handle) {
  return static_cast<idx_t>(static_cast<Handle&>(handle).position);
}

}  // namespace millrace
