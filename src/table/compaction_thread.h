// compaction_thread.h - compactions of a writer that go on while it writes: one at a time, on a
// thread of their own.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>

#include "io/executor.h"
#include "lsm/compaction.h"

namespace millrace {

/// Threads: one owner; jobs run on another thread.
class CompactionThread {
 public:
  /// Compacts; asked-for cancellation is an Error(kCancelled).
  using Job = std::function<CompactResult(const std::function<bool()>& cancelled)>;
  using Discard = std::function<void(const CompactResult&)>;

  CompactionThread() = default;
  /// Cancels and joins; results that nobody took are discarded.
  ~CompactionThread();

  /// REQUIRES: no job of that name is there.
  void Start(const std::string& name, Job job, Discard discard);
  /// A job of this name waits, runs, or has a result that was not taken.
  bool Has(const std::string& name) const;
  /// The result, if the job has ended; rethrows its error. With `wait` the job is waited for.
  std::optional<CompactResult> Take(const std::string& name, bool wait);
  /// Names of all jobs whose results were not taken, or of those that have ended.
  std::vector<std::string> Names(bool ended_only) const;

 private:
  struct Entry {
    Job job;
    Discard discard;
    bool ended = false;
    CompactResult result = {};
    std::exception_ptr error = {};
  };
  void Work();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::shared_ptr<Entry>> entries_;
  std::deque<std::shared_ptr<Entry>> waiting_;
  bool stopping_ = false;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Task> task_;  // Started with the first job.
};

}  // namespace millrace
