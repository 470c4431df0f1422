// Goal: a job goes on while its checkpoint is written, and whatever fails or is killed meanwhile,
// each row comes into its tables once. Method: a dataflow that knows which number must come next, a
// source of numbers, lake tables on a disk in memory; a file system that holds one file up, or
// fails operation n, or all from n on with what was not synced lost; then the job is run again.
#include <condition_variable>

#include "io/executor.h"
#include "io/faulty_file_system.h"
#include "stream/job.h"
#include "stream/lake_sink.h"
#include "stream/lake_source.h"
#include "stream/number_source.h"
#include "stream/state_format.h"
#include "stream/state_memory.h"
#include "stream/waiting_rows.h"
#include "table/table_fixture.h"

namespace millrace {

namespace {

/// Hands numbers on, at the end of the step as operators with state do; its state is the number
/// that must come next, and as many bytes more as it is told.
class NumberFlow : public Dataflow {
 public:
  explicit NumberFlow(size_t state_bytes = 0, bool fails = false)
      : state_bytes_(state_bytes), fails_(fails) {
    TableDefinition definition = TestDefinition(false, false, {{"connector", "numbers"}});
    inputs_.push_back({std::make_shared<const TableDefinition>(definition), {0, 1, 2}});
  }
  const std::vector<SourceTable>& Inputs() const override { return inputs_; }
  const duckdb::vector<std::string>& Names() const override { return names_; }
  const duckdb::vector<LogicalType>& Types() const override { return types_; }
  ChangelogType Start(const std::vector<ChangelogType>&) override { return ChangelogType::kAppend; }
  void Push(idx_t, ChangeChunk& chunk, const ChangeReceiver&) override {
    for (idx_t i = 0; i < chunk.size(); i++) {
      if (chunk.rows.GetValue(0, i).GetValue<int64_t>() == next_++) continue;
      Throw(ErrorCode::kData, "number {} does not come next", next_ - 1);
    }
    auto copy = std::make_unique<ChangeChunk>();
    copy->Initialize(types_);
    chunk.rows.Copy(copy->rows);
    step_.push_back(std::move(copy));
  }
  void EndStep(const ChangeReceiver& out) override {
    for (auto& chunk : step_) out(*chunk);
    step_.clear();
  }
  void Save(StateStore& store) override {
    StateWriter next(store, arena_, "next", Fingerprint(), false);
    next.Put(next_);
    next.Finish();
    StateWriter more(store, arena_, "more", Fingerprint(), false);
    for (size_t done = 0; done < state_bytes_; done += 1 << 20) {
      more.PutString(std::string(1 << 20, 'x'));
      if (fails_ && done > state_bytes_ / 2) Throw(ErrorCode::kData, "half of the state");
    }
    more.Finish();
  }
  void Load(StateStore& store) override {
    auto pieces = store.Open("next");
    REQUIRE(pieces.size() == 1);
    StateReader next(std::move(pieces[0]), arena_, Fingerprint(), "the number");
    next_ = next.Get<int64_t>();
    next.Finish();
  }
  std::string Fingerprint() const override { return "numbers"; }
  std::string Explain() const override { return ""; }
  int64_t StateBytes() const override { return 8; }
  std::vector<OperatorLine> Lines() const override { return {}; }
  const std::string& Chance() const override { return chance_; }
  bool KeepsState() const override { return true; }
  void Trim() override {}

 private:
  const size_t state_bytes_;
  const bool fails_;
  const duckdb::vector<std::string> names_{"id", "part", "value"};
  const duckdb::vector<LogicalType> types_{LogicalType::BIGINT, LogicalType::VARCHAR,
                                           LogicalType::VARCHAR};
  const std::string chance_;
  std::vector<SourceTable> inputs_;
  std::vector<std::unique_ptr<ChangeChunk>> step_;
  StateMemory memory_;
  StateArena arena_{memory_};
  int64_t next_ = 0;
};

/// Stops whoever creates a file whose path ends so, until it is opened.
class GatedFileSystem : public FaultyFileSystem {
 public:
  GatedFileSystem(FileSystem& base, std::string ending)
      : FaultyFileSystem(base, {}), ending_(std::move(ending)) {}
  CreateOutcome CreateExclusive(const std::string& path, std::string_view bytes) override {
    Pass(path);
    return FaultyFileSystem::CreateExclusive(path, bytes);
  }
  std::unique_ptr<WritableFile> OpenForWrite(const std::string& path) override {
    Pass(path);
    return FaultyFileSystem::OpenForWrite(path);
  }
  void AwaitOne() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_ > 0; });
  }
  void Open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  void Pass(const std::string& path) {
    if (!path.ends_with(ending_)) return;
    std::unique_lock lock(mutex_);
    waiting_++;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    waiting_--;
  }
  const std::string ending_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int waiting_ = 0;
  bool open_ = false;
};

