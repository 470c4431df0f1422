// Goal: a commit is all or nothing and is done once, whatever fails, races with it or is repeated;
// damaged metadata is told by name and never written over. Method: every file operation of a commit
// failed in turn, then the commit repeated as recovery would; two threads over one disk; every
// metadata file deleted, cut and scrambled.
#include <atomic>
#include <thread>

#include "io/faulty_file_system.h"
#include "table/committer.h"
#include "table/table_fixture.h"

namespace millrace {

namespace {

std::vector<TestRow> Inserts(int64_t from, int64_t to, const std::string& value) {
  std::vector<TestRow> rows;
  for (int64_t id = from; id < to; id++) rows.push_back({RowKind::kInsert, id, "p", value});
  return rows;
}

std::vector<std::string> Expected(const std::vector<std::vector<TestRow>>& batches) {
  TestModel model;
  for (const auto& batch : batches) {
    for (const TestRow& row : batch) model.Apply(row);
  }
  return model.Rows();
}

TableDefinition FaultDefinition(Options more = {}) {
  Options options = {{"changelog-producer", "input"},
                     {"num-sorted-run.compaction-trigger", "2"},
                     {"manifest.merge-min-count", "3"},
                     {"snapshot.num-retained.min", "2"},
                     {"snapshot.num-retained.max", "4"}};
  more.merge(options);
  return TestDefinition(true, false, more);
}

/// A table with a history and one prepared commit (new rows, their changelog and a compaction).
/// `producer`: of its changelog; "vectors": none, and deletion vectors, which the compaction
/// changes.
struct Prepared {
  explicit Prepared(const std::string& producer = "input") {
    bool vectors = producer == "vectors";
    Options options = {{"changelog-producer", vectors ? "none" : producer}};
    if (vectors) {
      options["deletion-vectors.enabled"] = "true";
      options["num-sorted-run.compaction-trigger"] = "5";
    }
    table = Table::Create(world.context(), "w/d.db/t", FaultDefinition(options));
    auto writer = table->NewWriter("u");
    if (vectors) {  // So large that small runs stay below it.
      batches.push_back(Inserts(0, 3000, "v0"));
      WriteRows(*writer, batches.back());
      table->Commit(writer->PrepareCommit(), "u", 0);
    }
    for (int64_t i = 1; i <= 3; i++) {
      batches.push_back(Inserts(i * 10, i * 10 + 15, "v" + std::to_string(i)));
      WriteRows(*writer, batches.back());
      table->Commit(writer->PrepareCommit(), "u", i);
    }
    before = Expected(batches);
    batches.push_back(Inserts(5, 33, "new"));
    WriteRows(*writer, batches.back());
    if (!vectors) writer->CompactFully();
    Committable committable = writer->PrepareCommit();
    CHECK(committable.buckets.at(0).compact_index_changes.size() == (vectors ? 2 : 0));
    json = committable.ToJson();
    after = Expected(batches);
  }

  /// What a reader of `before` makes of the changes of the commit's compaction.
  std::vector<std::string> Follow(int64_t snapshot) const {
    TestModel model;
    for (size_t i = 0; i + 1 < batches.size(); i++) {
      for (const TestRow& row : batches[i]) model.Apply(row);
    }
    auto changes = table->PlanChanges(snapshot);
    for (const Split& split : changes->splits) {
      table->ReadChanges({split}, {0, 1, 2}, [&](ChangeChunk& chunk) {
        for (idx_t i = 0; i < chunk.size(); i++) {
          model.Apply({chunk.KindOf(i), chunk.rows.GetValue(0, i).GetValue<int64_t>(),
                       chunk.rows.GetValue(1, i).ToString(), chunk.rows.GetValue(2, i).ToString()});
        }
      });
    }
    return model.Rows();
  }

