// schema.h - schema/schema-N of a table. Bytes on disk: docs/format.md#schema (TableSchema.java).
#pragma once

#include "meta/table_definition.h"

namespace millrace {

/// An option of the first schema of each table that we make: tells it from a later one of its name.
inline constexpr const char* kTableUuidOption = "millrace.uuid";

struct TableSchema {
  int64_t id = 0;
  std::vector<DataField> fields;
  int highest_field_id = -1;
  std::vector<std::string> partition_keys;
  std::vector<std::string> primary_keys;
  Options options;
  std::string comment;
  int64_t time_ms = 0;
  bool operator==(const TableSchema&) const = default;

  std::optional<idx_t> FindField(const std::string& name) const;
  /// Primary key minus partition columns, in key order ("trimmed primary key"); indexes into
  /// fields.
  std::vector<idx_t> TrimmedPrimaryKey() const;
  std::vector<idx_t> PartitionColumns() const;
  /// Columns that choose the bucket: `bucket-key`, else the trimmed primary key.
  std::vector<idx_t> BucketKey() const;
  duckdb::vector<LogicalType> DuckTypes() const;
  duckdb::vector<std::string> Names() const;
};

/// Gives field ids (top level first, nested depth first: ReassignFieldId.java), forces key columns
/// NOT NULL, checks keys and options. Throws: Error(kInvalid) naming the column or option.
TableSchema MakeSchema(const TableDefinition& definition, int64_t time_ms);

/// Keys, buckets and options against what readers and writers rely on. `doing` begins the message:
/// "Creating table 'a.b.c'". Throws: Error(kInvalid) naming the column or option.
void CheckSchema(const TableSchema& schema, const std::string& doing);

/// The value that rows without one get in a column of `type`: `text` as the schema file keeps it,
/// quotes around it or not. Throws: Error(kInvalid) when it is none of the type.
Value DefaultValueOf(const DataType& type, const std::string& text);

std::string SchemaToJson(const TableSchema& schema);
/// `file` only names the culprit. Throws: Error(kCorrupt).
TableSchema SchemaFromJson(std::string_view json, const std::string& file);

}  // namespace millrace
