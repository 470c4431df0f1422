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

/// How rows of an aggregate may be combined before they come to its group, so that every result is
/// what it would be without.
enum class Combining : uint8_t {
  kNever,    // The order of all rows matters: DOUBLE sums, which are rounded.
  kSum,      // By what they add up to.
  kByValue,  // Those of one value, by their number.
};
Combining CombiningOf(const AggregateCall& call, bool append_only);

/// The rows' weights, 0 for those that do not pass `filter` (BOOLEAN); `passed` is where they lie.
const int64_t* FilteredWeights(Vector& filter, idx_t count, const int64_t* weights,
                               std::vector<int64_t>& passed);

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
  /// group's id; weights of 0 are left out. Combined by value, a row stands for several.
  virtual void Update(Vector* argument, idx_t count, uint8_t* const* states, const uint64_t* groups,
                      const int64_t* weights) = 0;
  /// Results of `count` groups.
  virtual void Finalize(uint8_t* const* states, idx_t count, Vector& result) = 0;
  /// The group is gone.
  virtual void Drop(uint8_t*) {}

  /// Of an aggregate that is combined by sum: the columns that tell what rows have added up to.
  virtual duckdb::vector<LogicalType> SumTypes() const { return {}; }
  /// Writes them for `count` groups, and adds them to those of another accumulator.
  virtual void TellSums(uint8_t* const* /*states*/, idx_t /*count*/, Vector* /*sums*/) {}
  virtual void AddSums(Vector* /*sums*/, idx_t /*count*/, uint8_t* const* /*states*/) {}

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
