// plan_joins.cc - the part of the plan compiler for joins.
#include "duckdb/planner/expression/bound_comparison_expression.hpp"
#include "duckdb/planner/operator/logical_any_join.hpp"
#include "duckdb/planner/operator/logical_comparison_join.hpp"
#include "stream/join_chain.h"
#include "stream/multiset_operators.h"
#include "stream/plan_compiler.h"
#include "stream/plan_keys.h"
#include "stream/stateless_operators.h"

namespace millrace {

namespace {

using duckdb::LogicalOperatorType;

Bindings Concatenate(Bindings left, const Bindings& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

JoinKind KindOf(duckdb::JoinType type) {
  switch (type) {
    case duckdb::JoinType::INNER:
      return JoinKind::kInner;
    case duckdb::JoinType::LEFT:
      return JoinKind::kLeft;
    case duckdb::JoinType::RIGHT:
      return JoinKind::kRight;
    case duckdb::JoinType::OUTER:
      return JoinKind::kFull;
    case duckdb::JoinType::SEMI:
      return JoinKind::kSemi;
    case duckdb::JoinType::ANTI:
      return JoinKind::kAnti;
    case duckdb::JoinType::MARK:
      return JoinKind::kMark;
    default:
      PlanCompiler::Refuse("a join of type " + duckdb::EnumUtil::ToString(type));
  }
}

/// Of joins by one key: rows of inputs that have one row a key follow from those of the others.
std::vector<UniqueKey> UniqueKeysOf(const MultiJoinOperator::Plan& plan,
                                    const std::vector<Operator*>& inputs) {
  std::vector<std::vector<UniqueKey>> in_output;
  for (idx_t i = 0; i < inputs.size(); i++) {
    ColumnPlaces where(inputs[i]->Types().size());
    for (idx_t out = 0; out < plan.output.size(); out++) {
      if (plan.output[out].input == i) where[plan.output[out].column] = out;
    }
    in_output.push_back(MapKeys(inputs[i]->unique_keys, where));
  }
  std::vector<UniqueKey> keys = {{}};
  bool never_null = false;
  for (idx_t i = 0; i < inputs.size(); i++) {
    if (ContainsKey(inputs[i]->unique_keys, PlainColumns(plan.inputs[i].keys))) continue;
    keys = PairKeys(keys, in_output[i]);
    never_null = never_null || plan.inputs[i].group == 0;
  }
  if (never_null) return keys;
  std::vector<UniqueKey> all;  // Rows that are NULL do not tell the key: another has to.
  for (idx_t i = 0; i < inputs.size(); i++) {
    if (plan.inputs[i].group != 0) continue;
    for (UniqueKey& key : PairKeys(keys, in_output[i])) all.push_back(std::move(key));
  }
  return all;
}

}  // namespace

Operator& PlanCompiler::WalkChain(JoinChain chain) {
  MultiJoinOperator::Plan made;
  made.null_matches = std::move(chain.null_matches);
  made.output = std::move(chain.output);
  std::vector<Operator*> inputs;
  for (JoinChain::Leaf& leaf : chain.leaves) {
    inputs.push_back(&Walk(*leaf.plan));
    made.inputs.push_back({std::move(leaf.keys), inputs.back()->Types(), leaf.group});
  }
  auto keys = UniqueKeysOf(made, inputs);
  auto& join = Add(std::make_unique<MultiJoinOperator>(context_, arena_, std::move(made)), {});
  for (Operator* input : inputs) join.AddInput(*input);
  join.unique_keys = std::move(keys);
  return join;
}

Operator& PlanCompiler::WalkJoin(duckdb::LogicalComparisonJoin& plan) {
  if (rules_.multi_joins && plan.type == LogicalOperatorType::LOGICAL_COMPARISON_JOIN) {
    auto apart = [&](duckdb::LogicalOperator& node) {
      return IsConstant(node) || WantsWhole(node);
    };
    if (auto chain = FindJoinChain(plan, apart)) return WalkChain(std::move(*chain));
  }
  Bindings left_bindings = plan.children[0]->GetColumnBindings();
  Bindings right_bindings = plan.children[1]->GetColumnBindings();
  bool delim = plan.type == LogicalOperatorType::LOGICAL_DELIM_JOIN;
  idx_t outer = delim && plan.delim_flipped ? 1 : 0;
  Operator* sides[2];
  sides[outer] = &Walk(plan.children[outer]);
  if (delim) {
    ExpressionList columns =
        Resolve(plan.duplicate_eliminated_columns, outer == 0 ? left_bindings : right_bindings);
    auto& project =
        Add(std::make_unique<ProjectOperator>(context_, std::move(columns)), {sides[outer]});
    auto& distinct =
        Add(std::make_unique<SetOperator>(arena_, project.Types(), SetRule::kDistinct), {&project});
    delim_sources_.push_back(&distinct);
  }
  sides[1 - outer] = &Walk(plan.children[1 - outer]);
  if (delim) delim_sources_.pop_back();

  JoinOperator::Plan made;
  made.at_most_one = plan.join_type == duckdb::JoinType::SINGLE;
  made.kind = made.at_most_one ? JoinKind::kLeft : KindOf(plan.join_type);
  Bindings both = Concatenate(left_bindings, right_bindings);
  bool mark = made.kind == JoinKind::kMark;
  for (auto& condition : plan.conditions) {
    bool same = condition.comparison == duckdb::ExpressionType::COMPARE_NOT_DISTINCT_FROM;
    bool equal = condition.comparison == duckdb::ExpressionType::COMPARE_EQUAL;
    std::string chance = VolatileFunction(*condition.left) + VolatileFunction(*condition.right);
    if (!chance.empty()) Refuse(chance + " in a join condition");
    if (same || (equal && (!mark || plan.conditions.size() == 1))) {
      made.left_keys.push_back(ResolveColumns(*condition.left, left_bindings));
      made.right_keys.push_back(ResolveColumns(*condition.right, right_bindings));
      made.null_matches.push_back(same);
    } else {
      made.residual.push_back(duckdb::make_uniq<duckdb::BoundComparisonExpression>(
          condition.comparison, ResolveColumns(*condition.left, both),
          ResolveColumns(*condition.right, both)));
    }
  }
  if (plan.predicate) made.residual.push_back(ResolveColumns(*plan.predicate, both));
  made.left_output = MapOrAll(plan.left_projection_map, sides[0]->Types().size());
  made.right_output = MapOrAll(plan.right_projection_map, sides[1]->Types().size());
  return FinishJoin(std::move(made), *sides[0], *sides[1]);
}

Operator& PlanCompiler::WalkNestedLoop(duckdb::LogicalOperator& plan) {
  Bindings both =
      Concatenate(plan.children[0]->GetColumnBindings(), plan.children[1]->GetColumnBindings());
  Operator& left = Walk(plan.children[0]);
  Operator& right = Walk(plan.children[1]);
  JoinOperator::Plan made;
  made.left_output = AllColumns(left.Types().size());
  made.right_output = AllColumns(right.Types().size());
  if (plan.type == LogicalOperatorType::LOGICAL_ANY_JOIN) {
    auto& any = plan.Cast<duckdb::LogicalAnyJoin>();
    made.kind = KindOf(any.join_type);
    made.residual.push_back(ResolveColumns(*any.condition, both));
    made.left_output = MapOrAll(any.left_projection_map, left.Types().size());
    made.right_output = MapOrAll(any.right_projection_map, right.Types().size());
  }
  return FinishJoin(std::move(made), left, right);
}

Operator& PlanCompiler::FinishJoin(JoinOperator::Plan plan, Operator& left, Operator& right) {
  plan.left_types = left.Types();
  plan.right_types = right.Types();
  JoinKind kind = plan.kind;
  bool left_once = ContainsKey(left.unique_keys, PlainColumns(plan.left_keys));
  bool right_once =
      ContainsKey(right.unique_keys, PlainColumns(plan.right_keys)) || plan.at_most_one;
  auto left_where = Where(plan.left_output, left.Types().size());
  auto right_where = Where(plan.right_output, right.Types().size(), plan.left_output.size());
  auto& join =
      Add(std::make_unique<JoinOperator>(context_, arena_, std::move(plan)), {&left, &right});
  auto left_keys = MapKeys(left.unique_keys, left_where);
  if (kind >= JoinKind::kSemi) {
    join.unique_keys = left_keys;
    return join;
  }
  auto right_keys = MapKeys(right.unique_keys, right_where);
  bool keeps_left = kind == JoinKind::kInner || kind == JoinKind::kLeft;
  bool keeps_right = kind == JoinKind::kInner || kind == JoinKind::kRight;
  if (right_once && keeps_left) join.unique_keys = left_keys;
  auto add = [&](const std::vector<UniqueKey>& keys) {
    join.unique_keys.insert(join.unique_keys.end(), keys.begin(), keys.end());
  };
  if (left_once && keeps_right) add(right_keys);
  add(PairKeys(left_keys, right_keys));
  return join;
}

}  // namespace millrace
