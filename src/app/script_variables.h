// script_variables.h - a script's text before it is SQL: its encoding; ${NAME} and
// ${NAME:-default}, from --define and the environment.
#pragma once

#include <map>
#include <string>

namespace millrace {

/// Replaces every ${NAME}; `--define` wins over the environment. A name that neither has and that
/// gives no default: Error(kInvalid) with script, line and name. Text like '$x' or '${' without a
/// name stays.
std::string ReplaceVariables(const std::string& text, const std::string& script,
                             const std::map<std::string, std::string>& defined);

/// Throws Error(kInvalid) with script and line when `text` is not UTF-8: read as SQL it would be
/// told as a syntax error somewhere.
void CheckScriptText(std::string_view text, const std::string& script);

}  // namespace millrace
