// file_reader.h - the rows of one file from any position on.
#pragma once

#include "sql/connect/file/file_table.h"

namespace millrace {

/// A place between two records of a file.
struct FileOffset {
  int64_t bytes = 0;    // Of text; rows of Parquet.
  int64_t records = 0;  // For messages.
  bool operator==(const FileOffset&) const = default;
};

/// Threads: one at a time. Throws: Error(kData), Error(kCorrupt), Error(kNotFound) naming the file.
class FileReader {
 public:
  virtual ~FileReader() = default;
  /// Fills `chunk` (empty, of the wanted columns) with up to about `max_rows` rows, not beyond
  /// `stop` (bytes) if it is not negative. False when there was nothing left.
  virtual bool Next(ChangeChunk& chunk, idx_t max_rows, int64_t stop) = 0;
  virtual FileOffset Offset() const = 0;
  virtual int64_t Skipped() const { return 0; }
};

/// `wanted`: indexes into table.fields, the chunk's columns.
std::unique_ptr<FileReader> OpenFile(Environment& environment, const FileTable& table,
                                     const std::vector<idx_t>& wanted, const std::string& path,
                                     FileOffset start);

}  // namespace millrace
