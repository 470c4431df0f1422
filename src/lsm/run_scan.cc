#include "lsm/run_scan.h"

#include "base/error.h"
#include "lsm/sort_key.h"
#include "meta/type_casts.h"

namespace millrace {

namespace {

idx_t AddColumn(ReadPlan& plan, const FileColumn& column) {
  for (idx_t i = 0; i < plan.columns.size(); i++) {
    if (plan.columns[i].name == column.name) return i;
  }
  plan.columns.push_back(column);
  return plan.columns.size() - 1;
}

}  // namespace

duckdb::vector<LogicalType> ReadPlan::Types() const {
  duckdb::vector<LogicalType> types;
  for (const FileColumn& column : columns) types.push_back(column.type.ToDuck());
  return types;
}

bool MayHoldDeletes(const std::vector<DataFileMeta>& files) {
  for (const DataFileMeta& file : files) {
    if (!file.delete_row_count.has_value() || *file.delete_row_count > 0) return true;
  }
  return false;
}

bool ReadPlan::HasIntegerKey() const {
  duckdb::vector<LogicalType> types;
  for (idx_t column : key) types.push_back(columns[column].type.ToDuck());
  return IsIntegerKey(types);
}

namespace {

/// Adds columns to a plan as they are asked for.
class Planner {
 public:
  Planner(const KeyValueLayout& layout, const MergeReadOptions& options)
      : layout_(layout), options_(options) {
    plan_.of_field.assign(layout.fields.size(), duckdb::DConstants::INVALID_INDEX);
  }

  idx_t Field(idx_t index) {
    const DataField& wanted = layout_.fields[index];
    return plan_.of_field[index] = AddColumn(plan_, {wanted.name, wanted.type, wanted.id});
  }

  // _KEY_ columns repeat value columns (and thin files lack them): the value columns serve as both.
  void Key() {
    for (idx_t index : layout_.key) plan_.key.push_back(Field(index));
  }
  void KeyAndKind() {
    std::vector<FileColumn> special = KeyValueColumns({}, {});
    Key();
    plan_.sequence = AddColumn(plan_, special[0]);
    Kind();
  }
  void Kind() { plan_.kind = AddColumn(plan_, KeyValueColumns({}, {})[1]); }
  void SequenceFields() {
    for (idx_t index : layout_.sequence_fields) plan_.sequence_fields.push_back(Field(index));
    plan_.sequence_descending = layout_.sequence_descending;
  }

  /// `merge`: a newer row that does not match may hide one that does, so only the key may prune.
  ReadPlan Finish(bool merge) {
    if (options_.key_value) {
      plan_.output = plan_.key;
      plan_.output.push_back(plan_.sequence);
      plan_.output.push_back(plan_.kind);
    }
    for (idx_t index : options_.fields) plan_.output.push_back(Field(index));
    if (options_.positions) plan_.output.push_back(AddColumn(plan_, RowPositionColumn()));
    for (const FilePredicate& predicate : options_.prune) {
      const auto& key = layout_.key;
      if (merge && std::find(key.begin(), key.end(), predicate.column) == key.end()) continue;
      idx_t column = plan_.of_field[predicate.column];
      if (column == duckdb::DConstants::INVALID_INDEX) continue;
      plan_.prune.push_back({column, predicate.op, predicate.constant});
    }
    return std::move(plan_);
  }

