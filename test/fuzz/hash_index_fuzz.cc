// Key hashes of dynamic buckets. The first byte is the number of rows that the manifest tells.
#include "format/hash_index.h"
#include "fuzz_target.h"

namespace millrace {

std::vector<std::string> FuzzSeeds() {
  return {std::string(1, 3) + EncodeHashIndex({1, -2, 2'000'000'000}), std::string(1, 0)};
}

}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace;
  if (size == 0) return 0;
  for (int64_t rows : {int64_t{data[0]}, static_cast<int64_t>(size / 4), INT64_MAX, int64_t{-1}}) {
    AllowErrors([&] {
      auto decode = [&](std::string_view bytes) { return DecodeHashIndex(bytes, rows, "fuzzed"); };
      CheckRoundTrip(decode(FuzzBytes(data + 1, size - 1)), EncodeHashIndex, decode);
    });
  }
  return 0;
}
