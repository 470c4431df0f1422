// Index manifests: Avro files of index files.
#include "avro_seeds.h"
#include "meta/index_manifest.h"

namespace millrace {

std::vector<std::string> FuzzSeeds() {
  IndexManifestEntry vectors;
  vectors.partition = SeedRow(1, "p");
  vectors.index_type = kDeletionVectorsIndex;
  vectors.file_name = "index-1";
  vectors.file_size = 99;
  vectors.row_count = 2;
  vectors.deletion_vectors = {{{"data-1.parquet", 1, 30, 5}, {"data-2.parquet", 35, 40, {}}}};
  vectors.external_path = "file:/elsewhere/index";
  IndexManifestEntry global;
  global.partition = EmptyRow();
  global.index_type = kHashIndex;
  global.file_name = "index-2";
  global.global_index = GlobalIndexMeta{0, 99, 3, std::vector<int>{4, 5}, "meta"};
  return InAllCodecs(IndexManifestToAvro({vectors, global}));
}

}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace;
  AllowErrors([&] {
    auto decode = [](std::string_view bytes) { return IndexManifestFromAvro(bytes, "fuzzed"); };
    CheckRoundTrip(decode(FuzzBytes(data, size)), IndexManifestToAvro, decode);
  });
  return 0;
}
