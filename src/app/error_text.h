// error_text.h - an error as the user reads it: place, sentence, the source line and a caret.
#pragma once

#include "base/error.h"
#include "sql/statement.h"

namespace millrace {

/// "name:3:8: message", the source line, and a caret under the column; for stderr.
/// A position in the error's text ("line 3, column 8, ...") goes before the statement's own.
std::string DescribeError(const Error& error, const std::string& name, std::string_view script,
                          SourcePosition statement);

}  // namespace millrace
