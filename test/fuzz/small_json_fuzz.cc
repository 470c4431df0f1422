// The small JSON files beside a table's snapshots: consumers, statistics, and prepared commits.
#include "avro_seeds.h"
#include "io/memory_file_system.h"
#include "table/consumer_store.h"
#include "table/statistics.h"
#include "table/file_sync.h"

namespace millrace {

std::vector<std::string> FuzzSeeds() {
  MemoryFileSystem disk;
  ConsumerStore(disk, "t").Reset("c", 4);
  Committable committable;
  committable.sync = std::make_shared<FileSync>();
  BucketChange& bucket = committable.buckets.emplace_back();
  bucket.partition = SeedRow(1, "p");
  bucket.total_buckets = 2;
  bucket.new_files = {SeedFile(1)};
  bucket.compact_before = {SeedFile(2)};
  bucket.compact_after = {SeedFile(3)};
  bucket.index_changes.emplace_back();
  bucket.index_changes[0].index_type = kDeletionVectorsIndex;
  bucket.index_changes[0].file_name = "index-1";
  bucket.index_changes[0].deletion_vectors = {{{"data-1", 1, 2, 3}}};
  committable.log_offsets = {{0, 9}};
  committable.watermark = 5;
  committable.read_snapshot = 3;
  committable.overwrite = OverwriteScope{};
  committable.properties = {{"a", "b"}};
  return {disk.Read("t/consumer/consumer-c"), committable.ToJson(),
          R"({"snapshotId":5,"schemaId":0,"mergedRecordCount":3,"mergedRecordSize":300,)"
          R"("colStats":{"id":{"colId":0,"distinctCount":2,"min":"1","max":"3","nullCount":0,)"
          R"("avgLen":8,"maxLen":8}}})"};
}

}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace;
  AllowErrors([&] {
    MemoryFileSystem disk;
    disk.Overwrite("t/consumer/consumer-c", FuzzBytes(data, size));
    (void)ConsumerStore(disk, "t").All();
  });
  AllowErrors([&] { (void)StatisticsFromJson(FuzzBytes(data, size), "fuzzed"); });
  AllowErrors([&] {
    std::string json = Committable::FromJson(FuzzBytes(data, size)).ToJson();
    MILLRACE_CHECK(Committable::FromJson(json).ToJson() == json);
  });
  return 0;
}
