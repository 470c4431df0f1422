// random.h - randomness, passed in and seeded so that a failure replays.
#pragma once

#include <mutex>
#include <random>
#include <string>

namespace millrace {

/// Threads: safe.
class Random {
 public:
  /// `seed` 0 takes one from the system.
  explicit Random(uint64_t seed = 0);
  uint64_t Next();
  /// A version 4 UUID in lower case with hyphens.
  std::string Uuid();

 private:
  std::mutex mutex_;
  std::mt19937_64 engine_;
};

}  // namespace millrace
