#include "table/scan_plan.h"

#include <algorithm>

#include "base/error.h"
#include "duckdb/common/allocator.hpp"
#include "lsm/merge_reader.h"
#include "meta/binary_row.h"

namespace millrace {

namespace {

/// `constant` in the column's type, when that says the same.
std::optional<Value> AsColumnType(const Value& constant, const LogicalType& type) {
  if (constant.IsNull()) return std::nullopt;
  Value cast;
  std::string message;
  Value source = constant;
  if (!source.DefaultTryCastAs(type, cast, &message)) return std::nullopt;
  Value back;
  if (!cast.DefaultTryCastAs(constant.type(), back, &message) || back != constant)
    return std::nullopt;
  return cast;
}

bool IsRaw(const Section& section) {
  if (section.size() != 1) return false;
  return std::all_of(
      section[0].files.begin(), section[0].files.end(),
      [](const DataFileMeta& file) { return file.level > 0 && file.delete_row_count == 0; });
}

}  // namespace

bool ScanPruner::Condition::MayMatch(const Value& least, const Value& greatest) const {
  if (least.IsNull() || greatest.IsNull()) return true;
  // Statistics of others may leave NaN out, which is the greatest value here.
  bool is_float =
      constant.type().id() == LogicalTypeId::FLOAT || constant.type().id() == LogicalTypeId::DOUBLE;
  switch (op) {
    case ColumnPredicate::Op::kEqual:
      return least <= constant && (is_float || constant <= greatest);
    case ColumnPredicate::Op::kLess:
      return least < constant;
    case ColumnPredicate::Op::kLessEqual:
      return least <= constant;
    case ColumnPredicate::Op::kGreater:
      return is_float || greatest > constant;
    case ColumnPredicate::Op::kGreaterEqual:
      return is_float || greatest >= constant;
  }
  return true;
}

ScanPruner::ScanPruner(const TableState& table, const std::vector<ColumnPredicate>& predicates)
    : table_(table),
      partition_types_(PartitionTypes(table.schema)),
      partition_columns_(table.schema.PartitionColumns()) {
  if (table.HasPrimaryKey()) key_columns_ = table.schema.TrimmedPrimaryKey();
  for (const ColumnPredicate& predicate : predicates) {
    auto constant =
        AsColumnType(predicate.constant, table.schema.fields[predicate.column].type.ToDuck());
    if (constant) conditions_.push_back({predicate.column, predicate.op, *constant});
  }
  bucket_hash_ = FixedBucketHash();
}

std::optional<int32_t> ScanPruner::FixedBucketHash() const {
  std::vector<idx_t> bucket_key = table_.schema.BucketKey();
  if (table_.parsed.bucket <= 0 || bucket_key.empty()) return std::nullopt;
  std::vector<DataType> types;
  duckdb::vector<LogicalType> duck_types;
  for (const DataField& field : table_.schema.fields) {
    duck_types.push_back(field.type.ToDuck());
  }
  DataChunk row;
  row.Initialize(duckdb::Allocator::DefaultAllocator(), duck_types, 1);
  for (idx_t column : bucket_key) {
    auto fixed =
        std::find_if(conditions_.begin(), conditions_.end(), [&](const Condition& condition) {
          return condition.column == column && condition.op == ColumnPredicate::Op::kEqual;
        });
    if (fixed == conditions_.end()) return std::nullopt;
    row.SetValue(column, 0, fixed->constant);
    types.push_back(table_.schema.fields[column].type);
  }
  row.SetCardinality(1);
  std::vector<int32_t> hashes;
  HashRows(types, row, bucket_key, hashes);
  return hashes[0];
}

bool ScanPruner::MayMatchStats(const Condition& condition, const SimpleStats& stats,
                               const std::vector<DataType>& types, idx_t index,
                               int64_t rows) const {
  if (index < stats.null_counts.size() && stats.null_counts[index] == rows) return false;
  std::vector<Value> least = DecodeRow(types, stats.min_values);
  std::vector<Value> greatest = DecodeRow(types, stats.max_values);
  if (index >= least.size() || index >= greatest.size()) return true;
  return condition.MayMatch(least[index], greatest[index]);
}

bool ScanPruner::KeepManifest(const ManifestFileMeta& manifest) const {
  for (idx_t i = 0; i < partition_columns_.size(); i++) {
    for (const Condition& condition : conditions_) {
      if (condition.column == partition_columns_[i] &&
          !MayMatchStats(condition, manifest.partition_stats, partition_types_, i, -1)) {
        return false;
      }
    }
  }
  return true;
}

bool ScanPruner::KeepBucket(const ManifestEntry& entry) const {
  if (bucket_hash_ && entry.total_buckets > 0 &&
      entry.bucket != BucketOf(*bucket_hash_, entry.total_buckets)) {
    return false;
  }
  std::vector<Value> values;
  for (idx_t i = 0; i < partition_columns_.size(); i++) {
    for (const Condition& condition : conditions_) {
      if (condition.column != partition_columns_[i]) continue;
      if (values.empty()) values = DecodeRow(partition_types_, entry.partition);
      if (values[i].IsNull() || !condition.MayMatch(values[i], values[i])) return false;
    }
  }
  return true;
}

bool ScanPruner::KeepByKey(const DataFileMeta& file) const {
  std::vector<DataType> types;
  for (idx_t column : key_columns_) types.push_back(table_.schema.fields[column].type);
  for (idx_t i = 0; i < key_columns_.size(); i++) {
    for (const Condition& condition : conditions_) {
      if (condition.column == key_columns_[i] &&
          !MayMatchStats(condition, file.key_stats, types, i, file.row_count)) {
        return false;
      }
    }
  }
  return true;
}

bool ScanPruner::KeepByValues(const DataFileMeta& file) const {
  if (conditions_.empty()) return true;
  const std::vector<DataField>& fields = file.schema_id == table_.schema.id
                                             ? table_.schema.fields
                                             : table_.schemas.Get(file.schema_id)->fields;
  if (file.write_columns) return true;
  std::vector<DataType> types;  // Of the columns with statistics.
  std::vector<int> field_ids;
  for (const DataField& field : fields) {
    if (file.value_stats_columns &&
        std::find(file.value_stats_columns->begin(), file.value_stats_columns->end(), field.name) ==
            file.value_stats_columns->end()) {
      continue;
    }
    types.push_back(field.type);
    field_ids.push_back(field.id);
  }
  if (file.value_stats_columns && types.size() != file.value_stats_columns->size()) return true;
  for (const Condition& condition : conditions_) {
    auto found =
        std::find(field_ids.begin(), field_ids.end(), table_.schema.fields[condition.column].id);
    if (found == field_ids.end()) continue;
    idx_t index = static_cast<idx_t>(found - field_ids.begin());
    if (types[index].ToDuck() != condition.constant.type())
      continue;  // The column has another type now.
    if (types[index].root >= TypeRoot::kArray) continue;
    if (!MayMatchStats(condition, file.value_stats, types, index, file.row_count)) return false;
  }
  return true;
}

namespace {

/// Collects files into splits of about the target size.
class SplitPacker {
 public:
  SplitPacker(const TableOptions& options, std::vector<Split>& splits)
      : options_(options), splits_(splits) {}

