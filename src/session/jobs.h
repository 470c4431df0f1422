// jobs.h - the jobs of a session: started, listed, waited for, cancelled.
#pragma once

#include "io/executor.h"
#include "session/results.h"
#include "stream/job.h"

namespace millrace {

/// Runs jobs, each in a thread of its own.
/// Threads: safe.
class JobRunner {
 public:
  explicit JobRunner(Executor& executor, Clock& clock) : executor_(executor), clock_(clock) {}
  /// Cancels and joins what still runs.
  ~JobRunner();

  struct Entry {
    std::shared_ptr<Job> job;
    int64_t started_ms = 0;
    bool is_query = false;  // Belongs to an open result.
  };
  std::shared_ptr<Job> Submit(std::unique_ptr<Job> job, bool is_query);
  std::vector<Entry> Jobs() const;
  /// By id, the beginning of one that is no name, or name; Error(kNotFound) with a suggestion.
  std::shared_ptr<Job> Find(const std::string& id) const;
  void CancelAll();
  void AbandonAll();
  /// Returns when all have ended; throws the first failure.
  void WaitAll();

 private:
  struct Running {
    Entry entry;
    std::unique_ptr<Task> task;
  };
  Executor& executor_;
  Clock& clock_;
  mutable std::mutex mutex_;
  std::vector<Running> running_;
};

/// The changes of a running query. Its destructor cancels the job. `fold`: gives only what remains,
/// at the end, kept in `memory` until then.
std::unique_ptr<ResultStream> MakeJobResult(std::shared_ptr<Job> job,
                                            std::shared_ptr<ChangeQueue> queue,
                                            duckdb::vector<std::string> names,
                                            duckdb::vector<LogicalType> types, bool fold,
                                            StateMemory* memory);

}  // namespace millrace
