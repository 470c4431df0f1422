// statement_reads.h - what a DELETE, UPDATE or MERGE has read of the table that it changes.
#pragma once

#include <algorithm>
#include <mutex>

#include "duckdb/main/client_context_state.hpp"
#include "table/row_changes.h"

namespace millrace {

/// Hangs on the DuckDB connection of one such statement. A scan of the target numbers its rows
/// here. Threads: Start from DuckDB's threads; the rest after the query.
class StatementReads : public duckdb::ClientContextState {
 public:
  static constexpr const char* kName = "millrace_statement_reads";

  /// The scan of the target begins: under which schema, at which snapshot, and its units.
  void Start(int64_t schema_id, int64_t snapshot, std::vector<Split> units) {
    std::lock_guard lock(mutex_);
    schema_id_ = schema_id;
    snapshot_ = snapshot;
    units_ = std::move(units);
  }
  /// nullopt when the query was answered without looking at the target.
  std::optional<int64_t> snapshot() const { return snapshot_; }
  const std::vector<Split>& units() const { return units_; }
  /// Whether everything that was read has the schema `id` or an older one.
  bool FitsSchema(int64_t id) const {
    if (snapshot_ && schema_id_ != id) return false;
    return std::all_of(units_.begin(), units_.end(), [id](const Split& unit) {
      return std::all_of(unit.files.begin(), unit.files.end(),
                         [id](const DataFileMeta& file) { return file.schema_id <= id; });
    });
  }

 private:
  std::mutex mutex_;
  int64_t schema_id_ = 0;
  std::optional<int64_t> snapshot_;
  std::vector<Split> units_;
};

}  // namespace millrace
