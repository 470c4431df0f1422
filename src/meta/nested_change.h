// nested_change.h - finding and comparing fields inside nested types, for ALTER TABLE.
#pragma once

#include "meta/schema_change.h"

namespace millrace {

std::optional<idx_t> FindFieldByName(const std::vector<DataField>& fields, const std::string& name);

/// Ids for the fields inside `type`: children before their parent (ReassignFieldId.java).
void AssignNestedIds(DataType& type, int& highest);

/// Walks from columns into nested types.
/// Threads: one at a time. Throws: Error(kNotFound) naming the step that is not there.
class NestedFields {
 public:
  /// Both outlive this object.
  NestedFields(std::vector<DataField>& fields, const std::string& doing)
      : fields_(fields), doing_(doing) {}

  /// The fields among which the last step of `path` is, or would be.
  std::vector<DataField>& FieldsOf(const ColumnPath& path) const;
  DataField& Field(const ColumnPath& path) const;
  /// The type at `path`, which may also end in "element" or "value".
  DataType& Type(const ColumnPath& path) const;

  [[noreturn]] void FailMissing(const std::vector<DataField>& fields, const ColumnPath& path) const;
  [[noreturn]] static void FailUnknown(const std::string& doing,
                                       const std::vector<DataField>& fields,
                                       const std::string& name);

 private:
  std::vector<DataField>& fields_;
  const std::string& doing_;
};

/// The changes that make nested type `from` into `to`: fields are matched by name, their order
/// stays. Throws: Error(kInvalid) when that cannot be said by changes of single fields.
std::vector<SchemaChange> DiffNestedType(const ColumnPath& path, const DataType& from,
                                         const DataType& to, const std::string& doing);

/// Column `from` is called `to` now, also in the options that name it.
void RenameInOptions(Options& options, const std::string& from, const std::string& to);

}  // namespace millrace
