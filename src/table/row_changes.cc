#include "table/row_changes.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "duckdb/common/allocator.hpp"

namespace millrace {

namespace {

/// Sends the unmarked rows of one file to `writer`.
void CopyUnmarked(const Table& table, const Split& unit, const std::vector<bool>& marked,
                  TableWriter& writer) {
  ScanOptions options;
  options.columns.resize(table.schema().fields.size());
  std::iota(options.columns.begin(), options.columns.end(), 0);
  std::unique_ptr<SplitReader> reader = table.ReadSplit(unit, options);
  DataChunk rows;
  rows.Initialize(duckdb::Allocator::DefaultAllocator(), table.schema().DuckTypes());
  SelectionVector kept(kChunkRows);
  idx_t position = 0;
  for (;;) {
    rows.Reset();
    if (!reader->Next(rows)) return;
    idx_t count = 0;
    for (idx_t i = 0; i < rows.size(); i++, position++) {
      kept.set_index(count, i);
      count += position >= marked.size() || !marked[position];
    }
    if (count == 0) continue;
    ChangeChunk changes;
    changes.rows.InitializeEmpty(rows.GetTypes());
    changes.rows.Reference(rows);
    if (count < rows.size()) changes.rows.Slice(kept, count);
    writer.Write(changes);
  }
}

BucketChange& ChangeOf(Committable& committable, const Split& unit) {
  for (BucketChange& change : committable.buckets) {
    if (change.partition == unit.partition && change.bucket == unit.bucket) return change;
  }
  BucketChange change;
  change.partition = unit.partition;
  change.bucket = unit.bucket;
  change.total_buckets = unit.total_buckets;
  return committable.buckets.emplace_back(std::move(change));
}

}  // namespace

bool RowMarks::Mark(int64_t row_id) {
  std::vector<bool>& unit = units_[static_cast<idx_t>(row_id >> kRowPositionBits)];
  auto position = static_cast<idx_t>(row_id & ((int64_t{1} << kRowPositionBits) - 1));
  if (position >= unit.size()) unit.resize(position + 1);
  if (unit[position]) return false;
  unit[position] = true;
  return true;
}

std::vector<Split> SplitByFile(std::vector<Split> splits) {
  std::vector<Split> units;
  for (Split& split : splits) {
    for (DataFileMeta& file : split.files) {
      Split unit = {split.partition, split.bucket, {}, split.raw};
      unit.total_buckets = split.total_buckets;
      auto deletion = split.deletions.find(file.file_name);
      if (deletion != split.deletions.end()) unit.deletions.insert(*deletion);
      unit.files.push_back(std::move(file));
      units.push_back(std::move(unit));
    }
  }
  return units;
}

Committable RewriteMarkedFiles(const Table& table, const std::vector<Split>& units,
                               const RowMarks& marks, TableWriter& writer) {
  for (const auto& [unit, marked] : marks.units()) {
    MILLRACE_CHECK(unit < units.size() && units[unit].files.size() == 1);
    auto rows = static_cast<idx_t>(units[unit].files[0].row_count);
    bool all = marked.size() == rows &&
               std::all_of(marked.begin(), marked.end(), [](bool is_marked) { return is_marked; });
    if (!all) CopyUnmarked(table, units[unit], marked, writer);
  }
  Committable committable = writer.PrepareCommit();
  for (const auto& [unit, marked] : marks.units()) {
    ChangeOf(committable, units[unit]).deleted_files.push_back(units[unit].files[0]);
  }
  return committable;
}

Committable DeleteMarkedRows(const Table& table, int64_t snapshot_id,
                             const std::vector<Split>& units, const RowMarks& marks,
                             TableWriter& writer) {
  Committable committable = writer.PrepareCommit();
  if (marks.units().empty()) return committable;
  std::unique_ptr<RowDeleter> deleter = table.NewRowDeleter(snapshot_id);
  for (const auto& [unit, marked] : marks.units()) {
    MILLRACE_CHECK(unit < units.size() && units[unit].files.size() == 1);
    std::vector<int64_t> positions;
    for (idx_t i = 0; i < marked.size(); i++) {
      if (marked[i]) positions.push_back(static_cast<int64_t>(i));
    }
    deleter->Delete(units[unit], units[unit].files[0], positions);
  }
  deleter->PrepareCommit(committable);
  return committable;
}

}  // namespace millrace
