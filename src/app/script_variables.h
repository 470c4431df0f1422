// script_variables.h - ${NAME} and ${NAME:-default} in scripts, from --define and the environment.
#pragma once

#include <map>
#include <string>

namespace millrace {

/// Replaces every ${NAME}; `--define` wins over the environment. A name that neither has and that
/// gives no default: Error(kInvalid) with script, line and name. Text like '$x' or '${' without a
/// name stays.
std::string ReplaceVariables(const std::string& text, const std::string& script,
                             const std::map<std::string, std::string>& defined);

}  // namespace millrace
