// error.h - the two failures that code may raise: a bug (CHECK) and an Error that ends the
// operation.
//
// A message says what was being done, to what, what was found, and what the user can do; it names
// the option or column by its SQL name. Expected outcomes are values, never errors
// (docs/HACKING.md).
#pragma once

#include <fmt/format.h>

#include "base/duck.h"

namespace millrace {

/// What kind of failure ended the operation. The table in error.cc gives each its name, its
/// sentence and whether trying again can help.
enum class ErrorCode : uint8_t {
  kIo,           // Storage failed.
  kCorrupt,      // A file is not what its format says.
  kConflict,     // Another writer won.
  kNotFound,     // A catalog object, column, option or file does not exist.
  kExists,       // A catalog object exists already.
  kSyntax,       // SQL text cannot be parsed.
  kInvalid,      // An option, type or argument does not fit.
  kData,         // A record or a row cannot be decoded, cast or evaluated.
  kUnsupported,  // Valid, but Millrace does not do it; the message says what to do instead.
  kCancelled,    // The user or a shutdown ended it.
};

/// The failure of one operation. Derived from DuckDB's exception so that it passes through the
/// engine whole: ErrorFrom() gets code and text back from whatever DuckDB rethrows.
class Error : public duckdb::Exception {
 public:
  Error(ErrorCode code, const std::string& text);

  ErrorCode code() const { return code_; }
  /// The bare sentence (what() is DuckDB's JSON form).
  const std::string& text() const { return text_; }

 private:
  ErrorCode code_;
  std::string text_;
};

/// The Error that `exception` is or carries; a foreign exception becomes `fallback` with its text.
Error ErrorFrom(const std::exception& exception, ErrorCode fallback = ErrorCode::kInvalid);

/// "NOT_FOUND" ...
const char* ErrorName(ErrorCode code);
bool IsRetryable(ErrorCode code);

template <typename... Args>
[[noreturn]] void Throw(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

/// "; did you mean 'balance'?" when `known` has a name close to `name`, else "".
std::string DidYouMean(const std::string& name, const std::vector<std::string>& known);

[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);

}  // namespace millrace

/// A condition whose failure is a bug in Millrace. Always on; aborts, for commits are atomic.
/// (doctest's CHECK in tests is another macro: tests do not include this one under that name.)
#define MILLRACE_CHECK(condition) \
  ((condition) ? (void)0 : ::millrace::CheckFailed(__FILE__, __LINE__, #condition))
