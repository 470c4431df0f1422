// parquet_file.h - data files of a table: Parquet through DuckDB's own reader and writer.
//
// Columns carry Paimon's field ids and physical types (docs/format.md#data-files). This header
// hides DuckDB's Parquet headers, which put an ambiguous LogicalType in scope: only
// parquet_file_writer.cc and _reader.cc have them.
#pragma once

#include <mutex>

#include "io/file_system.h"
#include "meta/data_type.h"

namespace duckdb {
class DatabaseInstance;
}

namespace millrace {

class RowSet;

/// A physical column of a file: name, Paimon type (nullability included), field id.
struct FileColumn {
  std::string name;
  DataType type;
  int field_id = -1;
  bool unique = false;    // No value twice: a writer need not look for a dictionary.
  bool sorted = false;    // Rows ascend by it; of one column at most, without NULL.
  bool sequence = false;  // _SEQUENCE_NUMBER, which every merge reads.
};

/// The key-value layout of a primary-key table: _KEY_*, _SEQUENCE_NUMBER, _VALUE_KIND, all columns.
/// `key` indexes into `fields`.
std::vector<FileColumn> KeyValueColumns(const std::vector<DataField>& fields,
                                        const std::vector<idx_t>& key);
/// The same of thin files, which lack the _KEY_ columns: the others hold the same values.
std::vector<FileColumn> ThinColumns(const std::vector<DataField>& fields,
                                    const std::vector<idx_t>& key);

/// Which columns had no dictionary when one was last looked for: looking costs a hash table. Shared
/// by writers of files with the same columns.
/// Threads: safe.
class DictionaryMemory {
 public:
  /// Whether the next row group should look for one, by column: all at first, and now and then.
  std::vector<bool> Look(size_t columns);
  void Note(std::vector<bool> plain);

 private:
  std::mutex mutex_;
  std::vector<bool> plain_;
  int64_t row_groups_ = 0;
};

struct ParquetWriteOptions {
  std::string compression = "zstd";
  std::string sequence_compression = "";  // Of _SEQUENCE_NUMBER; empty: as the others.
  int zstd_level = 1;
  int64_t row_group_rows = 122'880;
  std::shared_ptr<DictionaryMemory> dictionaries = std::make_shared<DictionaryMemory>();
};

/// Writes one file; rows of any number of chunks. Not visible in metadata until a commit names it,
/// and not durable before FileSystem::SyncFiles (table/file_sync.h).
/// Threads: one at a time. Throws: Error(kIo).
class ParquetFileWriter {
 public:
  ParquetFileWriter(duckdb::DatabaseInstance& database, FileSystem& files, std::string path,
                    std::vector<FileColumn> columns, ParquetWriteOptions options = {});
  ~ParquetFileWriter();
  void Write(DataChunk& chunk);
  /// Bytes so far, buffered rows estimated: for rolling.
  int64_t EstimatedSize() const;
  /// Footer, sync, close; the exact size of the file.
  int64_t Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A comparison that whole row groups can be pruned by: column index into the wanted columns.
struct FilePredicate {
  idx_t column;
  enum class Op : uint8_t { kEqual, kLess, kLessEqual, kGreater, kGreaterEqual } op;
  Value constant;
};

class ObjectCache;

struct ParquetReadOptions {
  /// Row groups that cannot match are skipped.
  std::vector<FilePredicate> prune = {};
  /// Rows that fail an equality of `prune` may be left out too: for few rows of many.
  bool choose_rows = false;
  std::shared_ptr<const RowSet> hidden = nullptr;  // Rows that are left out.
  ObjectCache* cache = nullptr;                    // Keeps the file's footer.
};

/// A column that no file has: the row's position in its file, from 0.
FileColumn RowPositionColumn();

/// Reads one file, front to back, wanted columns only.
/// Threads: one at a time. Throws: Error(kCorrupt) naming the file; Error(kNotFound).
class ParquetFileReader {
 public:
  /// `columns` are found by name; one that the file lacks is read as NULL. Values come in the
  /// DuckDB type of the column's `type`, cast when the file's physical type differs.
  ParquetFileReader(duckdb::DatabaseInstance& database, FileSystem& files, std::string path,
                    std::vector<FileColumn> columns, ParquetReadOptions options = {});
  ~ParquetFileReader();
  /// Fills `chunk` (initialised with Types()); false at the end. Row groups that cannot match are
  /// skipped.
  bool Next(DataChunk& chunk);
  const duckdb::vector<LogicalType>& Types() const;
  int64_t RowCount() const;
  /// The least value of a wanted column in each stretch that will be read, as the footer has it:
  /// pages of the column that the file is sorted by, else row groups. Empty when it does not say,
  /// or for texts of row groups, whose statistics are shortened.
  std::vector<Value> LeastOfStretches(idx_t column) const;
  /// Names and types of all columns that the file has, in its order.
  std::vector<std::pair<std::string, LogicalType>> FileColumnTypes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace millrace
