// function_registry.h - where the files of functions put them: the schema memory.flink.
//
// Internal to this folder. A function that only sometimes differs from DuckDB's takes ANY
// arguments, decides at bind, and hands the rest over to DuckDB's own of the same name (Delegate).
#pragma once

#include "base/duck.h"
#include "duckdb/function/aggregate_function.hpp"
#include "duckdb/function/function_set.hpp"
#include "duckdb/function/scalar_function.hpp"
#include "duckdb/planner/expression.hpp"

namespace duckdb {
class Catalog;
class ClientContext;
class Connection;
}  // namespace duckdb

namespace millrace {

using Expressions = duckdb::vector<duckdb::unique_ptr<duckdb::Expression>>;
using BindData = duckdb::unique_ptr<duckdb::FunctionData>;

/// Adds functions to the schema `flink`. REQUIRES: an open transaction. Threads: one at a time.
class FunctionRegistry {
 public:
  FunctionRegistry(duckdb::Connection& connection, duckdb::Catalog& catalog)
      : connection_(connection), catalog_(catalog) {}

  void Scalar(duckdb::ScalarFunction function);
  void Scalars(duckdb::ScalarFunctionSet functions);
  void Aggregate(duckdb::AggregateFunction function);
  /// DuckDB's aggregate `known` under another name.
  void AggregateAlias(const std::string& known, const std::string& name);
  /// "name(a, b) AS expression".
  void Macro(const std::string& definition);
  /// DuckDB's own functions of this name with `count` arguments.
  std::vector<duckdb::ScalarFunction> SystemScalars(const std::string& name, idx_t count);
  duckdb::ClientContext& Context();

 private:
  duckdb::Connection& connection_;
  duckdb::Catalog& catalog_;
};

/// Turns `bound` into DuckDB's function of that name for arguments of `types` and binds it.
/// Throws: duckdb::BinderException when DuckDB has none.
BindData Delegate(duckdb::ClientContext& context, const std::string& name,
                  duckdb::ScalarFunction& bound, Expressions& arguments,
                  const duckdb::vector<LogicalType>& types);
BindData Delegate(duckdb::ClientContext& context, const std::string& name,
                  duckdb::AggregateFunction& bound, Expressions& arguments,
                  const duckdb::vector<LogicalType>& types);

/// The types of the arguments. Throws: ParameterNotResolvedException for an untyped parameter.
duckdb::vector<LogicalType> TypesOf(const Expressions& arguments);

void RegisterArithmetic(FunctionRegistry& registry);
void RegisterAggregates(FunctionRegistry& registry);
void RegisterCasts(FunctionRegistry& registry);
void RegisterStrings(FunctionRegistry& registry);
void RegisterTimes(FunctionRegistry& registry);

}  // namespace millrace
