// options.h - typed access to table, catalog and session options, with errors that name the option.
#pragma once

#include "meta/table_definition.h"

namespace millrace {

/// The option's text, or `fallback`. Names are exact.
std::string GetString(const Options& options, const std::string& name, const std::string& fallback);

// Values as Flink and Paimon write them. Throws: Error(kInvalid) naming option, value and what is
// meant.
bool GetBool(const Options& options, const std::string& name, bool fallback);
int64_t GetInt(const Options& options, const std::string& name, int64_t fallback);
double GetDouble(const Options& options, const std::string& name, double fallback);
/// "1 min", "500ms", "2 d"; a bare number is milliseconds.
int64_t GetDurationMs(const Options& options, const std::string& name, int64_t fallback_ms);
/// "64 mb", "1g", "512 kb"; a bare number is bytes. Units are powers of 1024.
int64_t GetMemoryBytes(const Options& options, const std::string& name, int64_t fallback_bytes);
/// The value in lower case; must be one of `known`.
std::string GetChoice(const Options& options, const std::string& name, const std::string& fallback,
                      const std::vector<std::string>& known);
/// "a, b" -> {"a", "b"}; empty when absent.
std::vector<std::string> GetList(const Options& options, const std::string& name);

/// The same for a value that is no option; `what` names it in errors.
int64_t ParseDurationMs(const std::string& what, const std::string& text);
int64_t ParseMemoryBytes(const std::string& what, const std::string& text);

}  // namespace millrace
