#include "session/system_scan.h"

#include <algorithm>
#include <atomic>
#include <deque>

#include "base/error.h"
#include "duckdb/common/allocator.hpp"
#include "stream/change_view.h"
#include "stream/lake_source.h"
#include "table/incremental.h"

namespace millrace {

namespace {

/// Rows that were made at once.
class RowsReader : public BatchReader {
 public:
  RowsReader(SystemRows rows, std::vector<idx_t> columns)
      : rows_(std::move(rows)), columns_(std::move(columns)) {}
  bool Next(DataChunk& chunk) override {
    idx_t count = std::min<idx_t>(kChunkRows, rows_.size() - next_);
    for (idx_t row = 0; row < count; row++) {
      for (idx_t i = 0; i < columns_.size(); i++) {
        chunk.SetValue(i, row, rows_[next_ + row][columns_[i]]);
      }
    }
    chunk.SetCardinality(count);
    next_ += count;
    return count > 0;
  }

 private:
  const SystemRows rows_;
  const std::vector<idx_t> columns_;
  idx_t next_ = 0;
};

class RowsScan : public BatchScan {
 public:
  RowsScan(SystemRows rows, const std::vector<idx_t>& columns)
      : reader_(std::make_unique<RowsReader>(std::move(rows), columns)) {}
  std::unique_ptr<BatchReader> NextUnit() override { return std::move(reader_); }

 private:
  std::unique_ptr<BatchReader> reader_;
};

/// The changes of one unit, shown as rows.
class ViewReader : public BatchReader {
 public:
  ViewReader(std::unique_ptr<ChangeReader> reader, std::unique_ptr<ChangeView> view,
             const duckdb::vector<LogicalType>& table_types, idx_t wanted)
      : reader_(std::move(reader)), view_(std::move(view)), wanted_(wanted) {
    duckdb::vector<LogicalType> types;
    for (idx_t column : view_->TableColumns()) types.push_back(table_types[column]);
    changes_.rows.InitializeEmpty(types);
  }

  bool Next(DataChunk& chunk) override {
    while (ready_.empty()) {
      if (ended_) return false;
      auto keep = [&](ChangeChunk& rows) {
        ready_.push_back(std::make_unique<DataChunk>());
        ready_.back()->Move(rows.rows);
      };
      if (reader_->Next(changes_)) {
        view_->Show(changes_, keep);
      } else {
        view_->End(keep);
        ended_ = true;
      }
    }
    held_ = std::move(ready_.front());
    ready_.pop_front();
    for (idx_t i = 0; i < wanted_; i++) chunk.data[i].Reference(held_->data[i]);
    chunk.SetCardinality(held_->size());
    return true;
  }

 private:
  const std::unique_ptr<ChangeReader> reader_;
  const std::unique_ptr<ChangeView> view_;
  const idx_t wanted_;
  ChangeChunk changes_;
  std::deque<std::unique_ptr<DataChunk>> ready_;
  std::unique_ptr<DataChunk> held_;
  bool ended_ = false;
};

/// audit_log and binlog: a state with its deletes, or an interval of the history.
class ViewScan : public BatchScan {
 public:
  ViewScan(std::shared_ptr<const Table> table, SystemTableKind kind,
           const BatchScanRequest& request, GroupCut& cut)
      : table_(std::move(table)), kind_(kind), columns_(request.columns) {
    // Without a column rows must be counted all the same.
    if (columns_.empty()) columns_.push_back(0);
    wanted_ = request.columns.size();
    ScanStart start = ResolveScanStart(table_->state(), false);
    if (start.kind == ScanStart::Kind::kNothing) return;
    if (start.kind == ScanStart::Kind::kIncremental) {
      incremental_ = PlanIncremental(table_->state(), start.incremental);
      return;
    }
    ScanOptions options;
    options.snapshot = start.state;
    options.created_since_ms = start.created_since_ms;
    if (!start.state) {
      int64_t newest = cut.Newest(table_);
      if (newest == 0) return;
      options.snapshot_id = newest;
    }
    for (ColumnPredicate predicate : request.predicates) {
      if (predicate.column == 0 || kind_ == SystemTableKind::kBinlog) continue;
      predicate.column--;
      options.predicates.push_back(predicate);
    }
    states_ = table_->PlanScan(options);
  }

  idx_t MaxThreads() const override {
    return std::max<idx_t>(1, states_.size() + incremental_.size());
  }

  std::unique_ptr<BatchReader> NextUnit() override {
    size_t next = next_++;
    const TableState& state = table_->state();
    duckdb::vector<LogicalType> types = table_->schema().DuckTypes();
    auto view = MakeChangeView(kind_, columns_, types);
    std::unique_ptr<ChangeReader> reader;
    if (next < incremental_.size()) {
      reader = ReadIncremental(state, incremental_[next], view->TableColumns(), true);
    } else if (next < states_.size()) {
      reader = MakeStateChangeReader(state, states_[next], view->TableColumns());
    } else {
      return nullptr;
    }
    return std::make_unique<ViewReader>(std::move(reader), std::move(view), types, wanted_);
  }

 private:
  const std::shared_ptr<const Table> table_;
  const SystemTableKind kind_;
  std::vector<idx_t> columns_;
  idx_t wanted_ = 0;
  std::vector<Split> states_;
  std::vector<IncrementalSplit> incremental_;
  std::atomic<size_t> next_{0};
};

}  // namespace

std::unique_ptr<BatchScan> OpenSystemScan(Engine& engine, const TableDefinition& definition,
                                          const BatchScanRequest& request, GroupCut& cut) {
  std::string name = SystemTableOf(definition);
  constexpr std::string_view kGlobal = "sys.";
  if (name.starts_with(kGlobal)) {
    return std::make_unique<RowsScan>(
        GlobalTableRows(engine.Store(definition.path.catalog), engine.table_context(),
                        name.substr(kGlobal.size())),
        request.columns);
  }
  std::shared_ptr<const Table> table = OpenLakeTable(engine.table_context(), definition);
  SystemTableKind kind = SystemTableKindOf(name);
  if (kind != SystemTableKind::kMetadata) {
    return std::make_unique<ViewScan>(std::move(table), kind, request, cut);
  }
  auto zone = definition.options.find(kTimeZoneOption);
  return std::make_unique<RowsScan>(
      SystemTableRows(*table, name, zone == definition.options.end() ? "" : zone->second),
      request.columns);
}

}  // namespace millrace
