// packed_rows.h - stored rows: what hash tables and multisets of the operators are made of.
//
// All of it lies in a StateArena, so that it can go to disk. A row stays where it is until it is
// erased. The table is an extendible hash: segments of open addressing, an entry of 8 bytes a row
// (30 bits of the hash, 34 of the address); a full segment splits alone, so growing never holds two
// whole tables and never reads a row.
#pragma once

#include "stream/row_layout.h"
#include "stream/state_arena.h"

namespace millrace {

/// Texts of rows, with free lists by size. Threads: one at a time.
class StringStore {
 public:
  explicit StringStore(StateArena& arena) : arena_(arena) {}
  ~StringStore();
  StringStore(const StringStore&) = delete;
  StringStore& operator=(const StringStore&) = delete;

  /// Copies strings of a row that just came from a RowBatch into this store.
  void Intern(const RowLayout& layout, uint8_t* row);
  void Release(const RowLayout& layout, uint8_t* row);
  void Clear();
  int64_t Bytes() const { return bytes_; }

 private:
  static constexpr idx_t kSmall = 512;         // By 16 up to here, then by powers of two.
  static constexpr idx_t kBiggest = 16 << 10;  // Bigger ones have a block of their own.
  static constexpr idx_t kClasses = 40;
  static idx_t ClassOf(idx_t size);
  static idx_t ClassBytes(idx_t size_class);
  char* New(idx_t size);
  void Free(char* data, idx_t size);

  struct Block {
    uint8_t* data;
    idx_t bytes;
  };
  StateArena& arena_;
  std::vector<Block> blocks_;
  uint8_t* next_ = nullptr;
  idx_t left_ = 0;
  char* free_[kClasses] = {};
  std::unordered_map<char*, idx_t> large_;
  int64_t bytes_ = 0;
};

/// A list of rows in the order in which they came. Threads: one at a time.
class RowList {
 public:
  explicit RowList(StateArena& arena) : arena_(arena) {}
  ~RowList() { Clear(); }
  RowList(const RowList&) = delete;
  RowList& operator=(const RowList&) = delete;

  void Add(uint8_t* row) {
    if (size_ % kPart == 0) AddPart();
    parts_.back()[size_++ % kPart] = row;
  }
  idx_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  uint8_t* operator[](idx_t i) const { return parts_[i / kPart][i % kPart]; }
  /// Rows from `i` on that lie next to each other, at most `most`.
  uint8_t** Stretch(idx_t i, idx_t most, idx_t& count) const {
    count = std::min({most, size_ - i, kPart - i % kPart});
    return parts_[i / kPart] + i % kPart;
  }
  void Clear();

 private:
  static constexpr idx_t kPart = 4096;
  void AddPart();

  StateArena& arena_;
  std::vector<uint8_t**> parts_;
  idx_t size_ = 0;
};

/// Rows that remember which of them have changed since a checkpoint. Threads: one at a time.
class Tracked {
 public:
  virtual ~Tracked() = default;
  /// From now on remembers which rows change; freed ones keep their bytes until Settle.
  virtual void Track() = 0;
  virtual bool HasChanged() const = 0;
  /// What has changed is safe.
  virtual void Settle() = 0;
};

/// Memory for rows of one width: a layout's, then a payload. Threads: one at a time.
class RowStore : public Tracked {
 public:
  RowStore(StateArena& arena, idx_t row_bytes);
  ~RowStore() override;
  RowStore(const RowStore&) = delete;
  RowStore& operator=(const RowStore&) = delete;

  uint8_t* New();  // Zeroed.
  void Free(uint8_t* row);
  void Clear();
  int64_t Bytes() const { return bytes_; }

  void Track() override { tracked_ = true; }
  bool IsTracked() const { return tracked_; }
  bool HasChanged() const override { return !changed_.empty(); }
  void Settle() override {
    Settle([](uint8_t*) {});
  }
  /// The row is new, or its payload has changed.
  void Touch(uint8_t* row) {
    if (!tracked_ || (row[0] & RowLayout::kChanged)) return;
    row[0] |= RowLayout::kChanged;
    changed_.Add(row);
  }
  /// Rows touched or freed since the last Settle; the latter are not live.
  const RowList& Changed() const { return changed_; }
  /// `release(row)` is called for rows that are freed now.
  template <typename F>
  void Settle(F&& release) {
    for (idx_t i = 0; i < changed_.size(); i++) {
      uint8_t* row = changed_[i];
      row[0] &= static_cast<uint8_t>(~RowLayout::kChanged);
      if (RowLayout::IsLive(row)) continue;
      release(row);
      Recycle(row);
    }
    changed_.Clear();
  }
  /// Rows by the order in which they were made. REQUIRES: none has ever been freed.
  uint8_t* At(idx_t ordinal) const;
  std::vector<idx_t> OrdinalsOf(const std::vector<const uint8_t*>& rows) const;

