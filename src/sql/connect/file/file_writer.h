// file_writer.h - the rows of one file of a `filesystem` sink, in the table's format.
#pragma once

#include "format/parquet_file.h"
#include "sql/connect/file/file_table.h"

namespace millrace {

/// Writes one file from its head to its end. Each is whole in itself: it has its own header.
/// Threads: one at a time. Throws: Error(kIo) naming the path, Error(kData) naming the value.
class FileWriter {
 public:
  virtual ~FileWriter() = default;
  virtual void Write(ChangeChunk& chunk) = 0;
  /// Bytes so far, buffered rows estimated.
  virtual int64_t Size() const = 0;
  /// Syncs and closes.
  virtual void Close() = 0;
};

/// `table` must outlive the writer.
std::unique_ptr<FileWriter> OpenFileWriter(Environment& environment, const FileTable& table,
                                           const std::string& path);

/// What stands at the head of each of the table's files; "" for formats without such a line.
std::string FileHeader(const FileTable& table);
/// The columns as a Parquet file has them.
std::vector<FileColumn> ParquetColumns(const FileTable& table);
std::unique_ptr<ParquetFileWriter> OpenParquetWriter(Environment& environment,
                                                     const FileTable& table,
                                                     const std::string& path);

}  // namespace millrace
