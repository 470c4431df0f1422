#include "session/engine_words.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

#include "base/error.h"
#include "duckdb/common/string_util.hpp"

namespace millrace {

namespace {

// The text between `before` and `after`; nullopt when `text` does not begin with `before`.
std::optional<std::string> Between(std::string_view text, std::string_view before,
                                   std::string_view after) {
  if (!text.starts_with(before)) return std::nullopt;
  text.remove_prefix(before.size());
  size_t end = text.find(after);
  if (end == std::string_view::npos) return std::nullopt;
  return std::string(text.substr(0, end));
}

// All "quoted" names from `at` on.
std::vector<std::string> QuotedNames(std::string_view text, size_t at) {
  std::vector<std::string> names;
  while (at < text.size() && (at = text.find('"', at)) != std::string_view::npos) {
    size_t end = text.find('"', at + 1);
    if (end == std::string_view::npos) break;
    std::string name(text.substr(at + 1, end - at - 1));
    names.push_back(name.substr(name.rfind('.') == std::string::npos ? 0 : name.rfind('.') + 1));
    at = end + 1;
  }
  return names;
}

std::string Suggested(const std::string& name, const std::vector<std::string>& known) {
  std::string meant = DidYouMean(name, known);
  if (!meant.empty() || known.empty()) return meant;
  return fmt::format("; there are '{}'", fmt::join(known, "', '"));
}

std::optional<std::string> MissingColumn(std::string_view text) {
  size_t candidates = text.find("Candidate ");
  std::vector<std::string> known = QuotedNames(text, candidates);
  if (auto name = Between(text, "Referenced column \"", "\" not found in FROM clause!")) {
    return fmt::format("there is no column '{}'{}", *name, Suggested(*name, known));
  }
  if (auto name = Between(text, "Referenced table \"", "\" not found!")) {
    return fmt::format("there is no table or alias '{}' in FROM{}", *name, Suggested(*name, known));
  }
  auto table = Between(text, "Table \"", "\" does not have a column named \"");
  if (!table) return std::nullopt;
  std::vector<std::string> names = QuotedNames(text, 0);
  if (names.size() < 2) return std::nullopt;
  return fmt::format("'{}' has no column '{}'{}", *table, names[1], Suggested(names[1], known));
}

std::optional<std::string> MissingFunction(std::string_view text) {
  size_t kind = text.find("Function with name ");
  if (kind == std::string_view::npos || kind > 20) return std::nullopt;
  auto name = Between(text.substr(kind), "Function with name ", " does not exist!");
  if (!name) return std::nullopt;
  return fmt::format("there is no function '{}'{}", *name,
                     DidYouMean(*name, QuotedNames(text, text.find("Did you mean"))));
}

// Operators take so much that a list of it says nothing.
std::optional<std::string> WrongArguments(std::string_view text) {
  auto call = Between(text, "No function matches the given name and argument types '", "'.");
  if (!call) return std::nullopt;
  size_t open = call->find('(');
  if (open == std::string::npos) return std::nullopt;
  std::string name = call->substr(0, open), types = call->substr(open);
  std::string sentence = fmt::format("'{}' does not take {}; CAST the arguments", name, types);
  if (!std::isalpha(static_cast<unsigned char>(name[0]))) return sentence;
  size_t candidates = text.find("\tCandidate functions:");
  if (candidates == std::string_view::npos) return sentence;
  return sentence + "\n" + std::string(text.substr(candidates));
}

bool IsNamePart(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
}

// As in "can't".
bool IsApostrophe(std::string_view text, size_t at) {
  return at > 0 && at + 1 < text.size() && IsNamePart(text[at - 1]) && IsNamePart(text[at + 1]);
}

// Whole words outside quotes.
std::string WithFlinkTypes(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kTypes = {
      {{"INT8", "TINYINT"},
       {"INT16", "SMALLINT"},
       {"INT32", "INT"},
       {"INT64", "BIGINT"},
       {"INTEGER", "INT"},
       {"VARCHAR", "STRING"}}};
  std::string out;
  char quote = '\0';
  for (size_t at = 0; at < text.size();) {
    char c = text[at];
    if (quote == '\0' && IsNamePart(c)) {
      size_t end = at;
      while (end < text.size() && IsNamePart(text[end])) end++;
      std::string_view word = text.substr(at, end - at);
      bool sized = word == "VARCHAR" && end < text.size() && text[end] == '(';
      for (const auto& [duck, flink] : kTypes) {
        if (word == duck && !sized) word = flink;
      }
      out += word;
      at = end;
      continue;
    }
    if (c == quote) {
      quote = '\0';
    } else if (quote == '\0' && (c == '"' || (c == '\'' && !IsApostrophe(text, at)))) {
      quote = c;
    }
    out += c;
    at++;
  }
  return out;
}

// Two statements without ';' between them read as one.
std::string MissingEnd(std::string_view text) {
  auto word = Between(text, "syntax error at or near \"", "\"");
  if (!word) return "";
  for (const char* start :
       {"SELECT",  "INSERT",  "CREATE",   "SET",    "USE",   "DROP",    "SHOW",
        "EXPLAIN", "EXECUTE", "DESCRIBE", "ALTER",  "STOP",  "UPDATE",  "DELETE",
        "MERGE",   "CALL",    "ANALYZE",  "VERIFY", "RESET", "TRUNCATE"}) {
    if (duckdb::StringUtil::Upper(*word) == start) return "; is a ';' missing before it?";
  }
  return "";
}

}  // namespace

std::string InFlinkWords(const std::string& message) {
  // What follows was written by the user.
  size_t mark = std::min(message.find("\n\nLINE "), message.find("\nStatement: "));
  std::string excerpt = mark == std::string::npos ? "" : message.substr(mark);
  std::string_view text = std::string_view(message).substr(0, mark);
  for (auto translate : {MissingColumn, MissingFunction, WrongArguments}) {
    if (auto translated = translate(text)) return WithFlinkTypes(*translated) + excerpt;
  }
  return WithFlinkTypes(text) + MissingEnd(text) + excerpt;
}

}  // namespace millrace
