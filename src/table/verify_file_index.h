// verify_file_index.h - whether the file indexes of a data file hide any of its rows.
#pragma once

#include "format/file_index.h"
#include "table/table_state.h"

namespace millrace {

/// Asks every index of one file for every value that is in the file.
/// Threads: one at a time. Throws: Error(kCorrupt) naming the index file, Error(kIo).
class FileIndexChecks {
 public:
  /// `folder` is the bucket's, `schema` the file's.
  FileIndexChecks(const TableState& table, const std::string& folder, const DataFileMeta& file,
                  const TableSchema& schema);
  /// The next rows of the file; column i of the schema is column `first_column` + i of `rows`.
  void Look(DataChunk& rows, idx_t first_column);
  /// What was found: at most one sentence per column.
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  const TableSchema& schema_;
  std::vector<FileIndexReader> readers_;
  std::vector<idx_t> columns_;  // Those that have an index.
  int64_t position_ = 0;
  std::vector<std::string> problems_;
};

}  // namespace millrace
