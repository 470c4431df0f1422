// table_definition.h - what CREATE TABLE says, before any store or connector has looked at it.
#pragma once

#include "meta/data_type.h"

namespace millrace {

/// catalog.database.name, all three resolved.
struct ObjectPath {
  std::string catalog;
  std::string database;
  std::string name;
  bool operator==(const ObjectPath&) const = default;
  auto operator<=>(const ObjectPath&) const = default;
  std::string ToString() const { return catalog + "." + database + "." + name; }
};

/// Options by name, ordered for stable printing. Names are Flink's and Paimon's.
using Options = std::map<std::string, std::string>;

struct ColumnDefinition {
  std::string name;
  DataType type;                        // Of a computed column: filled in when it is bound.
  std::optional<std::string> computed;  // DuckDB expression text of `name AS expr`.
  std::optional<std::string> metadata;  // Key of a METADATA column.
  std::string comment;
  std::optional<std::string> default_value = {};  // Of rows that give none, as text.
  std::string computed_text = {};                 // `computed` as the user wrote it; "" if unknown.
  bool operator==(const ColumnDefinition&) const = default;
};

struct WatermarkDefinition {
  std::string column;
  std::string expression;  // DuckDB expression text.
  std::string text = {};   // As the user wrote it; "" if unknown.
  bool operator==(const WatermarkDefinition&) const = default;
};

/// A table of any kind: a lake table (catalog type paimon) or one that `connector` serves.
struct TableDefinition {
  ObjectPath path;
  std::vector<ColumnDefinition> columns;
  std::vector<std::string> primary_key;
  std::vector<std::string> partition_keys;
  std::optional<WatermarkDefinition> watermark;
  Options options;
  std::string comment;
  bool temporary = false;
  bool operator==(const TableDefinition&) const = default;

  /// nullopt when there is no column of that name (case-sensitive first, then insensitive).
  std::optional<idx_t> FindColumn(const std::string& name) const;
  /// Value of `connector`, empty for lake tables.
  std::string Connector() const;
  /// Names and DuckDB types of all columns, in order.
  duckdb::vector<std::string> ColumnNames() const;
  duckdb::vector<LogicalType> ColumnTypes() const;
  /// Physical columns only (neither computed nor metadata).
  std::vector<idx_t> PhysicalColumns() const;
};

}  // namespace millrace
