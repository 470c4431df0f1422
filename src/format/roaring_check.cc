#include "format/roaring_check.h"

#include <bit>
#include <cstring>

namespace millrace {

namespace {

constexpr uint32_t kCookieWithoutRuns = 12346;
constexpr uint32_t kCookieWithRuns = 12347;
constexpr uint32_t kMaxContainers = 65536;
constexpr uint32_t kLeastWithOffsets = 4;  // With runs; without them offsets are always there.
constexpr uint32_t kMaxArray = 4096;
constexpr size_t kBitsetBytes = 8192;

/// Steps through little-endian numbers; `good` turns false at the end of the bytes.
struct Input {
  std::string_view bytes;
  size_t at = 0;
  bool good = true;

  template <typename T>
  T Take() {
    T value = 0;
    if (!Has(sizeof(T))) return value;
    std::memcpy(&value, bytes.data() + at, sizeof(T));
    at += sizeof(T);
    return value;
  }
  bool Has(size_t count) { return good = good && count <= bytes.size() - at; }
};

bool CheckArray(Input& in, uint32_t cardinality) {
  int last = -1;
  for (uint32_t i = 0; i < cardinality && in.good; i++) {
    int value = in.Take<uint16_t>();
    if (value <= last) return false;
    last = value;
  }
  return in.good;
}

bool CheckBitset(Input& in, uint32_t cardinality) {
  if (!in.Has(kBitsetBytes)) return false;
  uint32_t bits = 0;
  for (size_t i = 0; i < kBitsetBytes / 8; i++) {
    bits += static_cast<uint32_t>(std::popcount(in.Take<uint64_t>()));
  }
  return bits == cardinality;
}

bool CheckRuns(Input& in, uint32_t cardinality) {
  uint32_t runs = in.Take<uint16_t>();
  int64_t last = -2;  // Neighbouring runs would be one.
  uint32_t values = 0;
  for (uint32_t i = 0; i < runs && in.good; i++) {
    int64_t start = in.Take<uint16_t>(), more = in.Take<uint16_t>();
    if (start <= last + 1 || start + more > 65535) return false;
    last = start + more;
    values += static_cast<uint32_t>(more) + 1;
  }
  return in.good && values == cardinality;
}

}  // namespace

std::optional<size_t> CheckRoaring(std::string_view bytes) {
  Input in{bytes};
  uint32_t cookie = in.Take<uint32_t>();
  bool with_runs = (cookie & 0xFFFF) == kCookieWithRuns;
  if (!with_runs && cookie != kCookieWithoutRuns) return std::nullopt;
  uint32_t containers = with_runs ? (cookie >> 16) + 1 : in.Take<uint32_t>();
  if (!in.good || containers > kMaxContainers) return std::nullopt;
  size_t run_flags = in.at;
  if (with_runs) {
    if (!in.Has((containers + 7) / 8)) return std::nullopt;
    in.at += (containers + 7) / 8;
  }
  size_t header = in.at;
  if (!in.Has(containers * 4)) return std::nullopt;
  in.at += containers * 4;
  size_t offsets = in.at;
  bool with_offsets = !with_runs || containers >= kLeastWithOffsets;
  if (with_offsets) {
    if (!in.Has(containers * 4)) return std::nullopt;
    in.at += containers * 4;
  }
  int last_key = -1;
  for (uint32_t i = 0; i < containers; i++) {
    Input meta{bytes, header + i * 4};
    int key = meta.Take<uint16_t>();
    uint32_t cardinality = meta.Take<uint16_t>() + 1U;
    if (key <= last_key) return std::nullopt;
    last_key = key;
    Input offset{bytes, offsets + i * 4};
    if (with_offsets && offset.Take<uint32_t>() != in.at) return std::nullopt;
    bool is_run = with_runs && (bytes[run_flags + i / 8] >> (i % 8) & 1);
    bool good = is_run                     ? CheckRuns(in, cardinality)
                : cardinality <= kMaxArray ? CheckArray(in, cardinality)
                                           : CheckBitset(in, cardinality);
    if (!good) return std::nullopt;
  }
  return in.good ? std::optional(in.at) : std::nullopt;
}

}  // namespace millrace
