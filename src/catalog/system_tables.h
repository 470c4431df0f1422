// system_tables.h - `t$snapshots` and its kin: what a table tells of itself, with Paimon's columns.
//
// A system table is bound as a table of its own, whose definition carries the folder of the table
// it belongs to and, in the option kSystemTableOption, its name. Metadata tables are made when they
// are scanned; audit_log, binlog and ro are views of the table's own rows, which whoever scans
// makes. Names, columns and order: Paimon's classes in table/system.
#pragma once

#include "catalog/catalog_store.h"

namespace millrace {

/// An option of ours: which system table a definition is ("snapshots"; "sys.tables").
inline constexpr const char* kSystemTableOption = "millrace.system-table";
/// The database of the catalog-wide ones.
inline constexpr const char* kSystemDatabase = "sys";

/// How a system table gets its rows.
enum class SystemTableKind : uint8_t {
  kMetadata,       // SystemTableRows.
  kAuditLog,       // Column `rowkind`, then the table's columns.
  kBinlog,         // The same, each column an array: before and after of an update together.
  kReadOptimized,  // The rows of files that need no merging.
};

/// "t$snapshots" -> "t", "snapshots"; nullopt when the name has no such part.
std::optional<std::pair<std::string, std::string>> SplitSystemName(const std::string& name);

/// The definition of `<base>$<name>`; its options are `base`'s. Throws: Error(kNotFound) with a
/// near name.
TableDefinition SystemTableDefinition(const TableDefinition& base, const std::string& name);
/// The definition of `sys.<name>`; nullptr when there is none.
std::shared_ptr<const TableDefinition> GlobalTableDefinition(const std::string& catalog,
                                                             const std::string& name);
std::vector<std::string> GlobalTableNames();

/// "" when the definition is that of an ordinary table.
std::string SystemTableOf(const TableDefinition& definition);
SystemTableKind SystemTableKindOf(const std::string& name);

/// Boxed: as many rows as there are snapshots, files, partitions.
using SystemRows = std::vector<std::vector<Value>>;
/// The rows of a metadata table now. `zone`: of the session, in which times are shown.
SystemRows SystemTableRows(const Table& table, const std::string& name, const std::string& zone);
/// The rows of `sys.<name>`.
SystemRows GlobalTableRows(const CatalogStore& store, TableContext context,
                           const std::string& name);

}  // namespace millrace
