#include "stream/expressions.h"

#include <algorithm>

#include "duckdb/common/error_data.hpp"
#include "duckdb/planner/expression/bound_columnref_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"

namespace millrace {

namespace {

idx_t Position(const duckdb::BoundColumnRefExpression& reference, const Bindings& bindings) {
  for (idx_t i = 0; i < bindings.size(); i++) {
    if (bindings[i] == reference.binding) return i;
  }
  Throw(ErrorCode::kUnsupported,
        "Compiling a streaming query: column {} refers to an outer query in a way that has no "
        "incremental form; "
        "run it in batch mode or rewrite the subquery as a join",
        reference.ToString());
}

template <typename F>
void ReplaceColumns(duckdb::unique_ptr<duckdb::Expression>& expression, const F& replace) {
  if (expression->GetExpressionClass() == duckdb::ExpressionClass::BOUND_COLUMN_REF) {
    expression = replace(expression->Cast<duckdb::BoundColumnRefExpression>());
    return;
  }
  duckdb::ExpressionIterator::EnumerateChildren(
      *expression,
      [&](duckdb::unique_ptr<duckdb::Expression>& child) { ReplaceColumns(child, replace); });
}

}  // namespace

duckdb::unique_ptr<duckdb::Expression> ResolveColumns(const duckdb::Expression& expression,
                                                      const Bindings& bindings) {
  auto copy = expression.Copy();
  ReplaceColumns(copy, [&](duckdb::BoundColumnRefExpression& reference) {
    return duckdb::make_uniq_base<duckdb::Expression, duckdb::BoundReferenceExpression>(
        reference.GetAlias(), reference.return_type, Position(reference, bindings));
  });
  return copy;
}

duckdb::unique_ptr<duckdb::Expression> RebindColumns(const duckdb::Expression& expression,
                                                     const Bindings& bindings, idx_t table_index) {
  auto copy = expression.Copy();
  ReplaceColumns(copy, [&](duckdb::BoundColumnRefExpression& reference) {
    return duckdb::make_uniq_base<duckdb::Expression, duckdb::BoundColumnRefExpression>(
        reference.GetAlias(), reference.return_type,
        duckdb::ColumnBinding(table_index, Position(reference, bindings)));
  });
  return copy;
}

std::optional<idx_t> PlainColumn(const duckdb::Expression& resolved) {
  if (resolved.GetExpressionClass() != duckdb::ExpressionClass::BOUND_REF) return std::nullopt;
  return resolved.Cast<duckdb::BoundReferenceExpression>().index;
}

std::string VolatileFunction(const duckdb::Expression& expression) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_FUNCTION) {
    auto& call = expression.Cast<duckdb::BoundFunctionExpression>();
    bool differs = call.function.GetStability() == duckdb::FunctionStability::VOLATILE;
    if (differs && call.function.name != "error") return expression.ToString();
  }
  std::string found;
  duckdb::ExpressionIterator::EnumerateChildren(expression, [&](const duckdb::Expression& child) {
    if (found.empty()) found = VolatileFunction(child);
  });
  return found;
}

ExpressionList CopyExpressions(const ExpressionList& expressions) {
  ExpressionList copies;
  for (auto& expression : expressions) copies.push_back(expression->Copy());
  return copies;
}

ExpressionList ColumnReferences(const duckdb::vector<LogicalType>& types,
                                const std::vector<idx_t>* columns) {
  ExpressionList references;
  idx_t count = columns ? columns->size() : types.size();
  for (idx_t i = 0; i < count; i++) {
    idx_t column = columns ? (*columns)[i] : i;
    references.push_back(
        duckdb::make_uniq<duckdb::BoundReferenceExpression>(types[column], column));
  }
  return references;
}

std::vector<std::optional<idx_t>> OutputsOfColumns(const ExpressionList& expressions,
                                                   const std::vector<idx_t>& columns, idx_t first) {
  std::vector<std::optional<idx_t>> outputs(expressions.size());
  for (idx_t i = 0; i < expressions.size(); i++) {
    auto column = PlainColumn(*expressions[i]);
    auto at = column ? std::find(columns.begin(), columns.end(), *column) : columns.end();
    if (at != columns.end()) outputs[i] = first + static_cast<idx_t>(at - columns.begin());
  }
  return outputs;
}

Evaluator::Evaluator(duckdb::ClientContext& context, ExpressionList expressions)
    : expressions_(std::move(expressions)), executor_(context, expressions_) {}

void Evaluator::Evaluate(DataChunk& in, DataChunk& out) {
  if (expressions_.empty()) {
    out.SetCardinality(in.size());
    return;
  }
  out.Reset();
  try {
    Run([&] { executor_.Execute(in, out); });
  } catch (const std::exception& failure) {
    Explain(in, failure);
  }
}

idx_t Evaluator::Select(DataChunk& in, SelectionVector& selection) {
  try {
    idx_t count = 0;
    Run([&] { count = executor_.SelectExpression(in, selection); });
    return count;
  } catch (const std::exception& failure) {
    Explain(in, failure);
  }
}

void Evaluator::Run(const std::function<void()>& evaluate) {
  auto& context = executor_.GetContext();
  // That of a large step, for all threads (ShardedRun).
  if (context.transaction.HasActiveTransaction()) return evaluate();
  if (!wants_transaction_) {
    try {
      return evaluate();
    } catch (const std::exception& failure) {
      if (duckdb::ErrorData(failure).Type() != duckdb::ExceptionType::TRANSACTION) throw;
      wants_transaction_ = true;
    }
  }
  context.RunFunctionInTransaction(evaluate);
}

void Evaluator::Explain(DataChunk& in, const std::exception& failure) {
  Error error = ErrorFrom(failure, ErrorCode::kData);
  if (error.code() == ErrorCode::kCancelled) throw error;
  DataChunk one;
  one.InitializeEmpty(in.GetTypes());
  for (idx_t row = 0; row < in.size(); row++) {
    SelectionVector selection(1);
    selection.set_index(0, row);
    one.Reset();
    one.Slice(in, selection, 1);
    for (auto& expression : expressions_) {
      duckdb::ExpressionExecutor executor(executor_.GetContext(), *expression);
      Vector result(expression->return_type);
      try {
        executor.ExecuteExpression(one, result);
      } catch (const std::exception&) {
        std::string values;
        for (idx_t i = 0; i < in.ColumnCount(); i++) {
          values += (i ? ", " : "") + in.GetValue(i, row).ToSQLString();
        }
        Throw(ErrorCode::kData, "Evaluating {} for the row ({}): {}", expression->ToString(),
              values, error.text());
      }
    }
  }
  Throw(ErrorCode::kData, "Evaluating {}: {}", ToString(), error.text());
}

duckdb::vector<LogicalType> Evaluator::Types() const {
  duckdb::vector<LogicalType> types;
  for (auto& expression : expressions_) types.push_back(expression->return_type);
  return types;
}

std::string Evaluator::ToString() const {
  std::string text;
  for (auto& expression : expressions_) text += (text.empty() ? "" : ", ") + expression->ToString();
  return text;
}

}  // namespace millrace
