// jdbc_sink.cc - one transaction per step, with the step's number in it.
//
// The step's changes go into a temporary table with their order; the last change of each key
// decides whether the key's row is deleted or upserted. `millrace_steps` holds (job, table) -> last
// step, so that a step which recovery replays is dropped.
#include <algorithm>
#include <set>

#include "base/error.h"
#include "duckdb/common/types/column/column_data_collection.hpp"
#include "duckdb/main/appender.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/main/materialized_query_result.hpp"
#include "meta/duck_type_name.h"
#include "sql/connect/jdbc/database_lease.h"
#include "sql/connect/jdbc/jdbc_table.h"

namespace millrace {

namespace {

constexpr const char* kChanges = "temp.main.millrace_changes";

class JdbcSink : public Sink {
 public:
  JdbcSink(Environment& environment, const TableDefinition& definition, std::string job)
      : environment_(environment), table_(definition), job_(std::move(job)) {
    duckdb::vector<LogicalType> types;
    for (const DataField& field : table_.fields) types.push_back(field.type.ToDuck());
    types.push_back(LogicalType::BIGINT);   // Order within the step.
    types.push_back(LogicalType::BOOLEAN);  // Adds.
    buffer_ = std::make_unique<duckdb::ColumnDataCollection>(duckdb::Allocator::DefaultAllocator(),
                                                             types);
    wide_.Initialize(duckdb::Allocator::DefaultAllocator(), types);
    Connect();  // A table that does not fit is told before the job runs.
    auto found =
        Run(fmt::format("SELECT step FROM main.millrace_steps WHERE job = {} AND target = {}",
                        QuotedText(job_), QuotedText(table_.Target())));
    if (found->RowCount() > 0) last_step_ = found->GetValue(0, 0).GetValue<int64_t>();
    Disconnect();
  }

  ChangelogType Accepts() const override {
    return table_.key.empty() ? ChangelogType::kAppend : ChangelogType::kUpsert;
  }

  void Write(ChangeChunk& chunk) override {
    if (chunk.size() == 0) return;
    wide_.Reset();
    idx_t columns = table_.fields.size();
    for (idx_t i = 0; i < columns; i++) {
      MILLRACE_CHECK(chunk.rows.data[i].GetType().id() == wide_.data[i].GetType().id());
      wide_.data[i].Reference(chunk.rows.data[i]);
    }
    auto* order = duckdb::FlatVector::GetData<int64_t>(wide_.data[columns]);
    auto* adds = duckdb::FlatVector::GetData<bool>(wide_.data[columns + 1]);
    for (idx_t row = 0; row < chunk.size(); row++) {
      RowKind kind = chunk.KindOf(row);
      if (table_.key.empty() && kind != RowKind::kInsert) {
        Throw(ErrorCode::kUnsupported,
              "Writing table {}: without a primary key it takes inserted rows only, and a {} row "
              "came; declare "
              "PRIMARY KEY (...) NOT ENFORCED",
              table_.name, RowKindName(kind));
      }
      order[row] = next_order_++;
      adds[row] = IsAdd(kind);
    }
    wide_.SetCardinality(chunk.size());
    buffer_->Append(wide_);
  }

  void EndStep(int64_t step) override {
    if (buffer_->Count() > 0 && step > last_step_) {
      if (!connection_) Connect();
      Apply(step);
      last_step_ = step;
    }
    buffer_->Reset();
    next_order_ = 0;
  }

  std::optional<int64_t> LastStep() override {
    return last_step_ > 0 ? std::optional<int64_t>(last_step_) : std::nullopt;
  }

  /// Nothing is left to publish; the file is closed, for others to read, until the next step.
  std::string Prepare(int64_t) override {
    Disconnect();
    return "";
  }
  std::optional<Published> Commit(int64_t, const std::string&) override { return std::nullopt; }

 private:
  duckdb::unique_ptr<duckdb::MaterializedQueryResult> Run(const std::string& sql) {
    auto result = connection_->Query(sql);
    if (result->HasError()) {
      Throw(ErrorCode::kIo, "Writing table {} (\"{}\" of {}): {}", table_.name, table_.table,
            table_.path, result->GetErrorObject().RawMessage());
    }
    return result;
  }

  std::string Columns(const std::vector<idx_t>& indexes) const {
    std::string list;
    for (idx_t index : indexes) {
      if (!list.empty()) list += ", ";
      list += QuotedName(table_.fields[index].name);
    }
    return list;
  }
  std::vector<idx_t> AllColumns() const {
    std::vector<idx_t> all;
    for (idx_t i = 0; i < table_.fields.size(); i++) all.push_back(i);
    return all;
  }

  void Connect() {
    lease_ = std::make_unique<DatabaseLease>(table_.path, environment_.clock, table_.timeout_ms);
    connection_ = std::make_unique<duckdb::Connection>(lease_->database());
    std::lock_guard writing(lease_->writing());
    CreateTables();
    CheckColumns();
  }
  void Disconnect() {
    connection_.reset();
    lease_.reset();
  }

