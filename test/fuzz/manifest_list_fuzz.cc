// Manifest lists: Avro files of manifests.
#include "avro_seeds.h"

namespace millrace {

std::vector<std::string> FuzzSeeds() {
  ManifestFileMeta full;
  full.file_name = "manifest-1";
  full.file_size = 4711;
  full.added_files = 3;
  full.deleted_files = 2;
  full.partition_stats = {SeedRow(1, "a"), SeedRow(2, "b"), {0, std::nullopt}};
  full.schema_id = 1;
  full.min_bucket = full.min_level = 0;
  full.max_bucket = full.max_level = 5;
  full.min_row_id = 1;
  full.max_row_id = 99;
  ManifestFileMeta plain;
  plain.file_name = "manifest-2";
  plain.partition_stats = {EmptyRow(), EmptyRow(), {}};
  return InAllCodecs(ManifestListToAvro({full, plain}));
}

}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace;
  AllowErrors([&] {
    auto decode = [](std::string_view bytes) { return ManifestListFromAvro(bytes, "fuzzed"); };
    CheckRoundTrip(decode(FuzzBytes(data, size)), ManifestListToAvro, decode);
  });
  return 0;
}
