// state_format.h - operator state on disk: little-endian columns, strings length-prefixed, a
// checksum at the end.
//
// A blob is [magic "MRST" | u16 version | string fingerprint | body | u64 XXH3 of all before it].
// Bodies are written by the operators (docs/internals/operators.md), rows in blocks of 1024, column
// by column: null bytes, then the values that are there.
#pragma once

#include "stream/dataflow.h"
#include "stream/packed_rows.h"

namespace millrace {

/// Writes a state blob to a store, piece by piece: a state is never in memory twice.
/// Threads: one at a time.
class StateWriter {
 public:
  /// `store` must outlive it.
  StateWriter(StateStore& store, std::string key, const std::string& fingerprint);
  ~StateWriter();
  template <typename T>
  void Put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  void PutString(std::string_view text);
  void PutTypes(const duckdb::vector<LogicalType>& types);
  void PutRows(const RowLayout& layout, const std::vector<uint8_t*>& rows);
  /// Adds the checksum and closes the value; the writer is done.
  void Finish();

 private:
  void PutBlock(const RowLayout& layout, uint8_t* const* rows, idx_t count);
  /// Hands the bytes on when there are many (or `all`).
  void Flush(bool all);

  StateStore& store_;
  const std::string key_;
  std::string bytes_;
  struct Checksum;
  std::unique_ptr<Checksum> checksum_;
};

/// Reads a state blob. Throws: Error(kCorrupt) naming `what` when bytes are missing or wrong.
class StateReader {
 public:
  StateReader(std::string bytes, const std::string& fingerprint, const std::string& what);
  template <typename T>
  T Get() {
    T value;
    memcpy(&value, Take(sizeof(T)), sizeof(T));
    return value;
  }
  std::string GetString();
  /// Checks that the state was written with these types.
  void ExpectTypes(const duckdb::vector<LogicalType>& types);
  /// Reads rows written by PutRows and visits them, packed; they live as long as this reader.
  void GetRows(const RowLayout& layout, const std::function<void(idx_t, uint8_t*)>& visit);
  [[noreturn]] void Corrupt(const std::string& why) const;

 private:
  const char* Take(size_t size);
  void GetBlock(const RowLayout& layout, uint8_t* rows, idx_t count);

  std::string bytes_;
  std::string what_;
  std::deque<std::vector<uint8_t>> rows_;
  size_t at_ = 0;
  size_t end_ = 0;
};

}  // namespace millrace
