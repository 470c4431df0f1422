// ordered_operators.h - LIMIT, and what DuckDB itself recomputes: windows, DISTINCT ON, other
// aggregates.
#pragma once

#include <memory_resource>
#include <set>

#include "stream/expressions.h"
#include "stream/operator.h"

namespace duckdb {
class LogicalOperator;
}

namespace millrace {

/// ORDER BY ... LIMIT: all rows in order, of which the first are shown. Ties break by the whole
/// row. Input: the child's columns, then the order's expressions; so is the output.
class TopOperator : public Operator {
 public:
  struct Order {
    bool descending;
    bool nulls_first;
  };
  TopOperator(StateArena& arena, duckdb::vector<LogicalType> types, std::vector<Order> orders,
              uint64_t offset, uint64_t limit);
  std::unique_ptr<Operator> Copy(duckdb::ClientContext&, StateArena& arena) const override {
    return std::make_unique<TopOperator>(arena, Types(), orders_, offset_, limit_);
  }
  ShardRule RuleOf(idx_t) const override { return ShardRule::One(); }
  std::vector<std::optional<idx_t>> OutputsOf(idx_t) const override { return {}; }
  void Push(idx_t port, ChangeChunk& chunk) override;
  void EndStep() override;
  ChangelogType Start(const std::vector<ChangelogType>&) override { return ChangelogType::kFull; }
  std::string Describe() const override;
  std::string DescribeState() const override {
    return fmt::format("{} rows in order", rows_.Size());
  }
  bool HasState() const override { return true; }
  void Save(StateWriter& writer) override;
  void Load(StateReader& reader) override;
  void FinishLoad() override;
  std::vector<Tracked*> Stored() override { return {&rows_}; }
  int64_t StateBytes() const override {
    return rows_.Bytes() + static_cast<int64_t>(order_.size()) * 48;
  }

 private:
  struct Head {
    int64_t count;
    int64_t shown;
    int64_t wanted;
    int64_t in_order;
  };
  struct Before {
    const TopOperator* top;
    bool operator()(const uint8_t* a, const uint8_t* b) const { return top->Compare(a, b) < 0; }
  };
  Head& HeadOf(uint8_t* row) const { return rows_.Payload<Head>(row); }
  RecordParts Parts() const {
    return {RecordPart::Columns(rows_.Layout()),
            RecordPart::Plain(rows_.Layout().Width(), offsetof(Head, wanted))};
  }
  int Compare(const uint8_t* a, const uint8_t* b) const;

  std::vector<Order> orders_;
  idx_t first_order_;
  uint64_t offset_;
  uint64_t limit_;
  RowTable rows_;
  StateResource memory_;
  std::pmr::unsynchronized_pool_resource pool_;
  std::pmr::set<uint8_t*, Before> order_;
  std::vector<uint8_t*> shown_;  // As many as the limit says.
  RowList gone_;
  bool touched_ = false;
  RowBatch batch_;
};

/// Recomputes the partitions a step has touched through DuckDB and emits the difference to what
/// they showed. Cost: one small DuckDB query per step plus the rows of the touched partitions.
class RecomputeOperator : public Operator {
 public:
  struct Plan {
    std::string name;
    duckdb::vector<LogicalType> input_types;
    duckdb::vector<LogicalType> output_types;
    ExpressionList partition;         // Over the input.
    ExpressionList output_partition;  // The same values, over the output.
    bool rows_from_nothing = false;   // A global aggregate has a row even over no input.
    /// The plan over rows of table 0.
    std::function<duckdb::unique_ptr<duckdb::LogicalOperator>(
        duckdb::unique_ptr<duckdb::LogicalOperator>)>
        over;
  };
  RecomputeOperator(duckdb::ClientContext& context, StateArena& arena, Plan plan);
  std::unique_ptr<Operator> Copy(duckdb::ClientContext& context, StateArena& arena) const override;
  /// By its partitions it would be a query of DuckDB's per shard and step: too much for small ones.
  ShardRule RuleOf(idx_t) const override { return ShardRule::One(); }
  std::vector<std::optional<idx_t>> OutputsOf(idx_t) const override { return {}; }
  void Push(idx_t port, ChangeChunk& chunk) override;
  void EndStep() override;
  ChangelogType Start(const std::vector<ChangelogType>&) override { return ChangelogType::kFull; }
  std::string Describe() const override { return "RECOMPUTE " + plan_.name; }
  std::string DescribeState() const override;
  bool HasState() const override { return true; }
  void Save(StateWriter& writer) override;
  void Load(StateReader& reader) override;
  std::vector<Tracked*> Stored() override { return {sides_[0].rows.get(), sides_[1].rows.get()}; }
  int64_t StateBytes() const override;

 private:
  struct KeyHead {
    uint8_t* first[2];  // Rows of input and of output.
    uint64_t touched;
  };
  struct RowHead {
    uint8_t* next;
    uint8_t* previous;
    int64_t count;
  };
  struct Side {
    std::unique_ptr<RowTable> rows;
    std::unique_ptr<Evaluator> keys;
    DataChunk key_chunk;
  };
  KeyHead& HeadOf(uint8_t* key) const { return keys_.Payload<KeyHead>(key); }
  RowHead& RowOf(idx_t side, uint8_t* row) const {
    return sides_[side].rows->Payload<RowHead>(row);
  }
  /// Adds `weight(i)` times row i to the rows of its partition.
  template <typename F>
  void Apply(idx_t side, DataChunk& rows, bool touch, F&& weight);
  void Change(idx_t side, uint8_t* key, const uint8_t* row, uint64_t hash, int64_t weight);
  std::vector<std::unique_ptr<DataChunk>> Compute();
  RecordParts PartsOf(idx_t side) const;
  void LoadCounts(idx_t side, RecordBlock& block, bool gone);

  duckdb::ClientContext& context_;
  Plan plan_;
  Side sides_[2];
  RowTable keys_;
  RowList touched_;
  bool started_ = false;
  RowBatch key_batch_;
  RowBatch row_batch_;
  std::vector<uint8_t*> found_;
};

}  // namespace millrace
