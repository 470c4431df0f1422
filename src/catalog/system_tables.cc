#include "catalog/system_tables.h"

#include <algorithm>

#include "base/error.h"
#include "catalog/system_rows.h"
#include "duckdb/common/string_util.hpp"
#include "meta/binary_row.h"
#include "table/scan_start.h"

namespace millrace {

namespace {

constexpr const char* kAuditLog = "audit_log";
constexpr const char* kBinlog = "binlog";
constexpr const char* kReadOptimized = "ro";

const MetadataTable* FindMetadata(const std::string& name) {
  for (const auto* tables : {&HistoryTables(), &FileTables()}) {
    for (const MetadataTable& table : *tables) {
      if (name == table.name) return &table;
    }
  }
  return nullptr;
}

std::string Normalise(const std::string& name) {
  std::string lower = duckdb::StringUtil::Lower(name);
  return lower == "read_optimized" ? kReadOptimized : lower;
}

std::vector<std::string> AllNames() {
  std::vector<std::string> names = {kAuditLog, kBinlog, kReadOptimized, "read_optimized"};
  for (const auto* tables : {&HistoryTables(), &FileTables()}) {
    for (const MetadataTable& table : *tables) names.push_back(table.name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

void SetColumns(TableDefinition& definition, const std::vector<DataField>& fields) {
  definition.columns.clear();
  definition.primary_key.clear();
  definition.partition_keys.clear();
  definition.watermark.reset();
  for (const DataField& field : fields) {
    definition.columns.push_back({field.name, field.type, {}, {}, field.description});
  }
}

// ------------------------------------------------------------------------- catalog-wide tables

struct GlobalTable {
  const char* name;
  std::vector<DataField> fields;
};

const std::vector<GlobalTable>& GlobalTables() {
  static const std::vector<GlobalTable> tables = {
      {"tables",
       {SystemField("database_name", "STRING"), SystemField("table_name", "STRING"),
        SystemField("table_type", "STRING"), SystemField("partitioned", "BOOLEAN"),
        SystemField("primary_key", "BOOLEAN"), SystemField("owner", "STRING"),
        SystemField("created_at", "BIGINT"), SystemField("created_by", "STRING"),
        SystemField("updated_at", "BIGINT"), SystemField("updated_by", "STRING"),
        SystemField("record_count", "BIGINT"), SystemField("file_size_in_bytes", "BIGINT"),
        SystemField("file_count", "BIGINT"), SystemField("last_file_creation_time", "BIGINT")}},
      {"partitions",
       {SystemField("database_name", "STRING"), SystemField("table_name", "STRING"),
        SystemField("partition_name", "STRING"), SystemField("record_count", "BIGINT"),
        SystemField("file_size_in_bytes", "BIGINT"), SystemField("file_count", "BIGINT"),
        SystemField("last_file_creation_time", "BIGINT"), SystemField("done", "BOOLEAN")}},
      {"all_table_options",
       {SystemField("database_name", "STRING"), SystemField("table_name", "STRING"),
        SystemField("key", "STRING"), SystemField("value", "STRING")}},
      {"catalog_options",
       {SystemField("key", "STRING NOT NULL"), SystemField("value", "STRING NOT NULL")}}};
  return tables;
}

using Receiver = std::function<void(const std::string& database, const Table& table)>;

/// All tables that can be opened; one that is dropped meanwhile is none.
void ForEachTable(const CatalogStore& store, TableContext context, const Receiver& receive) {
  for (const std::string& database : store.Databases()) {
    for (const std::string& name : store.Tables(database)) {
      std::shared_ptr<const Table> table;
      try {
        table = Table::Open(context, LakeTableFolder(store.Warehouse(), database, name));
      } catch (const Error& error) {
        if (error.code() != ErrorCode::kNotFound) throw;
        continue;
      }
      receive(database, *table);
    }
  }
}

void AddTable(const std::string& database, const Table& table, SystemRows& rows) {
  FileTotals totals;
  std::optional<Snapshot> latest = table.LatestSnapshot();
  if (latest) {
    for (const ManifestEntry& entry : table.state().manifests.LiveEntries(*latest)) {
      totals.Add(entry.file);
    }
  }
  Value none(LogicalType::BIGINT);
  auto count = [&](int64_t number) { return latest ? Value::BIGINT(number) : none; };
  Value nobody(LogicalType::VARCHAR);
  auto type = table.options().find("type");
  rows.push_back({Value(database), Value(FileName(table.folder())),
                  Value(type == table.options().end() ? "table" : type->second),
                  Value::BOOLEAN(!table.schema().partition_keys.empty()),
                  Value::BOOLEAN(table.HasPrimaryKey()), nobody, none, nobody, none, nobody,
                  count(totals.rows), count(totals.bytes), count(totals.files),
                  OptionalLong(totals.last_created_ms)});
}

void AddPartitions(const std::string& database, const Table& table, SystemRows& rows) {
  std::optional<Snapshot> latest = table.LatestSnapshot();
  if (!latest || table.schema().partition_keys.empty()) return;
  std::map<RowBytes, FileTotals> partitions;
  for (const ManifestEntry& entry : table.state().manifests.LiveEntries(*latest)) {
    partitions[entry.partition].Add(entry.file);
  }
  for (const auto& [partition, totals] : partitions) {
    std::string path = PartitionPath(table.schema(), partition);
    path.pop_back();
    bool done = table.context().files.Exists(JoinPath(table.folder(), path + "/_SUCCESS"));
    rows.push_back({Value(database), Value(FileName(table.folder())), Value(path),
                    Value::BIGINT(totals.rows), Value::BIGINT(totals.bytes),
                    Value::BIGINT(totals.files), OptionalLong(totals.last_created_ms),
                    Value::BOOLEAN(done)});
  }
}

}  // namespace

DataField SystemField(const char* name, const char* type) {
  DataField field;
  field.name = name;
  field.type = ParseDataType(type);
  return field;
}

std::optional<std::pair<std::string, std::string>> SplitSystemName(const std::string& name) {
  size_t mark = name.rfind('$');
  if (mark == std::string::npos || mark == 0 || mark + 1 == name.size()) return std::nullopt;
  return std::pair(name.substr(0, mark), name.substr(mark + 1));
}

TableDefinition SystemTableDefinition(const TableDefinition& base, const std::string& name) {
  std::string system = Normalise(name);
  TableDefinition definition = base;
  definition.path.name += "$" + system;
  definition.options[kSystemTableOption] = system;
  std::erase_if(definition.columns,
                [](const ColumnDefinition& column) { return column.computed.has_value(); });
  if (system == kReadOptimized) return definition;
  if (const MetadataTable* metadata = FindMetadata(system)) {
    SetColumns(definition, metadata->fields);
    return definition;
  }
  if (system != kAuditLog && system != kBinlog) {
    std::string near = DidYouMean(system, AllNames());
    Throw(ErrorCode::kNotFound, "There is no system table '{}' of '{}'{}", name,
          base.path.ToString(),
          near.empty() ? fmt::format("; there are {}", fmt::join(AllNames(), ", ")) : near);
  }
  std::vector<DataField> fields = {SystemField("rowkind", "STRING NOT NULL")};
  for (const ColumnDefinition& column : definition.columns) {
    DataField field;
    field.name = column.name;
    field.type = column.type;
    field.description = column.comment;
    if (system == kBinlog) {
      field.type = DataType{};
      field.type.root = TypeRoot::kArray;
      field.type.children = {column.type.Nullable()};
    }
    fields.push_back(std::move(field));
  }
  SetColumns(definition, fields);
  return definition;
}

std::shared_ptr<const TableDefinition> GlobalTableDefinition(const std::string& catalog,
                                                             const std::string& name) {
  for (const GlobalTable& table : GlobalTables()) {
    if (duckdb::StringUtil::Lower(name) != table.name) continue;
    TableDefinition definition;
    definition.path = {catalog, kSystemDatabase, table.name};
    definition.options[kSystemTableOption] = std::string(kSystemDatabase) + "." + table.name;
    SetColumns(definition, table.fields);
    return std::make_shared<const TableDefinition>(std::move(definition));
  }
  return nullptr;
}

std::vector<std::string> GlobalTableNames() {
  std::vector<std::string> names;
  for (const GlobalTable& table : GlobalTables()) names.push_back(table.name);
  return names;
}

std::string SystemTableOf(const TableDefinition& definition) {
  auto found = definition.options.find(kSystemTableOption);
  return found == definition.options.end() ? "" : found->second;
}

SystemTableKind SystemTableKindOf(const std::string& name) {
  if (name == kAuditLog) return SystemTableKind::kAuditLog;
  if (name == kBinlog) return SystemTableKind::kBinlog;
  return name == kReadOptimized ? SystemTableKind::kReadOptimized : SystemTableKind::kMetadata;
}

SystemRows SystemTableRows(const Table& table, const std::string& name, const std::string& zone) {
  const MetadataTable* metadata = FindMetadata(name);
  MILLRACE_CHECK(metadata != nullptr);
  return metadata->rows({table, table.state(), zone});
}

SystemRows GlobalTableRows(const CatalogStore& store, TableContext context,
                           const std::string& name) {
  SystemRows rows;
  if (name == "catalog_options") {
    for (const auto& [key, value] : store.CreatedWith()) rows.push_back({Value(key), Value(value)});
    return rows;
  }
  ForEachTable(store, context, [&](const std::string& database, const Table& table) {
    if (name == "tables") AddTable(database, table, rows);
    if (name == "partitions") AddPartitions(database, table, rows);
    if (name != "all_table_options") return;
    for (const auto& [key, value] : table.schema().options) {
      rows.push_back({Value(database), Value(FileName(table.folder())), Value(key), Value(value)});
    }
  });
  return rows;
}

}  // namespace millrace
