#include "table/row_sorter.h"

#include <numeric>

#include "base/query_connection.h"
#include "duckdb/common/sorting/sort.hpp"
#include "duckdb/execution/execution_context.hpp"
#include "duckdb/parallel/interrupt.hpp"
#include "duckdb/parallel/thread_context.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"

namespace millrace {

namespace {

duckdb::vector<duckdb::BoundOrderByNode> OrdersOf(const std::vector<LogicalType>& types,
                                                  const std::vector<idx_t>& columns) {
  duckdb::vector<duckdb::BoundOrderByNode> orders;
  for (idx_t column : columns) {
    orders.emplace_back(
        duckdb::OrderType::ASCENDING, duckdb::OrderByNullType::NULLS_FIRST,
        duckdb::make_uniq<duckdb::BoundReferenceExpression>(types.at(column), column));
  }
  return orders;
}

duckdb::vector<idx_t> AllOf(const std::vector<LogicalType>& types) {
  duckdb::vector<idx_t> columns(types.size());
  std::iota(columns.begin(), columns.end(), 0);
  return columns;
}

}  // namespace

struct RowSorter::State {
  State(duckdb::DatabaseInstance& database, const std::vector<LogicalType>& types,
        const std::vector<idx_t>& columns)
      : connection(database),
        thread(*connection.context),
        context(*connection.context, thread, nullptr),
        sort(*connection.context, OrdersOf(types, columns), {types.begin(), types.end()},
             AllOf(types)),
        sink(sort.GetGlobalSinkState(*connection.context)),
        local_sink(sort.GetLocalSinkState(context)) {}

  void EndInput() {
    duckdb::OperatorSinkCombineInput combine{*sink, *local_sink, interrupt};
    sort.Combine(context, combine);
    duckdb::OperatorSinkFinalizeInput finalize{*sink, interrupt};
    sort.Finalize(*connection.context, finalize);
    source = sort.GetGlobalSourceState(*connection.context, *sink);
    local_source = sort.GetLocalSourceState(context, *source);
  }

  /// Binding, and what asks for settings, wants one.
  struct Transaction {
    explicit Transaction(duckdb::Connection& connection) { connection.BeginTransaction(); }
  };

  QueryConnection connection;
  Transaction transaction{connection};
  duckdb::ThreadContext thread;
  duckdb::ExecutionContext context;
  duckdb::InterruptState interrupt;
  duckdb::Sort sort;
  duckdb::unique_ptr<duckdb::GlobalSinkState> sink;
  duckdb::unique_ptr<duckdb::LocalSinkState> local_sink;
  duckdb::unique_ptr<duckdb::GlobalSourceState> source;
  duckdb::unique_ptr<duckdb::LocalSourceState> local_source;
};

RowSorter::RowSorter(duckdb::DatabaseInstance& database, const std::vector<LogicalType>& types,
                     const std::vector<idx_t>& columns)
    : state_(std::make_unique<State>(database, types, columns)) {}
RowSorter::~RowSorter() = default;

void RowSorter::Add(DataChunk& rows) {
  duckdb::OperatorSinkInput input{*state_->sink, *state_->local_sink, state_->interrupt};
  state_->sort.Sink(state_->context, rows, input);
}

bool RowSorter::Next(DataChunk& rows) {
  if (!state_->source) state_->EndInput();
  duckdb::OperatorSourceInput input{*state_->source, *state_->local_source, state_->interrupt};
  auto more = duckdb::SourceResultType::HAVE_MORE_OUTPUT;
  while (rows.size() == 0 && more == duckdb::SourceResultType::HAVE_MORE_OUTPUT) {
    more = state_->sort.GetData(state_->context, rows, input);
  }
  return rows.size() > 0;
}

}  // namespace millrace
