// winner_merge.cc - k-way merge by least key that copies winners only.
//
// As long as the least key of one cursor is smaller than all others its rows go out as a stretch; a
// tie is decided by (user sequence, sequence).
#include "lsm/winner_merge.h"

#include "lsm/cursor_merge.h"

namespace millrace {

namespace {

template <typename Key>
class Merge : public WinnerMerge, private CursorMerge<Key> {
 public:
  using Base = CursorMerge<Key>;
  using Cursor = typename Base::Cursor;
  using Base::cursors_;
  using Base::filled_;
  using Base::Pick;
  using Base::plan_;
  using Base::Refill;

  Merge(std::vector<RunScan> runs, const ReadPlan& plan, bool newest_wins, bool drop_deletes)
      : Base(plan, plan.output), newest_wins_(newest_wins), drop_deletes_(drop_deletes) {
    for (RunScan& run : runs) Base::AddRun(std::move(run));
  }

  bool Next(DataChunk& output) override {
    while (!cursors_.empty()) {
      if (cursors_.size() == 1 && cursors_[0]->position == 0) {
        // The last run left: whole chunks pass through.
        bool any = ReadToOutput(cursors_[0]->chunk, plan_, drop_deletes_, output);
        if (any) {
          passed_ = true;  // The cursor's chunk is in use until the next call.
          cursors_[0]->position = cursors_[0]->size();
          return true;
        }
        if (!cursors_[0]->Load()) cursors_.clear();
        continue;
      }
      if (passed_) {
        passed_ = false;
        if (!cursors_[0]->Load()) cursors_.clear();
        continue;
      }
      if (MergeChunk(output)) return true;
    }
    return false;
  }

 private:
  bool MergeChunk(DataChunk& output) {
    output.Reset();
    filled_ = 0;
    while (filled_ < kChunkRows && !cursors_.empty()) {
      if (cursors_.size() == 1) {
        if (filled_ > 0 && cursors_[0]->position == 0) break;  // Let whole chunks pass.
        Stretch(*cursors_[0], nullptr);
        Refill(0, output);
        continue;
      }
      Step(output);
    }
    Base::CopyAllPicked(output);
    return filled_ > 0;
  }

  /// One stretch or one tie.
  void Step(DataChunk& output) {
    auto [least, second] = Base::FindLeast();
    if (SameKey(cursors_[least]->key(), cursors_[second]->key())) {
      Tie(cursors_[least]->key(), output);
    } else {
      const Key limit = cursors_[second]->key();
      Stretch(*cursors_[least], &limit);
      Refill(least, output);
    }
  }

  void Stretch(Cursor& cursor, const Key* limit) {
    idx_t end = Base::EndOfStretch(cursor, limit, kChunkRows - filled_);
    bool filter = drop_deletes_ && cursor.has_deletes;
    for (idx_t row = cursor.position; row < end; row++) {
      if (!filter || IsAdd(cursor.KindAt(row))) Pick(cursor, row);
    }
    cursor.position = end;
  }

  void Tie(const Key& key_in_chunk, DataChunk& output) {
    const Key key = key_in_chunk;
    tied_.clear();
    size_t winner = cursors_.size();
    for (size_t i = 0; i < cursors_.size(); i++) {
      if (!SameKey(cursors_[i]->key(), key)) continue;
      tied_.push_back(i);
      if (winner == cursors_.size() ||
          Base::Newer(*cursors_[i], *cursors_[winner]) == newest_wins_) {
        winner = i;
      }
    }
    Cursor& cursor = *cursors_[winner];
    if (!drop_deletes_ || IsAdd(cursor.KindAt(cursor.position))) Pick(cursor, cursor.position);
    for (size_t i : tied_) cursors_[i]->position++;
    // From the last, for a finished cursor is taken out.
    for (size_t i = tied_.size(); i-- > 0;) Refill(tied_[i], output);
  }

  const bool newest_wins_;
  const bool drop_deletes_;
  std::vector<size_t> tied_;
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
