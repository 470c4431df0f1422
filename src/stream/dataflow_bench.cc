// dataflow_bench.cc - rows per CPU second of the hot operators: grouped sums, and facts joined to a
// dimension; and what they lose when their state is ten times the memory that it may hold
// (`dataflow_bench disk [MILLIONS] [FOLDER]`: rows per second of the clock); and what shards and
// threads bring, and sums before rows move (`dataflow_bench threads [SHARDS] [THREADS] [PART OF
// NAME]`: clock and CPU time, the best of five turns); and joins by one key as one operator, beside
// joins of two each (`dataflow_bench joins [PART OF NAME]`: CPU time of the best of three turns).
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <random>

#include "base/error.h"
#include "duckdb/main/connection.hpp"
#include "io/worker_pool.h"
#include "stream/dataflow.h"
#include "stream/feed_tables.h"
#include "stream/state_memory.h"

namespace millrace {
namespace {

/// CPU time, so that neighbours on the machine do not count.
double Seconds(clockid_t clock = CLOCK_THREAD_CPUTIME_ID) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

void Fill(ChangeChunk& chunk, std::mt19937_64& random, uint64_t keys) {
  chunk.Reset();
  for (idx_t column = 0; column < chunk.rows.ColumnCount(); column++) {
    auto data = duckdb::FlatVector::GetData<int64_t>(chunk.rows.data[column]);
    for (idx_t i = 0; i < kChunkRows; i++)
      data[i] = static_cast<int64_t>(random() % (column ? 1000 : keys));
  }
  chunk.rows.SetCardinality(kChunkRows);
}

void Measure(duckdb::Connection& connection, const char* name, const std::string& sql,
             ChangelogType type, bool deletes, idx_t step_chunks) {
  auto flow = Dataflow::Compile(*connection.context, sql, {});
  std::vector<ChangelogType> types(flow->Inputs().size(), type);
  idx_t fact = 0;
  for (idx_t i = 0; i < types.size(); i++) {
    if (flow->Inputs()[i].definition->path.name == "fact") fact = i;
  }
  flow->Start(types);
  int64_t emitted = 0;
  ChangeReceiver out = [&](ChangeChunk& chunk) { emitted += static_cast<int64_t>(chunk.size()); };
  std::mt19937_64 random(1);
  ChangeChunk chunk;
  for (idx_t input = 0; input < types.size(); input++) {
    if (input == fact) continue;
    duckdb::vector<LogicalType> columns(flow->Inputs()[input].columns.size(), LogicalType::BIGINT);
    chunk.Initialize(columns);
    for (int64_t start = 0; start < 100'000; start += kChunkRows) {
      chunk.Reset();
      for (idx_t column = 0; column < columns.size(); column++) {
        auto data = duckdb::FlatVector::GetData<int64_t>(chunk.rows.data[column]);
        for (idx_t i = 0; i < kChunkRows; i++) data[i] = start + static_cast<int64_t>(i);
      }
      chunk.rows.SetCardinality(kChunkRows);
      flow->Push(input, chunk, out);
    }
    flow->EndStep(out);
  }
  duckdb::vector<LogicalType> columns(flow->Inputs()[fact].columns.size(), LogicalType::BIGINT);
  std::vector<ChangeChunk> chunks(64);
  for (auto& made : chunks) {
    made.Initialize(columns);
    Fill(made, random, 100'000);
  }
  idx_t rounds = 32;
  double start = Seconds();
  idx_t pushed = 0;
  for (idx_t round = 0; round < rounds; round++) {
    for (auto& made : chunks) {
      // Every second round takes back what the one before brought.
      if (deletes && round % 2 == 1)
        made.kinds.assign(made.size(), RowKind::kDelete);
      else
        made.kinds.clear();
      flow->Push(fact, made, out);
      if (++pushed % step_chunks == 0) flow->EndStep(out);
    }
  }
  flow->EndStep(out);
  double seconds = Seconds() - start;
  std::printf("%-44s %6.2f M rows/s, %5.1f MB state, %lld changes out\n", name,
              static_cast<double>(pushed * kChunkRows) / seconds / 1e6,
              static_cast<double>(flow->StateBytes()) / 1e6, static_cast<long long>(emitted));
}

struct OnDisk {
  const char* name;
  std::string sql;
  ChangelogType type;
  bool recent;  // Keys come again soon or never; else any key at any time.
};

struct Outcome {
  double rows_per_second = 0;
  double megabytes = 0;
};

/// Feeds `rows` facts, of as many keys as rows or (recent) of a window that moves on.
Outcome FeedFacts(duckdb::Connection& connection, const OnDisk& what, int64_t rows,
                  StateMemory* memory) {
  DataflowOptions options;
  options.memory = memory;
  auto flow = Dataflow::Compile(*connection.context, what.sql, options);
  flow->Start(std::vector<ChangelogType>(flow->Inputs().size(), what.type));
  ChangeReceiver out = [](ChangeChunk&) {};
  std::mt19937_64 random(1);
  ChangeChunk chunk;
  chunk.Initialize(
      duckdb::vector<LogicalType>(flow->Inputs()[0].columns.size(), LogicalType::BIGINT));
  constexpr int64_t kWindow = 200'000;
  double start = Seconds(CLOCK_MONOTONIC);
  for (int64_t done = 0; done < rows; done += kChunkRows) {
    chunk.Reset();
    for (idx_t column = 0; column < chunk.rows.ColumnCount(); column++) {
      auto data = duckdb::FlatVector::GetData<int64_t>(chunk.rows.data[column]);
      for (idx_t i = 0; i < kChunkRows; i++) {
        auto pick = static_cast<int64_t>(random() >> 1);
        int64_t key = what.recent ? done / 2 + pick % kWindow : pick % (rows / 2);
        data[i] = column ? pick % 1000 : key;
      }
    }
    chunk.rows.SetCardinality(kChunkRows);
    flow->Push(0, chunk, out);
    if (done / kChunkRows % 49 == 48) flow->EndStep(out);
  }
  flow->EndStep(out);
  double seconds = Seconds(CLOCK_MONOTONIC) - start;
  return {static_cast<double>(rows) / seconds, static_cast<double>(flow->StateBytes()) / 1e6};
}

void RunOnDisk(duckdb::Connection& connection, int64_t rows, const std::string& folder) {
  const std::string sums = "SELECT k, sum(v), count(*) FROM fact GROUP BY k";
  const std::string join =
      "SELECT a.k, a.v, b.v FROM fact a JOIN fact b ON a.k = b.k AND a.v < b.v";
  for (const OnDisk& what :
       {OnDisk{"sums by key, keys of the moment", sums, ChangelogType::kFull, true},
        OnDisk{"sums by key, any key at any time", sums, ChangelogType::kFull, false},
        OnDisk{"join with itself, keys of the moment", join, ChangelogType::kAppend, true},
        OnDisk{"join with itself, any key at any time", join, ChangelogType::kAppend, false}}) {
    Outcome whole = FeedFacts(connection, what, rows, nullptr);
    auto limit = static_cast<int64_t>(whole.megabytes * 1e5);
    StateMemory memory({.folder = folder, .limit_bytes = limit});
    Outcome spilled = FeedFacts(connection, what, rows, &memory);
    std::printf(
        "%-40s %6.0f MB state: in memory %5.2f M rows/s, a tenth in memory %5.2f (%3.0f%%)\n",
        what.name, whole.megabytes, whole.rows_per_second / 1e6, spilled.rows_per_second / 1e6,
        100 * spilled.rows_per_second / whole.rows_per_second);
    std::fflush(stdout);
  }
}

struct Times {
  double clock = 0;
  double cpu = 0;  // Of all threads.
};

/// Feeds `steps` steps of `step_chunks` chunks; of the keys `hot_percent` % are one.
Times FeedSteps(duckdb::Connection& connection, const std::string& sql,
                const DataflowOptions& options, idx_t step_chunks, idx_t steps, int hot_percent) {
  auto flow = Dataflow::Compile(*connection.context, sql, options);
  idx_t inputs = flow->Inputs().size();
  flow->Start(std::vector<ChangelogType>(inputs, ChangelogType::kFull));
  ChangeReceiver out = [](ChangeChunk&) {};
  std::mt19937_64 random(1);
  std::vector<std::vector<ChangeChunk>> chunks(inputs);
  for (idx_t i = 0; i < inputs; i++) {
    chunks[i] = std::vector<ChangeChunk>(64);
    for (auto& made : chunks[i]) {
      made.Initialize(
          duckdb::vector<LogicalType>(flow->Inputs()[i].columns.size(), LogicalType::BIGINT));
      Fill(made, random, 100'000);
      auto keys = duckdb::FlatVector::GetData<int64_t>(made.rows.data[0]);
      for (idx_t row = 0; row < kChunkRows; row++) {
        if (static_cast<int>(row % 10) * 10 < hot_percent) keys[row] = 7;
      }
    }
  }
  double clock = Seconds(CLOCK_MONOTONIC), cpu = Seconds(CLOCK_PROCESS_CPUTIME_ID);
  idx_t pushed = 0;
  for (idx_t step = 0; step < steps; step++) {
    for (idx_t chunk = 0; chunk < step_chunks; chunk++, pushed++) {
      idx_t input = pushed % inputs, at = pushed / inputs;
      ChangeChunk& next = chunks[input][at % 64];
      // Every second round takes back what the one before brought.
      next.kinds.assign(at / 64 % 2 ? kChunkRows : 0, RowKind::kDelete);
      flow->Push(input, next, out);
    }
    flow->EndStep(out);
  }
  return {Seconds(CLOCK_MONOTONIC) - clock, Seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu};
}

struct ThreadsCase {
  const char* name;
  std::string sql;
  int hot_percent;  // Of the rows have one key.
};

std::vector<ThreadsCase> ThreadsCases() {
  const std::string sums = "SELECT k, sum(v), count(*), min(v) FROM fact GROUP BY k";
  const std::string join =
      "SELECT d.v, sum(f.v), count(*) FROM fact f JOIN dimension d ON f.k = d.k GROUP BY d.v";
  return {{"sum, count, min by 100k keys", sums, 0},
          {"same, 40 % of rows one key", sums, 40},
          {"same, 90 % of rows one key", sums, 90},
          {"sum, count by 1000 keys", "SELECT v, sum(k), count(*) FROM fact GROUP BY v", 0},
          {"sum and count of all", "SELECT sum(v), count(*) FROM fact", 0},
          {"same, of filtered rows",
           "SELECT sum(v * 31 % 17), count(*) FROM fact WHERE k % 7 <> 3 AND v * 31 % 17 <> 5", 0},
          {"two-way join and sum", join, 0}};
}

/// The best of some turns, of which each takes all ways: neighbours disturb them alike.
void RunThreads(duckdb::Connection& connection, idx_t shards, idx_t threads, const char* part) {
  auto executor = MakeThreadExecutor();
  WorkerPool workers(*executor, "worker", threads - 1);
  constexpr int kWays = 5;
  const char* const names[kWays] = {"1 shard", "1 thread, one phase", "1 thread",
                                    "threads, one phase", "threads"};
  DataflowOptions ways[kWays];
  for (int i = 1; i < kWays; i++) {
    ways[i].shards = shards;
    ways[i].threads = i < 3 ? 1 : threads;
    ways[i].workers = &workers;
    if (i % 2 == 1) ways[i].aggregate_phases = AggregatePhases::kOne;
  }
  for (const ThreadsCase& what : ThreadsCases()) {
    if (std::strstr(what.name, part) == nullptr) continue;
    for (idx_t step_chunks : {49, 1}) {
      idx_t steps = step_chunks == 1 ? 1500 : 40;
      Times best[kWays];
      for (int turn = 0; turn < 5; turn++) {
        for (int i = 0; i < kWays; i++) {
          Times took =
              FeedSteps(connection, what.sql, ways[i], step_chunks, steps, what.hot_percent);
          if (turn == 0 || took.clock < best[i].clock) best[i].clock = took.clock;
          if (turn == 0 || took.cpu < best[i].cpu) best[i].cpu = took.cpu;
        }
      }
      std::printf("%-30s steps of %6llu rows:", what.name,
                  static_cast<unsigned long long>(step_chunks * kChunkRows));
      for (int i = 0; i < kWays; i++) {
        std::printf(" %s %.3f s (cpu %.3f)%s", names[i], best[i].clock, best[i].cpu,
                    i + 1 < kWays ? "," : "\n");
      }
      std::fflush(stdout);
    }
  }
}

struct JoinsCase {
  const char* name;
  std::vector<const char*> joins;  // Of t0 with t1, and so on.
  int64_t keys;
  int64_t rows_of_key;
  int64_t sparse = 1;  // t1 has rows of every so manieth key.
};

struct JoinsOutcome {
  double filling = 0, updating = 0;  // Seconds.
  double megabytes = 0;
  int64_t emitted = 0;
};

/// Fills tables t0 and so on key by key, then changes rows of random tables and keys.
JoinsOutcome FeedJoins(duckdb::Connection& connection, const JoinsCase& what, bool multi_joins,
                       idx_t step_chunks) {
  const idx_t tables = what.joins.size() + 1;
  std::string sql = "SELECT t0.k, t0.v", from = " FROM t0";
  for (idx_t t = 1; t < tables; t++) {
    sql += fmt::format(", t{}.v", t);
    from += fmt::format(" {} JOIN t{} ON t0.k = t{}.k", what.joins[t - 1], t, t);
  }
  DataflowOptions options;
  options.rules.multi_joins = multi_joins;
  auto flow = Dataflow::Compile(*connection.context, sql + from, options);
  flow->Start(std::vector<ChangelogType>(tables, ChangelogType::kFull));
  JoinsOutcome outcome;
  ChangeReceiver out = [&](ChangeChunk& chunk) {
    outcome.emitted += static_cast<int64_t>(chunk.size());
  };
  std::vector<ChangeChunk> chunks(tables);
  for (ChangeChunk& chunk : chunks) chunk.Initialize({LogicalType::BIGINT, LogicalType::BIGINT});
  idx_t pushed = 0;
  auto push = [&](idx_t t) {
    flow->Push(t, chunks[t], out);
    chunks[t].Reset();
    if (++pushed % step_chunks == 0) flow->EndStep(out);
  };
  auto add = [&](idx_t t, RowKind kind, int64_t key, int64_t value) {
    ChangeChunk& chunk = chunks[t];
    idx_t row = chunk.rows.size();
    duckdb::FlatVector::GetData<int64_t>(chunk.rows.data[0])[row] = key;
    duckdb::FlatVector::GetData<int64_t>(chunk.rows.data[1])[row] = value;
    chunk.rows.SetCardinality(row + 1);
    chunk.kinds.push_back(kind);
    if (row + 1 == kChunkRows) push(t);
  };
  double start = Seconds();
  std::vector<std::vector<int64_t>> values(tables);
  for (idx_t t = 0; t < tables; t++) {
    for (int64_t row = 0; row < what.keys * what.rows_of_key; row++) {
      values[t].push_back(row);
      if (t == 1 && row / what.rows_of_key % what.sparse != 0) continue;
      add(t, RowKind::kInsert, row / what.rows_of_key, row);
    }
    push(t);
  }
  flow->EndStep(out);
  outcome.filling = Seconds() - start;
  std::mt19937_64 random(1);
  start = Seconds();
  for (idx_t i = 0; i < 400'000 / static_cast<idx_t>(what.rows_of_key * what.rows_of_key); i++) {
    idx_t t = random() % tables;
    if (t == 1 && what.sparse > 1) t = 0;
    auto row = static_cast<int64_t>(random() % values[t].size());
    int64_t& value = values[t][static_cast<size_t>(row)];
    add(t, RowKind::kUpdateBefore, row / what.rows_of_key, value);
    value += static_cast<int64_t>(values[t].size());
    add(t, RowKind::kUpdateAfter, row / what.rows_of_key, value);
  }
  for (idx_t t = 0; t < tables; t++) push(t);
  flow->EndStep(out);
  outcome.updating = Seconds() - start;
  outcome.megabytes = static_cast<double>(flow->StateBytes()) / 1e6;
  return outcome;
}

void RunJoins(duckdb::Connection& connection, const char* part) {
  const std::vector<JoinsCase> cases = {
      {"3 tables, a row a key", {"", ""}, 100'000, 1},
      {"5 tables, a row a key", {"", "", "", ""}, 100'000, 1},
      {"3 tables, LEFT, a row a key", {"LEFT", "LEFT"}, 100'000, 1},
      {"3 tables, 10 rows a key each", {"", ""}, 1'000, 10},
      {"3 tables, LEFT, 10 rows a key each", {"LEFT", "LEFT"}, 1'000, 10},
      {"3 tables, every 100th key in t1", {"", ""}, 100'000, 1, 100}};
  for (const JoinsCase& what : cases) {
    if (std::strstr(what.name, part) == nullptr) continue;
    for (idx_t step_chunks : {49, 1}) {
      JoinsOutcome best[2];
      for (int turn = 0; turn < 3; turn++) {
        for (int multi = 0; multi < 2; multi++) {
          JoinsOutcome took = FeedJoins(connection, what, multi == 1, step_chunks);
          if (turn == 0) best[multi] = took;
          best[multi].filling = std::min(best[multi].filling, took.filling);
          best[multi].updating = std::min(best[multi].updating, took.updating);
        }
      }
      std::printf("%-36s steps of %6llu rows:", what.name,
                  static_cast<unsigned long long>(step_chunks * kChunkRows));
      for (int multi = 0; multi < 2; multi++) {
        std::printf(" %s filled %.3f s, updated %.3f s, %.1f MB, %lld changes out%s",
                    multi ? "one operator" : "joins of two", best[multi].filling,
                    best[multi].updating, best[multi].megabytes,
                    static_cast<long long>(best[multi].emitted), multi ? "\n" : ";");
      }
      std::fflush(stdout);
    }
  }
}

void Run(int argc, char** argv) {
  duckdb::DuckDB database(nullptr);
  FeedTables::Register(*database.instance);
  FeedTables::Add(FeedTables::OfNumbers("fact", {"k", "v"}));
  auto dimension = FeedTables::OfNumbers("dimension", {"k", "v"});
  dimension->primary_key = {"k"};
  FeedTables::Add(dimension);
  duckdb::Connection connection(database);
  connection.Query(
      "CREATE VIEW fact AS FROM feed('fact'); CREATE VIEW dimension AS FROM feed('dimension')");
  if (argc > 1 && std::strcmp(argv[1], "disk") == 0) {
    int64_t millions = argc > 2 ? std::atoll(argv[2]) : 4;
    return RunOnDisk(connection, millions * 1'000'000,
                     argc > 3 ? argv[3] : std::filesystem::temp_directory_path().string());
  }
  if (argc > 1 && std::strcmp(argv[1], "threads") == 0) {
    return RunThreads(connection, argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 4,
                      argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 2, argc > 4 ? argv[4] : "");
  }
  if (argc > 1 && std::strcmp(argv[1], "joins") == 0) {
    for (int t = 0; t < 5; t++) {
      std::string name = fmt::format("t{}", t);
      FeedTables::Add(FeedTables::OfNumbers(name, {"k", "v"}));
      connection.Query(fmt::format("CREATE VIEW {} AS FROM feed('{}')", name, name));
    }
    return RunJoins(connection, argc > 2 ? argv[2] : "");
  }
  const std::string sums = "SELECT k, sum(v), count(*) FROM fact GROUP BY k";
  const std::string join = "SELECT f.k, f.v, d.v FROM fact f JOIN dimension d ON f.k = d.k";
  Measure(connection, "sum, count by 100k keys, inserts", sums, ChangelogType::kAppend, false, 49);
  Measure(connection, "sum, count by 100k keys, inserts and deletes", sums, ChangelogType::kFull,
          true, 49);
  Measure(connection, "same, steps of 2048 rows", sums, ChangelogType::kFull, true, 1);
  Measure(connection, "min, max by 100k keys, inserts and deletes",
          "SELECT k, min(v), max(v) FROM fact GROUP BY k", ChangelogType::kFull, true, 49);
  Measure(connection, "fact x 100k dimension, inserts", join, ChangelogType::kAppend, false, 49);
  Measure(connection, "fact x 100k dimension, inserts and deletes", join, ChangelogType::kFull,
          true, 49);
  Measure(connection, "join and sum",
          "SELECT d.v, sum(f.v) FROM fact f JOIN dimension d ON f.k = d.k GROUP BY d.v",
          ChangelogType::kAppend, false, 49);
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  millrace::Run(argc, argv);
}
