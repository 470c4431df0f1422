// Goal: a primary-key table with deletion vectors is written with compaction: level 0 does not
// stay, each key is seen once, vectors and files change together, by whoever compacts and whoever
// comes between. Method: commits against a map, with the places of deleted rows looked at; streams
// with commits in flight; races by hand; files on disk against what snapshots name.
#include <set>

#include "format/deletion_vector.h"
#include "meta/binary_row.h"
#include "table/index_store.h"
#include "table/orphan_files.h"
#include "table/table_fixture.h"

namespace millrace {

namespace {

constexpr const char* kFolder = "w/d.db/t";

Options VectorOptions(Options more = {}) {
  more.merge(Options{{"bucket", "1"},
                     {"deletion-vectors.enabled", "true"},
                     {"snapshot.num-retained.min", "1000"}});
  return more;
}

std::vector<TestRow> Some(int64_t from, int64_t to, const std::string& value, int64_t step = 1) {
  std::vector<TestRow> rows;
  for (int64_t id = from; id < to; id += step) rows.push_back({RowKind::kInsert, id, "p", value});
  return rows;
}

/// A table, a map beside it, and who writes both.
struct World {
  explicit World(Options more = {}, uint64_t seed = 1)
      : world(seed),
        table(Table::Create(world.context(), kFolder,
                            TestDefinition(true, false, VectorOptions(std::move(more))))),
        writer(table->NewWriter("u")) {}

  Committable Prepare(const std::vector<TestRow>& rows) {
    WriteRows(*writer, rows);
    for (const TestRow& row : rows) model.Apply(row);
    return writer->PrepareCommit();
  }
  void Commit(const std::vector<TestRow>& rows) {
    table->Commit(Prepare(rows), "u", ++commits);
    CheckSeen();
  }
  void CheckSeen() {
    CHECK(ReadRows(*table) == model.Rows());
    CHECK(CountRows(*table) == model.rows.size());
    CheckWhole(*table);
  }
  std::vector<IndexManifestEntry> Indexes() const {
    return ReadIndexEntries(table->state(), *table->LatestSnapshot());
  }
  /// Data file -> deleted positions.
  std::map<std::string, std::vector<int64_t>> Deleted() const {
    std::map<std::string, std::vector<int64_t>> deleted;
    for (const IndexManifestEntry& entry : Indexes()) {
      for (const auto& [file, rows] : DecodeDeletionVectors(
               ReadIndexFile(table->state(), entry), *entry.deletion_vectors, entry.file_name)) {
        deleted[file] = rows.Positions();
      }
    }
    return deleted;
  }
  size_t LiveFiles(bool level0) const {
    size_t files = 0;
    for (const ManifestEntry& entry :
         table->state().manifests.LiveEntries(*table->LatestSnapshot())) {
      files += (entry.file.level == 0) == level0;
    }
    return files;
  }
  /// Nothing lies on the disk that no snapshot names.
  void CheckNoOrphans() {
    auto orphans = RemoveOrphanFiles(table->state(), world.clock.NowMs() + 1'000'000, true);
    CHECK(orphans.empty());
  }

