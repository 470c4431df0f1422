#include "catalog/duck_catalog.h"

#include <mutex>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "catalog/system_tables.h"
#include "duckdb/catalog/catalog.hpp"
#include "duckdb/catalog/catalog_entry/schema_catalog_entry.hpp"
#include "duckdb/catalog/catalog_entry/table_catalog_entry.hpp"
#include "duckdb/catalog/catalog_entry/view_catalog_entry.hpp"
#include "duckdb/catalog/catalog_search_path.hpp"
#include "duckdb/main/attached_database.hpp"
#include "duckdb/main/client_data.hpp"
#include "duckdb/main/config.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/parser/keyword_helper.hpp"
#include "duckdb/parser/parsed_data/create_schema_info.hpp"
#include "duckdb/parser/parsed_data/create_table_info.hpp"
#include "duckdb/parser/parsed_data/create_view_info.hpp"
#include "duckdb/parser/parsed_data/drop_info.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/storage/database_size.hpp"
#include "duckdb/storage/storage_extension.hpp"
#include "duckdb/storage/table_storage_info.hpp"
#include "duckdb/transaction/transaction.hpp"
#include "duckdb/transaction/transaction_manager.hpp"
#include "table/scan_start.h"
#include "table/table_options.h"

namespace millrace {

namespace {

// Whether functions are looked up among Flink's before DuckDB's.
bool FindsFlink(duckdb::ClientContext& context) {
  for (auto& entry : duckdb::ClientData::Get(context).catalog_search_path->GetSetPaths()) {
    if (entry.schema == "flink") return true;
  }
  return false;
}

// "t$options{...}" names t with an OPTIONS hint; "t$physical" its physical columns only.
constexpr const char* kOptionsMark = "$options{";
constexpr const char* kPhysicalMark = "$physical";

struct ParsedName {
  std::string table;
  Options hint;
  bool physical = false;
};

ParsedName ParseName(const std::string& name) {
  ParsedName parsed;
  parsed.table = name;
  size_t mark = name.find(kOptionsMark);
  if (mark != std::string::npos) {
    nlohmann::json json = nlohmann::json::parse(name.substr(mark + 8), nullptr, false);
    if (json.is_object()) {
      parsed.table = name.substr(0, mark);
      for (const auto& [key, value] : json.items()) parsed.hint[key] = value.get<std::string>();
    }
  }
  if (parsed.table.ends_with(kPhysicalMark)) {
    parsed.table.resize(parsed.table.size() - std::string_view(kPhysicalMark).size());
    parsed.physical = true;
  }
  return parsed;
}

// Whether options hold a time that is told in the session's zone.
bool TellsTime(const Options& hint, const Options& stored) {
  for (const char* key : {"scan.timestamp", "incremental-between-timestamp"}) {
    if (hint.contains(key) || stored.contains(key)) return true;
  }
  return false;
}

std::string Quote(const std::string& name) {
  return duckdb::KeywordHelper::WriteQuoted(name, '"');
}

[[noreturn]] void NoDdl() {
  Throw(ErrorCode::kUnsupported,
        "This statement would change a Millrace catalog from the duckdb dialect: "
        "SET 'table.sql-dialect' = 'default' and use Flink's CREATE, DROP or INSERT");
}

class TableEntry : public duckdb::TableCatalogEntry {
 public:
  TableEntry(duckdb::Catalog& catalog, duckdb::SchemaCatalogEntry& schema,
             duckdb::CreateTableInfo& info, std::shared_ptr<const TableDefinition> definition,
             BatchScanOpener open)
      : duckdb::TableCatalogEntry(catalog, schema, info),
        definition_(std::move(definition)),
        open_(std::move(open)) {}

  duckdb::unique_ptr<duckdb::BaseStatistics> GetStatistics(duckdb::ClientContext&,
                                                           duckdb::column_t) override {
    return nullptr;
  }