  /// Rows that are marked live, in the order in which they lie.
  template <typename F>
  void ForEach(F&& visit) const {
    for (idx_t b = 0; b < blocks_.size() && b <= current_; b++) {
      idx_t rows = b == current_ ? used_ : blocks_[b].rows;
      uint8_t* row = blocks_[b].data;
      arena_.WillRead(row, blocks_[b].bytes);
      for (idx_t i = 0; i < rows; i++, row += row_bytes_) {
        if (RowLayout::IsLive(row)) visit(row);
      }
    }
  }

 private:
  struct Block {
    uint8_t* data;
    idx_t bytes;
    idx_t rows;
  };
  void NextBlock();
  void Recycle(uint8_t* row);

  StateArena& arena_;
  const idx_t row_bytes_;
  bool tracked_ = false;
  RowList changed_;
  std::vector<Block> blocks_;
  idx_t current_ = 0;  // The block that fills, and how many of its rows have been given out.
  idx_t used_ = 0;
  uint8_t* free_ = nullptr;
  int64_t bytes_ = 0;
};

/// Hash table of packed rows, each with a payload behind it. Threads: one at a time.
/// Rows stay where they are until erased.
class RowTable : public Tracked {
 public:
  /// `scoped`: equal rows of different scopes are different; the payload begins with the scope.
  RowTable(StateArena& arena, RowLayout layout, idx_t payload_bytes, bool scoped = false);
  ~RowTable() override;

  const RowLayout& Layout() const { return layout_; }
  idx_t Size() const { return size_; }
  int64_t Bytes() const { return rows_.Bytes() + strings_.Bytes() + index_bytes_; }
  /// For texts in payloads.
  StringStore& Strings() { return strings_; }

  uint8_t* Find(const uint8_t* row, uint64_t hash, const void* scope = nullptr) const;
  /// The payload of a new row is zero but for the scope.
  uint8_t* FindOrCreate(const uint8_t* row, uint64_t hash, bool& created,
                        const void* scope = nullptr);
  /// FindOrCreate for the first `count` rows of the batch; all of them at once to overlap cache
  /// misses.
  void FindOrCreateAll(RowBatch& batch, idx_t count, uint8_t** rows) {
    FindOrCreateAll(
        count, [&](idx_t i) { return batch.HashOf(i); },
        [&](idx_t i, uint64_t hash) {
          bool created;
          rows[i] = FindOrCreate(batch.Row(i), hash, created);
        });
  }
  /// The same for other rows: `find(i, hash_of(i))` is called for each, in order.
  template <typename HashOf, typename Find>
  void FindOrCreateAll(idx_t count, HashOf&& hash_of, Find&& find) {
    constexpr idx_t kAhead = 16;
    for (idx_t i = 0; i < count; i++) {
      if (i + kAhead < count) Prefetch(hash_of(i + kAhead));
      if (i + kAhead / 2 < count) {
        uint64_t entry = *Home(hash_of(i + kAhead / 2));
        if (entry) __builtin_prefetch(RowAt(entry));
      }
      find(i, hash_of(i));
    }
  }
  void Prefetch(uint64_t hash) const { __builtin_prefetch(Home(hash)); }
  /// Frees the row; its hash must still be that of its columns.
  void Erase(uint8_t* row);
  void Clear();

  void Track() override { rows_.Track(); }
  bool HasChanged() const override { return rows_.HasChanged(); }
  void Settle() override;
  /// As RowStore's.
  void Touch(uint8_t* row) { rows_.Touch(row); }
  const RowList& Changed() const { return rows_.Changed(); }

  template <typename T>
  T& Payload(uint8_t* row) const {
    return *reinterpret_cast<T*>(row + layout_.Width());
  }
  /// In the order in which they lie: a table on disk is read from front to back.
  template <typename F>
  void ForEach(F&& visit) const {
    rows_.ForEach(std::forward<F>(visit));
  }

