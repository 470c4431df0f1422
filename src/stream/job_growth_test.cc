// Goal: with state on disk a job takes more rows a step, as its journal says, and after a kill
// replays those steps row by row as they were. Method: a real dataflow in shards whose state may
// not stay in memory, fed by numbers; the steps that a sink saw in one life and in the next.
#include <filesystem>

#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "io/executor.h"
#include "io/worker_pool.h"
#include "stream/feed_tables.h"
#include "stream/number_source.h"
#include "stream/state_memory.h"
#include "table/table_fixture.h"

namespace millrace {

namespace {

constexpr idx_t kStepRows = 8192;
constexpr idx_t kInputRows = 16 << 10;

/// Of each step a hash over its rows in order, and how many they were.
struct StepSeen {
  uint64_t hash = 0;
  idx_t rows = 0;
  bool operator==(const StepSeen&) const = default;
};
using StepsSeen = std::map<int64_t, StepSeen>;

class HashSink : public Sink {
 public:
  explicit HashSink(StepsSeen& steps) : steps_(steps) {}
  ChangelogType Accepts() const override { return ChangelogType::kFull; }
  void Write(ChangeChunk& chunk) override {
    for (idx_t i = 0; i < chunk.size(); i++) {
      uint64_t row = static_cast<uint64_t>(chunk.KindOf(i)) + 1;
      for (idx_t c = 0; c < chunk.rows.ColumnCount(); c++) {
        row = row * 1099511628211u + chunk.rows.GetValue(c, i).Hash();
      }
      seen_.hash = seen_.hash * 1099511628211u + row;
    }
    seen_.rows += chunk.size();
  }
  void EndStep(int64_t step) override { steps_[step] = std::exchange(seen_, {}); }
  std::string Prepare(int64_t) override { return ""; }
  std::optional<Published> Commit(int64_t, const std::string&) override { return std::nullopt; }

 private:
  StepsSeen& steps_;
  StepSeen seen_;
};

struct GrowthWorld : TestWorld {
  GrowthWorld() {
    numbers.total = 1'000'000'000;
    connectors.Register(std::make_unique<NumberConnector>(numbers));
    auto definition = std::make_shared<TableDefinition>(
        TestDefinition(false, false, {{"connector", "numbers"}}));
    definition->path.name = "numbers";
    FeedTables::Register(*database.instance);
    FeedTables::Add(definition);
  }
  Numbers numbers;
  ConnectorRegistry connectors;
  duckdb::DuckDB database{nullptr};
};

struct Life {
  explicit Life(GrowthWorld& world, idx_t threads)
      : environment{world.disk, world.clock, world.random, TestDatabase(), "/data", std::cout},
        connection(world.database),
        memory(StateMemoryOptions{.folder = std::filesystem::temp_directory_path(),
                                  .limit_bytes = 0,
                                  .extent_bytes = 32 << 10}),
        workers(*executor, "worker", threads) {
    DataflowOptions of_flow;
    of_flow.memory = &memory;
    of_flow.shards = 4;
    of_flow.threads = threads;
    of_flow.workers = &workers;
    of_flow.input_rows = kInputRows;
    Pipeline pipeline;
    pipeline.target = "t";
    pipeline.flow = Dataflow::Compile(
        *connection.context,
        "SELECT id * 7919 % 30000 AS k, count(*), max(part), max(value) FROM feed('numbers') GROUP "
        "BY ALL",
        of_flow);
    pipeline.sink = std::make_unique<HashSink>(steps);
    std::vector<Pipeline> pipelines;
    pipelines.push_back(std::move(pipeline));
    JobOptions options;
    options.id = options.name = "job";
    options.checkpoint_interval_ms = 1'000'000;
    options.step_rows = kStepRows;
    job = std::make_unique<Job>(environment, world.connectors, std::move(pipelines), options,
                                std::make_unique<JobFolder>(world.disk, "/data/jobs/job"));
    task = executor->Start("job", [this] { job->Run(); });
  }
  void End(bool killed) {
    killed ? job->Abandon() : job->Cancel();
    task->Join();
    CHECK_FALSE(job->Failure());
  }

  Environment environment;
  StepsSeen steps;
  std::unique_ptr<Executor> executor = MakeThreadExecutor();
  duckdb::Connection connection;
  StateMemory memory;
  WorkerPool workers;
  std::unique_ptr<Job> job;
  std::unique_ptr<Task> task;
};

}  // namespace

TEST_CASE("Steps grow with state on disk, and a kill repeats them row by row") {
  GrowthWorld world;
  auto life = std::make_unique<Life>(world, 2);
  for (int64_t rows : {40'000, 120'000, 200'000}) {
    world.numbers.available = rows;
    AwaitRows(*life->job, rows);
    REQUIRE(life->job->WaitUntilIdle());
  }
  idx_t most = 0;
  for (auto& [step, seen] : life->steps) most = std::max(most, seen.rows);
  CHECK(most > 4 * kStepRows);  // In rounds, too: more than kInputRows.
  life->End(true);
  const StepsSeen shown = life->steps;
  life.reset();

  Life again(world, 3);  // Another number of threads changes nothing.
  AwaitRows(*again.job, 200'000);
  REQUIRE(again.job->WaitUntilIdle());
  for (auto& [step, seen] : shown) {
    CAPTURE(step);
    CHECK(again.steps[step] == seen);
  }
  again.End(false);
}

}  // namespace millrace
