// schema_json.cc - schema files. Atomic types are text, nested ones objects whose "type" holds kind
// and nullability (DataTypeJsonParser.java).
#include "base/error.h"
#include "meta/json_fields.h"
#include "meta/schema.h"

namespace millrace {

namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr int64_t kVersion = 3;
constexpr int kMaxDepth = 100;

OrderedJson FieldToJson(const DataField& field);

OrderedJson TypeToJson(const DataType& type) {
  auto nested = [&](const char* name) {
    OrderedJson json;
    json["type"] = type.nullable ? std::string(name) : std::string(name) + " NOT NULL";
    return json;
  };
  switch (type.root) {
    case TypeRoot::kArray:
    case TypeRoot::kMultiset: {
      OrderedJson json = nested(type.root == TypeRoot::kArray ? "ARRAY" : "MULTISET");
      json["element"] = TypeToJson(type.children.at(0));
      return json;
    }
    case TypeRoot::kMap: {
      OrderedJson json = nested("MAP");
      json["key"] = TypeToJson(type.children.at(0));
      json["value"] = TypeToJson(type.children.at(1));
      return json;
    }
    case TypeRoot::kRow: {
      OrderedJson json = nested("ROW");
      json["fields"] = OrderedJson::array();
      for (const DataField& field : type.fields) json["fields"].push_back(FieldToJson(field));
      return json;
    }
    default:
      return type.ToString();
  }
}

OrderedJson FieldToJson(const DataField& field) {
  OrderedJson json;
  json["id"] = field.id;
  json["name"] = field.name;
  json["type"] = TypeToJson(field.type);
  if (!field.description.empty()) json["description"] = field.description;
  if (field.default_value) json["defaultValue"] = *field.default_value;
  return json;
}

int SmallInt(const JsonFields& fields, const char* name) {
  int64_t value = fields.Long(name);
  if (value != static_cast<int32_t>(value)) fields.Fail(name, "it does not fit in an INT");
  return static_cast<int>(value);
}

DataField FieldFromJson(const nlohmann::json& json, const std::string& file, int depth);

/// Type texts of one file have errors that name the file.
DataType ParseTypeText(const std::string& text, const JsonFields& owner) {
  try {
    return ParseDataType(text);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kUnsupported) {
      Throw(ErrorCode::kUnsupported, "Reading '{}': {}", owner.file(), error.text());
    }
    owner.Fail("type", error.text());
  }
}

DataType NestedFromJson(const nlohmann::json& json, const std::string& file, int depth);

DataType TypeFromJson(const JsonFields& owner, const char* name, int depth) {
  if (depth > kMaxDepth) owner.Fail(name, "it is nested too deeply");
  const nlohmann::json* json = owner.Find(name);
  if (json == nullptr) owner.Fail(name, "it is missing");
  if (json->is_string()) return ParseTypeText(json->get<std::string>(), owner);
  return NestedFromJson(*json, owner.file(), depth);
}

DataType NestedFromJson(const nlohmann::json& json, const std::string& file, int depth) {
  JsonFields members(json, file, "type.");
  std::string kind = members.String("type");
  DataType type;
  size_t space = kind.find(' ');
  if (space != std::string::npos) {
    if (kind.substr(space) != " NOT NULL")
      members.Fail("type", fmt::format("'{}' is unknown", kind));
    type.nullable = false;
    kind = kind.substr(0, space);
  }
  const nlohmann::json* nullable = members.Find("nullable");  // Written by Paimon's Python.
  if (nullable != nullptr && nullable->is_boolean() && !nullable->get<bool>())
    type.nullable = false;
  if (kind == "ARRAY" || kind == "MULTISET") {
    type.root = kind == "ARRAY" ? TypeRoot::kArray : TypeRoot::kMultiset;
    type.children.push_back(TypeFromJson(members, "element", depth + 1));
  } else if (kind == "MAP") {
    type.root = TypeRoot::kMap;
    type.children.push_back(TypeFromJson(members, "key", depth + 1));
    type.children.push_back(TypeFromJson(members, "value", depth + 1));
  } else if (kind == "ROW") {
    type.root = TypeRoot::kRow;
    const nlohmann::json* fields = members.Find("fields");
    if (fields == nullptr || !fields->is_array()) members.Fail("fields", "a list is expected");
    for (const nlohmann::json& field : *fields)
      type.fields.push_back(FieldFromJson(field, file, depth + 1));
  } else if (kind == "VECTOR") {
    Throw(ErrorCode::kUnsupported, "Reading '{}': type VECTOR is not supported", file);
  } else {
    members.Fail("type", fmt::format("'{}' is unknown", kind));
  }
  return type;
}