std::string FolderOf(idx_t t) {
  return "/w/d.db/t" + std::to_string(t);
}

struct Setup {
  bool logged = false;
  idx_t tables = 1;
  size_t state_bytes = 0;
  bool save_fails = false;
};

/// One life of the job over a file system, in a thread of its own.
struct Life {
  Life(TestWorld& world, FileSystem& files, Numbers& numbers, const Setup& setup)
      : environment{files, world.clock, world.random, TestDatabase(), "/data", std::cout} {
    connectors.Register(std::make_unique<NumberConnector>(numbers));
    JobOptions options;
    options.id = options.name = "job";
    options.commit_user = "job-1";
    options.checkpoint_interval_ms = 0;
    options.step_rows = 2;
    std::vector<Pipeline> pipelines;
    for (idx_t t = 0; t < setup.tables; t++) {
      Pipeline pipeline;
      pipeline.target = "t" + std::to_string(t);
      auto table = Table::Open({files, world.clock, world.random, TestDatabase()}, FolderOf(t));
      options.targets.push_back({table->folder(), "", setup.logged});
      pipeline.flow = std::make_unique<NumberFlow>(setup.state_bytes, setup.save_fails);
      pipeline.sink = MakeLakeSink(
          table, {.user = SinkUser(options.commit_user, t), .group = options.commit_user});
      pipelines.push_back(std::move(pipeline));
    }
    auto folder = std::make_unique<JobFolder>(files, "/data/jobs/job");
    job = std::make_unique<Job>(environment, connectors, std::move(pipelines), options,
                                std::move(folder));
    task = executor->Start("job", [this] { job->Run(); });
  }
  /// What it failed of; "" when it came to its end.
  std::string End() {
    task->Join();
    auto failure = job->Failure();
    return failure ? failure->text() : "";
  }

  Environment environment;
  ConnectorRegistry connectors;
  std::unique_ptr<Executor> executor = MakeThreadExecutor();
  std::unique_ptr<Job> job;
  std::unique_ptr<Task> task;
};

