// executor.h - the one place that starts threads of ours.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace millrace {

/// A running task. Joined by its destructor. Threads: one owner.
class Task {
 public:
  virtual ~Task() = default;
  virtual void Join() = 0;
};

/// Starts named threads; a task must not throw. Threads: safe.
class Executor {
 public:
  virtual ~Executor() = default;
  virtual std::unique_ptr<Task> Start(const std::string& name, std::function<void()> body) = 0;
};

std::unique_ptr<Executor> MakeThreadExecutor();

}  // namespace millrace
