// accumulator.h - the aggregates with a rule of their own: count, sum, avg, min, max, each with
// DISTINCT and FILTER.
//
// count, sum and avg are linear: a change adds its weight times its value. Integers and decimals
// sum in 128 bits, exactly; DOUBLE sums are compensated (Neumaier) with NaN and infinities counted
// aside. min and max keep a multiset of the group's values and a heap over it; over inserts only
// they keep the best value alone.
#pragma once

#include "stream/operator.h"

namespace duckdb {
class BoundAggregateExpression;
}

namespace millrace {

enum class AggregateKind : uint8_t { kCountAll, kCount, kSum, kAvg, kMin, kMax };

/// One aggregate call: what it computes from which columns of the operator's evaluated arguments.
struct AggregateCall {
  AggregateKind kind;
  bool distinct = false;
  std::optional<idx_t> argument;
  std::optional<idx_t> filter;
  LogicalType argument_type;
  LogicalType result_type;
  std::string text;  // For messages.
};

/// The rule for a bound aggregate; nullopt: DuckDB recomputes it. `argument`, `filter` are left to
/// fill in.
std::optional<AggregateCall> NativeAggregate(const duckdb::BoundAggregateExpression& aggregate);

/// Keeps one aggregate for all groups; its fixed-size part lies in the group's row.
/// Threads: one at a time.
class Accumulator {
 public:
  virtual ~Accumulator() = default;
  static std::unique_ptr<Accumulator> Make(StateArena& arena, const AggregateCall& call,
                                           bool append_only);

  /// Bytes in the group's row, a multiple of 8.
  virtual idx_t Bytes() const = 0;
  /// Adds rows: `states[i]` is this accumulator's part of the group of row i, `groups[i]` the
  /// group's id; weights of 0 are left out.
  virtual void Update(Vector* argument, idx_t count, uint8_t* const* states, const uint64_t* groups,
                      const int8_t* weights) = 0;
  /// Results of `count` groups.
  virtual void Finalize(uint8_t* const* states, idx_t count, Vector& result) = 0;
  /// The group is gone.
  virtual void Drop(uint8_t*) {}

  /// What is stored of its part of a group's row, when that begins at `offset` of the row.
  virtual RecordParts Parts(idx_t offset) const = 0;
  /// The part has been read (its strings are in foreign memory yet), or will be read once more.
  virtual void Loaded(uint8_t*) {}
  virtual void Unload(uint8_t*) {}
  /// What it keeps outside of the groups' rows: values that have gone are written and read before
  /// the groups, the others after them. `state_of` gives this accumulator's part of the group with
  /// that id, nullptr when there is none.
  using StateOf = std::function<uint8_t*(uint64_t id)>;
  /// Whether it calls `state_of`.
  virtual bool LooksForGroups() const { return false; }
  virtual void SaveGone(StateWriter&) {}
  virtual void LoadGone(StateReader&, const StateOf&) {}
  virtual void Save(StateWriter&) {}
  virtual void Load(StateReader&, const StateOf&) {}
  virtual Tracked* Stored() { return nullptr; }
  virtual int64_t StateBytes() const { return 0; }
  virtual std::string DescribeState() const = 0;
};

/// min and max, and DISTINCT before another accumulator (ordered_accumulator.cc).
std::unique_ptr<Accumulator> MakeOrdered(StateArena& arena, const AggregateCall& call,
                                         bool append_only);
std::unique_ptr<Accumulator> MakeDistinct(StateArena& arena, const AggregateCall& call,
                                          std::unique_ptr<Accumulator> inner);

}  // namespace millrace
