// join_chain.h - joins of a plan that are by one key, found before any of them is compiled: what
// one MultiJoinOperator takes on.
//
// INNER and LEFT joins by equality alone, whose sides are such joins by the same key or anything
// else; projections that only choose columns are looked through. A join's key is the same as that
// of the joins below when its columns there are key columns of a side that is never NULL. The right
// side of a LEFT JOIN may be INNER joins; then they are NULL together.
#pragma once

#include "stream/multi_join_operator.h"

namespace duckdb {
class LogicalComparisonJoin;
class LogicalOperator;
}  // namespace duckdb

namespace millrace {

struct JoinChain {
  struct Leaf {
    duckdb::unique_ptr<duckdb::LogicalOperator>* plan;  // Its place in the tree.
    ExpressionList keys;                                // Over its columns.
    idx_t group;
  };
  std::vector<Leaf> leaves;  // From left to right; one: no join, and without keys.
  std::vector<bool> null_matches;
  std::vector<MultiJoinOperator::Column> output;
  idx_t groups = 1;
};

/// Three and more inputs of joins at `plan` and below that have its key; nullopt when there are
/// none. `apart`: nodes that are compiled otherwise, and not looked into.
std::optional<JoinChain> FindJoinChain(duckdb::LogicalComparisonJoin& plan,
                                       const std::function<bool(duckdb::LogicalOperator&)>& apart);

}  // namespace millrace
