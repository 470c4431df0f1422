// Goal: scan options choose the state or the changes that Paimon would choose, and contradictions
// are told. Method: a history with known times and watermarks, on a clock that the test moves.
#include "table/scan_start.h"

#include "table/snapshot_search.h"
#include "table/table_fixture.h"

namespace millrace {

namespace {

constexpr int64_t kBegin = 1'700'000'000'000;
using Kind = ScanStart::Kind;

/// Snapshot i (from 1) adds row i at kBegin + i * 1000, with watermark i * 10 from the second on.
struct History {
  History() {
    table = Table::Create(world.context(), "/w/d.db/t",
                          TestDefinition(true, false, {{"bucket", "1"}, {"write-only", "true"}}));
    for (int64_t i = 1; i <= 5; i++) {
      world.clock.SetMs(kBegin + i * 1000);
      auto writer = table->NewWriter("user");
      WriteRows(*writer, {{RowKind::kInsert, i, "p", "v" + std::to_string(i)}});
      Committable prepared = writer->PrepareCommit();
      if (i > 1) prepared.watermark = i * 10;
      table->Commit(prepared, "user", i);
    }
    TagStore tags(world.disk, "/w/d.db/t");
    REQUIRE(tags.Create("two", {*table->FindSnapshot(2), {}, {}}));
    REQUIRE(tags.Create("four", {*table->FindSnapshot(4), {}, {}}));
    REQUIRE(tags.Create("3", {*table->FindSnapshot(1), {}, {}}));
  }
  ScanStart Start(const Options& options, bool streaming = false) {
    return ResolveScanStart(Table::Open(world.context(), "/w/d.db/t", options)->state(), streaming);
  }
  /// The id of the state that a batch read gets; -1: not a state.
  int64_t StateOf(const Options& options) {
    ScanStart start = Start(options);
    return start.kind == Kind::kState ? start.state->id : -1;
  }
  /// The first snapshot whose changes a streaming read gets.
  int64_t ChangesFrom(const Options& options) {
    ScanStart start = Start(options, true);
    return start.kind == Kind::kChanges ? start.next : -1;
  }
  std::string Failure(const Options& options, bool streaming = false) {
    try {
      Start(options, streaming);
    } catch (const Error& error) {
      return error.text();
    }
    return "";
  }

