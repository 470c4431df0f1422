// whole_operator.h - the answer where no rule is cleverer: DuckDB runs a part of the plan over all
// rows of its inputs once a step, and the difference to what it showed goes out.
//
// For recursive WITH, ASOF joins, LIMIT by an expression and the like. Cost per step in which an
// input changes: the whole of the inputs and of the answer, which must fit DuckDB's memory.
#pragma once

#include "stream/operator.h"

namespace duckdb {
class ClientContext;
class ColumnDataCollection;
class LogicalOperator;
}  // namespace duckdb

namespace millrace {

/// Keeps the rows of its inputs and of the answer, as counted multisets.
class WholeOperator : public Operator {
 public:
  using LogicalPlan = duckdb::unique_ptr<duckdb::LogicalOperator>;
  using Rows = std::vector<duckdb::unique_ptr<duckdb::ColumnDataCollection>>;
  struct Plan {
    std::string name;
    std::vector<duckdb::vector<LogicalType>> input_types;
    duckdb::vector<LogicalType> output_types;
    std::function<LogicalPlan(Rows rows)> over;  // One collection per input.
  };
  WholeOperator(duckdb::ClientContext& context, StateArena& arena, Plan plan);

  std::unique_ptr<Operator> Copy(duckdb::ClientContext& context, StateArena& arena) const override {
    return std::make_unique<WholeOperator>(context, arena, plan_);
  }
  ShardRule RuleOf(idx_t) const override { return ShardRule::One(); }
  std::vector<std::optional<idx_t>> OutputsOf(idx_t) const override { return {}; }
  void Push(idx_t port, ChangeChunk& chunk) override;
  void EndStep() override;
  ChangelogType Start(const std::vector<ChangelogType>&) override { return ChangelogType::kFull; }
  std::string Describe() const override { return "RECOMPUTE ALL " + plan_.name; }
  std::string DescribeState() const override;
  bool HasState() const override { return true; }
  void Save(StateWriter& writer) override;
  void Load(StateReader& reader) override;
  std::vector<Tracked*> Stored() override;
  int64_t StateBytes() const override;

 private:
  struct Counts {
    int64_t count;
    int64_t wanted;  // Of the answer, while the difference is made.
  };
  duckdb::unique_ptr<duckdb::ColumnDataCollection> Collect(RowTable& table);
  std::vector<uint8_t*> Sorted(RowTable& table) const;
  static RecordParts PartsOf(const RowTable& table);

  duckdb::ClientContext& context_;
  Plan plan_;
  std::vector<std::unique_ptr<RowTable>> tables_;  // The inputs' rows, last the answer's.
  bool started_ = false;
  bool touched_ = false;
  RowBatch batch_;
};

}  // namespace millrace