std::vector<int64_t> Ids(const TableContext& context, idx_t t) {
  std::vector<int64_t> ids;
  for (const std::string& row : ReadRows(*Table::Open(context, FolderOf(t)))) {
    ids.push_back(std::stoll(row));
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

/// What a follower of the table sees from its beginning on: by its log, if there is one.
std::vector<int64_t> Followed(const TableContext& context, idx_t t) {
  Options options = Table::Open(context, FolderOf(t))->options();
  options[kPathOption] = FolderOf(t);
  auto definition = std::make_shared<const TableDefinition>(TestDefinition(t % 2, false, options));
  auto source = MakeLakeSource(context, {{definition, {0}}}, false);
  std::vector<int64_t> ids;
  auto receive = [&](idx_t, ChangeChunk& chunk) {
    for (idx_t i = 0; i < chunk.size(); i++) {
      CHECK(IsAdd(chunk.KindOf(i)));
      ids.push_back(chunk.rows.GetValue(0, i).GetValue<int64_t>());
    }
  };
  while (source->Read({}, receive) == SourceStatus::kProgress) {
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

struct JobWorld : TestWorld {
  explicit JobWorld(const Setup& setup) : setup(setup) {
    for (idx_t t = 0; t < setup.tables; t++) {
      Options options;
      if (setup.logged) options["log.system"] = "local";
      if (t % 2) options["bucket"] = "2";  // Every other one has a key.
      Table::Create(context(), FolderOf(t), TestDefinition(t % 2, false, options));
    }
  }
  const Setup setup;
};

std::vector<int64_t> UpTo(int64_t count) {
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < count; i++) ids.push_back(i);
  return ids;
}

}  // namespace

TEST_CASE("Steps run, and are shown, while a checkpoint is held up") {
  for (bool logged : {false, true}) {
    CAPTURE(logged);
    JobWorld world({.logged = logged, .tables = 2});
    GatedFileSystem files(world.disk, "checkpoint-1/metadata.json");
    Numbers numbers{.total = 1000};
    numbers.available = 4;
    Life life(world, files, numbers, world.setup);
    files.AwaitOne();
    numbers.available = 100;
    AwaitRows(*life.job, 100);
    CHECK(life.job->Statistics().checkpoints == 0);
    CHECK(Ids(world.context(), 0).empty());
    CHECK_FALSE(JobFolder(world.disk, "/data/jobs/job").Latest());
    if (logged) {
      life.job->WaitUntilIdle();
      CHECK(Followed(world.context(), 0) == UpTo(100));
      CHECK(JobFolder(world.disk, "/data/jobs/job").Journal(std::nullopt).size() >= 50);
    }
    files.Open();
    CHECK(life.job->CheckpointNow());
    for (idx_t t : {0, 1}) CHECK(Ids(world.context(), t) == UpTo(100));
    CHECK(life.job->Statistics().checkpoints >= 2);
    life.job->Cancel();
    CHECK(life.End() == "");
  }
}

TEST_CASE("A job that is killed while steps run beside a checkpoint goes on from the one before") {
  for (bool logged : {false, true}) {
    for (const char* held_up : {"checkpoint-2/metadata.json", "checkpoint-2/pipeline-0-more",
                                "snapshot/snapshot-1", "snapshot/snapshot-2"}) {
      CAPTURE(logged);
      CAPTURE(held_up);
      JobWorld world({.logged = logged, .tables = 2, .state_bytes = 1 << 20});
      GatedFileSystem files(world.disk, held_up);
      Numbers numbers{.total = 200};
      numbers.available = 4;
      Life life(world, files, numbers, world.setup);
      numbers.available = 10;
      files.AwaitOne();
      numbers.available = 50;
      AwaitRows(*life.job, 50);
      life.job->WaitUntilIdle();
      // What the disk holds now is what a kill leaves.
      std::unique_ptr<MemoryFileSystem> left = world.disk.Clone();
      left->LoseUnsynced();
      life.job->Abandon();
      files.Open();
      life.End();
      TestWorld other(2);  // Names of files are others.
      numbers.available = 200;
      CHECK(Life(other, *left, numbers, world.setup).End() == "");
      for (idx_t t : {0, 1}) {
        CHECK(Ids(other.Over(*left), t) == UpTo(200));
        CHECK(Followed(other.Over(*left), t) == UpTo(200));
      }
    }
  }
}

TEST_CASE("Each row comes once, whichever file operation fails or is the last") {
  constexpr int64_t kTotal = 14;
  int64_t failures = 0, runs = 0;
  FaultPoints points = SomeFaultPoints();
  if (!IsLongRun()) points = {static_cast<int64_t>(std::random_device{}() % 4), 4};
  for (bool logged : {false, true}) {
    for (FaultMode mode : {FaultMode::kBefore, FaultMode::kAfter, FaultMode::kHalf}) {
      for (bool dies : {false, true}) {
        // Half a write of a disk that goes on is told in the other modes.
        if (mode == FaultMode::kHalf && !dies) continue;
        for (int64_t fail_at = points.first;; fail_at += points.step) {
          CAPTURE(fail_at);
          CAPTURE(dies);
          CAPTURE(logged);
          JobWorld world({.logged = logged, .tables = 2});
          Numbers numbers{.total = kTotal};
          numbers.available = kTotal;
          FaultyFileSystem faulty(
              world.disk,
              {.fail_at = fail_at, .fail_count = dies ? INT64_MAX / 2 : 1, .mode = mode});
          std::string failure;
          try {
            failure = Life(world, faulty, numbers, world.setup).End();
          } catch (const Error& error) {  // Before it began.
            failure = error.text();
          }
          runs++;
          failures += failure.empty() ? 0 : 1;
          if (!failure.empty()) CHECK(failure.find("injected fault") != std::string::npos);
          if (dies) world.disk.LoseUnsynced();
          std::string again = Life(world, world.disk, numbers, world.setup).End();
          CHECK(again == "");
          for (idx_t t : {0, 1}) {
            CHECK(Ids(world.context(), t) == UpTo(kTotal));
            CHECK(Followed(world.context(), t) == UpTo(kTotal));
          }
          if (!faulty.failed()) break;
        }
      }
    }
  }
  CHECK(failures > runs / 2);
}

TEST_CASE("State that cannot be saved whole makes no checkpoint, and its error is the job's") {
  JobWorld world({.state_bytes = 4 << 20, .save_fails = true});
  Numbers numbers{.total = 100};
  numbers.available = 10;
  Life life(world, world.disk, numbers, world.setup);
  CHECK(life.End().find("half of the state") != std::string::npos);
  CHECK_FALSE(JobFolder(world.disk, "/data/jobs/job").Latest());
  CHECK(Ids(world.context(), 0).empty());
}

TEST_CASE("State waits for the disk up to a limit, and comes whole and in order") {
  constexpr int64_t kMost = 3 << 20;
  constexpr size_t kPieces = 40;
  StateSpool spool(kMost);
  auto executor = MakeThreadExecutor();
  auto saved = executor->Start("save", [&] {
    for (idx_t pipeline : {0, 1}) {
      auto store = spool.Writer(pipeline);
      store->Begin("key", pipeline == 1);
      for (size_t i = 0; i < kPieces; i++) store->Append("key", std::string(300'000, 'a' + i % 26));
      store->Append("key", "end");
      store->Close("key");
    }
    spool.End();
  });
  struct Store : StateStore {
    void Begin(const std::string&, bool follows) override { all += follows ? "follows" : "new"; }
    void Append(const std::string&, std::string_view bytes) override { all += bytes; }
    void Close(const std::string&) override { all += "closed"; }
    std::vector<std::unique_ptr<StateInput>> Open(const std::string&) override { return {}; }
    std::string all;
  };
  Store stores[2];
  while (spool.PeakBytes() < kMost / 2) MakeSystemClock()->SleepMs(1);
  MakeSystemClock()->SleepMs(20);  // It would go on if it could.
  CHECK(spool.PeakBytes() <= kMost);
  CHECK(spool.Drain([&](idx_t pipeline) -> StateStore& { return stores[pipeline]; }));
  saved->Join();
  CHECK(spool.PeakBytes() <= kMost);
  std::string bytes;
  for (size_t i = 0; i < kPieces; i++) bytes += std::string(300'000, 'a' + i % 26);
  CHECK(stores[0].all == "new" + bytes + "endclosed");
  CHECK(stores[1].all == "follows" + bytes + "endclosed");
}

TEST_CASE("Who saves state does not wait for a disk that has failed, nor is it written in part") {
  for (bool drained : {true, false}) {
    StateSpool spool(1 << 20);
    auto executor = MakeThreadExecutor();
    std::atomic<bool> saved{false};
    auto saver = executor->Start("save", [&] {
      auto store = spool.Writer(0);
      store->Begin("key", false);
      for (int i = 0; i < 20; i++) store->Append("key", std::string(1 << 20, 'x'));
      store->Close("key");
      saved = true;
      spool.End();
    });
    struct Full : StateStore {
      void Begin(const std::string&, bool) override {}
      void Append(const std::string&, std::string_view) override {
        Throw(ErrorCode::kIo, "no space");
      }
      void Close(const std::string&) override {}
      std::vector<std::unique_ptr<StateInput>> Open(const std::string&) override { return {}; }
    } full;
    if (drained) {
      CHECK_THROWS_WITH_AS((void)spool.Drain([&](idx_t) -> StateStore& { return full; }),
                           doctest::Contains("no space"), Error);
    } else {
      spool.Abort();
      CHECK_FALSE(spool.Drain([&](idx_t) -> StateStore& { return full; }));
    }
    saver->Join();
    CHECK(saved);
  }
}

TEST_CASE("Rows wait for a writer that is away up to a limit, then their job does") {
  auto executor = MakeThreadExecutor();
  WaitingRows rows(nullptr, 100'000);
  ChangeChunk chunk;
  chunk.Initialize({LogicalType::BIGINT});
  chunk.rows.SetCardinality(1000);
  CHECK_FALSE(rows.Keep(chunk));
  auto loan = rows.Lend();
  int64_t kept = 0;
  std::atomic<bool> back{false}, waited{false};
  auto job = executor->Start("job", [&] {
    for (; rows.Keep(chunk); kept++) chunk.rows.SetValue(0, 0, Value::BIGINT(kept + 1));
    waited = back.load();
  });
  MakeSystemClock()->SleepMs(30);
  back = true;
  loan->Done();
  loan.reset();
  job->Join();
  CHECK(waited);
  CHECK(rows.bytes() <= 100'000);
  CHECK(kept > 5);
  int64_t taken = 0;
  rows.TakeAll([&](ChangeChunk& one) {
    CHECK(one.size() == 1000);
    if (taken > 0) CHECK(one.rows.GetValue(0, 0) == Value::BIGINT(taken));
    taken++;
  });
  CHECK(taken == kept);
  CHECK(rows.bytes() == 0);
  // Who has it away and fails, or gives it up, is told when rows come again.
  for (bool fails : {true, false}) {
    WaitingRows others(nullptr);
    auto lent = others.Lend();
    if (fails) {
      lent->Fail(std::make_exception_ptr(Error(ErrorCode::kIo, "no space")));
    }
    lent.reset();
    CHECK_THROWS_WITH_AS((void)others.Keep(chunk),
                         doctest::Contains(fails ? "no space" : "given up"), Error);
  }
}

}  // namespace millrace
