// Goal: tag files are Paimon's, byte for byte where that matters. Method: a tag that Paimon 1.4.2
// wrote, and round trips.
#include "meta/tag.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace millrace {

namespace {

Snapshot SomeSnapshot() {
  Snapshot snapshot;
  snapshot.id = 3;
  snapshot.base_manifest_list = "manifest-list-a-0";
  snapshot.delta_manifest_list = "manifest-list-a-1";
  snapshot.commit_user = "u";
  snapshot.time_ms = 5;
  return snapshot;
}

}  // namespace

TEST_CASE("A tag without lifetime is its snapshot's file") {
  Tag tag{SomeSnapshot(), {}, {}};
  CHECK(TagToJson(tag) == SnapshotToJson(tag.snapshot));
  CHECK(TagFromJson(TagToJson(tag), "t") == tag);
}

TEST_CASE("A lifetime is written as Paimon writes it") {
  // 2026-11-23 01:39:17.869432622, seven days.
  Tag tag{SomeSnapshot(), 1'795'397'957'869'432'622, 604'800LL * 1'000'000'000};
  std::string json = TagToJson(tag);
  INFO(json);
  CHECK(json.find("\"tagCreateTime\": [2026,11,23,1,39,17,869432622]") != std::string::npos);
  CHECK(json.find("\"tagTimeRetained\": 604800.000000000") != std::string::npos);
  CHECK(TagFromJson(json, "t") == tag);
  tag.created_ns = 1'795'397'940'000'000'000;  // 01:39:00: no seconds.
  CHECK(TagToJson(tag).find("[2026,11,23,1,39]") != std::string::npos);
  CHECK(TagFromJson(TagToJson(tag), "t") == tag);
}

TEST_CASE("A damaged lifetime is an error that names the field") {
  std::string json = SnapshotToJson(SomeSnapshot());
  json.resize(json.rfind('\n'));
  for (const char* bad : {"\"tagCreateTime\": 7", "\"tagCreateTime\": [2026,13,1,0,0]",
                          "\"tagTimeRetained\": \"long\"", "\"tagCreateTime\": [1,\"x\",1]"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(TagFromJson(json + ",\n" + bad + "\n}", "the-file"), Error);
  }
}

}  // namespace millrace
