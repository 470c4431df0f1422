// expressions.h - bound DuckDB expressions evaluated over change chunks, with errors that show the
// row.
#pragma once

#include "base/error.h"
#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/planner/column_binding.hpp"

namespace millrace {

using ExpressionList = duckdb::vector<duckdb::unique_ptr<duckdb::Expression>>;
using Bindings = duckdb::vector<duckdb::ColumnBinding>;

/// A copy whose column references are positions in `bindings`, shifted by `offset`.
duckdb::unique_ptr<duckdb::Expression> ResolveColumns(const duckdb::Expression& expression,
                                                      const Bindings& bindings);
/// A copy whose column references point to table `table_index`, numbered as in `bindings`.
duckdb::unique_ptr<duckdb::Expression> RebindColumns(const duckdb::Expression& expression,
                                                     const Bindings& bindings, idx_t table_index);
/// The position a plain column reference resolves to; nullopt for anything else.
std::optional<idx_t> PlainColumn(const duckdb::Expression& resolved);

/// The first call in it whose value differs from call to call; error() only ends the query.
std::string VolatileFunction(const duckdb::Expression& expression);

ExpressionList CopyExpressions(const ExpressionList& expressions);
/// References to columns of these types; all columns when `columns` is null.
ExpressionList ColumnReferences(const duckdb::vector<LogicalType>& types,
                                const std::vector<idx_t>* columns = nullptr);
/// Where the value of each expression stands in an output that has the columns `columns` of the
/// expressions' input, from `first` on; nullopt: nowhere.
std::vector<std::optional<idx_t>> OutputsOfColumns(const ExpressionList& expressions,
                                                   const std::vector<idx_t>& columns,
                                                   idx_t first = 0);

/// Evaluates a list of resolved expressions. Threads: one at a time.
/// Throws: Error(kData) with the expression and the row that failed.
class Evaluator {
 public:
  Evaluator(duckdb::ClientContext& context, ExpressionList expressions);
  /// `out` has the types of the expressions; its vectors may refer to `in`.
  void Evaluate(DataChunk& in, DataChunk& out);
  /// REQUIRES: one boolean expression. Rows for which it is true.
  idx_t Select(DataChunk& in, SelectionVector& selection);
  duckdb::vector<LogicalType> Types() const;
  std::string ToString() const;
  bool Empty() const { return expressions_.empty(); }
  const ExpressionList& Expressions() const { return expressions_; }

 private:
  [[noreturn]] void Explain(DataChunk& in, const std::exception& failure);

  /// Runs `evaluate`; inside a transaction once a function has asked for one (list_sort does).
  void Run(const std::function<void()>& evaluate);

  ExpressionList expressions_;
  duckdb::ExpressionExecutor executor_;
  bool wants_transaction_ = false;
};

}  // namespace millrace
