#include "stream/state_spool.h"

#include "base/error.h"

namespace millrace {

/// Collects what a pipeline appends: operators write in pieces of any size.
class StateSpool::Entrance : public StateStore {
 public:
  Entrance(StateSpool& spool, idx_t pipeline) : spool_(spool), pipeline_(pipeline) {}

  void Begin(const std::string& key, bool follows) override {
    spool_.Put({follows ? What::kFollow : What::kBegin, pipeline_, key, {}});
  }
  void Append(const std::string& key, std::string_view bytes) override {
    if (key != key_ || bytes_.size() + bytes.size() > kItemBytes) Flush();
    if (bytes_.empty()) {
      bytes_ = spool_.Buffer();
      key_ = key;
    }
    bytes_.append(bytes);
  }
  void Close(const std::string& key) override {
    Flush();
    spool_.Put({What::kClose, pipeline_, key, {}});
  }
  std::vector<std::unique_ptr<StateInput>> Open(const std::string& key) override {
    Throw(ErrorCode::kInvalid, "State '{}' is being saved: nothing can be read", key);
  }

 private:
  void Flush() {
    if (!bytes_.empty()) spool_.Put({What::kAppend, pipeline_, key_, std::move(bytes_)});
    bytes_.clear();
  }

  StateSpool& spool_;
  const idx_t pipeline_;
  std::string key_;
  std::string bytes_;
};

std::unique_ptr<StateStore> StateSpool::Writer(idx_t pipeline) {
  return std::make_unique<Entrance>(*this, pipeline);
}

std::string StateSpool::Buffer() {
  std::string buffer;
  std::lock_guard lock(mutex_);
  if (spare_.empty()) {
    buffer.reserve(kItemBytes);
  } else {
    buffer = std::move(spare_.back());
    spare_.pop_back();
  }
  return buffer;
}

void StateSpool::Put(Item item) {
  auto bytes = static_cast<int64_t>(item.bytes.size());
  std::unique_lock lock(mutex_);
  // One item may always come, however little may wait.
  changed_.wait(lock, [&] { return aborted_ || bytes_ == 0 || bytes_ + bytes <= most_bytes_; });
  if (aborted_) return;
  bytes_ += bytes;
  peak_bytes_ = std::max(peak_bytes_, bytes_);
  items_.push_back(std::move(item));
  changed_.notify_all();
}

void StateSpool::End() {
  std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

void StateSpool::Abort() {
  std::lock_guard lock(mutex_);
  aborted_ = true;
  items_.clear();
  changed_.notify_all();
}

void StateSpool::GiveUp() {
  {
    std::lock_guard lock(mutex_);
    if (ended_) return;
  }
  Abort();
}

int64_t StateSpool::PeakBytes() const {
  std::lock_guard lock(mutex_);
  return peak_bytes_;
}

bool StateSpool::Drain(const std::function<StateStore&(idx_t)>& store_of) {
  try {
    return DrainAll(store_of);
  } catch (...) {
    Abort();
    throw;
  }
}

bool StateSpool::DrainAll(const std::function<StateStore&(idx_t)>& store_of) {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return aborted_ || ended_ || !items_.empty(); });
    if (aborted_) return false;
    if (items_.empty()) return true;
    Item item = std::move(items_.front());
    items_.pop_front();
    lock.unlock();
    StateStore& store = store_of(item.pipeline);
    switch (item.what) {
      case What::kBegin:
      case What::kFollow:
        store.Begin(item.key, item.what == What::kFollow);
        break;
      case What::kAppend:
        store.Append(item.key, item.bytes);
        break;
      case What::kClose:
        store.Close(item.key);
        break;
    }
    lock.lock();
    // Counted until it is written.
    bytes_ -= static_cast<int64_t>(item.bytes.size());
    if (item.what == What::kAppend) {
      item.bytes.clear();
      spare_.push_back(std::move(item.bytes));
    }
    changed_.notify_all();
  }
}

}  // namespace millrace
