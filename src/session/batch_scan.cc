// batch_scan.cc - how DuckDB reads our tables in batch: lake tables by split, connectors through a
// bounded Source.
#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>

#include "base/error.h"
#include "duckdb/common/types/column/column_data_collection.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/main/client_context_state.hpp"
#include "duckdb/storage/buffer_manager.hpp"
#include "session/engine.h"
#include "session/read_at.h"
#include "session/row_id_scan.h"
#include "session/system_scan.h"
#include "stream/change_fold.h"
#include "stream/lake_source.h"
#include "stream/source_groups.h"
#include "table/group_cut.h"
#include "table/incremental.h"
#include "table/scan_summary.h"

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
  QueryCut(FileSystem& files, Clock& clock) : files_(files), clock_(clock) { Renew(); }
  void QueryBegin(duckdb::ClientContext&) override { Renew(); }
  std::shared_ptr<GroupCut> Get() {
    std::lock_guard lock(mutex_);
    return cut_;
  }

 private:
  void Renew() {
    std::lock_guard lock(mutex_);
    cut_ = std::make_shared<GroupCut>(files_, clock_);
  }

  FileSystem& files_;
  Clock& clock_;
  std::mutex mutex_;
  std::shared_ptr<GroupCut> cut_;
};

class LakeBatchScan : public BatchScan {
 public:
  LakeBatchScan(std::shared_ptr<const Table> table, const BatchScanRequest& request,
                const ScanStart& start, bool top_only, GroupCut& cut)
      : table_(std::move(table)) {
    if (top_only && table_->HasPrimaryKey()) {
      options_.only_level = table_->state().parsed.level_count - 1;
    }
    options_.columns = request.columns;
    options_.predicates = request.predicates;
    options_.created_since_ms = start.created_since_ms;
    if (start.kind == ScanStart::Kind::kState) {
      options_.snapshot = start.state;
      splits_ = table_->PlanScan(options_);
      return;
    }
    int64_t newest = cut.Newest(table_);
    if (newest == 0) return;  // Nothing that may be read yet.
    options_.snapshot_id = newest;
    while (true) {
      try {
        splits_ = table_->PlanScan(options_);
        break;
      } catch (const Error&) {
        if (table_->FindSnapshot(*options_.snapshot_id)) throw;
        // Expired since it was chosen. Where another table has been read by the same choice, the
        // query must begin anew.
        std::optional<int64_t> again = cut.NewestAgain(table_);
        if (!again) throw;
        if (*again == 0) return;
        options_.snapshot_id = again;
      }
    }
  }
  /// As a stream that has come to `snapshot` knows the table.
  LakeBatchScan(std::shared_ptr<const Table> table, const BatchScanRequest& request,
                int64_t snapshot)
      : table_(std::move(table)) {
    options_.columns = request.columns;
    options_.predicates = request.predicates;
    options_.as_stream_start = table_->HasPrimaryKey();
    options_.snapshot_id = snapshot;
    if (snapshot > 0) splits_ = table_->PlanScan(options_);
  }
  idx_t MaxThreads() const override { return std::max<idx_t>(1, splits_.size()); }
  std::unique_ptr<BatchReader> NextUnit() override {
    size_t next = next_++;
    if (next >= splits_.size()) return nullptr;
    return std::make_unique<SplitBatchReader>(table_->ReadSplit(splits_[next], options_),
                                              options_.columns.empty());
  }
  std::optional<int64_t> RowCount() const override { return CountRows(splits_); }
  std::optional<std::pair<Value, Value>> RangeOf(idx_t column) const override {
    auto range = RangeOfColumn(table_->state(), splits_, column);
    if (!range) return std::nullopt;
    return std::pair(std::move(range->least), std::move(range->greatest));
  }

 private:
  const std::shared_ptr<const Table> table_;
  ScanOptions options_;
  std::vector<Split> splits_;
  std::atomic<size_t> next_{0};
};

// The rows that came in an interval of the history; batch has no rows that leave.
class IncrementalBatchReader : public BatchReader {
 public:
  IncrementalBatchReader(std::unique_ptr<ChangeReader> reader,
                         const duckdb::vector<LogicalType>& types)
      : reader_(std::move(reader)) {
    changes_.rows.InitializeEmpty(types);
    added_.Initialize(kChunkRows);
  }
  bool Next(DataChunk& chunk) override {
    while (reader_->Next(changes_)) {
      idx_t count = 0;
      for (idx_t i = 0; i < changes_.size(); i++) {
        if (IsAdd(changes_.KindOf(i))) added_.set_index(count++, i);
      }
      if (count == 0) continue;
      for (idx_t i = 0; i < changes_.rows.ColumnCount(); i++) {
        chunk.data[i].Slice(changes_.rows.data[i], added_, count);
      }
      chunk.SetCardinality(count);
      return true;
    }
    return false;
  }

