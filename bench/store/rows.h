// rows.h - the rows of the store benchmark: made from a write number, folded to a checksum.
//
// 64-bit wrapping arithmetic: mix is a step of splitmix64, Hash(s, k) = mix(mix(42 + s) + k) and
// Below(x, m) = (x >>> 1) % m. bench/store/README.md states the columns; java/bench/Rows.java
// makes the same rows.
#pragma once

#include "base/change_chunk.h"
#include "meta/table_definition.h"

namespace millrace {

uint64_t Mix(uint64_t x);
uint64_t Hash(uint64_t write, uint64_t column);
uint64_t Below(uint64_t x, uint64_t limit);

/// Numbers 0 .. count-1 in a shuffled order.
std::vector<uint32_t> Shuffled(uint32_t count);

/// Which columns a row has; the others are NULL (the id is always there).
enum class RowPart : uint8_t { kAll, kEvenWritesFirstHalf };

/// The table's columns.
std::vector<ColumnDefinition> RowColumns();

/// Fills `chunk` with the rows of writes `first` .. `first + count - 1`; ids[i] is the key of write
/// first + i. Texts point into static memory or into the chunk.
void FillRows(ChangeChunk& chunk, const std::vector<int64_t>& ids, uint64_t first, idx_t count,
              RowPart part = RowPart::kAll);

/// The wrapping sum over all values of all rows; NULL adds 0. All 11 columns, or with `two`
/// customer_id and amount alone.
uint64_t Checksum(DataChunk& rows, bool two);

}  // namespace millrace
