// Goal: bytes have the order they claim, variable-length integers round trip and stop at the end.
// Method: published vectors, limits, every prefix.
#include "base/bytes.h"

#include <doctest/doctest.h>

#include <limits>

namespace millrace {

TEST_CASE("Integers have the byte order they claim") {
  std::string bytes;
  AppendLittle<int32_t>(bytes, 0x01020304);
  AppendBig<int32_t>(bytes, 0x01020304);
  CHECK(bytes == std::string("\x04\x03\x02\x01\x01\x02\x03\x04", 8));
  CHECK(LoadLittle<int32_t>(bytes.data()) == 0x01020304);
  CHECK(LoadBig<int64_t>(bytes.data()) == 0x0403020101020304);
}

TEST_CASE("Variable-length integers round trip and refuse what is cut or too long") {
  for (int64_t value :
       {int64_t{0}, int64_t{-1}, int64_t{63}, int64_t{64}, int64_t{-65}, int64_t{1} << 40,
        std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()}) {
    std::string bytes;
    AppendVarint(bytes, ZigZag(value));
    for (size_t length = 0; length <= bytes.size(); length++) {
      std::string_view in(bytes.data(), length);
      uint64_t back = 0;
      CHECK(TakeVarint(in, back) == (length == bytes.size()));
      if (length == bytes.size()) CHECK(UnZigZag(back) == value);
      if (length == bytes.size()) CHECK(in.empty());
    }
  }
  std::string too_long(11, '\xff');
  std::string_view in = too_long;
  uint64_t value;
  CHECK_FALSE(TakeVarint(in, value));
}

TEST_CASE("CRC-32 is zlib's") {
  CHECK(Crc32("123456789") == 0xcbf43926);
  CHECK(Crc32("6789", Crc32("12345")) == 0xcbf43926);
}

}  // namespace millrace
