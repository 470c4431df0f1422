// memory_store.cc - a catalog that lives as long as the session: Flink's GenericInMemoryCatalog.
#include <mutex>

#include "base/error.h"
#include "catalog/catalog_store.h"

namespace millrace {

namespace {

struct Database {
  std::map<std::string, std::shared_ptr<const TableDefinition>> tables;
  std::map<std::string, std::shared_ptr<const ViewDefinition>> views;
};

template <typename Map>
std::vector<std::string> Keys(const Map& map) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : map) keys.push_back(key);
  return keys;
}

class MemoryStore : public CatalogStore {
 public:
  explicit MemoryStore(std::string name) : name_(std::move(name)) {}

  const std::string& Name() const override { return name_; }
  const Options& CreatedWith() const override { return options_; }

  std::vector<std::string> Databases() const override {
    std::lock_guard lock(mutex_);
    return Keys(databases_);
  }

  bool HasDatabase(const std::string& database) const override {
    std::lock_guard lock(mutex_);
    return databases_.count(database) > 0;
  }

  void CreateDatabase(const std::string& database, bool if_not_exists) override {
    std::lock_guard lock(mutex_);
    if (!databases_.try_emplace(database).second && !if_not_exists) {
      Throw(ErrorCode::kExists, "Creating database '{}': it exists already in catalog '{}'",
            database, name_);
    }
  }

  void DropDatabase(const std::string& database, bool if_exists, bool cascade) override {
    std::lock_guard lock(mutex_);
    auto found = databases_.find(database);
    if (found == databases_.end()) {
      if (if_exists) return;
      Throw(ErrorCode::kNotFound, "Dropping database '{}': catalog '{}' has none of that name{}",
            database, name_, DidYouMean(database, Keys(databases_)));
    }
    if (!cascade && !(found->second.tables.empty() && found->second.views.empty())) {
      Throw(ErrorCode::kInvalid, "Dropping database '{}': it is not empty; add CASCADE", database);
    }
    databases_.erase(found);
  }

  std::vector<std::string> Tables(const std::string& database) const override {
    std::lock_guard lock(mutex_);
    return Keys(Get(database).tables);
  }

  std::shared_ptr<const TableDefinition> FindTable(const std::string& database,
                                                   const std::string& name) const override {
    std::lock_guard lock(mutex_);
    auto found = databases_.find(database);
    if (found == databases_.end()) return nullptr;
    auto table = found->second.tables.find(name);
    return table == found->second.tables.end() ? nullptr : table->second;
  }

  void CreateTable(const TableDefinition& definition, bool if_not_exists) override {
    std::lock_guard lock(mutex_);
    Database& database = Get(definition.path.database);
    if (Taken(database, definition.path.name)) {
      if (if_not_exists) return;
      Throw(ErrorCode::kExists, "Creating table '{}': it exists already",
            definition.path.ToString());
    }
    database.tables[definition.path.name] = std::make_shared<const TableDefinition>(definition);
  }

  void DropTable(const std::string& database, const std::string& name, bool if_exists) override {
    std::lock_guard lock(mutex_);
    if (Get(database).tables.erase(name) == 0 && !if_exists) {
      Throw(ErrorCode::kNotFound, "Dropping table '{}.{}.{}': there is none{}", name_, database,
            name, DidYouMean(name, Keys(Get(database).tables)));
    }
  }

  void AlterTable(const std::string& database, const std::string& name,
                  const TableAlteration& alteration,
                  const std::function<void(const TableDefinition&)>& check) override {
    std::lock_guard lock(mutex_);
    std::shared_ptr<const TableDefinition>& table = Get(database).tables.at(name);
    TableDefinition next = *table;
    bool only_options =
        alteration.computed.empty() && !alteration.watermark && !alteration.drop_watermark;
    for (const SchemaChange& change : alteration.changes) {
      if (const auto* set = std::get_if<SetTableOption>(&change)) {
        next.options[set->key] = set->value;
      } else if (const auto* reset = std::get_if<ResetTableOption>(&change)) {
        next.options.erase(reset->key);
      } else {
        only_options = false;
      }
    }
    if (!only_options) {
      Throw(ErrorCode::kUnsupported,
            "Altering table '{}': of a connector's table only options can be changed; DROP and "
            "CREATE it anew, its data stays where it is",
            table->path.ToString());
    }
    check(next);
    table = std::make_shared<const TableDefinition>(std::move(next));
  }

