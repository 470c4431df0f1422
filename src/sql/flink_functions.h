// flink_functions.h - operators and functions that mean something else in Flink than in DuckDB.
//
// They live in a schema `flink` of DuckDB's system of catalogs that the session puts in front of
// the search path, so that binding picks them first. Rules, each with a test: docs/dialect.md.
#pragma once

#include "base/duck.h"

namespace duckdb {
class Connection;
class DatabaseInstance;
}  // namespace duckdb

namespace millrace {

/// The catalog and schema that hold the functions: search path entry "memory.flink".
inline constexpr const char* kFlinkSchema = "flink";

/// Registers all of them; once per database.
void RegisterFlinkFunctions(duckdb::DatabaseInstance& database);

}  // namespace millrace
