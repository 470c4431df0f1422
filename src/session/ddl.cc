// ddl.cc - CREATE, DROP and USE.
#include <algorithm>

#include "base/error.h"
#include "duckdb/main/prepared_statement.hpp"
#include "meta/duck_type_name.h"
#include "session/create_like.h"
#include "session/sql_session.h"
#include "sql/lexer.h"
#include "stream/lake_source.h"

namespace millrace {

void SqlSession::CheckColumns(const TableDefinition& definition, const char* doing) {
  if (definition.columns.empty()) {
    Throw(ErrorCode::kInvalid, "{} table '{}': it has no columns", doing,
          definition.path.ToString());
  }
  std::vector<std::string> names;
  for (const ColumnDefinition& column : definition.columns) {
    for (const std::string& seen : names) {
      if (duckdb::StringUtil::CIEquals(seen, column.name)) {
        Throw(ErrorCode::kInvalid,
              "{} table '{}': column '{}' is there twice (names must differ by more than case)",
              doing, definition.path.ToString(), column.name);
      }
    }
    names.push_back(column.name);
  }
  auto need = [&](const std::vector<std::string>& keys, const char* what) {
    for (const std::string& key : keys) {
      auto found = definition.FindColumn(key);
      if (!found || definition.columns[*found].computed) {
        Throw(ErrorCode::kInvalid, "{} table '{}': {} column '{}' is not a physical column{}",
              doing, definition.path.ToString(), what, key, DidYouMean(key, names));
      }
    }
  };
  need(definition.primary_key, "PRIMARY KEY");
  need(definition.partition_keys, "PARTITIONED BY");
  if (definition.watermark && !definition.FindColumn(definition.watermark->column)) {
    Throw(ErrorCode::kInvalid, "{} table '{}': WATERMARK FOR '{}' names no column{}", doing,
          definition.path.ToString(), definition.watermark->column,
          DidYouMean(definition.watermark->column, names));
  }
}

StatementResult SqlSession::Run(const CreateCatalog& statement) {
  if (statement.if_not_exists && engine_.services().stores.count(statement.name)) return {};
  engine_.CreateCatalog(statement.name, statement.options);
  return {};
}

StatementResult SqlSession::Run(const CreateDatabase& statement) {
  std::string catalog = statement.name.size() > 1 ? statement.name[0] : catalog_;
  engine_.Store(catalog).CreateDatabase(statement.name.back(), statement.if_not_exists);
  return {};
}

// The types of computed columns follow from their expressions; binding them finds mistakes now.
void SqlSession::BindComputedColumns(TableDefinition& definition) {
  std::string inner, outer;
  for (const ColumnDefinition& column : definition.columns) {
    if (column.computed) {
      outer += (outer.empty() ? "" : ", ") + ("(" + *column.computed + ")");
    } else {
      inner += (inner.empty() ? "" : ", ") + ("NULL::" + DuckTypeName(column.type)) + " AS " +
               QuoteName(column.name);
    }
  }
  if (outer.empty()) return;
  duckdb::vector<LogicalType> types;
  try {
    BindQuery("SELECT " + outer + " FROM (SELECT " + inner + ") AS t", nullptr, &types);
  } catch (const std::exception& exception) {
    Throw(ErrorCode::kInvalid, "Table '{}': a computed column cannot be bound: {}",
          definition.path.ToString(), ErrorFrom(exception).text());
  }
  idx_t next = 0;
  for (ColumnDefinition& column : definition.columns) {
    if (column.computed) column.type = DataTypeFromDuck(types[next++]);
  }
}

StatementResult SqlSession::Run(const CreateTable& statement) {
  TableDefinition definition = statement.definition;
  definition.path = Resolve(statement.name);
  if (statement.like) {
    TakeAfter(definition, *NeedTable(Resolve(*statement.like)), statement.like_rules);
  }
  if (statement.as_query) {
    duckdb::vector<std::string> names;
    duckdb::vector<LogicalType> types;
    BindQuery(statement.as_query->duck_sql, &names, &types);
    if (!definition.columns.empty()) {
      Throw(ErrorCode::kInvalid,
            "Creating table '{}' AS a query: leave out the columns, the query gives them",
            definition.path.ToString());
    }
    for (idx_t i = 0; i < names.size(); i++)
      definition.columns.push_back({names[i], DataTypeFromDuck(types[i]), {}, {}, ""});
  }
  if (statement.or_replace) return ReplaceTable(statement, std::move(definition));
  return CreateTableAs(statement, std::move(definition));
}

StatementResult SqlSession::CreateTableAs(const CreateTable& statement,
                                          TableDefinition definition) {
  CheckColumns(definition, "Creating");
  BindComputedColumns(definition);
  CatalogStore& store = engine_.Store(definition.path.catalog);
  bool in_lake = !store.Warehouse().empty();
  if (!definition.Connector().empty()) {
    if (in_lake && !definition.temporary && definition.Connector() != "paimon") {
      Throw(ErrorCode::kInvalid,
            "Creating table '{}': catalog '{}' keeps lake tables only; use CREATE TEMPORARY TABLE "
            "for "
            "'connector' = '{}', or create it in '{}'",
            definition.path.ToString(), store.Name(), definition.Connector(), kDefaultCatalog);
    }
    if (definition.Connector() == "paimon")
      definition.options.erase("connector");
    else
      engine_.connectors().Check(definition);
  } else if (!in_lake || definition.temporary) {
    Throw(ErrorCode::kInvalid,
          "Creating table '{}': option 'connector' is missing; without one a table must be in a "
          "catalog of type 'paimon'",
          definition.path.ToString());
  }
  if (definition.temporary) {
    bool is_new = engine_.services()
                      .temporary.tables
                      .emplace(definition.path, std::make_shared<const TableDefinition>(definition))
                      .second;
    if (!is_new && !statement.if_not_exists) {
      Throw(ErrorCode::kExists, "Creating temporary table '{}': it exists already",
            definition.path.ToString());
    }
  } else {
    bool is_new = !store.FindTable(definition.path.database, definition.path.name);
    store.CreateTable(definition, statement.if_not_exists);
    // A table that is there stays as it is, unless this statement was killed while it filled it.
    if (statement.as_query && !is_new && !IsHalfFilled(*NeedTable(definition.path))) return {};
  }
  if (!statement.as_query) return {};
  Insert insert;
  insert.target = {definition.path.catalog, definition.path.database, definition.path.name};
  insert.query = *statement.as_query;
  insert.original =
      "CREATE TABLE " + definition.path.ToString() + " AS " + statement.as_query->duck_sql;
  return Run(insert);
}

StatementResult SqlSession::Run(const CreateView& statement) {
  ViewDefinition view;
  view.path = Resolve(statement.name);
  view.columns = statement.columns;
  view.duck_sql = statement.query.duck_sql;
  view.original = statement.original;
  view.temporary = statement.temporary;
  duckdb::vector<std::string> names;
  BindQuery(view.duck_sql, &names, nullptr);
  if (!view.columns.empty() && view.columns.size() != names.size()) {
    Throw(ErrorCode::kInvalid, "Creating view '{}': it names {} columns, its query gives {}",
          view.path.ToString(), view.columns.size(), names.size());
  }
  CatalogStore& store = engine_.Store(view.path.catalog);
  if (!view.temporary) {
    store.CreateView(view, statement.if_not_exists, statement.or_replace);
    return {};
  }
  auto& views = engine_.services().temporary.views;
  if (views.count(view.path) && !statement.or_replace) {
    if (statement.if_not_exists) return {};
    Throw(ErrorCode::kExists, "Creating temporary view '{}': it exists already",
          view.path.ToString());
  }
  views[view.path] = std::make_shared<const ViewDefinition>(view);
  return {};
}

StatementResult SqlSession::Run(const Drop& statement) {
  switch (statement.kind) {
    case ObjectKind::kCatalog: {
      const std::string& name = statement.name.back();
      if (statement.if_exists && !engine_.services().stores.count(name)) return {};
      if (name == catalog_) {
        Throw(ErrorCode::kInvalid,
              "Dropping catalog '{}': it is in use; USE CATALOG another one first", name);
      }
      engine_.DropCatalog(name);
      return {};
    }
    case ObjectKind::kDatabase: {
      std::string catalog = statement.name.size() > 1 ? statement.name[0] : catalog_;
      if (catalog == catalog_ && statement.name.back() == database_) {
        Throw(ErrorCode::kInvalid, "Dropping database '{}': it is in use; USE another one first",
              database_);
      }
      engine_.Store(catalog).DropDatabase(statement.name.back(), statement.if_exists,
                                          statement.cascade);
      return {};
    }
    default:
      DropTableOrView(statement);
      return {};
  }
}

void SqlSession::DropTableOrView(const Drop& statement) {
  ObjectPath path = Resolve(statement.name);
  bool is_table = statement.kind == ObjectKind::kTable;
  TemporaryObjects& temporary = engine_.services().temporary;
  if (!statement.temporary) {  // What the user sees under this name is not what would go.
    CatalogStore& stored = engine_.Store(path.catalog);
    bool is_stored =
        stored.HasDatabase(path.database) &&
        (stored.FindTable(path.database, path.name) || stored.FindView(path.database, path.name));
    bool hidden_by_table = temporary.tables.count(path) > 0;
    if (is_stored && (hidden_by_table || temporary.views.count(path))) {
      std::string kind = hidden_by_table ? "table" : "view";
      Throw(ErrorCode::kInvalid,
            "Dropping '{}': a temporary {} of that name hides it; DROP TEMPORARY {} {} first",
            path.ToString(), kind, duckdb::StringUtil::Upper(kind), path.name);
    }
  }
  bool dropped = is_table ? temporary.tables.erase(path) > 0 : temporary.views.erase(path) > 0;
  if (dropped) return;
  if (statement.temporary) {
    if (statement.if_exists) return;
    Throw(ErrorCode::kNotFound, "Dropping temporary {} '{}': there is none",
          is_table ? "table" : "view", path.ToString());
  }
  CatalogStore& store = engine_.Store(path.catalog);
  if (is_table) {
    store.DropTable(path.database, path.name, statement.if_exists);
  } else {
    store.DropView(path.database, path.name, statement.if_exists);
  }
}

StatementResult SqlSession::Run(const Use& statement) {
  if (statement.catalog) {
    CatalogStore& store = engine_.Store(statement.name.back());
    catalog_ = statement.name.back();
    database_ = store.HasDatabase(kDefaultDatabase) ? kDefaultDatabase : "default";
    auto chosen = store.CreatedWith().find("default-database");
    if (chosen != store.CreatedWith().end()) database_ = chosen->second;
    return {};
  }
  std::string catalog = statement.name.size() > 1 ? statement.name[0] : catalog_;
  CatalogStore& store = engine_.Store(catalog);
  if (!store.HasDatabase(statement.name.back())) {
    Throw(ErrorCode::kNotFound, "Catalog '{}' has no database '{}'{}", catalog,
          statement.name.back(), DidYouMean(statement.name.back(), store.Databases()));
  }
  catalog_ = catalog;
  database_ = statement.name.back();
  return {};
}

}  // namespace millrace
