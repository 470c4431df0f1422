// Goal: every part is done once, by the caller and free threads of the pool, whoever else uses it,
// and a failure comes out after all have ended. Method: parts that count, that meet, that fail;
// runs from several threads at once.
#include "io/worker_pool.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>

namespace millrace {

TEST_CASE("each part is done once, however many threads the pool has and a run asks for") {
  auto executor = MakeThreadExecutor();
  for (size_t most : {0, 1, 3}) {
    WorkerPool pool(*executor, "worker", most);
    for (size_t threads : {0, 1, 2, 9}) {
      for (size_t parts : {0, 1, 2, 7}) {
        std::vector<std::atomic<int>> done(parts);
        pool.Run(parts, threads, [&](size_t part) { done[part]++; });
        for (const auto& times : done) CHECK(times == 1);
      }
    }
  }
}

TEST_CASE("parts run side by side") {
  auto executor = MakeThreadExecutor();
  WorkerPool pool(*executor, "worker", 2);
  for (int round = 0; round < 100; round++) {
    std::mutex mutex;
    std::condition_variable changed;
    int there = 0;
    pool.Run(3, 3, [&](size_t) {
      std::unique_lock lock(mutex);
      there++;
      changed.notify_all();
      CHECK(changed.wait_for(lock, std::chrono::seconds(60), [&] { return there == 3; }));
    });
  }
}

TEST_CASE("runs of several threads share the pool, also when it is too small for them") {
  auto executor = MakeThreadExecutor();
  WorkerPool pool(*executor, "worker", 2);
  std::vector<std::atomic<int64_t>> sums(4);
  {
    std::vector<std::unique_ptr<Task>> callers;
    for (size_t c = 0; c < sums.size(); c++) {
      callers.push_back(executor->Start("caller", [&, c] {
        for (int round = 0; round < 500; round++) {
          pool.Run(5, 3, [&](size_t part) { sums[c] += static_cast<int64_t>(part) + 1; });
        }
      }));
    }
  }
  for (const auto& sum : sums) CHECK(sum == 500 * 15);
}

TEST_CASE("a failure ends the others early, is thrown, and leaves the pool usable") {
  auto executor = MakeThreadExecutor();
  WorkerPool pool(*executor, "worker", 3);
  std::atomic<int> begun{0};
  auto work = [&](size_t part) {
    begun++;
    if (part == 2) throw std::runtime_error("the third");
  };
  CHECK_THROWS_WITH(pool.Run(1000, 1, work), "the third");
  CHECK(begun == 3);
  for (int round = 0; round < 100; round++) {
    CHECK_THROWS_WITH(pool.Run(1000, 4, work), "the third");
    std::atomic<int> done{0};
    pool.Run(8, 4, [&](size_t) { done++; });
    CHECK(done == 8);
  }
}

TEST_CASE("of several failures that of the least part is thrown") {
  auto executor = MakeThreadExecutor();
  WorkerPool pool(*executor, "worker", 1);
  std::mutex mutex;
  std::condition_variable changed;
  int there = 0;
  CHECK_THROWS_WITH(pool.Run(2, 2,
                             [&](size_t part) {
                               std::unique_lock lock(mutex);
                               there++;
                               changed.notify_all();
                               changed.wait_for(lock, std::chrono::seconds(60),
                                                [&] { return there == 2; });
                               throw std::runtime_error(part == 0 ? "the first" : "the second");
                             }),
                    "the first");
}

}  // namespace millrace
