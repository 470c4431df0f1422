// json_fields.h - fields of a JSON object, with errors that name file and field.
#pragma once

#include <nlohmann/json.hpp>

#include "base/duck.h"

namespace millrace {

/// Reads the members of one JSON object. A member that is null counts as absent.
/// Threads: one at a time. Throws: Error(kCorrupt) naming `file` and the field.
class JsonFields {
 public:
  /// Parses `json`, which must be an object. `file` must outlive it.
  JsonFields(std::string_view json, const std::string& file);
  /// A nested object. `where` names it in errors.
  JsonFields(const nlohmann::json& object, const std::string& file, const std::string& where);

  /// nullptr when absent.
  const nlohmann::json* Find(const char* name) const;
  int64_t Long(const char* name) const;
  std::optional<int64_t> OptionalLong(const char* name) const;
  std::string String(const char* name) const;
  std::optional<std::string> OptionalString(const char* name) const;
  std::vector<std::string> Strings(const char* name) const;
  /// Empty when absent; numbers and booleans are taken as their text.
  std::map<std::string, std::string> StringMap(const char* name) const;

  const std::string& file() const { return *file_; }
  [[noreturn]] void Fail(const char* name, const std::string& found) const;

 private:
  nlohmann::json owned_;
  const nlohmann::json* object_;
  const std::string* file_;
  std::string where_;
};

}  // namespace millrace
