// shard_plan.h - which operators of a dataflow work in every shard, and where rows must move from
// shard to shard on the way to them.
//
// Each operator says which rows must meet (ShardRule). Rows are in a shard by the hash of some of
// their columns, all in the first one, or anywhere. An input moves through an exchange unless what
// must meet is together already: an aggregate by (a, b) over a join by a stays where it is. An
// operator's level is the number of exchanges on the longest way to it.
//
// State lies in its shard from one checkpoint to the next: another plan, or another hash
// (RowLayout::Hash), would look for it elsewhere. So the plan has a text, kept with the state.
#pragma once

#include "stream/operator.h"

namespace millrace {

struct ShardPlan {
  struct Input {
    bool moves = false;
    std::vector<idx_t> keys;  // What decides about a row's shard: of its rule's keys, in order.
  };
  struct Node {
    idx_t level = 0;
    bool one_shard = false;     // It works in the first shard only.
    bool combines = false;      // Its rows are combined before they move.
    std::string text;           // "by key (a, b)", "one shard"; empty where it does not matter.
    std::vector<Input> inputs;  // By port.
  };
  std::vector<Node> nodes;  // By operator.
  idx_t levels = 1;
  bool spreads = false;   // Some operator works by key.
  bool combines = false;  // Some operator's rows are combined. If neither, one shard will do.

  std::string Text() const;
};

/// `operators` in topological order; those of `constants` have their rows in the first shard.
/// `combine`: rows that can be combined before they move are. REQUIRES: the operators' Start.
ShardPlan PlanShards(const std::vector<const Operator*>& operators,
                     const std::vector<const Operator*>& constants, bool combine);

/// How many shards a job of so many threads gets, for as long as it lives: so many that its state
/// may be ten times its memory, and those that the threads work at fit into that together. One with
/// one thread, which keeps the order of rows.
idx_t ShardsFor(idx_t threads);
inline constexpr idx_t kMostShards = 64;

/// A number that is another when rows would go to other shards.
uint64_t HashProbe();
inline idx_t ShardOf(uint64_t hash, idx_t shards) {
  return hash & (shards - 1);  // Tables use the upper bits.
}

}  // namespace millrace
