// create_like.cc - CREATE TABLE .. LIKE, and the replacing of a table by a new one.
#include "session/create_like.h"

#include <algorithm>

#include "base/error.h"
#include "catalog/catalog_store.h"
#include "session/sql_session.h"

namespace millrace {

namespace {

[[noreturn]] void FailBoth(const TableDefinition& definition, const TableDefinition& like,
                           const std::string& what, const char* way_out) {
  Throw(ErrorCode::kInvalid, "Creating table '{}' LIKE '{}': both have {}; say {}",
        definition.path.ToString(), like.path.ToString(), what, way_out);
}

/// Columns of `like` come first; one that is computed or metadata may be given anew.
void TakeColumns(TableDefinition& definition, const TableDefinition& like, const LikeRules& rules) {
  std::vector<ColumnDefinition> columns;
  for (const ColumnDefinition& column : like.columns) {
    LikeRule rule = column.computed   ? rules.generated
                    : column.metadata ? rules.metadata
                                      : LikeRule::kIncluding;
    if (rule == LikeRule::kExcluding) continue;
    auto own = std::find_if(definition.columns.begin(), definition.columns.end(),
                            [&](const ColumnDefinition& c) { return c.name == column.name; });
    if (own == definition.columns.end()) {
      columns.push_back(column);
      continue;
    }
    if (rule != LikeRule::kOverwriting) {
      FailBoth(definition, like, "a column '" + column.name + "'",
               "EXCLUDING or OVERWRITING GENERATED where it is computed, or leave it out");
    }
    columns.push_back(*own);
    definition.columns.erase(own);
  }
  definition.columns.insert(definition.columns.begin(), columns.begin(), columns.end());
}

void TakeOptions(TableDefinition& definition, const TableDefinition& like, LikeRule rule) {
  if (rule == LikeRule::kExcluding) return;
  Options options = like.options;
  if (like.Connector().empty()) options.erase(kPathOption);
  for (const auto& [key, value] : definition.options) {
    if (rule == LikeRule::kIncluding && options.contains(key)) {
      FailBoth(definition, like, "the option '" + key + "'", "OVERWRITING OPTIONS");
    }
    options[key] = value;
  }
  definition.options = std::move(options);
}

}  // namespace

void TakeAfter(TableDefinition& definition, const TableDefinition& like, const LikeRules& rules) {
  TakeColumns(definition, like, rules);
  if (rules.constraints != LikeRule::kExcluding && !like.primary_key.empty()) {
    if (!definition.primary_key.empty()) {
      FailBoth(definition, like, "a PRIMARY KEY", "EXCLUDING CONSTRAINTS");
    }
    definition.primary_key = like.primary_key;
  }
  if (rules.partitions != LikeRule::kExcluding && !like.partition_keys.empty()) {
    if (!definition.partition_keys.empty()) {
      FailBoth(definition, like, "PARTITIONED BY", "EXCLUDING PARTITIONS");
    }
    definition.partition_keys = like.partition_keys;
  }
  if (rules.watermarks != LikeRule::kExcluding && like.watermark) {
    if (definition.watermark && rules.watermarks == LikeRule::kIncluding) {
      FailBoth(definition, like, "a WATERMARK", "EXCLUDING or OVERWRITING WATERMARKS");
    }
    if (!definition.watermark) definition.watermark = like.watermark;
  }
  TakeOptions(definition, like, rules.options);
}

// A lake table is made and filled beside the one that it replaces, which the query may still read;
// then the names change.
StatementResult SqlSession::ReplaceTable(const CreateTable& statement, TableDefinition definition) {
  ObjectPath path = definition.path;
  std::string doing = fmt::format("Replacing table '{}'", path.ToString());
  if (FindView(engine_.services(), path)) {
    Throw(ErrorCode::kInvalid, "{}: it is a view", doing);
  }
  if (definition.temporary) {
    Throw(ErrorCode::kUnsupported, "{}: a temporary table is replaced by DROP and CREATE", doing);
  }
  bool exists = FindTable(engine_.services(), path) != nullptr;
  if (!exists && statement.must_exist) {
    Throw(ErrorCode::kNotFound, "{}: there is none; CREATE OR REPLACE TABLE makes it", doing);
  }
  CatalogStore& store = engine_.Store(path.catalog);
  CreateTable create = statement;
  create.if_not_exists = false;
  if (!exists) return CreateTableAs(create, std::move(definition));
  if (store.Warehouse().empty()) {
    store.DropTable(path.database, path.name, false);
    return CreateTableAs(create, std::move(definition));
  }
  if (statement.as_query && settings_.Streaming()) {
    Throw(ErrorCode::kUnsupported,
          "{}: a stream has no end at which the table could be replaced; SET "
          "'execution.runtime-mode' = 'batch' first",
          doing);
  }
  definition.path.name = path.name + "-" + engine_.environment().random.Uuid().substr(0, 8);
  std::string made = definition.path.name;
  StatementResult result;
  try {
    result = CreateTableAs(create, std::move(definition));
  } catch (...) {
    store.DropTable(path.database, made, true);
    throw;
  }
  store.DropTable(path.database, path.name, true);
  store.RenameTable(path.database, made, path.name);
  return result;
}

}  // namespace millrace
