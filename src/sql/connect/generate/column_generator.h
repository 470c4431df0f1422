// column_generator.h - the values of one generated column, by row number.
//
// Row i's value is a function of (seed, column, i) alone: any stretch of rows can be made again, in
// any order, by the chunk.
#pragma once

#include "sql/connect/table_options.h"

namespace millrace {

/// When rows come into being: row i at start_ms + i / rows per second.
struct NominalTime {
  int64_t start_ms = 0;
  int64_t rows_per_second = 1;
  int64_t RowMs(int64_t row) const {
    return start_ms + row / rows_per_second * 1000 + row % rows_per_second * 1000 / rows_per_second;
  }
};

/// Threads: safe.
class ColumnGenerator {
 public:
  virtual ~ColumnGenerator() = default;
  /// Writes rows [first, first + count) to `out` from its row `offset` on.
  virtual void Fill(int64_t first, idx_t count, Vector& out, idx_t offset,
                    const NominalTime& time) const = 0;
};

/// The generator that the options `fields.<name>.*` describe. `rows`: set to the length of a
/// sequence, if it is one and shorter. Throws: Error(kInvalid), Error(kUnsupported).
std::unique_ptr<ColumnGenerator> MakeColumnGenerator(const TableOptions& options,
                                                     const std::string& name, const DataType& type,
                                                     uint64_t seed, std::optional<int64_t>& rows);

/// A bijection of 64 bits that looks random (the finaliser of splitmix64).
inline uint64_t MixBits(uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9;
  bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB;
  return bits ^ (bits >> 31);
}
/// Random bits of row `row` under `seed`.
inline uint64_t RowBits(uint64_t seed, int64_t row) {
  return MixBits(seed + static_cast<uint64_t>(row + 1) * 0x9E3779B97F4A7C15);
}
/// A number in [0, range), range 0 meaning 2^64, from random bits.
inline uint64_t Below(uint64_t range, uint64_t bits) {
  if (range == 0) return bits;
  return static_cast<uint64_t>((static_cast<unsigned __int128>(bits) * range) >> 64);
}
/// A seed that belongs to `name`.
uint64_t NamedSeed(uint64_t seed, std::string_view name);

}  // namespace millrace
