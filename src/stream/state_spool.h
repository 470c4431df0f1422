// state_spool.h - the way of operators' state from the job, which saves it between two steps, to
// the thread that writes it: a queue of bounded size, so that a small change costs the job its
// copying alone, and a large state no more memory than that.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>

#include "stream/dataflow.h"

namespace millrace {

/// Threads: one puts in (Writer, End, GiveUp), another takes out (Drain, Abort).
class StateSpool {
 public:
  static constexpr int64_t kMostBytes = 32 << 20;

  explicit StateSpool(int64_t most_bytes = kMostBytes) : most_bytes_(most_bytes) {}

  /// What one pipeline is saved into; only to write, and not longer than this lives. Waits where
  /// there is no room.
  std::unique_ptr<StateStore> Writer(idx_t pipeline);
  /// All has been saved.
  void End();
  /// Nobody takes out any more: what comes is dropped.
  void Abort();
  /// The same, unless all has been saved.
  void GiveUp();

  /// Hands what comes to the stores until the end. False when it was given up before. Throws what
  /// the stores throw; then it is given up.
  [[nodiscard]] bool Drain(const std::function<StateStore&(idx_t pipeline)>& store_of);
  /// The most that has waited at once.
  int64_t PeakBytes() const;

 private:
  class Entrance;
  enum class What : uint8_t { kBegin, kFollow, kAppend, kClose };
  struct Item {
    What what;
    idx_t pipeline;
    std::string key;
    std::string bytes;
  };
  static constexpr size_t kItemBytes = 1 << 20;
  void Put(Item item);
  /// A string with room for an item.
  std::string Buffer();
  bool DrainAll(const std::function<StateStore&(idx_t)>& store_of);

  const int64_t most_bytes_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> items_;
  std::vector<std::string> spare_;  // To use again: fresh memory costs as much as filling it.
  int64_t bytes_ = 0, peak_bytes_ = 0;
  bool ended_ = false, aborted_ = false;
};

}  // namespace millrace
