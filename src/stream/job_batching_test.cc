// Goal: with a latency allowed, a step collects what comes within it, ends early for whoever waits,
// and is replayed in the same order. Method: two sources of numbers that the test lets come in
// turns, a clock that it moves, a dataflow that keeps rows in their order until the step ends, and
// a sink that remembers each step.
#include "io/executor.h"
#include "stream/number_source.h"
#include "table/table_fixture.h"

namespace millrace {

namespace {

constexpr int64_t kLatencyMs = 500;

/// Hands numbers on in the order in which they came, those of the second input as negative ones.
class MergingFlow : public Dataflow {
 public:
  MergingFlow() {
    for (const char* connector : {"numbers", "others"}) {
      TableDefinition definition = TestDefinition(false, false, {{"connector", connector}});
      definition.path.name = connector;
      inputs_.push_back({std::make_shared<const TableDefinition>(definition), {0, 1, 2}});
    }
  }
  const std::vector<SourceTable>& Inputs() const override { return inputs_; }
  const duckdb::vector<std::string>& Names() const override { return names_; }
  const duckdb::vector<LogicalType>& Types() const override { return types_; }
  ChangelogType Start(const std::vector<ChangelogType>&) override { return ChangelogType::kAppend; }
  void Push(idx_t input, ChangeChunk& chunk, const ChangeReceiver&) override {
    for (idx_t i = 0; i < chunk.size(); i++) {
      auto number = chunk.rows.GetValue(0, i).GetValue<int64_t>();
      waiting_.push_back(input == 0 ? number : -1 - number);
    }
  }
  void EndStep(const ChangeReceiver& out) override {
    ChangeChunk made;
    made.Initialize(types_);
    for (idx_t i = 0; i < waiting_.size(); i++) {
      made.rows.SetValue(0, i, Value::BIGINT(waiting_[i]));
    }
    made.rows.SetCardinality(waiting_.size());
    waiting_.clear();
    out(made);
  }
  void Save(StateStore&) override {}
  void Load(StateStore&) override {}
  std::string Fingerprint() const override { return "merge"; }
  std::string Explain() const override { return ""; }
  int64_t StateBytes() const override { return 0; }
  std::vector<OperatorLine> Lines() const override { return {}; }
  const std::string& Chance() const override { return chance_; }
  bool KeepsState() const override { return false; }
  void Trim() override { waiting_.clear(); }

 private:
  std::vector<int64_t> waiting_;
  const duckdb::vector<std::string> names_{"number"};
  const duckdb::vector<LogicalType> types_{LogicalType::BIGINT};
  const std::string chance_;
  std::vector<SourceTable> inputs_;
};

using Steps = std::map<int64_t, std::vector<int64_t>>;

/// Shows each step.
class StepSink : public Sink {
 public:
  explicit StepSink(Steps& steps) : steps_(steps) {}
  ChangelogType Accepts() const override { return ChangelogType::kFull; }
  void Write(ChangeChunk& chunk) override {
    for (idx_t i = 0; i < chunk.size(); i++) {
      rows_.push_back(chunk.rows.GetValue(0, i).GetValue<int64_t>());
    }
  }
  void EndStep(int64_t step) override { steps_[step] = std::exchange(rows_, {}); }
  std::string Prepare(int64_t) override { return ""; }
  std::optional<Published> Commit(int64_t, const std::string&) override { return std::nullopt; }

 private:
  Steps& steps_;
  std::vector<int64_t> rows_;
};

struct BatchingWorld : TestWorld {
  BatchingWorld() {
    numbers.total = others.total = 1000;
    connectors.Register(std::make_unique<NumberConnector>(numbers));
    connectors.Register(std::make_unique<NumberConnector>(others, "others"));
  }
  Numbers numbers, others;
  ConnectorRegistry connectors;
};

/// One life of the job.
struct Life {
  explicit Life(BatchingWorld& world, idx_t step_rows = 100, int64_t interval_ms = 1'000'000)
      : environment{world.disk, world.clock, world.random, TestDatabase(), "/data", std::cout} {
    JobOptions options;
    options.id = options.name = "job";
    options.checkpoint_interval_ms = interval_ms;
    options.step_rows = step_rows;
    options.step_latency_ms = kLatencyMs;
    Pipeline pipeline;
    pipeline.target = "t";
    pipeline.flow = std::make_unique<MergingFlow>();
    pipeline.sink = std::make_unique<StepSink>(steps);
    std::vector<Pipeline> pipelines;
    pipelines.push_back(std::move(pipeline));
    job = std::make_unique<Job>(environment, world.connectors, std::move(pipelines), options,
                                std::make_unique<JobFolder>(world.disk, "/data/jobs/job"));
    task = executor->Start("job", [this] { job->Run(); });
  }
  void AwaitSteps(int64_t count) const {
    while (job->Statistics().steps < count && job->State() <= JobState::kRunning) {
      MakeSystemClock()->SleepMs(1);
    }
    CHECK(job->Statistics().steps == count);
  }
  void End(bool killed) {
    killed ? job->Abandon() : job->Cancel();
    task->Join();
    CHECK_FALSE(job->Failure());
  }

