// winner_merge.cc - k-way merge by least key that copies winners only.
//
// A tie is decided by (user sequence, sequence). The chunks of the last run left pass through.
#include "lsm/winner_merge.h"

#include "lsm/cursor_merge.h"

namespace millrace {

namespace {

template <typename Key>
class Merge : public WinnerMerge, private CursorMerge<Key> {
 public:
  using Base = CursorMerge<Key>;
  using Cursor = typename Base::Cursor;
  using Entry = typename Base::Entry;
  using Base::cursors_;
  using Base::end_;
  using Base::filled_;
  using Base::next_;
  using Base::Pick;
  using Base::plan_;

  Merge(std::vector<RunScan> runs, const ReadPlan& plan, bool newest_wins, bool drop_deletes)
      : Base(plan, plan.output), newest_wins_(newest_wins), drop_deletes_(drop_deletes) {
    for (RunScan& run : runs) Base::AddRun(std::move(run));
  }

  bool Next(DataChunk& output) override {
    if (passed_) {
      passed_ = false;
      if (!cursors_[0]->Load()) cursors_.clear();
    }
    output.Reset();
    filled_ = 0;
    while (filled_ < kChunkRows) {
      if (next_ == end_) {
        Base::LoadEnded(output);
        if (cursors_.empty()) break;
        if (cursors_.size() == 1 && cursors_[0]->position == 0) {
          // The last run left: whole chunks pass through.
          if (filled_ > 0) break;
          if (Pass(output)) return true;
          continue;
        }
        Base::MergeBatch();
      }
      TakeRows();
    }
    Base::CopyAllPicked(output);
    return filled_ > 0;
  }

 private:
  bool Pass(DataChunk& output) {
    Cursor& cursor = *cursors_[0];
    cursor.position = cursor.size();
    passed_ = ReadToOutput(cursor.chunk, plan_, drop_deletes_, output);
    return passed_;  // Its chunk is in use until the next call.
  }

  /// Of each key the row that wins.
  void TakeRows() {
    while (next_ != end_ && filled_ < kChunkRows) {
      const Entry* winner = next_;
      const Entry* end = Base::EndOfKey(next_);
      for (const Entry* row = next_ + 1; row != end; row++) {
        if (Base::Newer(*row, *winner) == newest_wins_) winner = row;
      }
      next_ = end;
      const Cursor& cursor = *cursors_[winner->cursor];
      bool filter = drop_deletes_ && cursor.has_deletes;
      if (!filter || IsAdd(cursor.KindAt(winner->row))) Pick(*winner);
    }
  }

  const bool newest_wins_;
  const bool drop_deletes_;
  bool passed_ = false;  // The last cursor's chunk went out as it is.
};

}  // namespace

std::unique_ptr<WinnerMerge> MakeWinnerMerge(std::vector<RunScan> runs, const ReadPlan& plan,
                                             bool newest_wins, bool drop_deletes) {
  if (plan.HasIntegerKey()) {
    return std::make_unique<Merge<int64_t>>(std::move(runs), plan, newest_wins, drop_deletes);
  }
  return std::make_unique<Merge<string_t>>(std::move(runs), plan, newest_wins, drop_deletes);
}

}  // namespace millrace
