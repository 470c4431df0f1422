#include "app/script_variables.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "base/error.h"
#include "utf8proc_wrapper.hpp"

namespace millrace {

namespace {

bool IsNameCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
}

}  // namespace

std::string ReplaceVariables(const std::string& text, const std::string& script,
                             const std::map<std::string, std::string>& defined) {
  std::string result;
  size_t at = 0;
  for (size_t start; (start = text.find("${", at)) != std::string::npos;) {
    size_t end = start + 2;
    while (end < text.size() && IsNameCharacter(text[end])) end++;
    std::string name = text.substr(start + 2, end - start - 2);
    std::optional<std::string> fallback;
    size_t close = end;
    if (text.compare(end, 2, ":-") == 0) {
      close = text.find('}', end);
      if (close != std::string::npos) fallback = text.substr(end + 2, close - end - 2);
    }
    if (name.empty() || close >= text.size() || text[close] != '}') {
      result.append(text, at, start + 2 - at);
      at = start + 2;
      continue;
    }
    result.append(text, at, start - at);
    at = close + 1;
    auto found = defined.find(name);
    const char* environment = std::getenv(name.c_str());
    if (found != defined.end()) {
      result += found->second;
    } else if (environment) {
      result += environment;
    } else if (fallback) {
      result += *fallback;
    } else {
      auto line = 1 + std::count(text.begin(), text.begin() + static_cast<int64_t>(start), '\n');
      Throw(ErrorCode::kInvalid,
            "{}:{}: variable '${{{}}}' is not set; give it as --define {}=value, in the "
            "environment, or "
            "write ${{{}:-default}}",
            script, line, name, name, name);
    }
  }
  result.append(text, at);
  return result;
}

void CheckScriptText(std::string_view text, const std::string& script) {
  size_t bad = text.find('\0');
  bool zero = bad != std::string_view::npos;
  if (!zero && duckdb::Utf8Proc::Analyze(text.data(), text.size(), nullptr, &bad) !=
                   duckdb::UnicodeType::INVALID) {
    return;
  }
  auto line = 1 + std::count(text.begin(), text.begin() + static_cast<int64_t>(bad), '\n');
  Throw(ErrorCode::kInvalid, "{}:{}: the script is not UTF-8 text: {}; save it as UTF-8", script,
        line,
        zero ? "it holds a zero byte, as UTF-16 does" : "a byte there belongs to no character");
}

}  // namespace millrace
