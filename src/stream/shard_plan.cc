#include "stream/shard_plan.h"

#include <algorithm>
#include <bit>

namespace millrace {

namespace {

using Columns = std::vector<idx_t>;
using Outputs = std::vector<std::optional<idx_t>>;

/// Where the rows of an output are.
struct Place {
  bool one = false;         // All in the first shard.
  std::vector<Columns> by;  // By the hash of these columns; each of the lists is true.
};

std::optional<Columns> Mapped(const Columns& columns, const Outputs& outputs) {
  Columns mapped;
  for (idx_t column : columns) {
    if (column >= outputs.size() || !outputs[column]) return std::nullopt;
    mapped.push_back(*outputs[column]);
  }
  return mapped;
}

/// The keys that are these columns: rows with the same keys are together by them.
std::optional<Columns> KeysOf(const Columns& columns, const ExpressionList& keys) {
  Columns found;
  for (idx_t column : columns) {
    auto is = [&](auto& key) { return PlainColumn(*key) == std::optional<idx_t>(column); };
    auto key = std::find_if(keys.begin(), keys.end(), is);
    if (key == keys.end()) return std::nullopt;
    found.push_back(static_cast<idx_t>(key - keys.begin()));
  }
  return found;
}

std::vector<Columns> AllKeysOf(const Place& place, const ExpressionList& keys) {
  std::vector<Columns> all;
  for (const Columns& columns : place.by) {
    if (auto found = KeysOf(columns, keys)) all.push_back(*found);
  }
  return all;
}

/// By which keys the rows of all inputs are to meet: as most of them lie already.
Columns ChooseKeys(const std::vector<ShardRule>& rules, const std::vector<const Place*>& places) {
  std::vector<Columns> candidates;
  std::vector<std::vector<Columns>> known;
  for (idx_t port = 0; port < rules.size(); port++) {
    known.push_back(AllKeysOf(*places[port], rules[port].keys));
    candidates.insert(candidates.end(), known[port].begin(), known[port].end());
  }
  Columns best(rules[0].keys.size());
  for (idx_t i = 0; i < best.size(); i++) best[i] = i;
  std::ptrdiff_t most = 0;
  for (const Columns& candidate : candidates) {
    auto there = std::count_if(known.begin(), known.end(), [&](const std::vector<Columns>& keys) {
      return std::find(keys.begin(), keys.end(), candidate) != keys.end();
    });
    if (there <= most) continue;
    most = there;
    best = candidate;
  }
  return best;
}

class Planner {
 public:
  Planner(const std::vector<const Operator*>& operators,
          const std::vector<const Operator*>& constants, bool combine)
      : operators_(operators), combine_(combine), places_(operators.size()) {
    plan_.nodes.resize(operators.size());
    for (idx_t i = 0; i < operators.size(); i++) {
      index_[operators[i]] = i;
      bool constant =
          std::find(constants.begin(), constants.end(), operators[i]) != constants.end();
      if (operators[i]->Inputs().empty()) {
        places_[i].one = constant || operators[i]->RuleOf(0).kind == ShardRule::Kind::kOne;
        plan_.nodes[i].one_shard = places_[i].one;
      } else {
        Decide(i);
      }
    }
  }
  ShardPlan Take() { return std::move(plan_); }

 private:
  void Decide(idx_t at) {
    const Operator& op = *operators_[at];
    ShardPlan::Node& node = plan_.nodes[at];
    std::vector<ShardRule> rules;
    std::vector<const Place*> places;
    for (idx_t port = 0; port < op.Inputs().size(); port++) {
      rules.push_back(op.RuleOf(port));
      places.push_back(&places_[index_.at(op.Inputs()[port])]);
    }
    node.inputs.resize(rules.size());
    bool all_one =
        std::all_of(places.begin(), places.end(), [](auto* place) { return place->one; });
    if (rules[0].kind == ShardRule::Kind::kAny) {
      places_[at] = Kept(op, places);
    } else if (rules[0].kind == ShardRule::Kind::kOne || (rules[0].one_will_do && all_one)) {
      node.one_shard = true;
      node.text = "one shard";
      for (idx_t port = 0; port < rules.size(); port++)
        node.inputs[port].moves = !places[port]->one;
      places_[at].one = true;
    } else {
      places_[at] = ByKey(op, rules, places, node);
    }
    if (combine_ && op.Combines() && node.inputs[0].moves) {
      node.combines = plan_.combines = true;
      node.text += " in two phases";
    }
    for (idx_t port = 0; port < rules.size(); port++) {
      idx_t level = plan_.nodes[index_.at(op.Inputs()[port])].level;
      node.level = std::max(node.level, level + (node.inputs[port].moves ? 1 : 0));
    }
    plan_.levels = std::max(plan_.levels, node.level + 1);
  }

