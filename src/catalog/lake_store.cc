// lake_store.cc - a warehouse folder as a catalog: <warehouse>/<database>.db/<table>
// (FileSystemCatalog.java).
//
// Paimon's file system catalog knows no views; ours lie beside it, in <warehouse>/.millrace/views.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "catalog/catalog_store.h"
#include "catalog/virtual_columns.h"
#include "table/alter_table.h"
#include "table/table_options.h"

namespace millrace {

namespace {

/// Names of databases, tables and views are names of files: no path may hide in one.
bool IsFileName(const std::string& name) {
  bool free = name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
  return free && !name.empty() && name != "." && name != "..";
}

class LakeStore : public CatalogStore {
 public:
  LakeStore(TableContext context, std::string name, Options options, std::string warehouse)
      : context_(context),
        name_(std::move(name)),
        options_(std::move(options)),
        warehouse_(std::move(warehouse)) {}

  const std::string& Name() const override { return name_; }
  std::string Warehouse() const override { return warehouse_; }
  const Options& CreatedWith() const override { return options_; }

  std::vector<std::string> Databases() const override {
    std::vector<std::string> databases;
    for (const FileEntry& entry : context_.files.List(warehouse_)) {
      if (entry.is_folder && entry.name.size() > 3 && entry.name.ends_with(".db")) {
        databases.push_back(entry.name.substr(0, entry.name.size() - 3));
      }
    }
    return databases;
  }

  bool HasDatabase(const std::string& database) const override {
    return IsFileName(database) && context_.files.Exists(Folder(database));
  }

  void CreateDatabase(const std::string& database, bool if_not_exists) override {
    if (HasDatabase(database)) {
      if (if_not_exists) return;
      Throw(ErrorCode::kExists, "Creating database '{}': it exists already in catalog '{}'",
            database, name_);
    }
    context_.files.MakeFolder(Folder(database));
  }

  void DropDatabase(const std::string& database, bool if_exists, bool cascade) override {
    if (!HasDatabase(database)) {
      if (if_exists) return;
      Throw(ErrorCode::kNotFound, "Dropping database '{}': catalog '{}' has none of that name{}",
            database, name_, DidYouMean(database, Databases()));
    }
    if (!cascade && !Tables(database).empty()) {
      Throw(ErrorCode::kInvalid, "Dropping database '{}': it is not empty; add CASCADE", database);
    }
    DeleteWhole(Folder(database));
    context_.files.DeleteFolder(JoinPath(ViewsFolder(), database));
  }

  std::vector<std::string> Tables(const std::string& database) const override {
    NeedDatabase(database);
    std::vector<std::string> tables;
    for (const FileEntry& entry : context_.files.List(Folder(database))) {
      if (entry.is_folder && Table::Exists(context_.files, TableFolder(database, entry.name))) {
        tables.push_back(entry.name);
      }
    }
    return tables;
  }

  std::shared_ptr<const TableDefinition> FindTable(const std::string& database,
                                                   const std::string& name) const override {
    return FindTableAsOf(database, name, {});
  }

  std::shared_ptr<const TableDefinition> FindTableAsOf(const std::string& database,
                                                       const std::string& name,
                                                       const Options& scan) const override {
    if (!IsFileName(database) || !IsFileName(name)) return nullptr;
    std::string folder = TableFolder(database, name);
    if (!Table::Exists(context_.files, folder)) return nullptr;
    std::shared_ptr<const Table> table = Table::Open(context_, folder, scan);
    TableDefinition definition = DefinitionFromSchema({name_, database, name}, table->schema());
    definition.options[kPathOption] = folder;
    return std::make_shared<const TableDefinition>(std::move(definition));
  }

  void CreateTable(const TableDefinition& definition, bool if_not_exists) override {
    NeedDatabase(definition.path.database);
    std::string folder = TableFolder(definition.path.database, definition.path.name);
    if (Table::Exists(context_.files, folder)) {
      if (if_not_exists) return;
      Throw(ErrorCode::kExists, "Creating table '{}': it exists already",
            definition.path.ToString());
    }
    RefuseMisspelled(fmt::format("Creating table '{}'", definition.path.ToString()),
                     definition.options);
    TableDefinition stored = definition;
    HideVirtualParts(stored);
    try {
      Table::Create(context_, folder, stored);
    } catch (const Error& error) {  // Another process made it since we looked.
      if (!if_not_exists || error.code() != ErrorCode::kExists) throw;
    }
  }

