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
    bool at_most_one = false;  // A scalar subquery: two partners are an error.
  };
  JoinOperator(duckdb::ClientContext& context, StateArena& arena, Plan plan);

  std::unique_ptr<Operator> Copy(duckdb::ClientContext& context, StateArena& arena) const override;
  ShardRule RuleOf(idx_t port) const override;
  std::vector<std::optional<idx_t>> OutputsOf(idx_t port) const override;
  void Push(idx_t port, ChangeChunk& chunk) override;
  void EndStep() override;
  ChangelogType Start(const std::vector<ChangelogType>& inputs) override;
  std::string Describe() const override;
  std::string DescribeState() const override;
  bool HasState() const override { return true; }
  void Save(StateWriter& writer) override;
  void Load(StateReader& reader) override;
  std::vector<Tracked*> Stored() override;
  int64_t StateBytes() const override;

 private:
  struct KeyHead {
    uint8_t* first[2];  // The key's rows on either side.
    int64_t total;      // Where the right side is counted only: its rows.
  };
  /// A row is followed by what its kind of join needs, no more: most state is of rows.
  struct Side {
    RowLayout layout;
    bool append_only = false;
    bool preserved = false;  // Shows rows without a partner.
    idx_t previous_at = 0, count_at = 0, matches_at = 0, unknown_at = 0;  // 0: not kept.
    std::unique_ptr<RowTable> rows;        // Finds equal rows; not needed over inserts only.
    std::unique_ptr<RowStore> plain;       // Rows then.
    std::unique_ptr<StringStore> strings;  // Theirs.
    std::unique_ptr<Evaluator> keys;
    DataChunk key_chunk;
    RowBatch key_batch;
    RowBatch row_batch;
    int64_t stored = 0;
    int64_t settled = 0;  // Of plain rows: those that the last checkpoint has.
    void Touch(uint8_t* row) { rows ? rows->Touch(row) : plain->Touch(row); }
  };

  KeyHead& HeadOf(uint8_t* key) const { return keys_->Payload<KeyHead>(key); }
  template <typename T>
  static T& At(uint8_t* row, idx_t offset) {
    return *reinterpret_cast<T*>(row + offset);
  }
  uint8_t*& Next(idx_t side, uint8_t* row) const {
    return At<uint8_t*>(row, sides_[side].layout.Width());
  }
  uint8_t*& Previous(idx_t side, uint8_t* row) const {
    return At<uint8_t*>(row, sides_[side].previous_at);
  }
  int64_t Count(idx_t side, uint8_t* row) const {
    return sides_[side].count_at ? At<int64_t>(row, sides_[side].count_at) : 1;
  }
  /// Partners for which the conditions hold; of mark joins, those for which they are NULL.
  int64_t& Matches(idx_t side, uint8_t* row) const {
    return At<int64_t>(row, sides_[side].matches_at);
  }
  int64_t& Unknown(idx_t side, uint8_t* row) const {
    return At<int64_t>(row, sides_[side].unknown_at);
  }
  bool NullKey(const uint8_t* key) const;
  bool HasMark() const { return plan_.kind == JoinKind::kMark; }
  bool OneSided() const { return plan_.kind >= JoinKind::kSemi; }
  /// Semi, anti and mark joins by key alone: the right side is counted, not kept.
  bool ByKey() const { return OneSided() && residual_.Empty(); }
  uint8_t MarkOfKey(uint8_t* key) const;
  static uint8_t MarkOfRow(int64_t matches, int64_t unknown);
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
  void LayOut(Side& side, bool left);
  uint8_t* Attach(idx_t side, uint8_t* key, const uint8_t* row, uint64_t hash);
  static uint8_t* NewPlain(Side& side, const uint8_t* row);
  void Link(idx_t side, uint8_t* key, uint8_t* stored);
  void Detach(idx_t side, uint8_t* key, uint8_t* row);
  RecordParts PartsOf(idx_t side) const;
  void SaveSide(idx_t side, StateWriter& writer);
  /// Finds the keys of stored rows, which are left out on disk.
  void FindKeys(idx_t side, RecordBlock& block);
  void LoadGone(idx_t side, RecordBlock& block);
  void LoadRows(idx_t side, RecordBlock& block, TableLoader* loader);
  static void SetCounts(const Side& side, uint8_t* row, RecordBlock& block, idx_t i);
  void EraseIfEmpty(Side& side, idx_t row);
  void Out(const uint8_t* left, const uint8_t* right, int64_t weight, uint8_t mark = 0);
  void FlushOut();

  Plan plan_;
  Evaluator residual_;
  std::unique_ptr<RowTable> keys_;
  Side sides_[2];
  int64_t right_total_ = 0;  // Mark by key: rows and NULL keys on the right.
  int64_t right_nulls_ = 0;
  int64_t surplus_ = 0;  // Left rows with several partners where one is allowed; 0 between steps.

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
