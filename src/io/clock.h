// clock.h - time, passed in so that a failure replays.
#pragma once

#include <cstdint>
#include <memory>

namespace millrace {

/// Tells the time. Threads: safe.
class Clock {
 public:
  virtual ~Clock() = default;
  /// Unix time in milliseconds.
  virtual int64_t NowMs() = 0;
  /// Monotonic, for measuring.
  virtual int64_t MonotonicUs() = 0;
  virtual void SleepMs(int64_t ms) = 0;
};

std::unique_ptr<Clock> MakeSystemClock();

}  // namespace millrace
