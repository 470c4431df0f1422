// bitmap_index.h - for each value of a column the rows of a data file that have it.
//
// Version 2: counts, the null rows' place, the first value and place of each block of the
// dictionary, the blocks (value, place, length), the bitmaps. A value of one row has the place
// -1 - row and no bitmap. Version 1, which is only read, has one dictionary without blocks and
// lengths (docs/format.md#file-index, BitmapFileIndex.java).
#pragma once

#include <unordered_map>

#include "format/index_input.h"
#include "format/index_key.h"
#include "format/row_set.h"

namespace millrace {

/// Collects the values of one column.
/// Threads: one at a time.
class BitmapIndex {
 public:
  BitmapIndex(const DataType& type, int64_t block_bytes);
  void Add(const UnifiedVectorFormat& column, idx_t rows);
  /// The index, version 2.
  std::string Finish() const;

 private:
  struct BytesHash {
    using is_transparent = void;
    size_t operator()(std::string_view bytes) const { return std::hash<std::string_view>()(bytes); }
  };

  DataType type_;
  IndexKeyKind kind_;
  int64_t block_bytes_;
  int64_t rows_ = 0;
  RowSet nulls_;
  std::unordered_map<int64_t, RowSet> numbers_;
  std::unordered_map<std::string, RowSet, BytesHash, std::equal_to<>> texts_;
};

/// The rows of a column of `type` that are equal to one of `constants`, as `index` tells; neither
/// is NULL. Throws: Error(kCorrupt) naming the file.
RowSet BitmapRowsOf(const IndexBytes& index, const DataType& type,
                    const std::vector<Value>& constants);

}  // namespace millrace
