#include "table/file_index_pruner.h"

#include <algorithm>

#include "base/error.h"

namespace millrace {

FileIndexPruner::FileIndexPruner(const TableState& table,
                                 const std::vector<PruneCondition>& conditions,
                                 const std::vector<idx_t>* columns)
    : table_(table) {
  if (!table.parsed.file_index_read) return;
  for (const PruneCondition& condition : conditions) {
    if (!condition.IsEquality()) continue;
    if (columns && std::find(columns->begin(), columns->end(), condition.column) == columns->end())
      continue;
    conditions_.push_back(&condition);
  }
}

FileRows FileIndexPruner::Ask(const DataFileMeta& file, IndexBytes bytes) const {
  FileIndexReader reader(std::move(bytes));
  const std::vector<DataField>& fields = file.schema_id == table_.schema.id
                                             ? table_.schema.fields
                                             : table_.schemas.Get(file.schema_id)->fields;
  std::optional<RowSet> wanted;
  for (const PruneCondition* condition : conditions_) {
    const DataField& column = table_.schema.fields[condition->column];
    auto field = std::find_if(fields.begin(), fields.end(),
                              [&](const DataField& other) { return other.id == column.id; });
    if (field == fields.end() || field->type.ToDuck() != column.type.ToDuck()) continue;
    IndexAnswer answer = reader.Ask(field->name, field->type, condition->constants);
    if (!answer.may_match) return {.none = true};
    if (!answer.rows) continue;
    if (wanted) {
      wanted->KeepOnly(*answer.rows);
    } else {
      wanted = std::move(answer.rows);
    }
  }
  if (!wanted) return {};
  if (wanted->Empty()) return {.none = true};
  return {.hidden = std::make_shared<const RowSet>(wanted->Complement(file.row_count))};
}

bool FileIndexPruner::MayMatch(const DataFileMeta& file) const {
  if (conditions_.empty() || !file.embedded_index) return true;
  return !Ask(file, IndexBytes(*file.embedded_index, "of " + file.file_name)).none;
}

FileRows FileIndexPruner::RowsOf(const std::string& folder, const DataFileMeta& file) const {
  if (conditions_.empty()) return {};
  if (file.embedded_index) return Ask(file, IndexBytes(*file.embedded_index, file.file_name));
  for (const std::string& path : DataFilePaths(folder, file)) {
    if (!path.ends_with(".index")) continue;
    try {
      return Ask(file, IndexBytes(table_.context.files.OpenForRead(path), path));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNotFound) throw;
      Throw(ErrorCode::kCorrupt,
            "Reading file index '{}': the table's metadata names this file, which is missing. Set "
            "'file-index.read.enabled' = 'false' to read without it.",
            path);
    }
  }
  return {};
}

}  // namespace millrace
