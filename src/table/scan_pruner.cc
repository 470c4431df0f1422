#include "table/scan_pruner.h"

#include <algorithm>

#include "duckdb/common/allocator.hpp"
#include "meta/binary_row.h"
#include "meta/type_casts.h"
#include "table/scan_summary.h"

namespace millrace {

namespace {

/// More bucket keys than these are not worked out: they would touch most buckets anyway.
constexpr idx_t kMaxBucketKeys = kChunkRows;

}  // namespace

ScanPruner::ScanPruner(const TableState& table, const std::vector<ColumnPredicate>& predicates)
    : table_(table),
      conditions_(PruneConditions(table.schema, predicates)),
      partition_types_(PartitionTypes(table.schema)),
      partition_columns_(table.schema.PartitionColumns()),
      key_columns_(table.HasPrimaryKey() ? table.schema.TrimmedPrimaryKey() : std::vector<idx_t>()),
      key_indexes_(table, conditions_, &key_columns_),
      value_indexes_(table, conditions_) {
  for (idx_t column : key_columns_) key_types_.push_back(table.schema.fields[column].type);
  FindBucketHashes();
}

/// All bucket-key columns fixed: the hashes of every combination of their constants.
void ScanPruner::FindBucketHashes() {
  std::vector<idx_t> bucket_key = table_.schema.BucketKey();
  if (table_.parsed.bucket <= 0 || bucket_key.empty()) return;
  std::vector<DataType> types;
  std::vector<const PruneCondition*> fixed;
  idx_t combinations = 1;
  for (idx_t column : bucket_key) {
    const PruneCondition* best = nullptr;
    for (const PruneCondition& condition : conditions_) {
      if (condition.column != column || !condition.IsEquality()) continue;
      if (!best || condition.constants.size() < best->constants.size()) best = &condition;
    }
    if (!best) return;
    fixed.push_back(best);
    types.push_back(table_.schema.fields[column].type);
    combinations *= best->constants.size();
    if (combinations > kMaxBucketKeys) return;
  }
  duckdb::vector<LogicalType> duck_types;
  for (const DataType& type : types) duck_types.push_back(type.ToDuck());
  DataChunk keys;
  keys.Initialize(duckdb::Allocator::DefaultAllocator(), duck_types);
  std::vector<idx_t> columns;
  idx_t repeat = 1;
  for (idx_t i = 0; i < fixed.size(); i++) {
    const std::vector<Value>& constants = fixed[i]->constants;
    for (idx_t row = 0; row < combinations; row++) {
      keys.SetValue(i, row, constants[row / repeat % constants.size()]);
    }
    repeat *= constants.size();
    columns.push_back(i);
  }
  keys.SetCardinality(combinations);
  HashRows(types, keys, columns, bucket_hashes_.emplace());
}

bool ScanPruner::MayMatchStats(const PruneCondition& condition, const SimpleStats& stats,
                               const std::vector<DataType>& types, idx_t index,
                               int64_t rows) const {
  if (index < stats.null_counts.size() && stats.null_counts[index] == rows) return false;
  std::vector<Value> least = DecodeRow(types, stats.min_values);
  std::vector<Value> greatest = DecodeRow(types, stats.max_values);
  if (index >= least.size() || index >= greatest.size()) return true;
  const LogicalType& type = condition.constants[0].type();
  return condition.MayMatch(least[index].DefaultCastAs(type), greatest[index].DefaultCastAs(type));
}

bool ScanPruner::KeepManifest(const ManifestFileMeta& manifest) const {
  for (idx_t i = 0; i < partition_columns_.size(); i++) {
    for (const PruneCondition& condition : conditions_) {
      if (condition.column == partition_columns_[i] &&
          !MayMatchStats(condition, manifest.partition_stats, partition_types_, i, -1)) {
        return false;
      }
    }
  }
  return true;
}

bool ScanPruner::KeepBucket(const ManifestEntry& entry) const {
  if (bucket_hashes_ && entry.total_buckets > 0 &&
      std::none_of(bucket_hashes_->begin(), bucket_hashes_->end(), [&](int32_t hash) {
        return entry.bucket == BucketOf(hash, entry.total_buckets);
      })) {
    return false;
  }
  std::vector<Value> values;
  for (idx_t i = 0; i < partition_columns_.size(); i++) {
    for (const PruneCondition& condition : conditions_) {
      if (condition.column != partition_columns_[i]) continue;
      if (values.empty()) values = DecodeRow(partition_types_, entry.partition);
      if (values[i].IsNull() || !condition.MayMatch(values[i], values[i])) return false;
    }
  }
  return true;
}

bool ScanPruner::KeepByKey(const DataFileMeta& file) const {
  for (idx_t i = 0; i < key_columns_.size(); i++) {
    for (const PruneCondition& condition : conditions_) {
      if (condition.column == key_columns_[i] &&
          !MayMatchStats(condition, file.key_stats, key_types_, i, file.row_count)) {
        return false;
      }
    }
  }
  return key_indexes_.MayMatch(file);
}

bool ScanPruner::NamesKeys() const {
  return std::any_of(conditions_.begin(), conditions_.end(), [&](const PruneCondition& condition) {
    return condition.IsEquality() && !key_columns_.empty() && condition.column == key_columns_[0];
  });
}

bool ScanPruner::KeepByValues(const DataFileMeta& file) const {
  if (conditions_.empty()) return true;
  std::optional<StatsColumns> columns = StatsColumnsOf(table_, file);
  if (!columns) return true;
  for (const PruneCondition& condition : conditions_) {
    auto index = columns->Find(table_.schema.fields[condition.column].id);
    if (!index) continue;
    const DataType& type = columns->types[*index];
    if (type.root >= TypeRoot::kArray) continue;
    // Bounds in the old type bound the new values only where a cast keeps their order.
    if (!KeepsOrder(type, table_.schema.fields[condition.column].type)) continue;
    if (!MayMatchStats(condition, file.value_stats, columns->types, *index, file.row_count))
      return false;
  }
  return value_indexes_.MayMatch(file);
}

}  // namespace millrace
