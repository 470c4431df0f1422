// row_layout.h - rows as flat bytes: where each column lies, and chunks packed for lookup.
//
// A packed row is [bits | narrow values | wide values | string slots], each part padded to 8 bytes.
// Bit 0 says that the row is in use, bit 1 that it has changed since the last checkpoint, bit i + 2
// that column i is NULL. Null values are zero, -0.0 is 0.0 and every NaN is one NaN, so equality is
// memcmp but for long strings. Filled and read column by column. In memory only: state on disk has
// its own format (state_format.h).
#pragma once

#include <deque>

#include "base/error.h"

namespace millrace {

/// Where each column lies in a packed row. Threads: safe once made.
class RowLayout {
 public:
  RowLayout() = default;
  /// `canonical`: a key; intervals that compare equal become equal bytes.
  explicit RowLayout(duckdb::vector<LogicalType> types, bool canonical = false);

  idx_t Width() const { return width_; }
  idx_t Columns() const { return types_.size(); }
  const duckdb::vector<LogicalType>& Types() const { return types_; }
  bool HasStrings() const { return !strings_.empty(); }

  static idx_t NullByte(idx_t column) { return (column + 2) >> 3; }
  static uint8_t NullBit(idx_t column) { return static_cast<uint8_t>(1 << ((column + 2) & 7)); }
  bool IsNull(const uint8_t* row, idx_t column) const {
    return row[NullByte(column)] & NullBit(column);
  }
  void SetNull(uint8_t* row, idx_t column) const { row[NullByte(column)] |= NullBit(column); }
  bool AnyNull(const uint8_t* row) const;
  static bool IsLive(const uint8_t* row) { return row[0] & 1; }
  static void MarkLive(uint8_t* row) { row[0] |= 1; }
  static constexpr uint8_t kChanged = 2;
  const uint8_t* ValueAt(const uint8_t* row, idx_t column) const { return row + offsets_[column]; }
  uint64_t Hash(const uint8_t* row) const;
  bool Equal(const uint8_t* a, const uint8_t* b) const {
    return FirstWord(a) == FirstWord(b) && memcmp(a + 8, b + 8, fixed_width_ - 8) == 0 &&
           (strings_.empty() || StringsEqual(a, b));
  }
  /// DuckDB's order of one column, NULL greatest.
  int Compare(const uint8_t* a, const uint8_t* b, idx_t column) const;
  /// Order of the whole row, left to right.
  int CompareRows(const uint8_t* a, const uint8_t* b) const;

  /// Writes column `column` of `count` rows that lie `stride` apart; strings stay where they are.
  /// REQUIRES: the rows are zeroed. `nested` keeps the bytes of LIST, STRUCT and MAP values.
  void Scatter(idx_t column, Vector& vector, idx_t count, uint8_t* rows, idx_t stride,
               std::deque<std::string>& nested) const;
  /// Reads column `column` of the rows into a flat vector; a null pointer reads as NULL. Strings of
  /// the vector point into the rows' memory.
  void Gather(idx_t column, const uint8_t* const* rows, idx_t count, Vector& vector) const;

  const std::vector<idx_t>& StringColumns() const { return strings_; }
  bool IsString(idx_t column) const { return kinds_[column] >= kString; }
  idx_t ValueBytes(idx_t column) const { return bytes_[column]; }

 private:
  /// Without the bit that is no part of the row's value.
  static uint64_t FirstWord(const uint8_t* row) {
    uint64_t word;
    memcpy(&word, row, sizeof(word));
    return word & ~uint64_t(kChanged);
  }
  enum Kind : uint8_t { kPlain, kFloat, kDouble, kInterval, kString, kNested };
  bool StringsEqual(const uint8_t* a, const uint8_t* b) const;

  duckdb::vector<LogicalType> types_;
  std::vector<Kind> kinds_;
  std::vector<idx_t> offsets_;
  std::vector<idx_t> bytes_;
  std::vector<idx_t> strings_;
  idx_t fixed_width_ = 8;  // Bits and fixed-width values, before the string slots.
  idx_t width_ = 8;
  bool canonical_ = false;
};

/// Rows of one chunk, packed for lookup: strings point into the chunk. Threads: one at a time.
class RowBatch {
 public:
  /// Packs `columns` of the chunk (all when null) and hashes them if `hash`.
  void Fill(const RowLayout& layout, DataChunk& chunk, const std::vector<idx_t>* columns,
            bool hash);
  void Fill(const RowLayout& layout, std::vector<Vector*>& columns, idx_t count, bool hash);
  uint8_t* Row(idx_t i) { return rows_.data() + i * width_; }
  uint64_t HashOf(idx_t i) const { return hashes_[i]; }

 private:
  std::vector<uint8_t> rows_;
  std::vector<uint64_t> hashes_;
  std::deque<std::string> nested_;
  idx_t width_ = 0;
};

}  // namespace millrace