  class Filler;

 private:
  static constexpr int kRefBits = StateArena::kAddressBits - 3;
  static constexpr int kHashBits = 64 - kRefBits;
  static constexpr idx_t kLeastSlots = StateArena::kLeastBlock / sizeof(uint64_t);
  static constexpr idx_t kMostSlots = 128 << 10;
  static constexpr int kMostDepth = kHashBits - 17;  // log2(kMostSlots)

  struct Segment {
    uint64_t* entries;
    idx_t used;
    int depth;  // Bits of the hash that all of its rows have in common.
  };
  uint64_t Scoped(uint64_t hash, const void* scope) const;
  idx_t SegmentOf(uint64_t hash) const { return directory_[(hash >> 1) >> (63 - depth_)]; }
  const uint64_t* Home(uint64_t hash) const {
    return segments_[SegmentOf(hash)].entries + ((hash >> kRefBits) & mask_);
  }
  uint8_t* RowAt(uint64_t entry) const {
    return const_cast<uint8_t*>(base_) + (entry & ((uint64_t(1) << kRefBits) - 1)) * 8;
  }
  bool Same(const uint8_t* stored, const uint8_t* row, const void* scope) const {
    return layout_.Equal(stored, row) &&
           (!scoped_ || Payload<const void*>(const_cast<uint8_t*>(stored)) == scope);
  }
  /// A copy of a row, which has no place in the index yet.
  uint8_t* NewRow(const uint8_t* row) {
    uint8_t* copy = rows_.New();
    memcpy(copy, row, layout_.Width());
    copy[0] &= static_cast<uint8_t>(~RowLayout::kChanged);  // It may come from a tracked store.
    if (layout_.HasStrings()) strings_.Intern(layout_, copy);
    return copy;
  }
  uint64_t* NewEntries(idx_t slots);
  void FreeEntries(uint64_t* entries, idx_t slots);
  void Put(Segment& segment, uint64_t entry);
  void MakeRoom(idx_t segment);
  bool IsFull(const Segment& segment) const {  // At most 13 of 16 slots are taken.
    return segment.used * 16 >= (mask_ + 1) * 13;
  }
  [[noreturn]] void ThrowTooMany() const;
  /// Makes room for so many. REQUIRES: the table is empty.
  void Reserve(idx_t rows);
  void Reset();

  StateArena& arena_;
  const uint8_t* const base_;
  RowLayout layout_;
  const bool scoped_;
  RowStore rows_;
  StringStore strings_;
  std::vector<uint32_t> directory_;  // By the first `depth_` bits of the hash.
  std::vector<Segment> segments_;
  int depth_ = 0;
  idx_t mask_ = 0;  // Of the slots of each segment.
  idx_t size_ = 0;
  int64_t index_bytes_ = 0;
};

/// Fills an empty table with rows of which no two are equal: none is looked up, and places are
/// given at the end, when it is known how many there are; stretch by stretch of the hash, since
/// one place after the other would miss the caches each time. Until Finish nothing else may be done
/// with the table but to its rows. Threads: one at a time.
class RowTable::Filler {
 public:
  /// REQUIRES: the table is empty and not scoped.
  explicit Filler(RowTable& table);
  ~Filler();
  Filler(const Filler&) = delete;
  Filler& operator=(const Filler&) = delete;

  /// The payload of the new row is zero.
  uint8_t* Add(const uint8_t* row, uint64_t hash) {
    uint8_t* copy = table_.NewRow(row);
    Part& part = parts_[hash >> (64 - kPartBits)];
    if (part.used == kBlock) AddBlock(part);
    part.blocks.back()[part.used++] =
        (hash >> kRefBits << kRefBits) | static_cast<uint64_t>((copy - table_.base_) / 8);
    return copy;
  }
  /// From now on the rows are found.
  void Finish();

 private:
  static constexpr int kPartBits = 6;
  static constexpr idx_t kBlock = StateArena::kLeastBlock / sizeof(uint64_t);
  /// Entries of rows whose hashes begin alike.
  struct Part {
    std::vector<uint64_t*> blocks;
    idx_t used = kBlock;  // Of the last block.
  };
  void AddBlock(Part& part);
  void Place(const uint64_t* entries, idx_t count);
  void Free(Part& part);

  RowTable& table_;
  Part parts_[1 << kPartBits];
};

}  // namespace millrace
