// duck_catalog.h - Millrace's catalogs as DuckDB catalogs, so that DuckDB's binder finds our tables
// by itself.
//
// A store is attached under its name; every lookup makes an entry that lives as long as the DuckDB
// transaction that asked. A table with computed columns is bound as a view over its physical part.
#pragma once

#include "catalog/catalog_store.h"
#include "catalog/scan_function.h"

namespace duckdb {
class DatabaseInstance;
class Connection;
}  // namespace duckdb

namespace millrace {

/// Opens a batch scan of a table; the session makes it, for it knows the connectors. Throws: Error.
using ScanOpenerFactory = std::function<BatchScanOpener(std::shared_ptr<const TableDefinition>)>;

/// Temporary tables and views of the session, which hide the stored ones of the same path.
struct TemporaryObjects {
  std::map<ObjectPath, std::shared_ptr<const TableDefinition>> tables;
  std::map<ObjectPath, std::shared_ptr<const ViewDefinition>> views;
};

/// What all attached catalogs of one DuckDB instance share.
/// Threads: one at a time with respect to `temporary`; binding happens under the session.
struct CatalogServices {
  ScanOpenerFactory open_scan;
  /// Opens the warehouse of an ATTACH; the session makes it. Throws: Error.
  std::function<std::shared_ptr<CatalogStore>(const std::string& name, const std::string& folder)>
      open_warehouse;
  TemporaryObjects temporary;
  std::string time_zone;  // Of the session, in which options tell times; "": UTC.
  std::map<std::string, std::shared_ptr<CatalogStore>> stores;
};

/// Makes `ATTACH '<name>' AS "<name>" (TYPE millrace)` work, with which stores are attached, and
/// the users' `ATTACH '<folder>' AS <name> (TYPE paimon)`; once per database.
void RegisterMillraceCatalogs(duckdb::DatabaseInstance& database,
                              std::shared_ptr<CatalogServices> services);

/// Adds a store and attaches it. Error(kExists) when the name is taken.
void AttachStore(duckdb::Connection& connection, CatalogServices& services,
                 std::shared_ptr<CatalogStore> store);
void DetachStore(duckdb::Connection& connection, CatalogServices& services,
                 const std::string& name);

/// The table or temporary table at `path`; nullptr when there is none.
std::shared_ptr<const TableDefinition> FindTable(const CatalogServices& services,
                                                 const ObjectPath& path);
std::shared_ptr<const ViewDefinition> FindView(const CatalogServices& services,
                                               const ObjectPath& path);

}  // namespace millrace
