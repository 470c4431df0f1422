// dataflow_test.h - the bench of the differential tests: tables that change at random, fed to a
// Dataflow in steps, and beside them the same tables in DuckDB for the batch answer.
#pragma once

#include <random>

#include "base/error.h"
#include "catalog/scan_function.h"
#include "duckdb/main/appender.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "io/worker_pool.h"
#include "stream/dataflow.h"
#include "stream/memory_state_store.h"
#include "stream/state_memory.h"

namespace millrace {

using Row = duckdb::vector<Value>;

/// A table of the tests: its rows as they are now, and how a random row is made.
struct TestTable {
  std::shared_ptr<TableDefinition> definition;
  std::vector<Row> rows;
  std::function<Row(std::mt19937&)> random_row;
  ChangelogType type = ChangelogType::kFull;
};

struct TestChange {
  RowKind kind;
  Row row;
};

/// Three tables of a small bank in `main`, and views of the same names in schema `streaming` for
/// Compile. Threads: one at a time.
class DataflowBench {
 public:
  explicit DataflowBench(uint64_t seed);

  std::vector<TestTable>& Tables() { return tables_; }
  TestTable& Table(const std::string& name);
  std::mt19937& Random() { return random_; }
  duckdb::Connection& Batch() { return *batch_; }
  duckdb::ClientContext& StreamContext() { return *stream_->context; }

  /// State of dataflows compiled from here on lies in this memory (small extents).
  void LimitMemory(int64_t bytes, SystemCallFault fault = nullptr);
  /// Dataflows compiled from here on have so many shards, and so many threads or (0) each time a
  /// random number of them.
  void Divide(idx_t shards, idx_t threads = 0) {
    shards_ = shards;
    threads_ = threads;
  }
  /// And take steps of any size as large ones, level by level; nullopt: as the default.
  void TreatAsLarge(bool large, std::optional<AggregatePhases> phases = std::nullopt) {
    large_ = large;
    phases_ = phases;
  }
  /// And take steps in rounds, of random sizes each time, as when much of their state is on disk.
  void TakeRounds() {
    rounds_ = true;
    if (!memory_) LimitMemory(INT64_MAX);  // Has a folder, where what waits lies.
  }
  /// Dataflows compiled from here on have the plan with this fingerprint, if there is one.
  void UseFingerprint(std::string fingerprint) { fingerprint_ = std::move(fingerprint); }
  StateMemory& Memory() { return *memory_; }
  /// What a job might tell a dataflow before a step.
  idx_t RoundRows() { return rounds_ ? round_random_() % 3 * (round_random_() % 100) : 0; }
  std::unique_ptr<Dataflow> Compile(const std::string& sql, DataflowOptions options = {});
  /// Changes of one table: applied to its rows and to DuckDB's table by Publish.
  std::vector<TestChange> RandomChanges(TestTable& table, idx_t count);
  void Publish();
  /// Feeds the changes to every input of that table, in chunks of random size.
  void Feed(Dataflow& dataflow, const TestTable& table, const std::vector<TestChange>& changes,
            const ChangeReceiver& out);
  std::vector<ChangelogType> InputTypes(const Dataflow& dataflow);
  /// The batch answer as a multiset of printed rows.
  std::map<std::string, int64_t> BatchAnswer(const std::string& sql);

 private:
  void AddTable(const std::string& name, std::vector<ColumnDefinition> columns,
                std::vector<std::string> key, std::function<Row(std::mt19937&)> random_row);

  std::mt19937 random_;
  std::mt19937 round_random_{random_};
  std::unique_ptr<StateMemory> memory_;
  const std::unique_ptr<Executor> executor_ = MakeThreadExecutor();
  WorkerPool workers_{*executor_, "worker", 3};
  std::string fingerprint_;
  idx_t shards_ = 1;
  idx_t threads_ = 0;
  bool large_ = false;
  bool rounds_ = false;
  std::optional<AggregatePhases> phases_;
  duckdb::DuckDB database_;
  std::unique_ptr<duckdb::Connection> batch_;
  std::unique_ptr<duckdb::Connection> stream_;
  std::vector<TestTable> tables_;
};

std::string PrintRow(DataChunk& rows, idx_t row);

/// The accumulated output of a dataflow; checks the discipline of row kinds on the way.
class Folded {
 public:
  ChangeReceiver Receiver();
  std::map<std::string, int64_t> rows;
  std::string fault;  // The first breach: a weight below zero, a -U without its +U.
  int64_t changes = 0;

 private:
  bool before_open_ = false;  // The last row was a -U.
};

/// How RunDifferential's text begins when DuckDB itself fails, and there is nothing to compare.
inline constexpr const char* kBatchFails = "batch itself fails";
/// Runs `sql` in `steps` random steps; empty when every step equals batch, else what differed.
/// `restart_at`: after that step, state moves to a dataflow compiled afresh.
std::string RunDifferential(DataflowBench& bench, const std::string& sql, int steps, int restart_at,
                            DataflowOptions options = {});

}  // namespace millrace
