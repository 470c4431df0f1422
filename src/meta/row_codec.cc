// row_codec.cc - building a BinaryRow.
#include "meta/row_codec.h"

#include <cstring>

#include "meta/murmur.h"

namespace millrace {

SlotKind SlotKindOf(const DataType& type) {
  switch (type.root) {
    case TypeRoot::kBoolean:
    case TypeRoot::kTinyInt:
      return SlotKind::kByte;
    case TypeRoot::kSmallInt:
      return SlotKind::kShort;
    case TypeRoot::kInt:
    case TypeRoot::kDate:
    case TypeRoot::kFloat:
      return SlotKind::kInt;
    case TypeRoot::kTime:
      return SlotKind::kTimeMillis;
    case TypeRoot::kBigInt:
    case TypeRoot::kDouble:
      return SlotKind::kLong;
    case TypeRoot::kDecimal:
      return type.length <= 18 ? SlotKind::kDecimal : SlotKind::kBigDecimal;
    case TypeRoot::kTimestamp:
    case TypeRoot::kTimestampLtz:
      return type.length <= 3 ? SlotKind::kMillis : SlotKind::kMillisOutside;
    case TypeRoot::kChar:
    case TypeRoot::kVarChar:
    case TypeRoot::kBinary:
    case TypeRoot::kVarBinary:
      return SlotKind::kBytes;
    default:
      return SlotKind::kNested;
  }
}

void RowWriter::PutNull(idx_t field, SlotKind kind) {
  row_[(8 + field) / 8] |= static_cast<char>(1 << ((8 + field) % 8));
  // These two keep room for a later value even when null: hashes and keys are over all bytes.
  if (kind == SlotKind::kBigDecimal || kind == SlotKind::kMillisOutside) {
    PutOffset(field, 0);
    row_.append(kind == SlotKind::kBigDecimal ? 16 : 8, '\0');
  }
}

void RowWriter::PutTimestamp(idx_t field, MillisNanos time, SlotKind kind) {
  if (kind == SlotKind::kMillis) {
    Put(field, time.millis);
    return;
  }
  PutOffset(field, static_cast<uint32_t>(time.nanos));
  row_.append(reinterpret_cast<const char*>(&time.millis), 8);
}

void RowWriter::PutBigDecimal(idx_t field, duckdb::hugeint_t unscaled) {
  char big_endian[16];
  for (int i = 0; i < 8; i++) {
    big_endian[i] = static_cast<char>(static_cast<uint64_t>(unscaled.upper) >> (56 - 8 * i));
    big_endian[8 + i] = static_cast<char>(unscaled.lower >> (56 - 8 * i));
  }
  // Java's BigInteger.toByteArray: the fewest bytes that keep the sign.
  idx_t start = 0;
  char fill = unscaled.upper < 0 ? '\xff' : '\0';
  while (start < 15 && big_endian[start] == fill && ((big_endian[start + 1] ^ fill) & 0x80) == 0)
    start++;
  PutOffset(field, static_cast<uint32_t>(16 - start));
  row_.append(big_endian + start, 16 - start);
  row_.append(start, '\0');
}

void RowWriter::PutBytes(idx_t field, const char* bytes, idx_t length) {
  if (length <= 7) {
    char slot[8] = {};
    std::memcpy(slot, bytes, length);
    slot[7] = static_cast<char>(0x80 | length);
    std::memcpy(row_.data() + header_ + field * 8, slot, 8);
    return;
  }
  PutOffset(field, static_cast<uint32_t>(length));
  row_.append(bytes, length);
  row_.append((8 - length % 8) % 8, '\0');
}

int32_t HashBytesByWords(const char* bytes, idx_t length) {
  uint32_t hash = kMurmurSeed;
  for (idx_t i = 0; i + 4 <= length; i += 4) {
    uint32_t word;
    std::memcpy(&word, bytes + i, 4);
    hash = MurmurMix(hash, word);
  }
  return MurmurFinish(hash, static_cast<uint32_t>(length));
}

}  // namespace millrace
