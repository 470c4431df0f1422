// bytes.cc - variable-length integers and the checksum.
#include "base/bytes.h"

#include <libdeflate.h>

namespace millrace {

void AppendVarint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  out += static_cast<char>(value);
}

bool TakeVarint(std::string_view& in, uint64_t& value) {
  uint64_t result = 0;
  for (size_t i = 0; i < in.size() && i < 10; i++) {
    auto byte = static_cast<unsigned char>(in[i]);
    if (i == 9 && byte > 1) return false;
    result |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      value = result;
      in.remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

uint32_t Crc32(std::string_view bytes, uint32_t seed) {
  return libdeflate_crc32(seed, bytes.data(), bytes.size());
}

}  // namespace millrace
