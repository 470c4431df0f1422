// worker_pool.h - threads that stay, for work that is cut into parts again and again.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

#include "io/executor.h"

namespace millrace {

/// Lends threads to whoever has parts to do; they start when they are first wanted.
/// Threads: safe. REQUIRES: no Run is under way when it goes.
class WorkerPool {
 public:
  /// Starts at most `most` threads, by `executor`, which must outlive it.
  WorkerPool(Executor& executor, std::string thread_name, size_t most);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// Calls work(0) .. work(count - 1) and returns when all have ended. The caller and up to
  /// `threads` - 1 of the pool's threads, as far as they are free, each take the next part. After a
  /// failure no further part is begun; the one of the least part is thrown.
  void Run(size_t count, size_t threads, const std::function<void(size_t)>& work);

 private:
  struct Batch;
  void Work();
  void StartWorkers(size_t wanted);

  Executor& executor_;
  const std::string thread_name_;
  const size_t most_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Batch*> waiting_;  // Each wants one or more helpers.
  size_t idle_ = 0;
  bool stopping_ = false;
  std::vector<std::unique_ptr<Task>> workers_;
};

}  // namespace millrace
