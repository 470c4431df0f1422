// row_codec.h - the parts of Paimon's BinaryRow that encoding, hashing and statistics share.
//
// A row of n fields, little endian: a header of ((n + 63 + 8) / 64) * 8 bytes (byte 0 is the row
// kind, the null bit of field i is bit 8 + i), n slots of 8 bytes, then values too long for their
// slot, each padded to 8 bytes; the slot then holds length and offset. docs/format.md#binaryrow
#pragma once

#include <cstring>

#include "meta/data_type.h"

namespace millrace {

/// How a type lies in its slot.
enum class SlotKind : uint8_t {
  kByte,           // BOOLEAN, TINYINT.
  kShort,          // SMALLINT.
  kInt,            // INT, DATE, FLOAT.
  kTimeMillis,     // TIME: milliseconds of the day.
  kLong,           // BIGINT, DOUBLE.
  kDecimal,        // DECIMAL(1-18): the unscaled value.
  kBigDecimal,     // DECIMAL(19-38): 16 bytes outside.
  kMillis,         // TIMESTAMP(0-3): epoch milliseconds.
  kMillisOutside,  // TIMESTAMP(4-9): milliseconds outside, nanoseconds of the millisecond inside.
  kBytes,          // Strings and binaries: inside up to 7 bytes.
  kNested,         // Not encoded by Millrace, except as null.
};
SlotKind SlotKindOf(const DataType& type);

inline idx_t HeaderBytes(idx_t fields) {
  return (fields + 63 + 8) / 64 * 8;
}

/// The column's values as T, which has the width of its physical type (DuckDB's own accessor
/// insists on the very type: BOOL is not taken for int8_t).
template <typename T>
const T* DataOf(const UnifiedVectorFormat& format) {
  return reinterpret_cast<const T*>(format.data);
}

/// Epoch time as Paimon cuts it: milliseconds (floored) and the nanoseconds above.
struct MillisNanos {
  int64_t millis;
  int32_t nanos;
};
inline MillisNanos SplitMicros(int64_t micros) {
  int64_t millis = micros / 1000 - (micros % 1000 < 0 ? 1 : 0);
  return {millis, static_cast<int32_t>(micros - millis * 1000) * 1000};
}
inline MillisNanos SplitNanos(int64_t nanos) {
  int64_t millis = nanos / 1'000'000 - (nanos % 1'000'000 < 0 ? 1 : 0);
  return {millis, static_cast<int32_t>(nanos - millis * 1'000'000)};
}

/// Builds one row into a reused buffer.
/// Threads: one at a time.
class RowWriter {
 public:
  explicit RowWriter(idx_t fields) : fields_(fields), header_(HeaderBytes(fields)) {}
  void Reset() { row_.assign(header_ + fields_ * 8, '\0'); }
  void PutNull(idx_t field, SlotKind kind);
  template <typename T>
  void Put(idx_t field, T value) {
    std::memcpy(row_.data() + header_ + field * 8, &value, sizeof(T));
  }
  void PutTimestamp(idx_t field, MillisNanos time, SlotKind kind);
  void PutBigDecimal(idx_t field, duckdb::hugeint_t unscaled);
  void PutBytes(idx_t field, const char* bytes, idx_t length);
  /// Without the arity in front.
  const std::string& row() const { return row_; }

 private:
  void PutOffset(idx_t field, uint32_t low) {
    Put<uint64_t>(field, (static_cast<uint64_t>(row_.size()) << 32) | low);
  }
  idx_t fields_;
  idx_t header_;
  std::string row_;
};

/// Murmur3 over whole 4-byte words (MurmurHashUtils.hashBytesByWords).
int32_t HashBytesByWords(const char* bytes, idx_t length);

}  // namespace millrace
