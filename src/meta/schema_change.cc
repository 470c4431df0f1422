#include "meta/schema_change.h"

#include <algorithm>

#include "base/error.h"
#include "meta/nested_change.h"
#include "meta/options.h"
#include "meta/type_casts.h"

namespace millrace {

namespace {

// Options that say how rows lie in files: they cannot change once there are some (@Immutable in
// CoreOptions.java).
constexpr const char* kImmutable[] = {"aggregation.remove-record-on-delete",
                                      "blob-descriptor-field",
                                      "blob-external-storage-path",
                                      "bucket-function.type",
                                      "bucket-key",
                                      "data-evolution.enabled",
                                      "data-file.path-directory",
                                      "force-lookup",
                                      "index-file-in-data-file-dir",
                                      "merge-engine",
                                      "partial-update.remove-record-on-delete",
                                      "partial-update.remove-record-on-sequence-group",
                                      "partition",
                                      "pk-clustering-override",
                                      "primary-key",
                                      "row-tracking.enabled",
                                      "rowkind.field"};

bool IsImmutable(const std::string& key) {
  return std::find(std::begin(kImmutable), std::end(kImmutable), key) != std::end(kImmutable);
}

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Makes the changes of one ALTER TABLE, one after the other.
class SchemaChanger {
 public:
  SchemaChanger(const TableSchema& schema, const SchemaChangeContext& context)
      : old_(schema),
        next_(schema),
        context_(context),
        doing_(fmt::format("Altering table '{}'", context.table)) {
    next_.id = schema.id + 1;
    next_.time_ms = context.time_ms;
  }

  void operator()(const AddColumn& change) {
    if (!change.type.nullable) {
      Fail("column '{}' cannot be NOT NULL: the rows that are there have no value for it",
           Text(change.path));
    }
    std::vector<DataField>& fields = Nested().FieldsOf(change.path);
    if (FindFieldByName(fields, change.path.back())) {
      if (change.if_not_exists) return;
      Throw(ErrorCode::kExists, "{}: there is a column '{}' already", doing_, Text(change.path));
    }
    DataField field;
    field.id = ++next_.highest_field_id;
    field.name = change.path.back();
    field.type = change.type;
    field.description = change.comment;
    field.default_value = change.default_value;
    AssignNestedIds(field.type, next_.highest_field_id);
    if (field.default_value) CheckDefault(field, *field.default_value);
    idx_t at = change.position ? PlaceOf(fields, *change.position) : DefaultPlace(change, fields);
    fields.insert(fields.begin() + static_cast<int64_t>(at), std::move(field));
  }

  void operator()(const DropColumn& change) {
    RefuseKey(change.path, next_.primary_keys, "dropped", "a primary key column");
    RefuseKey(change.path, next_.partition_keys, "dropped", "a partition column");
    std::vector<DataField>& fields = Nested().FieldsOf(change.path);
    auto found = FindFieldByName(fields, change.path.back());
    if (!found) {
      if (change.if_exists) return;
      Nested().FailMissing(fields, change.path);
    }
    if (fields.size() == 1) {
      Fail("'{}' is the last {} and cannot be dropped", Text(change.path),
           change.path.size() == 1 ? "column" : "field of its ROW");
    }
    if (change.path.size() == 1) RefuseMention(change.path[0]);
    fields.erase(fields.begin() + static_cast<int64_t>(*found));
  }

  void operator()(const RenameColumn& change) {
    RefuseKey(change.path, next_.partition_keys, "renamed",
              "a partition column, and folders are named by it");
    std::vector<DataField>& fields = Nested().FieldsOf(change.path);
    DataField& field = Nested().Field(change.path);
    if (FindFieldByName(fields, change.new_name)) {
      Throw(ErrorCode::kExists, "{}: there is a column '{}' already", doing_, change.new_name);
    }
    field.name = change.new_name;
    if (change.path.size() > 1) return;
    std::replace(next_.primary_keys.begin(), next_.primary_keys.end(), change.path[0],
                 change.new_name);
    RenameInOptions(next_.options, change.path[0], change.new_name);
  }

