#include "io/worker_pool.h"

#include <algorithm>
#include <atomic>

namespace millrace {

/// The parts of one Run.
struct WorkerPool::Batch {
  Batch(size_t parts, const std::function<void(size_t)>& to_do) : count(parts), work(to_do) {}

  void TakeParts() {
    for (size_t part = next++; part < count; part = next++) {
      try {
        work(part);
      } catch (...) {
        next = count;
        std::lock_guard lock(failure_mutex);
        if (failure && failed_part < part) continue;
        failure = std::current_exception();
        failed_part = part;
      }
    }
  }

  const size_t count;
  const std::function<void(size_t)>& work;
  std::atomic<size_t> next{0};
  std::mutex failure_mutex;
  std::exception_ptr failure;
  size_t failed_part = 0;
  // By the pool's mutex:
  size_t wanted = 0;  // Helpers that have not come yet.
  size_t busy = 0;    // Helpers at work.
  std::condition_variable left;
};

WorkerPool::WorkerPool(Executor& executor, std::string thread_name, size_t most)
    : executor_(executor), thread_name_(std::move(thread_name)), most_(most) {}

WorkerPool::~WorkerPool() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  workers_.clear();  // Joins them.
}

/// REQUIRES: mutex_ is held.
void WorkerPool::StartWorkers(size_t wanted) {
  for (size_t free = idle_; free < wanted && workers_.size() < most_; free++) {
    workers_.push_back(executor_.Start(thread_name_, [this] { Work(); }));
  }
}

void WorkerPool::Run(size_t count, size_t threads, const std::function<void(size_t)>& work) {
  Batch batch(count, work);
  size_t helpers = std::min({threads, count, most_ + 1});
  if (helpers > 1) {
    std::lock_guard lock(mutex_);
    batch.wanted = helpers - 1;
    StartWorkers(batch.wanted);
    waiting_.push_back(&batch);
  }
  for (size_t i = 1; i < helpers; i++) wake_.notify_one();
  batch.TakeParts();
  if (helpers > 1) {
    std::unique_lock lock(mutex_);
    std::erase(waiting_, &batch);
    batch.left.wait(lock, [&] { return batch.busy == 0; });
  }
  if (batch.failure) std::rethrow_exception(batch.failure);
}

void WorkerPool::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    idle_++;
    wake_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
    idle_--;
    if (stopping_) return;
    Batch& batch = *waiting_.front();
    if (--batch.wanted == 0) waiting_.pop_front();
    batch.busy++;
    lock.unlock();
    batch.TakeParts();
    lock.lock();
    if (--batch.busy == 0) batch.left.notify_all();
  }
}

}  // namespace millrace
