// plan_binder.cc - SQL -> bound plan for streaming: DuckDB's parser, binder and a fixed list of its
// rewrites.
//
// Not the whole optimizer: rules that read stored statistics would make the plan depend on the
// data, others prepare batch execution. Calling the rules one by one also leaves the database's
// settings alone.
#include "catalog/scan_function.h"
#include "duckdb/common/types/column/column_data_collection.hpp"
#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/main/client_config.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/query_result.hpp"
#include "duckdb/optimizer/common_aggregate_optimizer.hpp"
#include "duckdb/optimizer/cse_optimizer.hpp"
#include "duckdb/optimizer/cte_filter_pusher.hpp"
#include "duckdb/optimizer/deliminator.hpp"
#include "duckdb/optimizer/empty_result_pullup.hpp"
#include "duckdb/optimizer/expression_heuristics.hpp"
#include "duckdb/optimizer/filter_pullup.hpp"
#include "duckdb/optimizer/filter_pushdown.hpp"
#include "duckdb/optimizer/in_clause_rewriter.hpp"
#include "duckdb/optimizer/join_order/join_order_optimizer.hpp"
#include "duckdb/optimizer/optimizer.hpp"
#include "duckdb/optimizer/remove_unused_columns.hpp"
#include "duckdb/optimizer/unnest_rewriter.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/statement/logical_plan_statement.hpp"
#include "duckdb/planner/binder.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/logical_operator_visitor.hpp"
#include "duckdb/planner/operator/logical_get.hpp"
#include "duckdb/planner/planner.hpp"
#include "duckdb/storage/buffer_manager.hpp"
#include "duckdb/storage/statistics/node_statistics.hpp"
#include "stream/plan_compiler.h"

