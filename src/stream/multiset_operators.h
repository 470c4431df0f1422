// multiset_operators.h - operators whose state is a multiset of whole rows: set operations, top-n,
// keys of sinks.
#pragma once

#include "stream/expressions.h"
#include "stream/operator.h"

namespace millrace {

enum class SetRule : uint8_t { kDistinct, kExcept, kExceptAll, kIntersect, kIntersectAll };

/// DISTINCT, EXCEPT, INTERSECT: counts each row per input; at EndStep a row enters or leaves as the
/// rule says.
class SetOperator : public Operator {
 public:
  SetOperator(duckdb::vector<LogicalType> types, SetRule rule);
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
  int64_t StateBytes() const override { return rows_.Bytes(); }

 private:
  struct Counts {
    int64_t input[2];
    int64_t shown;
    int64_t touched;
  };
  int64_t Wanted(const Counts& counts) const;

  SetRule rule_;
  RowTable rows_;
  RowBatch batch_;
  std::vector<uint8_t*> found_;
  std::vector<uint8_t*> touched_;
};

/// Adds up the changes of a step to the same row; pairs -old and +new by `key` into -U and +U.
class ConsolidateOperator : public Operator {
 public:
  /// No key: changes stay +I and -D.
  ConsolidateOperator(duckdb::vector<LogicalType> types, std::optional<UniqueKey> key);
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

  std::optional<UniqueKey> key_;
  RowTable rows_;
  std::unique_ptr<RowTable> keys_;
  RowBatch batch_;
  std::vector<uint8_t*> found_;
  std::vector<uint8_t*> order_;  // As first seen, so that output does not depend on hashes.
  bool any_delete_ = false;
};

/// Keeps the live rows per key and shows the greatest, in DuckDB's order of the whole row, NULL
/// greatest. For upsert inputs (`last_wins`): keeps the last row per key, whose old values the
/// change lacks.
class KeyedOperator : public Operator {
 public:
  KeyedOperator(duckdb::vector<LogicalType> types, UniqueKey key, bool last_wins, std::string what);
  void Push(idx_t port, ChangeChunk& chunk) override;
  void EndStep() override;
  ChangelogType Start(const std::vector<ChangelogType>&) override { return ChangelogType::kFull; }
  std::string Describe() const override;
  std::string DescribeState() const override {
    return fmt::format("{} keys with their rows", keys_.Size());
  }
  bool HasState() const override { return true; }
  void Save(StateWriter& writer) override;
  void Load(StateReader& reader) override;
  int64_t StateBytes() const override;

 private:
  struct Head {
    uint8_t* live;   // Last wins: the row. Else: 1 + index of the key's rows.
    uint8_t* shown;  // As emitted; owned by shown_.
    uint64_t touched;
  };
  struct Rows {
    std::vector<uint8_t*>
        heap;  // Greatest on top; rows with count 0 are dropped when they get there.
  };
  struct Counted {
    int64_t count;
    int64_t in_heap;
  };
  void PushLast(ChangeChunk& chunk);
  void PushAll(ChangeChunk& chunk);
  const uint8_t* Current(Head& head);
  uint8_t* Copy(const uint8_t* row);
  void FreeCopy(uint8_t* row);
  Rows& RowsOf(Head& head);

  UniqueKey key_;
  bool last_wins_;
  std::string what_;
  RowLayout layout_;
  RowTable keys_;
  std::unique_ptr<RowTable> rows_;  // Not for last wins.
  std::deque<Rows> heaps_;
  std::vector<uint64_t> free_heaps_;
  RowStore copies_;
  RowBatch batch_;
  RowBatch key_batch_;
  std::vector<uint8_t*> found_;
  std::vector<uint8_t*> touched_;
};

}  // namespace millrace
