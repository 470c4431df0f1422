#include "lsm/key_value.h"

#include "base/error.h"
#include "lsm/sort_key.h"
#include "meta/binary_row.h"

namespace millrace {

std::vector<DataType> KeyValueLayout::KeyTypes() const {
  std::vector<DataType> types;
  for (idx_t index : key) types.push_back(fields[index].type.NotNull());
  return types;
}

std::vector<DataType> KeyValueLayout::FieldTypes() const {
  std::vector<DataType> types;
  for (const DataField& field : fields) types.push_back(field.type);
  return types;
}

duckdb::vector<LogicalType> KeyValueLayout::RowTypes() const {
  duckdb::vector<LogicalType> types;
  for (idx_t index : key) types.push_back(fields[index].type.ToDuck());
  types.push_back(LogicalType(LogicalTypeId::BIGINT));
  types.push_back(LogicalType(LogicalTypeId::TINYINT));
  for (const DataField& field : fields) types.push_back(field.type.ToDuck());
  return types;
}

duckdb::vector<LogicalType> KeyValueLayout::ValueTypes() const {
  duckdb::vector<LogicalType> types;
  for (const DataField& field : fields) types.push_back(field.type.ToDuck());
  return types;
}

std::string DataFilePath(const std::string& folder, const DataFileMeta& file) {
  return file.external_path.value_or(JoinPath(folder, file.file_name));
}

std::vector<std::string> DataFilePaths(const std::string& folder, const DataFileMeta& file) {
  std::vector<std::string> paths = {DataFilePath(folder, file)};
  std::string beside = paths[0].substr(0, paths[0].size() - FileName(paths[0]).size());
  for (const std::string& extra : file.extra_files) paths.push_back(beside + extra);
  return paths;
}

KeyOrder::KeyOrder(std::vector<DataType> key_types) : types_(std::move(key_types)) {
  for (const DataType& type : types_) duck_types_.push_back(type.ToDuck());
}

std::string KeyOrder::Normalise(std::string_view key) const {
  return Normalise(DecodeRow(types_, key));
}

std::string KeyOrder::Normalise(const std::vector<Value>& key) const {
  MILLRACE_CHECK(key.size() == types_.size());
  if (key.empty()) return "";
  DataChunk row;
  row.Initialize(duckdb::Allocator::DefaultAllocator(), duck_types_, 1);
  for (idx_t i = 0; i < key.size(); i++) row.SetValue(i, 0, key[i]);
  row.SetCardinality(1);
  Vector blob(LogicalType(LogicalTypeId::BLOB), 1);
  NormaliseToBlobs(row, blob);
  return duckdb::FlatVector::GetData<string_t>(blob)[0].GetString();
}

}  // namespace millrace