  TestWorld world;
  std::shared_ptr<const Table> table;
};

bool Has(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("Batch reads travel to a snapshot, tag, version, time or watermark") {
  History h;
  CHECK(h.Start({}).kind == Kind::kNewest);
  CHECK(h.Start({{"scan.mode", "latest"}}).kind == Kind::kNewest);
  CHECK(h.StateOf({{"scan.snapshot-id", "2"}}) == 2);
  CHECK(h.StateOf({{"scan.mode", "from-snapshot-full"}, {"scan.snapshot-id", "2"}}) == 2);
  CHECK(h.StateOf({{"scan.tag-name", "four"}}) == 4);
  CHECK(h.StateOf({{"scan.version", "two"}}) == 2);
  CHECK(h.StateOf({{"scan.version", "3"}}) == 1);  // A tag of that name wins.
  CHECK(h.StateOf({{"scan.version", "5"}}) == 5);
  CHECK(h.StateOf({{"scan.version", "watermark-25"}}) == 3);
  CHECK(h.StateOf({{"scan.watermark", "30"}}) == 3);
  CHECK(h.StateOf({{"scan.watermark", "-5"}}) == 2);
  CHECK(h.StateOf({{"scan.timestamp-millis", std::to_string(kBegin + 2000)}}) == 2);
  CHECK(h.StateOf({{"scan.timestamp-millis", std::to_string(kBegin + 2999)}}) == 2);
  CHECK(h.StateOf({{"scan.timestamp-millis", std::to_string(kBegin + 99000)}}) == 5);
  CHECK(h.StateOf({{"scan.timestamp", "2023-11-14 22:13:23.500"}}) == 3);
  CHECK(h.StateOf({{"scan.timestamp", "2023-11-15"}}) == 5);
  // 2023-11-14 22:13:23 UTC is 17:13:23 in New York.
  CHECK(h.StateOf({{"scan.timestamp", "2023-11-14 17:13:23"},
                   {kTimeZoneOption, "America/New_York"}}) == 3);
  CHECK(h.StateOf({{"scan.creation-time-millis", std::to_string(kBegin + 2500)}}) == 3);
  ScanStart early = h.Start({{"scan.creation-time-millis", std::to_string(kBegin)}});
  CHECK(early.kind == Kind::kNewest);
  CHECK(early.created_since_ms == kBegin);
}

TEST_CASE("Streaming reads begin where the options say") {
  History h;
  CHECK(h.Start({}, true).kind == Kind::kNewest);
  CHECK(h.Start({{"scan.mode", "latest"}}, true).kind == Kind::kNewestOnly);
  CHECK(h.ChangesFrom({{"scan.snapshot-id", "3"}}) == 3);
  CHECK(h.ChangesFrom({{"scan.snapshot-id", "77"}}) == 77);  // To come.
  CHECK(h.ChangesFrom({{"scan.timestamp-millis", std::to_string(kBegin + 2000)}}) == 2);
  CHECK(h.ChangesFrom({{"scan.timestamp-millis", std::to_string(kBegin + 2001)}}) == 3);
  CHECK(h.ChangesFrom({{"scan.timestamp-millis", std::to_string(kBegin)}}) == 1);
  CHECK(h.ChangesFrom({{"scan.timestamp-millis", std::to_string(kBegin + 9000)}}) == 6);
  ScanStart full = h.Start({{"scan.mode", "from-snapshot-full"}, {"scan.snapshot-id", "3"}}, true);
  CHECK(full.kind == Kind::kState);
  CHECK(full.state->id == 3);
  CHECK(h.Start({{"scan.bounded.watermark", "12"}}, true).bounded_watermark == 12);
}

TEST_CASE("Contradicting or unreadable scan options are one clear error") {
  History h;
  CHECK(Has(h.Failure({{"scan.snapshot-id", "1"}, {"scan.tag-name", "two"}}),
            "'scan.snapshot-id' and 'scan.tag-name' both say what to read"));
  CHECK(Has(h.Failure({{"scan.mode", "latest"}, {"scan.snapshot-id", "1"}}),
            "contradict each other"));
  CHECK(Has(h.Failure({{"scan.mode", "from-timestamp"}}),
            "needs 'scan.timestamp' or 'scan.timestamp-millis'"));
  CHECK(Has(h.Failure({{"scan.mode", "from-snapshots"}}), "did you mean 'from-snapshot'"));
  CHECK(Has(h.Failure({{"scan.snapshot-id", "9"}}), "there is no snapshot 9"));
  CHECK(Has(h.Failure({{"scan.snapshot-id", "9"}}), "there are 1 to 5"));
  CHECK(Has(h.Failure({{"scan.tag-name", "too"}}), "did you mean 'two'"));
  CHECK(Has(h.Failure({{"scan.version", "none"}}), "no tag 'none'"));
  CHECK(Has(h.Failure({{"scan.watermark", "51"}}), "no snapshot has a watermark of 51"));
  CHECK(Has(h.Failure({{"scan.timestamp-millis", std::to_string(kBegin)}}),
            "the oldest is 1 of 2023-11-14 22:13:21"));
  CHECK(Has(h.Failure({{"scan.timestamp", "yesterday"}}), "'yesterday' is no time"));
  CHECK(Has(h.Failure({{"scan.timestamp", "2023-11-14"}, {kTimeZoneOption, "Mars/Base"}}),
            "Mars/Base"));
  CHECK(Has(h.Failure({{"scan.tag-name", "two"}}, true), "only batch mode reads"));
  CHECK(Has(h.Failure({{"incremental-between", "1,2"}}, true), "only batch mode does"));
  CHECK(Has(h.Failure({{"incremental-between", "4"}}), "two values with a comma"));
  CHECK(
      Has(h.Failure({{"incremental-between", "4,2"}}), "the second snapshot is before the first"));
  CHECK(Has(h.Failure({{"incremental-between", "four,two"}}), "is after 'two'"));
  CHECK(Has(h.Failure({{"incremental-between", "two,five"}}), "five is no tag"));
  CHECK(Has(h.Failure({{"incremental-between", "2,6"}}), "there are snapshots 1 to 5"));
}

TEST_CASE("Incremental options become intervals") {
  History h;
  auto range = [&](Options options) {
    ScanStart start = h.Start(options);
    REQUIRE(start.kind == Kind::kIncremental);
    return start.incremental;
  };
  CHECK(range({{"incremental-between", "2,5"}}).after == 2);
  CHECK(range({{"incremental-between", "0,5"}}).upto == 5);
  CHECK(range({{"incremental-between", "2,5"}}).mode == IncrementalRange::Mode::kDelta);
  CHECK(
      range({{"incremental-between", "2, 5"}, {"incremental-between-scan-mode", "diff"}}).to->id ==
      5);
  CHECK(range({{"incremental-between", "two,four"}}).mode == IncrementalRange::Mode::kDiff);
  CHECK(
      range({{"incremental-between", "two,four"}, {"incremental-between-tag-to-snapshot", "true"}})
          .mode == IncrementalRange::Mode::kDelta);
  IncrementalRange times = range(
      {{"incremental-between-timestamp", fmt::format("{},{}", kBegin + 1500, kBegin + 4000)}});
  CHECK(times.after == 1);
  CHECK(times.upto == 4);
  CHECK(range({{"incremental-between-timestamp", "2023-11-14,2023-11-15"}}).after == 0);
  CHECK(h.Start({{"incremental-between", "3,3"}}).kind == Kind::kNothing);
  CHECK(h.Start({{"incremental-between-timestamp", "5,6"}}).kind == Kind::kNothing);
}

TEST_CASE("Searches over a history agree with looking at every snapshot") {
  History h;
  SnapshotStore snapshots(h.world.disk, "/w/d.db/t");
  for (int first = 1; first <= 4; first++) {  // The older ones expire one by one.
    for (int64_t time = kBegin; time <= kBegin + 6000; time += 500) {
      CAPTURE(time);
      std::optional<int64_t> at, since;
      for (int64_t id = 5; id >= first; id--) {
        int64_t made = kBegin + id * 1000;
        if (made <= time && !at) at = id;
        if (made >= time) since = id;
      }
      auto found_at = SnapshotAtTime(snapshots, time),
           found_since = SnapshotSinceTime(snapshots, time);
      CHECK((found_at ? std::optional(found_at->id) : std::nullopt) == at);
      CHECK((found_since ? std::optional(found_since->id) : std::nullopt) == since);
    }
    CHECK(SnapshotAtWatermark(snapshots, 35)->id == std::max(3, first));
    CHECK(SnapshotSinceWatermark(snapshots, 35)->id == 4);
    h.world.disk.Delete(snapshots.PathOf(first));
  }
}

}  // namespace millrace