  duckdb::TableFunction GetScanFunction(
      duckdb::ClientContext&, duckdb::unique_ptr<duckdb::FunctionData>& bind_data) override {
    auto data = duckdb::make_uniq<ScanBindData>();
    data->definition = definition_;
    data->open = open_;
    bind_data = std::move(data);
    return MakeScanFunction();
  }

  duckdb::TableStorageInfo GetStorageInfo(duckdb::ClientContext&) override { return {}; }

 private:
  const std::shared_ptr<const TableDefinition> definition_;
  const BatchScanOpener open_;
};

// Keeps the entries that a transaction has seen: DuckDB holds bare references to them.
class LakeTransaction : public duckdb::Transaction {
 public:
  using duckdb::Transaction::Transaction;
  std::mutex mutex;
  std::map<std::string, duckdb::unique_ptr<duckdb::CatalogEntry>> entries;
};

class LakeTransactionManager : public duckdb::TransactionManager {
 public:
  using duckdb::TransactionManager::TransactionManager;

  duckdb::Transaction& StartTransaction(duckdb::ClientContext& context) override {
    auto transaction = std::make_unique<LakeTransaction>(*this, context);
    LakeTransaction& result = *transaction;
    std::lock_guard lock(mutex_);
    running_[&result] = std::move(transaction);
    return result;
  }
  duckdb::ErrorData CommitTransaction(duckdb::ClientContext&,
                                      duckdb::Transaction& transaction) override {
    End(transaction);
    return {};
  }
  void RollbackTransaction(duckdb::Transaction& transaction) override { End(transaction); }
  void Checkpoint(duckdb::ClientContext&, bool) override {}

 private:
  void End(duckdb::Transaction& transaction) {
    std::lock_guard lock(mutex_);
    running_.erase(&transaction);
  }

  std::mutex mutex_;
  std::map<duckdb::Transaction*, std::unique_ptr<LakeTransaction>> running_;
};

class SchemaEntry : public duckdb::SchemaCatalogEntry {
 public:
  SchemaEntry(duckdb::Catalog& catalog, duckdb::CreateSchemaInfo& info,
              std::shared_ptr<CatalogServices> services, std::shared_ptr<CatalogStore> store)
      : duckdb::SchemaCatalogEntry(catalog, info),
        services_(std::move(services)),
        store_(std::move(store)) {}

  void Scan(duckdb::ClientContext& context, duckdb::CatalogType type,
            const std::function<void(duckdb::CatalogEntry&)>& callback) override {
    if (type != duckdb::CatalogType::TABLE_ENTRY) return;
    if (!store_->HasDatabase(name)) return;
    auto transaction = GetCatalogTransaction(context);
    for (const std::string& table : store_->Tables(name)) {
      auto entry = LookupEntry(transaction, duckdb::EntryLookupInfo(type, table));
      if (entry) callback(*entry);
    }
  }
  void Scan(duckdb::CatalogType, const std::function<void(duckdb::CatalogEntry&)>&) override {}

  duckdb::optional_ptr<duckdb::CatalogEntry> LookupEntry(
      duckdb::CatalogTransaction transaction, const duckdb::EntryLookupInfo& lookup) override {
    if (lookup.GetCatalogType() != duckdb::CatalogType::TABLE_ENTRY &&
        lookup.GetCatalogType() != duckdb::CatalogType::VIEW_ENTRY) {
      return nullptr;
    }
    auto& owner = transaction.transaction->Cast<LakeTransaction>();
    std::string key = name + "\n" + lookup.GetEntryName();
    std::lock_guard lock(owner.mutex);
    auto found = owner.entries.find(key);
    if (found == owner.entries.end()) {
      auto entry = MakeEntry(lookup.GetEntryName());
      if (!entry) return nullptr;
      if (entry->type == duckdb::CatalogType::VIEW_ENTRY && !FindsFlink(transaction.GetContext())) {
        Throw(ErrorCode::kUnsupported,
              "'{}' is a view or has computed columns: its text is in Flink's dialect, where / and "
              "other words mean something else; SET 'table.sql-dialect' = 'default' to read it",
              lookup.GetEntryName());
      }
      found = owner.entries.emplace(key, std::move(entry)).first;
    }
    return found->second.get();
  }

