// file_checksums.h - checksums of a Parquet file's column chunks and footer, so that damage is
// never data.
//
// DuckDB's writer leaves Parquet's page checksums out and its reader ignores them. Ours stand in
// the footer's key-value metadata, which other readers skip: key "millrace.checksums", value
// "footer=" + 8 hex digits + ","
// + 8 hex digits of zlib's CRC-32 for each column chunk, row group by row group. The footer's own
// covers the footer with its digits as zeros. Files without them (of other engines) are read
// unchecked.
#pragma once

#include <string>
#include <vector>

#include "io/file_system.h"

namespace millrace {

inline constexpr const char* kChecksumKey = "millrace.checksums";

/// A stretch of the file and what it must add up to.
struct ChunkChecksum {
  int64_t offset;
  int64_t length;
  uint32_t crc;
};

/// The metadata value before SealFooter.
std::string ChecksumValue(const std::vector<uint32_t>& chunks);
/// The checksums of the chunks in `value`; empty when it is none of ours.
std::vector<uint32_t> ParseChecksumValue(const std::string& value);

/// Puts the footer's checksum into its place. `tail` is the end of the file: footer, its length,
/// magic.
void SealFooter(std::string& tail);

/// The end of a file, read ahead.
struct FileTail {
  int64_t offset = 0;
  std::string bytes;
};
/// Reads at least the footer and checks it when it is sealed. Throws: Error(kCorrupt) naming
/// `path`.
FileTail ReadTail(RandomAccessFile& file, const std::string& path);

}  // namespace millrace
