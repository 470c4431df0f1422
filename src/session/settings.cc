#include "session/settings.h"

#include <algorithm>

#include "base/error.h"
#include "duckdb/common/string_util.hpp"
#include "meta/options.h"

namespace millrace {

namespace {

// What Flink 2 calls 'state.checkpoints.num-retained' and 'execution.savepoint.path'.
constexpr const char* kRetainedKey = "execution.checkpointing.num-retained";
constexpr const char* kPhasesKey = "table.optimizer.agg-phase-strategy";
constexpr const char* kRestoreKey = "execution.state-recovery.path";
constexpr const char* kStepRowsKey = "table.exec.mini-batch.size";
constexpr const char* kDefaultStepRows = "100000";
constexpr const char* kCollectKey = "table.exec.mini-batch.enabled";
constexpr const char* kLatencyKey = "table.exec.mini-batch.allow-latency";

struct KnownSetting {
  const char* key;
  const char* default_value;
  std::vector<std::string> allowed;  // Empty: checked elsewhere or anything.
};

const std::vector<KnownSetting>& KnownSettings() {
  static const std::vector<KnownSetting> settings = {
      {"execution.runtime-mode", "streaming", {"batch", "streaming"}},
      {"table.sql-dialect", "default", {"default", "duckdb"}},
      {"table.dml-sync", "false", {"true", "false"}},
      {"sql-client.execution.result-mode", "table", {"table", "changelog", "tableau"}},
      {"execution.checkpointing.interval", "1 s", {}},
      {kStepRowsKey, kDefaultStepRows, {}},
      {kCollectKey, "", {"true", "false"}},
      {kLatencyKey, "", {}},
      {"table.exec.sink.upsert-materialize", "", {}},
      {"table.exec.state.ttl", "", {}},
      {"state.checkpoints.num-retained", "", {}},
      {kRetainedKey, "", {}},
      {"execution.savepoint.path", "", {}},
      {kRestoreKey, "", {}},
      {kTimeZoneKey, "default", {}},
      {"parallelism.default", "", {}},
      {kPhasesKey, "", {"AUTO", "ONE_PHASE", "TWO_PHASE"}},
      {kReuseKey, "", {"true", "false"}},
      {"pipeline.name", "", {}},
      {"memory.limit", "", {}},
      {"memory.state-limit", "", {}},
  };
  return settings;
}

// Flink's own name spaces: accepted without effect where Millrace has no such thing.
bool IsFlinkKey(const std::string& key) {
  for (const char* prefix :
       {"table.",    "execution.",       "sql-client.",  "pipeline.",   "parallelism.",
        "state.",    "restart-strategy", "taskmanager.", "jobmanager.", "rest.",
        "akka.",     "security.",        "metrics.",     "cluster.",    "high-availability",
        "yarn.",     "kubernetes.",      "sql-gateway.", "env.",        "web.",
        "heartbeat."}) {
    if (key.starts_with(prefix)) return true;
  }
  return false;
}

}  // namespace

Settings::Settings() {
  ResetAll();
}

void Settings::Set(const std::string& key, const std::string& value) {
  std::vector<std::string> known;
  for (const KnownSetting& setting : KnownSettings()) {
    known.push_back(setting.key);
    if (key != setting.key) continue;
    if (!setting.allowed.empty() &&
        std::find(setting.allowed.begin(), setting.allowed.end(), value) == setting.allowed.end()) {
      Throw(ErrorCode::kInvalid, "SET '{}' = '{}': allowed are {}{}", key, value,
            fmt::join(setting.allowed, ", "), DidYouMean(value, setting.allowed));
    }
    auto before = values_;
    values_[key] = value;
    try {
      CheckpointIntervalMs();
      StateTtlMs();
      RetainedCheckpoints();
      StepRows();
      GetDurationMs(values_, kLatencyKey, 0);
      Parallelism();
      MemoryLimit();
      StateMemoryLimit();
    } catch (...) {
      values_ = before;
      throw;
    }
    return;
  }
  // A key of Flink's that Millrace does not know is kept; a slip in one that it knows is told.
  bool slip = false;
  for (const std::string& name : known) {
    slip = slip || duckdb::StringUtil::LevenshteinDistance(key, name) <= 2;
  }
  if (slip || !IsFlinkKey(key)) {
    Throw(ErrorCode::kNotFound, "SET '{}': there is no such setting{}", key,
          DidYouMean(key, known));
  }
  values_[key] = value;
}

void Settings::Reset(const std::string& key) {
  values_.erase(key);
  for (const KnownSetting& setting : KnownSettings()) {
    if (key == setting.key && *setting.default_value) values_[key] = setting.default_value;
  }
}

void Settings::ResetAll() {
  values_.clear();
  for (const KnownSetting& setting : KnownSettings()) {
    if (*setting.default_value) values_[setting.key] = setting.default_value;
  }
}

std::string Settings::Get(const std::string& key) const {
  auto found = values_.find(key);
  return found == values_.end() ? "" : found->second;
}

std::vector<std::string> Settings::Keys() {
  std::vector<std::string> keys;
  for (const KnownSetting& setting : KnownSettings()) keys.push_back(setting.key);
  return keys;
}

bool Settings::Streaming() const {
  return Get("execution.runtime-mode") == "streaming" && !DuckDialect();
}
bool Settings::DuckDialect() const {
  return Get("table.sql-dialect") == "duckdb";
}
AssignmentCasts Settings::Casts() const {
  return DuckDialect() ? AssignmentCasts::kAny : AssignmentCasts::kFamily;
}
bool Settings::WaitForInserts() const {
  return Get("table.dml-sync") == "true";
}
bool Settings::Changelog() const {
  return Get("sql-client.execution.result-mode") == "changelog";
}

int64_t Settings::CheckpointIntervalMs() const {
  return GetDurationMs(values_, "execution.checkpointing.interval", 1000);
}

int64_t Settings::RetainedCheckpoints() const {
  const char* key = Get(kRetainedKey).empty() ? "state.checkpoints.num-retained" : kRetainedKey;
  int64_t count = GetInt(values_, key, 1);
  if (count < 1) Throw(ErrorCode::kInvalid, "SET '{}' = '{}': must be at least 1", key, count);
  return count;
}

std::string Settings::RestorePath() const {
  std::string path = Get(kRestoreKey);
  return path.empty() ? Get("execution.savepoint.path") : path;
}

int64_t Settings::StateTtlMs() const {
  return GetDurationMs(values_, "table.exec.state.ttl", 0);
}

idx_t Settings::StepRows() const {
  int64_t rows = GetInt(values_, kStepRowsKey, 100'000);
  if (rows < 1)
    Throw(ErrorCode::kInvalid, "SET '{}' = '{}': must be at least 1", kStepRowsKey, rows);
  return static_cast<idx_t>(rows);
}

bool Settings::StepRowsAreChosen() const {
  return Get(kStepRowsKey) != kDefaultStepRows;
}

int64_t Settings::StepLatencyMs() const {
  if (Get(kCollectKey) != "true") return 0;
  int64_t latency_ms = GetDurationMs(values_, kLatencyKey, 0);
  if (latency_ms > 0) return latency_ms;
  Throw(ErrorCode::kInvalid,
        "'{}' is true and '{}' is not set: SET '{}' = '1 s', or how long rows may wait",
        kCollectKey, kLatencyKey, kLatencyKey);
}

std::optional<idx_t> Settings::Parallelism() const {
  const std::string key = "parallelism.default";
  std::string text = Get(key);
  if (text.empty()) return std::nullopt;
  int64_t threads = GetInt(values_, key, 0);
  if (threads < 1) {
    Throw(ErrorCode::kInvalid, "SET '{}' = '{}': it is a number of threads, at least 1", key, text);
  }
  return static_cast<idx_t>(threads);
}

AggregatePhases Settings::Phases() const {
  std::string text = Get(kPhasesKey);
  if (text == "ONE_PHASE") return AggregatePhases::kOne;
  return text == "TWO_PHASE" ? AggregatePhases::kTwo : AggregatePhases::kAuto;
}

std::optional<int64_t> Settings::MemoryLimit() const {
  constexpr int64_t kLeast = 16 << 20;
  std::string text = Get("memory.limit");
  if (text.empty()) return std::nullopt;
  int64_t bytes = ParseMemoryBytes("SET 'memory.limit'", text);
  if (bytes < kLeast) {
    Throw(ErrorCode::kInvalid, "SET 'memory.limit' = '{}': must be at least 16 mb", text);
  }
  return bytes;
}

std::optional<int64_t> Settings::StateMemoryLimit() const {
  std::string text = Get("memory.state-limit");
  if (text.empty()) return std::nullopt;
  return ParseMemoryBytes("SET 'memory.state-limit'", text);
}

}  // namespace millrace
