// twins.h - one DuckDB with every table three times: as it is given, as rows with a history, and
// as an input of continuous queries.
//
// The history of a table is made at random from its rows: each comes in some step, some come with
// other values first and are updated, some are deleted (and come back, where the last step is to
// hold the given rows). In database `batch` a table shows its rows as of a step; in database
// `streaming` it is an input, fed with the same changes.
#pragma once

#include <random>

#include "answer.h"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "meta/table_definition.h"

namespace millrace {

struct HistoryOptions {
  int steps = 20;
  uint64_t seed = 1;
  double updated = 0.1;  // Of rows.
  double deleted = 0.1;
  bool at_once = false;    // All rows come in the first step.
  bool come_back = false;  // Deleted rows do; the last step holds the given rows.
};

/// The changes of one table, step by step.
struct TableHistory {
  std::shared_ptr<TableDefinition> definition;
  duckdb::vector<LogicalType> types;
  std::vector<std::vector<std::unique_ptr<ChangeChunk>>> steps;
  int64_t changes = 0;
};

/// Owns the database. Threads: one at a time.
/// Throws: Error when a statement of its own fails.
class Twins {
 public:
  Twins();

  duckdb::Connection& Given() { return *given_; }
  duckdb::Connection& Batch() { return *batch_; }
  duckdb::Connection& Streaming() { return *streaming_; }

  /// Makes the history of the given table (again); its first `key_columns` are never updated.
  /// `source`: where its rows are, if not under its name.
  void AddTable(const std::string& schema, const std::string& name, const HistoryOptions& options,
                idx_t key_columns = 1, std::string source = "");
  void DropTable(const std::string& schema, const std::string& name);
  /// Of an input of a continuous query.
  const TableHistory& HistoryOf(const ObjectPath& path) const;

  /// Batch sees the rows as of this step.
  void GoTo(int step);
  /// Puts the rows that batch reads into another order.
  void Shuffle(int order);
  /// Throws: what DuckDB throws.
  Answer AskBatch(const std::string& sql);

 private:
  struct Feeds;
  void Run(duckdb::Connection& connection, const std::string& sql);
  void ShowTable(const std::string& schema, const std::string& shown, const std::string& key,
                 const std::string& rows);

  std::shared_ptr<Feeds> feeds_;
  duckdb::DuckDB database_;
  std::unique_ptr<duckdb::Connection> given_, batch_, streaming_;
  std::map<std::string, std::string> views_;  // By table: what its views were made for.
};

/// "name" with quotes as SQL wants it.
std::string Quoted(const std::string& name);

/// A query whose outermost LIMIT takes from a total order: the columns of the answer are added to
/// its ORDER BY. Other queries are left as they are.
std::string WithTotalOrder(duckdb::Connection& connection, const std::string& sql);

}  // namespace millrace
