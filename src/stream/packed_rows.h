// packed_rows.h - rows as flat bytes: what hash tables and multisets of the operators are made of.
//
// A packed row is [null bits | fixed-width values | string slots], padded to 8 bytes. Null values
// are zero, -0.0 is 0.0 and every NaN is one NaN, so equality is memcmp but for long strings.
// Filled and read column by column. In memory only: state on disk has its own format
// (state_format.h).
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

  bool IsNull(const uint8_t* row, idx_t column) const {
    return row[column >> 3] & (1 << (column & 7));
  }
  bool AnyNull(const uint8_t* row) const;
  const uint8_t* ValueAt(const uint8_t* row, idx_t column) const { return row + offsets_[column]; }
  uint64_t Hash(const uint8_t* row) const;
  bool Equal(const uint8_t* a, const uint8_t* b) const {
    return memcmp(a, b, fixed_width_) == 0 && (strings_.empty() || StringsEqual(a, b));
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
  enum Kind : uint8_t { kPlain, kFloat, kDouble, kInterval, kString, kNested };
  bool StringsEqual(const uint8_t* a, const uint8_t* b) const;

  duckdb::vector<LogicalType> types_;
  std::vector<Kind> kinds_;
  std::vector<idx_t> offsets_;
  std::vector<idx_t> bytes_;
  std::vector<idx_t> strings_;
  idx_t fixed_width_ = 8;  // Null bits and fixed-width values, before the string slots.
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

/// Memory for rows of one width and for their strings, with free lists. Threads: one at a time.
class RowStore {
 public:
  explicit RowStore(idx_t row_bytes = 8) : row_bytes_((row_bytes + 7) / 8 * 8) {}
  ~RowStore();
  RowStore(const RowStore&) = delete;
  RowStore& operator=(const RowStore&) = delete;

  uint8_t* New();  // Zeroed.
  void Free(uint8_t* row);
  /// Copies strings of a row that just came from a RowBatch into this store.
  void Intern(const RowLayout& layout, uint8_t* row);
  void Release(const RowLayout& layout, uint8_t* row);
  int64_t Bytes() const { return bytes_; }

 private:
  static constexpr idx_t kClasses = 32;  // Strings up to 512 bytes, by 16.
  char* NewString(idx_t size);
  void FreeString(char* data, idx_t size);
  uint8_t* Carve(idx_t size);

  idx_t row_bytes_;
  std::vector<std::unique_ptr<uint8_t[]>> blocks_;
  uint8_t* next_ = nullptr;
  idx_t left_ = 0;
  uint8_t* free_rows_ = nullptr;
  char* free_strings_[kClasses + 1] = {};
  std::unordered_map<char*, std::unique_ptr<char[]>> large_;
  int64_t bytes_ = 0;
};

/// Hash table of packed rows, each with a payload behind it. Threads: one at a time.
/// Rows stay where they are until erased.
class RowTable {
 public:
  RowTable(RowLayout layout, idx_t payload_bytes);

  const RowLayout& Layout() const { return layout_; }
  idx_t Size() const { return size_; }
  int64_t Bytes() const {
    return store_.Bytes() + static_cast<int64_t>(entries_.size() * sizeof(Entry));
  }
  RowStore& Store() { return store_; }

  uint8_t* Find(const uint8_t* row, uint64_t hash) const;
  /// The payload of a new row is zero.
  uint8_t* FindOrCreate(const uint8_t* row, uint64_t hash, bool& created);
  /// FindOrCreate for the first `count` rows of the batch; all of them at once to overlap cache
  /// misses.
  void FindOrCreateAll(RowBatch& batch, idx_t count, uint8_t** rows);
  void Prefetch(uint64_t hash) const { __builtin_prefetch(&entries_[hash & mask_]); }
  /// Frees the row; its hash must still be that of its columns.
  void Erase(uint8_t* row);
  void Clear();

  template <typename T>
  T& Payload(uint8_t* row) const {
    return *reinterpret_cast<T*>(row + layout_.Width());
  }
  template <typename F>
  void ForEach(F&& visit) const {
    for (const Entry& entry : entries_) {
      if (entry.row) visit(entry.row);
    }
  }

 private:
  struct Entry {
    uint64_t hash;
    uint8_t* row;
  };
  void Grow();

  RowLayout layout_;
  idx_t payload_bytes_;
  RowStore store_;
  std::vector<Entry> entries_;
  idx_t mask_ = 0;
  idx_t size_ = 0;
};

}  // namespace millrace
