#include "stream/log_follower.h"

#include <algorithm>

#include "stream/log_redo.h"

namespace millrace {

std::string JobOfLog(const std::string& user) {
  return user.substr(0, user.find('.'));
}

LogFollower::LogFollower(const Table& table, int64_t offset)
    : looking_(table.context().files, table.folder(), LogTypes(table), offset),
      reading_(table.context().files, table.folder(), LogTypes(table), offset),
      offset_(offset) {}

void LogFollower::Poll() {
  while (looking_.Peek()) {
    LogBatch batch = looking_.Skip();
    int64_t& last = last_seen_.try_emplace(JobOfLog(batch.job), -1).first->second;
    last = std::max(last, batch.step);
    if (batch.next_offset > offset_) ahead_.push_back(std::move(batch));
  }
}

int64_t LogFollower::LastSeen(const std::string& job) const {
  auto found = last_seen_.find(job);
  return found == last_seen_.end() ? -1 : found->second;
}

void LogFollower::ReadTo(int64_t offset, const std::vector<idx_t>& columns,
                         const ChangeReceiver& receive,
                         const std::function<void(const LogBatch&)>& check) {
  while (offset_ < offset) {
    auto next = reading_.Peek();
    if (!next) break;
    check(*next);
    reading_.Read(columns, receive);
    offset_ = reading_.Offset();
  }
  while (!ahead_.empty() && ahead_.front().next_offset <= offset_) ahead_.pop_front();
}

std::vector<int64_t> AlignLogs(const std::vector<const LogFollower*>& logs,
                               const std::function<bool(const std::string& job, idx_t i)>& writes) {
  std::map<std::string, int64_t> last_step;  // Per job: what all its logs have.
  for (const LogFollower* log : logs) {
    for (const LogBatch& batch : log->ahead()) {
      std::string job = JobOfLog(batch.job);
      auto [slot, is_new] = last_step.try_emplace(job, INT64_MAX);
      if (!is_new) continue;
      for (idx_t i = 0; i < logs.size(); i++) {
        bool shows = writes(job, i) || logs[i] == log;
        if (shows) slot->second = std::min(slot->second, logs[i]->LastSeen(job));
      }
    }
  }
  std::vector<int64_t> targets(logs.size());
  // A step that lies behind one which must wait is not taken in other logs either.
  for (bool lowered = true; lowered;) {
    lowered = false;
    for (idx_t i = 0; i < logs.size(); i++) {
      const std::deque<LogBatch>& ahead = logs[i]->ahead();
      targets[i] = logs[i]->offset();
      idx_t taken = 0;
      for (; taken < ahead.size(); taken++) {
        if (ahead[taken].step > last_step[JobOfLog(ahead[taken].job)]) break;
        targets[i] = ahead[taken].next_offset;
      }
      for (; taken < ahead.size(); taken++) {
        int64_t& last = last_step[JobOfLog(ahead[taken].job)];
        if (ahead[taken].step > last) continue;
        last = ahead[taken].step - 1;
        lowered = true;
      }
    }
  }
  return targets;
}

}  // namespace millrace