  void Add(const ManifestEntry& bucket, std::vector<DataFileMeta> files, bool raw) {
    int64_t weight = 0;
    for (const DataFileMeta& file : files)
      weight += std::max(file.file_size, options_.split_open_bytes);
    if (open_ && (open_->raw != raw || weight_ + weight > options_.split_target_bytes)) Finish();
    if (!open_) open_ = Split{bucket.partition, bucket.bucket, {}, raw};
    std::move(files.begin(), files.end(), std::back_inserter(open_->files));
    weight_ += weight;
  }
  void Finish() {
    if (open_) splits_.push_back(std::move(*open_));
    open_.reset();
    weight_ = 0;
  }

 private:
  const TableOptions& options_;
  std::vector<Split>& splits_;
  std::optional<Split> open_;
  int64_t weight_ = 0;
};

void PlanKeyedBucket(const ScanPruner& pruner, const KeyOrder& order,
                     const std::vector<ManifestEntry>& entries, SplitPacker& packer) {
  std::vector<DataFileMeta> files;
  for (const ManifestEntry& entry : entries) {
    if (pruner.KeepByKey(entry.file)) files.push_back(entry.file);
  }

  for (Section& section : PartitionIntoSections(std::move(files), order)) {
    bool raw = IsRaw(section);
    std::vector<DataFileMeta> wanted;
    for (SortedRun& run : section) {
      for (DataFileMeta& file : run.files) {
        if (!raw || pruner.KeepByValues(file)) wanted.push_back(std::move(file));
      }
    }
    if (!wanted.empty()) packer.Add(entries[0], std::move(wanted), raw);
  }
  packer.Finish();
}

}  // namespace

std::vector<Split> PlanTableScan(const TableState& table, const ScanOptions& options) {
  table.CheckSupported("read");
  std::optional<Snapshot> snapshot;
  if (options.snapshot_id) {
    snapshot = table.snapshots.Find(*options.snapshot_id);
    if (!snapshot) {
      Throw(ErrorCode::kNotFound,
            "Cannot read snapshot {} of table {}: there are snapshots {} to {}. Set "
            "'scan.snapshot-id' to one of them.",
            *options.snapshot_id, table.folder, table.snapshots.EarliestId().value_or(0),
            table.snapshots.LatestId().value_or(0));
    }
  } else {
    snapshot = table.snapshots.Latest();
  }
  std::vector<Split> splits;
  if (!snapshot) return splits;
  ScanPruner pruner(table, options.predicates);
  std::vector<ManifestEntry> live;
  for (;;) {
    try {
      live = table.manifests.LiveEntries(
          *snapshot, [&](const ManifestEntry& entry) { return pruner.KeepBucket(entry); },
          [&](const ManifestFileMeta& manifest) { return pruner.KeepManifest(manifest); });
      break;
    } catch (const Error& error) {
      // Expired while we were reading: whoever wants the latest takes the next one.
      std::optional<Snapshot> next = table.snapshots.Latest();
      if (error.code() != ErrorCode::kCorrupt || options.snapshot_id || !next || next == snapshot)
        throw;
      snapshot = next;
    }
  }
  std::map<std::pair<RowBytes, int>, std::vector<ManifestEntry>> buckets;
  for (ManifestEntry& entry : live) {
    buckets[{entry.partition, entry.bucket}].push_back(std::move(entry));
  }
  SplitPacker packer(table.parsed, splits);
  KeyOrder order(table.Layout().KeyTypes());
  for (auto& [name, entries] : buckets) {
    if (table.HasPrimaryKey()) {
      PlanKeyedBucket(pruner, order, entries, packer);
      continue;
    }
    for (ManifestEntry& entry : entries) {
      if (pruner.KeepByValues(entry.file)) packer.Add(entry, {entry.file}, true);
    }
    packer.Finish();
  }
  return splits;
}

namespace {

/// Counts rows without opening a file: every physical row is a live one.
class CountReader : public SplitReader {
 public:
  explicit CountReader(const Split& split) {
    for (const DataFileMeta& file : split.files) left_ += file.row_count;
  }
  bool Next(DataChunk& chunk) override {
    idx_t rows = static_cast<idx_t>(std::min<int64_t>(left_, kChunkRows));
    chunk.SetCardinality(rows);
    left_ -= static_cast<int64_t>(rows);
    return rows > 0;
  }