  duckdb::optional_ptr<duckdb::CatalogEntry> CreateIndex(duckdb::CatalogTransaction,
                                                         duckdb::CreateIndexInfo&,
                                                         duckdb::TableCatalogEntry&) override {
    NoDdl();
  }
  duckdb::optional_ptr<duckdb::CatalogEntry> CreateFunction(duckdb::CatalogTransaction,
                                                            duckdb::CreateFunctionInfo&) override {
    NoDdl();
  }
  duckdb::optional_ptr<duckdb::CatalogEntry> CreateTable(duckdb::CatalogTransaction,
                                                         duckdb::BoundCreateTableInfo&) override {
    NoDdl();
  }
  duckdb::optional_ptr<duckdb::CatalogEntry> CreateView(duckdb::CatalogTransaction,
                                                        duckdb::CreateViewInfo&) override {
    NoDdl();
  }
  duckdb::optional_ptr<duckdb::CatalogEntry> CreateSequence(duckdb::CatalogTransaction,
                                                            duckdb::CreateSequenceInfo&) override {
    NoDdl();
  }
  duckdb::optional_ptr<duckdb::CatalogEntry> CreateTableFunction(
      duckdb::CatalogTransaction, duckdb::CreateTableFunctionInfo&) override {
    NoDdl();
  }
  duckdb::optional_ptr<duckdb::CatalogEntry> CreateCopyFunction(
      duckdb::CatalogTransaction, duckdb::CreateCopyFunctionInfo&) override {
    NoDdl();
  }
  duckdb::optional_ptr<duckdb::CatalogEntry> CreatePragmaFunction(
      duckdb::CatalogTransaction, duckdb::CreatePragmaFunctionInfo&) override {
    NoDdl();
  }
  duckdb::optional_ptr<duckdb::CatalogEntry> CreateCollation(
      duckdb::CatalogTransaction, duckdb::CreateCollationInfo&) override {
    NoDdl();
  }
  duckdb::optional_ptr<duckdb::CatalogEntry> CreateType(duckdb::CatalogTransaction,
                                                        duckdb::CreateTypeInfo&) override {
    NoDdl();
  }
  void DropEntry(duckdb::ClientContext&, duckdb::DropInfo&) override { NoDdl(); }
  void Alter(duckdb::CatalogTransaction, duckdb::AlterInfo&) override { NoDdl(); }

 private:
  duckdb::unique_ptr<duckdb::CatalogEntry> MakeEntry(const std::string& entry_name) {
    ParsedName parsed = ParseName(entry_name);
    ObjectPath path{store_->Name(), name, parsed.table};
    if (auto view = FindView(*services_, path)) return MakeView(*view);
    std::shared_ptr<const TableDefinition> definition = FindTable(*services_, path);
    if (!definition) return MakeSystem(entry_name, parsed);
    if (definition->Connector().empty() && TellsTime(parsed.hint, definition->options)) {
      parsed.hint[kTimeZoneOption] = services_->time_zone;
    }
    if (definition->Connector().empty() && HasScanOptions(parsed.hint)) {
      definition = store_->FindTableAsOf(name, parsed.table, parsed.hint);
    }
    bool has_computed = definition->PhysicalColumns().size() < definition->columns.size();
    if (has_computed && !parsed.physical) return MakeComputed(*definition, entry_name, parsed);
    return MakeTable(std::move(definition), entry_name, parsed);
  }

  // `t$snapshots` and its kin, and the tables of database `sys`.
  duckdb::unique_ptr<duckdb::CatalogEntry> MakeSystem(const std::string& entry_name,
                                                      const ParsedName& parsed) {
    if (store_->Warehouse().empty()) return nullptr;
    if (name == kSystemDatabase) {
      auto definition = GlobalTableDefinition(store_->Name(), parsed.table);
      return definition ? MakeTable(std::move(definition), entry_name, {}) : nullptr;
    }
    auto split = SplitSystemName(parsed.table);
    if (!split) return nullptr;
    auto base = store_->FindTableAsOf(name, split->first, parsed.hint);
    if (!base) return nullptr;
    RefuseMisspelled(fmt::format("Reading table '{}'", parsed.table), parsed.hint);
    TableDefinition changed = *base;
    for (const auto& [key, value] : parsed.hint) changed.options[key] = value;
    changed.options[kTimeZoneOption] = services_->time_zone;
    return MakeTable(
        std::make_shared<const TableDefinition>(SystemTableDefinition(changed, split->second)),
        entry_name, {});
  }

