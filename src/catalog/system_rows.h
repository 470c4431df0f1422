// system_rows.h - how the rows of metadata tables are made; shared by the system_*.cc files.
#pragma once

#include "catalog/system_tables.h"
#include "table/table_state.h"

namespace millrace {

/// What a metadata table is made of.
struct SystemSource {
  const Table& table;
  const TableState& state;
  std::string zone;
};

/// One metadata table.
struct MetadataTable {
  const char* name;
  std::vector<DataField> fields;
  SystemRows (*rows)(const SystemSource&);
};

/// system_history.cc: snapshots, schemas, options, tags, branches, consumers, statistics,
/// aggregation_fields.
const std::vector<MetadataTable>& HistoryTables();
/// system_files.cc: files, file_key_ranges, manifests, partitions, buckets, table_indexes.
const std::vector<MetadataTable>& FileTables();

/// "BIGINT NOT NULL" and so on.
DataField SystemField(const char* name, const char* type);
/// TIMESTAMP of a moment as clocks of `zone` show it.
Value LocalTime(const SystemSource& source, int64_t time_ms);
template <typename T>
Value OptionalLong(const std::optional<T>& value) {
  return value ? Value::BIGINT(static_cast<int64_t>(*value)) : Value(LogicalType::BIGINT);
}
template <typename T>
Value OptionalText(const std::optional<T>& value) {
  return value ? Value(*value) : Value(LogicalType::VARCHAR);
}
/// The state that the table's options choose, else the newest; nullopt when there is none.
std::optional<Snapshot> StateOf(const SystemSource& source);

/// What live files of a partition or bucket add up to.
struct FileTotals {
  int64_t rows = 0, bytes = 0, files = 0;
  std::optional<int64_t> last_created_ms;  // Local wall clock.
  void Add(const DataFileMeta& file);
};

}  // namespace millrace