  void operator()(const ChangeColumnType& change) {
    DataType& type = Nested().Type(change.path);
    DataType wanted = change.type;
    if (change.keep_nullability) wanted.nullable = type.nullable;
    if (wanted == type) return;
    RefuseKey(change.path, next_.partition_keys, "given another type", "a partition column");
    if (wanted.Nullable() != type.Nullable()) {
      RefuseKey(change.path, next_.primary_keys, "given another type", "a primary key column");
    }
    if (type.root >= TypeRoot::kArray) {
      for (const SchemaChange& step : DiffNestedType(change.path, type, wanted, doing_)) {
        std::visit(*this, step);
      }
      return;
    }
    CheckNullability(change.path, type, wanted.nullable);
    bool allow_explicit = !GetBool(old_.options, "disable-explicit-type-casting", false);
    if (!SupportsCast(type, wanted, allow_explicit)) {
      bool explicit_would_do = SupportsCast(type, wanted, true);
      Fail("column '{}' is {} and cannot become {}: {}", Text(change.path), type.ToString(),
           wanted.ToString(),
           explicit_would_do ? "'disable-explicit-type-casting' is 'true' and values could be lost"
                             : "its rows could not be read as that; ADD another column instead");
    }
    type = wanted;
    if (change.path.size() == 1) {
      DataField& field = Nested().Field(change.path);
      if (field.default_value) CheckDefault(field, *field.default_value);
    }
  }

  void operator()(const ChangeColumnNullability& change) {
    if (change.nullable) {
      RefuseKey(change.path, next_.primary_keys, "made nullable", "a primary key column");
    }
    DataType& type = Nested().Type(change.path);
    CheckNullability(change.path, type, change.nullable);
    type.nullable = change.nullable;
  }

  void operator()(const ChangeColumnComment& change) {
    Nested().Field(change.path).description = change.comment;
  }

  void operator()(const ChangeColumnPosition& change) {
    DataField field = Nested().Field({change.column});
    if (change.position.reference == change.column) {
      Fail("column '{}' cannot be moved next to itself", change.column);
    }
    std::erase_if(next_.fields, [&](const DataField& f) { return f.id == field.id; });
    idx_t at = PlaceOf(next_.fields, change.position);
    next_.fields.insert(next_.fields.begin() + static_cast<int64_t>(at), std::move(field));
  }

  void operator()(const ChangeColumnDefault& change) {
    DataField& field = Nested().Field(change.path);
    if (change.value) CheckDefault(field, *change.value);
    field.default_value = change.value;
  }

  void operator()(const SetTableOption& change) {
    auto old = old_.options.find(change.key);
    bool same = old != old_.options.end() && old->second == change.value;
    if (change.key == "path" || change.key == "type") {
      Fail("option '{}' cannot be changed", change.key);
    }
    if (!same && context_.has_data) CheckOption(change.key, change.value);
    next_.options[change.key] = change.value;
  }

  void operator()(const ResetTableOption& change) {
    if (context_.has_data && (IsImmutable(change.key) || change.key == "bucket")) {
      Fail("option '{}' cannot be reset: the table has data that was written with it", change.key);
    }
    next_.options.erase(change.key);
  }

  void operator()(const ChangeTableComment& change) { next_.comment = change.comment; }

  void operator()(const DropPrimaryKey&) {
    if (next_.primary_keys.empty()) Fail("it has no primary key");
    if (context_.has_data) {
      Fail(
          "the primary key cannot be dropped: the table has data by that key; CREATE TABLE .. AS "
          "SELECT makes a table without it");
    }
    next_.primary_keys.clear();
  }

  TableSchema Take() { return std::move(next_); }

 private:
  template <typename... Args>
  [[noreturn]] void Fail(fmt::format_string<Args...> text, Args&&... args) const {
    Throw(ErrorCode::kInvalid, "{}: {}", doing_, fmt::format(text, std::forward<Args>(args)...));
  }

  static std::string Text(const ColumnPath& path) {
    return fmt::format("{}", fmt::join(path, "."));
  }
  NestedFields Nested() { return NestedFields(next_.fields, doing_); }

