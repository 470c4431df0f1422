// file_index.h - the indexes of one data file: Bloom filters and bitmaps of some of its columns.
//
// A container: head (columns, their indexes, where each lies), then the indexes. It lies in the
// manifest when it is small, else beside the data file as <name>.index (docs/format.md#file-index,
// FileIndexFormat.java).
#pragma once

#include "format/bitmap_index.h"
#include "format/bloom_filter.h"

namespace millrace {

enum class FileIndexType : uint8_t { kBloomFilter, kBitmap };

/// An index that a table's options ask for.
struct FileIndexSpec {
  std::string column;
  FileIndexType type = FileIndexType::kBloomFilter;
  int64_t items = 1'000'000;     // Of a Bloom filter.
  double fpp = 0.1;              // Of a Bloom filter: share of false positives.
  int64_t block_bytes = 16'384;  // Of a bitmap's dictionary.
  bool operator==(const FileIndexSpec&) const = default;
};

/// Whether values of `type` can have such an index.
bool TakesFileIndex(const DataType& type, FileIndexType index);

/// Builds the container of one data file.
/// Threads: one at a time.
class FileIndexBuilder {
 public:
  /// `columns` of the specs are of `fields`.
  FileIndexBuilder(const std::vector<DataField>& fields, const std::vector<FileIndexSpec>& specs);
  ~FileIndexBuilder();
  /// The next rows; column i of the fields is column `first_column` + i of `rows`.
  void Add(DataChunk& rows, idx_t first_column);
  std::string Finish() const;

 private:
  struct Column;
  std::vector<Column> columns_;
};

/// What an index says to `column = one of the constants`.
struct IndexAnswer {
  bool may_match = true;
  std::optional<RowSet> rows = {};  // Where, when it is known.
};

/// Reads the container of one data file.
/// Threads: one at a time. Throws: Error(kCorrupt) naming the file.
class FileIndexReader {
 public:
  explicit FileIndexReader(IndexBytes bytes);
  bool Has(const std::string& column) const { return columns_.contains(column); }
  /// `type` is the column's in the file, `constants` are of its DuckDB type.
  IndexAnswer Ask(const std::string& column, const DataType& type,
                  const std::vector<Value>& constants) const;

 private:
  struct Place {
    std::string type;
    int64_t start = 0;
    int64_t length = 0;
  };
  IndexBytes bytes_;
  std::map<std::string, std::vector<Place>> columns_;
};

}  // namespace millrace
