// catalog_store.h - where the databases, tables and views of one catalog are kept.
//
// Two kinds: in memory (Flink's default_catalog, and temporary objects) and a lake warehouse, whose
// folders are the catalog (FileSystemCatalog.java):
// <warehouse>/<database>.db/<table>/schema/schema-N.
#pragma once

#include "meta/schema_change.h"
#include "table/table.h"

namespace millrace {

/// CREATE VIEW: `duck_sql` is the query in DuckDB's text, `original` as the user wrote it.
/// Unqualified names in it mean the view's own database, then the session's.
struct ViewDefinition {
  ObjectPath path;
  std::vector<std::string> columns;  // Empty: the query's names.
  std::string duck_sql;
  std::string original;
  bool temporary = false;
};

/// What ALTER TABLE changes besides rows and the name.
struct TableAlteration {
  std::vector<SchemaChange> changes;
  std::vector<ColumnDefinition> computed;  // Added, or replaced where the name is there.
  std::optional<WatermarkDefinition> watermark;
  bool drop_watermark = false;
};

/// The objects of one catalog.
///
/// Threads: safe. Throws: Error(kNotFound, kExists) naming object and a near name; Error(kIo,
/// kCorrupt).
class CatalogStore {
 public:
  virtual ~CatalogStore() = default;
  virtual const std::string& Name() const = 0;
  /// The warehouse folder; empty for memory.
  virtual std::string Warehouse() const { return ""; }
  /// The options it was created with.
  virtual const Options& CreatedWith() const = 0;

  virtual std::vector<std::string> Databases() const = 0;
  virtual bool HasDatabase(const std::string& database) const = 0;
  virtual void CreateDatabase(const std::string& database, bool if_not_exists) = 0;
  virtual void DropDatabase(const std::string& database, bool if_exists, bool cascade) = 0;

  virtual std::vector<std::string> Tables(const std::string& database) const = 0;
  virtual std::shared_ptr<const TableDefinition> FindTable(const std::string& database,
                                                           const std::string& name) const = 0;
  /// The same under the schema of the state that `scan` options travel to.
  virtual std::shared_ptr<const TableDefinition> FindTableAsOf(const std::string& database,
                                                               const std::string& name,
                                                               const Options& /*scan*/) const {
    return FindTable(database, name);
  }
  virtual void CreateTable(const TableDefinition& definition, bool if_not_exists) = 0;
  virtual void DropTable(const std::string& database, const std::string& name, bool if_exists) = 0;
  /// `check` sees what the table would be and may throw. A catalog in memory changes options only.
  virtual void AlterTable(const std::string& database, const std::string& name,
                          const TableAlteration& alteration,
                          const std::function<void(const TableDefinition&)>& check) = 0;
  virtual void RenameTable(const std::string& database, const std::string& name,
                           const std::string& to) = 0;

  virtual std::vector<std::string> Views(const std::string& database) const = 0;
  virtual std::shared_ptr<const ViewDefinition> FindView(const std::string& database,
                                                         const std::string& name) const = 0;
  virtual void CreateView(const ViewDefinition& view, bool if_not_exists, bool or_replace) = 0;
  virtual void DropView(const std::string& database, const std::string& name, bool if_exists) = 0;
  virtual void RenameView(const std::string& database, const std::string& name,
                          const std::string& to) = 0;
};

std::shared_ptr<CatalogStore> MakeMemoryStore(const std::string& name);
/// `options`: `warehouse` is required. Throws: Error(kInvalid) when it is missing or not a usable
/// folder.
std::shared_ptr<CatalogStore> MakeLakeStore(TableContext context, const std::string& name,
                                            const Options& options);

/// The option under which a lake table's definition carries its folder.
inline constexpr const char* kPathOption = "path";

/// The folder of a lake table.
std::string LakeTableFolder(const std::string& warehouse, const std::string& database,
                            const std::string& table);
/// A stored schema as a definition (computed columns and watermark are kept in its options).
TableDefinition DefinitionFromSchema(const ObjectPath& path, const TableSchema& schema);

}  // namespace millrace
