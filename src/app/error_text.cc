#include "app/error_text.h"

#include <algorithm>
#include <cstdio>

#include "app/display_width.h"

namespace millrace {

namespace {

constexpr size_t kLineCells = 120;  // Of a source line: a longer one is shown around the place.

// Line `number` (from 1) of `script`, without its end.
std::string_view LineOf(std::string_view script, int number) {
  for (; number > 1; number--) {
    size_t end = script.find('\n');
    if (end == std::string_view::npos) return {};
    script.remove_prefix(end + 1);
  }
  return script.substr(0, script.find('\n'));
}

// Takes "line L, column C[,:] " off the front of `text`.
std::optional<SourcePosition> TakePosition(std::string& text) {
  SourcePosition position;
  int length = 0;
  if (sscanf(text.c_str(), "line %d, column %d%n", &position.line, &position.column, &length) !=
          2 ||
      length == 0) {
    return std::nullopt;
  }
  size_t rest = text.find_first_not_of(",: ", length);
  text.erase(0, rest == std::string::npos ? text.size() : rest);
  return position;
}

// DuckDB ends its texts with "\n\nLINE 2: ...the line...\n   ^". Takes that off and gives the place
// of the word under its caret in `script`: the statement has been rewritten, but lines and words
// stay.
std::optional<SourcePosition> TakeEngineLine(std::string& text, std::string_view script,
                                             SourcePosition statement) {
  size_t mark = text.find("\n\nLINE ");
  if (mark == std::string::npos) return std::nullopt;
  std::string tail = text.substr(mark + 2);
  text.erase(mark);
  int number = 0, prefix = 0;
  size_t line_end = tail.find('\n');
  if (sscanf(tail.c_str(), "LINE %d: %n", &number, &prefix) != 1 || prefix == 0 ||
      line_end == std::string::npos) {
    return std::nullopt;
  }
  size_t caret = tail.find('^', line_end);
  if (caret == std::string::npos) return std::nullopt;
  caret -= line_end + 1;
  if (caret >= line_end) return std::nullopt;
  size_t end = caret;
  while (end < line_end && (isalnum(static_cast<unsigned char>(tail[end])) || tail[end] == '_')) {
    end++;
  }
  std::string_view shown = std::string_view(tail).substr(0, line_end);
  std::string_view word = shown.substr(caret, end - caret);
  SourcePosition place{statement.line + number - 1, 1};
  std::string_view line = LineOf(script, place.line);
  size_t first = number == 1 ? statement.column - 1 : 0;
  size_t at = word.empty() ? std::string_view::npos : line.find(word, std::min(first, line.size()));
  if (at == std::string_view::npos) return std::nullopt;
  // The n-th of its kind there is the n-th here, unless the excerpt was cut at its front.
  bool cut = shown.substr(static_cast<size_t>(prefix)).starts_with("...");
  for (size_t other = shown.find(word); !cut && other < caret;
       other = shown.find(word, other + 1)) {
    size_t next = line.find(word, at + 1);
    if (next == std::string_view::npos) break;
    at = next;
  }
  for (size_t i = 0; i < at; i++) place.column += (line[i] & 0xC0) != 0x80;
  return place;
}

// DuckDB lists every function of the name that it did not find; a few say what it wanted.
void ShortenCandidates(std::string& text) {
  constexpr int kShown = 6;
  size_t at = text.find("\tCandidate functions:");
  for (int line = 0; at != std::string::npos && line <= kShown; line++)
    at = text.find('\n', at + 1);
  if (at == std::string::npos || text.find("\n\t", at) != at) return;
  size_t end = at;
  while (end != std::string::npos && text.compare(end, 2, "\n\t") == 0)
    end = text.find('\n', end + 1);
  text.replace(at, (end == std::string::npos ? text.size() : end) - at, "\n\t...");
}

// Where the character behind the one at `at` begins.
size_t NextCharacter(std::string_view text, size_t at) {
  for (at++; at < text.size() && (text[at] & 0xC0) == 0x80;) at++;
  return at;
}

// The line, or the part of a long one around `column`, and a caret under it.
void AppendSource(std::string_view line, int column, std::string& out) {
  constexpr std::string_view kCut = "... ";
  size_t at = 0;
  for (int i = 1; i < column && at < line.size(); i++) at = NextCharacter(line, at);
  size_t begin = 0, end = line.size();
  if (line.size() > kLineCells) {
    while (at - begin > kLineCells / 2) begin = NextCharacter(line, begin);
    for (end = begin; end < line.size() && end - begin < kLineCells;)
      end = NextCharacter(line, end);
  }
  std::string_view front = begin > 0 ? kCut : "";
  out.append("  ").append(front).append(line.substr(begin, end - begin));
  if (end < line.size()) out += " ...";
  out.append("\n  ").append(front.size(), ' ');
  // Tabs stay tabs so that the caret stands under its character; columns count characters.
  while (begin < at) {
    size_t next = NextCharacter(line, begin);
    if (line[begin] == '\t') {
      out += '\t';
    } else {
      out.append(DisplayWidth(line.substr(begin, next - begin)), ' ');
    }
    begin = next;
  }
  out += "^\n";
}

}  // namespace

std::string DescribeError(const Error& error, const std::string& name, std::string_view script,
                          SourcePosition statement) {
  std::string message = error.text();
  std::optional<SourcePosition> named = TakePosition(message);
  std::optional<SourcePosition> engine = TakeEngineLine(message, script, statement);
  ShortenCandidates(message);
  SourcePosition place = named.value_or(engine.value_or(statement));
  std::string text = fmt::format("{}:{}:{}: {}\n", name, place.line, place.column, message);
  std::string_view line = LineOf(script, place.line);
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.find_first_not_of(" \t") != std::string_view::npos)
    AppendSource(line, place.column, text);
  return text;
}

}  // namespace millrace
