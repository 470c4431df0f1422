// duck_file_system.h - our FileSystem as DuckDB's Parquet code sees one.
//
// Parquet files go through io/FileSystem like everything else, so that faults can be injected and
// an object store can come. One adapter serves one reader or writer of one file: it keeps the file
// open, holds written bytes back until they are checksummed and checks what is read
// (file_checksums.h).
#pragma once

#include "duckdb/common/file_system.hpp"
#include "format/file_checksums.h"
#include "io/file_system.h"

namespace millrace {

/// Bytes at `at`, behind the end of the file, that stand for those at `offset`.
struct FilePart {
  int64_t at;
  int64_t length;
  int64_t offset;
};

/// Opens files for sequential writing and positional reading; everything else is refused.
/// Threads: one at a time. Throws: what `files` throws, unchanged; Error(kCorrupt) for damage.
class DuckFileSystem : public duckdb::FileSystem {
 public:
  /// `files` must outlive this object and all handles.
  explicit DuckFileSystem(millrace::FileSystem& files) : files_(files) {}

  /// Opens `path` to be read and checks its footer.
  void OpenChecked(const std::string& path);
  /// The same for a file whose footer is known.
  void Open(const std::string& path);
  /// Lays `parts` behind the end of the file that is read.
  void SetParts(std::vector<FilePart> parts);
  /// From now on chunks that are read are checked, each once. They ascend.
  void SetChecksums(std::shared_ptr<const std::vector<ChunkChecksum>> chunks);

  /// Bytes written but not sent on yet; they begin at pending_offset() of the file.
  const std::string& pending() const { return pending_; }
  int64_t pending_offset() const { return pending_offset_; }
  void SendPending();
  /// Bytes of the file that was written, exact after its Close.
  int64_t written_bytes() const { return pending_offset_ + static_cast<int64_t>(pending_.size()); }

  using duckdb::FileSystem::OpenFile;
  duckdb::unique_ptr<duckdb::FileHandle> OpenFile(
      const std::string& path, duckdb::FileOpenFlags flags,
      duckdb::optional_ptr<duckdb::FileOpener> opener = nullptr) override;
  void Read(duckdb::FileHandle& handle, void* buffer, int64_t length, idx_t location) override;
  int64_t Read(duckdb::FileHandle& handle, void* buffer, int64_t length) override;
  void Write(duckdb::FileHandle& handle, void* buffer, int64_t length, idx_t location) override;
  int64_t Write(duckdb::FileHandle& handle, void* buffer, int64_t length) override;
  int64_t GetFileSize(duckdb::FileHandle& handle) override;
  /// None: with neither time nor tag DuckDB's external file cache keeps nothing of these files.
  duckdb::timestamp_t GetLastModifiedTime(duckdb::FileHandle&) override {
    return duckdb::timestamp_t(0);
  }
  std::string GetVersionTag(duckdb::FileHandle&) override { return ""; }
  duckdb::FileType GetFileType(duckdb::FileHandle&) override {
    return duckdb::FileType::FILE_TYPE_REGULAR;
  }
  void FileSync(duckdb::FileHandle& handle) override;
  void Seek(duckdb::FileHandle& handle, idx_t location) override;
  idx_t SeekPosition(duckdb::FileHandle& handle) override;
  bool CanSeek() override { return true; }
  /// False makes the Parquet reader fetch whole column chunks, not page by page: fewer, larger
  /// reads.
  bool OnDiskFile(duckdb::FileHandle&) override { return false; }
  bool FileExists(const std::string& path, duckdb::optional_ptr<duckdb::FileOpener>) override {
    return files_.Exists(path);
  }
  std::string GetName() const override { return "MillraceFileSystem"; }

 private:
  struct Handle;
  /// Of the file that is read, with what lies behind its end.
  int64_t ReadableBytes() const;
  void Fetch(void* buffer, int64_t length, int64_t offset);
  void FetchUnchecked(char* buffer, int64_t length, int64_t offset);
  void CheckChunks(const char* buffer, int64_t length, int64_t offset);
  void Close();

  millrace::FileSystem& files_;
  std::string path_;
  std::unique_ptr<RandomAccessFile> reading_;
  FileTail tail_;
  std::vector<FilePart> parts_;
  std::shared_ptr<const std::vector<ChunkChecksum>> chunks_;  // By offset.
  std::vector<bool> checked_;                                 // Of `chunks_`.
  std::unique_ptr<WritableFile> writing_;
  std::string pending_;
  int64_t pending_offset_ = 0;
};

}  // namespace millrace
