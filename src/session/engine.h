// engine.h - what a session stands on: one DuckDB instance, the catalogs, storage and connectors.
#pragma once

#include <mutex>

#include "base/memory_budget.h"
#include "base/object_cache.h"
#include "base/query_connection.h"
#include "catalog/duck_catalog.h"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "io/worker_pool.h"
#include "session/session.h"
#include "stream/state_memory.h"

namespace millrace {

inline constexpr const char* kDefaultCatalog = "default_catalog";
inline constexpr const char* kDefaultDatabase = "default_database";

/// Owns DuckDB and the services around it.
/// Threads: NewConnection, environment() and NoteSkipped: any; the rest one at a time.
class Engine {
 public:
  Engine(ConnectorRegistry& connectors, const SessionOptions& options);
  ~Engine();

  /// A connection that finds tables of `catalog`.`database` and Flink's functions by bare names.
  /// `duck_meaning`: functions and operators are DuckDB's; views, whose text is Flink's, cannot be
  /// read.
  std::unique_ptr<QueryConnection> NewConnection(const std::string& catalog,
                                                 const std::string& database,
                                                 bool duck_meaning = false);
  /// The zone of TIMESTAMP_LTZ for what is bound from here on: 'table.local-time-zone'. Throws:
  /// Error(kInvalid) with a suggestion.
  void SetTimeZone(const std::string& setting);
  Environment& environment() { return *environment_; }
  TableContext table_context();
  CatalogServices& services() { return *services_; }
  ConnectorRegistry& connectors() { return connectors_; }
  Executor& executor() { return *executor_; }
  /// Those of DuckDB, at least 1.
  idx_t Threads() const;

  /// DuckDB's memory_limit, of which state and write buffers have their shares; nullopt: what it
  /// was at the start. Throws: Error(kInvalid) when more than that is in use.
  void SetMemoryLimit(std::optional<int64_t> bytes);
  /// Less for state than its share.
  void LimitStateMemory(std::optional<int64_t> bytes) {
    budget_->LimitState(bytes.value_or(INT64_MAX));
  }

  void CreateCatalog(const std::string& name, const Options& options);
  void DropCatalog(const std::string& name);
  /// Throws: Error(kNotFound) with a suggestion.
  CatalogStore& Store(const std::string& catalog);

  /// Records of a table that a batch query passed over.
  void NoteSkipped(const std::string& table, int64_t records);
  /// Those noted since the last call, by table.
  std::map<std::string, int64_t> TakeSkipped();

  /// A sink into any table that can be written. `user` names this sink alone, `group` the job;
  /// `overwrite` is what the rows replace, of a lake table.
  std::unique_ptr<Sink> MakeSink(const TableDefinition& definition, const std::string& user,
                                 const std::string& group, bool batch,
                                 std::optional<OverwriteScope> overwrite = {});

 private:
  ConnectorRegistry& connectors_;
  const bool fresh_;  // Start over: what others have left in a log is committed.
  std::unique_ptr<FileSystem> files_;
  std::unique_ptr<Clock> clock_;
  Random random_;
  std::unique_ptr<Executor> executor_;
  duckdb::unique_ptr<duckdb::DuckDB> database_;
  int64_t first_limit_bytes_ = 0;
  std::unique_ptr<MemoryBudget> budget_;
  std::unique_ptr<ObjectCache> metadata_cache_;  // Manifests and footers of all tables.
  std::unique_ptr<StateMemory> state_memory_;
  std::unique_ptr<WorkerPool> workers_;
  std::unique_ptr<Environment> environment_;
  std::shared_ptr<CatalogServices> services_;
  std::unique_ptr<duckdb::Connection> attaching_;
  std::string system_zone_;  // Asked before the first change.
  std::mutex skipped_mutex_;
  std::map<std::string, int64_t> skipped_;
};

/// Batch scans of lake tables (parallel by split) and of connectors (through a bounded Source).
BatchScanOpener MakeBatchScanOpener(Engine& engine,
                                    std::shared_ptr<const TableDefinition> definition);

}  // namespace millrace
