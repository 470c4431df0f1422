// schema_mapping.h - how a file that was written with an older schema is read under a newer one.
//
// Fields are matched by id, at the top and inside ROWs: what was renamed is found, what was added
// is NULL, what was dropped is left alone, what has another type is cast (field_casts.h).
#pragma once

#include "format/parquet_file.h"
#include "lsm/field_casts.h"

namespace millrace {

/// Names and types of one schema's files, against the columns wanted.
/// Threads: safe (immutable). Throws: Error(kUnsupported) for types that cannot be read as wanted.
class SchemaMapping {
 public:
  /// `wanted` may hold columns that no schema has (_SEQUENCE_NUMBER): they stay as they are.
  SchemaMapping(const std::vector<DataField>& file_fields, const std::vector<FileColumn>& wanted);

  /// What to ask the file for: its own names and types, in the order of the wanted columns.
  const std::vector<FileColumn>& file_columns() const { return file_columns_; }
  /// Whether values come as wanted, so that Convert has nothing to do.
  bool IsPlain() const { return converters_.empty(); }
  /// Whether column `index` of the file holds the very values that are wanted: it may be pruned by.
  bool SameValues(idx_t index) const { return same_values_[index]; }
  /// `file` (of file_columns) as wanted; vectors may refer to `file`.
  void Convert(DataChunk& file, DataChunk& wanted) const;

 private:
  std::vector<FileColumn> file_columns_;
  std::vector<bool> same_values_;
  std::map<idx_t, FieldCast> converters_;  // By column; the others are referenced.
};

/// Values of `from` as `to`, nested types field by field; nullptr when they are the same.
FieldCast MakeNestedCast(const DataType& from, const DataType& to);

}  // namespace millrace
