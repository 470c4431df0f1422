// bloom_filter.h - a Bloom filter over one column of a data file: which values cannot be in it.
//
// Bytes: number of hash functions (int32, big endian), then the bits. Strings are hashed by XXH64,
// numbers by Thomas Wang's hash (docs/format.md#file-index, BloomFilter64.java, FastHash.java).
#pragma once

#include "format/index_key.h"

namespace millrace {

/// Collects the values of one column.
/// Threads: one at a time. Throws: Error(kInvalid) for sizes that make no filter.
class BloomFilter {
 public:
  /// `items`: how many distinct values to expect; `fpp`: the share of false positives then.
  BloomFilter(const DataType& type, int64_t items, double fpp);
  void Add(const UnifiedVectorFormat& column, idx_t rows);
  const std::string& Bytes() const { return bytes_; }

 private:
  DataType type_;
  IndexKeyKind kind_;
  uint32_t functions_;
  uint32_t bits_;
  std::string bytes_;
};

/// Whether a value equal to `constant` may be in the column that `filter` was made of.
/// Throws: Error(kCorrupt) naming `file`.
bool BloomMayContain(std::string_view filter, const DataType& type, const Value& constant,
                     const std::string& file);

/// The hash of bytes and of numbers, for both of the above.
uint64_t BloomHash(std::string_view bytes);
uint64_t BloomHash(int64_t number);

}  // namespace millrace