 private:
  int64_t left_ = 0;
};

template <typename Reader>
class FileSplitReader : public SplitReader {
 public:
  FileSplitReader(const TableState& table, const Split& split, MergeReadOptions options)
      : reader_(table.lsm(), table.Layout(), table.BucketFolder(split.partition, split.bucket),
                split.files, std::move(options)) {}
  bool Next(DataChunk& chunk) override { return reader_.Next(chunk); }

 private:
  Reader reader_;
};

}  // namespace

std::unique_ptr<SplitReader> MakeSplitReader(const TableState& table, const Split& split,
                                             const ScanOptions& options) {
  if (split.raw && options.columns.empty()) return std::make_unique<CountReader>(split);
  MergeReadOptions read;
  read.fields = options.columns;
  std::vector<idx_t> key;
  if (table.HasPrimaryKey()) key = table.schema.TrimmedPrimaryKey();
  for (const ColumnPredicate& predicate : options.predicates) {
    // While merging, only conditions on the key may hide rows: a newer row can be behind another
    // value.
    if (!split.raw && std::find(key.begin(), key.end(), predicate.column) == key.end()) continue;
    auto constant =
        AsColumnType(predicate.constant, table.schema.fields[predicate.column].type.ToDuck());
    if (!constant) continue;
    read.prune.push_back(
        {predicate.column, static_cast<FilePredicate::Op>(predicate.op), *constant});
  }
  read.fields_of_schema = [&table](int64_t id) { return table.schemas.Get(id)->fields; };
  if (split.raw) return std::make_unique<FileSplitReader<RunReader>>(table, split, std::move(read));
  return std::make_unique<FileSplitReader<MergeReader>>(table, split, std::move(read));
}

}  // namespace millrace
