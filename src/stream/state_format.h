// state_format.h - operator state on disk: records in blocks of columns, little-endian, strings
// length-prefixed, checksums on the way.
//
// A blob is [magic "MRST" | u16 version | frames | end]. A frame is [u32 bytes | u64 XXH3 of them |
// bytes], the end [u32 0 | u64 XXH3 of all checksums before it]. The bytes of all frames in a row:
// string fingerprint, u8 "changes only", then what the operator puts (docs/internals/operators.md).
// An operator that works in shards puts a part for each (version 3): [u32 0xFFFFFFFF | u64 part]
// stands before frames of another part than the one before; the parts' frames lie in any order.
// Records come in blocks of up to 1024, column by column: null bytes, then the values that are
// there. Both sides hold a block and a frame in memory, never a whole state.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "stream/dataflow.h"
#include "stream/packed_rows.h"

namespace millrace {

class WorkerPool;

/// What is kept of a stored row: columns of a layout at an offset in it, or plain bytes there.
struct RecordPart {
  const RowLayout* layout = nullptr;  // Null: `bytes` as they are.
  idx_t offset = 0;
  idx_t bytes = 0;
  idx_t row = 0;  // A record may consist of several rows: of which.

  static RecordPart Columns(const RowLayout& layout, idx_t offset = 0, idx_t row = 0) {
    return {&layout, offset, 0, row};
  }
  static RecordPart Plain(idx_t offset, idx_t bytes, idx_t row = 0) {
    return {nullptr, offset, bytes, row};
  }
  idx_t Width() const { return layout ? layout->Width() : bytes; }
};
using RecordParts = std::vector<RecordPart>;

/// A blob that is written to a store, as its frames come. Threads: safe.
class StateBlob {
 public:
  StateBlob(StateStore& store, std::string key, bool changes, bool in_parts);
  /// `part`: of a blob in parts.
  void Append(std::string_view frame, std::optional<idx_t> part);
  /// Writes the end and closes the value.
  void Finish();
  int64_t Bytes() const { return written_; }

 private:
  void AppendHead(uint32_t size, uint64_t checksum);

  StateStore& store_;
  const std::string key_;
  std::mutex mutex_;
  std::optional<idx_t> part_;  // Of the last frame.
  std::string checksums_;
  int64_t written_ = 0;
};

/// Writes a state blob, or a part of one, piece by piece. Threads: one at a time.
class StateWriter {
 public:
  /// `store` and `arena` must outlive it; what writing brings into memory is looked after.
  /// `changes`: of tables, what has changed since they were last settled; else all.
  StateWriter(StateStore& store, StateArena& arena, std::string key, const std::string& fingerprint,
              bool changes, bool in_parts = false);
  /// Part `part` of a blob that is in parts; it is in `whole` when this has been finished.
  StateWriter(StateWriter& whole, StateArena& arena, idx_t part);
  ~StateWriter();
  template <typename T>
  void Put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  void PutString(std::string_view text);
  void PutTypes(const duckdb::vector<LogicalType>& types);

  bool Changes() const { return changes_; }
  /// The rows of a table that have gone, by the first of `parts`, and those that are there; read by
  /// GetRecords with the first part, and with all.
  void PutTable(const RowTable& table, const RecordParts& parts) {
    PutGone(table, {parts[0]});
    PutRows(table, parts);
  }
  void PutGone(const RowTable& table, const RecordParts& parts) {
    PutChanged(table, parts, false, [this](uint8_t* row) { Add(row); });
  }
  void PutRows(const RowTable& table, const RecordParts& parts) {
    PutChanged(table, parts, true, [this](uint8_t* row) { Add(row); });
  }
  /// Those that are live (or have gone), each by `add(row)`.
  template <typename Rows, typename F>
  void PutChanged(const Rows& rows, const RecordParts& parts, bool live, F&& add) {
    BeginRecords(parts);
    const RowList& changed = rows.Changed();
    for (idx_t i = 0; changes_ && i < changed.size(); i++) {
      if (RowLayout::IsLive(changed[i]) == live) add(changed[i]);
    }
    if (!changes_ && live) rows.ForEach(add);
    EndRecords();
  }

  /// Then Add for each record, then EndRecords.
  void BeginRecords(RecordParts parts);
  void Add(const uint8_t* row) {
    rows_[0].push_back(row);
    if (rows_[0].size() == kBlockRows) PutBlock();
  }
  void Add(const uint8_t* first, const uint8_t* second) {
    rows_[1].push_back(second);
    Add(first);
  }
  void EndRecords();
  /// Writes what is left and, of a whole blob, the end; the writer is done.
  void Finish();
  int64_t Bytes() const { return blob_->Bytes(); }

 private:
  static constexpr idx_t kBlockRows = 1024;
  void PutBlock();
  void PutColumn(const RecordPart& part, idx_t column, idx_t count);
  /// Hands frames on when there are bytes for one (or any, if `all`).
  void Flush(bool all);

