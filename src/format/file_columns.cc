// file_columns.cc - which columns a data file of a primary-key table has
// (docs/format.md#data-files).
#include "format/parquet_file.h"

namespace millrace {

namespace {

// SpecialFields.java.
constexpr int kKeyFieldIdStart = 1073741823;
constexpr int kSequenceFieldId = 2147483646;
constexpr int kValueKindFieldId = 2147483645;

DataType Required(TypeRoot root) {
  DataType type;
  type.root = root;
  type.nullable = false;
  return type;
}

}  // namespace

std::vector<FileColumn> KeyValueColumns(const std::vector<DataField>& fields,
                                        const std::vector<idx_t>& key) {
  std::vector<FileColumn> columns;
  for (idx_t index : key) {
    const DataField& field = fields[index];
    columns.push_back({"_KEY_" + field.name, field.type.NotNull(), kKeyFieldIdStart + field.id});
  }
  columns.push_back({"_SEQUENCE_NUMBER", Required(TypeRoot::kBigInt), kSequenceFieldId});
  columns.push_back({"_VALUE_KIND", Required(TypeRoot::kTinyInt), kValueKindFieldId});
  columns[0].sorted = true;
  columns[key.size()].unique = true;
  columns[key.size()].sequence = true;
  for (const DataField& field : fields) columns.push_back({field.name, field.type, field.id});
  if (key.size() == 1) {  // One row per key in a file.
    columns[0].unique = true;
    columns[3 + key[0]].unique = true;
  }
  return columns;
}

std::vector<FileColumn> ThinColumns(const std::vector<DataField>& fields,
                                    const std::vector<idx_t>& key) {
  std::vector<FileColumn> columns = KeyValueColumns(fields, key);
  columns[key.size() + 2 + key[0]].sorted = true;
  columns.erase(columns.begin(), columns.begin() + static_cast<int64_t>(key.size()));
  return columns;
}

}  // namespace millrace
