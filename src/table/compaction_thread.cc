#include "table/compaction_thread.h"

#include "base/error.h"

namespace millrace {

CompactionThread::~CompactionThread() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (task_) task_->Join();
  for (auto& [name, entry] : entries_) {
    if (entry->ended && !entry->error) entry->discard(entry->result);
  }
}

void CompactionThread::Start(const std::string& name, Job job, Discard discard) {
  std::lock_guard lock(mutex_);
  MILLRACE_CHECK(!entries_.contains(name));
  auto entry = std::make_shared<Entry>(Entry{std::move(job), std::move(discard)});
  entries_[name] = entry;
  waiting_.push_back(entry);
  if (!task_) {
    executor_ = MakeThreadExecutor();
    task_ = executor_->Start("compaction", [this] { Work(); });
  }
  changed_.notify_all();
}

bool CompactionThread::Has(const std::string& name) const {
  std::lock_guard lock(mutex_);
  return entries_.contains(name);
}

std::optional<CompactResult> CompactionThread::Take(const std::string& name, bool wait) {
  std::unique_lock lock(mutex_);
  auto found = entries_.find(name);
  if (found == entries_.end()) return std::nullopt;
  std::shared_ptr<Entry> entry = found->second;
  if (wait) changed_.wait(lock, [&] { return entry->ended; });
  if (!entry->ended) return std::nullopt;
  entries_.erase(name);
  if (entry->error) std::rethrow_exception(entry->error);
  return std::move(entry->result);
}

std::vector<std::string> CompactionThread::Names(bool ended_only) const {
  std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) {
    if (entry->ended || !ended_only) names.push_back(name);
  }
  return names;
}

void CompactionThread::Work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    std::shared_ptr<Entry> entry = waiting_.front();
    waiting_.pop_front();
    lock.unlock();
    CompactResult result;
    std::exception_ptr error;
    try {
      result = entry->job([this] {
        std::lock_guard cancel_lock(mutex_);
        return stopping_;
      });
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    entry->result = std::move(result);
    entry->error = error;
    entry->ended = true;
    changed_.notify_all();
  }
}

}  // namespace millrace
