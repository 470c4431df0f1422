// answer.h - the rows of a query's answer as a multiset, compared with a tolerance for floating
// values.
//
// Rows are equal when they print equal. What is left on both sides is paired by value: floating
// values to 1e-9 of their size, since sums of them depend on the order of adding.
#pragma once

#include <unordered_map>

#include "base/change_chunk.h"

namespace millrace {

/// A multiset of rows. Threads: one at a time.
class Answer {
 public:
  /// False when that makes the row's count negative.
  bool Add(DataChunk& rows, idx_t row, int64_t weight);
  /// With repetitions.
  int64_t Rows() const { return total_; }
  /// Empty when equal; else up to 20 lines of what differs.
  std::string Difference(const Answer& batch) const;
  bool operator==(const Answer& other) const { return Difference(other).empty(); }

 private:
  struct Entry {
    duckdb::vector<Value> values;
    int64_t count = 0;
  };
  std::unordered_map<std::string, Entry> entries_;
  int64_t total_ = 0;
};

}  // namespace millrace
