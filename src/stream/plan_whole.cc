// plan_whole.cc - the part of the plan compiler for sub-plans that DuckDB runs as a whole: where
// they are cut off from what has rules, and how they are made again for each run.
#include <algorithm>

#include "catalog/scan_function.h"
#include "duckdb/common/types/column/column_data_collection.hpp"
#include "duckdb/planner/logical_operator_visitor.hpp"
#include "duckdb/planner/operator/logical_column_data_get.hpp"
#include "duckdb/planner/operator/logical_comparison_join.hpp"
#include "duckdb/planner/operator/logical_cte.hpp"
#include "duckdb/planner/operator/logical_cteref.hpp"
#include "duckdb/planner/operator/logical_get.hpp"
#include "duckdb/planner/operator/logical_limit.hpp"
#include "duckdb/storage/buffer_manager.hpp"
#include "stream/plan_compiler.h"
#include "stream/whole_operator.h"

namespace millrace {

namespace {

using duckdb::LogicalOperatorType;
using LogicalPlan = duckdb::unique_ptr<duckdb::LogicalOperator>;

bool Contains(const duckdb::LogicalOperator& plan,
              const std::function<bool(const duckdb::LogicalOperator&)>& matches) {
  if (matches(plan)) return true;
  for (auto& child : plan.children) {
    if (Contains(*child, matches)) return true;
  }
  return false;
}

/// The index of the one table that all output columns belong to, in order.
std::optional<idx_t> OnlyTable(duckdb::LogicalOperator& plan) {
  auto bindings = plan.GetColumnBindings();
  if (bindings.empty() || bindings.size() != plan.types.size()) return std::nullopt;
  for (idx_t i = 0; i < bindings.size(); i++) {
    if (bindings[i].table_index != bindings[0].table_index) return std::nullopt;
    if (bindings[i].column_index != i) return std::nullopt;
  }
  return bindings[0].table_index;
}

/// Finds where a sub-plan's inputs are: the highest nodes whose rows can be kept up to date apart.
class InputFinder {
 public:
  std::vector<LogicalPlan*> found;

  /// What stands above a node within the sub-plan.
  struct Above {
    bool delim = false;  // A DELIM_JOIN, whose outer values the node may ask for.
    bool limit = false;  // A LIMIT, for which the order of rows counts.
  };
  void Look(LogicalPlan& plan, Above above) {
    bool delim = plan->type == LogicalOperatorType::LOGICAL_DELIM_JOIN;
    idx_t outer = delim && plan->Cast<duckdb::LogicalComparisonJoin>().delim_flipped ? 1 : 0;
    if (plan->type == LogicalOperatorType::LOGICAL_LIMIT) above.limit = true;
    for (idx_t i = 0; i < plan->children.size(); i++) {
      LookAt(plan->children[i], {above.delim || (delim && i != outer), above.limit});
    }
  }
  /// References to this CTE stay within the sub-plan.
  void Own(const duckdb::LogicalOperator& plan) {
    if (plan.type == LogicalOperatorType::LOGICAL_RECURSIVE_CTE ||
        plan.type == LogicalOperatorType::LOGICAL_MATERIALIZED_CTE) {
      own_.insert(plan.Cast<duckdb::LogicalCTE>().table_index);
    }
  }

 private:
  void LookAt(LogicalPlan& plan, Above above) {
    Own(*plan);
    bool changes = Contains(*plan, [](auto& node) {
      return FindScan(node) || node.type == LogicalOperatorType::LOGICAL_CTE_REF ||
             node.type == LogicalOperatorType::LOGICAL_DELIM_GET;
    });
    if (!changes) return;
    bool bound = Contains(*plan, [&](auto& node) {
      if (node.type == LogicalOperatorType::LOGICAL_DELIM_GET) return above.delim;
      if (node.type == LogicalOperatorType::LOGICAL_ORDER_BY) return above.limit;
      return node.type == LogicalOperatorType::LOGICAL_CTE_REF &&
             own_.count(node.template Cast<duckdb::LogicalCTERef>().cte_index) > 0;
    });
    if (!bound && OnlyTable(*plan)) {
      found.push_back(&plan);
    } else {
      Look(plan, above);
    }
  }

