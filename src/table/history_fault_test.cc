// Goal: whichever file operation fails in expiry, tags, rollback or orphan removal, the table stays
// whole, what must be readable is, and a second try ends the work; orphans are all that can remain.
// Method: the same prepared history each time; operation n fails for n = 0, 1, ... until none is
// left.
#include "io/faulty_file_system.h"
#include "table/expire.h"
#include "table/orphan_files.h"
#include "table/rollback.h"
#include "table/table_fixture.h"
#include "table/tags.h"

namespace millrace {

namespace {

constexpr const char* kFolder = "/w/d.db/t";

struct Prepared {
  explicit Prepared(const Options& more) {
    Options options = {{"bucket", "1"},
                       {"changelog-producer", "input"},
                       {"num-sorted-run.compaction-trigger", "3"},
                       {"snapshot.num-retained.min", "100"},
                       {"snapshot.num-retained.max", "200"}};
    options.insert(more.begin(), more.end());
    table = Table::Create(world.context(), kFolder, TestDefinition(true, false, options));
    for (int64_t i = 1; i <= 7; i++) {
      auto writer = table->NewWriter("user");
      WriteRows(*writer, {{RowKind::kInsert, i % 3, "p", "v" + std::to_string(i)},
                          {RowKind::kInsert, i, "p", "w"}});
      world.clock.AdvanceMs(1000);
      table->Commit(writer->PrepareCommit(), "user", i);
    }
    CreateTag(table->state(), "early", *table->FindSnapshot(2), {});
    CreateTag(table->state(), "late", *table->FindSnapshot(6), {});
    for (int64_t id : table->state().snapshots.Ids()) {
      ScanOptions options_of_state;
      options_of_state.snapshot_id = id;
      states[id] = ReadRows(*table, options_of_state);
    }
  }

  std::shared_ptr<const Table> Over(FileSystem& files) {
    return Table::Open(world.Over(files), kFolder);
  }

  /// All that is named is there and as it was; rows are read of the newest state and of the tags.
  /// `half_done`: between a tag's expired snapshot, brought back, and those to be removed is a gap.
  void Check(FileSystem& disk, bool half_done = false) {
    auto healthy = Over(disk);
    std::string problems;
    for (const Finding& finding : VerifyTable(healthy->state(), false)) {
      if (half_done && finding.problem == "is missing between other snapshots") continue;
      problems += finding.file + ": " + finding.problem + "\n";
    }
    CHECK(problems == "");
    std::optional<Snapshot> latest = healthy->LatestSnapshot();
    REQUIRE(latest.has_value());
    std::map<int64_t, Snapshot> wanted = {{latest->id, *latest}};
    for (const NamedTag& tag : healthy->state().tags.All()) {
      wanted.emplace(tag.tag.snapshot.id, tag.tag.snapshot);
    }
    for (const auto& [id, snapshot] : wanted) {
      ScanOptions options;
      options.snapshot = snapshot;
      CHECK(ReadRows(*healthy, options) == states.at(id));
    }
  }

  int64_t Later() { return world.clock.NowMs() + 1'000'000; }

