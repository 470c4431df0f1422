#include "catalog/scan_function.h"

#include "duckdb/function/partition_stats.hpp"
#include "duckdb/planner/expression/bound_between_expression.hpp"
#include "duckdb/planner/expression/bound_columnref_expression.hpp"
#include "duckdb/planner/expression/bound_comparison_expression.hpp"
#include "duckdb/planner/expression/bound_conjunction_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_operator_expression.hpp"
#include "duckdb/planner/operator/logical_get.hpp"
#include "duckdb/storage/statistics/numeric_stats.hpp"

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

/// Finds predicates on a scan's columns in filters.
class PredicateFinder {
 public:
  PredicateFinder(duckdb::LogicalGet& get, ScanBindData& data) : get_(get), data_(data) {}

  void Note(const duckdb::Expression& filter) {
    switch (filter.GetExpressionClass()) {
      case duckdb::ExpressionClass::BOUND_COMPARISON: {
        auto& comparison = filter.Cast<duckdb::BoundComparisonExpression>();
        return Compare(filter.GetExpressionType(), *comparison.left, *comparison.right);
      }
      case duckdb::ExpressionClass::BOUND_BETWEEN: {
        auto& between = filter.Cast<duckdb::BoundBetweenExpression>();
        Compare(between.LowerComparisonType(), *between.input, *between.lower);
        return Compare(between.UpperComparisonType(), *between.input, *between.upper);
      }
      case duckdb::ExpressionClass::BOUND_CONJUNCTION:
        if (filter.GetExpressionType() != duckdb::ExpressionType::CONJUNCTION_AND) return;
        for (auto& child : filter.Cast<duckdb::BoundConjunctionExpression>().children) {
          Note(*child);
        }
        return;
      case duckdb::ExpressionClass::BOUND_OPERATOR:
        if (filter.GetExpressionType() == duckdb::ExpressionType::COMPARE_IN) {
          In(filter.Cast<duckdb::BoundOperatorExpression>());
        }
        return;
      default:
        return;
    }
  }

 private:
  /// The column of `definition` that `expression` is.
  std::optional<idx_t> ColumnOf(const duckdb::Expression& expression) const {
    if (expression.GetExpressionClass() != duckdb::ExpressionClass::BOUND_COLUMN_REF)
      return std::nullopt;
    auto& column = expression.Cast<duckdb::BoundColumnRefExpression>();
    if (column.binding.table_index != get_.table_index) return std::nullopt;
    idx_t id = get_.GetColumnIds()[column.binding.column_index].GetPrimaryIndex();
    if (id >= data_.definition->columns.size()) return std::nullopt;
    return id;
  }

  void Compare(duckdb::ExpressionType type, const duckdb::Expression& one,
               const duckdb::Expression& other) {
    const duckdb::Expression* left = &one;
    const duckdb::Expression* right = &other;
    if (left->GetExpressionClass() == duckdb::ExpressionClass::BOUND_CONSTANT) {
      std::swap(left, right);
      type = duckdb::FlipComparisonExpression(type);
    }
    auto op = OpOf(type);
    if (!op || right->GetExpressionClass() != duckdb::ExpressionClass::BOUND_CONSTANT) return;
    const Value& constant = right->Cast<duckdb::BoundConstantExpression>().value;
    auto column = ColumnOf(*left);
    if (column && !constant.IsNull()) data_.predicates.push_back({*column, *op, constant});
  }

  void In(const duckdb::BoundOperatorExpression& in) {
    auto column = ColumnOf(*in.children[0]);
    if (!column) return;
    ColumnPredicate predicate{*column, ColumnPredicate::Op::kIn, Value()};
    for (size_t i = 1; i < in.children.size(); i++) {
      if (in.children[i]->GetExpressionClass() != duckdb::ExpressionClass::BOUND_CONSTANT) return;
      predicate.constants.push_back(in.children[i]->Cast<duckdb::BoundConstantExpression>().value);
    }
    data_.predicates.push_back(std::move(predicate));
  }

  duckdb::LogicalGet& get_;
  ScanBindData& data_;
};

// Notes predicates for pruning and leaves every filter to the plan.
void NotePredicates(duckdb::ClientContext&, duckdb::LogicalGet& get,
                    duckdb::FunctionData* bind_data,
                    duckdb::vector<duckdb::unique_ptr<duckdb::Expression>>& filters) {
  PredicateFinder finder(get, bind_data->Cast<ScanBindData>());
  for (const auto& filter : filters) finder.Note(*filter);
}

/// What DuckDB asks when it plans an aggregate over a whole table (COUNT(*), MIN, MAX).
struct WholeTable : public duckdb::PartitionRowGroup {
  std::shared_ptr<const TableDefinition> definition;
  std::unique_ptr<BatchScan> scan;

  duckdb::unique_ptr<duckdb::BaseStatistics> GetColumnStatistics(
      const duckdb::StorageIndex& index) override {
    idx_t column = index.GetPrimaryIndex();
    if (column >= definition->columns.size()) return nullptr;
    auto range = scan->RangeOf(column);
    if (!range) return nullptr;
    auto stats = duckdb::NumericStats::CreateUnknown(definition->columns[column].type.ToDuck());
    duckdb::NumericStats::SetMin(stats, range->first);
    duckdb::NumericStats::SetMax(stats, range->second);
    return stats.ToUnique();
  }
  bool MinMaxIsExact(const duckdb::BaseStatistics&, const duckdb::StorageIndex&) override {
    return true;
  }
};

duckdb::vector<duckdb::PartitionStatistics> KnownOfTable(duckdb::ClientContext& context,
                                                         duckdb::GetPartitionStatsInput& input) {
  const auto& data = input.bind_data->Cast<ScanBindData>();
  // A connector's rows are only known when it reads them; numbers of rows are given by one scan.
  if (!data.predicates.empty() || !data.definition->Connector().empty() ||
      data.definition->columns.back().name == kRowIdColumn) {
    return {};
  }
  auto whole = duckdb::make_shared_ptr<WholeTable>();
  whole->definition = data.definition;
  whole->scan = data.open(context, {});
  std::optional<int64_t> rows = whole->scan->RowCount();
  if (!rows) return {};
  duckdb::PartitionStatistics part;
  part.count = static_cast<idx_t>(*rows);
  part.count_type = duckdb::CountType::COUNT_EXACT;
  part.partition_row_group = std::move(whole);
  return {part};
}

duckdb::InsertionOrderPreservingMap<std::string> Describe(
    duckdb::TableFunctionToStringInput& input) {
  duckdb::InsertionOrderPreservingMap<std::string> text;
  text["Table"] = input.bind_data->Cast<ScanBindData>().definition->path.ToString();
  return text;
}

}  // namespace

const ScanBindData* FindScan(const duckdb::LogicalOperator& node) {
  if (node.type != duckdb::LogicalOperatorType::LOGICAL_GET) return nullptr;
  return dynamic_cast<const ScanBindData*>(node.Cast<duckdb::LogicalGet>().bind_data.get());
}

duckdb::TableFunction MakeScanFunction() {
  duckdb::TableFunction function("millrace_scan", {}, Scan, nullptr, InitScan, InitThread);
  function.projection_pushdown = true;
  function.pushdown_complex_filter = NotePredicates;
  function.get_partition_stats = KnownOfTable;
  function.to_string = Describe;
  function.verify_serialization = false;
  return function;
}

}  // namespace millrace