DataField FieldFromJson(const nlohmann::json& json, const std::string& file, int depth) {
  JsonFields members(json, file, "fields.");
  DataField field;
  field.id = SmallInt(members, "id");
  field.name = members.String("name");
  field.type = TypeFromJson(members, "type", depth);
  field.description = members.OptionalString("description").value_or("");
  field.default_value = members.OptionalString("defaultValue");
  return field;
}

int HighestId(const DataType& type);

int HighestId(const std::vector<DataField>& fields) {
  int highest = -1;
  for (const DataField& field : fields) {
    highest = std::max({highest, field.id, HighestId(field.type)});
  }
  return highest;
}

int HighestId(const DataType& type) {
  int highest = HighestId(type.fields);
  for (const DataType& child : type.children) highest = std::max(highest, HighestId(child));
  return highest;
}

void CheckNames(const TableSchema& schema, const JsonFields& fields, const char* field,
                const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (!schema.FindField(name)) fields.Fail(field, fmt::format("there is no column '{}'", name));
  }
}

}  // namespace

std::string SchemaToJson(const TableSchema& schema) {
  OrderedJson json;
  json["version"] = kVersion;
  json["id"] = schema.id;
  json["fields"] = OrderedJson::array();
  for (const DataField& field : schema.fields) json["fields"].push_back(FieldToJson(field));
  json["highestFieldId"] = schema.highest_field_id;
  json["partitionKeys"] = schema.partition_keys;
  json["primaryKeys"] = schema.primary_keys;
  json["options"] = schema.options;
  if (!schema.comment.empty()) json["comment"] = schema.comment;
  json["timeMillis"] = schema.time_ms;
  return json.dump(2, ' ', false, OrderedJson::error_handler_t::replace);
}

TableSchema SchemaFromJson(std::string_view json, const std::string& file) {
  JsonFields fields(json, file);
  int64_t version = fields.OptionalLong("version").value_or(1);
  if (version > kVersion) {
    Throw(ErrorCode::kUnsupported,
          "Reading '{}': schema version {} is newer than {}, the last one known", file, version,
          kVersion);
  }
  TableSchema schema;
  schema.id = fields.Long("id");
  const nlohmann::json* columns = fields.Find("fields");
  if (columns == nullptr || !columns->is_array()) fields.Fail("fields", "a list is expected");
  for (const nlohmann::json& column : *columns)
    schema.fields.push_back(FieldFromJson(column, file, 0));
  schema.highest_field_id = fields.Find("highestFieldId") != nullptr
                                ? SmallInt(fields, "highestFieldId")
                                : HighestId(schema.fields);
  schema.partition_keys = fields.Strings("partitionKeys");
  schema.primary_keys = fields.Strings("primaryKeys");
  CheckNames(schema, fields, "partitionKeys", schema.partition_keys);
  CheckNames(schema, fields, "primaryKeys", schema.primary_keys);
  schema.options = fields.StringMap("options");
  schema.comment = fields.OptionalString("comment").value_or("");
  schema.time_ms = fields.OptionalLong("timeMillis").value_or(0);
  // What the defaults were when the file was written.
  if (version <= 1) schema.options.try_emplace("bucket", "1");
  if (version <= 2) schema.options.try_emplace("file.format", "orc");
  return schema;
}

}  // namespace millrace
