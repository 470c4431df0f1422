// Manifests: Avro files of data files that come and go.
#include "avro_seeds.h"

namespace millrace {

std::vector<std::string> FuzzSeeds() {
  DataFileMeta plain;
  plain.file_name = "data-1.parquet";
  plain.min_key = plain.max_key = EmptyRow();
  return InAllCodecs(ManifestToAvro({{FileKind::kAdd, EmptyRow(), 0, 2, SeedFile(1)},
                                     {FileKind::kDelete, SeedRow(3, "p"), 1, 2, SeedFile(2)},
                                     {FileKind::kAdd, EmptyRow(), 0, -1, plain}}));
}

}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace;
  AllowErrors([&] {
    auto decode = [](std::string_view bytes) { return ManifestFromAvro(bytes, "fuzzed"); };
    auto entries = decode(FuzzBytes(data, size));
    CheckRoundTrip(entries, ManifestToAvro, decode);
    (void)MergeManifestEntries(std::move(entries));
  });
  return 0;
}
