// row_set.h - a set of row positions in a data file, as a roaring bitmap: the rows that are
// deleted, or those that an index finds.
#pragma once

#include <memory>

#include "base/duck.h"

namespace millrace {

/// Positions from 0 to 2^31 - 1.
/// Threads: one at a time to change, any to look.
class RowSet {
 public:
  static constexpr int64_t kMaxPosition = 2147483647;

  RowSet();
  ~RowSet();
  RowSet(RowSet&&) noexcept;
  RowSet& operator=(RowSet&&) noexcept;
  RowSet Copy() const;

  /// Throws: Error(kUnsupported) for a position that is too great.
  void Add(int64_t position);
  void AddAll(const RowSet& other);
  void KeepOnly(const RowSet& other);
  /// The rows of a file of `rows` rows that are not in it.
  RowSet Complement(int64_t rows) const;
  bool Empty() const;
  bool Contains(int64_t position) const;
  int64_t Size() const;
  /// How many of positions [first, first + count) are in it.
  int64_t CountIn(int64_t first, int64_t count) const;
  /// Those of rows [first, first + count) that are not in it, as numbers from 0: returns how many.
  idx_t SelectOthers(int64_t first, idx_t count, SelectionVector& others) const;
  std::vector<int64_t> Positions() const;
  bool operator==(const RowSet& other) const;

  /// The portable format of roaring bitmaps.
  std::string Encode() const;
  int64_t EncodedBytes() const;
  /// `used` gets the length of the bitmap that `bytes` begin with; nullopt when they are none.
  static std::optional<RowSet> Decode(std::string_view bytes, size_t& used);

 private:
  struct Bitmap;
  std::unique_ptr<Bitmap> bitmap_;
};

}  // namespace millrace
