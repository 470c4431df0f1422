#include "stream/join_chain.h"

#include <algorithm>

#include "duckdb/planner/operator/logical_comparison_join.hpp"
#include "duckdb/planner/operator/logical_projection.hpp"
#include "stream/plan_keys.h"

namespace millrace {

namespace {

using duckdb::LogicalOperatorType;
using LogicalPlan = duckdb::unique_ptr<duckdb::LogicalOperator>;

/// `left` = `right`, each over the columns of its side.
struct Equality {
  duckdb::unique_ptr<duckdb::Expression> sides[2];
  bool null_matches;
};

/// The equalities of a join that has nothing else; empty: it is none of a chain.
std::vector<Equality> EqualitiesOf(duckdb::LogicalComparisonJoin& join) {
  std::vector<Equality> equalities;
  bool kind = join.join_type == duckdb::JoinType::INNER || join.join_type == duckdb::JoinType::LEFT;
  if (!kind || join.predicate) return {};
  const Bindings bindings[2] = {join.children[0]->GetColumnBindings(),
                                join.children[1]->GetColumnBindings()};
  for (auto& condition : join.conditions) {
    bool same = condition.comparison == duckdb::ExpressionType::COMPARE_NOT_DISTINCT_FROM;
    bool equal = condition.comparison == duckdb::ExpressionType::COMPARE_EQUAL;
    if (!same && !equal) return {};
    if (!VolatileFunction(*condition.left).empty() || !VolatileFunction(*condition.right).empty()) {
      return {};  // Refused where the join is compiled.
    }
    equalities.push_back({{ResolveColumns(*condition.left, bindings[0]),
                           ResolveColumns(*condition.right, bindings[1])},
                          same});
  }
  return equalities;
}

bool IsLeaf(const JoinChain& chain) {
  return chain.leaves.size() == 1;
}

/// Which of the chain's keys a column of its output is, of those not in `taken` if possible.
std::optional<idx_t> KeyOf(const JoinChain& chain, const duckdb::Expression& expression,
                           const std::vector<std::optional<idx_t>>& taken) {
  auto column = PlainColumn(expression);
  if (!column) return std::nullopt;
  const auto& out = chain.output[*column];
  const JoinChain::Leaf& leaf = chain.leaves[out.input];
  if (leaf.group != 0) return std::nullopt;
  std::optional<idx_t> found;
  for (idx_t key = 0; key < leaf.keys.size(); key++) {
    if (PlainColumn(*leaf.keys[key]) != std::optional<idx_t>(out.column)) continue;
    if (!taken[key]) return key;
    if (!found) found = key;
  }
  return found;
}

/// For each key of the chain `side` the equality that names it, when together they name all.
/// Further ones must say the same again: `same(a, b)`.
template <typename Same>
std::optional<std::vector<idx_t>> NameKeys(const JoinChain& chain, idx_t side,
                                           const std::vector<Equality>& equalities, Same&& same) {
  std::vector<std::optional<idx_t>> named(chain.null_matches.size());
  for (idx_t i = 0; i < equalities.size(); i++) {
    auto key = KeyOf(chain, *equalities[i].sides[side], named);
    if (!key || chain.null_matches[*key] != equalities[i].null_matches) return std::nullopt;
    if (named[*key] && !same(*named[*key], i)) return std::nullopt;
    if (!named[*key]) named[*key] = i;
  }
  std::vector<idx_t> all;
  for (auto& equality : named) {
    if (!equality) return std::nullopt;
    all.push_back(*equality);
  }
  return all;
}

/// The equalities that are the keys of both sides together, in the order of the keys of a side that
/// is a chain; nullopt when the sides have other keys. Then `right_keys`, if it is a chain too: its
/// key for each.
std::optional<std::vector<idx_t>> CommonKeys(const JoinChain& left, const JoinChain& right,
                                             const std::vector<Equality>& equalities,
                                             std::vector<idx_t>& right_keys) {
  if (IsLeaf(left) && IsLeaf(right)) return AllColumns(equalities.size());
  if (IsLeaf(left) || IsLeaf(right)) {
    const idx_t side = IsLeaf(left) ? 1 : 0;
    return NameKeys(side == 0 ? left : right, side, equalities, [&](idx_t a, idx_t b) {
      return equalities[a].sides[1 - side]->Equals(*equalities[b].sides[1 - side]);
    });
  }
  std::vector<std::optional<idx_t>> none(right.null_matches.size());
  auto right_key = [&](idx_t i) { return KeyOf(right, *equalities[i].sides[1], none); };
  auto keys =
      NameKeys(left, 0, equalities, [&](idx_t a, idx_t b) { return right_key(a) == right_key(b); });
  if (!keys || left.null_matches.size() != right.null_matches.size()) return std::nullopt;
  for (idx_t i = 0; i < keys->size(); i++) {
    auto key = right_key((*keys)[i]);
    if (!key || right.null_matches[*key] != left.null_matches[i]) return std::nullopt;
    if (std::find(right_keys.begin(), right_keys.end(), *key) != right_keys.end()) {
      return std::nullopt;
    }
    right_keys.push_back(*key);
  }
  return keys;
}

/// Finds chains from the top of a plan down.
class ChainFinder {
 public:
  explicit ChainFinder(const std::function<bool(duckdb::LogicalOperator&)>& apart)
      : apart_(apart) {}

