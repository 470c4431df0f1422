// multi_join_operator.h - inner and outer joins of three and more inputs by the same key, at once.
//
// Each input is stored once, in lists under one table of keys (join_side.h); no join of some of
// them is. A change of one input meets the rows of all others that have its key: their product goes
// out. Inputs belong to groups. All inputs of the first must have rows of a key; another group, the
// right side of a LEFT JOIN, is NULL for a key of which an input of it has no rows. So whether a
// group is NULL is decided by the key, and nothing is counted by row.
#pragma once

#include "stream/join_side.h"

namespace millrace {

/// Joins its inputs, one a port. Output: columns of any inputs.
class MultiJoinOperator : public Operator {
 public:
  struct Input {
    ExpressionList keys;  // Of the same types for each input.
    duckdb::vector<LogicalType> types;
    idx_t group = 0;
  };
  struct Column {
    idx_t input;
    idx_t column;
  };
  struct Plan {
    std::vector<Input> inputs;
    std::vector<bool> null_matches;  // Per key: IS NOT DISTINCT FROM.
    std::vector<Column> output;
  };
  /// REQUIRES: groups are numbered from 0 on without gaps.
  MultiJoinOperator(duckdb::ClientContext& context, StateArena& arena, Plan plan);

  std::unique_ptr<Operator> Copy(duckdb::ClientContext& context, StateArena& arena) const override;
  ShardRule RuleOf(idx_t port) const override;
  std::vector<std::optional<idx_t>> OutputsOf(idx_t port) const override;
  void Push(idx_t port, ChangeChunk& chunk) override;
  ChangelogType Start(const std::vector<ChangelogType>& inputs) override;
  std::string Describe() const override;
  std::string DescribeState() const override;
  bool HasState() const override { return true; }
  void Save(StateWriter& writer) override;
  void Load(StateReader& reader) override;
  std::vector<Tracked*> Stored() override;
  int64_t StateBytes() const override;

 private:
  /// Whether the key has rows of each input of a group, that of `but` aside.
  bool IsWhole(uint8_t* key, idx_t group, std::optional<idx_t> but = std::nullopt) const;
  /// Row `i` of the chunk came or went; `goes_on`: the next one comes, with the same key.
  void Change(idx_t port, idx_t i, int64_t weight, bool goes_on);
  void Store(idx_t port, idx_t i, int64_t weight);
  /// Emits `own` with all that the key has of other inputs; null: `port`'s group is NULL.
  void Product(idx_t port, uint8_t* own, uint8_t* key, int64_t weight);
  /// Goes to the next combination of `moving_`; false: that was the last.
  bool Advance(uint8_t* key);
  void Out(int64_t weight);
  void FlushOut();

  JoinKeys keys_;
  std::vector<std::unique_ptr<JoinSide>> sides_;
  std::vector<idx_t> group_of_;             // By input.
  std::vector<std::vector<idx_t>> groups_;  // Their inputs.
  std::vector<Column> output_;
  std::vector<idx_t> shown_;  // Inputs of which a column goes out.
  bool replaced_ = false;     // The row before was its list's last, and this one takes its place.

  std::vector<uint8_t*> at_;   // Of the combination at hand, by input.
  std::vector<idx_t> moving_;  // Inputs whose rows are gone through, the last one fastest.
  std::vector<std::vector<const uint8_t*>> out_rows_;  // By input.
  idx_t out_count_ = 0;
  bool out_deletes_ = false;
  std::vector<RowKind> out_kinds_;
  ChangeChunk out_;
};

}  // namespace millrace
