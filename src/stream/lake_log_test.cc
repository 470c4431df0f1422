// Goal: what a reader of a log has seen comes into the table, once, and what comes into the table
// is seen by readers of its log, whoever fails, goes on or is given up in between. Method: sinks
// and a following source over tables in memory; every file operation failed in turn; jobs abandoned
// at each point; rows followed and rows scanned are compared.
#include "io/faulty_file_system.h"
#include "stream/job_settlement.h"
#include "stream/lake_sink.h"
#include "stream/lake_source.h"
#include "stream/log_redo.h"
#include "table/changes.h"
#include "table/commit_group.h"
#include "table/table_fixture.h"

namespace millrace {

namespace {

const Options kLogged = {{"log.system", "local"}};

TableDefinition DefinitionOf(const Table& table) {
  TableDefinition definition = TestDefinition(table.HasPrimaryKey(), false, table.options());
  definition.options[kPathOption] = table.folder();
  return definition;
}

std::unique_ptr<Source> Follow(TestWorld& world,
                               const std::vector<std::shared_ptr<const Table>>& tables) {
  std::vector<SourceTable> sources;
  for (const auto& table : tables) {
    sources.push_back({std::make_shared<const TableDefinition>(DefinitionOf(*table)), {0}});
  }
  return MakeLakeSource(world.context(), sources, false);
}

/// Ids that came, per table.
using Seen = std::vector<std::multiset<int64_t>>;

SourceStatus ReadOnce(Source& source, Seen& seen) {
  return source.Read({}, [&](idx_t table, ChangeChunk& chunk) {
    if (seen.size() <= table) seen.resize(table + 1);
    for (idx_t i = 0; i < chunk.size(); i++) {
      CHECK(IsAdd(chunk.KindOf(i)));
      seen[table].insert(chunk.rows.GetValue(0, i).GetValue<int64_t>());
    }
  });
}

Seen ReadAll(Source& source, idx_t tables = 1) {
  Seen seen(tables);
  while (ReadOnce(source, seen) == SourceStatus::kProgress) {
  }
  return seen;
}

std::multiset<int64_t> Scan(const Table& table) {
  std::multiset<int64_t> ids;
  for (const std::string& row : ReadRows(table)) ids.insert(std::stoll(row));
  return ids;
}

void WriteIds(Sink& sink, const std::vector<int64_t>& ids) {
  ChangeChunk chunk;
  chunk.Initialize({LogicalType::BIGINT, LogicalType::VARCHAR, LogicalType::VARCHAR});
  for (size_t i = 0; i < ids.size(); i++) {
    chunk.rows.SetValue(0, i, Value::BIGINT(ids[i]));
    for (idx_t column : {1, 2}) chunk.rows.SetValue(column, i, Value("t"));
  }
  chunk.rows.SetCardinality(ids.size());
  sink.Write(chunk);
}

/// A world with logged append tables a and b.
struct LogWorld : TestWorld {
  std::shared_ptr<const Table> a = Make("a"), b = Make("b");
  std::shared_ptr<const Table> Make(const std::string& name, bool keyed = false,
                                    Options options = kLogged) {
    if (keyed) options["bucket"] = "1";
    return Table::Create(context(), "/w/d.db/" + name, TestDefinition(keyed, false, options));
  }
  std::unique_ptr<Sink> Insert(const std::string& user, const std::shared_ptr<const Table>& into) {
    return MakeLakeSink(into, {.user = user, .group = user, .batch = true});
  }
  void InsertWhole(const std::string& user, const std::vector<int64_t>& ids) {
    auto sink = Insert(user, a);
    WriteIds(*sink, ids);
    sink->EndStep(1);
    sink->Commit(1, sink->Prepare(1));
  }
  /// Followed from the beginning, and as scanned: the same.
  void CheckSame(const std::shared_ptr<const Table>& table, Source& from_the_beginning,
                 Seen& seen) {
    while (ReadOnce(from_the_beginning, seen) == SourceStatus::kProgress) {
    }
    CHECK(seen.at(0) == Scan(*table));
    auto late = Follow(*this, {table});
    CHECK(ReadAll(*late)[0] == Scan(*table));
  }
};

}  // namespace

TEST_CASE("An INSERT into a logged table is in its log and in its files, or in none, and once") {
  for (FaultMode mode : {FaultMode::kBefore, FaultMode::kAfter, FaultMode::kHalf}) {
    for (bool goes_on : {true, false}) {
      for (int fail_at = 0;; fail_at++) {
        CAPTURE(fail_at);
        CAPTURE(goes_on);
        LogWorld world;
        world.InsertWhole("batch-0", {100});
        auto follower = Follow(world, {world.a});
        Seen seen = ReadAll(*follower);
        FaultyFileSystem faulty(world.disk, {.fail_at = fail_at, .mode = mode});
        std::string prepared;
        bool done = false;
        try {
          auto table = Table::Open(world.Over(faulty), world.a->folder());
          auto sink = world.Insert("batch-1", table);
          WriteIds(*sink, {1, 2, 3});
          sink->EndStep(1);
          std::string text = sink->Prepare(1);
          prepared = text;  // The job's checkpoint is on another disk, which holds.
          sink->Commit(1, text);
          done = true;
        } catch (const Error& error) {
          CHECK(error.code() == ErrorCode::kIo);
        }
        ReadOnce(*follower, seen);
        if (goes_on && !prepared.empty()) world.Insert("batch-1", world.a)->Commit(1, prepared);
        world.InsertWhole("batch-2", {200});
        if (!goes_on && !prepared.empty() && fail_at % 2 == 0) {  // Later than others.
          world.Insert("batch-1", world.a)->Commit(1, prepared);
          done = true;
        }
        world.CheckSame(world.a, *follower, seen);
        idx_t there = seen[0].count(1);
        CHECK(seen[0].count(2) == there);
        CHECK(seen[0].size() == 2 + 3 * there);
        if (done || (goes_on && !prepared.empty())) CHECK(there == 1);
        CHECK(there <= 1);
        if (!faulty.failed()) break;
      }
    }
  }
}

TEST_CASE("Two logs of one job are read step by step, by old readers and new ones") {
  LogWorld world;
  PublishGroupMembers(world.disk, "job-1", {{world.a->folder(), true}, {world.b->folder(), true}});
  auto into_a = MakeLakeSink(world.a, {.user = "job-1", .group = "job-1"});
  auto into_b = MakeLakeSink(world.b, {.user = "job-1.1", .group = "job-1"});
  auto reader = Follow(world, {world.a, world.b});
  Seen seen = ReadAll(*reader, 2);
  std::string position = reader->Position();
  for (int64_t step = 1; step <= 6; step++) {
    WriteIds(*into_a, {step});
    into_a->EndStep(step);
    ReadOnce(*reader, seen);
    CHECK(seen[0] == seen[1]);
    auto resumed = Follow(world, {world.a, world.b});
    resumed->Seek(position);
    Seen by_resumed = ReadAll(*resumed, 2);
    CHECK(by_resumed[0] == by_resumed[1]);
    auto late = Follow(world, {world.a, world.b});
    Seen by_late = ReadAll(*late, 2);
    CHECK(by_late[0] == by_late[1]);
    if (step % 2 == 0) WriteIds(*into_b, {step});
    if (step % 2 == 1) WriteIds(*into_b, {step});
    into_b->EndStep(step);
    ReadOnce(*reader, seen);
    CHECK(seen[0] == seen[1]);
    CHECK(seen[0].size() == static_cast<size_t>(step));
    if (step != 3) continue;
    std::string one = into_a->Prepare(1), other = into_b->Prepare(1);
    auto first = into_a->Commit(1, one), second = into_b->Commit(1, other);
    PublishCommitGroup(
        world.disk,
        {"job-1", 1, {{first->table, first->snapshot_id}, {second->table, second->snapshot_id}}});
  }
}

TEST_CASE("A job that is given up leaves its steps to the files, and nobody waits for the rest") {
  for (int64_t checkpoints : {0, 1}) {
    CAPTURE(checkpoints);
    LogWorld world;
    JobFolder folder(world.disk, "/data/jobs/j");
    JobRecord record;
    record.user = "job-1";
    record.script = "s";
    record.statement = "INSERT";
    for (const auto& table : {world.a, world.b}) {
      record.targets.push_back(
          {table->folder(), LakeTableIdentity(world.disk, table->folder()), true});
    }
    folder.WriteRecord(record);
    PublishGroupMembers(world.disk, "job-1",
                        {{world.a->folder(), true}, {world.b->folder(), true}});
    auto reader = Follow(world, {world.a, world.b});
    Seen seen = ReadAll(*reader, 2);
    {
      auto into_a = MakeLakeSink(world.a, {.user = "job-1", .group = "job-1"});
      auto into_b = MakeLakeSink(world.b, {.user = "job-1.1", .group = "job-1"});
      for (int64_t step = 1; step <= 4; step++) {
        folder.AppendJournal({step, {}});
        WriteIds(*into_a, {step});
        into_a->EndStep(step);
        if (step == 4) break;  // Killed between the two.
        WriteIds(*into_b, {step});
        into_b->EndStep(step);
        if (step != 2 || checkpoints == 0) continue;
        Checkpoint checkpoint;
        checkpoint.id = 1;
        checkpoint.step = step;
        checkpoint.prepared = {into_a->Prepare(1), into_b->Prepare(1)};
        folder.Publish(checkpoint);
        into_a->Commit(1, checkpoint.prepared[0]);  // Killed before the other, too.
      }
    }
    while (ReadOnce(*reader, seen) == SourceStatus::kProgress) {
    }
    CHECK(seen[0] == std::multiset<int64_t>{1, 2, 3});
    CHECK(seen[1] == seen[0]);
    for (int again = 0; again < 2; again++) {
      SettleJob(world.context(), folder, record, Settlement::kForGood);
      CHECK(Scan(*world.a) == std::multiset<int64_t>{1, 2, 3, 4});
      CHECK(Scan(*world.b) == std::multiset<int64_t>{1, 2, 3});
    }
    while (ReadOnce(*reader, seen) == SourceStatus::kProgress) {
    }
    CHECK(seen[0] == Scan(*world.a));
    CHECK(seen[1] == Scan(*world.b));
    // The next job is not held up, nor are its readers.
    auto next = MakeLakeSink(world.a, {.user = "job-2", .group = "job-2"});
    WriteIds(*next, {5});
    next->EndStep(1);
    ReadOnce(*reader, seen);
    CHECK(seen[0].count(5) == 1);
    CHECK_FALSE(HaveGroupsEnded(world.disk, "/w", "job-2"));
    CHECK(HaveGroupsEnded(world.disk, "/w", "job-1"));
  }
}

TEST_CASE("Steps that a stopped job has shown are its own, unless another one takes them over") {
  LogWorld world;
  auto reader = Follow(world, {world.a});
  Seen seen = ReadAll(*reader);
  std::string prepared;
  {
    auto job = MakeLakeSink(world.a, {.user = "job-1", .group = "job-1"});
    WriteIds(*job, {1});
    job->EndStep(1);
    prepared = job->Prepare(1);  // Its checkpoint is there, its commit is not.
    WriteIds(*job, {2});
    job->EndStep(2);
  }
  CHECK_THROWS_WITH_AS(world.InsertWhole("batch-1", {9}), doctest::Contains("'job-1'"), Error);
  CHECK(Scan(*world.a).empty());
  {
    auto same = MakeLakeSink(world.a, {.user = "job-1", .group = "job-1"});
    CHECK(!same->CommittedStep());
    CHECK(same->LastStep() == 2);
  }
  {
    auto other = MakeLakeSink(
        world.a, {.user = "batch-2", .group = "batch-2", .batch = true, .take_over = true});
    CHECK(Scan(*world.a) == std::multiset<int64_t>{1, 2});
    WriteIds(*other, {9});
    other->Commit(1, other->Prepare(1));
  }
  world.CheckSame(world.a, *reader, seen);
  CHECK(seen[0] == std::multiset<int64_t>{1, 2, 9});
  // The first one comes back: nothing is committed twice, and it can tell.
  auto back = MakeLakeSink(world.a, {.user = "job-1", .group = "job-1"});
  back->Commit(1, prepared);
  CHECK(Scan(*world.a) == std::multiset<int64_t>{1, 2, 9});
  CHECK(back->CommittedStep() == 2);
}

TEST_CASE("What others write into the files alone is seen by who follows the log, once") {
  LogWorld world;
  world.InsertWhole("batch-1", {1});
  auto unlogged = Table::Open(world.context(), world.a->folder(), {{"log.system", "none"}});
  auto by_files = [&](const std::string& user, int64_t id) {
    auto sink = MakeLakeSink(unlogged, {.user = user, .group = user, .batch = true});
    WriteIds(*sink, {id});
    sink->Commit(1, sink->Prepare(1));
  };
  auto reader = Follow(world, {world.a});
  Seen seen = ReadAll(*reader);
  by_files("x-1", 2);
  world.InsertWhole("batch-2", {3});
  by_files("x-2", 4);
  std::string position = reader->Position();
  world.CheckSame(world.a, *reader, seen);
  auto resumed = Follow(world, {world.a});
  resumed->Seek(position);
  CHECK(ReadAll(*resumed)[0] == std::multiset<int64_t>{2, 3, 4});
  // The same steps again, as recovery reads them.
  auto replay = Follow(world, {world.a});
  replay->Seek(position);
  Seen again(1);
  replay->Read({.until = reader->Position()}, [&](idx_t, ChangeChunk& chunk) {
    for (idx_t i = 0; i < chunk.size(); i++) {
      again[0].insert(chunk.rows.GetValue(0, i).GetValue<int64_t>());
    }
  });
  CHECK(replay->Position() == reader->Position());
}

TEST_CASE("A follower of a log need not hurry, unless others have written") {
  for (bool foreign : {false, true}) {
    LogWorld world;
    auto table = world.Make("kept", false,
                            {{"log.system", "local"},
                             {"snapshot.num-retained.min", "1"},
                             {"snapshot.num-retained.max", "2"}});
    auto insert = [&](const std::string& user, int64_t id, const Options& options) {
      auto open = Table::Open(world.context(), table->folder(), options);
      auto sink = MakeLakeSink(open, {.user = user, .group = user, .batch = true});
      WriteIds(*sink, {id});
      sink->Commit(1, sink->Prepare(1));
    };
    insert("batch-0", 0, {});
    auto reader = Follow(world, {table});
    Seen seen = ReadAll(*reader);
    for (int64_t i = 1; i <= 6; i++) {
      bool other = foreign && i == 2;
      insert(fmt::format("batch-{}", i), i, other ? Options{{"log.system", "none"}} : Options{});
    }
    REQUIRE(!table->FindSnapshot(3));
    if (foreign) {
      CHECK_THROWS_WITH_AS(ReadAll(*reader), doctest::Contains("expired"), Error);
      auto late = Follow(world, {table});
      CHECK(ReadAll(*late)[0] == Scan(*table));
    } else {
      world.CheckSame(table, *reader, seen);
    }
  }
}

TEST_CASE("Who relies on old values is told of a step that does not carry them") {
  LogWorld world;
  auto table =
      world.Make("keyed", true, {{"log.system", "local"}, {"changelog-producer", "input"}});
  auto fill = [&](const std::string& user, int64_t checkpoint) {
    auto sink = MakeLakeSink(table, {.user = user, .group = user});
    sink->SetInputType(ChangelogType::kFull);
    WriteIds(*sink, {1});
    sink->EndStep(checkpoint);
    auto done = sink->Commit(checkpoint, sink->Prepare(checkpoint));
    PublishCommitGroup(world.disk, {user, checkpoint, {{done->table, done->snapshot_id}}});
  };
  fill("job-1", 1);
  auto reader = Follow(world, {table});
  REQUIRE(reader->Changelog(0) == ChangelogType::kFull);
  reader->RelyOn(0, ChangelogType::kFull);
  ReadAll(*reader);
  fill("job-1", 2);
  CHECK_NOTHROW(ReadAll(*reader));
  fill("job-2", 1);  // Full by itself, but not over what the first has written.
  CHECK_THROWS_WITH_AS(ReadAll(*reader), doctest::Contains("another writer"), Error);
  CHECK(Follow(world, {table})->Changelog(0) == ChangelogType::kUpsert);
}

TEST_CASE("Tables of one job of which one has no log are followed by its checkpoints") {
  LogWorld world;
  auto plain = world.Make("plain", false, {});
  PublishGroupMembers(world.disk, "job-1", {{world.a->folder(), true}, {plain->folder(), false}});
  auto into_a = MakeLakeSink(world.a, {.user = "job-1", .group = "job-1"});
  auto into_plain = MakeLakeSink(plain, {.user = "job-1.1", .group = "job-1"});
  auto reader = Follow(world, {world.a, plain});
  auto alone = Follow(world, {world.a});
  Seen seen = ReadAll(*reader, 2), seen_alone = ReadAll(*alone);
  WriteIds(*into_a, {1});
  WriteIds(*into_plain, {1});
  into_a->EndStep(1);
  into_plain->EndStep(1);
  ReadOnce(*reader, seen);
  ReadOnce(*alone, seen_alone);
  CHECK(seen[0].empty());
  CHECK(seen_alone[0].size() == 1);
  std::string one = into_a->Prepare(1), other = into_plain->Prepare(1);
  auto first = into_a->Commit(1, one);
  ReadOnce(*reader, seen);
  CHECK(seen[0].empty());
  auto second = into_plain->Commit(1, other);
  PublishCommitGroup(
      world.disk,
      {"job-1", 1, {{first->table, first->snapshot_id}, {second->table, second->snapshot_id}}});
  ReadOnce(*reader, seen);
  CHECK(seen[0].size() == 1);
  CHECK(seen[1].size() == 1);
  // A job that begins later is noticed.
  auto both = Follow(world, {world.b, plain});
  Seen of_both = ReadAll(*both, 2);
  PublishGroupMembers(world.disk, "job-2", {{world.b->folder(), true}, {plain->folder(), false}});
  auto into_b = MakeLakeSink(world.b, {.user = "job-2", .group = "job-2"});
  WriteIds(*into_b, {1});
  into_b->EndStep(1);
  CHECK_THROWS_WITH_AS(ReadOnce(*both, of_both), doctest::Contains("--fresh"), Error);
}

TEST_CASE("A table that was dropped and made anew is another one, for its followers too") {
  LogWorld world;
  world.InsertWhole("batch-1", {1});
  auto plain = world.Make("plain", false, {});
  for (const auto& table : {world.a, plain}) {
    auto reader = Follow(world, {table});
    ReadAll(*reader);
    std::string position = reader->Position();
    world.disk.DeleteFolder(table->folder());
    auto anew = Table::Create(world.context(), table->folder(),  // In the same millisecond.
                              TestDefinition(false, false, table->options()));
    auto other = Follow(world, {anew});
    CHECK_THROWS_WITH_AS(other->Seek(position), doctest::Contains("made anew"), Error);
    auto sink = MakeLakeSink(anew, {.user = "batch-2", .group = "batch-2", .batch = true});
    WriteIds(*sink, {2});
    sink->Commit(1, sink->Prepare(1));
    CHECK_THROWS_WITH_AS(ReadAll(*reader), doctest::Contains("--fresh"), Error);
  }
}

}  // namespace millrace
