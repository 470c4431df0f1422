#include "io/parallel.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include "io/executor.h"

namespace millrace {

void RunParts(const std::string& thread_name, size_t count, size_t threads,
              const std::function<void(size_t)>& work) {
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  auto take_parts = [&] {
    try {
      for (size_t part = next++; part < count; part = next++) work(part);
    } catch (...) {
      next = count;
      std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  {
    auto executor = MakeThreadExecutor();
    std::vector<std::unique_ptr<Task>> helpers;  // Joined at the end of the block.
    for (size_t i = 1; i < std::min(threads, count); i++) {
      helpers.push_back(executor->Start(thread_name, take_parts));
    }
    take_parts();
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace millrace