  TestWorld world;
  std::shared_ptr<const Table> table;
  std::unique_ptr<TableWriter> writer;
  TestModel model;
  int64_t commits = 0;
};

}  // namespace

TEST_CASE("A commit marks the rows that it replaces where they lie") {
  World world;
  world.Commit(Some(0, 3000, "old"));
  CHECK(world.Indexes().empty());
  world.Commit(Some(10, 14, "new"));
  auto deleted = world.Deleted();
  REQUIRE(deleted.size() == 1);
  CHECK(deleted.begin()->second == std::vector<int64_t>{10, 11, 12, 13});
  CHECK(world.LiveFiles(true) == 0);
  CHECK(world.LiveFiles(false) == 2);
  std::string first = world.Indexes().at(0).file_name;
  // Deletes too; the bucket still has one index file, and the one before is no longer named.
  world.Commit({{RowKind::kDelete, 20, "p", "old"}, {RowKind::kDelete, 9999, "p", "never"}});
  REQUIRE(world.Indexes().size() == 1);
  CHECK(world.Indexes().at(0).file_name != first);
  CHECK(world.Deleted().begin()->second == std::vector<int64_t>{10, 11, 12, 13, 20});
  // The rows are to be seen with their compaction, not before.
  Snapshot latest = *world.table->LatestSnapshot();
  CHECK(latest.commit_kind == CommitKind::kCompact);
  ScanOptions before;
  before.snapshot_id = latest.id - 1;
  CHECK(ReadRows(*world.table, before).size() == world.model.rows.size() + 1);
  // A full compaction leaves nothing to hide, also where only the top level has files.
  world.writer->CompactFully();
  world.Commit(Some(5000, 5001, "new"));
  CHECK(world.Deleted().empty());
  CHECK(world.LiveFiles(false) == 1);
  world.Commit({{RowKind::kDelete, 2999, "p", "old"}});
  CHECK(world.Deleted().size() == 1);
  CHECK(world.LiveFiles(false) == 1);
  REQUIRE(world.table->Compact({.full = true}, "compactor", 1));
  CHECK(world.Deleted().empty());
  world.CheckSeen();
  CHECK(!world.table->Compact({.full = true}, "compactor", 2));
  CHECK(world.table->Compact({.full = false}, "compactor", 3) == std::nullopt);
}

TEST_CASE("The greater sequence stays, whichever row comes first") {
  for (const char* producer : {"none", "lookup"}) {
    CAPTURE(producer);
    World world({{"sequence.field", "value"}, {"changelog-producer", producer}});
    world.Commit(Some(0, 2000, "m"));
    // Older rows: what lies above is taken along, and deleted there.
    WriteRows(*world.writer, Some(0, 10, "a"));
    WriteRows(*world.writer, Some(10, 20, "z"));
    for (const TestRow& row : Some(10, 20, "z")) world.model.Apply(row);
    world.Commit({});
    CHECK(world.Deleted().begin()->second.size() == 20);
    if (std::string(producer) == "lookup") CHECK(FoldChanges(*world.table) == world.model.Rows());
  }
}

TEST_CASE("A stream compacts beside, with commits in flight, and a reader of changes sees all") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (const char* producer : {"none", "lookup"}) {
    for (const char* waits : {"true", "false"}) {
      CAPTURE(producer);
      CAPTURE(waits);
      World world({{"changelog-producer", producer},
                   {"lookup-wait", waits},
                   {"num-sorted-run.compaction-trigger", "3"}},
                  seed);
      std::vector<Committable> in_flight;
      for (int commit = 1; commit <= 30; commit++) {
        std::vector<TestRow> rows;
        for (int i = 0; i < 60; i++) {
          rows.push_back({random() % 8 == 0 ? RowKind::kDelete : RowKind::kInsert,
                          static_cast<int64_t>(random() % 500), "p",
                          "v" + std::to_string(random() % 100000)});
        }
        WriteRows(*world.writer, rows);
        for (const TestRow& row : rows) world.model.Apply(row);
        in_flight.push_back(world.writer->PrepareStreamCommit());
        if (random() % 3 == 0) continue;
        for (const Committable& committable : in_flight) {
          CommitReport report;
          world.table->Commit(committable, "u", ++world.commits, &report);
          CHECK(report.dropped_compaction == "");
        }
        in_flight.clear();
        ScanOptions start;
        start.as_stream_start = true;
        if (std::string(producer) == "none") {
          REQUIRE(ReadRows(*world.table, start) == world.model.Rows());
        }
        if (world.LiveFiles(true) == 0) REQUIRE(ReadRows(*world.table) == world.model.Rows());
      }
      for (const Committable& committable : in_flight) {
        world.table->Commit(committable, "u", ++world.commits);
      }
      world.Commit(Some(0, 3, "last"));
      CHECK(world.LiveFiles(true) == 0);
      CHECK(FoldChanges(*world.table) == world.model.Rows());
      world.writer.reset();
      world.CheckNoOrphans();
    }
  }
}

TEST_CASE("What write-only writers leave is seen after a dedicated compaction") {
  for (const char* producer : {"none", "lookup"}) {
    World world({{"changelog-producer", producer}, {"num-levels", "3"}});
    world.Commit(Some(0, 1000, "old"));
    auto loading = Table::Open(world.world.context(), kFolder, {{"write-only", "true"}});
    auto writer = loading->NewWriter("loader");
    for (int64_t commit = 1; commit <= 3; commit++) {
      std::vector<TestRow> rows = Some(commit * 3, commit * 3 + 5, std::to_string(commit));
      WriteRows(*writer, rows);
      loading->Commit(writer->PrepareCommit(), "loader", commit);
      CHECK(ReadRows(*world.table) == world.model.Rows());
      if (commit < 3) continue;
      for (int64_t c = 1; c <= 3; c++) {
        for (const TestRow& row : Some(c * 3, c * 3 + 5, std::to_string(c))) {
          world.model.Apply(row);
        }
      }
    }
    REQUIRE(world.table->Compact({}, "compactor", 1));
    world.CheckSeen();
    CHECK(world.Deleted().begin()->second.size() == 11);
    CHECK(FoldChanges(*world.table) == world.model.Rows());
  }
}

