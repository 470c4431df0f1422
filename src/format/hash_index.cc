#include "format/hash_index.h"

#include "base/bytes.h"
#include "base/error.h"

namespace millrace {

std::string EncodeHashIndex(const std::vector<int32_t>& hashes) {
  std::string bytes(hashes.size() * 4, '\0');
  for (size_t i = 0; i < hashes.size(); i++) {
    StoreBig(bytes.data() + 4 * i, hashes[i]);
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
    hashes[i] = LoadBig<int32_t>(bytes.data() + 4 * i);
  }
  return hashes;
}

}  // namespace millrace
