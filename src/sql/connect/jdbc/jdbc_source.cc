#include "base/error.h"
#include "base/query_connection.h"
#include "duckdb/main/database.hpp"
#include "duckdb/main/query_result.hpp"
#include "format/codec/text_values.h"
#include "meta/duck_type_name.h"
#include "sql/connect/jdbc/database_lease.h"
#include "sql/connect/jdbc/jdbc_table.h"

namespace millrace {

namespace {

/// Reads a table once, in storage order. Position: rows read; replay holds while the table stands
/// still.
class JdbcSource : public Source {
 public:
  JdbcSource(Environment& environment, const SourceTable& source)
      : environment_(environment), table_(*source.definition) {
    duckdb::vector<LogicalType> types;
    for (idx_t index : source.columns) {
      const ColumnDefinition& column = source.definition->columns[index];
      columns_ += (columns_.empty() ? "" : ", ") +
                  ("CAST(" + QuotedName(column.name) + " AS " + DuckTypeName(column.type) + ")");
      types.push_back(column.type.ToDuck());
    }
    chunk_.Initialize(types);
  }

  ChangelogType Changelog(idx_t) const override { return ChangelogType::kAppend; }
  bool IsBounded() const override { return true; }

  SourceStatus Read(const ReadLimit& limit,
                    const std::function<void(idx_t, ChangeChunk&)>& receive) override {
    int64_t before = row_;
    try {
      int64_t end = row_ + static_cast<int64_t>(limit.max_rows);
      if (limit.until) end = Parse(*limit.until);
      if (end > row_ && !result_) Start();
      while (row_ < end) {
        if (!NextRows()) {
          result_.reset();
          connection_.reset();
          lease_.reset();
          return SourceStatus::kEnd;
        }
        Deliver(static_cast<idx_t>(
                    std::min<int64_t>(end - row_, static_cast<int64_t>(rows_->size() - used_))),
                receive);
      }
      return SourceStatus::kProgress;
    } catch (...) {
      Seek(std::to_string(before));
      throw;
    }
  }

  std::string Position() const override { return std::to_string(row_); }
  void Seek(const std::string& position) override {
    rows_.reset();
    used_ = 0;
    result_.reset();
    connection_.reset();
    lease_.reset();
    row_ = Parse(position);
  }
  void SeekBeginOf(const std::string&) override {
    Throw(ErrorCode::kUnsupported,
          "Reading table '{}' as it was: its rows are in a database, which may have changed since",
          table_.name);
  }

 private:
  int64_t Parse(const std::string& position) const {
    int64_t row;
    if (!ParseInteger(position, row)) {
      Throw(ErrorCode::kCorrupt, "Table {}: '{}' is no position of a jdbc source", table_.name,
            position);
    }
    return row;
  }

  void Start() {
    lease_ = std::make_unique<DatabaseLease>(table_.path, environment_.clock, table_.timeout_ms);
    connection_ = std::make_unique<QueryConnection>(lease_->database());
    result_ = connection_->SendQuery(fmt::format(
        "SELECT {} FROM {} OFFSET {}", columns_.empty() ? "1" : columns_, table_.Target(), row_));
    if (result_->HasError()) {
      Throw(ErrorCode::kNotFound, "Reading table {} ({} of {}): {}", table_.name, table_.Target(),
            table_.path, result_->GetErrorObject().RawMessage());
    }
  }

  bool NextRows() {
    if (rows_ && used_ < rows_->size()) return true;
    used_ = 0;
    rows_ = result_->Fetch();
    if (result_->HasError()) {
      Throw(ErrorCode::kData, "Reading table {} ({} of {}): {}", table_.name, table_.Target(),
            table_.path, result_->GetErrorObject().RawMessage());
    }
    return rows_ && rows_->size() > 0;
  }

  void Deliver(idx_t count, const std::function<void(idx_t, ChangeChunk&)>& receive) {
    chunk_.Reset();
    SelectionVector some(used_, count);
    for (idx_t i = 0; i < chunk_.rows.ColumnCount(); i++)
      chunk_.rows.data[i].Slice(rows_->data[i], some, count);
    chunk_.rows.SetCardinality(count);
    used_ += count;
    row_ += static_cast<int64_t>(count);
    receive(0, chunk_);
  }

  Environment& environment_;
  JdbcTable table_;
  std::string columns_;
  std::unique_ptr<DatabaseLease> lease_;
  std::unique_ptr<QueryConnection> connection_;
  duckdb::unique_ptr<duckdb::QueryResult> result_;
  duckdb::unique_ptr<DataChunk> rows_;
  idx_t used_ = 0;
  ChangeChunk chunk_;
  int64_t row_ = 0;
};

}  // namespace

std::unique_ptr<Source> MakeJdbcSource(Environment& environment, const SourceTable& table) {
  return std::make_unique<JdbcSource>(environment, table);
}

}  // namespace millrace
