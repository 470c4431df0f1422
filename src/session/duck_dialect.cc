// duck_dialect.cc - statements of SET 'table.sql-dialect' = 'duckdb'.
#include "session/duck_statements.h"
#include "session/sql_session.h"

namespace millrace {

StatementResult SqlSession::RunDuck(const std::string& sql) {
  const auto& services = engine_.services();
  auto is_table = [&](const QualifiedName& name) {
    if (name.size() == 3 && services.stores.contains(name[0])) return true;
    return name.size() < 3 && FindTable(engine_.services(), Resolve(name)) != nullptr;
  };
  auto is_lake = [&](const std::string& name) {
    auto store = services.stores.find(name.empty() ? catalog_ : name);
    return store != services.stores.end() && !store->second->Warehouse().empty();
  };
  auto bind = [this](const std::string& query, auto* names, auto* types) {
    BindQuery(query, names, types);
  };
  if (settings_.DuckDialect()) {
    if (auto change = ReadDuckStatement(sql, {is_table, is_lake, bind})) {
      return Run(Statement{std::move(*change), {}, sql});
    }
  }
  StatementResult result;
  result.kind = ResultKind::kQuery;
  auto as_it_is = [](const Error& error) { return error; };
  result.rows =
      MakeShownResult(BatchQuery(sql, engine_.NewConnection(catalog_, database_, true), as_it_is),
                      engine_.NewConnection(catalog_, database_), {});
  return result;
}

}  // namespace millrace