  void RenameTable(const std::string& database, const std::string& name,
                   const std::string& to) override {
    std::lock_guard lock(mutex_);
    Database& owner = Get(database);
    RefuseTaken(owner, to, "table", name);
    TableDefinition renamed = *owner.tables.at(name);
    renamed.path.name = to;
    owner.tables.erase(name);
    owner.tables[to] = std::make_shared<const TableDefinition>(std::move(renamed));
  }

  std::vector<std::string> Views(const std::string& database) const override {
    std::lock_guard lock(mutex_);
    return Keys(Get(database).views);
  }

  std::shared_ptr<const ViewDefinition> FindView(const std::string& database,
                                                 const std::string& name) const override {
    std::lock_guard lock(mutex_);
    auto found = databases_.find(database);
    if (found == databases_.end()) return nullptr;
    auto view = found->second.views.find(name);
    return view == found->second.views.end() ? nullptr : view->second;
  }

  void CreateView(const ViewDefinition& view, bool if_not_exists, bool or_replace) override {
    std::lock_guard lock(mutex_);
    Database& database = Get(view.path.database);
    bool replaces = or_replace && database.views.count(view.path.name) > 0;
    if (Taken(database, view.path.name) && !replaces) {
      if (if_not_exists) return;
      Throw(ErrorCode::kExists, "Creating view '{}': it exists already", view.path.ToString());
    }
    database.views[view.path.name] = std::make_shared<const ViewDefinition>(view);
  }

  void DropView(const std::string& database, const std::string& name, bool if_exists) override {
    std::lock_guard lock(mutex_);
    if (Get(database).views.erase(name) == 0 && !if_exists) {
      Throw(ErrorCode::kNotFound, "Dropping view '{}.{}.{}': there is none{}", name_, database,
            name, DidYouMean(name, Keys(Get(database).views)));
    }
  }

  void RenameView(const std::string& database, const std::string& name,
                  const std::string& to) override {
    std::lock_guard lock(mutex_);
    Database& owner = Get(database);
    RefuseTaken(owner, to, "view", name);
    ViewDefinition renamed = *owner.views.at(name);
    renamed.path.name = to;
    owner.views.erase(name);
    owner.views[to] = std::make_shared<const ViewDefinition>(std::move(renamed));
  }

 private:
  static void RefuseTaken(const Database& database, const std::string& to, const char* kind,
                          const std::string& from) {
    if (!Taken(database, to)) return;
    Throw(ErrorCode::kExists, "Renaming {} '{}' to '{}': there is one of that name already", kind,
          from, to);
  }
  static bool Taken(const Database& database, const std::string& name) {
    return database.tables.count(name) > 0 || database.views.count(name) > 0;
  }

  Database& Get(const std::string& database) {
    return const_cast<Database&>(std::as_const(*this).Get(database));
  }

  const Database& Get(const std::string& database) const {
    auto found = databases_.find(database);
    if (found == databases_.end()) {
      Throw(ErrorCode::kNotFound, "Catalog '{}' has no database '{}'{}", name_, database,
            DidYouMean(database, Keys(databases_)));
    }
    return found->second;
  }

  const std::string name_;
  const Options options_;
  mutable std::mutex mutex_;
  std::map<std::string, Database> databases_;
};

}  // namespace

std::shared_ptr<CatalogStore> MakeMemoryStore(const std::string& name) {
  return std::make_shared<MemoryStore>(name);
}

}  // namespace millrace
