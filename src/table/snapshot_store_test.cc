// Goal: readers agree on what was published, whichever file operation of the writer fails and
// whatever the hints say. Method: fail operation n for n = 0, 1, ... and look again through a
// healthy file system; hints that are stale, ahead, cut or missing.
#include "table/snapshot_store.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "io/faulty_file_system.h"
#include "io/memory_file_system.h"

namespace millrace {

namespace {

Snapshot MakeTestSnapshot(int64_t id, const std::string& user = "u") {
  Snapshot snapshot;
  snapshot.id = id;
  snapshot.base_manifest_list = "base";
  snapshot.delta_manifest_list = "delta";
  snapshot.commit_user = user;
  return snapshot;
}

/// A JVM writer between our create and our second look: its file lies over ours.
class RacingFileSystem : public FaultyFileSystem {
 public:
  RacingFileSystem(FileSystem& base, std::string theirs)
      : FaultyFileSystem(base, {}), base_(base), theirs_(std::move(theirs)) {}
  CreateOutcome CreateExclusive(const std::string& path, std::string_view bytes) override {
    CreateOutcome outcome = base_.CreateExclusive(path, bytes);
    base_.Overwrite(path, theirs_);
    return outcome;
  }

 private:
  FileSystem& base_;
  std::string theirs_;
};

}  // namespace

TEST_CASE("Publish is all or nothing under an I/O failure at every point") {
  for (FaultMode mode : {FaultMode::kBefore, FaultMode::kAfter, FaultMode::kHalf}) {
    for (int fail_at = 0;; fail_at++) {
      CAPTURE(fail_at);
      MemoryFileSystem disk;
      SnapshotStore store(disk, "t");
      REQUIRE(store.Publish(MakeTestSnapshot(1)) == PublishOutcome::kPublished);
      FaultyFileSystem faulty(disk, {.fail_at = fail_at, .mode = mode});
      std::optional<PublishOutcome> outcome;
      try {
        outcome = SnapshotStore(faulty, "t").Publish(MakeTestSnapshot(2));
      } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::kIo);
      }
      // The file decides, not the hint.
      CHECK(store.Latest() == store.Find(2).value_or(MakeTestSnapshot(1)));
      if (outcome) {
        CHECK(outcome == PublishOutcome::kPublished);
        CHECK(store.Latest() == MakeTestSnapshot(2));
      }
      if (!faulty.failed()) break;
    }
  }
}

TEST_CASE("an id is given once") {
  MemoryFileSystem disk;
  SnapshotStore store(disk, "t");
  CHECK(!store.Latest());
  CHECK(!store.EarliestId());
  CHECK(store.Publish(MakeTestSnapshot(1, "a")) == PublishOutcome::kPublished);
  CHECK(store.Publish(MakeTestSnapshot(1, "b")) == PublishOutcome::kConflict);
  CHECK(store.Find(1)->commit_user == "a");

  RacingFileSystem racing(disk, SnapshotToJson(MakeTestSnapshot(2, "jvm")));
  CHECK(SnapshotStore(racing, "t").Publish(MakeTestSnapshot(2, "a")) == PublishOutcome::kConflict);
  CHECK(store.Latest()->commit_user == "jvm");
}

// An id whose snapshot has expired must not be given again: its late owner may have slept since it
// looked for the newest.
TEST_CASE("who creates an expired id learns that others are further on") {
  MemoryFileSystem disk;
  SnapshotStore store(disk, "t");
  for (int64_t id = 1; id <= 5; id++)
    REQUIRE(store.Publish(MakeTestSnapshot(id)) == PublishOutcome::kPublished);
  for (int64_t id = 1; id <= 3; id++) store.Remove(id);
  CHECK(store.Publish(MakeTestSnapshot(3, "late")) == PublishOutcome::kOvertaken);
  store.Remove(3);
  CHECK(store.LatestId() == 5);
  CHECK(disk.Read("t/snapshot/LATEST") == "5");
  store.Remove(4);
  store.Remove(5);  // No history is left that could be further on.
  CHECK(store.Publish(MakeTestSnapshot(6)) == PublishOutcome::kPublished);
}

TEST_CASE("hints are only hints") {
  MemoryFileSystem disk;
  SnapshotStore store(disk, "t");
  for (int64_t id = 1; id <= 5; id++)
    REQUIRE(store.Publish(MakeTestSnapshot(id)) == PublishOutcome::kPublished);
  store.Remove(1);
  for (const char* hint : {"5", "3", "1", "9", "", "x", "-1", "12345678901234567890", "3\n"}) {
    CAPTURE(hint);
    disk.Overwrite("t/snapshot/LATEST", hint);
    disk.Overwrite("t/snapshot/EARLIEST", hint == std::string("3")   ? "1"
                                          : hint == std::string("5") ? "2"
                                                                     : hint);
    CHECK(store.LatestId() == 5);
    if (hint != std::string("9")) CHECK(store.EarliestId() == 2);
  }
  disk.Delete("t/snapshot/LATEST");
  disk.Delete("t/snapshot/EARLIEST");
  auto other = disk.OpenForWrite("t/snapshot/.snapshot-7.uuid.tmp");
  other->Close();
  CHECK(store.LatestId() == 5);
  CHECK(store.EarliestId() == 2);
}

TEST_CASE("a snapshot that does not parse is named") {
  MemoryFileSystem disk;
  SnapshotStore store(disk, "t");
  REQUIRE(store.Publish(MakeTestSnapshot(1)) == PublishOutcome::kPublished);
  disk.Overwrite("t/snapshot/snapshot-1", "{\"version\": 3, ");
  try {
    store.Latest();
    FAIL("read a damaged snapshot");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kCorrupt);
    CHECK(error.text().find("t/snapshot/snapshot-1") != std::string::npos);
  }
}

}  // namespace millrace