  TestWorld world;
  std::shared_ptr<const Table> table;
  std::vector<std::vector<TestRow>> batches;
  std::string json;
  std::vector<std::string> before, after;
};

/// Files below manifest/ that no snapshot names.
idx_t CountOrphanManifests(TestWorld& world, const Table& table) {
  ManifestStore manifests(world.disk, table.folder());
  std::set<std::string> named;
  for (int64_t id = *table.EarliestSnapshotId(); auto snapshot = table.FindSnapshot(id); id++) {
    std::vector<ListFile> lists = {snapshot->BaseList(), snapshot->DeltaList()};
    if (snapshot->changelog_manifest_list) lists.push_back(snapshot->ChangelogList());
    if (snapshot->index_manifest) named.insert(*snapshot->index_manifest);
    for (const ListFile& list : lists) {
      named.insert(list.name);
      for (const auto& manifest : manifests.ReadList(list)) named.insert(manifest.file_name);
    }
  }
  idx_t orphans = 0;
  for (const FileEntry& file : world.disk.List(table.folder() + "/manifest")) {
    orphans += !named.contains(file.name);
  }
  return orphans;
}

}  // namespace

TEST_CASE(
    "whichever operation of a commit fails, it is all or nothing, and repeating it finishes it") {
  constexpr std::pair<FaultMode, const char*> kRuns[] = {
      {FaultMode::kBefore, "input"},         {FaultMode::kAfter, "input"},
      {FaultMode::kHalf, "input"},           {FaultMode::kBefore, "lookup"},
      {FaultMode::kHalf, "full-compaction"}, {FaultMode::kBefore, "vectors"},
      {FaultMode::kAfter, "vectors"},        {FaultMode::kHalf, "vectors"}};
  for (auto [mode, producer] : kRuns) {
    int failures = 0;
    const FaultPoints points = SomeFaultPoints();
    for (int64_t fail_at = points.first;; fail_at += points.step) {
      CAPTURE(fail_at);
      CAPTURE(static_cast<int>(mode));
      CAPTURE(producer);
      Prepared prepared(producer);
      FaultyFileSystem faulty(prepared.world.disk, {.fail_at = fail_at, .mode = mode});
      std::optional<int64_t> id;
      try {
        auto table = Table::Open(prepared.world.Over(faulty), "w/d.db/t");
        id = table->Commit(Committable::FromJson(prepared.json), "u", 4);
      } catch (const Error& error) {
        failures++;
        CHECK(error.code() == ErrorCode::kIo);
      }
      std::vector<std::string> now = ReadRows(*prepared.table);
      if (id) {
        CHECK(now == prepared.after);
      } else {
        CHECK((now == prepared.before || now == prepared.after));
      }
      // Recovery: the same commit once more, twice.
      auto again = prepared.table->Commit(Committable::FromJson(prepared.json), "u", 4);
      REQUIRE(again);
      if (id) CHECK(again == id);
      CHECK(prepared.table->Commit(Committable::FromJson(prepared.json), "u", 4) == again);
      CHECK(ReadRows(*prepared.table) == prepared.after);
      CHECK(prepared.table->LatestSnapshot()->commit_kind == CommitKind::kCompact);
      CHECK(prepared.table->LatestSnapshot()->id == again);
      CHECK(CountRows(*prepared.table) == prepared.after.size());
      if (std::string(producer) == "lookup" || std::string(producer) == "full-compaction") {
        CHECK(prepared.Follow(*again) == prepared.after);
      }
      if (mode == FaultMode::kBefore)
        CHECK(CountOrphanManifests(prepared.world, *prepared.table) <=
              12);  // Of an expiry of two snapshots cut short.
      CheckWhole(*prepared.table);
      if (!faulty.failed()) break;
    }
    CHECK(failures > 10 / points.step);
  }
}

TEST_CASE("a writer whose disk fails leaves the table as it was; a new one goes on") {
  std::string producer = "input";
  for (int fail_at = 0;; fail_at++) {
    CAPTURE(fail_at);
    CAPTURE(producer);
    Prepared prepared(producer);
    FaultyFileSystem faulty(prepared.world.disk, {.fail_at = fail_at, .mode = FaultMode::kBefore});
    bool threw = false;
    try {
      auto table = Table::Open(prepared.world.Over(faulty), "w/d.db/t");
      auto writer = table->NewWriter("u");
      WriteRows(*writer, prepared.batches.back());
      (void)writer->PrepareCommit();
    } catch (const std::exception&) {
      threw = true;
    }
    CHECK(ReadRows(*prepared.table) == prepared.before);
    auto writer = prepared.table->NewWriter("u");
    WriteRows(*writer, prepared.batches.back());
    prepared.table->Commit(writer->PrepareCommit(), "u", 4);
    CHECK(ReadRows(*prepared.table) == prepared.after);
    if (threw || faulty.failed()) continue;
    if (producer == "vectors") break;
    producer = producer == "input" ? "lookup" : "vectors";
    fail_at = -1;
  }
}

TEST_CASE("committers race in two threads and lose nothing") {
  for (bool both_compact : {false, true}) {
    CAPTURE(both_compact);
    TestWorld world;
    Table::Create(
        world.context(), "w/d.db/t",
        FaultDefinition({{"commit.max-retries", "1000"}, {"commit.min-retry-wait", "1 ms"}}));
    std::atomic<int> dropped{0}, lost{0};
    std::string failure;
    auto work = [&](int who) {
      Options dynamic;
      if (who == 1 && !both_compact) dynamic["write-only"] = "true";
      auto table = Table::Open(world.context(), "w/d.db/t", dynamic);
      std::string user = "user-" + std::to_string(who);
      auto writer = table->NewWriter(user);
      for (int64_t commit = 1; commit <= 25; commit++) {
        WriteRows(*writer,
                  Inserts(who * 1000 + commit, who * 1000 + commit + 5, std::to_string(commit)));
        CommitReport report;
        table->Commit(writer->PrepareCommit(), user, commit, &report);
        dropped += !report.dropped_compaction.empty();
        lost += report.lost_races;
      }
    };
    auto guarded = [&](int who) {
      try {
        work(who);
      } catch (const std::exception& error) {
        failure = ErrorFrom(error).text();
      }
    };
    std::thread one(guarded, 1), two(guarded, 2);
    one.join();
    two.join();
    CHECK(failure == "");
    std::vector<std::vector<TestRow>> batches;
    for (int who = 1; who <= 2; who++) {
      for (int64_t commit = 1; commit <= 25; commit++) {
        batches.push_back(
            Inserts(who * 1000 + commit, who * 1000 + commit + 5, std::to_string(commit)));
      }
    }
    auto table = Table::Open(world.context(), "w/d.db/t");
    CHECK(ReadRows(*table) == Expected(batches));
    CheckWhole(*table);
    if (!both_compact) CHECK(dropped == 0);
    MESSAGE("races lost: ", lost.load(), ", compactions given up: ", dropped.load());
  }
}

TEST_CASE("a compaction that another one made impossible is given up by name; the rows stay") {
  TestWorld world;
  auto table = Table::Create(world.context(), "w/d.db/t", TestDefinition(true, false));
  auto first = table->NewWriter("alice"), second = table->NewWriter("bob");
  WriteRows(*first, Inserts(0, 10, "a"));
  table->Commit(first->PrepareCommit(), "alice", 1);
  WriteRows(*first, Inserts(5, 15, "b"));
  first->CompactFully();
  WriteRows(*second, Inserts(20, 30, "c"));
  second->CompactFully();
  Committable one = first->PrepareCommit(), two = second->PrepareCommit();
  table->Commit(one, "alice", 2);
  CommitReport report;
  auto id = table->Commit(two, "bob", 1, &report);
  CHECK(report.dropped_compaction.find("by 'alice'") != std::string::npos);
  CHECK(table->LatestSnapshot()->id == id);
  CHECK(table->LatestSnapshot()->commit_kind == CommitKind::kAppend);
  std::vector<std::string> rows =
      Expected({Inserts(0, 10, "a"), Inserts(5, 15, "b"), Inserts(20, 30, "c")});
  CHECK(ReadRows(*table) == rows);

  Committable only_compaction = two;
  for (BucketChange& bucket : only_compaction.buckets) {
    bucket.new_files.clear();
    bucket.changelog_files.clear();
    bucket.index_changes.clear();
  }
  try {
    table->Commit(only_compaction, "bob", 2);
    FAIL("committed an impossible compaction");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kConflict);
    CHECK(error.text().find("by 'alice'") != std::string::npos);
  }
  // Both writers go on, and compact again.
  WriteRows(*second, Inserts(20, 25, "d"));
  table->Commit(second->PrepareCommit(), "bob", 3);
  second->CompactFully();
  table->Commit(second->PrepareCommit(), "bob", 4);
  CHECK(table->LatestSnapshot()->commit_kind == CommitKind::kCompact);
  CHECK(ReadRows(*table) == Expected({Inserts(0, 10, "a"), Inserts(5, 15, "b"),
                                      Inserts(20, 30, "c"), Inserts(20, 25, "d")}));
}

