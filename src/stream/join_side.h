// join_side.h - what a join remembers: keys, and the rows of each of its inputs in lists under
// them.
//
// One table of keys serves all sides; behind a key lies the first row of each side's list, so one
// lookup serves storing and probing. A row is followed by what its kind of join needs, no more:
// most state is of rows. Of inputs that only grow no row is ever looked for, and none has an index.
#pragma once

#include "stream/expressions.h"
#include "stream/operator.h"

namespace millrace {

/// The keys of a join. Threads: one at a time.
class JoinKeys : public RowTable {
 public:
  /// `more_bytes`: what the join keeps of a key behind its lists, zero at first.
  JoinKeys(StateArena& arena, const ExpressionList& keys, std::vector<bool> null_matches,
           idx_t sides, idx_t more_bytes = 0);

  /// The key's rows on a side.
  uint8_t*& First(uint8_t* key, idx_t side) const { return (&Payload<uint8_t*>(key))[side]; }
  /// A part of it is NULL that is equal to nothing.
  bool IsNull(const uint8_t* key) const;
  /// It has no rows, and nothing else is kept of it.
  bool IsUnused(uint8_t* key) const;
  /// Per part: IS NOT DISTINCT FROM.
  const std::vector<bool>& NullMatches() const { return null_matches_; }

 private:
  const std::vector<bool> null_matches_;
  const idx_t payload_bytes_;
};

/// The rows of one input. Threads: one at a time.
class JoinSide {
 public:
  /// `keys` must outlive it; `side`: which of the lists of a key is this one's.
  JoinSide(duckdb::ClientContext& context, StateArena& arena, JoinKeys& keys, idx_t side,
           ExpressionList key_expressions, duckdb::vector<LogicalType> types);

  /// Before all else. `matches`, `unknown`: numbers that are kept with each row.
  void Start(bool append_only, bool matches = false, bool unknown = false);

  // The chunk at hand.
  /// Packs its rows. An update of columns that the query does not use leaves the row as it was: if
  /// there are such, returns false, and what is to be taken instead in `rest`, maybe nothing.
  [[nodiscard]] bool Pack(ChangeChunk& chunk, ChangeChunk& rest);
  /// Finds or makes the keys of rows.
  void FindKeys(DataChunk& rows, idx_t count);
  uint8_t* Row(idx_t i) { return row_batch_.Row(i); }
  uint8_t* Key(idx_t i) const { return key_rows_[i]; }
  void PrefetchRow(idx_t i) const {
    if (rows_) rows_->Prefetch(row_batch_.HashOf(i));
  }
  /// Puts row `i` into its key's list, or finds it there.
  uint8_t* Attach(idx_t i) {
    return Attach(key_rows_[i], Row(i), append_only_ ? 0 : row_batch_.HashOf(i));
  }
  /// Adds to the copies of the stored `row` of key `i`; how many there are then. With none it goes;
  /// fewer are an error. REQUIRES: the input does not only grow.
  [[nodiscard]] int64_t AddCopies(idx_t i, uint8_t* row, int64_t weight);
  /// Keys without rows go, of the chunk's first `count`.
  void EraseUnusedKeys(idx_t count);

  // Stored rows.
  uint8_t*& Next(uint8_t* row) const { return At<uint8_t*>(row, layout_.Width()); }
  /// How many equal ones there are.
  int64_t Copies(uint8_t* row) const { return copies_at_ ? At<int64_t>(row, copies_at_) : 1; }
  int64_t& Matches(uint8_t* row) const { return At<int64_t>(row, matches_at_); }
  int64_t& Unknown(uint8_t* row) const { return At<int64_t>(row, unknown_at_); }
  bool HasMatches() const { return matches_at_ != 0; }
  bool HasUnknown() const { return unknown_at_ != 0; }
  void Touch(uint8_t* row) { rows_ ? rows_->Touch(row) : plain_->Touch(row); }

  const RowLayout& Layout() const { return layout_; }
  const Evaluator& KeyValues() const { return values_; }
  bool AppendOnly() const { return append_only_; }
  int64_t Stored() const { return stored_; }
  Tracked* Rows() const;
  int64_t Bytes() const;

  /// What has gone, and then (SaveRows) what is there; read in the same order.
  void SaveHead(StateWriter& writer);
  void SaveRows(StateWriter& writer);
  void LoadHead(StateReader& reader);
  void LoadRows(StateReader& reader);

 private:
  template <typename T>
  static T& At(uint8_t* row, idx_t offset) {
    return *reinterpret_cast<T*>(row + offset);
  }
  uint8_t*& Previous(uint8_t* row) const { return At<uint8_t*>(row, previous_at_); }
  uint8_t* Attach(uint8_t* key, const uint8_t* row, uint64_t hash);
  uint8_t* NewPlain(const uint8_t* row);
  void Link(uint8_t* key, uint8_t* stored);
  void Detach(uint8_t* key, uint8_t* row);
  void EraseIfUnused(idx_t i);
  RecordParts Parts() const;
  /// Finds the keys of stored rows, which are left out on disk.
  void FindKeys(RecordBlock& block);
  void LoadGone(RecordBlock& block);
  void LoadBlock(RecordBlock& block, TableLoader* loader);
  void SetNumbers(uint8_t* row, RecordBlock& block, idx_t i) const;

  StateArena& arena_;
  JoinKeys& keys_;
  const idx_t side_;
  const RowLayout layout_;
  Evaluator values_;
  bool append_only_ = false;
  idx_t previous_at_ = 0, copies_at_ = 0, matches_at_ = 0, unknown_at_ = 0;  // 0: not kept.
  std::unique_ptr<RowTable> rows_;        // Finds equal rows; not needed over inserts only.
  std::unique_ptr<RowStore> plain_;       // Rows then.
  std::unique_ptr<StringStore> strings_;  // Theirs.
  int64_t stored_ = 0;
  int64_t settled_ = 0;  // Of plain rows: those that the last checkpoint has.

  DataChunk key_chunk_;
  RowBatch key_batch_;
  RowBatch row_batch_;
  std::vector<uint8_t*> key_rows_;
};

}  // namespace millrace