 private:
  const std::unique_ptr<ChangeReader> reader_;
  ChangeChunk changes_;
  SelectionVector added_;
};

class IncrementalBatchScan : public BatchScan {
 public:
  IncrementalBatchScan(std::shared_ptr<const Table> table, const BatchScanRequest& request,
                       const ScanStart& start)
      : table_(std::move(table)), columns_(request.columns) {
    for (idx_t column : columns_) types_.push_back(table_->schema().DuckTypes()[column]);
    if (start.kind == ScanStart::Kind::kIncremental) {
      splits_ = PlanIncremental(table_->state(), start.incremental);
    }
  }
  idx_t MaxThreads() const override { return std::max<idx_t>(1, splits_.size()); }
  std::unique_ptr<BatchReader> NextUnit() override {
    size_t next = next_++;
    if (next >= splits_.size()) return nullptr;
    return std::make_unique<IncrementalBatchReader>(
        ReadIncremental(table_->state(), splits_[next], columns_, false), types_);
  }

 private:
  const std::shared_ptr<const Table> table_;
  const std::vector<idx_t> columns_;
  duckdb::vector<LogicalType> types_;
  std::vector<IncrementalSplit> splits_;
  std::atomic<size_t> next_{0};
};

std::unique_ptr<BatchScan> OpenLakeScan(Engine& engine, const TableDefinition& definition,
                                        const BatchScanRequest& request, GroupCut& cut) {
  std::string system = SystemTableOf(definition);
  bool top_only = false;  // `t$ro`: what needs no merging.
  if (!system.empty()) {
    top_only = SystemTableKindOf(system) == SystemTableKind::kReadOptimized;
    if (!top_only) return OpenSystemScan(engine, definition, request, cut);
  }
  std::shared_ptr<const Table> table = OpenLakeTable(engine.table_context(), definition);
  ScanStart start = ResolveScanStart(table->state(), false);
  if (start.kind == ScanStart::Kind::kIncremental || start.kind == ScanStart::Kind::kNothing) {
    return std::make_unique<IncrementalBatchScan>(std::move(table), request, start);
  }
  return std::make_unique<LakeBatchScan>(std::move(table), request, start, top_only, cut);
}

duckdb::vector<LogicalType> TypesOf(const SourceTable& table) {
  duckdb::vector<LogicalType> types;
  for (idx_t column : table.columns)
    types.push_back(table.definition->columns[column].type.ToDuck());
  return types;
}

// What makes the rows that remain of a stream of changes; null where all do.
std::unique_ptr<ChangeFold> MakeFold(Engine& engine, const Source& source,
                                     const SourceTable& table) {
  ChangelogType type = source.Changelog(0);
  if (type == ChangelogType::kAppend) return nullptr;
  std::vector<idx_t> key;
  for (const std::string& name : table.definition->primary_key) {
    auto column = table.definition->FindColumn(name);
    auto position = std::find(table.columns.begin(), table.columns.end(), *column);
    if (position != table.columns.end()) key.push_back(position - table.columns.begin());
  }
  return std::make_unique<ChangeFold>(TypesOf(table),
                                      type == ChangelogType::kUpsert ? key : std::vector<idx_t>(),
                                      engine.environment().state_memory);
}

// All that a source gives up to a position; kept with what DuckDB may move to disk.
class SourceBatchReaderAt : public BatchReader {
 public:
  SourceBatchReaderAt(Engine& engine, std::unique_ptr<Source> source, const SourceTable& table,
                      idx_t wanted, std::string position)
      : engine_(engine),
        table_(table),
        source_(std::move(source)),
        wanted_(wanted),
        position_(std::move(position)),
        fold_(MakeFold(engine, *source_, table)) {}

  bool Next(DataChunk& chunk) override {
    if (!read_) ReadAll();
    if (fold_) return fold_->Next(chunk);
    if (!rows_->Scan(scan_, scanned_)) return false;
    for (idx_t c = 0; c < wanted_; c++) chunk.data[c].Reference(scanned_.data[c]);
    chunk.SetCardinality(scanned_.size());
    return true;
  }

 private:
  void ReadAll() {
    read_ = true;
    rows_ = std::make_unique<duckdb::ColumnDataCollection>(
        duckdb::BufferManager::GetBufferManager(engine_.environment().database), TypesOf(table_));
    source_->SeekBeginOf(position_);
    ReadLimit limit;
    limit.until = position_;
    source_->Read(limit, [&](idx_t, ChangeChunk& changes) {
      if (changes.size() == 0) return;
      fold_ ? fold_->Add(changes) : rows_->Append(changes.rows);
    });
    if (source_->Position() != position_) {
      Throw(ErrorCode::kUnsupported, "Reading table '{}' as it was at '{}': it ends at '{}' now",
            table_.definition->path.ToString(), position_, source_->Position());
    }
    rows_->InitializeScan(scan_);
    rows_->InitializeScanChunk(scanned_);
  }

