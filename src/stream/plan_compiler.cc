#include "stream/plan_compiler.h"

#include <algorithm>

#include "catalog/scan_function.h"
#include "duckdb/planner/expression/bound_aggregate_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression/bound_unnest_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/operator/logical_aggregate.hpp"
#include "duckdb/planner/operator/logical_comparison_join.hpp"
#include "duckdb/planner/operator/logical_cteref.hpp"
#include "duckdb/planner/operator/logical_delim_get.hpp"
#include "duckdb/planner/operator/logical_distinct.hpp"
#include "duckdb/planner/operator/logical_filter.hpp"
#include "duckdb/planner/operator/logical_get.hpp"
#include "duckdb/planner/operator/logical_limit.hpp"
#include "duckdb/planner/operator/logical_materialized_cte.hpp"
#include "duckdb/planner/operator/logical_order.hpp"
#include "duckdb/planner/operator/logical_projection.hpp"
#include "duckdb/planner/operator/logical_set_operation.hpp"
#include "duckdb/planner/operator/logical_window.hpp"
#include "stream/aggregate_operator.h"
#include "stream/multiset_operators.h"
#include "stream/plan_keys.h"
#include "stream/stateless_operators.h"
#include "stream/unnest_operator.h"

namespace millrace {

using duckdb::LogicalOperatorType;

void PlanCompiler::Refuse(const std::string& what) {
  Throw(ErrorCode::kUnsupported,
        "Compiling a streaming query: {} has no incremental form here; run the query in batch mode "
        "(SET 'execution.runtime-mode' = 'batch')",
        what);
}

bool PlanCompiler::IsConstant(const duckdb::LogicalOperator& plan) {
  if (FindScan(plan)) return false;
  if (plan.type == LogicalOperatorType::LOGICAL_DELIM_GET) return false;
  if (plan.type == LogicalOperatorType::LOGICAL_CTE_REF) return false;
  return std::all_of(plan.children.begin(), plan.children.end(),
                     [](auto& child) { return IsConstant(*child); });
}

std::string NameOf(const TableDefinition& definition, const char* table) {
  return (IsSharedView(definition) ? "VIEW " : table) + definition.path.ToString();
}

ExpressionList PlanCompiler::Resolve(const ExpressionList& expressions, const Bindings& bindings,
                                     bool volatile_ok) {
  ExpressionList resolved;
  for (auto& expression : expressions) {
    std::string chance = VolatileFunction(*expression);
    if (!chance.empty() && !volatile_ok) {
      Refuse(fmt::format("{}, whose value differs from call to call,", chance));
    }
    if (!chance.empty()) result_.chance = chance;
    resolved.push_back(ResolveColumns(*expression, bindings));
  }
  return resolved;
}

CompiledPlan PlanCompiler::Compile(duckdb::unique_ptr<duckdb::LogicalOperator> root) {
  result_.root = &Walk(root);
  if (!result_.chance.empty()) {
    for (auto& op : result_.operators) {
      if (op->HasState()) {
        Refuse(fmt::format("{}, whose value differs from call to call, together with {}",
                           result_.chance, op->Describe()));
      }
    }
  }
  for (auto& input : result_.inputs) {
    duckdb::vector<LogicalType> types;
    for (idx_t column : input.table.columns) types.push_back(input.types[column]);
    input.entry->SetTypes(types);
  }
  return std::move(result_);
}

Operator& PlanCompiler::Walk(duckdb::unique_ptr<duckdb::LogicalOperator>& plan) {
  if (IsConstant(*plan)) return WalkConstant(std::move(plan));
  if (WantsWhole(*plan)) return WalkWhole(std::move(plan));
  return WalkNode(*plan);
}

Operator& PlanCompiler::WalkNode(duckdb::LogicalOperator& plan) {
  switch (plan.type) {
    case LogicalOperatorType::LOGICAL_GET:
      return WalkGet(plan.Cast<duckdb::LogicalGet>());
    case LogicalOperatorType::LOGICAL_PROJECTION:
      return WalkProjection(plan);
    case LogicalOperatorType::LOGICAL_FILTER:
      return WalkFilter(plan);
    case LogicalOperatorType::LOGICAL_AGGREGATE_AND_GROUP_BY:
      return WalkAggregate(plan.Cast<duckdb::LogicalAggregate>());
    case LogicalOperatorType::LOGICAL_COMPARISON_JOIN:
    case LogicalOperatorType::LOGICAL_DELIM_JOIN:
      return WalkJoin(plan.Cast<duckdb::LogicalComparisonJoin>());
    case LogicalOperatorType::LOGICAL_CROSS_PRODUCT:
    case LogicalOperatorType::LOGICAL_ANY_JOIN:
      return WalkNestedLoop(plan);
    case LogicalOperatorType::LOGICAL_UNION:
    case LogicalOperatorType::LOGICAL_EXCEPT:
    case LogicalOperatorType::LOGICAL_INTERSECT:
      return WalkSetOperation(plan.Cast<duckdb::LogicalSetOperation>());
    case LogicalOperatorType::LOGICAL_DISTINCT:
      return WalkDistinct(plan.Cast<duckdb::LogicalDistinct>());
    case LogicalOperatorType::LOGICAL_LIMIT:
      return WalkLimit(plan);
    case LogicalOperatorType::LOGICAL_ORDER_BY:
      return WalkOrder(plan);
    case LogicalOperatorType::LOGICAL_MATERIALIZED_CTE:
    case LogicalOperatorType::LOGICAL_CTE_REF:
      return WalkCte(plan);
    case LogicalOperatorType::LOGICAL_WINDOW:
      return WalkWindow(plan);
    case LogicalOperatorType::LOGICAL_UNNEST:
      return WalkUnnest(plan);
    case LogicalOperatorType::LOGICAL_POSITIONAL_JOIN:
      Refuse("a POSITIONAL JOIN (rows of a changing table have no positions)");
    case LogicalOperatorType::LOGICAL_SAMPLE:
      Refuse("a SAMPLE (which rows it takes differs from run to run)");
    case LogicalOperatorType::LOGICAL_DELIM_GET: {
      if (delim_sources_.empty()) Refuse("a correlated subquery of this form");
      auto& pass = Add(std::make_unique<PassOperator>(
                           plan.types, std::vector<std::optional<idx_t>>{}, "OUTER VALUES"),
                       {delim_sources_.back()});
      pass.unique_keys = {AllColumns(plan.types.size())};
      return pass;
    }
    default:
      Refuse(duckdb::LogicalOperatorToString(plan.type));
  }
}

void PlanCompiler::RefuseChance(duckdb::LogicalOperator& node) {
  duckdb::LogicalOperatorVisitor::EnumerateExpressions(
      node, [](duckdb::unique_ptr<duckdb::Expression>* expression) {
        std::string chance = VolatileFunction(**expression);
        if (chance.empty()) return;
        Refuse(fmt::format("{}, whose value differs from call to call,", chance));
      });
}

void PlanCompiler::RefuseChanceWithin(duckdb::LogicalOperator& plan) {
  RefuseChance(plan);
  for (auto& child : plan.children) RefuseChanceWithin(*child);
}

Operator& PlanCompiler::WalkConstant(duckdb::unique_ptr<duckdb::LogicalOperator> plan) {
  RefuseChanceWithin(*plan);
  auto types = plan->types;
  std::string name = "CONSTANT";
  if (plan->type == LogicalOperatorType::LOGICAL_GET) {
    name += " " + plan->Cast<duckdb::LogicalGet>().function.name;
  }
  auto& entry =
      Add(std::make_unique<PassOperator>(types, std::vector<std::optional<idx_t>>{}, name), {});
  result_.constants.push_back({&entry, RunPlan(context_, std::move(plan))});
  return entry;
}

idx_t PlanCompiler::InputOf(const std::shared_ptr<const TableDefinition>& definition) {
  for (idx_t i = 0; i < result_.inputs.size(); i++) {
    auto& known = *result_.inputs[i].table.definition;
    if (known.path == definition->path && known.options == definition->options) return i;
  }
  auto& entry = Add(std::make_unique<PassOperator>(duckdb::vector<LogicalType>{},
                                                   std::vector<std::optional<idx_t>>{},
                                                   NameOf(*definition, "TABLE ")),
                    {});
  result_.inputs.push_back({SourceTable{definition, {}}, &entry, {}, {}});
  auto& input = result_.inputs.back();
  for (auto& name : definition->primary_key) {
    auto column = definition->FindColumn(name);
    if (!column)
      Throw(ErrorCode::kInvalid, "Table {}: key column '{}' does not exist",
            definition->path.ToString(), name);
    input.key.push_back(ColumnOf(input, *column));
  }
  return result_.inputs.size() - 1;
}

idx_t PlanCompiler::ColumnOf(CompiledPlan::Input& input, idx_t column) {
  auto& columns = input.table.columns;
  auto found = std::find(columns.begin(), columns.end(), column);
  if (found == columns.end()) found = columns.insert(columns.end(), column);
  return static_cast<idx_t>(found - columns.begin());
}

Operator& PlanCompiler::WalkGet(duckdb::LogicalGet& get) {
  const ScanBindData& bound = *FindScan(get);
  if (!get.table_filters.filters.empty())
    Refuse("a filter pushed into the scan of " + get.GetName());
  auto& input = result_.inputs[InputOf(bound.definition)];
  input.types = get.returned_types;
  std::vector<std::optional<idx_t>> columns;
  auto& ids = get.GetColumnIds();
  for (auto& binding : get.GetColumnBindings()) {
    idx_t id = ids[binding.column_index].GetPrimaryIndex();
    if (id < bound.definition->columns.size()) {
      columns.push_back(ColumnOf(input, id));
    } else {
      columns.push_back(std::nullopt);  // Row ids: wanted for counting only.
    }
  }
  auto where = std::vector<std::optional<idx_t>>(input.table.columns.size());
  for (idx_t i = 0; i < columns.size(); i++) {
    if (columns[i]) where[*columns[i]] = i;
  }
  std::vector<UniqueKey> keys;
  if (!input.key.empty()) {
    if (auto key = MapKey(input.key, where)) keys.push_back(*key);
  }
  auto& pass = Add(std::make_unique<PassOperator>(get.types, columns,
                                                  NameOf(*bound.definition, "SCAN ")),
                   {input.entry});
  pass.unique_keys = keys;
  return pass;
}

Operator& PlanCompiler::WalkProjection(duckdb::LogicalOperator& plan) {
  Bindings bindings = plan.children[0]->GetColumnBindings();
  Operator& child = Walk(plan.children[0]);
  ExpressionList expressions = Resolve(plan.expressions, bindings, true);
  auto plain = PlainColumns(expressions);
  std::vector<std::optional<idx_t>> where(child.Types().size());
  for (idx_t i = 0; i < plain.size(); i++) {
    if (plain[i]) where[*plain[i]] = i;
  }
  auto& project =
      Add(std::make_unique<ProjectOperator>(context_, std::move(expressions)), {&child});
  for (auto& key : child.unique_keys) {
    if (auto mapped = MapKey(key, where)) project.unique_keys.push_back(*mapped);
  }
  project.consolidated = child.consolidated && std::all_of(where.begin(), where.end(),
                                                           [](auto& at) { return at.has_value(); });
  return project;
}

Operator& PlanCompiler::PickColumns(Operator& child, const duckdb::vector<idx_t>& columns) {
  if (columns.empty()) return child;
  std::vector<std::optional<idx_t>> picked;
  duckdb::vector<LogicalType> types;
  for (idx_t column : columns) {
    picked.push_back(column);
    types.push_back(child.Types()[column]);
  }
  auto& pass = Add(std::make_unique<PassOperator>(types, picked, "PICK"), {&child});
  auto where = Where(std::vector<idx_t>(columns.begin(), columns.end()), child.Types().size());
  for (auto& key : child.unique_keys) {
    if (auto mapped = MapKey(key, where)) pass.unique_keys.push_back(*mapped);
  }
  return pass;
}

Operator& PlanCompiler::WalkFilter(duckdb::LogicalOperator& plan) {
  Bindings bindings = plan.children[0]->GetColumnBindings();
  Operator& child = Walk(plan.children[0]);
  if (plan.expressions.empty())
    return PickColumns(child, plan.Cast<duckdb::LogicalFilter>().projection_map);
  auto& filter = Add(std::make_unique<FilterOperator>(context_, child.Types(),
                                                      Resolve(plan.expressions, bindings)),
                     {&child});
  filter.unique_keys = child.unique_keys;
  filter.consolidated = child.consolidated;
  return PickColumns(filter, plan.Cast<duckdb::LogicalFilter>().projection_map);
}

Operator& PlanCompiler::WalkAggregate(duckdb::LogicalAggregate& plan) {
  Bindings bindings = plan.children[0]->GetColumnBindings();
  Operator& child = Walk(plan.children[0]);
  bool native = true;
  for (auto& expression : plan.expressions) {
    auto& aggregate = expression->Cast<duckdb::BoundAggregateExpression>();
    native = native && NativeAggregate(aggregate).has_value();
  }
  if (!native) {
    for (auto& expression : plan.expressions) {
      auto& aggregate = expression->Cast<duckdb::BoundAggregateExpression>();
      if (aggregate.function.name == "bitstring_agg" && aggregate.children.size() == 1)
        Refuse("bitstring_agg without bounds (bitstring_agg(x, least, greatest) has)");
    }
    if (plan.grouping_sets.size() > 1) return RecomputeSets(plan, child, bindings);
    ExpressionList partition = Resolve(plan.groups, bindings);
    return Recompute(plan, child, bindings, std::move(partition), AllColumns(plan.groups.size()));
  }
  if (plan.grouping_sets.size() <= 1) return AggregateSet(plan, child, bindings, nullptr);
  std::vector<Operator*> sets;
  for (auto& grouping : plan.grouping_sets) {
    std::set<idx_t> columns(grouping.begin(), grouping.end());
    sets.push_back(&AggregateSet(plan, child, bindings, &columns));
  }
  return Unite(sets);
}

/// GROUPING SETS whose aggregates DuckDB recomputes: set by set.
Operator& PlanCompiler::RecomputeSets(duckdb::LogicalAggregate& plan, Operator& child,
                                      const Bindings& bindings) {
  std::vector<Operator*> sets;
  auto all = plan.grouping_sets;
  for (auto& grouping : all) {
    plan.grouping_sets = {grouping};
    ExpressionList partition;
    for (idx_t group : grouping) partition.push_back(ResolveColumns(*plan.groups[group], bindings));
    sets.push_back(&Recompute(plan, child, bindings, std::move(partition), {}));
    sets.back()->unique_keys.clear();
  }
  return Unite(sets);
}

Operator& PlanCompiler::Unite(const std::vector<Operator*>& sets) {
  auto& all = Add(std::make_unique<PassOperator>(
                      sets[0]->Types(), std::vector<std::optional<idx_t>>{}, "GROUPING SETS"),
                  {});
  for (Operator* set : sets) all.AddInput(*set);
  return all;
}

/// One grouping set; null: the plain GROUP BY over all groups.
Operator& PlanCompiler::AggregateSet(duckdb::LogicalAggregate& plan, Operator& child,
                                     const Bindings& bindings, const std::set<idx_t>* grouping) {
  AggregateOperator::Plan made;
  for (idx_t i = 0; i < plan.groups.size(); i++) {
    made.group_types.push_back(plan.groups[i]->return_type);
    if (grouping && !grouping->count(i)) {
      made.group_outputs.push_back(std::nullopt);
      continue;
    }
    made.group_outputs.push_back(made.groups.size());
    made.groups.push_back(ResolveColumns(*plan.groups[i], bindings));
  }
  made.always_one_row = made.groups.empty();
  for (auto& function : plan.grouping_functions) {
    int64_t value = 0;  // One bit per argument, set when it is not grouped by.
    for (idx_t group : function) value = value * 2 + (grouping && !grouping->count(group) ? 1 : 0);
    made.groupings.push_back(value);
  }
  for (auto& expression : plan.expressions) {
    auto& aggregate = expression->Cast<duckdb::BoundAggregateExpression>();
    AggregateCall call = *NativeAggregate(aggregate);
    if (!aggregate.children.empty()) {
      call.argument = made.arguments.size();
      made.arguments.push_back(ResolveColumns(*aggregate.children[0], bindings));
    }
    if (aggregate.filter) {
      call.filter = made.arguments.size();
      made.arguments.push_back(ResolveColumns(*aggregate.filter, bindings));
    }
    if (!VolatileFunction(aggregate).empty()) Refuse(aggregate.ToString());
    made.calls.push_back(std::move(call));
  }
  idx_t groups = plan.groups.size();
  auto& added =
      Add(std::make_unique<AggregateOperator>(context_, arena_, std::move(made)), {&child});
  added.unique_keys = {AllColumns(groups)};
  added.consolidated = true;
  return added;
}

Operator& PlanCompiler::WalkSetOperation(duckdb::LogicalSetOperation& plan) {
  std::vector<Operator*> children;
  for (auto& child : plan.children) children.push_back(&Walk(child));
  SetRule rule = SetRule::kDistinct;
  if (plan.type == LogicalOperatorType::LOGICAL_UNION) {
    auto& all = Add(std::make_unique<PassOperator>(plan.types, std::vector<std::optional<idx_t>>{},
                                                   "UNION ALL"),
                    {});
    for (Operator* child : children) all.AddInput(*child);
    if (plan.setop_all) return all;
    auto& distinct = Add(std::make_unique<SetOperator>(arena_, plan.types, rule), {&all});
    distinct.unique_keys = {AllColumns(plan.types.size())};
    distinct.consolidated = true;
    return distinct;
  }
  MILLRACE_CHECK(children.size() == 2);
  if (plan.type == LogicalOperatorType::LOGICAL_EXCEPT) {
    rule = plan.setop_all ? SetRule::kExceptAll : SetRule::kExcept;
  } else {
    rule = plan.setop_all ? SetRule::kIntersectAll : SetRule::kIntersect;
  }
  auto& set =
      Add(std::make_unique<SetOperator>(arena_, plan.types, rule), {children[0], children[1]});
  set.unique_keys = children[0]->unique_keys;
  if (!plan.setop_all) set.unique_keys.push_back(AllColumns(plan.types.size()));
  set.consolidated = true;
  return set;
}

Operator& PlanCompiler::WalkDistinct(duckdb::LogicalDistinct& plan) {
  Bindings bindings = plan.children[0]->GetColumnBindings();
  Operator& child = Walk(plan.children[0]);
  ExpressionList targets = Resolve(plan.distinct_targets, bindings);
  std::set<idx_t> covered;
  for (auto& target : targets) {
    if (auto column = PlainColumn(*target)) covered.insert(*column);
  }
  if (covered.size() == child.Types().size()) {
    auto& distinct =
        Add(std::make_unique<SetOperator>(arena_, child.Types(), SetRule::kDistinct), {&child});
    distinct.unique_keys = child.unique_keys;
    distinct.unique_keys.push_back(AllColumns(child.Types().size()));
    distinct.consolidated = true;
    return distinct;
  }
  UniqueKey key;
  for (auto& target : targets) {
    if (auto column = PlainColumn(*target)) key.push_back(*column);
  }
  if (key.size() != targets.size()) key.clear();
  return Recompute(plan, child, bindings, std::move(targets), key);
}

Operator& PlanCompiler::WalkOrder(duckdb::LogicalOperator& plan) {
  // Order has no meaning for a multiset; under LIMIT, WalkLimit has taken it.
  Operator& child = Walk(plan.children[0]);
  return PickColumns(child, plan.Cast<duckdb::LogicalOrder>().projection_map);
}

Operator& PlanCompiler::WalkUnnest(duckdb::LogicalOperator& plan) {
  Bindings bindings = plan.children[0]->GetColumnBindings();
  Operator& child = Walk(plan.children[0]);
  ExpressionList lists;
  duckdb::vector<LogicalType> elements;
  for (auto& expression : plan.expressions) {
    lists.push_back(expression->Cast<duckdb::BoundUnnestExpression>().child->Copy());
    elements.push_back(expression->return_type);
  }
  return Add(
      std::make_unique<UnnestOperator>(context_, child.Types(), elements, Resolve(lists, bindings)),
      {&child});
}

Operator& PlanCompiler::WalkCte(duckdb::LogicalOperator& plan) {
  if (plan.type == LogicalOperatorType::LOGICAL_CTE_REF) {
    auto found = ctes_.find(plan.Cast<duckdb::LogicalCTERef>().cte_index);
    if (found == ctes_.end()) Refuse("a recursive WITH");
    auto& pass = Add(
        std::make_unique<PassOperator>(plan.types, std::vector<std::optional<idx_t>>{}, "SHARED"),
        {found->second});
    pass.unique_keys = found->second->unique_keys;
    pass.consolidated = found->second->consolidated;
    return pass;
  }
  auto& cte = plan.Cast<duckdb::LogicalMaterializedCTE>();
  ctes_[cte.table_index] = &Walk(plan.children[0]);
  return Walk(plan.children[1]);
}

}  // namespace millrace
