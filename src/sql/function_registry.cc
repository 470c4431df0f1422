// Catalog calls of the schema `flink`, and delegation to DuckDB's own functions.
#include "sql/function_registry.h"

#include "base/error.h"
#include "duckdb/catalog/catalog.hpp"
#include "duckdb/catalog/catalog_entry/aggregate_function_catalog_entry.hpp"
#include "duckdb/catalog/catalog_entry/scalar_function_catalog_entry.hpp"
#include "duckdb/common/exception/binder_exception.hpp"
#include "duckdb/function/function_binder.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/parser/parsed_data/create_aggregate_function_info.hpp"
#include "duckdb/parser/parsed_data/create_scalar_function_info.hpp"
#include "sql/flink_functions.h"

namespace millrace {

namespace {

template <class Entry>
Entry& SystemEntry(duckdb::ClientContext& context, const std::string& name) {
  return duckdb::Catalog::GetSystemCatalog(context).GetEntry<Entry>(context, DEFAULT_SCHEMA, name);
}

template <class Entry, class Function>
BindData DelegateTo(duckdb::ClientContext& context, const std::string& name, Function& bound,
                    Expressions& arguments, const duckdb::vector<LogicalType>& types) {
  auto& entry = SystemEntry<Entry>(context, name);
  duckdb::FunctionBinder binder(context);
  duckdb::ErrorData error;
  auto found = binder.BindFunction(name, entry.functions, types, error);
  if (!found.IsValid()) error.Throw();
  bound = entry.functions.GetFunctionByOffset(found.GetIndex());
  return bound.HasBindCallback() ? bound.GetBindCallback()(context, bound, arguments) : nullptr;
}

}  // namespace

duckdb::ClientContext& FunctionRegistry::Context() {
  return *connection_.context;
}

void FunctionRegistry::Scalar(duckdb::ScalarFunction function) {
  duckdb::ScalarFunctionSet set(function.name);
  set.AddFunction(std::move(function));
  Scalars(std::move(set));
}

void FunctionRegistry::Scalars(duckdb::ScalarFunctionSet functions) {
  duckdb::CreateScalarFunctionInfo info(std::move(functions));
  info.schema = kFlinkSchema;
  info.internal = false;  // DuckDB keeps internal entries in its system catalog only.
  catalog_.CreateFunction(Context(), info);
}

void FunctionRegistry::Aggregate(duckdb::AggregateFunction function) {
  duckdb::AggregateFunctionSet set(function.name);
  set.AddFunction(std::move(function));
  duckdb::CreateAggregateFunctionInfo info(std::move(set));
  info.schema = kFlinkSchema;
  info.internal = false;  // DuckDB keeps internal entries in its system catalog only.
  catalog_.CreateFunction(Context(), info);
}

void FunctionRegistry::AggregateAlias(const std::string& known, const std::string& name) {
  duckdb::AggregateFunctionSet set =
      SystemEntry<duckdb::AggregateFunctionCatalogEntry>(Context(), known).functions;
  set.name = name;
  duckdb::CreateAggregateFunctionInfo info(std::move(set));
  info.name = name;
  info.schema = kFlinkSchema;
  info.internal = false;  // DuckDB keeps internal entries in its system catalog only.
  catalog_.CreateFunction(Context(), info);
}

void FunctionRegistry::Macro(const std::string& definition) {
  auto result =
      connection_.Query(fmt::format("CREATE MACRO memory.{}.{}", kFlinkSchema, definition));
  if (result->HasError()) result->ThrowError();
}

std::vector<duckdb::ScalarFunction> FunctionRegistry::SystemScalars(const std::string& name,
                                                                    idx_t count) {
  std::vector<duckdb::ScalarFunction> out;
  for (auto& function :
       SystemEntry<duckdb::ScalarFunctionCatalogEntry>(Context(), name).functions.functions) {
    if (function.arguments.size() == count) out.push_back(function);
  }
  return out;
}

BindData Delegate(duckdb::ClientContext& context, const std::string& name,
                  duckdb::ScalarFunction& bound, Expressions& arguments,
                  const duckdb::vector<LogicalType>& types) {
  return DelegateTo<duckdb::ScalarFunctionCatalogEntry>(context, name, bound, arguments, types);
}

BindData Delegate(duckdb::ClientContext& context, const std::string& name,
                  duckdb::AggregateFunction& bound, Expressions& arguments,
                  const duckdb::vector<LogicalType>& types) {
  return DelegateTo<duckdb::AggregateFunctionCatalogEntry>(context, name, bound, arguments, types);
}

duckdb::vector<LogicalType> TypesOf(const Expressions& arguments) {
  duckdb::vector<LogicalType> types;
  for (auto& argument : arguments) {
    if (argument->return_type.id() == LogicalTypeId::UNKNOWN)
      throw duckdb::ParameterNotResolvedException();
    types.push_back(argument->return_type);
  }
  return types;
}

}  // namespace millrace
