// results.h - the kinds of results: fixed rows, a batch query's rows, a running job's changes.
#pragma once

#include <deque>
#include <functional>

#include "base/error.h"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/query_result.hpp"
#include "session/session.h"
#include "stream/change_fold.h"
#include "stream/job.h"

namespace millrace {

/// Rows made at once, all strings: SHOW, DESCRIBE, EXPLAIN, SET.
std::unique_ptr<ResultStream> MakeTextResult(std::vector<std::string> names,
                                             const std::vector<std::vector<std::string>>& rows);

/// The same with types.
std::unique_ptr<ResultStream> MakeRowsResult(duckdb::vector<std::string> names,
                                             duckdb::vector<LogicalType> types,
                                             std::vector<std::vector<Value>> rows);

/// What a failure is told as; for DuckDB's, more than it says itself.
using ExplainFailure = std::function<Error(const Error&)>;

/// A batch query, streamed from DuckDB. Owns the connection.
std::unique_ptr<ResultStream> MakeBatchResult(std::shared_ptr<duckdb::Connection> connection,
                                              const std::string& duck_sql, ExplainFailure explain);

/// The same rows as they are shown: with what the clocks of the connection's time zone show in the
/// place of TIMESTAMP_LTZ, and columns without an alias called by their text in `items`.
std::unique_ptr<ResultStream> MakeShownResult(std::unique_ptr<ResultStream> rows,
                                              std::shared_ptr<duckdb::Connection> connection,
                                              const std::vector<SelectItem>& items);

/// Changes that wait between a job and its reader. Bounded: a slow reader slows the job.
/// Threads: one writer, one reader; Close any.
class ChangeQueue {
 public:
  /// Waits while full. False after Close: the reader has gone.
  bool Push(ChangeChunk& chunk);
  /// nullptr when nothing came within the time.
  std::unique_ptr<ChangeChunk> Pop(int64_t wait_ms);
  void Close();
  bool Empty() const;

 private:
  static constexpr idx_t kCapacityRows = 1 << 18;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<ChangeChunk>> chunks_;
  idx_t rows_ = 0;
  bool closed_ = false;
};

/// The sink of a SELECT in streaming mode: hands out whole steps.
std::unique_ptr<Sink> MakeQueueSink(std::shared_ptr<ChangeQueue> queue,
                                    duckdb::vector<LogicalType> types);

}  // namespace millrace
