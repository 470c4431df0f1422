// table_definition.cc - lookups in a CREATE TABLE.
#include "meta/table_definition.h"

#include "duckdb/common/string_util.hpp"

namespace millrace {

std::optional<idx_t> TableDefinition::FindColumn(const std::string& name) const {
  for (idx_t i = 0; i < columns.size(); i++) {
    if (columns[i].name == name) return i;
  }
  for (idx_t i = 0; i < columns.size(); i++) {
    if (duckdb::StringUtil::CIEquals(columns[i].name, name)) return i;
  }
  return std::nullopt;
}

std::string TableDefinition::Connector() const {
  auto found = options.find("connector");
  return found == options.end() ? "" : found->second;
}

duckdb::vector<std::string> TableDefinition::ColumnNames() const {
  duckdb::vector<std::string> names;
  for (const ColumnDefinition& column : columns) names.push_back(column.name);
  return names;
}

duckdb::vector<LogicalType> TableDefinition::ColumnTypes() const {
  duckdb::vector<LogicalType> types;
  for (const ColumnDefinition& column : columns) types.push_back(column.type.ToDuck());
  return types;
}

std::vector<idx_t> TableDefinition::PhysicalColumns() const {
  std::vector<idx_t> physical;
  for (idx_t i = 0; i < columns.size(); i++) {
    if (!columns[i].computed && !columns[i].metadata) physical.push_back(i);
  }
  return physical;
}

}  // namespace millrace
