// operator_meter.h - what an operator has done: rows in and out, time, state. For EXPLAIN ANALYZE.
//
// Counted by the chunk, so that it costs nothing that can be measured. Operators call each other,
// so a span of time belongs to the innermost one: a thread knows which runs now and since when.
#pragma once

#include <atomic>
#include <chrono>

#include "base/duck.h"

namespace millrace {

/// Sums; those of several copies of an operator may be added up.
struct OperatorFigures {
  int64_t rows_in = 0, rows_out = 0;
  int64_t busy_ns = 0;      // In the operator itself, without what it hands on.
  int64_t state_bytes = 0;  // At the end of the last step.
  void Add(const OperatorFigures& other) {
    rows_in += other.rows_in;
    rows_out += other.rows_out;
    busy_ns += other.busy_ns;
    state_bytes += other.state_bytes;
  }
  bool operator==(const OperatorFigures&) const = default;
};

/// The figures of one operator.
/// Threads: written by one, Read from any.
class OperatorMeter {
 public:
  void CountIn(idx_t rows) { Add(rows_in_, static_cast<int64_t>(rows)); }
  void CountOut(idx_t rows) { Add(rows_out_, static_cast<int64_t>(rows)); }
  void SetState(int64_t bytes) { state_bytes_.store(bytes, std::memory_order_relaxed); }
  OperatorFigures Read() const {
    return {rows_in_.load(std::memory_order_relaxed), rows_out_.load(std::memory_order_relaxed),
            busy_ns_.load(std::memory_order_relaxed), state_bytes_.load(std::memory_order_relaxed)};
  }

  /// Time from here to its end is `meter`'s, but for spans within; null: nobody's.
  class Span {
   public:
    explicit Span(OperatorMeter* meter) : outer_(running_) { SwitchTo(meter); }
    ~Span() { SwitchTo(outer_); }
    Span(const Span&) = delete;
    Span& operator=(const Span&) = delete;

   private:
    OperatorMeter* const outer_;
  };

 private:
  using Counter = std::atomic<int64_t>;
  // There is one writer: no locked instruction is needed.
  static void Add(Counter& counter, int64_t value) {
    counter.store(counter.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
  }
  static void SwitchTo(OperatorMeter* meter) {
    int64_t now = std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
    if (running_) Add(running_->busy_ns_, now - since_ns_);
    running_ = meter;
    since_ns_ = now;
  }

  static inline constinit thread_local OperatorMeter* running_ = nullptr;
  static inline constinit thread_local int64_t since_ns_ = 0;

  Counter rows_in_{0}, rows_out_{0}, busy_ns_{0}, state_bytes_{0};
};

/// An operator in the tree of a plan, for those who show it.
struct OperatorLine {
  int depth = 0;  // Of the operator that gives the result: 0.
  std::string text;
  OperatorFigures figures;
};

}  // namespace millrace
