#include "stream/waiting_rows.h"

#include "base/error.h"
#include "duckdb/common/allocator.hpp"

namespace millrace {

std::exception_ptr WaitingRows::GivenUp() {
  return std::make_exception_ptr(
      Error(ErrorCode::kCancelled, "The checkpoint that has the writer was given up"));
}

std::shared_ptr<WaitingRows::Loan> WaitingRows::Lend() {
  std::lock_guard lock(mutex_);
  MILLRACE_CHECK(!away_ && chunks_.empty());
  away_ = true;
  return std::make_shared<Loan>(*this);
}

void WaitingRows::Return(std::exception_ptr failure) {
  std::lock_guard lock(mutex_);
  away_ = false;
  failure_ = std::move(failure);
  changed_.notify_all();
}

void WaitingRows::AwaitReturn() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !away_; });
  if (failure_) std::rethrow_exception(failure_);
}

bool WaitingRows::Keep(ChangeChunk& chunk) {
  {
    std::lock_guard lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
    if (!away_) return false;
  }
  auto copy = std::make_unique<ChangeChunk>();
  // As large as its rows: many small ones may wait.
  copy->rows.Initialize(duckdb::Allocator::DefaultAllocator(), chunk.rows.GetTypes(),
                        std::max<idx_t>(chunk.size(), 1));
  chunk.rows.Copy(copy->rows);
  copy->kinds = chunk.kinds;
  auto bytes = static_cast<int64_t>(copy->rows.GetAllocationSize() + copy->kinds.size());
  if (bytes_ + bytes > most_bytes_) {
    AwaitReturn();
    return false;
  }
  chunks_.push_back(std::move(copy));
  bytes_ += bytes;
  account_.Set(bytes_);
  return true;
}

void WaitingRows::TakeAll(const ChangeReceiver& receive) {
  AwaitReturn();
  for (auto& chunk : chunks_) receive(*chunk);
  chunks_.clear();
  bytes_ = 0;
  account_.Set(0);
}

}  // namespace millrace
