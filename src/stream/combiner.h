// combiner.h - rows of equal key become one before they move to the shard in which they meet.
//
// The receiving operator makes one for each shard that sends, and merges what comes out. Combined
// rows live within a step only: no state on disk knows of them.
#pragma once

#include "base/change_chunk.h"

namespace millrace {

/// Threads: one at a time.
class Combiner {
 public:
  virtual ~Combiner() = default;
  /// Of combined rows; the first columns are the keys by which the receiver's rows meet.
  virtual const duckdb::vector<LogicalType>& Types() const = 0;
  /// Takes changes in. False: they are not to be combined, and none was taken.
  [[nodiscard]] virtual bool Add(ChangeChunk& chunk) = 0;
  /// How many rows were added since the last Flush, and how many those have become.
  virtual idx_t Rows() const = 0;
  virtual idx_t Combined() const = 0;
  /// Hands combined rows on, in the order in which the first of each came, and forgets them.
  virtual void Flush(const ChangeReceiver& next) = 0;
};

}  // namespace millrace