TEST_CASE("a commit that comes again after its snapshots expired is not doubled") {
  TestWorld world;
  auto table = Table::Create(world.context(), "w/d.db/t",
                             FaultDefinition({{"snapshot.num-retained.max", "2"}}));
  auto writer = table->NewWriter("job");
  WriteRows(*writer, Inserts(0, 10, "a"));
  Committable first = writer->PrepareCommit();
  table->Commit(first, "job", 1);
  auto other = table->NewWriter("other");
  for (int64_t i = 1; i <= 3; i++) {
    WriteRows(*other, Inserts(100, 101, std::to_string(i)));
    Committable committable = other->PrepareCommit();
    for (BucketChange& bucket : committable.buckets)
      bucket.compact_before.clear(), bucket.compact_after.clear();
    table->Commit(committable, "other", i);
  }
  std::vector<std::string> rows = ReadRows(*table);
  int64_t latest = table->LatestSnapshot()->id;
  REQUIRE(!table->FindSnapshot(1));
  CHECK(table->Commit(first, "job", 1) == latest);  // Its file is still live.
  CHECK(ReadRows(*table) == rows);
  for (int64_t i = 4; i <= 8; i++) {
    WriteRows(*other, Inserts(100, 101, std::to_string(i)));
    other->CompactFully();
    table->Commit(other->PrepareCommit(), "other", i);
  }
  rows = ReadRows(*table);
  CHECK_THROWS_AS(table->Commit(first, "job", 1),
                  Error);  // Compacted away and gone: nobody can tell.
  CHECK(ReadRows(*table) == rows);
}

