// batch_scan.cc - how DuckDB reads our tables in batch: lake tables by split, connectors through a
// bounded Source.
#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>

#include "base/error.h"
#include "duckdb/main/client_context.hpp"
#include "duckdb/main/client_context_state.hpp"
#include "session/engine.h"
#include "stream/change_fold.h"
#include "stream/lake_source.h"
#include "table/group_cut.h"

namespace millrace {

namespace {

class SplitBatchReader : public BatchReader {
 public:
  SplitBatchReader(std::unique_ptr<SplitReader> reader, bool no_columns)
      : reader_(std::move(reader)), no_columns_(no_columns) {
    // DuckDB asks COUNT(*) for a row id column that we fill with nothing in particular.
    if (no_columns_) empty_.InitializeEmpty({});
  }
  bool Next(DataChunk& chunk) override {
    if (!no_columns_) return reader_->Next(chunk);
    if (!reader_->Next(empty_)) return false;
    chunk.SetCardinality(empty_.size());
    return true;
  }

 private:
  std::unique_ptr<SplitReader> reader_;
  const bool no_columns_;
  DataChunk empty_;
};

// The cut that all lake tables of one query are read at.
class QueryCut : public duckdb::ClientContextState {
 public:
  explicit QueryCut(FileSystem& files) : files_(files) { Renew(); }
  void QueryBegin(duckdb::ClientContext&) override { Renew(); }
  std::shared_ptr<GroupCut> Get() {
    std::lock_guard lock(mutex_);
    return cut_;
  }

 private:
  void Renew() {
    std::lock_guard lock(mutex_);
    cut_ = std::make_shared<GroupCut>(files_);
  }

  FileSystem& files_;
  std::mutex mutex_;
  std::shared_ptr<GroupCut> cut_;
};

class LakeBatchScan : public BatchScan {
 public:
  LakeBatchScan(std::shared_ptr<const Table> table, const BatchScanRequest& request, GroupCut& cut)
      : table_(std::move(table)) {
    options_.columns = request.columns;
    options_.predicates = request.predicates;
    ScanStart start = ReadScanStart(*table_, true);
    if (start.snapshot) {
      options_.snapshot_id = start.snapshot;
    } else {
      int64_t newest = cut.Newest(table_);
      if (newest == 0) return;  // Nothing that may be read yet.
      options_.snapshot_id = newest;
    }
    try {
      splits_ = table_->PlanScan(options_);
    } catch (const Error&) {
      // Expired under a slow query: the newest there is.
      if (start.snapshot || table_->FindSnapshot(*options_.snapshot_id)) throw;
      options_.snapshot_id.reset();
      splits_ = table_->PlanScan(options_);
    }
  }
  idx_t MaxThreads() const override { return std::max<idx_t>(1, splits_.size()); }
  std::unique_ptr<BatchReader> NextUnit() override {
    size_t next = next_++;
    if (next >= splits_.size()) return nullptr;
    return std::make_unique<SplitBatchReader>(table_->ReadSplit(splits_[next], options_),
                                              options_.columns.empty());
  }

 private:
  const std::shared_ptr<const Table> table_;
  ScanOptions options_;
  std::vector<Split> splits_;
  std::atomic<size_t> next_{0};
};

// Reads a bounded source step by step; a stream of changes is folded to the rows that remain.
class SourceBatchReader : public BatchReader {
 public:
  SourceBatchReader(std::unique_ptr<Source> source, const SourceTable& table, idx_t wanted)
      : source_(std::move(source)), wanted_(wanted) {
    duckdb::vector<LogicalType> types;
    for (idx_t column : table.columns)
      types.push_back(table.definition->columns[column].type.ToDuck());
    ChangelogType type = source_->Changelog(0);
    if (type == ChangelogType::kAppend) return;
    std::vector<idx_t> key;
    for (const std::string& name : table.definition->primary_key) {
      auto column = table.definition->FindColumn(name);
      auto position = std::find(table.columns.begin(), table.columns.end(), *column);
      if (position != table.columns.end()) key.push_back(position - table.columns.begin());
    }
    fold_ = std::make_unique<ChangeFold>(
        types, type == ChangelogType::kUpsert ? key : std::vector<idx_t>());
  }

  bool Next(DataChunk& chunk) override {
    while (ready_.empty()) {
      if (ended_) return fold_ ? fold_->Next(chunk) : false;
      ReadLimit limit;
      SourceStatus status = source_->Read(limit, [&](idx_t, ChangeChunk& changes) {
        if (changes.size() == 0) return;
        if (fold_) {
          fold_->Add(changes);
          return;
        }
        auto copy = std::make_unique<DataChunk>();
        copy->Initialize(duckdb::Allocator::DefaultAllocator(), changes.rows.GetTypes(),
                         std::max<idx_t>(changes.size(), kChunkRows));
        changes.rows.Copy(*copy);
        ready_.push_back(std::move(copy));
      });
      ended_ = status == SourceStatus::kEnd || status == SourceStatus::kIdle;
    }
    DataChunk& next = *ready_.front();
    for (idx_t c = 0; c < wanted_; c++) chunk.data[c].Reference(next.data[c]);
    chunk.SetCardinality(next.size());
    held_ = std::move(ready_.front());
    ready_.pop_front();
    return true;
  }

 private:
  std::unique_ptr<Source> source_;
  const idx_t wanted_;
  std::unique_ptr<ChangeFold> fold_;
  std::deque<std::unique_ptr<DataChunk>> ready_;
  std::unique_ptr<DataChunk> held_;
  bool ended_ = false;
};

class SourceBatchScan : public BatchScan {
 public:
  SourceBatchScan(Environment& environment, const Connector& connector,
                  std::shared_ptr<const TableDefinition> definition,
                  const BatchScanRequest& request) {
    SourceTable table{std::move(definition), request.columns};
    idx_t wanted = table.columns.size();
    for (const std::string& name : table.definition->primary_key) {  // To fold upserts by.
      idx_t column = *table.definition->FindColumn(name);
      if (std::find(table.columns.begin(), table.columns.end(), column) == table.columns.end()) {
        table.columns.push_back(column);
      }
    }
    if (table.columns.empty()) table.columns.push_back(0);
    auto source = connector.MakeSource(environment, {table}, true);
    reader_ = std::make_unique<SourceBatchReader>(std::move(source), table, wanted);
  }
  std::unique_ptr<BatchReader> NextUnit() override { return std::move(reader_); }

 private:
  std::unique_ptr<BatchReader> reader_;
};

}  // namespace

BatchScanOpener MakeBatchScanOpener(Engine& engine,
                                    std::shared_ptr<const TableDefinition> definition) {
  return [&engine, definition](duckdb::ClientContext& context,
                               const BatchScanRequest& request) -> std::unique_ptr<BatchScan> {
    std::string connector = definition->Connector();
    if (connector.empty()) {
      auto cut = context.registered_state->GetOrCreate<QueryCut>("millrace_cut",
                                                                 engine.environment().files);
      return std::make_unique<LakeBatchScan>(OpenLakeTable(engine.table_context(), *definition),
                                             request, *cut->Get());
    }
    const Connector& found = engine.connectors().Get(connector);
    if (!found.CanRead()) {
      Throw(ErrorCode::kInvalid, "Reading '{}': connector '{}' can only be written",
            definition->path.ToString(), connector);
    }
    return std::make_unique<SourceBatchScan>(engine.environment(), found, definition, request);
  };
}

}  // namespace millrace
