// alter.cc - ALTER TABLE and ALTER VIEW.
#include <algorithm>

#include "base/error.h"
#include "session/sql_session.h"

namespace millrace {

namespace {

/// The new name, in the same catalog and database.
std::string RenamedTo(const ObjectPath& from, const ObjectPath& to, const char* kind) {
  if (from.catalog == to.catalog && from.database == to.database) return to.name;
  Throw(ErrorCode::kUnsupported,
        "Renaming {} '{}' to '{}': it can only be renamed within its database", kind,
        from.ToString(), to.ToString());
}

}  // namespace

StatementResult SqlSession::Run(const AlterTable& statement) {
  ObjectPath path = Resolve(statement.name);
  if (FindView(engine_.services(), path)) {
    Throw(ErrorCode::kInvalid, "Altering table '{}': it is a view; use ALTER VIEW",
          path.ToString());
  }
  if (statement.if_exists && !FindTable(engine_.services(), path)) return {};
  std::shared_ptr<const TableDefinition> definition = NeedTable(path);
  if (engine_.services().temporary.tables.count(path)) {
    Throw(ErrorCode::kUnsupported,
          "Altering table '{}': it is temporary; DROP TEMPORARY TABLE it and create it anew",
          path.ToString());
  }
  CatalogStore& store = engine_.Store(path.catalog);
  if (statement.rename_to) {
    ObjectPath to = Resolve(*statement.rename_to);
    store.RenameTable(path.database, path.name, RenamedTo(path, to, "table"));
    return {};
  }
  if (!statement.drop_partitions.empty()) {
    DropPartitions(*definition, statement);
    return {};
  }
  TableAlteration alteration{statement.changes, statement.computed, statement.watermark,
                             statement.drop_watermark};
  store.AlterTable(path.database, path.name, alteration, [&](const TableDefinition& next) {
    if (!next.Connector().empty()) engine_.connectors().Check(next);
    CheckAltered(next);
  });
  return {};
}

// What names columns by expression must still find them.
void SqlSession::CheckAltered(TableDefinition next) {
  CheckColumns(next, "Altering");
  BindComputedColumns(next);
}

StatementResult SqlSession::Run(const AlterView& statement) {
  ObjectPath path = Resolve(statement.name);
  auto view = FindView(engine_.services(), path);
  if (!view) {
    Throw(ErrorCode::kNotFound, "Altering view '{}': there is none; SHOW VIEWS lists them",
          path.ToString());
  }
  std::string to = RenamedTo(path, Resolve(statement.rename_to), "view");
  auto& temporary = engine_.services().temporary.views;
  if (!temporary.count(path)) {
    engine_.Store(path.catalog).RenameView(path.database, path.name, to);
    return {};
  }
  ViewDefinition renamed = *view;
  renamed.path.name = to;
  if (!temporary.emplace(renamed.path, std::make_shared<const ViewDefinition>(renamed)).second) {
    Throw(ErrorCode::kExists, "Renaming view '{}' to '{}': there is one of that name already",
          path.ToString(), to);
  }
  temporary.erase(path);
  return {};
}

}  // namespace millrace
