#include "catalog/scan_function.h"

#include "duckdb/planner/expression/bound_columnref_expression.hpp"
#include "duckdb/planner/expression/bound_comparison_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/operator/logical_get.hpp"

namespace millrace {

namespace {

struct ScanState : public duckdb::GlobalTableFunctionState {
  std::unique_ptr<BatchScan> scan;
  duckdb::vector<LogicalType> types;  // Of the columns that the scan delivers.
  idx_t MaxThreads() const override { return scan->MaxThreads(); }
};

struct ScanThread : public duckdb::LocalTableFunctionState {
  std::unique_ptr<BatchReader> reader;
};

duckdb::unique_ptr<duckdb::GlobalTableFunctionState> InitScan(
    duckdb::ClientContext& context, duckdb::TableFunctionInitInput& input) {
  const auto& data = input.bind_data->Cast<ScanBindData>();
  auto state = duckdb::make_uniq<ScanState>();
  BatchScanRequest request;
  for (duckdb::column_t id : input.column_ids) {
    // Without a real column (COUNT(*)) DuckDB asks for a row id: rows without columns do.
    if (id < data.definition->columns.size()) request.columns.push_back(id);
  }
  request.predicates = data.predicates;
  state->scan = data.open(context, request);
  return state;
}

duckdb::unique_ptr<duckdb::LocalTableFunctionState> InitThread(duckdb::ExecutionContext&,
                                                               duckdb::TableFunctionInitInput&,
                                                               duckdb::GlobalTableFunctionState*) {
  return duckdb::make_uniq<ScanThread>();
}

void Scan(duckdb::ClientContext&, duckdb::TableFunctionInput& input, DataChunk& output) {
  auto& state = input.global_state->Cast<ScanState>();
  auto& thread = input.local_state->Cast<ScanThread>();
  while (true) {
    if (!thread.reader) {
      thread.reader = state.scan->NextUnit();
      if (!thread.reader) return;  // Empty chunk: this thread is done.
    }
    if (thread.reader->Next(output) && output.size() > 0) return;
    if (output.size() == 0) thread.reader.reset();
    output.Reset();
  }
}

std::optional<ColumnPredicate::Op> OpOf(duckdb::ExpressionType type) {
  switch (type) {
    case duckdb::ExpressionType::COMPARE_EQUAL:
      return ColumnPredicate::Op::kEqual;
    case duckdb::ExpressionType::COMPARE_LESSTHAN:
      return ColumnPredicate::Op::kLess;
    case duckdb::ExpressionType::COMPARE_LESSTHANOREQUALTO:
      return ColumnPredicate::Op::kLessEqual;
    case duckdb::ExpressionType::COMPARE_GREATERTHAN:
      return ColumnPredicate::Op::kGreater;
    case duckdb::ExpressionType::COMPARE_GREATERTHANOREQUALTO:
      return ColumnPredicate::Op::kGreaterEqual;
    default:
      return std::nullopt;
  }
}

// Notes `column op constant` for pruning and leaves every filter to the plan.
void NotePredicates(duckdb::ClientContext&, duckdb::LogicalGet& get,
                    duckdb::FunctionData* bind_data,
                    duckdb::vector<duckdb::unique_ptr<duckdb::Expression>>& filters) {
  auto& data = bind_data->Cast<ScanBindData>();
  for (const auto& filter : filters) {
    if (filter->GetExpressionClass() != duckdb::ExpressionClass::BOUND_COMPARISON) continue;
    auto& comparison = filter->Cast<duckdb::BoundComparisonExpression>();
    duckdb::ExpressionType type = comparison.GetExpressionType();
    duckdb::Expression* left = comparison.left.get();
    duckdb::Expression* right = comparison.right.get();
    if (left->GetExpressionClass() == duckdb::ExpressionClass::BOUND_CONSTANT) {
      std::swap(left, right);
      type = duckdb::FlipComparisonExpression(type);
    }
    auto op = OpOf(type);
    if (!op || left->GetExpressionClass() != duckdb::ExpressionClass::BOUND_COLUMN_REF ||
        right->GetExpressionClass() != duckdb::ExpressionClass::BOUND_CONSTANT) {
      continue;
    }
    auto& column = left->Cast<duckdb::BoundColumnRefExpression>();
    const Value& constant = right->Cast<duckdb::BoundConstantExpression>().value;
    if (column.binding.table_index != get.table_index || constant.IsNull()) continue;
    idx_t id = get.GetColumnIds()[column.binding.column_index].GetPrimaryIndex();
    if (id >= data.definition->columns.size()) continue;
    data.predicates.push_back({id, *op, constant});
  }
}

duckdb::InsertionOrderPreservingMap<std::string> Describe(
    duckdb::TableFunctionToStringInput& input) {
  duckdb::InsertionOrderPreservingMap<std::string> text;
  text["Table"] = input.bind_data->Cast<ScanBindData>().definition->path.ToString();
  return text;
}

}  // namespace

duckdb::TableFunction MakeScanFunction() {
  duckdb::TableFunction function("millrace_scan", {}, Scan, nullptr, InitScan, InitThread);
  function.projection_pushdown = true;
  function.pushdown_complex_filter = NotePredicates;
  function.to_string = Describe;
  function.verify_serialization = false;
  return function;
}

}  // namespace millrace
