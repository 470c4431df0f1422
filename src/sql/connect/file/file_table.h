// file_table.h - what a `filesystem` table's definition says, checked.
#pragma once

#include "sql/connect/table_options.h"
#include "stream/connector.h"

namespace millrace {

/// Threads: immutable. Throws: the constructor, Error(kInvalid) or Error(kUnsupported).
struct FileTable {
  explicit FileTable(const TableDefinition& definition);

  const TableDefinition* definition;
  std::string path;          // Absolute.
  std::string format;        // "parquet" or a codec's name.
  bool single_file = false;  // `path` names one file by its ending.
  int64_t monitor_ms;        // 0: bounded.
  int64_t roll_bytes;
  std::string default_partition;         // Stands for NULL in a folder's name.
  std::vector<DataField> fields;         // Of the files: physical columns but the partition keys.
  std::vector<DataField> all;            // All physical columns.
  std::vector<idx_t> data_columns;       // Indexes into `all` of `fields`.
  std::vector<idx_t> partition_columns;  // Indexes into `all`, in the order of PARTITIONED BY.

  bool IsParquet() const { return format == "parquet"; }
  /// ".csv", ".json", ".parquet".
  std::string Ending() const;
};

/// "a=b c" <-> "a%3Db c": what may not stand in a folder's name.
std::string EscapePathPart(std::string_view text);
std::string UnescapePathPart(std::string_view text);

std::unique_ptr<Source> MakeFileSource(Environment& environment, const SourceTable& table,
                                       bool bounded);
/// `job` names the writer, the same in each of its lives.
std::unique_ptr<Sink> MakeFileSink(Environment& environment, const TableDefinition& definition,
                                   const std::string& job);

}  // namespace millrace
