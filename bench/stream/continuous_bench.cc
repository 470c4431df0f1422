// continuous_bench.cc - one workload of the benchmark of continuous queries (README.md).
//
//   continuous_bench throughput query=Q rows=N [memory=BYTES] [folder=F] [step=ROWS]
//                               [threads=T] [shards=P]
//   continuous_bench batch      query=Q rows=N [threads=T]
//   continuous_bench latency    query=Q rows=N [changes=C]
//   continuous_bench checkpoint query=Q rows=N [memory=BYTES] [threads=T] folder=F
//
// Prints a line of JSON.
#include <bit>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "base/error.h"
#include "duckdb/main/appender.hpp"
#include "duckdb/main/database.hpp"
#include "io/file_system.h"
#include "io/worker_pool.h"
#include "measure.h"
#include "queries.h"
#include "stream/checkpoint_run.h"
#include "stream/dataflow.h"
#include "stream/shard_plan.h"
#include "stream/state_memory.h"

namespace millrace {
namespace {

/// Of all memory, state may hold this share, as in the program (docs/ARCHITECTURE.md).
int64_t StateShare(int64_t memory) {
  return memory / 16 * 9;
}

/// Resident memory of the process now; the peak of it is in the report.
double ResidentMegabytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t pages = 0;
  statm >> pages >> pages;
  return static_cast<double>(pages) * 4096 / 1e6;
}

/// A dataflow and its tables, fed by the numbers of their rows.
class Bench {
 public:
  explicit Bench(const Arguments& arguments)
      : rows_(arguments.Number("rows", 1'000'000)),
        query_(MakeBenchQuery(arguments.Text("query", "sums"), rows_)),
        step_(arguments.Number("step", 100'000)),
        threads_(static_cast<idx_t>(arguments.Number("threads", 1))),
        shards_(static_cast<idx_t>(arguments.Number(
            "shards", static_cast<int64_t>(ShardsFor(std::max<idx_t>(2, threads_)))))),
        executor_(MakeThreadExecutor()),
        workers_(std::make_unique<WorkerPool>(*executor_, "worker", threads_ - 1)),
        database_(nullptr),
        connection_(database_) {
    int64_t memory = arguments.Number("memory", 0);
    std::string folder = arguments.Text("folder", std::filesystem::temp_directory_path().string());
    std::filesystem::create_directories(folder);
    memory_ = std::make_unique<StateMemory>(StateMemoryOptions{
        .folder = folder, .limit_bytes = memory ? StateShare(memory) : INT64_MAX});
    ShowTables(connection_, query_);
  }

  std::unique_ptr<Dataflow> Compile(ChangelogType type) {
    DataflowOptions options;
    options.memory = memory_.get();
    options.shards = shards_;
    options.threads = threads_;
    options.workers = workers_.get();
    auto flow = Dataflow::Compile(*connection_.context, query_.sql, options);
    flow->Start(std::vector<ChangelogType>(flow->Inputs().size(), type));
    return flow;
  }

  const BenchTable& TableOf(const Dataflow& flow, idx_t input) const {
    for (auto& table : query_.tables) {
      if (table.name == flow.Inputs()[input].definition->path.name) return table;
    }
    Throw(ErrorCode::kInvalid, "an input that is no table of the query");
  }

  /// Pushes rows of a table, all of one kind.
  void Push(Dataflow& flow, idx_t input, int64_t begin, idx_t count, RowKind kind) {
    auto& columns = flow.Inputs()[input].columns;
    ChangeChunk chunk;
    chunk.Initialize(duckdb::vector<LogicalType>(columns.size(), LogicalType::BIGINT));
    FillRows(TableOf(flow, input), begin, count, columns, chunk.rows);
    if (kind != RowKind::kInsert) chunk.kinds.assign(count, kind);
    flow.Push(input, chunk, Receiver());
  }

  /// All rows of all tables, in turns, in steps: as many rows as a job would read at once.
  void Load(Dataflow& flow) {
    int64_t in_step = 0, pushed = -1, step = step_;
    auto begin_step = [&] {
      idx_t wanted = flow.WantedRows();
      flow.BeginStep(wanted);
      step = std::max(step_, static_cast<int64_t>(wanted));
    };
    for (int64_t begin = 0; pushed != 0; begin += kChunkRows) {
      pushed = 0;
      for (idx_t input = 0; input < flow.Inputs().size(); input++) {
        int64_t left = TableOf(flow, input).rows - begin;
        if (left <= 0) continue;
        auto count = static_cast<idx_t>(std::min<int64_t>(left, kChunkRows));
        Push(flow, input, begin, count, RowKind::kInsert);
        pushed += static_cast<int64_t>(count);
      }
      in_step += pushed;
      if (in_step < step && pushed > 0) continue;
      flow.EndStep(Receiver());
      begin_step();
      in_step = 0;
    }
  }

  ChangeReceiver Receiver() {
    return [this](ChangeChunk& chunk) {
      changes_ += static_cast<int64_t>(chunk.size());
      for (idx_t i = 0; i < chunk.size(); i++) net_rows_ += Weight(chunk.KindOf(i));
    };
  }

  int64_t AllRows() const {
    int64_t all = 0;
    for (auto& table : query_.tables) all += table.rows;
    return all;
  }

  void Describe(const Dataflow& flow, Report& report) const {
    auto used = memory_->Used();
    report.fields()["rows_out"] = net_rows_;
    report.fields()["changes_out"] = changes_;
    report.fields()["state_mb"] = flow.StateBytes() / 1'000'000;
    report.fields()["state_on_disk_mb"] = used.disk_bytes / 1'000'000;
    report.fields()["resident_mb"] = std::round(ResidentMegabytes());
  }

  void Throughput() {
    Report report("throughput");
    auto flow = Compile(ChangelogType::kAppend);
    report.Start();
    Load(*flow);
    report.Stop();
    Describe(*flow, report);
    report.Print(AllRows());
  }

  void Batch(int64_t threads);
  void Latency(int64_t changes);
  void Checkpoints(const std::string& folder);

 private:
  /// Replaces every hundredth row of the first table by another one.
  int64_t ChangeOneInHundred(Dataflow& flow);
  /// How long a checkpoint took, and for how long its job was held up.
  struct Saved {
    double seconds = 0, held = 0;
  };
  Saved Save(JobFolder& folder, Dataflow& flow, int64_t id, StatePieces& pieces);

  const int64_t rows_;
  const BenchQuery query_;
  const int64_t step_;
  const idx_t threads_;
  const idx_t shards_;
  const std::unique_ptr<Executor> executor_;
  const std::unique_ptr<WorkerPool> workers_;
  duckdb::DuckDB database_;
  duckdb::Connection connection_;
  std::unique_ptr<StateMemory> memory_;
  int64_t changes_ = 0, net_rows_ = 0;
};

/// DuckDB's batch computing the query once, over tables of its own that are there already.
void Bench::Batch(int64_t threads) {
  duckdb::DuckDB database(nullptr);
  duckdb::Connection connection(database);
  if (threads > 0) connection.Query("SET threads = " + std::to_string(threads));
  for (auto& table : query_.tables) {
    std::string columns;
    std::vector<idx_t> numbers;
    for (auto& column : table.columns) {
      columns += (columns.empty() ? "" : ", ") + column + " BIGINT";
      numbers.push_back(numbers.size());
    }
    connection.Query("CREATE TABLE " + table.name + " (" + columns + ")");
    duckdb::Appender appender(connection, table.name);
    DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(),
                     duckdb::vector<LogicalType>(numbers.size(), LogicalType::BIGINT));
    for (int64_t begin = 0; begin < table.rows; begin += kChunkRows) {
      chunk.Reset();
      auto count = static_cast<idx_t>(std::min<int64_t>(table.rows - begin, kChunkRows));
      FillRows(table, begin, count, numbers, chunk);
      appender.AppendDataChunk(chunk);
    }
    appender.Close();
  }
  Report report("batch");
  report.Start();
  // Not counted by SQL, which would let columns be left out.
  auto result = connection.SendQuery(query_.sql);
  int64_t rows = 0;
  while (auto chunk = result->Fetch()) rows += static_cast<int64_t>(chunk->size());
  if (result->HasError()) result->ThrowError();
  report.Stop();
  report.fields()["rows_out"] = rows;
  report.Print(AllRows());
}

/// One change a step: how long until all that it changes has come out.
void Bench::Latency(int64_t changes) {
  auto flow = Compile(ChangelogType::kFull);
  Load(*flow);
  Report report("latency");
  std::vector<double> milliseconds;
  int64_t silent = 0;
  report.Start();
  for (int64_t i = 0; i < changes; i++) {
    int64_t before = changes_;
    // A row goes, and comes again.
    int64_t row = i / 2 * 7919 % TableOf(*flow, 0).rows;
    double start = WallSeconds();
    Push(*flow, 0, row, 1, i % 2 ? RowKind::kInsert : RowKind::kDelete);
    flow->EndStep(Receiver());
    milliseconds.push_back((WallSeconds() - start) * 1e3);
    if (changes_ == before) silent++;
  }
  report.Stop();
  std::sort(milliseconds.begin(), milliseconds.end());
  report.fields()["p50_ms"] = Percentile(milliseconds, 0.5);
  report.fields()["p99_ms"] = Percentile(milliseconds, 0.99);
  report.fields()["without_output"] = silent;
  Describe(*flow, report);
  report.Print(changes);
}

int64_t Bench::ChangeOneInHundred(Dataflow& flow) {
  int64_t rows = TableOf(flow, 0).rows;
  int64_t changed = 0;
  for (int64_t row = 0; row < rows; row += 100) {
    Push(flow, 0, row, 1, RowKind::kDelete);
    Push(flow, 0, rows + row, 1, RowKind::kInsert);
    changed++;
  }
  flow.EndStep(Receiver());
  return changed;
}

Bench::Saved Bench::Save(JobFolder& folder, Dataflow& flow, int64_t id, StatePieces& pieces) {
  double start = WallSeconds();
  CheckpointParts parts;
  parts.checkpoint.id = id;
  parts.checkpoint.fingerprints = {flow.Fingerprint()};
  parts.checkpoint.input_types = {
      std::vector<ChangelogType>(flow.Inputs().size(), ChangelogType::kFull)};
  parts.prepare = {[] { return std::string(); }};
  parts.pieces = {pieces};
  parts.conclude = [&](const Checkpoint& checkpoint) { folder.Publish(checkpoint); };
  parts.ended = [] {};
  CheckpointRun run(folder, std::move(parts));
  flow.Save(*run.State(0));
  run.EndState();
  double held = WallSeconds() - start;
  pieces = run.Finish().state.at(0);
  return {WallSeconds() - start, held};
}

/// Checkpoints as a job makes them, then what a restarted job does until it can read on.
void Bench::Checkpoints(const std::string& folder) {
  auto files = MakeLocalFileSystem();
  std::string at = folder + "/job";
  std::filesystem::remove_all(at);
  Report report("checkpoint");
  StatePieces pieces;
  Saved whole, change;
  int64_t rows_changed = 0;
  {
    auto flow = Compile(ChangelogType::kFull);
    Load(*flow);
    JobFolder job(*files, at);
    job.Lock();
    whole = Save(job, *flow, 1, pieces);
    rows_changed = ChangeOneInHundred(*flow);
    change = Save(job, *flow, 2, pieces);
    Describe(*flow, report);
  }
  report.Start();
  double start = WallSeconds();
  JobFolder job(*files, at);
  job.Lock();
  auto latest = job.Latest();
  if (!latest) Throw(ErrorCode::kInvalid, "there is no checkpoint");
  auto flow = Compile(ChangelogType::kFull);
  auto state = job.State(latest->id, 0, latest->state.at(0));
  flow->Load(*state);
  double restart = WallSeconds() - start;
  report.Stop();
  uintmax_t bytes = 0;
  for (auto& entry : std::filesystem::recursive_directory_iterator(at)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  auto rounded = [](double seconds) { return std::round(seconds * 1000) / 1000; };
  report.fields()["first_s"] = rounded(whole.seconds);
  report.fields()["first_held_s"] = rounded(whole.held);
  report.fields()["change_s"] = rounded(change.seconds);
  report.fields()["change_held_s"] = rounded(change.held);
  report.fields()["rows_changed"] = rows_changed;
  report.fields()["restart_s"] = rounded(restart);
  report.fields()["files_mb"] = bytes / 1'000'000;
  report.fields()["restored_mb"] = flow->StateBytes() / 1'000'000;
  report.Print(AllRows());
}

int Main(int argc, char** argv) {
  Arguments arguments(argc, argv);
  std::string workload = argc > 1 ? argv[1] : "";
  try {
    Bench bench(arguments);
    if (workload == "throughput") {
      bench.Throughput();
    } else if (workload == "batch") {
      bench.Batch(arguments.Number("threads", 0));
    } else if (workload == "latency") {
      bench.Latency(arguments.Number("changes", 10'000));
    } else if (workload == "checkpoint") {
      bench.Checkpoints(arguments.Text("folder", "continuous-bench"));
    } else {
      Throw(ErrorCode::kNotFound, "no workload '{}': throughput, batch, latency, checkpoint",
            workload);
    }
  } catch (const std::exception& failure) {
    std::cerr << ErrorFrom(failure).text() << "\n";
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  return millrace::Main(argc, argv);
}
