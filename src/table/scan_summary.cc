#include "table/scan_summary.h"

#include <algorithm>

#include "meta/binary_row.h"

namespace millrace {

namespace {

/// Types whose statistics are neither shortened nor leave values (NaN) out.
bool HasExactStats(const DataType& type) {
  switch (type.root) {
    case TypeRoot::kTinyInt:
    case TypeRoot::kSmallInt:
    case TypeRoot::kInt:
    case TypeRoot::kBigInt:
    case TypeRoot::kDecimal:
    case TypeRoot::kDate:
    case TypeRoot::kTime:
    case TypeRoot::kTimestamp:
    case TypeRoot::kTimestampLtz:
      return true;
    default:
      return false;
  }
}

/// Widens `range` by a file's values. False: its statistics do not say.
bool AddFile(const TableState& table, const DataFileMeta& file, const DataField& field,
             std::optional<ValueRange>& range) {
  auto columns = StatsColumnsOf(table, file);
  if (!columns) return false;
  auto index = columns->Find(field.id);
  if (!index || columns->types[*index].ToDuck() != field.type.ToDuck()) return false;
  const SimpleStats& stats = file.value_stats;
  std::vector<Value> least = DecodeRow(columns->types, stats.min_values);
  std::vector<Value> greatest = DecodeRow(columns->types, stats.max_values);
  if (*index >= least.size() || *index >= greatest.size()) return false;
  Value& min = least[*index];
  Value& max = greatest[*index];
  if (min.IsNull() || max.IsNull()) {  // No values, or no statistics of them.
    return *index < stats.null_counts.size() && stats.null_counts[*index] == file.row_count;
  }
  if (!range) {
    range = ValueRange{std::move(min), std::move(max)};
    return true;
  }
  if (min < range->least) range->least = std::move(min);
  if (max > range->greatest) range->greatest = std::move(max);
  return true;
}

}  // namespace

std::optional<idx_t> StatsColumns::Find(int field_id) const {
  auto found = std::find(field_ids.begin(), field_ids.end(), field_id);
  if (found == field_ids.end()) return std::nullopt;
  return static_cast<idx_t>(found - field_ids.begin());
}

std::optional<StatsColumns> StatsColumnsOf(const TableState& table, const DataFileMeta& file) {
  if (file.write_columns) return std::nullopt;
  const std::vector<DataField>& fields = file.schema_id == table.schema.id
                                             ? table.schema.fields
                                             : table.schemas.Get(file.schema_id)->fields;
  StatsColumns columns;
  for (const DataField& field : fields) {
    if (file.value_stats_columns &&
        std::find(file.value_stats_columns->begin(), file.value_stats_columns->end(), field.name) ==
            file.value_stats_columns->end()) {
      continue;
    }
    columns.types.push_back(field.type);
    columns.field_ids.push_back(field.id);
  }
  if (file.value_stats_columns && columns.types.size() != file.value_stats_columns->size()) {
    return std::nullopt;
  }
  return columns;
}

bool HoldsLiveRowsOnly(const Split& split) {
  // Files of append-only tables need not tell of deletes; a merge is planned where others do not.
  return split.raw && std::all_of(split.files.begin(), split.files.end(), [](auto& file) {
           return file.delete_row_count.value_or(0) == 0;
         });
}

std::optional<int64_t> CountRows(const std::vector<Split>& splits) {
  int64_t rows = 0;
  for (const Split& split : splits) {
    if (!HoldsLiveRowsOnly(split)) return std::nullopt;
    for (const DataFileMeta& file : split.files) rows += file.row_count;
    for (const auto& [file, deletions] : split.deletions) {
      if (!deletions.cardinality) return std::nullopt;
      rows -= *deletions.cardinality;
    }
  }
  return rows;
}

std::optional<ValueRange> RangeOfColumn(const TableState& table, const std::vector<Split>& splits,
                                        idx_t column) {
  const DataField& field = table.schema.fields[column];
  if (!HasExactStats(field.type)) return std::nullopt;
  std::optional<ValueRange> range;
  for (const Split& split : splits) {
    if (!HoldsLiveRowsOnly(split) || !split.deletions.empty()) return std::nullopt;
    for (const DataFileMeta& file : split.files) {
      if (!AddFile(table, file, field, range)) return std::nullopt;
    }
  }
  return range;
}

}  // namespace millrace
