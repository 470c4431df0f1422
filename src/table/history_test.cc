// Goal: tags, consumers, rollback, expiry and orphan removal keep exactly what somebody needs.
// Method: random operations; every state is remembered as rows, and after each step all that must
// be readable is read, VERIFY finds nothing, and no file is on disk that nothing names.
#include "table/commit_group.h"
#include "table/expire.h"
#include "table/maintenance.h"
#include "table/orphan_files.h"
#include "table/rollback.h"
#include "table/table_fixture.h"
#include "table/tag_periods.h"
#include "table/tags.h"

namespace millrace {

namespace {

using Rows = std::vector<std::string>;

constexpr const char* kFolder = "/w/d.db/t";

struct HistoryWorld {
  HistoryWorld(uint64_t seed, Options options) : world(seed), random(seed) {
    options.emplace("bucket", "2");
    options.emplace("num-sorted-run.compaction-trigger", "3");
    options.emplace("snapshot.num-retained.min", "2");
    options.emplace("snapshot.num-retained.max", "4");
    table = Table::Create(world.context(), kFolder, TestDefinition(true, false, options));
  }

  void Commit() {
    auto writer = table->NewWriter("user");
    std::vector<TestRow> rows;
    for (int i = 0; i < 15; i++) {
      bool gone = random() % 4 == 0;
      rows.push_back({gone ? RowKind::kDelete : RowKind::kInsert,
                      static_cast<int64_t>(random() % 30), "p",
                      "v" + std::to_string(random() % 5)});
      model.Apply(rows.back());
    }
    WriteRows(*writer, rows);
    if (random() % 6 == 0) writer->CompactFully();
    world.clock.AdvanceMs(1000);
    auto id = table->Commit(writer->PrepareCommit(), "user", ++commits);
    REQUIRE(id.has_value());
    // A commit is one snapshot or two with the same rows.
    for (int64_t each : table->state().snapshots.Ids()) {
      if (!states.contains(each)) states[each] = model.rows;
    }
  }

  /// Everything that must be readable is, and as it was; unless `thorough` by metadata only.
  void Check(bool thorough = true) {
    if (!thorough) {
      CHECK(VerifyTable(table->state(), false).empty());
      return;
    }
    for (int64_t id : table->state().snapshots.Ids()) {
      ScanOptions options;
      options.snapshot_id = id;
      CHECK(ReadRows(*table, options) == RowsOf(states.at(id)));
    }
    for (const NamedTag& tag : table->state().tags.All()) {
      ScanOptions options;
      options.snapshot = tag.tag.snapshot;
      CAPTURE(tag.name);
      CHECK(ReadRows(*table, options) == RowsOf(states.at(tag.tag.snapshot.id)));
    }
    CheckWhole(*table);
  }

  Rows Orphans(bool remove = false) {
    Rows paths;
    int64_t later = world.clock.NowMs() + 1'000'000;
    for (const OrphanFile& file : RemoveOrphanFiles(table->state(), later, !remove)) {
      paths.push_back(file.path);
    }
    return paths;
  }

  static Rows RowsOf(const std::map<std::string, std::string>& state) {
    TestModel model;
    model.rows = state;
    return model.Rows();
  }

