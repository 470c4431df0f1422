// Goal: every part is done once, by as many threads as asked for, and a failure comes out after all
// threads have ended. Method: parts that count, parts that meet, parts that fail.
#include "io/parallel.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <vector>

namespace millrace {

TEST_CASE("each part is done once, however many threads there are") {
  for (size_t threads : {0, 1, 3, 9}) {
    std::vector<std::atomic<int>> done(7);
    RunParts("part", done.size(), threads, [&](size_t part) { done[part]++; });
    for (const auto& times : done) CHECK(times == 1);
  }
  RunParts("part", 0, 3, [](size_t) { FAIL("there is no part"); });
}

TEST_CASE("parts run side by side") {
  std::mutex mutex;
  std::condition_variable changed;
  int there = 0;
  RunParts("part", 2, 2, [&](size_t) {
    std::unique_lock lock(mutex);
    there++;
    changed.notify_all();
    CHECK(changed.wait_for(lock, std::chrono::seconds(60), [&] { return there == 2; }));
  });
}

TEST_CASE("a failure ends the others early and is thrown") {
  std::atomic<int> begun{0};
  auto work = [&](size_t part) {
    begun++;
    if (part == 2) throw std::runtime_error("the third");
  };
  CHECK_THROWS_WITH(RunParts("part", 1000, 1, work), "the third");
  CHECK(begun == 3);
  CHECK_THROWS_WITH(RunParts("part", 1000, 4, work), "the third");
}

}  // namespace millrace
