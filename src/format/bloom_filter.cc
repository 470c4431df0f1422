#include "format/bloom_filter.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cmath>

#include "base/bytes.h"
#include "base/error.h"

namespace millrace {

namespace {

constexpr size_t kHeaderBytes = 4;

/// Calls `visit` with the bits of a hash, until it returns false.
template <typename Visit>
void ForEachBit(uint64_t hash, uint32_t functions, uint32_t bits, Visit visit) {
  auto low = static_cast<uint32_t>(hash), high = static_cast<uint32_t>(hash >> 32);
  for (uint32_t i = 1; i <= functions; i++) {
    auto combined = static_cast<int32_t>(low + i * high);  // Wraps as Java's int.
    if (combined < 0) combined = ~combined;
    if (!visit(static_cast<uint32_t>(combined) % bits)) return;
  }
}

/// 0.0 and -0.0 are equal, but not to a hash.
bool IsZero(const DataType& type, const Value& constant) {
  if (type.root == TypeRoot::kFloat) return constant.GetValue<float>() == 0;
  return type.root == TypeRoot::kDouble && constant.GetValue<double>() == 0;
}

}  // namespace

uint64_t BloomHash(std::string_view bytes) {
  return XXH64(bytes.data(), bytes.size(), 0);
}

uint64_t BloomHash(int64_t number) {
  auto key = static_cast<uint64_t>(number);
  auto shift = [](uint64_t value, int by) {  // Java's >>, with the sign.
    return static_cast<uint64_t>(static_cast<int64_t>(value) >> by);
  };
  key = ~key + (key << 21);
  key ^= shift(key, 24);
  key = key + (key << 3) + (key << 8);
  key ^= shift(key, 14);
  key = key + (key << 2) + (key << 4);
  key ^= shift(key, 28);
  return key + (key << 31);
}

BloomFilter::BloomFilter(const DataType& type, int64_t items, double fpp)
    : type_(type), kind_(*IndexKeyKindOf(type)) {
  double wanted = -static_cast<double>(items) * std::log(fpp) / (std::log(2.0) * std::log(2.0));
  if (items < 1 || !(fpp > 0 && fpp < 1) || wanted > INT32_MAX - 8) {
    Throw(ErrorCode::kInvalid,
          "A Bloom filter cannot have {} items and {} false positives: expected items from 1 on "
          "and a share between 0 and 1",
          items, fpp);
  }
  auto rounded = static_cast<int32_t>(wanted);
  bits_ = static_cast<uint32_t>(rounded + (8 - rounded % 8));
  functions_ = static_cast<uint32_t>(std::max(
      1.0,
      std::floor(static_cast<double>(bits_) / static_cast<double>(items) * std::log(2.0) + 0.5)));
  AppendBig<uint32_t>(bytes_, functions_);
  bytes_.resize(kHeaderBytes + bits_ / 8, '\0');
}

void BloomFilter::Add(const UnifiedVectorFormat& column, idx_t rows) {
  char* bits = bytes_.data() + kHeaderBytes;
  auto add = [&](uint64_t hash) {
    ForEachBit(hash, functions_, bits_, [&](uint32_t bit) {
      bits[bit >> 3] = static_cast<char>(bits[bit >> 3] | 1 << (bit & 7));
      return true;
    });
  };
  if (kind_ == IndexKeyKind::kBytes) {
    auto* values = UnifiedVectorFormat::GetData<string_t>(column);
    for (idx_t i = 0; i < rows; i++) {
      idx_t at = column.sel->get_index(i);
      if (!column.validity.RowIsValid(at)) continue;
      add(BloomHash(std::string_view(values[at].GetData(), values[at].GetSize())));
    }
    return;
  }
  std::vector<int64_t> numbers(rows);
  ToIndexNumbers(type_, column, rows, numbers.data());
  for (idx_t i = 0; i < rows; i++) {
    if (column.validity.RowIsValid(column.sel->get_index(i))) add(BloomHash(numbers[i]));
  }
}

bool BloomMayContain(std::string_view filter, const DataType& type, const Value& constant,
                     const std::string& file) {
  auto functions = filter.size() < kHeaderBytes ? 0 : LoadBig<uint32_t>(filter.data());
  if (filter.size() <= kHeaderBytes || functions < 1 || functions > 1000 ||
      filter.size() > (INT32_MAX / 8U)) {
    Throw(ErrorCode::kCorrupt,
          "Reading file index '{}': {} bytes with {} hash functions are no Bloom filter", file,
          filter.size(), functions);
  }
  auto bits = static_cast<uint32_t>((filter.size() - kHeaderBytes) * 8);
  const char* bytes = filter.data() + kHeaderBytes;
  auto test = [&](uint64_t hash) {
    bool all = true;
    ForEachBit(hash, functions, bits,
               [&](uint32_t bit) { return all = bytes[bit >> 3] >> (bit & 7) & 1; });
    return all;
  };
  if (IndexKeyKindOf(type) == IndexKeyKind::kBytes) {
    return test(BloomHash(std::string_view(duckdb::StringValue::Get(constant))));
  }
  if (!IsZero(type, constant)) return test(BloomHash(ToIndexNumber(type, constant)));
  bool is_float = type.root == TypeRoot::kFloat;
  return test(BloomHash(int64_t{0})) || test(BloomHash(is_float ? int64_t{INT32_MIN} : INT64_MIN));
}

}  // namespace millrace