  std::optional<JoinChain> Join(duckdb::LogicalComparisonJoin& join) const {
    std::vector<Equality> equalities = EqualitiesOf(join);
    if (equalities.empty()) return std::nullopt;
    JoinChain left[2] = {Find(join.children[0]), Leaf(join.children[0])};
    JoinChain right[2] = {Find(join.children[1]), Leaf(join.children[1])};
    const bool optional = join.join_type == duckdb::JoinType::LEFT;
    // A side whose joins have another key is one input of those here.
    for (auto [l, r] : {std::pair(0, 0), {0, 1}, {1, 0}, {1, 1}}) {
      if (optional && right[r].groups > 1) continue;  // They would be NULL one within the other.
      std::vector<idx_t> right_keys;
      auto keys = CommonKeys(left[l], right[r], equalities, right_keys);
      if (!keys) continue;
      return Unite(join, std::move(left[l]), std::move(right[r]), equalities, *keys, right_keys);
    }
    return std::nullopt;
  }

 private:
  static JoinChain Leaf(LogicalPlan& plan) {
    JoinChain leaf;
    leaf.leaves.push_back({&plan, {}, 0});
    idx_t columns = plan->GetColumnBindings().size();
    for (idx_t i = 0; i < columns; i++) leaf.output.push_back({0, i});
    return leaf;
  }

  /// The joins below as far as they are a chain, else one leaf.
  JoinChain Find(LogicalPlan& plan) const {
    if (apart_(*plan)) return Leaf(plan);
    if (plan->type == LogicalOperatorType::LOGICAL_COMPARISON_JOIN) {
      auto chain = Join(plan->Cast<duckdb::LogicalComparisonJoin>());
      if (chain) return std::move(*chain);
    }
    if (plan->type != LogicalOperatorType::LOGICAL_PROJECTION) return Leaf(plan);
    const Bindings bindings = plan->children[0]->GetColumnBindings();
    JoinChain below = Find(plan->children[0]);
    if (IsLeaf(below)) return Leaf(plan);
    std::vector<MultiJoinOperator::Column> chosen;
    for (auto& expression : plan->expressions) {
      if (expression->GetExpressionClass() != duckdb::ExpressionClass::BOUND_COLUMN_REF) {
        return Leaf(plan);
      }
      chosen.push_back(below.output[*PlainColumn(*ResolveColumns(*expression, bindings))]);
    }
    below.output = std::move(chosen);
    return below;
  }

  static JoinChain Unite(duckdb::LogicalComparisonJoin& join, JoinChain left, JoinChain right,
                         const std::vector<Equality>& equalities, const std::vector<idx_t>& keys,
                         const std::vector<idx_t>& right_keys) {
    JoinChain all;
    for (idx_t key : keys) all.null_matches.push_back(equalities[key].null_matches);
    auto order = [&](JoinChain& chain, idx_t side, const std::vector<idx_t>& order) {
      for (JoinChain::Leaf& leaf : chain.leaves) {
        ExpressionList ordered;
        for (idx_t i = 0; i < keys.size(); i++) {
          ordered.push_back(IsLeaf(chain) ? equalities[keys[i]].sides[side]->Copy()
                                          : leaf.keys[order[i]]->Copy());
        }
        leaf.keys = std::move(ordered);
      }
    };
    const std::vector<idx_t> as_is = AllColumns(keys.size());
    order(left, 0, as_is);
    order(right, 1, right_keys.empty() ? as_is : right_keys);
    auto left_map = MapOrAll(join.left_projection_map, left.output.size());
    auto right_map = MapOrAll(join.right_projection_map, right.output.size());
    for (idx_t i : left_map) all.output.push_back(left.output[i]);
    for (idx_t i : right_map) {
      all.output.push_back({left.leaves.size() + right.output[i].input, right.output[i].column});
    }
    const bool optional = join.join_type == duckdb::JoinType::LEFT;
    all.leaves = std::move(left.leaves);
    for (JoinChain::Leaf& leaf : right.leaves) {
      if (optional) leaf.group = left.groups;
      if (!optional && leaf.group > 0) leaf.group += left.groups - 1;
      all.leaves.push_back(std::move(leaf));
    }
    all.groups = left.groups + (optional ? 1 : right.groups - 1);
    return all;
  }

  const std::function<bool(duckdb::LogicalOperator&)>& apart_;
};

}  // namespace

std::optional<JoinChain> FindJoinChain(duckdb::LogicalComparisonJoin& plan,
                                       const std::function<bool(duckdb::LogicalOperator&)>& apart) {
  auto chain = ChainFinder(apart).Join(plan);
  constexpr idx_t kLeast = 3;  // Of two, JoinOperator is as good.
  if (chain && chain->leaves.size() < kLeast) return std::nullopt;
  return chain;
}

}  // namespace millrace
