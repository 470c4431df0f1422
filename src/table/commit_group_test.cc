// Goal: a reader of several tables learns which snapshots belong together. Method: publish groups
// in a memory file system, repeat them, leave members out, damage a file.
#include "table/commit_group.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "io/memory_file_system.h"

namespace millrace {

TEST_CASE("The newest complete group is found, with members that did not change") {
  MemoryFileSystem files;
  CHECK_FALSE(LatestCommitGroup(files, "/w", "job"));
  PublishCommitGroup(files, {"job", 1, {{"/w/a.db/x", 3}, {"/w/b.db/y", 1}}});
  PublishCommitGroup(files, {"job", 2, {{"/w/a.db/x", 5}}});
  PublishCommitGroup(files, {"job", 2, {{"/w/a.db/x", 5}}});  // A repeat after a crash.
  auto group = LatestCommitGroup(files, "/w", "job");
  REQUIRE(group);
  CHECK(group->checkpoint == 2);
  CHECK(group->snapshots == std::map<std::string, int64_t>{{"/w/a.db/x", 5}, {"/w/b.db/y", 1}});
  CHECK_FALSE(LatestCommitGroup(files, "/w", "other"));
}

TEST_CASE("Members in two warehouses make a group in each") {
  MemoryFileSystem files;
  PublishCommitGroup(files, {"job", 7, {{"/w/a.db/x", 3}, {"/v/a.db/y", 9}}});
  CHECK(LatestCommitGroup(files, "/w", "job")->snapshots.size() == 1);
  CHECK(LatestCommitGroup(files, "/v", "job")->snapshots.at("/v/a.db/y") == 9);
}

TEST_CASE("Only the newest groups are kept") {
  MemoryFileSystem files;
  for (int64_t i = 1; i <= kKeptGroups + 20; i++) {
    PublishCommitGroup(files, {"job", i, {{"/w/a.db/x", i}}});
  }
  CHECK(static_cast<int64_t>(files.List("/w/.millrace/groups/job").size()) == kKeptGroups);
  CHECK(LatestCommitGroup(files, "/w", "job")->checkpoint == kKeptGroups + 20);
}

TEST_CASE("A damaged group file is refused by name") {
  MemoryFileSystem files;
  PublishCommitGroup(files, {"job", 1, {{"/w/a.db/x", 3}}});
  std::string path = "/w/.millrace/groups/job/" + files.List("/w/.millrace/groups/job")[0].name;
  for (const char* text : {"", "{", "[]", "{\"a.db/x\": \"three\"}"}) {
    files.Overwrite(path, text);
    try {
      LatestCommitGroup(files, "/w", "job");
      FAIL("must throw");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kCorrupt);
      CHECK(error.text().find(path) != std::string::npos);
    }
  }
}

TEST_CASE("A snapshot's group is its property") {
  Snapshot snapshot;
  CHECK_FALSE(GroupOf(snapshot));
  snapshot.properties[kGroupProperty] = "a/b/12";
  CHECK(GroupOf(snapshot) == std::pair<std::string, int64_t>("a/b", 12));
}

}  // namespace millrace
