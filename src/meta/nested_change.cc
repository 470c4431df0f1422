#include "meta/nested_change.h"

#include <algorithm>

#include "base/error.h"
#include "meta/options.h"

namespace millrace {

std::optional<idx_t> FindFieldByName(const std::vector<DataField>& fields,
                                     const std::string& name) {
  for (idx_t i = 0; i < fields.size(); i++) {
    if (fields[i].name == name) return i;
  }
  return std::nullopt;
}

void AssignNestedIds(DataType& type, int& highest) {
  for (DataType& child : type.children) AssignNestedIds(child, highest);
  for (DataField& field : type.fields) {
    AssignNestedIds(field.type, highest);
    field.id = ++highest;
  }
}

void NestedFields::FailUnknown(const std::string& doing, const std::vector<DataField>& fields,
                               const std::string& name) {
  std::vector<std::string> names;
  for (const DataField& field : fields) names.push_back(field.name);
  Throw(ErrorCode::kNotFound, "{}: there is no column '{}'{}", doing, name,
        DidYouMean(name, names));
}

void NestedFields::FailMissing(const std::vector<DataField>& fields, const ColumnPath& path) const {
  std::vector<std::string> names;
  for (const DataField& field : fields) names.push_back(field.name);
  Throw(ErrorCode::kNotFound, "{}: there is no {} '{}'{}", doing_,
        path.size() == 1 ? "column" : "field", fmt::join(path, "."),
        DidYouMean(path.back(), names));
}

DataType& NestedFields::Type(const ColumnPath& path) const {
  auto column = FindFieldByName(fields_, path[0]);
  if (!column) FailMissing(fields_, {path[0]});
  DataType* type = &fields_[*column].type;
  for (idx_t i = 1; i < path.size(); i++) {
    ColumnPath here(path.begin(), path.begin() + static_cast<int64_t>(i) + 1);
    switch (type->root) {
      case TypeRoot::kRow: {
        auto field = FindFieldByName(type->fields, path[i]);
        if (!field) FailMissing(type->fields, here);
        type = &type->fields[*field].type;
        break;
      }
      case TypeRoot::kArray:
      case TypeRoot::kMultiset:
        if (path[i] != "element") FailMissing({{-1, "element", {}, "", {}}}, here);
        type = &type->children[0];
        break;
      case TypeRoot::kMap:
        if (path[i] != "value") FailMissing({{-1, "value", {}, "", {}}}, here);
        type = &type->children[1];
        break;
      default:
        FailMissing({}, here);
    }
  }
  return *type;
}

std::vector<DataField>& NestedFields::FieldsOf(const ColumnPath& path) const {
  if (path.size() == 1) return fields_;
  ColumnPath outer(path.begin(), path.end() - 1);
  DataType& type = Type(outer);
  if (type.root != TypeRoot::kRow) {
    Throw(ErrorCode::kInvalid, "{}: '{}' is {}, not a ROW: it has no fields", doing_,
          fmt::join(outer, "."), type.ToString());
  }
  return type.fields;
}

DataField& NestedFields::Field(const ColumnPath& path) const {
  std::vector<DataField>& fields = FieldsOf(path);
  auto found = FindFieldByName(fields, path.back());
  if (!found) FailMissing(fields, path);
  return fields[*found];
}

namespace {

ColumnPath Inside(const ColumnPath& path, const std::string& step) {
  ColumnPath inner = path;
  inner.push_back(step);
  return inner;
}

class TypeDiff {
 public:
  explicit TypeDiff(const std::string& doing) : doing_(doing) {}

  void Compare(const ColumnPath& path, const DataType& from, const DataType& to) {
    if (from.root >= TypeRoot::kArray && from.root != to.root) Fail(path, from, to);
    switch (from.root) {
      case TypeRoot::kRow:
        CompareRows(path, from, to);
        break;
      case TypeRoot::kMap:
        if (from.children[0].Nullable() != to.children[0].Nullable()) Fail(path, from, to);
        Compare(Inside(path, "value"), from.children[1], to.children[1]);
        break;
      case TypeRoot::kArray:
      case TypeRoot::kMultiset:
        Compare(Inside(path, "element"), from.children[0], to.children[0]);
        break;
      default:
        if (from.Nullable() != to.Nullable()) changes.push_back(ChangeColumnType{path, to, true});
    }
    if (from.nullable != to.nullable) changes.push_back(ChangeColumnNullability{path, to.nullable});
  }

  std::vector<SchemaChange> changes;

 private:
  [[noreturn]] void Fail(const ColumnPath& path, const DataType& from, const DataType& to) const {
    Throw(ErrorCode::kInvalid, "{}: '{}' is {} and cannot become {}; ADD another column instead",
          doing_, fmt::join(path, "."), from.ToString(), to.ToString());
  }

  void CompareRows(const ColumnPath& path, const DataType& from, const DataType& to) {
    idx_t last = 0;  // One behind the old place of the last field that stays.
    for (const DataField& field : to.fields) {
      auto old = FindFieldByName(from.fields, field.name);
      if (!old) continue;
      if (*old < last) {
        Throw(ErrorCode::kInvalid, "{}: the fields of '{}' must keep their order; '{}' has moved",
              doing_, fmt::join(path, "."), field.name);
      }
      last = *old + 1;
    }
    for (const DataField& field : from.fields) {
      if (!FindFieldByName(to.fields, field.name)) {
        changes.push_back(DropColumn{Inside(path, field.name)});
      }
    }
    for (idx_t i = 0; i < to.fields.size(); i++) {
      const DataField& field = to.fields[i];
      auto old = FindFieldByName(from.fields, field.name);
      if (old) {
        Compare(Inside(path, field.name), from.fields[*old].type, field.type);
        continue;
      }
      AddColumn add{Inside(path, field.name), field.type};
      add.comment = field.description;
      add.position = i == 0 ? ColumnPosition{ColumnPosition::Place::kFirst, ""}
                            : ColumnPosition{ColumnPosition::Place::kAfter, to.fields[i - 1].name};
      changes.push_back(std::move(add));
    }
  }

  const std::string& doing_;
};

std::string RenamedList(const std::string& list, const std::string& from, const std::string& to) {
  std::vector<std::string> names = GetList({{"names", list}}, "names");
  std::replace(names.begin(), names.end(), from, to);
  return fmt::format("{}", fmt::join(names, ","));
}

}  // namespace

std::vector<SchemaChange> DiffNestedType(const ColumnPath& path, const DataType& from,
                                         const DataType& to, const std::string& doing) {
  TypeDiff diff(doing);
  diff.Compare(path, from, to);
  return std::move(diff.changes);
}

void RenameInOptions(Options& options, const std::string& from, const std::string& to) {
  Options renamed;
  for (const auto& [key, value] : options) {
    if (key == "bucket-key" || key == "sequence.field" || key == "rowkind.field") {
      renamed[key] = RenamedList(value, from, to);
      continue;
    }
    size_t dot = key.rfind('.');
    if (!key.starts_with("fields.") || dot < 7 || dot == std::string::npos) {
      renamed[key] = value;
      continue;
    }
    // fields.<columns>.<function>; sequence groups and nested keys name columns in their value too.
    std::string function = key.substr(dot);
    bool names_columns = function == ".sequence-group" || function == ".nested-key";
    renamed["fields." + RenamedList(key.substr(7, dot - 7), from, to) + function] =
        names_columns ? RenamedList(value, from, to) : value;
  }
  options = std::move(renamed);
}

}  // namespace millrace