  std::set<idx_t> own_;
};

/// Whether rows come in the order of an ORDER BY further down, which DuckDB keeps.
bool HasOrderBelow(const duckdb::LogicalOperator& plan) {
  switch (plan.type) {
    case LogicalOperatorType::LOGICAL_ORDER_BY:
      return true;
    case LogicalOperatorType::LOGICAL_PROJECTION:
    case LogicalOperatorType::LOGICAL_FILTER:
    case LogicalOperatorType::LOGICAL_UNNEST:
    case LogicalOperatorType::LOGICAL_UNION:
    case LogicalOperatorType::LOGICAL_CROSS_PRODUCT:
    case LogicalOperatorType::LOGICAL_COMPARISON_JOIN:
      return std::any_of(plan.children.begin(), plan.children.end(),
                         [](auto& child) { return HasOrderBelow(*child); });
    default:
      return false;
  }
}

bool HasCollation(const duckdb::vector<LogicalType>& types) {
  return std::any_of(types.begin(), types.end(), [](const LogicalType& type) {
    return type.id() == LogicalTypeId::VARCHAR && !duckdb::StringType::GetCollation(type).empty();
  });
}

/// Puts the rows where the inputs were.
void Fill(LogicalPlan& plan, const std::vector<idx_t>& tables, WholeOperator::Rows& rows) {
  if (plan->type == LogicalOperatorType::LOGICAL_CHUNK_GET) {
    auto& get = plan->Cast<duckdb::LogicalColumnDataGet>();
    auto found = std::find(tables.begin(), tables.end(), get.table_index);
    if (found == tables.end()) return;
    auto types = get.chunk_types;
    plan = duckdb::make_uniq<duckdb::LogicalColumnDataGet>(
        get.table_index, types, std::move(rows[static_cast<size_t>(found - tables.begin())]));
    return;
  }
  for (auto& child : plan->children) Fill(child, tables, rows);
}

}  // namespace

bool PlanCompiler::WantsWhole(duckdb::LogicalOperator& plan) {
  switch (plan.type) {
    case LogicalOperatorType::LOGICAL_RECURSIVE_CTE:
    case LogicalOperatorType::LOGICAL_ASOF_JOIN:
    case LogicalOperatorType::LOGICAL_PIVOT:
    case LogicalOperatorType::LOGICAL_EXPRESSION_GET:
      return true;
    case LogicalOperatorType::LOGICAL_DELIM_JOIN:
    case LogicalOperatorType::LOGICAL_COMPARISON_JOIN: {
      // Any row of a scalar subquery will do when several are no error.
      Value strict;
      context_.TryGetCurrentSetting("scalar_subquery_error_on_multiple_rows", strict);
      return plan.Cast<duckdb::LogicalJoin>().join_type == duckdb::JoinType::SINGLE &&
             !strict.IsNull() && !strict.GetValue<bool>();
    }
    case LogicalOperatorType::LOGICAL_GET:
      return !FindScan(plan);  // A table function over rows.
    case LogicalOperatorType::LOGICAL_LIMIT: {
      auto constant = [](duckdb::BoundLimitNode& node) {
        return node.Type() == duckdb::LimitNodeType::UNSET ||
               node.Type() == duckdb::LimitNodeType::CONSTANT_VALUE;
      };
      auto& limit = plan.Cast<duckdb::LogicalLimit>();
      auto& child = *plan.children[0];
      bool ordered = child.type == LogicalOperatorType::LOGICAL_ORDER_BY;
      return !constant(limit.limit_val) || !constant(limit.offset_val) ||
             (!ordered && HasOrderBelow(child));
    }
    case LogicalOperatorType::LOGICAL_EXCEPT:
    case LogicalOperatorType::LOGICAL_INTERSECT:
      return HasCollation(plan.types);
    default:
      return false;
  }
}

Operator& PlanCompiler::WalkWhole(LogicalPlan plan) {
  RefuseChanceWithin(*plan);
  InputFinder finder;
  finder.Own(*plan);
  finder.Look(plan, {});
  WholeOperator::Plan made;
  made.name = plan->GetName();
  made.output_types = plan->types;
  std::vector<idx_t> tables;
  std::vector<Operator*> inputs;
  for (LogicalPlan* input : finder.found) {
    idx_t table = *OnlyTable(**input);
    tables.push_back(table);
    auto types = (*input)->types;
    inputs.push_back(&Walk(*input));
    made.input_types.push_back(types);
    *input = duckdb::make_uniq<duckdb::LogicalColumnDataGet>(
        table, types,
        duckdb::make_uniq<duckdb::ColumnDataCollection>(
            duckdb::BufferManager::GetBufferManager(context_), types));
  }
  std::shared_ptr<duckdb::LogicalOperator> whole(plan.release());
  auto& context = context_;
  made.over = [whole, tables, &context](WholeOperator::Rows rows) {
    LogicalPlan copy = whole->Copy(context);
    Fill(copy, tables, rows);
    return copy;
  };
  (void)whole->Copy(context_);  // Throws now rather than in the first step.
  auto& added = Add(std::make_unique<WholeOperator>(context_, arena_, std::move(made)), {});
  for (Operator* input : inputs) added.AddInput(*input);
  added.consolidated = true;
  return added;
}

}  // namespace millrace