  TestWorld world;
  std::mt19937_64 random;
  std::shared_ptr<const Table> table;
  TestModel model;
  std::map<int64_t, std::map<std::string, std::string>> states;  // By snapshot.
  int64_t commits = 0;
};

}  // namespace

TEST_CASE("Random commits, tags, rollbacks and expiry lose nothing that is needed") {
  for (uint64_t seed = 1; seed <= 4; seed++) {
    CAPTURE(seed);
    Options options;
    if (seed % 2 == 0) options["changelog-producer"] = "input";
    if (seed % 4 >= 2) options["changelog.num-retained.max"] = "9";
    HistoryWorld h(seed, options);
    for (int64_t i = 0; i < 3; i++) h.Commit();
    for (int step = 0; step < 40; step++) {
      CAPTURE(step);
      const TableState& state = h.table->state();
      std::vector<int64_t> ids = state.snapshots.Ids();
      std::vector<std::string> names = state.tags.Names();
      auto any_tag = [&] { return names[h.random() % names.size()]; };
      int64_t any_id = ids[h.random() % ids.size()];
      switch (h.random() % 12) {
        case 0:
          CreateTag(state, "t" + std::to_string(step), *h.table->FindSnapshot(any_id), {});
          break;
        case 1:
          if (!names.empty()) CHECK(DeleteTag(state, any_tag()));
          break;
        case 2:
          if (!names.empty()) RenameTag(state, any_tag(), "r" + std::to_string(step));
          break;
        case 3:
          if (!names.empty()) ReplaceTag(state, any_tag(), *h.table->FindSnapshot(any_id), {});
          break;
        case 4:
          state.consumers.Reset("c" + std::to_string(h.random() % 2), any_id);
          break;
        case 5:
          state.consumers.Remove("c" + std::to_string(h.random() % 2));
          break;
        case 6: {
          if (h.random() % 3 != 0) break;
          RollbackTo(state, *h.table->FindSnapshot(any_id));
          h.model.rows = h.states.at(any_id);
          std::erase_if(h.states, [&](const auto& item) { return item.first > any_id; });
          h.Orphans(true);  // What it leaves behind.
          break;
        }
        case 7:
          ExpireSnapshots(state, {.retain_max = 1, .retain_min = 1});
          break;
        default:
          h.Commit();
      }
      CHECK(h.Orphans() == Rows());
      h.Check(step % 8 == 7);
    }
  }
}

TEST_CASE("A tag keeps its files through expiry until it goes, then they go") {
  HistoryWorld h(3, {});
  for (int i = 0; i < 2; i++) h.Commit();
  CreateTag(h.table->state(), "kept", *h.table->LatestSnapshot(), {});
  int64_t tagged = h.table->LatestSnapshot()->id;
  for (int i = 0; i < 12; i++) h.Commit();
  CHECK_FALSE(h.table->FindSnapshot(tagged).has_value());
  h.Check();
  size_t before = h.world.disk.Files().size();
  CHECK(DeleteTag(h.table->state(), "kept"));
  CHECK(h.world.disk.Files().size() < before - 1);
  CHECK(h.Orphans() == Rows());
  h.Check();
}

TEST_CASE("Rolling back to a tag brings its expired snapshot back as the only one") {
  HistoryWorld h(4, {});
  for (int i = 0; i < 2; i++) h.Commit();
  Snapshot tagged = *h.table->LatestSnapshot();
  CreateTag(h.table->state(), "old", tagged, {});
  for (int i = 0; i < 10; i++) h.Commit();
  CreateTag(h.table->state(), "new", *h.table->LatestSnapshot(), {});
  REQUIRE_FALSE(h.table->FindSnapshot(tagged.id).has_value());
  RollbackTo(h.table->state(), tagged);
  CHECK(h.table->LatestSnapshot() == tagged);
  CHECK(h.table->state().snapshots.Ids() == std::vector<int64_t>{tagged.id});
  CHECK(h.table->state().tags.Names() == Rows{"old"});
  CHECK(ReadRows(*h.table) == h.RowsOf(h.states.at(tagged.id)));
  CHECK(h.Orphans(true) != Rows());
  h.Check();
  h.model.rows = h.states.at(tagged.id);
  std::erase_if(h.states, [&](const auto& item) { return item.first > tagged.id; });
  h.Commit();
  h.Check();
}

TEST_CASE("Consumers hold snapshots, and are forgotten when they are not heard of") {
  HistoryWorld h(5, {{"consumer.expiration-time", "1 h"}});
  for (int i = 0; i < 3; i++) h.Commit();
  int64_t next = h.table->LatestSnapshot()->id;
  h.table->state().consumers.Reset("me", next);
  for (int i = 0; i < 10; i++) h.Commit();
  CHECK(h.table->EarliestSnapshotId() == next);
  h.world.clock.AdvanceMs(2 * 3'600'000);
  h.Commit();
  CHECK(h.table->state().consumers.All().empty());
  CHECK(*h.table->EarliestSnapshotId() > next);
}

TEST_CASE("A commit group holds its snapshots while it is recent or half followed, not for ever") {
  HistoryWorld h(6, {{"snapshot.num-retained.max", "2"}});
  for (int i = 0; i < 3; i++) h.Commit();
  int64_t pinned = h.table->LatestSnapshot()->id;
  PublishCommitGroup(h.world.disk, {"job", 1, {{kFolder, pinned}}});
  for (int i = 0; i < 6; i++) h.Commit();
  CHECK(h.table->EarliestSnapshotId() == pinned);
  h.world.clock.AdvanceMs(2 * 3'600'000);
  h.Commit();
  CHECK(*h.table->EarliestSnapshotId() > pinned);
  CHECK(LatestCommitGroup(h.world.disk, "/w", "job").has_value());
  h.world.clock.AdvanceMs(30 * 3'600'000);
  h.Commit();
  CHECK_FALSE(LatestCommitGroup(h.world.disk, "/w", "job").has_value());

  pinned = h.table->LatestSnapshot()->id;
  PublishCommitGroup(h.world.disk, {"job", 2, {{kFolder, pinned}}});
  auto writer = h.table->NewWriter("user");
  WriteRows(*writer, {{RowKind::kInsert, 1, "p", "half"}});
  Committable half = writer->PrepareCommit();
  half.properties[kGroupProperty] = "job/3";
  h.table->Commit(half, "user", ++h.commits);
  for (int i = 0; i < 30; i++) h.Commit();  // Of others, on top of it.
  h.world.clock.AdvanceMs(50 * 3'600'000);
  auto expire = [&] {
    for (int i = 0; i < 3; i++) {
      ExpireSnapshots(h.table->state(), {.retain_max = 1, .retain_min = 1});
    }
  };
  expire();
  CHECK(h.table->EarliestSnapshotId() == pinned);  // Readers are to begin there.
  EndCommitGroups(h.world.disk, "/w", "job");
  expire();
  CHECK(h.table->EarliestSnapshotId() == h.table->LatestSnapshot()->id);
  CHECK(LatestCommitGroup(h.world.disk, "/w", "job").has_value());  // The clock names it still.
}

TEST_CASE("What came through a log cannot be rolled back") {
  TestWorld world;
  auto table = Table::Create(world.context(), kFolder,
                             TestDefinition(false, false, {{"log.system", "local"}}));
  for (int64_t i = 1; i <= 2; i++) {
    auto writer = table->NewWriter("user");
    WriteRows(*writer, {{RowKind::kInsert, i, "p", "v"}});
    table->Commit(writer->PrepareCommit(), "user", i);
  }
  CHECK_THROWS_WITH_AS(RollbackTo(table->state(), *table->FindSnapshot(1)),
                       doctest::Contains("follow its log"), Error);
  CHECK(table->LatestSnapshot()->id == 2);
}

TEST_CASE("Changelogs outlive their snapshots when they are to, and streaming readers use them") {
  for (const char* producer : {"none", "input"}) {
    CAPTURE(producer);
    HistoryWorld h(7, {{"changelog-producer", producer},
                       {"changelog.num-retained.max", "100"},
                       {"changelog.num-retained.min", "10"}});
    for (int i = 0; i < 12; i++) h.Commit();
    REQUIRE(*h.table->EarliestSnapshotId() > 5);
    // All changes from the first on, folded, are the newest state.
    std::map<std::string, std::string> folded;
    for (int64_t id = 1; auto changes = h.table->PlanChanges(id); id++) {
      for (const Split& split : changes->splits) {
        h.table->ReadChanges({split}, {0, 1, 2}, [&](ChangeChunk& chunk) {
          for (idx_t i = 0; i < chunk.size(); i++) {
            std::string key = chunk.rows.GetValue(0, i).ToString();
            if (IsAdd(chunk.KindOf(i))) {
              folded[key] = chunk.rows.GetValue(2, i).ToString();
            } else {
              folded.erase(key);
            }
          }
        });
      }
    }
    Rows rows;
    for (const auto& [key, value] : folded) rows.push_back(key + "|p|" + value);
    std::sort(rows.begin(), rows.end());
    CHECK(rows == h.model.Rows());
    CHECK(h.Orphans() == Rows());
    CHECK(ExpireChangelogs(h.table->state(), {}, true) > 0);
    CHECK(h.table->state().changelogs.Ids().empty());
    CHECK(h.Orphans() == Rows());
    h.Check();
  }
}

TEST_CASE("Tags end with their lifetime") {
  HistoryWorld h(8, {{"tag.default-time-retained", "2 h"}});
  for (int i = 0; i < 3; i++) h.Commit();
  const TableState& state = h.table->state();
  CreateTag(state, "default", *h.table->LatestSnapshot(), {});
  CreateTag(state, "long", *h.table->LatestSnapshot(), 10 * 3'600'000);
  h.world.clock.AdvanceMs(3 * 3'600'000);
  CHECK(ExpireTags(state) == Rows{"default"});
  CHECK(ExpireTags(state, h.world.clock.NowMs() - 5 * 3'600'000) == Rows());
  CHECK(ExpireTags(state, h.world.clock.NowMs() - 1 * 3'600'000) == Rows{"long"});
}

TEST_CASE("Daily tags are made when a day is over, completed and dropped as told") {
  constexpr int64_t kDay = 86'400'000;
  auto run = [&](const Options& more) {
    Options options = {{"tag.automatic-creation", "watermark"},
                       {"snapshot.num-retained.max", "50"},
                       {"snapshot.num-retained.min", "50"}};
    options.insert(more.begin(), more.end());
    HistoryWorld h(9, options);
    // Watermarks: in day 10, at its end, in day 11, in day 14.
    for (int64_t watermark :
         {10 * kDay + 5, 11 * kDay + 1000, 11 * kDay + 2000, 14 * kDay + 5000}) {
      auto writer = h.table->NewWriter("user");
      WriteRows(*writer, {{RowKind::kInsert, watermark, "p", "x"}});
      Committable prepared = writer->PrepareCommit();
      prepared.watermark = watermark;
      h.table->Commit(prepared, "user", ++h.commits);
    }
    Rows tags;
    for (const NamedTag& tag : h.table->state().tags.All()) {
      tags.push_back(fmt::format("{}={}", tag.name, tag.tag.snapshot.id));
    }
    return tags;
  };
  CHECK(run({}) == Rows{"1970-01-10=1", "1970-01-11=2", "1970-01-14=4"});
  CHECK(run({{"tag.creation-delay", "1500 ms"}}) ==
        Rows{"1970-01-10=1", "1970-01-11=3", "1970-01-14=4"});
  CHECK(run({{"tag.automatic-completion", "true"}}) ==
        Rows{"1970-01-10=1", "1970-01-11=2", "1970-01-12=4"});
  CHECK(run({{"tag.num-retained-max", "1"}}) == Rows{"1970-01-14=4"});
  CHECK(run({{"tag.period-formatter", "without_dashes"}}) ==
        Rows{"19700110=1", "19700111=2", "19700114=4"});
}

TEST_CASE("Names of automatic tags go to times and back") {
  struct Case {
    Options options;
    const char* name;
  };
  const std::vector<Case> cases = {
      {{}, "2024-01-31"},
      {{{"tag.creation-period", "hourly"}}, "2024-01-31 07"},
      {{{"tag.creation-period", "two-hours"}}, "2024-01-31 08"},
      {{{"tag.creation-period", "hourly"}, {"tag.period-formatter", "without_dashes"}},
       "20240131 07"},
      {{{"tag.creation-period", "hourly"}, {"tag.period-formatter", "without_dashes_and_spaces"}},
       "2024013107"},
      {{{"tag.creation-period-duration", "5 min"}}, "202401310725"}};
  for (const Case& item : cases) {
    CAPTURE(item.name);
    TagPeriods periods(item.options);
    auto time = periods.TimeOf(item.name);
    REQUIRE(time.has_value());
    CHECK(periods.NameOf(*time) == item.name);
    CHECK(periods.LastOver(periods.Next(*time)) == *time);
    CHECK(periods.LastOver(periods.Next(*time) - 1) == *time - periods.period_ms());
    CHECK_FALSE(periods.TimeOf(std::string(item.name) + "x").has_value());
    CHECK_FALSE(periods.TimeOf("2024-13-31").has_value());
    CHECK_FALSE(periods.TimeOf("nightly").has_value());
  }
}

}  // namespace millrace
