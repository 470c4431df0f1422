// scatter.h - copies chosen rows of one vector to another, a whole batch per call.
#pragma once

#include "base/duck.h"

namespace millrace {

/// Row pairs of one source chunk: source row i goes to target row i.
struct RowPairs {
  uint32_t source[kChunkRows];
  uint32_t target[kChunkRows];
  idx_t count = 0;
};

/// `target` is flat. Strings are not copied: the target keeps the source's heap alive.
/// `source_rows` is the size of the source's chunk.
void Scatter(Vector& source, idx_t source_rows, const RowPairs& pairs, Vector& target);

/// target[i] = source[rows[i]]. Both are flat, `source` may be of any length and is far from the
/// caches. Strings are not copied: the target keeps the source's heap alive.
void Gather(Vector& source, const uint32_t* rows, idx_t count, Vector& target);

/// A row that is not there: NULL.
inline constexpr uint32_t kNoRow = UINT32_MAX;

/// The same, where some of `rows` may be kNoRow.
void GatherOrNull(Vector& source, const uint32_t* rows, idx_t count, Vector& target);

}  // namespace millrace
