// waiting_rows.h - rows that wait while their writer is lent to another thread.
//
// A checkpoint closes a writer's files beside its job, which goes on: what it writes meanwhile is
// kept here, up to a limit, and beyond it the job waits until the writer is back.
#pragma once

#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <vector>

#include "base/change_chunk.h"
#include "base/memory_budget.h"

namespace millrace {

/// Says whether a writer is at home, and keeps what comes for it.
/// Threads: owned by a job; a Loan by another thread.
class WaitingRows {
 public:
  static constexpr int64_t kMostBytes = 32 << 20;

  /// The writer is away for as long as this lives. It comes back with the failure that it had
  /// there, if any; unless Done was said, it is given up.
  class Loan {
   public:
    explicit Loan(WaitingRows& rows) : rows_(rows) {}
    ~Loan() { rows_.Return(failure_); }
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    void Done() { failure_ = nullptr; }
    void Fail(std::exception_ptr failure) { failure_ = std::move(failure); }

   private:
    WaitingRows& rows_;
    std::exception_ptr failure_ = GivenUp();
  };

  /// `budget`: null, or it outlives this.
  explicit WaitingRows(MemoryBudget* budget, int64_t most_bytes = kMostBytes)
      : most_bytes_(most_bytes), account_(budget, MemoryBudget::Use::kWriteBuffers) {}

  /// REQUIRES: the writer is at home, and all that waited was taken. The loan must not outlive
  /// this.
  std::shared_ptr<Loan> Lend();
  /// Keeps a copy while the writer is away, and waits when there is no room for it. False: the
  /// writer is at home, and what waits is to be taken first. Throws what failed while it was away.
  bool Keep(ChangeChunk& chunk);
  /// Hands over all that waits; waits for the writer. Throws as Keep.
  void TakeAll(const ChangeReceiver& receive);
  int64_t bytes() const { return bytes_; }

 private:
  static std::exception_ptr GivenUp();
  void Return(std::exception_ptr failure);
  /// Waits until the writer is at home. Throws what failed there.
  void AwaitReturn();

  const int64_t most_bytes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool away_ = false;
  std::exception_ptr failure_;
  std::vector<std::unique_ptr<ChangeChunk>> chunks_;  // The job's alone, and so what they hold.
  int64_t bytes_ = 0;
  MemoryAccount account_;
};

}  // namespace millrace
