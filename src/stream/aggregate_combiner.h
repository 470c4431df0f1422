// aggregate_combiner.h - sums up rows of a GROUP BY before they move to the shard of their group.
//
// A combined row is [group's keys | how many rows | values | sums]: the values of aggregates that
// keep values (min and max with deletes, DISTINCT) tell rows of a group apart, the others' rows are
// added up. After merging, every group is what it would be had its rows come one by one.
#pragma once

#include "stream/accumulator.h"
#include "stream/expressions.h"

namespace millrace {

/// The columns of combined rows; the group's keys come first.
struct CombinedShape {
  struct Call {
    bool by_value = false;
    idx_t column = 0;  // Of its value; or the first of its sums.
  };
  duckdb::vector<LogicalType> types;
  idx_t rows = 0;               // The column that says how many rows there are, net.
  std::vector<idx_t> value_of;  // Of each column of values, from rows + 1 on: a call that has it.
  std::vector<Call> calls;
};

/// nullopt: one of the aggregates cannot be combined.
std::optional<CombinedShape> ShapeOfCombined(StateArena& arena,
                                             const duckdb::vector<LogicalType>& keys,
                                             const ExpressionList& arguments,
                                             const std::vector<AggregateCall>& calls,
                                             bool append_only);

struct AggregateCombinerOptions {
  ExpressionList keys;
  ExpressionList arguments;  // Of all calls, and their filters.
  std::vector<AggregateCall> calls;
  CombinedShape shape;
  bool append_only = false;
};
/// `arena`: where combined rows lie until they move.
std::unique_ptr<Combiner> MakeAggregateCombiner(duckdb::ClientContext& context, StateArena& arena,
                                                AggregateCombinerOptions options);

}  // namespace millrace