  Engine& engine_;
  const SourceTable table_;
  const std::unique_ptr<Source> source_;
  const idx_t wanted_;
  const std::string position_;
  const std::unique_ptr<ChangeFold> fold_;
  std::unique_ptr<duckdb::ColumnDataCollection> rows_;
  duckdb::ColumnDataScanState scan_;
  DataChunk scanned_;
  bool read_ = false;
};

// Reads a bounded source step by step; a stream of changes is folded to the rows that remain.
class SourceBatchReader : public BatchReader {
 public:
  SourceBatchReader(Engine& engine, std::unique_ptr<Source> source, const SourceTable& table,
                    idx_t wanted)
      : engine_(engine),
        table_(table.definition->path.ToString()),
        source_(std::move(source)),
        wanted_(wanted),
        fold_(MakeFold(engine, *source_, table)) {}

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
      if (ended_) engine_.NoteSkipped(table_, source_->SkippedRecords());
    }
    DataChunk& next = *ready_.front();
    for (idx_t c = 0; c < wanted_; c++) chunk.data[c].Reference(next.data[c]);
    chunk.SetCardinality(next.size());
    held_ = std::move(ready_.front());
    ready_.pop_front();
    return true;
  }

 private:
  Engine& engine_;
  const std::string table_;
  std::unique_ptr<Source> source_;
  const idx_t wanted_;
  const std::unique_ptr<ChangeFold> fold_;
  std::deque<std::unique_ptr<DataChunk>> ready_;
  std::unique_ptr<DataChunk> held_;
  bool ended_ = false;
};

class SourceBatchScan : public BatchScan {
 public:
  explicit SourceBatchScan(std::unique_ptr<BatchReader> reader) : reader_(std::move(reader)) {}
  std::unique_ptr<BatchReader> NextUnit() override { return std::move(reader_); }

 private:
  std::unique_ptr<BatchReader> reader_;
};

// What to ask of a source: the wanted columns, and the key to fold upserts by.
SourceTable ToRead(std::shared_ptr<const TableDefinition> definition,
                   const std::vector<idx_t>& wanted) {
  SourceTable table{std::move(definition), wanted};
  for (const std::string& name : table.definition->primary_key) {
    idx_t column = *table.definition->FindColumn(name);
    if (std::find(table.columns.begin(), table.columns.end(), column) == table.columns.end()) {
      table.columns.push_back(column);
    }
  }
  if (table.columns.empty()) table.columns.push_back(0);
  return table;
}

std::unique_ptr<BatchScan> OpenScanAt(Engine& engine,
                                      const std::shared_ptr<const TableDefinition>& definition,
                                      const BatchScanRequest& request, const ReadAt::Place& place) {
  std::string connector = definition->Connector();
  if (place.snapshot) {
    return std::make_unique<LakeBatchScan>(OpenLakeTable(engine.table_context(), *definition),
                                           request, *place.snapshot);
  }
  SourceTable table = ToRead(definition, request.columns);
  auto source = connector.empty() ? MakeLakeSource(engine.table_context(), {table}, false)
                                  : engine.connectors().Get(connector).MakeSource(
                                        engine.environment(), {table}, false);
  return std::make_unique<SourceBatchScan>(std::make_unique<SourceBatchReaderAt>(
      engine, std::move(source), table, request.columns.size(), place.position));
}

}  // namespace

BatchScanOpener MakeBatchScanOpener(Engine& engine,
                                    std::shared_ptr<const TableDefinition> definition) {
  return [&engine, definition](duckdb::ClientContext& context,
                               const BatchScanRequest& request) -> std::unique_ptr<BatchScan> {
    std::string connector = definition->Connector();
    if (auto read_at = context.registered_state->Get<ReadAt>(ReadAt::kName)) {
      auto place = read_at->places.find(InputKey(*definition));
      if (place != read_at->places.end()) {
        return OpenScanAt(engine, definition, request, place->second);
      }
    }
    if (connector.empty()) {
      auto cut = context.registered_state->GetOrCreate<QueryCut>(
          "millrace_cut", engine.environment().files, engine.environment().clock);
      if (definition->columns.back().name == kRowIdColumn) {
        return MakeRowIdScan(context, OpenLakeTable(engine.table_context(), *definition), request,
                             *cut->Get());
      }
      return OpenLakeScan(engine, *definition, request, *cut->Get());
    }
    const Connector& found = engine.connectors().Get(connector);
    if (!found.CanRead()) {
      Throw(ErrorCode::kInvalid, "Reading '{}': connector '{}' can only be written",
            definition->path.ToString(), connector);
    }
    SourceTable table = ToRead(definition, request.columns);
    auto source = found.MakeSource(engine.environment(), {table}, true);
    return std::make_unique<SourceBatchScan>(std::make_unique<SourceBatchReader>(
        engine, std::move(source), table, request.columns.size()));
  };
}

}  // namespace millrace
