// manual_clock.h - a clock that stands still until it is told to move; for tests and replays.
#pragma once

#include <atomic>

#include "io/clock.h"

namespace millrace {

/// Counts the time it was given. Sleeping moves it and returns at once. Threads: safe.
class ManualClock : public Clock {
 public:
  explicit ManualClock(int64_t now_ms = 0) : now_us_(now_ms * 1000) {}
  int64_t NowMs() override { return now_us_ / 1000; }
  int64_t MonotonicUs() override { return now_us_; }
  void SleepMs(int64_t ms) override { AdvanceMs(ms); }
  void AdvanceMs(int64_t ms) { now_us_ += ms * 1000; }
  void SetMs(int64_t ms) { now_us_ = ms * 1000; }

 private:
  std::atomic<int64_t> now_us_;
};

}  // namespace millrace
