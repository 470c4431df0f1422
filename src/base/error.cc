#include "base/error.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "duckdb/common/error_data.hpp"
#include "duckdb/common/string_util.hpp"

namespace millrace {

namespace {

struct CodeRow {
  ErrorCode code;
  const char* name;
  duckdb::ExceptionType type;
  bool retryable;
};

// One row per code, in the order of the enum.
constexpr CodeRow kCodes[] = {
    {ErrorCode::kIo, "IO", duckdb::ExceptionType::IO, true},
    {ErrorCode::kCorrupt, "CORRUPT", duckdb::ExceptionType::IO, false},
    {ErrorCode::kConflict, "CONFLICT", duckdb::ExceptionType::TRANSACTION, true},
    {ErrorCode::kNotFound, "NOT_FOUND", duckdb::ExceptionType::CATALOG, false},
    {ErrorCode::kExists, "EXISTS", duckdb::ExceptionType::CATALOG, false},
    {ErrorCode::kSyntax, "SYNTAX", duckdb::ExceptionType::PARSER, false},
    {ErrorCode::kInvalid, "INVALID", duckdb::ExceptionType::INVALID_INPUT, false},
    {ErrorCode::kData, "DATA", duckdb::ExceptionType::CONVERSION, false},
    {ErrorCode::kUnsupported, "UNSUPPORTED", duckdb::ExceptionType::NOT_IMPLEMENTED, false},
    {ErrorCode::kCancelled, "CANCELLED", duckdb::ExceptionType::INTERRUPT, false},
};

constexpr const char* kCodeKey = "millrace_code";

const CodeRow& Row(ErrorCode code) {
  return kCodes[static_cast<size_t>(code)];
}

}  // namespace

Error::Error(ErrorCode code, const std::string& text)
    : duckdb::Exception({{kCodeKey, Row(code).name}}, Row(code).type, text),
      code_(code),
      text_(text) {}

Error ErrorFrom(const std::exception& exception, ErrorCode fallback) {
  if (auto* own = dynamic_cast<const Error*>(&exception)) return *own;
  duckdb::ErrorData data(exception);
  auto found = data.ExtraInfo().find(kCodeKey);
  if (found != data.ExtraInfo().end()) {
    for (const CodeRow& row : kCodes) {
      if (found->second == row.name) return Error(row.code, data.RawMessage());
    }
  }
  if (data.Type() == duckdb::ExceptionType::INTERRUPT) fallback = ErrorCode::kCancelled;
  if (data.Type() == duckdb::ExceptionType::PARSER) fallback = ErrorCode::kSyntax;
  if (data.Type() == duckdb::ExceptionType::CATALOG) fallback = ErrorCode::kNotFound;
  if (data.Type() == duckdb::ExceptionType::CONVERSION) fallback = ErrorCode::kData;
  if (data.Type() == duckdb::ExceptionType::OUT_OF_RANGE) fallback = ErrorCode::kData;
  return Error(fallback, data.RawMessage());
}

const char* ErrorName(ErrorCode code) {
  return Row(code).name;
}
bool IsRetryable(ErrorCode code) {
  return Row(code).retryable;
}

std::string DidYouMean(const std::string& name, const std::vector<std::string>& known) {
  std::string best;
  idx_t best_distance = std::max<idx_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : known) {
    idx_t distance = duckdb::StringUtil::LevenshteinDistance(duckdb::StringUtil::Lower(name),
                                                             duckdb::StringUtil::Lower(candidate));
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best.empty() ? "" : fmt::format("; did you mean '{}'?", best);
}

void CheckFailed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: CHECK failed: %s\n", file, line, condition);
  std::abort();
}

}  // namespace millrace