  Environment environment;
  Steps steps;
  std::unique_ptr<Executor> executor = MakeThreadExecutor();
  std::unique_ptr<Job> job;
  std::unique_ptr<Task> task;
};

void Let(Numbers& which, int64_t more, const Life& life) {
  int64_t before = life.job->Statistics().rows_in;
  which.available += more;
  AwaitRows(*life.job, before + more);
}

}  // namespace

TEST_CASE("A step collects what comes within its time, and replay keeps the order") {
  BatchingWorld world;
  Life life(world);
  life.AwaitSteps(1);  // The first shows what is there: nothing.
  Let(world.numbers, 2, life);
  Let(world.others, 3, life);
  Let(world.numbers, 1, life);
  CHECK(life.job->Statistics().steps == 1);
  world.clock.AdvanceMs(kLatencyMs);
  life.AwaitSteps(2);
  CHECK(life.steps[2] == std::vector<int64_t>{0, 1, -1, -2, -3, 2});
  // Rows of the next step come with nobody waiting for more of them.
  Let(world.others, 1, life);
  Let(world.numbers, 1, life);
  world.clock.AdvanceMs(kLatencyMs);
  life.AwaitSteps(3);
  CHECK(life.steps[3] == std::vector<int64_t>{-4, 3});
  // Read, not shown: what a kill leaves.
  Let(world.numbers, 4, life);
  Steps shown = life.steps;
  life.End(true);
  CHECK(life.steps == shown);

  Life again(world);
  again.AwaitSteps(3);
  AwaitRows(*again.job, 12);
  CHECK(again.steps == shown);
  world.clock.AdvanceMs(kLatencyMs);
  again.AwaitSteps(4);
  CHECK(again.steps[4] == std::vector<int64_t>{4, 5, 6, 7});
  again.End(false);
}

TEST_CASE("A step does not wait when it is full, or when somebody waits for it") {
  BatchingWorld world;
  Life life(world, 5);
  life.AwaitSteps(1);
  Let(world.numbers, 2, life);  // Each source gives half of a step at a time.
  Let(world.numbers, 2, life);
  Let(world.others, 1, life);
  life.AwaitSteps(2);
  CHECK(life.steps[2] == std::vector<int64_t>{0, 1, 2, 3, -1});
  Let(world.others, 1, life);
  CHECK(life.job->WaitUntilIdle());
  life.AwaitSteps(3);
  Let(world.others, 1, life);
  CHECK(life.job->CheckpointNow());
  life.AwaitSteps(4);
  CHECK(life.steps[4] == std::vector<int64_t>{-3});
  Let(world.others, 1, life);
  life.End(false);  // A stop ends the step, too, and keeps it.
  CHECK(life.steps[5] == std::vector<int64_t>{-4});
  CHECK(JobFolder(world.disk, "/data/jobs/job").Latest()->step == 5);
}

TEST_CASE("A step ends where a checkpoint is due") {
  BatchingWorld world;
  Life life(world, 100, kLatencyMs / 5);
  life.AwaitSteps(1);
  world.clock.AdvanceMs(kLatencyMs / 5);
  while (life.job->Statistics().checkpoints < 1) MakeSystemClock()->SleepMs(1);
  Let(world.numbers, 1, life);
  world.clock.AdvanceMs(kLatencyMs / 5);
  life.AwaitSteps(2);
  while (life.job->Statistics().checkpoints < 2) MakeSystemClock()->SleepMs(1);
  life.End(false);
}

}  // namespace millrace