namespace {

/// Others go on while a writer sleeps just before, or just after, it creates its snapshot.
class SleepingFileSystem : public FaultyFileSystem {
 public:
  SleepingFileSystem(FileSystem& base, bool before, std::function<void()> others)
      : FaultyFileSystem(base, {}), base_(base), before_(before), others_(std::move(others)) {}
  CreateOutcome CreateExclusive(const std::string& path, std::string_view bytes) override {
    auto others = std::exchange(others_, nullptr);
    if (others && before_) others();
    CreateOutcome outcome = base_.CreateExclusive(path, bytes);
    if (others && !before_) others();
    return outcome;
  }

 private:
  FileSystem& base_;
  const bool before_;
  std::function<void()> others_;
};

}  // namespace

TEST_CASE("a commit that sleeps until its id has come and gone is there once") {
  for (bool before : {true, false}) {
    for (bool compact : {true, false}) {
      CAPTURE(before);
      CAPTURE(compact);
      TestWorld world;
      auto table = Table::Create(world.context(), "w/d.db/t", FaultDefinition());
      std::vector<std::vector<TestRow>> batches = {Inserts(0, 10, "a"), Inserts(100, 105, "b")};
      auto writer = table->NewWriter("late");
      WriteRows(*writer, batches[0]);
      table->Commit(writer->PrepareCommit(), "late", 1);
      auto other = table->NewWriter("other");
      SleepingFileSystem sleeping(world.disk, before, [&] {
        for (int64_t i = 1; i <= 8; i++) {
          batches.push_back(Inserts(200 + i, 203 + i, "c"));
          WriteRows(*other, batches.back());
          table->Commit(other->PrepareCommit(), "other", i);
        }
      });
      if (compact) writer->CompactFully();
      WriteRows(*writer, batches[1]);
      Committable committable = writer->PrepareCommit();
      auto late = Table::Open(world.Over(sleeping), "w/d.db/t");
      int64_t id = *late->Commit(committable, "late", 2);
      CHECK(ReadRows(*table) == Expected(batches));
      CHECK(CountRows(*table) == Expected(batches).size());
      if (before) CHECK(table->Commit(committable, "late", 2) == id);
      CHECK(ReadRows(*table) == Expected(batches));
      // The history has no gap and no stray snapshot below it.
      int64_t earliest = *table->EarliestSnapshotId();
      for (int64_t n = 1; n <= table->LatestSnapshot()->id; n++) {
        CHECK(table->FindSnapshot(n).has_value() == (n >= earliest));
      }
      WriteRows(*other, Inserts(300, 301, "d"));
      batches.push_back(Inserts(300, 301, "d"));
      table->Commit(other->PrepareCommit(), "other", 100);
      CHECK(ReadRows(*table) == Expected(batches));
    }
  }
}

