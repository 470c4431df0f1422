#include "lsm/run_scan.h"

#include "base/error.h"

namespace millrace {

namespace {

// No column is called so: read as NULL.
constexpr const char* kAbsentName =
    "\x01"
    "absent";

idx_t AddColumn(ReadPlan& plan, const FileColumn& column) {
  for (idx_t i = 0; i < plan.columns.size(); i++) {
    if (plan.columns[i].name == column.name) return i;
  }
  plan.columns.push_back(column);
  return plan.columns.size() - 1;
}

bool MayHoldDeletes(const std::vector<DataFileMeta>& files) {
  for (const DataFileMeta& file : files) {
    if (!file.delete_row_count.has_value() || *file.delete_row_count > 0) return true;
  }
  return false;
}

}  // namespace

duckdb::vector<LogicalType> ReadPlan::Types() const {
  duckdb::vector<LogicalType> types;
  for (const FileColumn& column : columns) types.push_back(column.type.ToDuck());
  return types;
}

ReadPlan PlanRead(const KeyValueLayout& layout, const std::vector<DataFileMeta>& files,
                  const MergeReadOptions& options, bool merge) {
  ReadPlan plan;
  auto field = [&](idx_t index) {
    const DataField& wanted = layout.fields[index];
    return AddColumn(plan, {wanted.name, wanted.type, wanted.id});
  };
  // _KEY_ columns repeat value columns (and thin files lack them): the value columns serve as both.
  if (merge || options.key_value) {
    std::vector<FileColumn> special = KeyValueColumns({}, {});
    for (idx_t index : layout.key) plan.key.push_back(field(index));
    plan.sequence = AddColumn(plan, special[0]);
    plan.kind = AddColumn(plan, special[1]);
    if (merge) {
      for (idx_t index : layout.sequence_fields) plan.sequence_fields.push_back(field(index));
    }
  } else if (!layout.key.empty() && options.drop_deletes && MayHoldDeletes(files)) {
    plan.kind = AddColumn(plan, KeyValueColumns({}, {})[1]);
  }
  if (options.key_value) {
    plan.output = plan.key;
    plan.output.push_back(plan.sequence);
    plan.output.push_back(plan.kind);
  }
  for (idx_t index : options.fields) plan.output.push_back(field(index));
  for (const FilePredicate& predicate : options.prune) {
    bool on_key =
        std::find(layout.key.begin(), layout.key.end(), predicate.column) != layout.key.end();
    if (merge && !on_key) continue;  // A newer row that does not match may hide one that does.
    for (idx_t i = 0; i < plan.columns.size(); i++) {
      if (plan.columns[i].name != layout.fields[predicate.column].name) continue;
      plan.prune.push_back({i, predicate.op, predicate.constant});
    }
  }
  return plan;
}

bool RunScan::Next(DataChunk& chunk) {
  while (true) {
    if (!reader_) {
      if (next_file_ == files_.size()) return false;
      OpenFile(files_[next_file_++]);
    }
    if (reader_->Next(chunk)) return true;
    reader_.reset();
  }
}

std::string RunScan::CurrentPath() const {
  return next_file_ == 0 ? folder_ : DataFilePath(folder_, files_[next_file_ - 1]);
}

void RunScan::OpenFile(const DataFileMeta& file) {
  std::vector<FileColumn> columns = plan_.columns;
  std::vector<FilePredicate> prune = plan_.prune;
  if (options_.fields_of_schema && file.schema_id != layout_.schema_id) {
    std::map<int, std::string> old_names;
    for (const DataField& field : options_.fields_of_schema(file.schema_id)) {
      old_names[field.id] = field.name;
    }
    for (idx_t i = 0; i < columns.size(); i++) {
      if (i == plan_.sequence || i == plan_.kind) continue;
      auto found = old_names.find(columns[i].field_id);
      columns[i].name = found == old_names.end() ? kAbsentName : found->second;
    }
  }
  reader_ = std::make_unique<ParquetFileReader>(context_.database, context_.files,
                                                DataFilePath(folder_, file), std::move(columns),
                                                std::move(prune));
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
