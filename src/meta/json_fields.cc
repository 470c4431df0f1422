// json_fields.cc - typed access to JSON members.
#include "meta/json_fields.h"

#include "base/error.h"

namespace millrace {

JsonFields::JsonFields(std::string_view json, const std::string& file) : file_(&file) {
  try {
    owned_ = nlohmann::json::parse(json);
  } catch (const nlohmann::json::exception& error) {
    Throw(ErrorCode::kCorrupt, "Reading '{}': it is not valid JSON: {}", file, error.what());
  }
  if (!owned_.is_object())
    Throw(ErrorCode::kCorrupt, "Reading '{}': a JSON object is expected", file);
  object_ = &owned_;
}

JsonFields::JsonFields(const nlohmann::json& object, const std::string& file,
                       const std::string& where)
    : object_(&object), file_(&file), where_(where) {
  if (!object.is_object()) Fail("", "a JSON object is expected");
}

void JsonFields::Fail(const char* name, const std::string& found) const {
  Throw(ErrorCode::kCorrupt, "Reading '{}': field '{}{}': {}", *file_, where_, name, found);
}

const nlohmann::json* JsonFields::Find(const char* name) const {
  auto found = object_->find(name);
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

std::optional<int64_t> JsonFields::OptionalLong(const char* name) const {
  const nlohmann::json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  bool fits = value->is_number_integer() &&
              (!value->is_number_unsigned() || value->get<uint64_t>() <= INT64_MAX);
  if (!fits) Fail(name, "an integer is expected");
  return value->get<int64_t>();
}

int64_t JsonFields::Long(const char* name) const {
  std::optional<int64_t> value = OptionalLong(name);
  if (!value) Fail(name, "it is missing");
  return *value;
}

std::optional<std::string> JsonFields::OptionalString(const char* name) const {
  const nlohmann::json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) Fail(name, "text is expected");
  return value->get<std::string>();
}

std::string JsonFields::String(const char* name) const {
  std::optional<std::string> value = OptionalString(name);
  if (!value) Fail(name, "it is missing");
  return *std::move(value);
}

std::vector<std::string> JsonFields::Strings(const char* name) const {
  std::vector<std::string> values;
  const nlohmann::json* array = Find(name);
  if (array == nullptr) return values;
  if (!array->is_array()) Fail(name, "a list is expected");
  for (const nlohmann::json& item : *array) {
    if (!item.is_string()) Fail(name, "a list of texts is expected");
    values.push_back(item.get<std::string>());
  }
  return values;
}

std::map<std::string, std::string> JsonFields::StringMap(const char* name) const {
  std::map<std::string, std::string> values;
  const nlohmann::json* object = Find(name);
  if (object == nullptr) return values;
  if (!object->is_object()) Fail(name, "an object is expected");
  for (const auto& [key, value] : object->items()) {
    if (value.is_null()) continue;
    if (value.is_structured()) Fail(name, fmt::format("the value of '{}' must be text", key));
    values[key] = value.is_string() ? value.get<std::string>() : value.dump();
  }
  return values;
}

}  // namespace millrace
