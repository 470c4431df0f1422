// schema_change.h - what ALTER TABLE says, and the schema that follows from it.
//
// Rules are Paimon's (SchemaManager.java): field ids are for life, new columns are nullable, keys
// cannot be retyped, some options cannot change once the table has data.
// docs/dialect.md#alter-table
#pragma once

#include <variant>

#include "meta/schema.h"

namespace millrace {

/// A column, or a field inside nested ROWs: {"r", "f"}. An ARRAY is entered by "element", a MAP by
/// "value".
using ColumnPath = std::vector<std::string>;

struct ColumnPosition {
  enum class Place : uint8_t { kFirst, kLast, kAfter, kBefore } place = Place::kLast;
  std::string reference;  // The neighbour of kAfter and kBefore.
  bool operator==(const ColumnPosition&) const = default;
};

struct AddColumn {
  ColumnPath path;
  DataType type;
  std::string comment = "";
  std::optional<std::string> default_value = {};
  std::optional<ColumnPosition> position = {};
  bool if_not_exists = false;
};
struct DropColumn {
  ColumnPath path;
  bool if_exists = false;
};
struct RenameColumn {
  ColumnPath path;
  std::string new_name;
};
struct ChangeColumnType {
  ColumnPath path;
  DataType type;
  bool keep_nullability = false;  // The statement does not say.
};
struct ChangeColumnNullability {
  ColumnPath path;
  bool nullable = true;
};
struct ChangeColumnComment {
  ColumnPath path;
  std::string comment;
};
struct ChangeColumnPosition {
  std::string column;
  ColumnPosition position;
};
struct ChangeColumnDefault {
  ColumnPath path;
  std::optional<std::string> value;  // Text as in the schema file; nullopt: none from now on.
};
struct SetTableOption {
  std::string key;
  std::string value;
};
struct ResetTableOption {
  std::string key;
};
struct ChangeTableComment {
  std::string comment;
};
struct DropPrimaryKey {};

using SchemaChange =
    std::variant<AddColumn, DropColumn, RenameColumn, ChangeColumnType, ChangeColumnNullability,
                 ChangeColumnComment, ChangeColumnPosition, ChangeColumnDefault, SetTableOption,
                 ResetTableOption, ChangeTableComment, DropPrimaryKey>;

/// What the rules depend on besides the schema.
struct SchemaChangeContext {
  std::string table;      // For messages.
  bool has_data = false;  // Some snapshot exists.
  int64_t time_ms = 0;
};

/// The next version of `schema`: id + 1, all changes made in order.
/// Throws: Error(kInvalid, kNotFound, kExists, kUnsupported) naming the column or option, and the
/// way out.
TableSchema ApplySchemaChanges(const TableSchema& schema, const std::vector<SchemaChange>& changes,
                               const SchemaChangeContext& context);

}  // namespace millrace
