// split_reader.cc - the rows of one split: merged, or file after file when nothing overlaps.
#include <algorithm>

#include "base/error.h"
#include "format/deletion_vector.h"
#include "lsm/key_cuts.h"
#include "lsm/merge_reader.h"
#include "table/file_index_pruner.h"
#include "table/scan_plan.h"
#include "table/scan_summary.h"

namespace millrace {

namespace {

/// Counts rows without opening a data file: every physical row that is not deleted is a live one.
class CountReader : public SplitReader {
 public:
  CountReader(const TableState& table, const Split& split) {
    for (const DataFileMeta& file : split.files) left_ += file.row_count;
    for (const auto& [name, place] : split.deletions) {
      left_ -= place.cardinality ? *place.cardinality
                                 : ReadDeletionVector(table.context.files, place)->Size();
    }
  }
  bool Next(DataChunk& chunk) override {
    idx_t rows = static_cast<idx_t>(std::clamp<int64_t>(left_, 0, kChunkRows));
    chunk.SetCardinality(rows);
    left_ -= static_cast<int64_t>(rows);
    return rows > 0;
  }

 private:
  int64_t left_ = 0;
};

class MergedSplitReader : public SplitReader {
 public:
  MergedSplitReader(const TableState& table, const Split& split, MergeReadOptions options)
      : reader_(table.lsm(), table.Layout(), table.BucketFolder(split.partition, split.bucket),
                split.files, std::move(options)) {}
  bool Next(DataChunk& chunk) override { return reader_.Next(chunk); }

 private:
  MergeReader reader_;
};

class RawSplitReader : public SplitReader {
 public:
  RawSplitReader(const TableState& table, const Split& split, MergeReadOptions options)
      : positions_(options.positions),
        reader_(table.lsm(), table.Layout(), table.BucketFolder(split.partition, split.bucket),
                split.files, std::move(options)) {
    if (positions_) rows_.InitializeEmpty(reader_.Types());
  }
  bool Next(DataChunk& chunk) override {
    if (!positions_) return reader_.Next(chunk);
    if (!reader_.Next(rows_)) return false;
    // The file's number goes before the position in it.
    idx_t position = rows_.ColumnCount() - 1;
    for (idx_t i = 0; i < position; i++) chunk.data[i].Reference(rows_.data[i]);
    chunk.data[position].Reference(Value::INTEGER(static_cast<int32_t>(reader_.CurrentFile())));
    chunk.data[position + 1].Reference(rows_.data[position]);
    chunk.SetCardinality(rows_.size());
    return true;
  }

 private:
  const bool positions_;
  RunReader reader_;
  DataChunk rows_;
};

/// Conditions that may hide rows of the split. While merging only those on the key: a newer row can
/// be behind another value.
std::vector<PruneCondition> ConditionsOf(const TableState& table, const Split& split,
                                         const ScanOptions& options) {
  std::vector<PruneCondition> conditions = PruneConditions(table.schema, options.predicates);
  if (split.raw) return conditions;
  std::vector<idx_t> key = table.schema.TrimmedPrimaryKey();
  std::erase_if(conditions, [&](const PruneCondition& condition) {
    return std::find(key.begin(), key.end(), condition.column) == key.end();
  });
  return conditions;
}

std::vector<FilePredicate> FilePredicates(const std::vector<PruneCondition>& conditions) {
  std::vector<FilePredicate> predicates;
  for (const PruneCondition& condition : conditions) {
    if (condition.op != ColumnPredicate::Op::kIn) {
      predicates.push_back(
          {condition.column, static_cast<FilePredicate::Op>(condition.op), condition.constants[0]});
      continue;
    }
    predicates.push_back(
        {condition.column, FilePredicate::Op::kGreaterEqual, condition.constants.front()});
    predicates.push_back(
        {condition.column, FilePredicate::Op::kLessEqual, condition.constants.back()});
  }
  return predicates;
}

/// Row groups outside of the split's key range are skipped.
void PruneByRange(const TableState& table, const Split& split,
                  std::vector<FilePredicate>& predicates) {
  if (split.from_key.empty() && split.below_key.empty()) return;  // Most splits: no layout is made.
  for (FilePredicate& bound : PredicatesOf({split.from_key, split.below_key}, table.Layout())) {
    predicates.push_back(std::move(bound));
  }
}

/// What of each file is to be read, by its deletion vector and its index.
class RowChooser {
 public:
  RowChooser(const TableState& table, const Split& split, std::vector<PruneCondition> conditions)
      : table_(table),
        folder_(table.BucketFolder(split.partition, split.bucket)),
        deletions_(split.deletions),
        conditions_(std::move(conditions)),
        indexes_(table, conditions_) {}

  FileRows Choose(const DataFileMeta& file) const {
    FileRows rows = indexes_.RowsOf(folder_, file);
    auto place = deletions_.find(file.file_name);
    if (rows.none || place == deletions_.end()) return rows;
    std::shared_ptr<const RowSet> deleted = ReadDeletionVector(table_.context.files, place->second);
    if (!rows.hidden) return {.hidden = std::move(deleted)};
    RowSet both = rows.hidden->Copy();
    both.AddAll(*deleted);
    return {.hidden = std::make_shared<const RowSet>(std::move(both))};
  }

 private:
  const TableState& table_;
  const std::string folder_;
  const std::map<std::string, DeletionFile> deletions_;
  const std::vector<PruneCondition> conditions_;
  const FileIndexPruner indexes_;
};

}  // namespace

std::unique_ptr<SplitReader> MakeSplitReader(const TableState& table, const Split& split,
                                             const ScanOptions& options) {
  if (options.positions && table.HasPrimaryKey()) {
    Throw(ErrorCode::kUnsupported,
          "Cannot read row positions of table {}: it has a primary key, which names its rows.",
          table.folder);
  }
  if (HoldsLiveRowsOnly(split) && options.columns.empty() && !options.positions) {
    return std::make_unique<CountReader>(table, split);
  }
  MergeReadOptions read;
  read.fields = options.columns;
  read.merge = table.parsed.merge;
  std::vector<PruneCondition> conditions = ConditionsOf(table, split, options);
  read.prune = FilePredicates(conditions);
  read.choose_rows = true;
  read.from_key = split.from_key;
  read.below_key = split.below_key;
  PruneByRange(table, split, read.prune);
  read.positions = options.positions;
  read.fields_of_schema = [&table](int64_t id) { return table.schemas.Get(id)->fields; };
  auto chooser = std::make_shared<RowChooser>(table, split, std::move(conditions));
  read.rows_of_file = [chooser](const DataFileMeta& file) { return chooser->Choose(file); };
  if (split.raw) return std::make_unique<RawSplitReader>(table, split, std::move(read));
  return std::make_unique<MergedSplitReader>(table, split, std::move(read));
}

}  // namespace millrace
