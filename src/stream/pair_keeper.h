// pair_keeper.h - no chunk of an input parts the two halves of an update.
//
// A source may cut between -U and its +U. Operators without state hand chunks on as they come, so
// that rows of another path (UNION ALL) would get between the halves.
#pragma once

#include "base/change_chunk.h"

namespace millrace {

/// Keeps a -U that ends a chunk until the next chunk brings its +U. One per input.
/// Threads: one at a time.
class PairKeeper {
 public:
  /// Hands `chunk` on, in one to three parts, but for a -U at its end.
  void Push(ChangeChunk& chunk, const ChangeReceiver& next);
  /// The step ends: a -U that has stayed alone goes on as it is.
  void Flush(const ChangeReceiver& next);

 private:
  void Keep(ChangeChunk& chunk, idx_t row);

  ChangeChunk pair_;  // The -U, and its +U while it is handed on.
};

}  // namespace millrace
