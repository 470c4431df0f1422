// flink_functions.h - operators and functions that mean something else in Flink than in DuckDB.
//
// They live in a schema `flink` of DuckDB's catalog `memory`. DuckDB looks operators up like
// functions, along the search path, so the session sets the path to "<catalog>.<database>",
// "memory.flink"; the system catalog follows by itself. Rules, each with a test: docs/dialect.md.
// The rewriter emits calls of these functions, so what ToDuckSql returns binds under that path
// only.
//
// For the streaming engine, on bound plans:
// - COUNT, MIN, MAX are DuckDB's own; `sum` and `avg` are ours under these names, without DISTINCT
// or
//   FILTER of their own, and are told from DuckDB's by their types: SUM of an integer has the type
//   of its argument, SUM of DECIMAL(p, s) is DECIMAL(38, s), AVG of an integer has its type and
//   truncates toward zero, AVG of DECIMAL is DECIMAL(38, max(s, 6)) rounded HALF_UP, of FLOAT they
//   are FLOAT. A total that does not fit is Error(kData). Arguments are bound without casts.
// - Arithmetic on integers is DuckDB's bound `+ - *`; `/` and `%`, and all five on DECIMAL, are
// ours.
//   Operands keep their declared types: an expression as text, bound again, has the same type.
// - now() is VOLATILE, and so is what contains it (CURRENT_TIMESTAMP, PROCTIME() ...).
// - Disable DuckDB's optimizer `sum_rewriter` in both modes: it moves overflow to where there was
// none.
#pragma once

#include "base/duck.h"

namespace duckdb {
class Connection;
class DatabaseInstance;
}  // namespace duckdb

namespace millrace {

/// The catalog and schema that hold the functions: search path entry "memory.flink".
inline constexpr const char* kFlinkSchema = "flink";

/// Registers all of them; once per database, whose in-memory catalog must be named `memory`.
void RegisterFlinkFunctions(duckdb::DatabaseInstance& database);

}  // namespace millrace
