// Goal: compactions beside a stream change nothing that a reader sees, hold the number of runs down
// and leave no file behind; dedicated compaction does what the writers of a write-only table leave.
// Method: many small commits against a map; the files of the bucket's folder against what snapshots
// name; the changelog of a dedicated compaction against the table.
#include <random>
#include <set>

#include "table/table_fixture.h"

namespace millrace {

namespace {

/// Names of all data and changelog files that snapshots name.
std::set<std::string> NamedFiles(TestWorld& world, const Table& table) {
  ManifestStore manifests(world.disk, table.folder());
  std::set<std::string> names;
  for (int64_t id = *table.EarliestSnapshotId(); auto snapshot = table.FindSnapshot(id); id++) {
    for (const auto& entry : manifests.EntriesOf(snapshot->DeltaList())) {
      names.insert(entry.file.file_name);
    }
    if (!snapshot->changelog_manifest_list) continue;
    for (const auto& entry : manifests.EntriesOf(snapshot->ChangelogList())) {
      names.insert(entry.file.file_name);
    }
  }
  return names;
}

size_t LiveRuns(const Table& table) {
  std::set<std::string> runs;
  for (const Split& split : table.PlanScan({})) {
    for (const DataFileMeta& file : split.files) {
      runs.insert(file.level == 0 ? file.file_name : std::to_string(file.level));
    }
  }
  return runs.size();
}

std::vector<TestRow> RandomRows(std::mt19937_64& random, int count) {
  std::vector<TestRow> rows;
  for (int i = 0; i < count; i++) {
    bool deletes = random() % 8 == 0;
    rows.push_back({deletes ? RowKind::kDelete : RowKind::kInsert,
                    static_cast<int64_t>(random() % 500), "a",
                    "v" + std::to_string(random() % 100000)});
  }
  return rows;
}

}  // namespace

TEST_CASE("compactions go on beside a stream and hold its runs down") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  TestWorld world(seed);
  auto table = Table::Create(world.context(), "w/d.db/t",
                             TestDefinition(true, false,
                                            {{"bucket", "1"},
                                             {"num-sorted-run.compaction-trigger", "3"},
                                             {"num-sorted-run.stop-trigger", "5"},
                                             {"snapshot.num-retained.min", "1000"}}));
  TestModel model;
  int compactions = 0;
  {
    auto writer = table->NewWriter("u");
    for (int64_t commit = 1; commit <= 40; commit++) {
      std::vector<TestRow> rows = RandomRows(random, 60);
      WriteRows(*writer, rows);
      for (const TestRow& row : rows) model.Apply(row);
      table->Commit(writer->PrepareStreamCommit(), "u", commit);
      compactions += table->LatestSnapshot()->commit_kind == CommitKind::kCompact;
      REQUIRE(ReadRows(*table) == model.Rows());
      REQUIRE(LiveRuns(*table) <= 5);
    }
  }  // A compaction may be under way: it is cancelled, or its files are deleted.
  CHECK(compactions > 3);
  CHECK(FoldChanges(*table) == model.Rows());
  std::set<std::string> named = NamedFiles(world, *table);
  for (const FileEntry& file : world.disk.List("w/d.db/t/bucket-0")) {
    CHECK_MESSAGE(named.contains(file.name), file.name);
  }
}

TEST_CASE("dedicated compaction does what write-only writers leave, and records the changes") {
  for (const char* producer : {"none", "lookup", "full-compaction"}) {
    CAPTURE(producer);
    std::mt19937_64 random(7);
    TestWorld world;
    Table::Create(world.context(), "w/d.db/t",
                  TestDefinition(true, false,
                                 {{"bucket", "2"},
                                  {"changelog-producer", producer},
                                  {"snapshot.num-retained.min", "1000"}}));
    auto loading = Table::Open(world.context(), "w/d.db/t", {{"write-only", "true"}});
    auto table = Table::Open(world.context(), "w/d.db/t");
    TestModel model;
    auto writer = loading->NewWriter("u");
    for (int64_t commit = 1; commit <= 7; commit++) {
      std::vector<TestRow> rows = RandomRows(random, 60);
      WriteRows(*writer, rows);
      for (const TestRow& row : rows) model.Apply(row);
      loading->Commit(writer->PrepareCommit(), "u", commit);
      CHECK(table->LatestSnapshot()->commit_kind == CommitKind::kAppend);
      if (commit % 3 != 0) continue;
      bool full = commit == 6 || std::string(producer) != "lookup";  // Too few runs otherwise.
      REQUIRE(table->Compact({.full = full}, "compactor", commit));
      CHECK(ReadRows(*table) == model.Rows());
    }
    REQUIRE(table->Compact({.full = true}, "compactor", 8));
    CHECK(ReadRows(*table) == model.Rows());
    CHECK(FoldChanges(*table) == model.Rows());
    CHECK(LiveRuns(*table) == 1);
    CHECK(!table->Compact({.full = true}, "compactor", 9));
  }
}

}  // namespace millrace
