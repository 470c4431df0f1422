// Snapshots, and what is made like them: tags, and changelogs that outlived their snapshots.
#include "io/memory_file_system.h"
#include "json_fuzz_seeds.h"
#include "meta/tag.h"
#include "table/changelog_store.h"

namespace millrace {

std::vector<std::string> FuzzSeeds() {
  Tag tag{SeedSnapshot(), 1'700'000'000'123'456'789, 604'800'000'000'000};
  Snapshot small;
  small.id = 1;
  small.base_manifest_list = small.delta_manifest_list = "l";
  return {SnapshotToJson(SeedSnapshot()), SnapshotToJson(small), TagToJson(tag)};
}

}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace;
  AllowErrors([&] {
    auto decode = [](std::string_view json) { return SnapshotFromJson(json, "fuzzed"); };
    CheckRoundTrip(decode(FuzzBytes(data, size)), SnapshotToJson, decode);
  });
  AllowErrors([&] {
    // Both times of a tag are written, or none: so from the second time on.
    std::string once = TagToJson(TagFromJson(FuzzBytes(data, size), "fuzzed"));
    MILLRACE_CHECK(TagToJson(TagFromJson(once, "again")) == once);
  });
  AllowErrors([&] {
    MemoryFileSystem disk;
    ChangelogStore changelogs(disk, "t");
    disk.Overwrite(changelogs.PathOf(7), FuzzBytes(data, size));
    disk.Overwrite("t/changelog/LATEST", FuzzBytes(data, size));
    (void)changelogs.Ids();
    (void)changelogs.Find(7);
  });
  return 0;
}