namespace millrace {

namespace {

/// Of functions that give one value within a query: the session decides it, no moment does.
bool AsksSession(const std::string& function) {
  return function == "current_schema" || function == "current_schemas" ||
         function == "current_database" || function == "in_search_path";
}

/// What only the session decides becomes a constant of the query, which its fingerprint shows.
/// Clocks are refused.
void SettleSession(duckdb::ClientContext& context,
                   duckdb::unique_ptr<duckdb::Expression>& expression) {
  duckdb::ExpressionIterator::EnumerateChildren(
      *expression,
      [&](duckdb::unique_ptr<duckdb::Expression>& child) { SettleSession(context, child); });
  if (expression->GetExpressionClass() != duckdb::ExpressionClass::BOUND_FUNCTION) return;
  auto& function = expression->Cast<duckdb::BoundFunctionExpression>().function;
  if (function.name == "stats") {
    Throw(
        ErrorCode::kUnsupported,
        "Compiling a streaming query: stats() shows the statistics of a batch plan; run the query "
        "in batch mode");
  }
  if (function.GetStability() != duckdb::FunctionStability::CONSISTENT_WITHIN_QUERY) return;
  if (!AsksSession(function.name)) {
    Throw(ErrorCode::kUnsupported,
          "Compiling a streaming query: {}() is a clock function; a running query has no one "
          "moment to take it at. Store the time in a column of the input, or run the query in "
          "batch mode",
          function.name);
  }
  if (!expression->IsFoldable()) {
    Throw(ErrorCode::kUnsupported,
          "Compiling a streaming query: {} asks the session anew for each row; give {}() constants "
          "or run the query in batch mode",
          expression->ToString(), function.name);
  }
  Value value = duckdb::ExpressionExecutor::EvaluateScalar(context, *expression);
  auto constant = duckdb::make_uniq<duckdb::BoundConstantExpression>(std::move(value));
  constant->SetAlias(expression->GetAlias());
  expression = std::move(constant);
}

duckdb::unique_ptr<duckdb::NodeStatistics> AnyTable(duckdb::ClientContext&,
                                                    const duckdb::FunctionData*) {
  constexpr idx_t kRows = 1'000'000;
  return duckdb::make_uniq<duckdb::NodeStatistics>(kRows);
}

void Prepare(duckdb::ClientContext& context, duckdb::LogicalOperator& plan) {
  duckdb::LogicalOperatorVisitor::EnumerateExpressions(
      plan, [&](duckdb::unique_ptr<duckdb::Expression>* expression) {
        SettleSession(context, *expression);
      });
  if (plan.type == duckdb::LogicalOperatorType::LOGICAL_GET) {
    // Without sizes of tables: the plan must be the same tomorrow. Ours all count as large, else
    // the order of joins would not mind products and joins by inequality.
    auto& get = plan.Cast<duckdb::LogicalGet>();
    get.function.cardinality = FindScan(plan) ? AnyTable : nullptr;
    get.function.statistics = nullptr;
    get.function.statistics_extended = nullptr;
  }
  for (auto& child : plan.children) Prepare(context, *child);
}

duckdb::unique_ptr<duckdb::LogicalOperator> Rewrite(
    duckdb::Binder& binder, duckdb::ClientContext& context,
    duckdb::unique_ptr<duckdb::LogicalOperator> plan) {
  duckdb::Optimizer optimizer(binder, context);
  optimizer.rewriter.VisitOperator(*plan);
  plan = duckdb::FilterPullup().Rewrite(std::move(plan));
  duckdb::FilterPushdown pushdown(optimizer);
  duckdb::unordered_set<idx_t> top_bindings;
  pushdown.CheckMarkToSemi(*plan, top_bindings);
  plan = pushdown.Rewrite(std::move(plan));
  duckdb::CTEFilterPusher cte_pusher(optimizer);
  plan = cte_pusher.Optimize(std::move(plan));
  duckdb::InClauseRewriter in_clause(context, optimizer);
  plan = in_clause.Rewrite(std::move(plan));
  plan = duckdb::Deliminator().Optimize(std::move(plan));
  plan = duckdb::EmptyResultPullup().Optimize(std::move(plan));
  plan = duckdb::JoinOrderOptimizer(context).Optimize(std::move(plan));
  plan = duckdb::UnnestRewriter().Optimize(std::move(plan));
  duckdb::RemoveUnusedColumns(optimizer).VisitOperator(*plan);
  duckdb::CommonSubExpressionOptimizer(binder).VisitOperator(*plan);
  duckdb::CommonAggregateOptimizer().VisitOperator(*plan);
  plan = duckdb::ExpressionHeuristics(optimizer).Rewrite(std::move(plan));
  return plan;
}

}  // namespace

BoundPlan BindStreamingPlan(duckdb::ClientContext& context, const std::string& sql) {
  BoundPlan result;
  duckdb::Parser parser(context.GetParserOptions());
  parser.ParseQuery(sql);
  if (parser.statements.size() == 1 &&
      parser.statements[0]->type == duckdb::StatementType::MULTI_STATEMENT) {
    Throw(ErrorCode::kUnsupported,
          "Compiling a streaming query: PIVOT without a list of values has columns that depend on "
          "the data; name them: PIVOT ... ON x IN ('a', 'b')");
  }
  if (parser.statements.size() != 1 ||
      parser.statements[0]->type != duckdb::StatementType::SELECT_STATEMENT) {
    Throw(ErrorCode::kInvalid,
          "Compiling a streaming query: the text must be one SELECT, found '{}'", sql);
  }
  context.RunFunctionInTransaction([&] {
    duckdb::Planner planner(context);
    planner.CreatePlan(std::move(parser.statements[0]));
    result.names = planner.names;
    result.types = planner.types;
    Prepare(context, *planner.plan);
    result.root = Rewrite(*planner.binder, context, std::move(planner.plan));
    result.root->ResolveOperatorTypes();
  });
  return result;
}

duckdb::unique_ptr<duckdb::ColumnDataCollection> CollectRows(
    duckdb::ClientContext& context, const RowLayout& layout,
    const std::vector<const uint8_t*>& rows, StateArena& arena) {
  auto collection = duckdb::make_uniq<duckdb::ColumnDataCollection>(
      duckdb::BufferManager::GetBufferManager(context), layout.Types());
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), layout.Types());
  for (idx_t start = 0; start < rows.size(); start += kChunkRows) {
    idx_t count = std::min<idx_t>(kChunkRows, rows.size() - start);
    chunk.Reset();
    for (idx_t i = 0; i < layout.Columns(); i++)
      layout.Gather(i, rows.data() + start, count, chunk.data[i]);
    chunk.SetCardinality(count);
    collection->Append(chunk);
    arena.Balance();
  }
  return collection;
}

std::vector<std::unique_ptr<DataChunk>> RunPlan(duckdb::ClientContext& context,
                                                duckdb::unique_ptr<duckdb::LogicalOperator> plan) {
  duckdb::Connection connection(*context.db);
  auto& config = duckdb::ClientConfig::GetConfig(*connection.context);
  auto& given = duckdb::ClientConfig::GetConfig(context);
  config.user_settings = given.user_settings;  // What the session has SET holds here, too.
  config.user_variables = given.user_variables;
  config.enable_optimizer = false;
  plan->ResolveOperatorTypes();
  auto statement = duckdb::make_uniq<duckdb::LogicalPlanStatement>(std::move(plan));
  duckdb::unique_ptr<duckdb::QueryResult> result = connection.Query(std::move(statement));
  if (result->HasError())
    throw ErrorFrom(
        duckdb::Exception(result->GetErrorType(), result->GetErrorObject().RawMessage()),
        ErrorCode::kData);
  std::vector<std::unique_ptr<DataChunk>> chunks;
  while (auto chunk = result->Fetch()) {
    if (chunk->size() == 0) break;
    chunk->Flatten();
    chunks.emplace_back(chunk.release());
  }
  return chunks;
}

}  // namespace millrace
