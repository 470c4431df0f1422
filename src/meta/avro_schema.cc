// avro_schema.cc - an Avro schema's JSON to types.
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "meta/avro.h"

namespace millrace {

namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 64;

constexpr std::pair<const char*, AvroKind> kPrimitives[] = {
    {"null", AvroKind::kNull},   {"boolean", AvroKind::kBoolean}, {"int", AvroKind::kInt},
    {"long", AvroKind::kLong},   {"float", AvroKind::kFloat},     {"double", AvroKind::kDouble},
    {"bytes", AvroKind::kBytes}, {"string", AvroKind::kString},
};

}  // namespace

class AvroSchemaParser {
 public:
  AvroSchemaParser(AvroSchema& schema, const std::string& file) : schema_(schema), file_(file) {}

  const AvroType* Parse(const Json& json, const std::string& space, int depth) {
    if (depth > kMaxDepth) Fail("it is nested too deeply");
    if (json.is_string()) return ParseName(json.get<std::string>(), space);
    if (json.is_array()) {
      AvroType* type = New(AvroKind::kUnion);
      for (const Json& branch : json) type->children.push_back(Parse(branch, space, depth + 1));
      return type;
    }
    if (!json.is_object() || !json.contains("type")) Fail("a type is expected");
    const Json& inner = json["type"];
    if (!inner.is_string()) return Parse(inner, space, depth + 1);
    return ParseObject(json, inner.get<std::string>(), space, depth);
  }

 private:
  const AvroType* ParseName(const std::string& name, const std::string& space) {
    for (const auto& [known, kind] : kPrimitives) {
      if (name == known) return New(kind);
    }
    auto found = named_.find(FullName(name, space));
    if (found == named_.end()) found = named_.find(name);
    if (found == named_.end()) Fail(fmt::format("type '{}' is not defined", name));
    return found->second;
  }

  const AvroType* ParseObject(const Json& json, const std::string& kind, const std::string& space,
                              int depth) {
    if (kind == "record" || kind == "error") return ParseRecord(json, space, depth);
    if (kind == "array" || kind == "map") {
      AvroType* type = New(kind == "array" ? AvroKind::kArray : AvroKind::kMap);
      const char* key = kind == "array" ? "items" : "values";
      if (!json.contains(key)) Fail(fmt::format("{} without {}", kind, key));
      type->children.push_back(Parse(json[key], space, depth + 1));
      if (json.contains("logicalType")) type->logical_type = Text(json, "logicalType");
      return type;
    }
    if (kind == "enum" || kind == "fixed") {
      AvroType* type = New(kind == "enum" ? AvroKind::kEnum : AvroKind::kFixed);
      std::string inner_space;
      Define(type, json, space, inner_space);
      if (kind == "enum") type->names = json.value("symbols", std::vector<std::string>());
      type->size = Number(json, "size");
      AddLogicalType(type, json);
      return type;
    }
    // A primitive with attributes: a fresh node, so the attributes stay with this use.
    const AvroType* plain = ParseName(kind, space);
    if (!json.contains("logicalType")) return plain;
    AvroType* type = New(plain->kind);
    *type = *plain;
    AddLogicalType(type, json);
    return type;
  }

  const AvroType* ParseRecord(const Json& json, const std::string& space, int depth) {
    AvroType* type = New(AvroKind::kRecord);
    std::string inner_space;
    Define(type, json, space, inner_space);
    if (!json.contains("fields") || !json["fields"].is_array()) Fail("a record without fields");
    for (const Json& field : json["fields"]) {
      if (!field.is_object() || !field.contains("type")) Fail("a field without type");
      type->names.push_back(Text(field, "name"));
      type->children.push_back(Parse(field["type"], inner_space, depth + 1));
    }
    return type;
  }

  void Define(AvroType* type, const Json& json, const std::string& space,
              std::string& inner_space) {
    inner_space = json.contains("namespace") && json["namespace"].is_string()
                      ? json["namespace"].get<std::string>()
                      : space;
    type->name = FullName(Text(json, "name"), inner_space);
    size_t dot = type->name.rfind('.');
    inner_space = dot == std::string::npos ? "" : type->name.substr(0, dot);
    named_[type->name] = type;
  }

  void AddLogicalType(AvroType* type, const Json& json) {
    if (!json.contains("logicalType")) return;
    type->logical_type = Text(json, "logicalType");
    type->precision = static_cast<int>(Number(json, "precision"));
    type->scale = static_cast<int>(Number(json, "scale"));
  }

  static std::string FullName(const std::string& name, const std::string& space) {
    return space.empty() || name.find('.') != std::string::npos ? name : space + "." + name;
  }
  std::string Text(const Json& json, const char* key) {
    if (!json.contains(key) || !json[key].is_string()) Fail(fmt::format("no text '{}'", key));
    return json[key].get<std::string>();
  }
  static int64_t Number(const Json& json, const char* key) {
    return json.contains(key) && json[key].is_number_integer() ? json[key].get<int64_t>() : 0;
  }
  AvroType* New(AvroKind kind) {
    schema_.types_.push_back(std::make_unique<AvroType>());
    schema_.types_.back()->kind = kind;
    return schema_.types_.back().get();
  }
  [[noreturn]] void Fail(const std::string& found) const {
    Throw(ErrorCode::kCorrupt, "Reading Avro file '{}': its schema is wrong: {}", file_, found);
  }

  AvroSchema& schema_;
  const std::string& file_;
  std::unordered_map<std::string, const AvroType*> named_;
};

AvroSchema::AvroSchema(std::string_view json, const std::string& file) {
  try {
    root_ = AvroSchemaParser(*this, file).Parse(Json::parse(json), "", 0);
  } catch (const nlohmann::json::exception& error) {
    Throw(ErrorCode::kCorrupt, "Reading Avro file '{}': its schema is no JSON: {}", file,
          error.what());
  }
}

}  // namespace millrace
