#include "stream/change_view.h"

#include <algorithm>

#include "base/error.h"
#include "duckdb/common/allocator.hpp"
#include "duckdb/common/vector_operations/vector_operations.hpp"

namespace millrace {

namespace {

/// What both views share: which table column stands behind each of theirs.
class ViewColumns : public ChangeView {
 public:
  ViewColumns(const std::vector<idx_t>& columns, const duckdb::vector<LogicalType>& table_types) {
    for (idx_t column : columns) {
      if (column == 0) {
        sources_.push_back(std::nullopt);
        continue;
      }
      auto found = std::find(table_columns_.begin(), table_columns_.end(), column - 1);
      sources_.push_back(static_cast<idx_t>(found - table_columns_.begin()));
      if (found != table_columns_.end()) continue;
      table_columns_.push_back(column - 1);
      types_.push_back(table_types[column - 1]);
    }
  }
  const std::vector<idx_t>& TableColumns() const override { return table_columns_; }

 protected:
  static void FillKinds(Vector& out, const std::vector<RowKind>& kinds) {
    static const string_t kNames[] = {string_t("+I"), string_t("-U"), string_t("+U"),
                                      string_t("-D")};
    auto* names = duckdb::FlatVector::GetData<string_t>(out);
    for (idx_t i = 0; i < kinds.size(); i++) names[i] = kNames[static_cast<size_t>(kinds[i])];
  }

  std::vector<idx_t> table_columns_;
  duckdb::vector<LogicalType> types_;          // Of table_columns_.
  std::vector<std::optional<idx_t>> sources_;  // Into table_columns_; nullopt: rowkind.
};

class AuditView : public ViewColumns {
 public:
  using ViewColumns::ViewColumns;

  void Show(ChangeChunk& changes, const ChangeReceiver& receive) override {
    if (changes.size() == 0) return;
    changes.ExpandKinds();
    duckdb::vector<LogicalType> types;
    for (const auto& source : sources_) {
      types.push_back(source ? types_[*source] : LogicalType::VARCHAR);
    }
    ChangeChunk out;
    out.rows.Initialize(duckdb::Allocator::DefaultAllocator(), types,
                        std::max(changes.size(), kChunkRows));
    for (idx_t i = 0; i < sources_.size(); i++) {
      if (sources_[i]) {
        out.rows.data[i].Reference(changes.rows.data[*sources_[i]]);
      } else {
        FillKinds(out.rows.data[i], changes.kinds);
      }
    }
    out.rows.SetCardinality(changes.size());
    receive(out);
  }
  void End(const ChangeReceiver&) override {}
};

class BinlogView : public ViewColumns {
 public:
  BinlogView(const std::vector<idx_t>& columns, const duckdb::vector<LogicalType>& table_types)
      : ViewColumns(columns, table_types) {
    if (table_columns_.empty()) {  // Rows must be counted all the same.
      table_columns_.push_back(0);
      types_.push_back(table_types[0]);
    }
  }

  void Show(ChangeChunk& changes, const ChangeReceiver& receive) override {
    if (changes.size() == 0) return;
    changes.ExpandKinds();
    if (!held_) return Pack(changes.rows, changes.kinds, false, receive);
    DataChunk both;
    both.Initialize(duckdb::Allocator::DefaultAllocator(), types_, changes.size() + 1);
    both.Append(*held_, true);
    both.Append(changes.rows, true);
    std::vector<RowKind> kinds = {RowKind::kUpdateBefore};
    kinds.insert(kinds.end(), changes.kinds.begin(), changes.kinds.end());
    held_.reset();
    Pack(both, kinds, false, receive);
  }

  void End(const ChangeReceiver& receive) override {
    if (!held_) return;
    std::unique_ptr<DataChunk> last = std::move(held_);
    Pack(*last, {RowKind::kUpdateBefore}, true, receive);
  }

 private:
  /// Unless `all`, a first half at the end is held back.
  void Pack(DataChunk& rows, const std::vector<RowKind>& kinds, bool all,
            const ChangeReceiver& receive) {
    idx_t count = rows.size();
    if (!all && kinds.back() == RowKind::kUpdateBefore) {
      count--;
      SelectionVector last(1);
      last.set_index(0, count);
      held_ = std::make_unique<DataChunk>();
      held_->Initialize(duckdb::Allocator::DefaultAllocator(), types_, 1);
      rows.Copy(*held_, last, 1, 0);
    }
    std::vector<duckdb::list_entry_t> entries;
    std::vector<RowKind> packed;
    for (idx_t i = 0; i < count; i++) {
      bool pair = kinds[i] == RowKind::kUpdateBefore && i + 1 < count &&
                  kinds[i + 1] == RowKind::kUpdateAfter;
      entries.push_back({i, pair ? idx_t(2) : idx_t(1)});
      if (pair) i++;
      packed.push_back(kinds[i]);
    }
    if (!entries.empty()) Emit(rows, count, entries, packed, receive);
  }

  void Emit(DataChunk& rows, idx_t count, const std::vector<duckdb::list_entry_t>& entries,
            const std::vector<RowKind>& kinds, const ChangeReceiver& receive) {
    duckdb::vector<LogicalType> types;
    for (const auto& source : sources_) {
      types.push_back(source ? LogicalType::LIST(types_[*source]) : LogicalType::VARCHAR);
    }
    ChangeChunk out;
    out.rows.Initialize(duckdb::Allocator::DefaultAllocator(), types,
                        std::max<idx_t>(entries.size(), kChunkRows));
    for (idx_t i = 0; i < sources_.size(); i++) {
      Vector& column = out.rows.data[i];
      if (!sources_[i]) {
        FillKinds(column, kinds);
        continue;
      }
      duckdb::ListVector::Reserve(column, count);
      duckdb::VectorOperations::Copy(rows.data[*sources_[i]], duckdb::ListVector::GetEntry(column),
                                     count, 0, 0);
      duckdb::ListVector::SetListSize(column, count);
      std::copy(entries.begin(), entries.end(),
                duckdb::FlatVector::GetData<duckdb::list_entry_t>(column));
    }
    out.rows.SetCardinality(entries.size());
    receive(out);
  }

  std::unique_ptr<DataChunk> held_;  // The first half of an update.
};

}  // namespace

std::unique_ptr<ChangeView> MakeChangeView(SystemTableKind kind, const std::vector<idx_t>& columns,
                                           const duckdb::vector<LogicalType>& table_types) {
  MILLRACE_CHECK(kind == SystemTableKind::kAuditLog || kind == SystemTableKind::kBinlog);
  if (kind == SystemTableKind::kAuditLog) return std::make_unique<AuditView>(columns, table_types);
  return std::make_unique<BinlogView>(columns, table_types);
}

}  // namespace millrace