  void RefuseKey(const ColumnPath& path, const std::vector<std::string>& keys, const char* what,
                 const char* because) const {
    if (path.size() > 1 || !Contains(keys, path[0])) return;
    Throw(ErrorCode::kUnsupported, "{}: column '{}' cannot be {}: it is {}", doing_, path[0], what,
          because);
  }

  /// An option that names the column would name nothing.
  void RefuseMention(const std::string& column) const {
    for (const auto& [key, value] : next_.options) {
      bool in_value = (key == "sequence.field" || key == "rowkind.field" || key == "bucket-key") &&
                      Contains(GetList(next_.options, key), column);
      if (!in_value && !key.starts_with("fields." + column + ".")) continue;
      Fail("column '{}' cannot be dropped: option '{}' = '{}' needs it; RESET that first", column,
           key, value);
    }
  }

  idx_t PlaceOf(const std::vector<DataField>& fields, const ColumnPosition& position) const {
    switch (position.place) {
      case ColumnPosition::Place::kFirst:
        return 0;
      case ColumnPosition::Place::kLast:
        return fields.size();
      default: {
        auto found = FindFieldByName(fields, position.reference);
        if (!found) NestedFields::FailUnknown(doing_, fields, position.reference);
        return *found + (position.place == ColumnPosition::Place::kAfter ? 1 : 0);
      }
    }
  }

  idx_t DefaultPlace(const AddColumn& change, const std::vector<DataField>& fields) const {
    if (change.path.size() == 1 && GetBool(old_.options, "add-column-before-partition", false)) {
      for (idx_t i = 0; i < fields.size(); i++) {
        if (Contains(next_.partition_keys, fields[i].name)) return i;
      }
    }
    return fields.size();
  }

  void CheckNullability(const ColumnPath& path, const DataType& type, bool nullable) const {
    if (!type.nullable || nullable) return;
    if (!GetBool(old_.options, "alter-column-null-to-not-null.disabled", true)) return;
    Fail(
        "column '{}' cannot become NOT NULL: rows that are there may have none. If you know that "
        "they have: ALTER TABLE .. SET ('alter-column-null-to-not-null.disabled' = 'false') first",
        Text(path));
  }

  void CheckDefault(const DataField& field, const std::string& text) const {
    try {
      (void)DefaultValueOf(field.type, text);
    } catch (const Error&) {
      Fail("{} is no default of column '{}' ({})", text, field.name, field.type.ToString());
    }
  }

  void CheckOption(const std::string& key, const std::string& value) const {
    if (IsImmutable(key)) {
      Fail("option '{}' cannot be changed: the table has data that was written with {}", key,
           old_.options.contains(key) ? "'" + old_.options.at(key) + "'" : "its default");
    }
    if (key == "bucket") {
      int64_t before = GetInt(old_.options, "bucket", -1);
      int64_t after = GetInt({{key, value}}, "bucket", -1);
      if (before != after && (before == -1 || after == -1)) {
        Fail("option 'bucket' cannot go from '{}' to '{}': fixed and dynamic buckets do not mix",
             before, after);
      }
    }
    if (key == "deletion-vectors.enabled" &&
        !GetBool(old_.options, "deletion-vectors.modifiable", false) &&
        GetBool(old_.options, key, false) != GetBool({{key, value}}, key, false)) {
      Fail(
          "option 'deletion-vectors.enabled' cannot be changed: rows could be doubled. After a "
          "full "
          "compaction: SET ('deletion-vectors.modifiable' = 'true') first");
    }
    if (key == "ignore-delete" || key == "ignore-update-before") {
      if (GetBool(old_.options, key, false) && !GetBool({{key, value}}, key, false)) {
        Fail("option '{}' cannot go back to 'false'", key);
      }
    }
  }

  const TableSchema& old_;
  TableSchema next_;
  const SchemaChangeContext& context_;
  const std::string doing_;
};

}  // namespace

TableSchema ApplySchemaChanges(const TableSchema& schema, const std::vector<SchemaChange>& changes,
                               const SchemaChangeContext& context) {
  SchemaChanger changer(schema, context);
  for (const SchemaChange& change : changes) std::visit(changer, change);
  TableSchema next = changer.Take();
  CheckSchema(next, fmt::format("Altering table '{}'", context.table));
  return next;
}

}  // namespace millrace