  duckdb::unique_ptr<duckdb::CatalogEntry> MakeTable(
      std::shared_ptr<const TableDefinition> definition, const std::string& entry_name,
      const ParsedName& parsed) {
    if (!parsed.hint.empty() || parsed.physical) {
      if (definition->Connector().empty()) {
        RefuseMisspelled(fmt::format("Reading table '{}'", definition->path.ToString()),
                         parsed.hint);
      }
      TableDefinition changed = *definition;
      for (const auto& [key, value] : parsed.hint) changed.options[key] = value;
      std::erase_if(changed.columns,
                    [](const ColumnDefinition& c) { return c.computed.has_value(); });
      if (changed.options.erase(kRowIdOption)) {
        changed.columns.push_back({kRowIdColumn, ParseDataType("BIGINT"), {}, {}, ""});
      }
      definition = std::make_shared<const TableDefinition>(std::move(changed));
    }
    duckdb::CreateTableInfo info(*this, entry_name);
    for (const ColumnDefinition& column : definition->columns) {
      info.columns.AddColumn(duckdb::ColumnDefinition(column.name, column.type.ToDuck()));
    }
    BatchScanOpener open = services_->open_scan(definition);
    return duckdb::make_uniq<TableEntry>(catalog, *this, info, std::move(definition),
                                         std::move(open));
  }

  // A table with computed columns is a view over its physical part.
  duckdb::unique_ptr<duckdb::CatalogEntry> MakeComputed(const TableDefinition& definition,
                                                        const std::string& entry_name,
                                                        const ParsedName& parsed) {
    std::string sql = "SELECT ";
    for (const ColumnDefinition& column : definition.columns) {
      if (sql.size() > 7) sql += ", ";
      sql += column.computed ? "(" + *column.computed + ") AS " + Quote(column.name)
                             : Quote(column.name);
    }
    if (parsed.hint.count(kRowIdOption)) sql += ", " + Quote(kRowIdColumn);
    std::string physical = parsed.table + kPhysicalMark + entry_name.substr(parsed.table.size());
    sql += " FROM " + Quote(store_->Name()) + "." + Quote(name) + "." + Quote(physical);
    return MakeView(sql, parsed.table, {});
  }

  duckdb::unique_ptr<duckdb::CatalogEntry> MakeView(const ViewDefinition& view) {
    return MakeView(view.duck_sql, view.path.name, view.columns);
  }

  duckdb::unique_ptr<duckdb::CatalogEntry> MakeView(const std::string& sql, const std::string& view,
                                                    const std::vector<std::string>& aliases) {
    duckdb::CreateViewInfo info(*this, view);
    info.sql = sql;
    info.aliases = duckdb::vector<std::string>(aliases.begin(), aliases.end());
    duckdb::Parser parser;
    parser.ParseQuery(sql);
    info.query = duckdb::unique_ptr_cast<duckdb::SQLStatement, duckdb::SelectStatement>(
        std::move(parser.statements[0]));
    return duckdb::make_uniq<duckdb::ViewCatalogEntry>(catalog, *this, info);
  }

  const std::shared_ptr<CatalogServices> services_;
  const std::shared_ptr<CatalogStore> store_;
};

class LakeCatalog : public duckdb::Catalog {
 public:
  /// `owns_store`: the store goes with the catalog.
  LakeCatalog(duckdb::AttachedDatabase& db, std::shared_ptr<CatalogServices> services,
              std::shared_ptr<CatalogStore> store, bool owns_store = false)
      : duckdb::Catalog(db),
        services_(std::move(services)),
        store_(std::move(store)),
        owns_store_(owns_store) {}
  ~LakeCatalog() override {
    if (owns_store_) services_->stores.erase(store_->Name());
  }

