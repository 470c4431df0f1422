// key_value.h - the row of a primary-key table's file, and the order of its keys.
//
// Row = trimmed primary key columns, _SEQUENCE_NUMBER BIGINT, _VALUE_KIND TINYINT, all value
// columns (docs/format.md#data-files). Order: column by column, strings as unsigned bytes, NULL
// first; rows of one key by user sequence (if any), then by sequence number; the last wins.
#pragma once

#include "base/change_chunk.h"
#include "format/parquet_file.h"
#include "io/clock.h"
#include "io/file_system.h"
#include "meta/manifest.h"

namespace millrace {

/// The columns of one table version as runs store them. A plain value.
struct KeyValueLayout {
  int64_t schema_id = 0;
  std::vector<DataField> fields;       // All value columns, in schema order.
  std::vector<idx_t> key;              // Trimmed primary key, indexes into `fields`.
  std::vector<idx_t> sequence_fields;  // `sequence.field`, indexes into `fields`; mostly empty.
  bool sequence_descending = false;    // `sequence.field.sort-order`: the least of them wins.

  idx_t SequenceColumn() const { return key.size(); }
  idx_t KindColumn() const { return key.size() + 1; }
  idx_t ValueColumn(idx_t field) const { return key.size() + 2 + field; }
  std::vector<DataType> KeyTypes() const;
  std::vector<DataType> FieldTypes() const;
  /// DuckDB types of a whole row.
  duckdb::vector<LogicalType> RowTypes() const;
  duckdb::vector<LogicalType> ValueTypes() const;
};

/// What reading and writing runs needs from outside; all outlive it.
struct LsmContext {
  FileSystem& files;
  Clock& clock;
  duckdb::DatabaseInstance& database;
  ObjectCache* cache = nullptr;  // For footers; may be absent.
};

/// The files of one bucket lie here; `external_path` of a file wins.
std::string DataFilePath(const std::string& folder, const DataFileMeta& file);

/// The data file and those that live and die with it (its file index).
std::vector<std::string> DataFilePaths(const std::string& folder, const DataFileMeta& file);

/// Receives chunks; the chunk belongs to the caller again on return.
using ChunkReceiver = std::function<void(DataChunk&)>;

/// Orders serialized keys (min_key, max_key of a file) without decoding rows twice.
/// Threads: safe (immutable). Throws: Error(kCorrupt) for a key that does not decode.
class KeyOrder {
 public:
  explicit KeyOrder(std::vector<DataType> key_types);
  /// Bytes that compare by memcmp as the keys do. In memory only: never write them to disk.
  std::string Normalise(std::string_view key) const;
  std::string Normalise(const std::vector<Value>& key) const;

 private:
  std::vector<DataType> types_;
  duckdb::vector<LogicalType> duck_types_;
};

}  // namespace millrace
