#include "table/verify_file_index.h"

#include <algorithm>

#include "base/error.h"
#include "table/file_references.h"

namespace millrace {

FileIndexChecks::FileIndexChecks(const TableState& table, const std::string& folder,
                                 const DataFileMeta& file, const TableSchema& schema)
    : schema_(schema) {
  if (file.embedded_index) {
    readers_.emplace_back(IndexBytes(*file.embedded_index, "of " + file.file_name));
  }
  for (const std::string& path : DataFilePaths(folder, file)) {
    if (!path.ends_with(".index")) continue;
    readers_.emplace_back(IndexBytes(table.context.files.OpenForRead(path), path));
  }
  for (idx_t i = 0; i < schema.fields.size(); i++) {
    bool indexed = std::any_of(
        readers_.begin(), readers_.end(),
        [&](const FileIndexReader& reader) { return reader.Has(schema.fields[i].name); });
    if (indexed) columns_.push_back(i);
  }
}

void FileIndexChecks::Look(DataChunk& rows, idx_t first_column) {
  for (idx_t i = 0; i < rows.size(); i++, position_++) {
    for (auto column = columns_.begin(); column != columns_.end();) {
      const DataField& field = schema_.fields[*column];
      Value value = rows.GetValue(first_column + *column, i);
      bool hidden = false;
      for (const FileIndexReader& reader : readers_) {
        if (value.IsNull() || hidden) break;
        IndexAnswer answer = reader.Ask(field.name, field.type, {value});
        hidden = !answer.may_match || (answer.rows && !answer.rows->Contains(position_));
      }
      if (!hidden) {
        ++column;
        continue;
      }
      problems_.push_back(fmt::format("has an index of '{}' that hides row {}, which holds {}",
                                      field.name, position_, value.ToString()));
      column = columns_.erase(column);
    }
  }
}

}  // namespace millrace