  void Initialize(bool) override {}
  std::string GetCatalogType() override { return "millrace"; }
  bool InMemory() override { return false; }
  std::string GetDBPath() override { return store_->Warehouse(); }
  std::string GetDefaultSchema() const override { return "default"; }
  duckdb::DatabaseSize GetDatabaseSize(duckdb::ClientContext&) override { return {}; }

  duckdb::optional_ptr<duckdb::SchemaCatalogEntry> LookupSchema(
      duckdb::CatalogTransaction, const duckdb::EntryLookupInfo& lookup,
      duckdb::OnEntryNotFound if_not_found) override {
    const std::string& schema = lookup.GetEntryName();
    bool is_system = schema == kSystemDatabase && !store_->Warehouse().empty();
    if (is_system || store_->HasDatabase(schema)) return &Schema(schema);
    if (if_not_found == duckdb::OnEntryNotFound::RETURN_NULL) return nullptr;
    Throw(ErrorCode::kNotFound, "Catalog '{}' has no database '{}'{}", store_->Name(), schema,
          DidYouMean(schema, store_->Databases()));
  }

  void ScanSchemas(duckdb::ClientContext&,
                   std::function<void(duckdb::SchemaCatalogEntry&)> callback) override {
    for (const std::string& database : store_->Databases()) callback(Schema(database));
  }

  duckdb::optional_ptr<duckdb::CatalogEntry> CreateSchema(duckdb::CatalogTransaction,
                                                          duckdb::CreateSchemaInfo&) override {
    NoDdl();
  }
  duckdb::PhysicalOperator& PlanCreateTableAs(duckdb::ClientContext&,
                                              duckdb::PhysicalPlanGenerator&,
                                              duckdb::LogicalCreateTable&,
                                              duckdb::PhysicalOperator&) override {
    NoDdl();
  }
  duckdb::PhysicalOperator& PlanInsert(duckdb::ClientContext&, duckdb::PhysicalPlanGenerator&,
                                       duckdb::LogicalInsert&,
                                       duckdb::optional_ptr<duckdb::PhysicalOperator>) override {
    NoDdl();
  }
  duckdb::PhysicalOperator& PlanDelete(duckdb::ClientContext&, duckdb::PhysicalPlanGenerator&,
                                       duckdb::LogicalDelete&, duckdb::PhysicalOperator&) override {
    NoDdl();
  }
  duckdb::PhysicalOperator& PlanUpdate(duckdb::ClientContext&, duckdb::PhysicalPlanGenerator&,
                                       duckdb::LogicalUpdate&, duckdb::PhysicalOperator&) override {
    NoDdl();
  }

 private:
  void DropSchema(duckdb::ClientContext&, duckdb::DropInfo&) override { NoDdl(); }

  SchemaEntry& Schema(const std::string& database) {
    std::lock_guard lock(mutex_);
    auto& entry = schemas_[database];
    if (!entry) {
      duckdb::CreateSchemaInfo info;
      info.catalog = store_->Name();
      info.schema = database;
      entry = std::make_unique<SchemaEntry>(*this, info, services_, store_);
    }
    return *entry;
  }

