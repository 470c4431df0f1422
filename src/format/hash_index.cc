#include "format/hash_index.h"

#include <bit>
#include <cstring>

#include "base/error.h"

namespace millrace {

static_assert(std::endian::native == std::endian::little);

std::string EncodeHashIndex(const std::vector<int32_t>& hashes) {
  std::string bytes(hashes.size() * 4, '\0');
  for (size_t i = 0; i < hashes.size(); i++) {
    uint32_t big = __builtin_bswap32(static_cast<uint32_t>(hashes[i]));
    std::memcpy(bytes.data() + 4 * i, &big, 4);
  }
  return bytes;
}

std::vector<int32_t> DecodeHashIndex(std::string_view bytes, int64_t row_count,
                                     const std::string& file) {
  if (row_count < 0 || bytes.size() != static_cast<uint64_t>(row_count) * 4) {
    Throw(ErrorCode::kCorrupt,
          "Reading hash index '{}': {} bytes are not the {} key hashes that its manifest tells of",
          file, bytes.size(), row_count);
  }
  std::vector<int32_t> hashes(bytes.size() / 4);
  for (size_t i = 0; i < hashes.size(); i++) {
    uint32_t big;
    std::memcpy(&big, bytes.data() + 4 * i, 4);
    hashes[i] = static_cast<int32_t>(__builtin_bswap32(big));
  }
  return hashes;
}

}  // namespace millrace