TEST_CASE("a repeated commit whose snapshots expired takes nothing away that is live") {
  for (bool compacted_again : {false, true}) {
    CAPTURE(compacted_again);
    Prepared prepared;
    constexpr int64_t kBatch = INT64_MAX;
    Committable batch = Committable::FromJson(prepared.json);
    prepared.table->Commit(batch, "batch-1", kBatch);
    CHECK(prepared.table->LatestSnapshot()->commit_kind == CommitKind::kCompact);
    auto other = prepared.table->NewWriter("other");
    for (int64_t i = 1; i <= 6; i++) {
      WriteRows(*other, Inserts(1000, 1001, std::to_string(i)));
      if (compacted_again && i == 1) other->CompactFully();
      Committable committable = other->PrepareCommit();
      for (BucketChange& bucket : committable.buckets) {
        if (compacted_again && i == 1) continue;
        bucket.compact_before.clear(), bucket.compact_after.clear();
      }
      prepared.table->Commit(committable, "other", i);
    }
    std::vector<std::string> rows = ReadRows(*prepared.table);
    for (int64_t id = 1; id < *prepared.table->EarliestSnapshotId(); id++)
      REQUIRE(!prepared.table->FindSnapshot(id));
    try {
      prepared.table->Commit(batch, "batch-1", kBatch);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kConflict);  // Nobody can tell.
      CHECK(compacted_again);
    }
    CHECK(ReadRows(*prepared.table) == rows);
    for (int64_t id = *prepared.table->EarliestSnapshotId(); prepared.table->FindSnapshot(id);
         id++) {
      ScanOptions options;
      options.snapshot_id = id;
      CHECK(!ReadRows(*prepared.table, options).empty());
    }
  }
}

TEST_CASE("damaged metadata is told by name, and nothing is written over it") {
  std::vector<std::string> paths;
  {
    Prepared prepared;
    for (const std::string& path : prepared.world.disk.Files()) {
      if (path.find("/snapshot/") == std::string::npos ||
          path.find("/snapshot-") != std::string::npos) {
        paths.push_back(path);
      }
    }
  }
  int told = 0;
  for (size_t i = 0; i < paths.size(); i++) {
    for (int damage = 0; damage < 2; damage++) {
      Prepared prepared;  // Deterministic: the same files with the same names.
      MemoryFileSystem& disk = prepared.world.disk;
      const std::string& path = paths[i];
      CAPTURE(path);
      CAPTURE(damage);
      REQUIRE(disk.Exists(path));
      std::string bytes = disk.Read(path);
      if (damage == 0) disk.Overwrite(path, bytes.substr(0, bytes.size() / 2));
      if (damage == 1) disk.Delete(path);
      if (damage == 1 && path.find("/snapshot/") != std::string::npos)
        continue;  // Looks like expired.
      if (damage == 1 && path.find("/schema/") != std::string::npos)
        continue;  // Looks like no table.
      std::vector<std::string> files = disk.Files();
      try {
        auto table = Table::Open(prepared.world.context(), "w/d.db/t");
        std::vector<std::string> rows = ReadRows(*table);
        CHECK(rows == prepared.before);  // The file is not needed for this.
      } catch (const std::exception& caught) {
        Error error = ErrorFrom(caught);
        told++;
        CHECK(error.text().find(FileName(path)) != std::string::npos);
        CHECK((error.code() == ErrorCode::kCorrupt || error.code() == ErrorCode::kNotFound));
      }
      CHECK(disk.Files() == files);
    }
  }
  CHECK(told > 5);
}

}  // namespace millrace
