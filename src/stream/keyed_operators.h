// keyed_operators.h - operators that show one row per key: the last one that came (upsert inputs),
// or the greatest of the live ones (sinks whose key is not the query's).
//
// One table of keys; behind a key lie its head and the other columns of the row that it shows. So
// the usual key, of which there is one row, costs that row once.
#pragma once

#include "stream/operator.h"
#include "stream/row_heap.h"

namespace millrace {

/// What both have in common: the table of keys, and output made of keys and the rows behind them.
class KeyedOperator : public Operator {
 public:
  ShardRule RuleOf(idx_t) const override { return ShardRule::ByColumns(Types(), key_); }
  std::vector<std::optional<idx_t>> OutputsOf(idx_t) const override {
    return {key_.begin(), key_.end()};
  }
  ChangelogType Start(const std::vector<ChangelogType>&) override { return ChangelogType::kFull; }
  std::string DescribeState() const override {
    return fmt::format("{} keys with their rows", keys_.Size());
  }
  bool HasState() const override { return true; }
  void Push(idx_t port, ChangeChunk& chunk) override;
  void EndStep() override;

 protected:
  struct Head {
    uint8_t* other;  // Last row: the next one, if there is one. Greatest row: the heap of others.
    int64_t count : 60;  // Live rows equal to the one here.
    uint64_t touched : 1;
    uint64_t shown : 1;  // The row here has been emitted.
  };
  KeyedOperator(StateArena& arena, duckdb::vector<LogicalType> types, UniqueKey key,
                std::string what);

  /// A row of the key came (`row`: without the key's columns) or went.
  virtual void Change(uint8_t* key, const uint8_t* row, RowKind kind) = 0;
  /// The row that the key shows after this step; nullptr: none.
  virtual const uint8_t* Wanted(uint8_t* key) = 0;
  /// It has been emitted: makes it the row behind the key.
  virtual void Settle(uint8_t* key, const uint8_t* wanted) = 0;

  Head& HeadOf(uint8_t* key) const { return keys_.Payload<Head>(key); }
  uint8_t* RowOf(uint8_t* key) const { return key + row_at_; }
  /// Puts a copy of the row behind the key, which has none.
  void Fill(uint8_t* key, const uint8_t* row);
  void Empty(uint8_t* key) { keys_.Strings().Release(layout_, RowOf(key)); }
  RecordParts Parts() const;
  /// Reads keys that have gone, and keys with their rows; the third part, if any, is of the head.
  void LoadKeys(StateReader& reader, const RecordParts& parts);
  std::string KeyText() const;

  const UniqueKey key_;
  const std::string what_;
  RowTable keys_;
  RowLayout layout_;  // Of the other columns.
  const idx_t row_at_;

 private:
  void Show(uint8_t** keys, idx_t count);
  void EmitRows();

  std::vector<idx_t> source_;  // Per output column: its place among the key's, or behind them.
  std::vector<idx_t> others_;  // The columns that are not of the key.
  RowBatch key_batch_;
  RowBatch batch_;
  std::vector<uint8_t*> found_;
  RowList touched_;
  std::vector<const uint8_t*> wanted_;
  std::vector<const uint8_t*> out_keys_;
  std::vector<const uint8_t*> out_rows_;
  ChangeChunk out_;
};

/// Keeps the last row per key, whose old values the changes lack.
class NormaliseOperator : public KeyedOperator {
 public:
  NormaliseOperator(StateArena& arena, duckdb::vector<LogicalType> types, UniqueKey key);
  std::unique_ptr<Operator> Copy(duckdb::ClientContext&, StateArena& arena) const override {
    return std::make_unique<NormaliseOperator>(arena, Types(), key_);
  }
  std::string Describe() const override { return what_ + " " + KeyText() + ": last row"; }
  void Save(StateWriter& writer) override;
  void Load(StateReader& reader) override;
  std::vector<Tracked*> Stored() override { return {&keys_}; }
  int64_t StateBytes() const override { return keys_.Bytes() + next_.Bytes(); }

 protected:
  void Change(uint8_t* key, const uint8_t* row, RowKind kind) override;
  const uint8_t* Wanted(uint8_t* key) override;
  void Settle(uint8_t* key, const uint8_t* wanted) override;

 private:
  void Forget(Head& head);

  RowStore next_;  // Rows of this step for keys that show another.
};

/// Keeps the live rows per key and shows the greatest, in DuckDB's order of the whole row, NULL
/// greatest.
class SinkKeyOperator : public KeyedOperator {
 public:
  SinkKeyOperator(StateArena& arena, duckdb::vector<LogicalType> types, UniqueKey key);
  std::unique_ptr<Operator> Copy(duckdb::ClientContext&, StateArena& arena) const override {
    return std::make_unique<SinkKeyOperator>(arena, Types(), key_);
  }
  std::string Describe() const override { return what_ + " " + KeyText() + ": greatest row"; }
  void Save(StateWriter& writer) override;
  void Load(StateReader& reader) override;
  std::vector<Tracked*> Stored() override { return {&keys_, &others_}; }
  int64_t StateBytes() const override { return keys_.Bytes() + others_.Bytes(); }

 protected:
  void Change(uint8_t* key, const uint8_t* row, RowKind kind) override;
  const uint8_t* Wanted(uint8_t* key) override;
  void Settle(uint8_t* key, const uint8_t* wanted) override;

 private:
  struct Other {
    uint8_t* key;  // The scope.
    int64_t count;
    HeapLinks links;
  };
  auto Heap() const;
  void AddOther(uint8_t* key, const uint8_t* row, int64_t weight);
  /// Sets the counts of stored rows: 0 when they have gone. False when a key is not there.
  bool LoadOthers(RecordBlock& block, bool gone);
  RecordParts KeyParts() const;
  RecordParts OtherParts() const;

  RowTable others_;  // Rows of keys that have several; never the one that is behind the key.
};

}  // namespace millrace
