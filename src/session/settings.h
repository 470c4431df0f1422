// settings.h - what SET can change: Flink's configuration keys that Millrace knows, with defaults.
#pragma once

#include "meta/table_definition.h"
#include "session/assignment.h"
#include "stream/dataflow.h"

namespace millrace {

inline constexpr const char* kTimeZoneKey = "table.local-time-zone";
inline constexpr const char* kReuseKey = "table.optimizer.reuse-sub-plan-enabled";

/// The settings of one session. Keys in Flink's own name spaces that have no meaning here are kept
/// and have no effect, so that scripts run unmodified; other unknown keys are refused with a
/// suggestion. Threads: one at a time.
class Settings {
 public:
  Settings();
  /// Throws: Error(kInvalid) naming key, value and what is allowed; Error(kNotFound) with a
  /// suggestion.
  void Set(const std::string& key, const std::string& value);
  void Reset(const std::string& key);
  void ResetAll();
  /// "" when unset and without default.
  std::string Get(const std::string& key) const;
  /// All keys that have a value, for SET without arguments.
  const std::map<std::string, std::string>& All() const { return values_; }

  /// The keys that have a meaning here.
  static std::vector<std::string> Keys();

  AssignmentCasts Casts() const;  // Of the dialect.
  bool Streaming() const;         // DuckDB's dialect runs in batch.
  bool DuckDialect() const;
  bool WaitForInserts() const;  // table.dml-sync
  bool Changelog() const;       // sql-client.execution.result-mode
  int64_t CheckpointIntervalMs() const;
  int64_t RetainedCheckpoints() const;              // state.checkpoints.num-retained
  std::string RestorePath() const;                  // execution.savepoint.path; "": the newest.
  int64_t StateTtlMs() const;                       // table.exec.state.ttl; 0: none. Only told.
  idx_t StepRows() const;                           // table.exec.mini-batch.size
  bool StepRowsAreChosen() const;                   // It is another than the default.
  /// table.exec.mini-batch.allow-latency, where .enabled is true; else 0. Throws: Error(kInvalid)
  /// when it is not set then.
  int64_t StepLatencyMs() const;
  std::optional<idx_t> Parallelism() const;         // parallelism.default
  AggregatePhases Phases() const;                   // table.optimizer.agg-phase-strategy
  std::optional<int64_t> MemoryLimit() const;       // memory.limit, in bytes.
  std::optional<int64_t> StateMemoryLimit() const;  // memory.state-limit, in bytes.

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace millrace