  const std::shared_ptr<CatalogServices> services_;
  const std::shared_ptr<CatalogStore> store_;
  const bool owns_store_;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<SchemaEntry>> schemas_;
};

struct ExtensionInfo : public duckdb::StorageExtensionInfo {
  std::shared_ptr<CatalogServices> services;
};

duckdb::unique_ptr<duckdb::Catalog> Attach(
    duckdb::optional_ptr<duckdb::StorageExtensionInfo> storage_info, duckdb::ClientContext&,
    duckdb::AttachedDatabase& db, const std::string&, duckdb::AttachInfo& info,
    duckdb::AttachOptions&) {
  auto& services = dynamic_cast<ExtensionInfo&>(*storage_info).services;
  auto store = services->stores.find(info.path);
  if (store == services->stores.end()) {
    Throw(ErrorCode::kNotFound, "Attaching catalog '{}': CREATE CATALOG it first", info.path);
  }
  return duckdb::make_uniq<LakeCatalog>(db, services, store->second);
}

/// A warehouse by its folder: a catalog as CREATE CATALOG makes it, until DETACH.
duckdb::unique_ptr<duckdb::Catalog> AttachWarehouse(
    duckdb::optional_ptr<duckdb::StorageExtensionInfo> storage_info, duckdb::ClientContext&,
    duckdb::AttachedDatabase& db, const std::string& name, duckdb::AttachInfo& info,
    duckdb::AttachOptions&) {
  auto& services = dynamic_cast<ExtensionInfo&>(*storage_info).services;
  if (services->stores.contains(name)) {
    Throw(ErrorCode::kExists, "Attaching '{}' as '{}': there is a catalog of that name", info.path,
          name);
  }
  auto store = services->open_warehouse(name, info.path);
  services->stores.emplace(name, store);
  return duckdb::make_uniq<LakeCatalog>(db, services, store, true);
}

duckdb::unique_ptr<duckdb::TransactionManager> MakeTransactions(
    duckdb::optional_ptr<duckdb::StorageExtensionInfo>, duckdb::AttachedDatabase& db,
    duckdb::Catalog&) {
  return duckdb::make_uniq<LakeTransactionManager>(db);
}

void Run(duckdb::Connection& connection, const std::string& sql) {
  auto result = connection.Query(sql);
  if (result->HasError()) result->ThrowError();
}

}  // namespace

void RegisterMillraceCatalogs(duckdb::DatabaseInstance& database,
                              std::shared_ptr<CatalogServices> services) {
  auto info = duckdb::make_shared_ptr<ExtensionInfo>();
  info->services = std::move(services);
  auto add = [&](const char* type, duckdb::attach_function_t attach) {
    auto extension = duckdb::make_shared_ptr<duckdb::StorageExtension>();
    extension->attach = attach;
    extension->create_transaction_manager = MakeTransactions;
    extension->storage_info = info;
    duckdb::StorageExtension::Register(duckdb::DBConfig::GetConfig(database), type,
                                       std::move(extension));
  };
  add("millrace", Attach);
  add("paimon", AttachWarehouse);
}

void AttachStore(duckdb::Connection& connection, CatalogServices& services,
                 std::shared_ptr<CatalogStore> store) {
  std::string name = store->Name();
  if (!services.stores.emplace(name, std::move(store)).second) {
    Throw(ErrorCode::kExists, "Creating catalog '{}': it exists already", name);
  }
  try {
    Run(connection, "ATTACH " + duckdb::KeywordHelper::WriteQuoted(name, '\'') + " AS " +
                        Quote(name) + " (TYPE millrace)");
  } catch (...) {
    services.stores.erase(name);
    throw;
  }
}

void DetachStore(duckdb::Connection& connection, CatalogServices& services,
                 const std::string& name) {
  Run(connection, "DETACH " + Quote(name));
  services.stores.erase(name);
}

std::shared_ptr<const TableDefinition> FindTable(const CatalogServices& services,
                                                 const ObjectPath& path) {
  auto temporary = services.temporary.tables.find(path);
  if (temporary != services.temporary.tables.end()) return temporary->second;
  auto store = services.stores.find(path.catalog);
  return store == services.stores.end() ? nullptr
                                        : store->second->FindTable(path.database, path.name);
}

std::shared_ptr<const ViewDefinition> FindView(const CatalogServices& services,
                                               const ObjectPath& path) {
  auto temporary = services.temporary.views.find(path);
  if (temporary != services.temporary.views.end()) return temporary->second;
  if (services.temporary.tables.count(path) > 0) return nullptr;
  auto store = services.stores.find(path.catalog);
  return store == services.stores.end() ? nullptr
                                        : store->second->FindView(path.database, path.name);
}

}  // namespace millrace