// The two leave rows of one key in files of different levels: by their files alone both would fit.
TEST_CASE("A compaction is given up when another has come between, and made again") {
  World world(Options{{"num-sorted-run.compaction-trigger", "3"}});
  world.Commit(Some(0, 2000, "old"));
  auto other = world.table->NewWriter("other");
  Committable ours = world.Prepare(Some(3000, 3010, "ours"));
  WriteRows(*other, Some(3000, 3005, "theirs"));
  Committable theirs = other->PrepareCommit();
  REQUIRE(!ours.buckets.at(0).compact_after.empty());
  REQUIRE(!theirs.buckets.at(0).compact_after.empty());
  CommitReport report;
  world.table->Commit(theirs, "other", 1, &report);
  CHECK(report.dropped_compaction == "");
  world.table->Commit(Committable::FromJson(ours.ToJson()), "u", ++world.commits, &report);
  CHECK_MESSAGE(report.dropped_compaction.find("has been compacted meanwhile") != std::string::npos,
                report.dropped_compaction);
  // Another one is made at once, of what is there now: the rows are not left where none sees them.
  CHECK(world.LiveFiles(true) == 0);
  world.CheckNoOrphans();
  CHECK(CountRows(*world.table) == 2010);
  // (Rows of two writers at once have no order but their numbers.)
  world.Commit(Some(3000, 3005, "last"));

  // A compaction alone is an error then.
  World alone;
  alone.Commit(Some(0, 2000, "old"));
  auto loading = Table::Open(alone.world.context(), kFolder, {{"write-only", "true"}});
  auto loader = loading->NewWriter("loader");
  WriteRows(*loader, Some(0, 3, "loaded"));
  loading->Commit(loader->PrepareCommit(), "loader", 1);
  auto compacting = alone.table->NewWriter("compactor");
  compacting->CompactFully();
  Committable late = compacting->PrepareCommit();
  REQUIRE(alone.table->Compact({.full = true}, "first", 1));
  CHECK_THROWS_WITH_AS(alone.table->Commit(late, "compactor", 1),
                       doctest::Contains("Cannot commit the compaction"), Error);
}

TEST_CASE("A background compaction that another writer has overtaken is dropped, not committed") {
  World world({{"num-sorted-run.compaction-trigger", "3"}, {"lookup-wait", "false"}});
  world.Commit(Some(0, 2000, "old"));
  WriteRows(*world.writer, Some(0, 10, "ours"));
  world.table->Commit(world.writer->PrepareStreamCommit(), "u", ++world.commits);
  REQUIRE(world.LiveFiles(true) == 1);  // The compaction is under way, or done and not told of.
  REQUIRE(world.table->Compact({.full = true}, "other", 1));
  for (const TestRow& row : Some(0, 10, "ours")) world.model.Apply(row);
  world.CheckSeen();
  world.Commit(Some(5, 7, "more"));
  world.writer.reset();
  world.CheckNoOrphans();
}

TEST_CASE("Rows that follow from what was read conflict with newer ones that level 0 hides") {
  World world;
  world.Commit(Some(0, 100, "old"));
  auto loading = Table::Open(world.world.context(), kFolder, {{"write-only", "true"}});
  auto loader = loading->NewWriter("loader");
  WriteRows(*loader, Some(7, 8, "loaded"));
  loading->Commit(loader->PrepareCommit(), "loader", 1);
  int64_t read = world.table->LatestSnapshot()->id;
  auto change = [&](int64_t id) {
    auto writer = world.table->NewWriter("update");
    WriteRows(*writer, Some(id, id + 1, "updated"));
    Committable committable = writer->PrepareCommit();
    committable.read_snapshot = read;
    world.table->Commit(committable, "update", id);
  };
  CHECK_THROWS_WITH_AS(change(7), doctest::Contains("in level 0"), Error);
  CHECK(ReadRows(*world.table) == world.model.Rows());
  change(8);
  CHECK(ReadRows(*world.table).at(8) != "8|p|old");
}

TEST_CASE("INSERT OVERWRITE starts a bucket over, vectors and all") {
  World world;
  world.Commit(Some(0, 1000, "old"));
  world.Commit(Some(0, 5, "new"));
  REQUIRE(world.Indexes().size() == 1);
  auto overwriter = world.table->NewWriter("overwriter", {.overwrite = true});
  WriteRows(*overwriter, Some(0, 50, "fresh"));
  WriteRows(*overwriter, {{RowKind::kDelete, 7, "p", "fresh"}});
  Committable committable = overwriter->PrepareCommit();
  committable.overwrite = OverwriteScope{};
  world.table->Commit(committable, "overwriter", 1);
  world.model.rows.clear();
  for (const TestRow& row : Some(0, 50, "fresh")) world.model.Apply(row);
  world.model.Apply({RowKind::kDelete, 7, "p", "fresh"});
  world.CheckSeen();
  CHECK(world.Indexes().empty());
  world.writer = world.table->NewWriter("u");
  world.Commit(Some(3, 60, "later"));
}

TEST_CASE("VERIFY FULL finds a key that is to be seen twice") {
  World world;
  world.Commit(Some(0, 1000, "old"));
  world.Commit(Some(4, 5, "new"));
  // As if the commit had forgotten its vectors.
  Committable committable;
  BucketChange change;
  change.partition = EmptyRow();
  change.total_buckets = 1;
  change.compact_index_changes = world.Indexes();
  for (IndexManifestEntry& entry : change.compact_index_changes) entry.kind = FileKind::kDelete;
  committable.buckets.push_back(change);
  world.table->Commit(committable, "v", 1);
  std::string text;
  for (const Finding& finding : VerifyTable(world.table->state(), true)) text += finding.problem;
  CHECK_MESSAGE(text.find("shows the key (4), and so does") != std::string::npos, text);
  CHECK(VerifyTable(world.table->state(), false).empty());
}

}  // namespace millrace
