#include "io/executor.h"

#include <pthread.h>

#include <thread>

namespace millrace {

namespace {

class ThreadTask : public Task {
 public:
  ThreadTask(const std::string& name, std::function<void()> body) : thread_(std::move(body)) {
    pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
  }
  ~ThreadTask() override { Join(); }
  void Join() override {
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::thread thread_;
};

class ThreadExecutor : public Executor {
 public:
  std::unique_ptr<Task> Start(const std::string& name, std::function<void()> body) override {
    return std::make_unique<ThreadTask>(name, std::move(body));
  }
};

}  // namespace

std::unique_ptr<Executor> MakeThreadExecutor() {
  return std::make_unique<ThreadExecutor>();
}

}  // namespace millrace