  /// Rows stay where they are: what is true of all inputs.
  static Place Kept(const Operator& op, const std::vector<const Place*>& places) {
    Place kept;
    kept.one = std::all_of(places.begin(), places.end(), [](auto* place) { return place->one; });
    for (const Columns& columns : places[0]->by) {
      auto first = Mapped(columns, op.OutputsOf(0));
      if (!first) continue;
      bool everywhere = true;
      for (idx_t port = 1; port < places.size(); port++) {
        auto is = [&](const Columns& other) { return Mapped(other, op.OutputsOf(port)) == first; };
        everywhere =
            everywhere && std::any_of(places[port]->by.begin(), places[port]->by.end(), is);
      }
      if (everywhere) kept.by.push_back(*first);
    }
    return kept;
  }

  Place ByKey(const Operator& op, const std::vector<ShardRule>& rules,
              const std::vector<const Place*>& places, ShardPlan::Node& node) {
    plan_.spreads = true;
    Columns keys = ChooseKeys(rules, places);
    Place result;
    bool moves = false;
    for (idx_t port = 0; port < rules.size(); port++) {
      auto known = AllKeysOf(*places[port], rules[port].keys);
      node.inputs[port] = {std::find(known.begin(), known.end(), keys) == known.end(), keys};
      moves = moves || node.inputs[port].moves;
      auto outputs = Mapped(keys, op.OutputsOf(port));
      if (outputs) result.by.push_back(*outputs);
    }
    std::string names;
    for (idx_t key : keys) {
      names += (names.empty() ? "" : ", ") + rules[0].keys[key]->ToString();
    }
    node.text = fmt::format("by key ({}){}", names, moves ? "" : " as before");
    return result;
  }

  const std::vector<const Operator*>& operators_;
  const bool combine_;
  std::map<const Operator*, idx_t> index_;
  std::vector<Place> places_;
  ShardPlan plan_;
};

}  // namespace

std::string ShardPlan::Text() const {
  std::string text;
  for (const Node& node : nodes) {
    text += node.one_shard ? "one" : "all";
    for (const Input& input : node.inputs) {
      text += input.moves ? " moves" : " stays";
      for (idx_t key : input.keys) text += fmt::format(" {}", key);
    }
    text += ";";
  }
  return text;
}

ShardPlan PlanShards(const std::vector<const Operator*>& operators,
                     const std::vector<const Operator*>& constants, bool combine) {
  return Planner(operators, constants, combine).Take();
}

idx_t ShardsFor(idx_t threads) {
  return threads <= 1 ? 1 : std::min(std::bit_ceil(16 * threads), kMostShards);
}

uint64_t HashProbe() {
  RowLayout layout({LogicalType::INTEGER, LogicalType::BIGINT, LogicalType::DOUBLE,
                    LogicalType::VARCHAR, LogicalType::HUGEINT, LogicalType::BIGINT},
                   true);
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), layout.Types());
  const std::vector<Value> values = {Value::INTEGER(7),
                                     Value::BIGINT(-12345678901),
                                     Value::DOUBLE(-0.0),
                                     Value("a text longer than twelve bytes"),
                                     Value::HUGEINT(duckdb::hugeint_t(42)),
                                     Value(LogicalType::BIGINT)};
  for (idx_t i = 0; i < values.size(); i++) chunk.SetValue(i, 0, values[i]);
  chunk.SetCardinality(1);
  RowBatch batch;
  batch.Fill(layout, chunk, nullptr, true);
  return batch.HashOf(0);
}

}  // namespace millrace
