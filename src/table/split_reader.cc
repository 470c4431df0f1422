// split_reader.cc - the rows of one split: merged, or file after file when nothing overlaps.
#include <algorithm>

#include "lsm/merge_reader.h"
#include "table/scan_plan.h"
#include "table/scan_pruner.h"

namespace millrace {

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
  read.merge = table.parsed.merge;
  std::vector<idx_t> key;
  if (table.HasPrimaryKey()) key = table.schema.TrimmedPrimaryKey();
  for (const PruneCondition& condition : PruneConditions(table.schema, options.predicates)) {
    // While merging, only conditions on the key may hide rows: a newer row can be behind another
    // value.
    if (!split.raw && std::find(key.begin(), key.end(), condition.column) == key.end()) continue;
    if (condition.op != ColumnPredicate::Op::kIn) {
      read.prune.push_back(
          {condition.column, static_cast<FilePredicate::Op>(condition.op), condition.constants[0]});
      continue;
    }
    read.prune.push_back(
        {condition.column, FilePredicate::Op::kGreaterEqual, condition.constants.front()});
    read.prune.push_back(
        {condition.column, FilePredicate::Op::kLessEqual, condition.constants.back()});
  }
  read.fields_of_schema = [&table](int64_t id) { return table.schemas.Get(id)->fields; };
  if (split.raw) return std::make_unique<FileSplitReader<RunReader>>(table, split, std::move(read));
  return std::make_unique<FileSplitReader<MergeReader>>(table, split, std::move(read));
}

}  // namespace millrace
