// lookup_file.h - one data file's rows in a local file of small blocks, found by key.
//
// Entries (key, order, position, row) ascend by key and lie in blocks of about 4 KB, each with a
// checksum; the first key of each block and a Bloom filter of all keys are in memory: about two
// bytes a row. Such files live as long as whoever made them.
#pragma once

#include "base/lru_cache.h"
#include "io/file_system.h"

namespace millrace {

/// A block as it was read. Shared, for an entry in use outlives its place in the cache.
using LookupBlock = std::shared_ptr<const std::string>;

/// Blocks of several files, by (file, number).
using LookupBlockCache = LruCache<uint64_t, LookupBlock>;

/// One row of a data file. Views are valid as long as `block`.
struct LookupEntry {
  std::string_view order;  // Of rows with one key the one with the greatest is the newest.
  int64_t position = 0;    // In the data file.
  std::string_view row;
  LookupBlock block;
};

/// Threads: one at a time. Throws: Error(kCorrupt, kIo) naming the local file.
class LookupFile {
 public:
  /// Nothing at all, of no keys.
  LookupFile() = default;
  /// nullopt when the key is not there.
  std::optional<LookupEntry> Find(std::string_view key, LookupBlockCache& cache) const;
  int64_t MemoryBytes() const;
  int64_t FileBytes() const { return bytes_; }
  int64_t row_count() const { return rows_; }

 private:
  friend class LookupFileWriter;
  struct Place {
    uint64_t offset;
    uint32_t length;
    uint32_t key_end;  // Of its first key in `keys_`, where the next one begins.
  };

  std::string_view FirstKey(size_t block) const;
  LookupBlock Load(size_t block, LookupBlockCache& cache) const;

  std::string path_;
  std::shared_ptr<RandomAccessFile> file_;
  uint32_t id_ = 0;
  int64_t rows_ = 0;
  int64_t bytes_ = 0;
  std::vector<Place> blocks_;
  std::string keys_;  // First keys, one after the other.
  std::vector<uint64_t> filter_;
};

/// Writes one.
/// Threads: one at a time. Throws: Error(kIo).
class LookupFileWriter {
 public:
  /// `id` tells its blocks from those of other files in a cache.
  LookupFileWriter(FileSystem& files, std::string path, uint32_t id, int64_t expected_rows);
  /// Keys ascend, each once.
  void Add(std::string_view key, std::string_view order, int64_t position, std::string_view row);
  LookupFile Finish();

 private:
  void CloseBlock();
  void WriteOut();

  FileSystem& files_;
  std::unique_ptr<WritableFile> out_;  // Never synced: nobody needs it after a crash.
  LookupFile made_;
  std::string pending_;
  std::string block_;
  std::vector<uint32_t> entries_;  // Where each begins in the block.
  uint64_t offset_ = 0;
};

}  // namespace millrace
