// plan_ordered.cc - the part of the plan compiler for what depends on order or is recomputed by
// DuckDB.
#include <algorithm>

#include "duckdb/planner/expression/bound_aggregate_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression/bound_window_expression.hpp"
#include "duckdb/planner/operator/logical_aggregate.hpp"
#include "duckdb/planner/operator/logical_distinct.hpp"
#include "duckdb/planner/operator/logical_limit.hpp"
#include "duckdb/planner/operator/logical_order.hpp"
#include "duckdb/planner/operator/logical_window.hpp"
#include "stream/ordered_operators.h"
#include "stream/plan_compiler.h"
#include "stream/stateless_operators.h"

namespace millrace {

namespace {

using duckdb::LogicalOperatorType;
using LogicalPlan = duckdb::unique_ptr<duckdb::LogicalOperator>;

ExpressionList RebindAll(const ExpressionList& expressions, const Bindings& bindings) {
  ExpressionList rebound;
  for (auto& expression : expressions) rebound.push_back(RebindColumns(*expression, bindings, 0));
  return rebound;
}

uint64_t LimitValue(duckdb::BoundLimitNode& node, uint64_t unset) {
  switch (node.Type()) {
    case duckdb::LimitNodeType::UNSET:
      return unset;
    case duckdb::LimitNodeType::CONSTANT_VALUE:
      return node.GetConstantValue();
    default:
      PlanCompiler::Refuse("LIMIT or OFFSET by an expression or a percentage");
  }
}

}  // namespace

Operator& PlanCompiler::WalkLimit(duckdb::LogicalOperator& plan) {
  auto& limit = plan.Cast<duckdb::LogicalLimit>();
  uint64_t count = LimitValue(limit.limit_val, UINT64_MAX);
  uint64_t offset = LimitValue(limit.offset_val, 0);
  duckdb::LogicalOperator* below = plan.children[0].get();
  duckdb::LogicalOrder* order = nullptr;
  if (below->type == LogicalOperatorType::LOGICAL_ORDER_BY)
    order = &below->Cast<duckdb::LogicalOrder>();
  auto& source = order ? below->children[0] : plan.children[0];
  Bindings bindings = source->GetColumnBindings();
  Operator& child = Walk(source);
  ExpressionList columns;
  for (idx_t i = 0; i < child.Types().size(); i++) {
    columns.push_back(duckdb::make_uniq<duckdb::BoundReferenceExpression>(child.Types()[i], i));
  }
  std::vector<TopOperator::Order> orders;
  if (order) {
    for (auto& node : order->orders) {
      columns.push_back(ResolveColumns(*node.expression, bindings));
      orders.push_back({node.type == duckdb::OrderType::DESCENDING,
                        node.null_order == duckdb::OrderByNullType::NULLS_FIRST});
    }
  }
  auto& keyed = Add(std::make_unique<ProjectOperator>(context_, std::move(columns)), {&child});
  auto& top =
      Add(std::make_unique<TopOperator>(arena_, keyed.Types(), orders, offset, count), {&keyed});
  top.unique_keys = child.unique_keys;
  top.consolidated = false;  // -D and +I: pairs are made at the top, by key.
  duckdb::vector<idx_t> wanted;
  if (order && !order->projection_map.empty()) {
    wanted = order->projection_map;
  } else {
    for (idx_t i = 0; i < child.Types().size(); i++) wanted.push_back(i);
  }
  return PickColumns(top, wanted);
}

Operator& PlanCompiler::WalkWindow(duckdb::LogicalOperator& plan) {
  auto& windows = plan.Cast<duckdb::LogicalWindow>();
  Bindings bindings = plan.children[0]->GetColumnBindings();
  Operator& child = Walk(plan.children[0]);
  // What all windows partition by: rows of other partitions never matter.
  ExpressionList common;
  for (idx_t i = 0; i < windows.expressions.size(); i++) {
    auto& window = windows.expressions[i]->Cast<duckdb::BoundWindowExpression>();
    if (i == 0) {
      common = CopyExpressions(window.partitions);
      continue;
    }
    auto missing = [&](duckdb::unique_ptr<duckdb::Expression>& expression) {
      return std::none_of(window.partitions.begin(), window.partitions.end(),
                          [&](auto& other) { return other->Equals(*expression); });
    };
    common.erase(std::remove_if(common.begin(), common.end(), missing), common.end());
  }
  ExpressionList partition = Resolve(common, bindings);
  return Recompute(plan, child, bindings, std::move(partition), {});
}

Operator& PlanCompiler::Recompute(duckdb::LogicalOperator& plan, Operator& child,
                                  const Bindings& bindings, ExpressionList partition,
                                  UniqueKey key_outputs) {
  RecomputeOperator::Plan made;
  made.input_types = child.Types();
  made.output_types = plan.types;
  made.name = plan.GetName();
  made.partition = CopyExpressions(partition);
  auto shared = std::make_shared<ExpressionList>(RebindAll(plan.expressions, bindings));
  RefuseChance(plan);
  for (auto& expression : plan.expressions) {
    made.name += " " + expression->ToString();
  }
  std::vector<UniqueKey> keys;
  switch (plan.type) {
    case LogicalOperatorType::LOGICAL_WINDOW: {
      made.output_partition = CopyExpressions(partition);
      made.over = [shared](LogicalPlan rows) -> LogicalPlan {
        auto window = duckdb::make_uniq<duckdb::LogicalWindow>(1);
        window->expressions = CopyExpressions(*shared);
        window->children.push_back(std::move(rows));
        return window;
      };
      keys = child.unique_keys;
      break;
    }
    case LogicalOperatorType::LOGICAL_AGGREGATE_AND_GROUP_BY: {
      auto& aggregate = plan.Cast<duckdb::LogicalAggregate>();
      auto groups = std::make_shared<ExpressionList>(RebindAll(aggregate.groups, bindings));
      auto sets = aggregate.grouping_sets;
      auto functions = aggregate.grouping_functions;
      std::vector<idx_t> grouped;  // Of one grouping set: its own.
      if (sets.size() == 1) {
        grouped.assign(sets[0].begin(), sets[0].end());
      } else {
        for (idx_t i = 0; i < aggregate.groups.size(); i++) grouped.push_back(i);
      }
      for (idx_t i : grouped) {
        made.output_partition.push_back(duckdb::make_uniq<duckdb::BoundReferenceExpression>(
            aggregate.groups[i]->return_type, i));
      }
      made.rows_from_nothing = grouped.empty();
      made.over = [shared, groups, sets, functions](LogicalPlan rows) -> LogicalPlan {
        auto copy = duckdb::make_uniq<duckdb::LogicalAggregate>(1, 2, CopyExpressions(*shared));
        copy->groupings_index = 3;
        copy->groups = CopyExpressions(*groups);
        copy->grouping_sets = sets;
        copy->grouping_functions = functions;
        copy->children.push_back(std::move(rows));
        return copy;
      };
      keys = {key_outputs};
      break;
    }
    case LogicalOperatorType::LOGICAL_DISTINCT: {
      auto& distinct = plan.Cast<duckdb::LogicalDistinct>();
      auto targets =
          std::make_shared<ExpressionList>(RebindAll(distinct.distinct_targets, bindings));
      auto type = distinct.distinct_type;
      std::shared_ptr<duckdb::BoundOrderModifier> order;
      if (distinct.order_by) {
        order = std::make_shared<duckdb::BoundOrderModifier>();
        for (auto& node : distinct.order_by->orders) {
          order->orders.emplace_back(node.type, node.null_order,
                                     RebindColumns(*node.expression, bindings, 0));
        }
      }
      made.output_partition = CopyExpressions(partition);
      made.over = [targets, type, order](LogicalPlan rows) -> LogicalPlan {
        auto copy = duckdb::make_uniq<duckdb::LogicalDistinct>(CopyExpressions(*targets), type);
        if (order) copy->order_by = order->Copy();
        copy->children.push_back(std::move(rows));
        return copy;
      };
      keys = child.unique_keys;
      if (!key_outputs.empty()) keys.push_back(key_outputs);
      break;
    }
    default:
      Refuse(plan.GetName());
  }
  auto& added =
      Add(std::make_unique<RecomputeOperator>(context_, arena_, std::move(made)), {&child});
  added.unique_keys = keys;
  return added;
}

}  // namespace millrace
