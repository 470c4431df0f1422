#include "lsm/schema_mapping.h"

#include <algorithm>

#include "base/error.h"
#include "duckdb/common/types/vector.hpp"

namespace millrace {

namespace {

using duckdb::FlatVector;
using duckdb::ListVector;
using duckdb::StructVector;

// No column is called so: read as NULL.
constexpr const char* kAbsentName =
    "\x01"
    "absent";

/// How one member of a target comes from the source: its place there (nullopt: NULL), and a cast.
struct Member {
  std::optional<idx_t> source;
  FieldCast cast;
};

void SetAllNull(Vector& vector) {
  vector.SetVectorType(duckdb::VectorType::CONSTANT_VECTOR);
  duckdb::ConstantVector::SetNull(vector, true);
}

void ConvertMembers(Vector& source, Vector& target, idx_t count,
                    const std::vector<Member>& members) {
  source.Flatten(count);
  target.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
  FlatVector::SetValidity(target, FlatVector::Validity(source));
  auto& sources = StructVector::GetEntries(source);
  auto& targets = StructVector::GetEntries(target);
  for (idx_t i = 0; i < members.size(); i++) {
    if (!members[i].source) {
      SetAllNull(*targets[i]);
    } else if (members[i].cast) {
      members[i].cast(*sources[*members[i].source], *targets[i], count);
    } else {
      targets[i]->Reference(*sources[*members[i].source]);
    }
  }
}

FieldCast RowCast(const DataType& from, const DataType& to) {
  std::vector<Member> members;
  bool same = from.fields.size() == to.fields.size();
  for (idx_t i = 0; i < to.fields.size(); i++) {
    const DataField& field = to.fields[i];
    auto old = std::find_if(from.fields.begin(), from.fields.end(),
                            [&](const DataField& f) { return f.id == field.id; });
    if (old == from.fields.end()) {
      members.push_back({});
      same = false;
      continue;
    }
    idx_t place = static_cast<idx_t>(old - from.fields.begin());
    members.push_back({place, MakeNestedCast(old->type, field.type)});
    same = same && place == i && !members.back().cast && old->name == field.name;
  }
  if (same) return nullptr;
  return [members = std::move(members)](Vector& source, Vector& target, idx_t count) {
    ConvertMembers(source, target, count, members);
  };
}

/// The entries of lists stay, their elements are cast all at once.
FieldCast ListCast(FieldCast element) {
  return [element = std::move(element)](Vector& source, Vector& target, idx_t count) {
    source.Flatten(count);
    target.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
    FlatVector::SetValidity(target, FlatVector::Validity(source));
    std::copy_n(FlatVector::GetData<duckdb::list_entry_t>(source), count,
                FlatVector::GetData<duckdb::list_entry_t>(target));
    idx_t elements = ListVector::GetListSize(source);
    ListVector::Reserve(target, elements);
    ListVector::SetListSize(target, elements);
    element(ListVector::GetEntry(source), ListVector::GetEntry(target), elements);
  };
}

/// A map is a list of (key, value).
FieldCast MapCast(const DataType& from, const DataType& to) {
  DataType count;  // INT: how often a MULTISET has its element.
  bool multiset = from.root == TypeRoot::kMultiset;
  std::vector<Member> members;
  members.push_back({0, MakeNestedCast(from.children[0], to.children[0])});
  members.push_back({1, multiset ? nullptr : MakeNestedCast(from.children[1], to.children[1])});
  if (!members[0].cast && !members[1].cast) return nullptr;
  return ListCast([members = std::move(members)](Vector& source, Vector& target, idx_t count) {
    ConvertMembers(source, target, count, members);
  });
}

}  // namespace

FieldCast MakeNestedCast(const DataType& from, const DataType& to) {
  if (from.root < TypeRoot::kArray && to.root < TypeRoot::kArray) return MakeFieldCast(from, to);
  if (from.root != to.root) {
    Throw(ErrorCode::kUnsupported, "values of type {} cannot be read as {}", from.ToString(),
          to.ToString());
  }
  if (from.root == TypeRoot::kRow) return RowCast(from, to);
  if (from.root != TypeRoot::kArray) return MapCast(from, to);
  FieldCast element = MakeNestedCast(from.children[0], to.children[0]);
  return element ? ListCast(std::move(element)) : nullptr;
}

SchemaMapping::SchemaMapping(const std::vector<DataField>& file_fields,
                             const std::vector<FileColumn>& wanted) {
  for (idx_t i = 0; i < wanted.size(); i++) {
    FileColumn column = wanted[i];
    auto field = std::find_if(file_fields.begin(), file_fields.end(),
                              [&](const DataField& f) { return f.id == column.field_id; });
    bool system = column.name == "_SEQUENCE_NUMBER" || column.name == "_VALUE_KIND" ||
                  column.name == RowPositionColumn().name;
    same_values_.push_back(system);
    if (!system && field == file_fields.end()) {
      column.name = kAbsentName;
    } else if (!system) {
      column.name = field->name;
      column.type = field->type;
      FieldCast cast = MakeNestedCast(field->type, wanted[i].type);
      same_values_.back() = cast == nullptr;
      if (cast) converters_.emplace(i, std::move(cast));
    }
    file_columns_.push_back(std::move(column));
  }
}

void SchemaMapping::Convert(DataChunk& file, DataChunk& wanted) const {
  wanted.Reset();
  for (idx_t i = 0; i < file_columns_.size(); i++) {
    auto converter = converters_.find(i);
    if (converter == converters_.end()) {
      wanted.data[i].Reference(file.data[i]);
    } else {
      converter->second(file.data[i], wanted.data[i], file.size());
    }
  }
  wanted.SetCardinality(file.size());
}

}  // namespace millrace
