#include "session/results.h"

#include "base/error.h"
#include "duckdb/common/type_visitor.hpp"
#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"

namespace millrace {

namespace {

class RowsResult : public ResultStream {
 public:
  RowsResult(duckdb::vector<std::string> names, duckdb::vector<LogicalType> types,
             std::vector<std::vector<Value>> rows)
      : names_(std::move(names)), types_(std::move(types)), rows_(std::move(rows)) {}

  const duckdb::vector<std::string>& Names() const override { return names_; }
  const duckdb::vector<LogicalType>& Types() const override { return types_; }
  bool IsChangelog() const override { return false; }
  void Cancel() override {}
  FetchStatus Fetch(ChangeChunk& chunk, int64_t) override {
    chunk.Reset();
    idx_t count = std::min<idx_t>(kChunkRows, rows_.size() - next_);
    for (idx_t row = 0; row < count; row++) {
      for (idx_t c = 0; c < types_.size(); c++) chunk.rows.SetValue(c, row, rows_[next_ + row][c]);
    }
    chunk.rows.SetCardinality(count);
    next_ += count;
    return count > 0 ? FetchStatus::kRows : FetchStatus::kEnd;
  }

 private:
  const duckdb::vector<std::string> names_;
  const duckdb::vector<LogicalType> types_;
  const std::vector<std::vector<Value>> rows_;
  idx_t next_ = 0;
};

class BatchResult : public ResultStream {
 public:
  BatchResult(std::shared_ptr<duckdb::Connection> connection, const std::string& duck_sql,
              ExplainFailure explain)
      : connection_(std::move(connection)),
        explain_(std::move(explain)),
        result_(connection_->SendQuery(duck_sql)) {
    if (result_->HasError()) Fail();
  }
  ~BatchResult() override { result_.reset(); }

  const duckdb::vector<std::string>& Names() const override { return result_->names; }
  const duckdb::vector<LogicalType>& Types() const override { return result_->types; }
  bool IsChangelog() const override { return false; }
  void Cancel() override { connection_->Interrupt(); }
  FetchStatus Fetch(ChangeChunk& chunk, int64_t) override {
    chunk.Reset();
    auto rows = result_->Fetch();
    if (!rows) {
      if (result_->HasError()) Fail();
      return FetchStatus::kEnd;
    }
    if (rows->size() == 0) return FetchStatus::kEnd;
    held_ = std::move(rows);
    chunk.rows.Reference(*held_);
    return FetchStatus::kRows;
  }

 private:
  [[noreturn]] void Fail() {
    try {
      result_->ThrowError();
    } catch (const std::exception& exception) {
      throw explain_(ErrorFrom(exception));
    }
  }

  const std::shared_ptr<duckdb::Connection> connection_;
  const ExplainFailure explain_;
  duckdb::unique_ptr<duckdb::QueryResult> result_;
  duckdb::unique_ptr<DataChunk> held_;
};

// TIMESTAMP_LTZ -> TIMESTAMP, also as a member of other types.
LogicalType LocalType(const LogicalType& type) {
  return duckdb::TypeVisitor::VisitReplace(type, [](const LogicalType& member) {
    return member.id() == LogicalTypeId::TIMESTAMP_TZ ? LogicalType(LogicalTypeId::TIMESTAMP)
                                                      : member;
  });
}

class ShownResult : public ResultStream {
 public:
  ShownResult(std::unique_ptr<ResultStream> rows, std::shared_ptr<duckdb::Connection> connection,
              const std::vector<SelectItem>& items)
      : rows_(std::move(rows)),
        connection_(std::move(connection)),
        names_(rows_->Names()),
        casts_(*connection_->context) {
    for (idx_t i = 0; i < names_.size() && names_.size() == items.size(); i++) {
      bool named = duckdb::StringUtil::CIEquals(names_[i], items[i].last_name);
      if (!named) names_[i] = items[i].text;
    }
    const auto& types = rows_->Types();
    for (const LogicalType& type : types) {
      types_.push_back(LocalType(type));
      converts_ = converts_ || types_.back() != type;
    }
    if (!converts_) return;
    input_.Initialize(types);
    for (idx_t i = 0; i < types.size(); i++) {
      auto column = duckdb::make_uniq<duckdb::BoundReferenceExpression>(types[i], i);
      expressions_.push_back(duckdb::BoundCastExpression::AddCastToType(
          *connection_->context, std::move(column), types_[i]));
      casts_.AddExpression(*expressions_.back());
    }
  }

  const duckdb::vector<std::string>& Names() const override { return names_; }
  const duckdb::vector<LogicalType>& Types() const override { return types_; }
  bool IsChangelog() const override { return rows_->IsChangelog(); }
  void Cancel() override { rows_->Cancel(); }
  FetchStatus Fetch(ChangeChunk& chunk, int64_t wait_ms) override {
    if (!converts_) return rows_->Fetch(chunk, wait_ms);
    input_.Reset();
    FetchStatus status = rows_->Fetch(input_, wait_ms);
    chunk.Reset();
    if (status != FetchStatus::kRows) return status;
    MILLRACE_CHECK(input_.size() <= kChunkRows);
    casts_.Execute(input_.rows, chunk.rows);
    chunk.kinds = input_.kinds;
    return status;
  }

