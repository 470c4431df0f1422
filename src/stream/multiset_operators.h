// multiset_operators.h - operators whose state is a multiset of whole rows: set operations, and the
// net changes of a step.
#pragma once

#include "stream/expressions.h"
#include "stream/operator.h"

namespace millrace {

enum class SetRule : uint8_t { kDistinct, kExcept, kExceptAll, kIntersect, kIntersectAll };

/// DISTINCT, EXCEPT, INTERSECT: counts each row per input; at EndStep a row enters or leaves as the
/// rule says.
class SetOperator : public Operator {
 public:
  SetOperator(StateArena& arena, duckdb::vector<LogicalType> types, SetRule rule);
  std::unique_ptr<Operator> Copy(duckdb::ClientContext&, StateArena& arena) const override {
    return std::make_unique<SetOperator>(arena, Types(), rule_);
  }
  ShardRule RuleOf(idx_t) const override { return ShardRule::ByKey(ColumnReferences(Types())); }
  std::vector<std::optional<idx_t>> OutputsOf(idx_t) const override {
    return EachColumn(Types().size());
  }
  void Push(idx_t port, ChangeChunk& chunk) override;
  void EndStep() override;
  ChangelogType Start(const std::vector<ChangelogType>& inputs) override;
  std::string Describe() const override;
  std::string DescribeState() const override {
    return fmt::format("{} rows counted", rows_.Size());
  }
  bool HasState() const override { return true; }
  void Save(StateWriter& writer) override;
  void Load(StateReader& reader) override;
  std::vector<Tracked*> Stored() override { return {&rows_}; }
  int64_t StateBytes() const override { return rows_.Bytes(); }

 private:
  struct Counts {
    int64_t input[2];
    int64_t shown;
    int64_t touched;
  };
  int64_t Wanted(const Counts& counts) const;
  RecordParts Parts() const {
    return {RecordPart::Columns(rows_.Layout()),
            RecordPart::Plain(rows_.Layout().Width(), offsetof(Counts, touched))};
  }

  SetRule rule_;
  RowTable rows_;
  RowBatch batch_;
  std::vector<uint8_t*> found_;
  RowList touched_;
};

/// Adds up the changes of a step to the same row; pairs -old and +new by `key` into -U and +U.
class ConsolidateOperator : public Operator {
 public:
  /// No key: changes stay +I and -D.
  ConsolidateOperator(StateArena& arena, duckdb::vector<LogicalType> types,
                      std::optional<UniqueKey> key);
  std::unique_ptr<Operator> Copy(duckdb::ClientContext&, StateArena& arena) const override {
    return std::make_unique<ConsolidateOperator>(arena, Types(), key_);
  }
  ShardRule RuleOf(idx_t port) const override;
  std::vector<std::optional<idx_t>> OutputsOf(idx_t port) const override;
  void Push(idx_t port, ChangeChunk& chunk) override;
  void EndStep() override;
  ChangelogType Start(const std::vector<ChangelogType>& inputs) override { return inputs[0]; }
  std::string Describe() const override;

 private:
  struct Net {
    int64_t weight;
    uint8_t* next;  // Of the same key and sign.
  };
  struct Key {
    uint8_t* before;
    uint8_t* after;
  };
  void EmitByKey();
  void AddToKeys(uint8_t** rows, idx_t count, DataChunk& key_chunk, RowList& keys);

  std::optional<UniqueKey> key_;
  RowTable rows_;
  std::unique_ptr<RowTable> keys_;
  RowBatch batch_;
  RowBatch key_batch_;
  RowList order_;  // As first seen, so that output does not depend on hashes.
  bool any_delete_ = false;
};

}  // namespace millrace
