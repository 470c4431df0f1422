#include "session/row_id_scan.h"

#include <algorithm>
#include <atomic>

#include "base/error.h"
#include "duckdb/common/allocator.hpp"
#include "duckdb/main/client_context.hpp"
#include "session/statement_reads.h"
#include "stream/lake_source.h"
#include "table/table_state.h"

namespace millrace {

namespace {

/// Reads one unit and numbers its rows.
class RowIdReader : public BatchReader {
 public:
  /// `id_columns`: where the output wants the id; its other columns are those of `reader`.
  /// `positions`: the last column that `reader` gives is the row's position in its file; else rows
  /// are counted.
  RowIdReader(std::unique_ptr<SplitReader> reader, const duckdb::vector<LogicalType>& types,
              std::vector<bool> id_columns, idx_t unit, bool positions)
      : reader_(std::move(reader)),
        id_columns_(std::move(id_columns)),
        unit_(unit),
        positions_(positions) {
    if (types.empty()) {
      rows_.InitializeEmpty({});
    } else {
      rows_.Initialize(duckdb::Allocator::DefaultAllocator(), types);
    }
  }

  bool Next(DataChunk& chunk) override {
    rows_.Reset();
    if (!reader_->Next(rows_)) return false;
    idx_t next = 0;
    for (idx_t i = 0; i < chunk.ColumnCount(); i++) {
      // Without any column wanted DuckDB's chunk has one that nobody looks at.
      if (i < id_columns_.size() && !id_columns_[i]) {
        chunk.data[i].Reference(rows_.data[next++]);
      } else {
        MakeIds(chunk.data[i]);
      }
    }
    chunk.SetCardinality(rows_.size());
    position_ += static_cast<int64_t>(rows_.size());
    return true;
  }

 private:
  void MakeIds(Vector& ids) {
    if (!positions_) {
      ids.Sequence(RowIdOf(unit_, position_), 1, rows_.size());
      return;
    }
    UnifiedVectorFormat format;
    rows_.data.back().ToUnifiedFormat(rows_.size(), format);
    const auto* positions = UnifiedVectorFormat::GetData<int64_t>(format);
    ids.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
    auto* made = duckdb::FlatVector::GetData<int64_t>(ids);
    for (idx_t i = 0; i < rows_.size(); i++) {
      made[i] = RowIdOf(unit_, positions[format.sel->get_index(i)]);
    }
  }

  std::unique_ptr<SplitReader> reader_;
  const std::vector<bool> id_columns_;
  const idx_t unit_;
  const bool positions_;
  int64_t position_ = 0;
  DataChunk rows_;
};

class RowIdScan : public BatchScan {
 public:
  RowIdScan(std::shared_ptr<const Table> table, const BatchScanRequest& request, GroupCut& cut,
            StatementReads& reads)
      : table_(std::move(table)) {
    idx_t field_count = table_->schema().fields.size();
    for (idx_t column : request.columns) {
      id_columns_.push_back(column >= field_count);
      if (column < field_count) options_.columns.push_back(column);
    }
    for (const ColumnPredicate& predicate : request.predicates) {
      if (predicate.column < field_count) options_.predicates.push_back(predicate);
    }
    int64_t snapshot = cut.Newest(table_);
    if (snapshot > 0) {
      options_.snapshot_id = snapshot;
      units_ = table_->PlanScan(options_);
      if (!table_->HasPrimaryKey()) {
        options_.positions = table_->state().parsed.deletion_vectors;
        if (!options_.positions) RefuseVectors();
        units_ = SplitByFile(std::move(units_));
        // Rows of files are counted: none may be skipped.
        if (!options_.positions) options_.predicates.clear();
      }
    }
    reads.Start(table_->schema().id, snapshot, units_);
  }

  /// A file that is rewritten would leave its deletion vector behind.
  void RefuseVectors() const {
    for (const Split& unit : units_) {
      if (unit.deletions.empty()) continue;
      Throw(ErrorCode::kUnsupported,
            "Changing rows of table {}: it has deletion vectors, and 'deletion-vectors.enabled' is "
            "off; set it to 'true' again, or INSERT OVERWRITE the table from itself first",
            table_->folder());
    }
  }

  idx_t MaxThreads() const override { return std::max<idx_t>(1, units_.size()); }

  std::unique_ptr<BatchReader> NextUnit() override {
    size_t unit = next_++;
    if (unit >= units_.size()) return nullptr;
    duckdb::vector<LogicalType> types;
    for (idx_t column : options_.columns) {
      types.push_back(table_->schema().fields[column].type.ToDuck());
    }
    if (options_.positions) {
      types.push_back(LogicalType(LogicalTypeId::INTEGER));
      types.push_back(LogicalType(LogicalTypeId::BIGINT));
    }
    return std::make_unique<RowIdReader>(table_->ReadSplit(units_[unit], options_), types,
                                         id_columns_, unit, options_.positions);
  }

 private:
  const std::shared_ptr<const Table> table_;
  ScanOptions options_;
  std::vector<bool> id_columns_;
  std::vector<Split> units_;
  std::atomic<size_t> next_{0};
};

}  // namespace

std::unique_ptr<BatchScan> MakeRowIdScan(duckdb::ClientContext& context,
                                         std::shared_ptr<const Table> table,
                                         const BatchScanRequest& request, GroupCut& cut) {
  auto reads = context.registered_state->Get<StatementReads>(StatementReads::kName);
  if (!reads) {
    Throw(ErrorCode::kInvalid, "Reading table '{}': option '{}' is for UPDATE, DELETE and MERGE",
          table->folder(), kRowIdOption);
  }
  return std::make_unique<RowIdScan>(std::move(table), request, cut, *reads);
}

}  // namespace millrace
