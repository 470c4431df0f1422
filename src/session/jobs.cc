#include "session/jobs.h"

#include <algorithm>

#include "base/error.h"

namespace millrace {

namespace {

constexpr int64_t kPollMs = 20;

class JobResult : public ResultStream {
 public:
  JobResult(std::shared_ptr<Job> job, std::shared_ptr<ChangeQueue> queue,
            duckdb::vector<std::string> names, duckdb::vector<LogicalType> types, bool fold,
            StateMemory* memory)
      : job_(std::move(job)),
        queue_(std::move(queue)),
        names_(std::move(names)),
        types_(std::move(types)) {
    if (fold) fold_ = std::make_unique<ChangeFold>(types_, std::vector<idx_t>(), memory);
  }
  ~JobResult() override {
    queue_->Close();
    job_->Cancel();
    job_->Wait();
  }

  const duckdb::vector<std::string>& Names() const override { return names_; }
  const duckdb::vector<LogicalType>& Types() const override { return types_; }
  bool IsChangelog() const override { return fold_ == nullptr; }
  void Cancel() override {
    cancelled_ = true;
    job_->Cancel();
  }

  FetchStatus Fetch(ChangeChunk& chunk, int64_t wait_ms) override {
    chunk.Reset();
    if (folded_) return fold_->Next(chunk.rows) ? FetchStatus::kRows : FetchStatus::kEnd;
    int64_t waited = 0;
    while (true) {
      if (cancelled_) Throw(ErrorCode::kCancelled, "The query was cancelled");
      bool ended =
          job_->State() > JobState::kRunning;  // Asked before the queue: then nothing more comes.
      auto next = queue_->Pop(wait_ms == 0 || ended ? 0 : kPollMs);
      if (next && fold_) {
        fold_->Add(*next);
        continue;
      }
      if (next) {
        held_ = std::move(next);
        chunk.rows.Reference(held_->rows);
        chunk.kinds = held_->kinds;
        return FetchStatus::kRows;
      }
      if (ended) return AtEnd(chunk);
      waited += kPollMs;
      if (wait_ms >= 0 && waited >= wait_ms) return FetchStatus::kNothing;
    }
  }

 private:
  FetchStatus AtEnd(ChangeChunk& chunk) {
    if (auto failure = job_->Failure()) throw *failure;
    if (job_->State() == JobState::kCancelled)
      Throw(ErrorCode::kCancelled, "The query was cancelled");
    if (!fold_) return FetchStatus::kEnd;
    folded_ = true;
    return fold_->Next(chunk.rows) ? FetchStatus::kRows : FetchStatus::kEnd;
  }

  const std::shared_ptr<Job> job_;
  const std::shared_ptr<ChangeQueue> queue_;
  const duckdb::vector<std::string> names_;
  const duckdb::vector<LogicalType> types_;
  std::unique_ptr<ChangeFold> fold_;
  bool folded_ = false;
  std::unique_ptr<ChangeChunk> held_;
  std::atomic<bool> cancelled_{false};
};

}  // namespace

JobRunner::~JobRunner() {
  CancelAll();
  for (Running& running : running_) running.task->Join();
}

std::shared_ptr<Job> JobRunner::Submit(std::unique_ptr<Job> job, bool is_query) {
  std::shared_ptr<Job> shared = std::move(job);
  auto task = executor_.Start(shared->options().name, [shared] { shared->Run(); });
  std::lock_guard lock(mutex_);
  // Queries that have ended are of no further interest.
  std::erase_if(running_, [](const Running& running) {
    return running.entry.is_query && running.entry.job->State() > JobState::kRunning;
  });
  running_.push_back({{shared, clock_.NowMs(), is_query}, std::move(task)});
  return shared;
}

std::vector<JobRunner::Entry> JobRunner::Jobs() const {
  std::lock_guard lock(mutex_);
  std::vector<Entry> entries;
  for (const Running& running : running_) entries.push_back(running.entry);
  return entries;
}

std::shared_ptr<Job> JobRunner::Find(const std::string& id) const {
  std::vector<std::string> known;
  std::vector<Entry> jobs = Jobs();
  std::reverse(jobs.begin(), jobs.end());  // Of one name the newest: the others have ended.
  for (const Entry& entry : jobs) {
    if (entry.job->options().id == id || entry.job->options().name == id) return entry.job;
    known.push_back(entry.job->options().id);
  }
  // A terminal may have cut the id that the user has read. Not so names: a slip in one is told.
  bool made_up = id.starts_with("job-") || id.starts_with("query-");
  std::vector<std::shared_ptr<Job>> begin;
  for (const Entry& entry : jobs) {
    if (made_up && entry.job->options().id.starts_with(id)) begin.push_back(entry.job);
  }
  if (begin.size() == 1) return begin[0];
  if (begin.size() > 1) {
    Throw(ErrorCode::kInvalid, "'{}' begins the ids of {} jobs; SHOW JOBS lists them", id,
          begin.size());
  }
  Throw(ErrorCode::kNotFound, "There is no job '{}'{}; SHOW JOBS lists them", id,
        DidYouMean(id, known));
}

void JobRunner::CancelAll() {
  for (const Entry& entry : Jobs()) entry.job->Cancel();
}

void JobRunner::AbandonAll() {
  for (const Entry& entry : Jobs()) entry.job->Abandon();
}

void JobRunner::WaitAll() {
  for (const Entry& entry : Jobs()) {
    if (entry.is_query) continue;
    entry.job->Wait();
    if (auto failure = entry.job->Failure()) throw *failure;
  }
}

std::unique_ptr<ResultStream> MakeJobResult(std::shared_ptr<Job> job,
                                            std::shared_ptr<ChangeQueue> queue,
                                            duckdb::vector<std::string> names,
                                            duckdb::vector<LogicalType> types, bool fold,
                                            StateMemory* memory) {
  return std::make_unique<JobResult>(std::move(job), std::move(queue), std::move(names),
                                     std::move(types), fold, memory);
}

}  // namespace millrace