  void CreateTables() {
    std::string columns;
    for (const DataField& field : table_.fields) {
      columns += fmt::format("{} {}, ", QuotedName(field.name), DuckTypeName(field.type));
    }
    Run(fmt::format("CREATE SCHEMA IF NOT EXISTS {}", QuotedName(table_.schema)));
    std::string body = columns;
    if (!table_.key.empty()) body += fmt::format("PRIMARY KEY ({}), ", Columns(table_.key));
    body.resize(body.size() - 2);
    Run(fmt::format("CREATE TABLE IF NOT EXISTS {} ({})", table_.Target(), body));
    Run("CREATE TABLE IF NOT EXISTS main.millrace_steps (job VARCHAR, target VARCHAR, step BIGINT, "
        "PRIMARY KEY (job, target))");
    Run(
        fmt::format("CREATE TEMP TABLE millrace_changes ({}\"millrace order\" BIGINT, \"millrace "
                    "add\" BOOLEAN)",
                    columns));
    auto keys = Run(fmt::format(
        "SELECT constraint_column_names FROM duckdb_constraints() WHERE schema_name = {} AND "
        "table_name = {} "
        "AND database_name = current_database() AND constraint_type IN ('PRIMARY KEY', 'UNIQUE')",
        QuotedText(table_.schema), QuotedText(table_.table)));
    std::set<std::string> wanted;
    for (idx_t index : table_.key) wanted.insert(table_.fields[index].name);
    has_constraint_ = false;
    for (idx_t row = 0; row < keys->RowCount(); row++) {
      std::set<std::string> found;
      Value names = keys->GetValue(0, row);  // Held: GetChildren gives a reference into it.
      for (const Value& name : duckdb::ListValue::GetChildren(names)) found.insert(name.ToString());
      if (found == wanted) has_constraint_ = true;
    }
  }

  /// A table that was there before must have our columns.
  void CheckColumns() {
    auto result = connection_->Query(
        fmt::format("SELECT {} FROM {} LIMIT 0", Columns(AllColumns()), table_.Target()));
    if (result->HasError()) {
      Throw(ErrorCode::kInvalid, "Table {}: the table {} of {} exists and does not fit: {}",
            table_.name, table_.Target(), table_.path, result->GetErrorObject().RawMessage());
    }
    for (idx_t i = 0; i < table_.fields.size(); i++) {
      if (result->types[i].ToString() == DuckTypeName(table_.fields[i].type)) continue;
      Throw(ErrorCode::kInvalid,
            "Table {}: column '{}' is {}, but in {} of {} it is {}; change one of the two",
            table_.name, table_.fields[i].name, table_.fields[i].type.ToString(), table_.Target(),
            table_.path, result->types[i].ToString());
    }
  }

  void Apply(int64_t step) {
    std::lock_guard writing(lease_->writing());
    Run("BEGIN");
    try {
      Run(fmt::format("DELETE FROM {}", kChanges));
      duckdb::Appender appender(*connection_, "temp", "main", "millrace_changes");
      for (auto& chunk : buffer_->Chunks()) appender.AppendDataChunk(chunk);
      appender.Close();
      if (table_.key.empty()) {
        Run(fmt::format("INSERT INTO {} ({}) SELECT {} FROM {} ORDER BY \"millrace order\"",
                        table_.Target(), Columns(AllColumns()), Columns(AllColumns()), kChanges));
      } else {
        ApplyByKey();
      }
      Run(fmt::format("INSERT OR REPLACE INTO main.millrace_steps VALUES ({}, {}, {})",
                      QuotedText(job_), QuotedText(table_.Target()), step));
      Run("COMMIT");
    } catch (...) {
      connection_->Query("ROLLBACK");
      throw;
    }
  }

  void ApplyByKey() {
    std::string last =
        fmt::format("\"millrace order\" IN (SELECT max(\"millrace order\") FROM {} GROUP BY {})",
                    kChanges, Columns(table_.key));
    std::string same;
    for (idx_t index : table_.key) {
      std::string name = QuotedName(table_.fields[index].name);
      same += fmt::format("{}t.{} = c.{}", same.empty() ? "" : " AND ", name, name);
    }
    // With an index, deleting a row and inserting its key again in one transaction is refused:
    // upserts update in place there. Without one there is nothing to conflict with.
    Run(fmt::format("DELETE FROM {} AS t USING (SELECT {} FROM {} WHERE {}{}) AS c WHERE {}",
                    table_.Target(), Columns(table_.key), kChanges,
                    has_constraint_ ? "NOT \"millrace add\" AND " : "", last, same));
    std::string conflict;
    if (has_constraint_) {
      std::string updates;
      for (idx_t i = 0; i < table_.fields.size(); i++) {
        if (std::count(table_.key.begin(), table_.key.end(), i)) continue;
        std::string name = QuotedName(table_.fields[i].name);
        updates += fmt::format("{}{} = excluded.{}", updates.empty() ? "" : ", ", name, name);
      }
      conflict = fmt::format(
          " ON CONFLICT ({}) DO {}", Columns(table_.key),
          updates.empty() ? std::string("NOTHING") : fmt::format("UPDATE SET {}", updates));
    }
    Run(fmt::format("INSERT INTO {} ({}) SELECT {} FROM {} WHERE \"millrace add\" AND {}{}",
                    table_.Target(), Columns(AllColumns()), Columns(AllColumns()), kChanges, last,
                    conflict));
  }

  Environment& environment_;
  JdbcTable table_;
  std::string job_;
  std::unique_ptr<DatabaseLease> lease_;
  std::unique_ptr<duckdb::Connection> connection_;
  bool has_constraint_ = false;
  std::unique_ptr<duckdb::ColumnDataCollection> buffer_;  // The step's changes.
  DataChunk wide_;
  int64_t next_order_ = 0;
  int64_t last_step_ = 0;
};

}  // namespace

std::unique_ptr<Sink> MakeJdbcSink(Environment& environment, const TableDefinition& definition,
                                   const std::string& job) {
  return std::make_unique<JdbcSink>(environment, definition, job);
}

}  // namespace millrace
