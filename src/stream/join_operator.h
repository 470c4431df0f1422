// join_operator.h - all joins, bilinear: dL x R, then L' x dR, each chunk against the other side's
// state.
//
// Rows of either side lie in lists under one table of keys (join_side.h). Without equality
// conditions there is one key for all rows: a nested loop. Outer, semi, anti and mark joins keep,
// per key or (with further conditions) per row, how many partners there are; rows change sides only
// when that count leaves or reaches zero. Nothing is recomputed.
#pragma once

#include "stream/join_side.h"

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
  /// Of the key of ByKey joins: how many rows the right side has.
  int64_t& Total(uint8_t* key) const {
    return *reinterpret_cast<int64_t*>(key + keys_.Layout().Width() + kTotalAt);
  }
  static constexpr idx_t kTotalAt = 2 * sizeof(uint8_t*);
  bool HasMark() const { return plan_.kind == JoinKind::kMark; }
  bool OneSided() const { return plan_.kind >= JoinKind::kSemi; }
  /// Semi, anti and mark joins by key alone: the right side is counted, not kept.
  bool ByKey() const { return OneSided() && residual_.Empty(); }
  uint8_t MarkOfKey(uint8_t* key) const;
  static uint8_t MarkOfRow(int64_t matches, int64_t unknown);
  bool Shown(int64_t matches) const { return (matches > 0) == (plan_.kind == JoinKind::kSemi); }

  void Probe(idx_t port, ChangeChunk& chunk);
  void ProbeOneSidedByKey(idx_t port, idx_t row, uint8_t* key, int64_t weight);
  void JudgeCandidates(idx_t port, ChangeChunk& chunk);
  void Matched(idx_t port, idx_t row, uint8_t* partner, int64_t weight, bool unknown);
  void FinishRow(idx_t port, idx_t row, int64_t weight);
  void ChangeMark(uint8_t* row, uint8_t before, uint8_t after, int64_t count);
  void RefreshMarks(bool total_was, bool nulls_was);
  void Store(idx_t port, ChangeChunk& chunk);
  void Out(const uint8_t* left, const uint8_t* right, int64_t weight, uint8_t mark = 0);
  void FlushOut();

  Plan plan_;
  Evaluator residual_;
  JoinKeys keys_;
  JoinSide sides_[2];
  bool preserved_[2];        // Shows rows without a partner.
  int64_t right_total_ = 0;  // Mark by key: rows and NULL keys on the right.
  int64_t right_nulls_ = 0;
  int64_t surplus_ = 0;  // Left rows with several partners where one is allowed; 0 between steps.

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