  TestWorld world;
  std::shared_ptr<const Table> table;
  std::map<int64_t, std::vector<std::string>> states;
};

using Operation = std::function<void(const TableState&)>;

void FailEverywhere(const Options& options, const Operation& prepare, const Operation& operation) {
  Prepared p(options);
  if (prepare) prepare(p.table->state());
  for (FaultMode mode : {FaultMode::kBefore, FaultMode::kAfter}) {
    const FaultPoints points = SomeFaultPoints();
    for (int64_t fail_at = points.first;; fail_at += points.step) {
      CAPTURE(fail_at);
      CAPTURE(static_cast<int>(mode));
      std::unique_ptr<MemoryFileSystem> disk = p.world.disk.Clone();
      FaultyFileSystem faulty(*disk, {.fail_at = fail_at, .mode = mode});
      try {
        operation(p.Over(faulty)->state());
      } catch (const Error& error) {
        CHECK(error.code() != ErrorCode::kCorrupt);
      }
      p.Check(*disk, faulty.failed());
      bool failed = faulty.failed();
      auto healthy = p.Over(*disk);
      try {
        operation(healthy->state());  // Once more, in health.
      } catch (const Error& error) {
        // It had been done already.
        bool known = error.code() == ErrorCode::kNotFound || error.code() == ErrorCode::kExists;
        CHECK(known);
      }
      RemoveOrphanFiles(healthy->state(), p.Later(), false);
      CHECK(RemoveOrphanFiles(healthy->state(), p.Later(), true).empty());
      p.Check(*disk);
      if (!failed) break;
    }
  }
}

Snapshot StateOfTag(const TableState& table, const std::string& name) {
  return table.tags.Need(name).snapshot;
}

const ExpireRequest kAllButOne = {.retain_max = 1, .retain_min = 1};

}  // namespace

TEST_CASE("Expiry of snapshots survives a failure of every operation") {
  FailEverywhere({}, nullptr, [](const TableState& table) { ExpireSnapshots(table, kAllButOne); });
}

TEST_CASE("Expiry that keeps changelogs survives a failure of every operation") {
  FailEverywhere({{"changelog.num-retained.max", "300"}}, nullptr,
                 [](const TableState& table) { ExpireSnapshots(table, kAllButOne); });
}

TEST_CASE("Expiry of changelogs survives a failure of every operation") {
  FailEverywhere(
      {{"changelog.num-retained.max", "300"}},
      [](const TableState& table) { ExpireSnapshots(table, kAllButOne); },
      [](const TableState& table) { ExpireChangelogs(table, {}, true); });
}

TEST_CASE("Making and replacing tags survives a failure of every operation") {
  FailEverywhere({}, nullptr, [](const TableState& table) {
    CreateTag(table, "fresh", *table.snapshots.Find(3), 3'600'000);
  });
  FailEverywhere(
      {}, [](const TableState& table) { ExpireSnapshots(table, kAllButOne); },
      [](const TableState& table) { ReplaceTag(table, "early", *table.snapshots.Latest(), {}); });
}

TEST_CASE("Deleting and renaming tags survives a failure of every operation") {
  FailEverywhere(
      {}, [](const TableState& table) { ExpireSnapshots(table, kAllButOne); },
      [](const TableState& table) { DeleteTag(table, "early"); });
  FailEverywhere({}, nullptr,
                 [](const TableState& table) { RenameTag(table, "early", "renamed"); });
}

TEST_CASE("Rolling back survives a failure of every operation") {
  FailEverywhere({}, nullptr,
                 [](const TableState& table) { RollbackTo(table, StateOfTag(table, "early")); });
  FailEverywhere(
      {}, [](const TableState& table) { ExpireSnapshots(table, kAllButOne); },
      [](const TableState& table) { RollbackTo(table, StateOfTag(table, "early")); });
}

TEST_CASE("Removing orphans survives a failure of every operation") {
  FailEverywhere(
      {},
      [](const TableState& table) {
        RollbackTo(table, *table.snapshots.Find(4));
        table.context.files.Overwrite(JoinPath(table.folder, "manifest/manifest-x-0"), "x");
      },
      [](const TableState& table) {
        RemoveOrphanFiles(table, table.context.clock.NowMs() + 1'000'000, false);
      });
}

TEST_CASE("A file that is being written is no orphan yet") {
  Prepared p({});
  auto writer = p.table->NewWriter("user");
  WriteRows(*writer, {{RowKind::kInsert, 77, "p", "x"}});
  Committable prepared = writer->PrepareCommit();
  CHECK(RemoveOrphanFiles(p.table->state(), p.world.clock.NowMs() - 1, false).empty());
  p.table->Commit(prepared, "user", 8);
  p.states[p.table->LatestSnapshot()->id] = ReadRows(*p.table);
  CheckWhole(*p.table);
}

}  // namespace millrace