 private:
  const KeyValueLayout& layout_;
  const MergeReadOptions& options_;
  ReadPlan plan_;
};

}  // namespace

ReadPlan PlanRawRead(const KeyValueLayout& layout, const std::vector<DataFileMeta>& files,
                     const MergeReadOptions& options) {
  Planner planner(layout, options);
  if (options.key_value) {
    planner.KeyAndKind();
  } else {
    if (options.HasKeyRange()) planner.Key();
    if (!layout.key.empty() && options.drop_deletes && MayHoldDeletes(files)) planner.Kind();
  }
  return planner.Finish(/*merge=*/false);
}

ReadPlan PlanMerge(const KeyValueLayout& layout, const MergeReadOptions& options,
                   const std::vector<idx_t>& needed) {
  Planner planner(layout, options);
  planner.KeyAndKind();
  planner.SequenceFields();
  for (idx_t index : needed) planner.Field(index);
  return planner.Finish(/*merge=*/true);
}

bool RunScan::Next(DataChunk& chunk) {
  while (true) {
    if (!reader_) {
      if (next_file_ == files_.size()) return false;
      OpenFile(files_[next_file_++]);
    }
    if (reader_ && (mapping_ ? ReadMapped(chunk) : reader_->Next(chunk))) {
      if (!order_ || CutToRange(chunk)) return true;
      chunk.Reset();
      continue;
    }
    reader_.reset();
  }
}

void RunScan::SetRange() {
  order_.emplace(layout_.KeyTypes());
  if (!options_.from_key.empty()) from_ = order_->Normalise(options_.from_key);
  if (!options_.below_key.empty()) below_ = order_->Normalise(options_.below_key);
}

idx_t RunScan::FirstFrom(DataChunk& chunk, const std::string& bound) const {
  auto is_below = [&](idx_t row) {
    std::vector<Value> key;
    for (idx_t column : plan_.key) key.push_back(chunk.GetValue(column, row));
    return order_->Normalise(key) < bound;
  };
  if (is_below(chunk.size() - 1)) return chunk.size();
  idx_t low = 0, high = chunk.size() - 1;
  while (low < high) {
    idx_t middle = (low + high) / 2;
    if (is_below(middle)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

bool RunScan::CutToRange(DataChunk& chunk) {
  idx_t first = from_.empty() ? 0 : FirstFrom(chunk, from_);
  if (first < chunk.size()) from_.clear();  // Keys ascend: the rest is not below,
  idx_t end = below_.empty() ? chunk.size() : FirstFrom(chunk, below_);
  if (end < chunk.size()) next_file_ = files_.size();  // and nothing comes after this.
  if (first >= end) {
    if (end < chunk.size()) reader_.reset();
    return false;
  }
  if (first > 0 || end < chunk.size()) {
    SelectionVector kept(end - first);
    for (idx_t i = first; i < end; i++) kept.set_index(i - first, i);
    chunk.Slice(kept, end - first);
  }
  return true;
}

std::string RunScan::CurrentPath() const {
  return next_file_ == 0 ? folder_ : DataFilePath(folder_, files_[next_file_ - 1]);
}

namespace {

/// Who began to read before the table was altered keeps its columns, but values must fit them.
void RefuseNarrowing(const std::vector<FileColumn>& file, const std::vector<FileColumn>& wanted,
                     const std::string& path) {
  for (idx_t i = 0; i < wanted.size(); i++) {
    if (wanted[i].type.root >= TypeRoot::kArray) continue;
    if (KeepsOrder(file[i].type, wanted[i].type)) continue;
    Throw(ErrorCode::kInvalid,
          "Reading data file '{}': column '{}' was {} when reading began and is {} now; start the "
          "reader again",
          path, wanted[i].name, wanted[i].type.ToString(), file[i].type.ToString());
  }
}

}  // namespace

const SchemaMapping* RunScan::MappingOf(int64_t schema_id) {
  if (!options_.fields_of_schema || schema_id == layout_.schema_id) return nullptr;
  std::unique_ptr<SchemaMapping>& mapping = mappings_[schema_id];
  if (!mapping) {
    mapping = std::make_unique<SchemaMapping>(options_.fields_of_schema(schema_id), plan_.columns);
    if (schema_id > layout_.schema_id)
      RefuseNarrowing(mapping->file_columns(), plan_.columns, CurrentPath());
  }
  return mapping.get();
}

void RunScan::OpenFile(const DataFileMeta& file) {
  std::shared_ptr<const RowSet> hidden;
  if (options_.rows_of_file) {
    FileRows rows = options_.rows_of_file(file);
    if (rows.none) return;
    hidden = std::move(rows.hidden);
  }
  std::vector<FileColumn> columns = plan_.columns;
  std::vector<FilePredicate> prune = plan_.prune;
  mapping_ = MappingOf(file.schema_id);
  if (mapping_) {
    columns = mapping_->file_columns();
    std::erase_if(prune, [this](const FilePredicate& predicate) {
      return !mapping_->SameValues(predicate.column);
    });
    if (mapping_->IsPlain()) mapping_ = nullptr;
  }
  ParquetReadOptions read;
  read.prune = std::move(prune);
  read.choose_rows = options_.choose_rows;
  read.hidden = std::move(hidden);
  read.cache = context_.cache;
  reader_ = std::make_unique<ParquetFileReader>(context_.database, context_.files,
                                                DataFilePath(folder_, file), std::move(columns),
                                                std::move(read));
  if (!mapping_) return;
  file_rows_ = std::make_unique<DataChunk>();
  file_rows_->Initialize(duckdb::Allocator::DefaultAllocator(), reader_->Types());
}

bool RunScan::ReadMapped(DataChunk& chunk) {
  file_rows_->Reset();
  if (!reader_->Next(*file_rows_)) return false;
  try {
    mapping_->Convert(*file_rows_, chunk);
  } catch (const Error& error) {
    Throw(error.code(), "Reading data file '{}', whose columns have other types now: {}",
          CurrentPath(), error.text());
  }
  return true;
}

bool ReadToOutput(DataChunk& read, const ReadPlan& plan, bool drop_deletes, DataChunk& output) {
  output.Reset();
  for (idx_t i = 0; i < plan.output.size(); i++) {
    output.data[i].Reference(read.data[plan.output[i]]);
  }
  output.SetCardinality(read.size());
  if (!drop_deletes || !plan.HasKind()) return output.size() > 0;
  UnifiedVectorFormat kinds;
  read.data[plan.kind].ToUnifiedFormat(read.size(), kinds);
  auto* kind = UnifiedVectorFormat::GetData<int8_t>(kinds);
  SelectionVector kept(kChunkRows);
  idx_t count = 0;
  for (idx_t i = 0; i < read.size(); i++) {
    kept.set_index(count, i);
    count += IsAdd(static_cast<RowKind>(kind[kinds.sel->get_index(i)]));
  }
  if (count < read.size()) output.Slice(kept, count);
  return count > 0;
}

}  // namespace millrace
