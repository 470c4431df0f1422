// read_ahead.h - several readers one after the other, decoded ahead by other threads.
#pragma once

#include "base/change_chunk.h"

namespace millrace {

/// Fills a chunk; its vectors may refer to the reader until the next call. False at the end.
using ChangePull = std::function<bool(ChangeChunk& chunk)>;

struct ReadAheadOptions {
  duckdb::vector<LogicalType> types;  // Of the chunks.
  size_t threads = 1;                 // Beside the caller's; 0: none, all is read by the caller.
};

/// Hands over what readers 0 .. `count`-1 give, in this order, in the caller's thread. `open` makes
/// the reader of a number; it is called by any thread, and so is what it returns, by one at a time.
/// At most 64 chunks per thread wait. Throws: what a reader, `open` or `receive` throws.
void ReadAhead(size_t count, const std::function<ChangePull(size_t number)>& open,
               const ReadAheadOptions& options, const ChangeReceiver& receive);

}  // namespace millrace
