// join_operator.h - all joins, bilinear: dL x R, then L' x dR, each chunk against the other side's
// state.
//
// One table of keys; a key holds the list of its rows on either side, so one lookup serves storing
// and probing. Without equality conditions there is one key for all rows: a nested loop. Outer,
// semi, anti and mark joins keep, per key or (with further conditions) per row, how many partners
// there are; rows change sides only when that count leaves or reaches zero. Nothing is recomputed.
#pragma once

#include "stream/expressions.h"
#include "stream/operator.h"

namespace millrace {

enum class JoinKind : uint8_t { kInner, kLeft, kRight, kFull, kSemi, kAnti, kMark };

/// Joins two inputs: port 0 left, port 1 right. Output: left columns, then right ones, or the mark.
class JoinOperator : public Operator {
 public:
  struct Plan {
    JoinKind kind = JoinKind::kInner;
    ExpressionList left_keys;
    ExpressionList right_keys;
    std::vector<bool> null_matches;  // Per key: IS NOT DISTINCT FROM.
    ExpressionList residual;         // Over left columns, then right columns.
    duckdb::vector<LogicalType> left_types;
    duckdb::vector<LogicalType> right_types;
    std::vector<idx_t> left_output;  // Columns kept.
    std::vector<idx_t> right_output;
    bool at_most_one = false;  // A scalar subquery: two partners are an error in batch.
  };
  JoinOperator(duckdb::ClientContext& context, Plan plan);

  void Push(idx_t port, ChangeChunk& chunk) override;
  ChangelogType Start(const std::vector<ChangelogType>& inputs) override;
  std::string Describe() const override;
  std::string DescribeState() const override;
  bool HasState() const override { return true; }
  void Save(StateWriter& writer) override;
  void Load(StateReader& reader) override;
  int64_t StateBytes() const override;

 private:
  struct KeyHead {
    uint8_t* first[2];
    int64_t total[2];
  };
  struct RowHead {
    uint8_t* next;
    uint8_t* previous;
    uint8_t* key;
    int64_t count;
    int64_t matches;  // Partners for which the conditions hold.
    int64_t unknown;  // Mark joins: partners for which they are NULL.
  };
  struct Side {
    RowLayout layout;
    bool append_only = false;
    bool preserved = false;           // Shows rows without a partner.
    std::unique_ptr<RowTable> rows;   // Finds equal rows; not needed over inserts only.
    std::unique_ptr<RowStore> plain;  // Rows then.
    std::unique_ptr<Evaluator> keys;
    DataChunk key_chunk;
    RowBatch key_batch;
    RowBatch row_batch;
    int64_t stored = 0;
  };

  KeyHead& HeadOf(uint8_t* key) const { return keys_->Payload<KeyHead>(key); }
  RowHead& RowOf(idx_t side, uint8_t* row) const {
    return *reinterpret_cast<RowHead*>(row + sides_[side].layout.Width());
  }
  bool NullKey(const uint8_t* key) const;
  bool HasMark() const { return plan_.kind == JoinKind::kMark; }
  bool OneSided() const { return plan_.kind >= JoinKind::kSemi; }
  uint8_t Mark(uint8_t* key, const RowHead* row) const;
  bool Shown(int64_t matches) const { return (matches > 0) == (plan_.kind == JoinKind::kSemi); }

  /// Pushes what remains without updates that changed nothing; false when there are none.
  bool DropUnchanged(idx_t port, ChangeChunk& chunk);
  void Probe(idx_t port, ChangeChunk& chunk);
  void ProbeOneSidedByKey(idx_t port, idx_t row, uint8_t* key, int64_t weight);
  void Candidate(idx_t port, idx_t row, uint8_t* partner);
  void JudgeCandidates(idx_t port, ChangeChunk& chunk);
  void Matched(idx_t port, idx_t row, uint8_t* partner, int64_t weight, bool unknown);
  void FinishRow(idx_t port, idx_t row, int64_t weight);
  void ChangeMark(uint8_t* row, uint8_t before, uint8_t after, int64_t count);
  void RefreshMarks(bool total_was, bool nulls_was);
  void Store(idx_t port, ChangeChunk& chunk);
  uint8_t* Attach(idx_t side, uint8_t* key, const uint8_t* row, uint64_t hash);
  void Detach(idx_t side, uint8_t* row);
  void ForEachRow(idx_t side, const std::function<void(uint8_t*)>& visit) const;
  void Out(const uint8_t* left, const uint8_t* right, int64_t weight, uint8_t mark = 0);
  void FlushOut();

  Plan plan_;
  Evaluator residual_;
  std::unique_ptr<RowTable> keys_;
  Side sides_[2];
  int64_t right_total_ = 0;  // Mark by key: rows and NULL keys on the right.
  int64_t right_nulls_ = 0;

  std::vector<uint8_t*> key_rows_;
  std::vector<int64_t> row_matches_;
  std::vector<int64_t> row_unknown_;
  struct Pair {
    uint32_t row;
    uint8_t* partner;
  };
  std::vector<Pair> candidates_;
  DataChunk pair_chunk_;
  DataChunk verdict_;

  std::vector<const uint8_t*> out_left_;
  std::vector<const uint8_t*> out_right_;
  std::vector<uint8_t> out_marks_;
  ChangeChunk out_;
};

}  // namespace millrace
