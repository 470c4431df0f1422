// Deletion vectors, of both versions. The first byte says whether the checksum is made to fit, so
// that damage comes through to the bitmap.
#include "base/bytes.h"
#include "format/deletion_vector.h"
#include "fuzz_target.h"

namespace millrace {

namespace {

/// Length and checksum of what lies between them.
void MakeFit(std::string& bytes) {
  if (bytes.size() < 8) return;
  auto body = static_cast<uint32_t>(bytes.size() - 8);
  StoreBig<uint32_t>(bytes.data(), body);
  StoreBig<uint32_t>(bytes.data() + 4 + body, Crc32(std::string_view(bytes).substr(4, body)));
}

}  // namespace

std::vector<std::string> FuzzSeeds() {
  RowSet few, many, runs;
  for (int64_t row : {0, 3, 70'000, 2'000'000'000}) few.Add(row);
  for (int64_t row = 0; row < 20'000; row += 2) many.Add(row);
  for (int64_t row = 100'000; row < 170'000; row++) runs.Add(row);
  std::vector<std::string> seeds;
  for (bool bitmap64 : {false, true}) {
    for (const RowSet* rows : {&few, &many, &runs}) {
      for (const char* fit : {"a", "b"})
        seeds.push_back(fit + EncodeDeletionVector(*rows, bitmap64));
    }
    seeds.push_back("a" + EncodeDeletionVector(RowSet(), bitmap64));
  }
  return seeds;
}

}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace;
  if (size < 9) return 0;
  std::string bytes(FuzzBytes(data + 1, size - 1));
  if (data[0] % 2 == 0) MakeFit(bytes);
  int64_t body = LoadBig<uint32_t>(bytes.data());
  for (int64_t length : {body, body + 8}) {
    AllowErrors([&] {
      RowSet rows = DecodeDeletionVector(bytes, length, "fuzzed");
      MILLRACE_CHECK(static_cast<int64_t>(rows.Positions().size()) == rows.Size());
      for (bool bitmap64 : {false, true}) {
        std::string again = EncodeDeletionVector(rows, bitmap64);
        int64_t again_length = static_cast<int64_t>(again.size()) - (bitmap64 ? 0 : 8);
        MILLRACE_CHECK(DecodeDeletionVector(again, again_length, "fuzzed") == rows);
      }
    });
  }
  AllowErrors([&] {
    std::vector<DeletionVectorRange> ranges = {{"a", 1, static_cast<int>(body), {}},
                                               {"b", static_cast<int>(size / 2), 20, {}}};
    (void)DecodeDeletionVectors("\1" + bytes, ranges, "fuzzed");
  });
  return 0;
}
