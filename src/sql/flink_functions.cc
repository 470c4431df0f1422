// Registration of the schema `flink`; the functions stand in flink_*.cc.
#include "sql/flink_functions.h"

#include <fmt/format.h>

#include "duckdb/catalog/catalog.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "sql/function_registry.h"

namespace millrace {

void RegisterFlinkFunctions(duckdb::DatabaseInstance& database) {
  duckdb::Connection connection(database);
  connection.BeginTransaction();
  auto& catalog = duckdb::Catalog::GetCatalog(*connection.context, "memory");
  // By SQL, for that also marks the database as modified by this transaction.
  auto created = connection.Query(fmt::format("CREATE SCHEMA memory.{}", kFlinkSchema));
  if (created->HasError()) created->ThrowError();
  // Macros find the functions of the schema that they build on.
  auto path =
      connection.Query(fmt::format("SET search_path = 'memory.main,memory.{}'", kFlinkSchema));
  if (path->HasError()) path->ThrowError();
  FunctionRegistry registry(connection, catalog);
  RegisterArithmetic(registry);
  RegisterAggregates(registry);
  RegisterCasts(registry);
  RegisterStrings(registry);
  RegisterTimes(registry);
  connection.Commit();
}

}  // namespace millrace