  const std::shared_ptr<StateBlob> blob_;
  StateArena* arena_;
  const std::optional<idx_t> part_;
  const bool changes_;
  std::string bytes_;
  RecordParts parts_;
  std::vector<const uint8_t*> rows_[2];
};

/// A block of records as they were read, packed; gone with the next block.
class RecordBlock {
 public:
  idx_t count = 0;
  uint8_t* Row(idx_t part, idx_t i) { return rows_[part].data() + i * widths_[part]; }
  template <typename T>
  T Value(idx_t part, idx_t i) {
    T value;
    memcpy(&value, Row(part, i), sizeof(T));
    return value;
  }

  /// Of the first part, which has a layout.
  uint64_t HashOf(idx_t i) const { return hashes_[i]; }

 private:
  friend class StateReader;
  std::vector<idx_t> widths_;
  std::vector<std::vector<uint8_t>> rows_;
  std::vector<uint64_t> hashes_;
  std::string bytes_;  // As they were read: where texts lie.
};

/// Reads a state blob. Throws: Error(kCorrupt) naming `what` when bytes are missing or wrong.
class StateReader {
 public:
  /// `arena` must outlive it: where what is read goes.
  StateReader(std::unique_ptr<StateInput> input, StateArena& arena, const std::string& fingerprint,
              std::string what);
  /// Where what is read goes from now on.
  void UseArena(StateArena& arena) { arena_ = &arena; }
  /// Whether there is a part for each shard: each is read by a reader of its own.
  bool InParts() const { return in_parts_; }
  /// REQUIRES: nothing has been read yet.
  void ChoosePart(idx_t part) { chosen_ = part; }
  /// From now on a free thread of `workers`, which must outlive it, reads ahead.
  void UseWorkers(WorkerPool& workers) { workers_ = &workers; }
  template <typename T>
  T Get() {
    T value;
    memcpy(&value, Take(sizeof(T)), sizeof(T));
    return value;
  }
  std::string GetString();
  /// Checks that the state was written with these types.
  void ExpectTypes(const duckdb::vector<LogicalType>& types);
  /// `visit` is called block by block, by one thread at a time.
  void GetRecords(const RecordParts& parts, const std::function<void(RecordBlock&)>& visit);
  /// Checks that everything has been read and nothing was missing.
  void Finish();
  int64_t Bytes() const { return read_; }
  /// What was written are changes to what other blobs hold.
  bool Changes() const { return changes_; }
  [[noreturn]] void Corrupt(const std::string& why) const;

 private:
  static constexpr idx_t kBlocksAhead = 16;
  /// The next bytes; valid until the next call.
  const char* Take(size_t size);
  /// False when there are no more.
  bool ReadBlock(const RecordParts& parts, RecordBlock& block);
  void ReadExactly(void* to, size_t size);
  bool ReadFrame();

  const std::unique_ptr<StateInput> input_;
  StateArena* arena_;
  WorkerPool* workers_ = nullptr;
  const std::string what_;
  std::string bytes_;
  size_t at_ = 0;
  std::string checksums_;
  int64_t read_ = 0;
  bool in_parts_ = false;
  std::optional<idx_t> chosen_;  // Frames of other parts are skipped,
  std::optional<idx_t> part_;    // of which this is the one at hand.
  bool changes_ = false;
  bool ended_ = false;
};

/// Reads a blob to its end; what is wrong with its checksums or its length, "" when nothing is.
std::string FindStateDamage(StateInput& input);

/// Puts the first part of records into a table. In the first piece, which holds all rows, no two
/// are equal, and none is looked up. Threads: one at a time.
class TableLoader {
 public:
  TableLoader(RowTable& table, const StateReader& reader) : table_(table) {
    if (!reader.Changes()) filler_.emplace(table);
  }
  /// Afterwards Row(i) tells where record `i` lies, Created(i) whether it is new, its payload zero.
  void Add(RecordBlock& block);
  uint8_t* Row(idx_t i) const { return rows_[i]; }
  bool Created(idx_t i) const { return created_[i]; }
  /// There are no more: now the rows are found.
  void Finish() {
    if (filler_) filler_->Finish();
  }

 private:
  RowTable& table_;
  std::optional<RowTable::Filler> filler_;
  std::vector<uint8_t*> rows_;
  std::vector<uint8_t> created_;
};

/// Erases the rows of a block that are there; one may have come and gone between two checkpoints.
/// `before(row)` is called for each.
template <typename F>
void EraseAll(RowTable& table, RecordBlock& block, F&& before) {
  for (idx_t i = 0; i < block.count; i++) {
    uint8_t* row = table.Find(block.Row(0, i), block.HashOf(i));
    if (!row) continue;
    before(row);
    table.Erase(row);
  }
}
inline void EraseAll(RowTable& table, RecordBlock& block) {
  EraseAll(table, block, [](uint8_t*) {});
}

}  // namespace millrace