  void DropTable(const std::string& database, const std::string& name, bool if_exists) override {
    NeedDatabase(database);
    std::string folder = TableFolder(database, name);
    if (!Table::Exists(context_.files, folder)) {
      if (if_exists) return;
      Throw(ErrorCode::kNotFound, "Dropping table '{}.{}.{}': there is none{}", name_, database,
            name, DidYouMean(name, Tables(database)));
    }
    DeleteWhole(folder);
  }

  void AlterTable(const std::string& database, const std::string& name,
                  const TableAlteration& alteration,
                  const std::function<void(const TableDefinition&)>& check) override {
    ObjectPath path{name_, database, name};
    std::string doing = fmt::format("Altering table '{}'", path.ToString());
    for (const SchemaChange& change : alteration.changes) {
      const auto* option = std::get_if<SetTableOption>(&change);
      if (option) RefuseMisspelled(doing, {{option->key, option->value}});
    }
    AlterTableSchema(
        context_, TableFolder(database, name), path.ToString(),
        [&](const TableSchema& schema) { return SchemaChangesOf(schema, path, alteration); },
        [&](const TableSchema& next) { check(DefinitionFromSchema(path, next)); });
  }

  void RenameTable(const std::string& database, const std::string& name,
                   const std::string& to) override {
    NeedDatabase(database);
    std::string folder = TableFolder(database, to);
    if (context_.files.Exists(folder)) {
      Throw(ErrorCode::kExists, "Renaming table '{}.{}.{}' to '{}': the folder {} is there already",
            name_, database, name, to, folder);
    }
    context_.files.Rename(TableFolder(database, name), folder);
  }

  std::vector<std::string> Views(const std::string& database) const override {
    NeedDatabase(database);
    std::vector<std::string> views;
    for (const FileEntry& entry : context_.files.List(JoinPath(ViewsFolder(), database))) {
      if (entry.name.ends_with(".json"))
        views.push_back(entry.name.substr(0, entry.name.size() - 5));
    }
    return views;
  }

  std::shared_ptr<const ViewDefinition> FindView(const std::string& database,
                                                 const std::string& name) const override {
    if (!IsFileName(database) || !IsFileName(name)) return nullptr;
    std::string path = ViewPath(database, name);
    if (!context_.files.Exists(path)) return nullptr;
    nlohmann::json json = nlohmann::json::parse(context_.files.Read(path), nullptr, false);
    if (json.is_discarded() || !json.contains("sql")) {
      Throw(ErrorCode::kCorrupt, "Reading view '{}': '{}' is not a view definition", name, path);
    }
    ViewDefinition view;
    view.path = {name_, database, name};
    view.columns = json.value("columns", std::vector<std::string>());
    view.duck_sql = json.value("sql", "");
    view.original = json.value("original", "");
    return std::make_shared<const ViewDefinition>(view);
  }

  void CreateView(const ViewDefinition& view, bool if_not_exists, bool or_replace) override {
    NeedDatabase(view.path.database);
    bool exists = FindView(view.path.database, view.path.name) != nullptr;
    if ((exists && !or_replace) || FindTable(view.path.database, view.path.name)) {
      if (if_not_exists) return;
      Throw(ErrorCode::kExists, "Creating view '{}': it exists already", view.path.ToString());
    }
    nlohmann::json json = {
        {"columns", view.columns}, {"sql", view.duck_sql}, {"original", view.original}};
    context_.files.Overwrite(ViewPath(view.path.database, view.path.name), json.dump(2));
  }

  void DropView(const std::string& database, const std::string& name, bool if_exists) override {
    if (!context_.files.Delete(ViewPath(database, name)) && !if_exists) {
      Throw(ErrorCode::kNotFound, "Dropping view '{}.{}.{}': there is none{}", name_, database,
            name, DidYouMean(name, Views(database)));
    }
  }

