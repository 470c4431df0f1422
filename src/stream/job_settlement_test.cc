// Goal: a job that was killed between the commits of one checkpoint holds nobody up, whatever
// became of its statement and its tables. Method: two tables, a checkpoint that both have prepared,
// any number of them committed; then settle, and look at both as a reader does.
#include "stream/job_settlement.h"

#include "stream/lake_sink.h"
#include "stream/lake_source.h"
#include "table/commit_group.h"
#include "table/group_cut.h"
#include "table/table_fixture.h"

namespace millrace {

namespace {

/// A job with sinks into tables a and b, and its folder on a disk in memory.
struct HalfDone {
  TestWorld world;
  std::shared_ptr<const Table> a = Make("a"), b = Make("b");
  JobFolder folder{world.disk, "/data/jobs/j"};
  JobRecord record;
  std::vector<std::unique_ptr<Sink>> sinks;
  Checkpoint checkpoint;

  HalfDone() {
    record.user = "j-1";
    record.script = "s";
    record.statement = "INSERT ...";
    for (const auto& table : {a, b}) {
      sinks.push_back(
          MakeLakeSink(table, {.user = SinkUser(record.user, sinks.size()), .group = record.user}));
      record.targets.push_back(
          {table->folder(), LakeTableIdentity(world.disk, table->folder()), false});
    }
    folder.WriteRecord(record);
  }
  std::shared_ptr<const Table> Make(const std::string& name) {
    return Table::Create(world.context(), "/w/d.db/" + name, TestDefinition(false, false));
  }
  void Prepare(int64_t id) {
    checkpoint = {};
    checkpoint.id = id;
    for (auto& sink : sinks) {
      ChangeChunk chunk;
      chunk.Initialize({LogicalType::BIGINT, LogicalType::VARCHAR, LogicalType::VARCHAR});
      chunk.rows.SetValue(0, 0, Value::BIGINT(id));
      for (idx_t column : {1, 2}) chunk.rows.SetValue(column, 0, Value("t"));
      chunk.rows.SetCardinality(1);
      sink->Write(chunk);
      checkpoint.prepared.push_back(sink->Prepare(id));
    }
    folder.Publish(checkpoint);
  }
  void Commit(size_t sinks_done) {
    for (size_t i = 0; i < sinks_done; i++) {
      sinks[i]->Commit(checkpoint.id, checkpoint.prepared[i]);
    }
  }
  void Settle(Settlement settlement) {
    SettleJob(world.context(), folder, *folder.Record(), settlement);
  }
  /// How many rows of each a reader of both sees.
  std::pair<idx_t, idx_t> Seen() {
    GroupCut cut(world.disk, world.clock);
    return {RowsAt(*a, cut.Newest(a)), RowsAt(*b, cut.Newest(b))};
  }
  static idx_t RowsAt(const Table& table, int64_t snapshot) {
    ScanOptions options;
    options.snapshot_id = snapshot;
    return snapshot == 0 ? 0 : ReadRows(table, options).size();
  }
  using Rows = std::pair<idx_t, idx_t>;
};

}  // namespace

TEST_CASE("A checkpoint that is half committed is finished, once") {
  for (size_t done : {0, 1, 2}) {
    for (Settlement settlement : {Settlement::kPause, Settlement::kForGood}) {
      CAPTURE(done);
      HalfDone job;
      job.Prepare(1);
      job.Commit(done);
      CHECK(job.Seen() == HalfDone::Rows(0, 0));
      job.Settle(settlement);
      CHECK(job.Seen() == HalfDone::Rows(1, 1));
      job.Settle(settlement);
      CHECK(job.Seen() == HalfDone::Rows(1, 1));
      // A job that goes on repeats it, too.
      HalfDone::Rows before = job.Seen();
      job.Commit(2);
      CHECK(job.Seen() == before);
    }
  }
}

TEST_CASE("A table that is gone, or made anew, holds up no reader of the other") {
  for (bool made_anew : {false, true}) {
    for (bool first_goes : {false, true}) {
      CAPTURE(made_anew);
      CAPTURE(first_goes);
      HalfDone job;
      job.Prepare(1);
      job.Settle(Settlement::kPause);
      job.Prepare(2);
      job.Commit(1);
      job.world.disk.DeleteFolder(first_goes ? "/w/d.db/a" : "/w/d.db/b");
      if (made_anew) (first_goes ? job.a : job.b) = job.Make(first_goes ? "a" : "b");
      job.Settle(Settlement::kForGood);
      const auto& kept = first_goes ? job.b : job.a;
      GroupCut cut(job.world.disk, job.world.clock);
      CHECK(HalfDone::RowsAt(*kept, cut.Newest(kept)) == 2);
      if (made_anew) {
        const auto& other = first_goes ? job.a : job.b;
        CHECK(cut.Newest(other) == 0);
      }
    }
  }
}

TEST_CASE("What can no longer be committed waits for the job, unless that is gone for good") {
  HalfDone job;
  job.Prepare(1);
  job.Commit(1);
  for (const FileEntry& file : job.world.disk.List("/w/d.db/b/bucket-0")) {
    job.world.disk.Delete("/w/d.db/b/bucket-0/" + file.name);
  }
  job.Settle(Settlement::kPause);
  CHECK(job.Seen() == HalfDone::Rows(0, 0));
  job.Settle(Settlement::kForGood);
  CHECK(job.Seen() == HalfDone::Rows(1, 0));
}

TEST_CASE("A job whose snapshots expired long ago is known to be committed by its group") {
  HalfDone job;
  job.Prepare(1);
  job.Commit(2);
  job.Settle(Settlement::kPause);
  // As if compacted away and expired since: no file and no snapshot could tell.
  for (const FileEntry& file : job.world.disk.List("/w/d.db/a/bucket-0")) {
    job.world.disk.Delete("/w/d.db/a/bucket-0/" + file.name);
  }
  job.world.disk.DeleteFolder("/w/d.db/a/snapshot");
  auto again = MakeLakeSink(job.a, {.user = "j-1", .group = "j-1"});
  auto published = again->Commit(1, job.checkpoint.prepared[0]);
  REQUIRE(published);
  CHECK(published->snapshot_id == 1);
}

}  // namespace millrace
