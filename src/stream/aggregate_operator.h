// aggregate_operator.h - GROUP BY with retraction: per group its accumulators and the row last
// emitted.
//
// A group's row in the table: [key | head | accumulators | last emitted results]. At EndStep the
// touched groups are finalised a chunk at a time, compared with what was emitted, and -old +new
// goes out where they differ.
#pragma once

#include "stream/aggregate_combiner.h"
#include "stream/expressions.h"

namespace millrace {

/// Groups by keys and maintains aggregates; without keys there is always exactly one group.
class AggregateOperator : public Operator {
 public:
  struct Plan {
    ExpressionList groups;
    ExpressionList arguments;  // Of all calls, and their filters.
    std::vector<AggregateCall> calls;
    /// Grouping sets: which of `all_groups` output columns are keys here; others are NULL.
    std::vector<std::optional<idx_t>> group_outputs;
    duckdb::vector<LogicalType> group_types;
    std::vector<int64_t> groupings;  // Values of GROUPING().
    bool always_one_row = false;
  };
  AggregateOperator(duckdb::ClientContext& context, StateArena& arena, Plan plan);
  ~AggregateOperator() override;

  std::unique_ptr<Operator> Copy(duckdb::ClientContext& context, StateArena& arena) const override;
  ShardRule RuleOf(idx_t port) const override;
  std::vector<std::optional<idx_t>> OutputsOf(idx_t port) const override;
  void Push(idx_t port, ChangeChunk& chunk) override;
  bool Combines() const override { return combined_.has_value(); }
  std::unique_ptr<Combiner> MakeCombiner(duckdb::ClientContext& context,
                                         StateArena& arena) const override;
  void Merge(ChangeChunk& combined) override;
  void EndStep() override;
  ChangelogType Start(const std::vector<ChangelogType>& inputs) override;
  std::string Describe() const override;
  std::string DescribeState() const override;
  bool HasState() const override { return true; }
  void Save(StateWriter& writer) override;
  void Load(StateReader& reader) override;
  void FinishLoad() override;
  std::vector<Tracked*> Stored() override;
  int64_t StateBytes() const override;

 private:
  struct Head {
    int64_t rows;
    uint64_t id : 62;
    uint64_t touched : 1;
    uint64_t emitted : 1;
  };
  Head& HeadOf(uint8_t* group) const { return groups_->Payload<Head>(group); }
  uint8_t* StateOf(uint8_t* group, idx_t call) const {
    return group + groups_->Layout().Width() + state_offsets_[call];
  }
  uint8_t* EmittedOf(uint8_t* group) const {
    return group + groups_->Layout().Width() + emitted_offset_;
  }
  void Update(idx_t call, idx_t count);
  /// Finds the groups of the rows in batch_ and adds the weights_ to them.
  void FindGroups(idx_t count);
  void EmitGroups(uint8_t** groups, idx_t count);
  void EnsureGlobalGroup();
  RecordParts Parts() const;
  void LoadGroups(RecordBlock& block, const RecordParts& parts, TableLoader& loader);
  /// Frees what is behind the group's head.
  void Unload(uint8_t* group);

  Plan plan_;
  Evaluator keys_;
  Evaluator arguments_;
  DataChunk key_chunk_;
  DataChunk argument_chunk_;
  std::unique_ptr<RowTable> groups_;
  std::vector<std::unique_ptr<Accumulator>> accumulators_;
  std::vector<idx_t> state_offsets_;
  idx_t emitted_offset_ = 0;
  RowLayout results_layout_;
  RowList touched_;
  class GroupsById;
  std::unique_ptr<GroupsById> by_id_;  // While state is loaded, if an accumulator needs it.
  uint64_t next_id_ = 1;
  bool append_only_ = false;

  RowBatch batch_;
  std::vector<uint8_t*> rows_;
  std::vector<uint8_t*> states_;
  std::vector<uint64_t> ids_;
  std::vector<int64_t> weights_;
  std::vector<int64_t> call_weights_;
  std::optional<CombinedShape> combined_;  // Of combined rows, if there are any.
  std::vector<idx_t> combined_keys_;
  DataChunk results_;
  RowBatch fresh_;
  ChangeChunk out_;
};

}  // namespace millrace