  void RenameView(const std::string& database, const std::string& name,
                  const std::string& to) override {
    std::shared_ptr<const ViewDefinition> view = FindView(database, name);
    MILLRACE_CHECK(view);
    ViewDefinition renamed = *view;
    renamed.path.name = to;
    CreateView(renamed, false, false);
    DropView(database, name, true);
  }

 private:
  const std::string& FileNameOf(const std::string& name) const {
    if (IsFileName(name)) return name;
    Throw(ErrorCode::kInvalid,
          "In catalog '{}' nothing can be called '{}': names are names of files there, without '/'",
          name_, name);
  }
  std::string Folder(const std::string& database) const {
    return JoinPath(warehouse_, FileNameOf(database) + ".db");
  }
  std::string TableFolder(const std::string& database, const std::string& table) const {
    return LakeTableFolder(warehouse_, FileNameOf(database), FileNameOf(table));
  }
  /// At once: what a crash leaves of a table without its schema would be taken for a new table's.
  void DeleteWhole(const std::string& folder) {
    constexpr const char* kDropped = "dropped-";
    std::string own = JoinPath(warehouse_, ".millrace");
    context_.files.MakeFolder(own);
    context_.files.Rename(folder, JoinPath(own, kDropped + context_.random.Uuid()));
    for (const FileEntry& entry : context_.files.List(own)) {  // What a crash has left, too.
      if (entry.name.starts_with(kDropped)) context_.files.DeleteFolder(JoinPath(own, entry.name));
    }
  }
  std::string ViewsFolder() const { return JoinPath(warehouse_, ".millrace/views"); }
  std::string ViewPath(const std::string& database, const std::string& name) const {
    return JoinPath(JoinPath(ViewsFolder(), FileNameOf(database)), FileNameOf(name) + ".json");
  }
  void NeedDatabase(const std::string& database) const {
    if (HasDatabase(database)) return;
    Throw(ErrorCode::kNotFound, "Catalog '{}' has no database '{}'{}", name_, database,
          DidYouMean(database, Databases()));
  }

  const TableContext context_;
  const std::string name_;
  const Options options_;
  const std::string warehouse_;
};

}  // namespace

std::string LakeTableFolder(const std::string& warehouse, const std::string& database,
                            const std::string& table) {
  return JoinPath(JoinPath(warehouse, database + ".db"), table);
}

TableDefinition DefinitionFromSchema(const ObjectPath& path, const TableSchema& schema) {
  TableDefinition definition;
  definition.path = path;
  for (const DataField& field : schema.fields) {
    definition.columns.push_back(
        {field.name, field.type, {}, {}, field.description, field.default_value});
  }
  definition.primary_key = schema.primary_keys;
  definition.partition_keys = schema.partition_keys;
  definition.options = schema.options;
  definition.comment = schema.comment;
  definition.options.erase(kTableUuidOption);  // Not for SHOW CREATE, nor for a table LIKE this.
  ShowVirtualParts(definition);
  return definition;
}

std::shared_ptr<CatalogStore> MakeLakeStore(TableContext context, const std::string& name,
                                            const Options& options) {
  auto warehouse = options.find("warehouse");
  if (warehouse == options.end() || warehouse->second.empty()) {
    Throw(ErrorCode::kInvalid, "Creating catalog '{}': option 'warehouse' (a folder) is missing",
          name);
  }
  std::string folder = warehouse->second;
  if (folder.starts_with("file:")) {
    folder = folder.substr(5);
    while (folder.starts_with("//")) folder.erase(0, 1);
  } else if (folder.find("://") != std::string::npos) {
    Throw(ErrorCode::kUnsupported,
          "Creating catalog '{}': 'warehouse' = '{}' is not on a local disk; "
          "only local folders (a path or file:///path) work so far",
          name, folder);
  }
  folder = std::filesystem::absolute(folder).lexically_normal().string();
  while (folder.size() > 1 && folder.ends_with("/")) folder.pop_back();
  context.files.MakeFolder(JoinPath(folder, "default.db"));
  return std::make_shared<LakeStore>(context, name, options, folder);
}

}  // namespace millrace
