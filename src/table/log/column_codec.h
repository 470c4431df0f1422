// column_codec.h - rows of a chunk as bytes of our own, versioned, columnar; for log batches.
//
// One block holds up to 2048 rows, little endian:
//   u32 rows; u8 has kinds; [rows x u8 kind]; u32 columns; per column: u32 byte length, column
// column of n values:
//   u8 tag; u8 has nulls; [(n + 7) / 8 bytes, bit i set = value i is there]
//   fixed width (tag = bytes per value): n values, 0 where null
//   kTagText:  n x u32 length, then the bytes
//   kTagList:  n x u32 length, then a column of the sum of the lengths (lists, maps)
//   kTagRow:   u32 members, then a column of n values for each
#pragma once

#include "base/change_chunk.h"

namespace millrace {

/// Appends all rows of `chunk` to `bytes`.
void EncodeBlock(ChangeChunk& chunk, std::string& bytes);

/// Reads one block from the front of `bytes` and moves behind it: `columns` of it into the columns
/// of `chunk`, in order. False (and nothing is promised about `chunk`) when the bytes do not hold
/// such a block.
[[nodiscard]] bool DecodeBlock(std::string_view& bytes, const std::vector<idx_t>& columns,
                               ChangeChunk& chunk);

}  // namespace millrace