 private:
  std::unique_ptr<ResultStream> rows_;
  std::shared_ptr<duckdb::Connection> connection_;
  duckdb::vector<std::string> names_;
  duckdb::vector<LogicalType> types_;
  bool converts_ = false;  // Some type differs from that of the rows.
  duckdb::vector<duckdb::unique_ptr<duckdb::Expression>> expressions_;
  duckdb::ExpressionExecutor casts_;
  ChangeChunk input_;
};

// Buffers a step, so that a reader sees whole steps only.
class QueueSink : public Sink {
 public:
  QueueSink(std::shared_ptr<ChangeQueue> queue, duckdb::vector<LogicalType> types)
      : queue_(std::move(queue)), types_(std::move(types)) {}
  ~QueueSink() override = default;

  ChangelogType Accepts() const override { return ChangelogType::kFull; }
  void Write(ChangeChunk& chunk) override {
    auto copy = std::make_unique<ChangeChunk>();
    // As large as its rows: many small ones may wait.
    copy->rows.Initialize(duckdb::Allocator::DefaultAllocator(), types_,
                          std::max<idx_t>(chunk.size(), 1));
    chunk.rows.Copy(copy->rows);
    copy->kinds = chunk.kinds;
    step_.push_back(std::move(copy));
    if (step_.size() > kSpillChunks) Flush();  // A huge step: the reader may begin with it.
  }
  void EndStep(int64_t) override { Flush(); }
  std::string Prepare(int64_t) override { return ""; }
  std::optional<Published> Commit(int64_t, const std::string&) override { return std::nullopt; }

 private:
  static constexpr size_t kSpillChunks = 64;
  void Flush() {
    for (auto& chunk : step_) {
      if (!queue_->Push(*chunk)) Throw(ErrorCode::kCancelled, "The query was cancelled");
    }
    step_.clear();
  }

  const std::shared_ptr<ChangeQueue> queue_;
  const duckdb::vector<LogicalType> types_;
  std::vector<std::unique_ptr<ChangeChunk>> step_;
};

}  // namespace

std::unique_ptr<ResultStream> MakeTextResult(std::vector<std::string> names,
                                             const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::vector<Value>> values;
  for (const std::vector<std::string>& row : rows) values.emplace_back(row.begin(), row.end());
  duckdb::vector<LogicalType> types(names.size(), LogicalType::VARCHAR);
  return MakeRowsResult(duckdb::vector<std::string>(names.begin(), names.end()), std::move(types),
                        std::move(values));
}

std::unique_ptr<ResultStream> MakeRowsResult(duckdb::vector<std::string> names,
                                             duckdb::vector<LogicalType> types,
                                             std::vector<std::vector<Value>> rows) {
  return std::make_unique<RowsResult>(std::move(names), std::move(types), std::move(rows));
}

std::unique_ptr<ResultStream> MakeBatchResult(std::shared_ptr<duckdb::Connection> connection,
                                              const std::string& duck_sql, ExplainFailure explain) {
  return std::make_unique<BatchResult>(std::move(connection), duck_sql, std::move(explain));
}

std::unique_ptr<ResultStream> MakeShownResult(std::unique_ptr<ResultStream> rows,
                                              std::shared_ptr<duckdb::Connection> connection,
                                              const std::vector<SelectItem>& items) {
  return std::make_unique<ShownResult>(std::move(rows), std::move(connection), items);
}

bool ChangeQueue::Push(ChangeChunk& chunk) {
  auto moved = std::make_unique<ChangeChunk>();
  moved->rows.Move(chunk.rows);
  moved->kinds = std::move(chunk.kinds);
  std::unique_lock lock(mutex_);
  changed_.wait(lock,
                [&] { return closed_ || rows_ == 0 || rows_ + moved->size() <= kCapacityRows; });
  if (closed_) return false;
  rows_ += moved->size();
  chunks_.push_back(std::move(moved));
  changed_.notify_all();
  return true;
}

std::unique_ptr<ChangeChunk> ChangeQueue::Pop(int64_t wait_ms) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(wait_ms),
                    [&] { return !chunks_.empty() || closed_; });
  if (chunks_.empty()) return nullptr;
  auto chunk = std::move(chunks_.front());
  chunks_.pop_front();
  rows_ -= chunk->size();
  changed_.notify_all();
  return chunk;
}

void ChangeQueue::Close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

bool ChangeQueue::Empty() const {
  std::lock_guard lock(mutex_);
  return chunks_.empty();
}

std::unique_ptr<Sink> MakeQueueSink(std::shared_ptr<ChangeQueue> queue,
                                    duckdb::vector<LogicalType> types) {
  return std::make_unique<QueueSink>(std::move(queue), std::move(types));
}

}  // namespace millrace
