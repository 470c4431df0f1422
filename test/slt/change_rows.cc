#include "change_rows.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "format/codec/value_text.h"

namespace millrace {

namespace {

constexpr double kTolerance = 1e-9;
constexpr size_t kShownLines = 40;

bool SameCell(const std::string& left, const std::string& right, bool floating) {
  if (left == right) return true;
  if (!floating) return false;
  char *left_end, *right_end;
  double a = std::strtod(left.c_str(), &left_end), b = std::strtod(right.c_str(), &right_end);
  if (*left_end || *right_end || left.empty() || right.empty()) return false;
  return std::abs(a - b) <= kTolerance * std::max({1.0, std::abs(a), std::abs(b)});
}

}  // namespace

void AppendRows(ChangeChunk& chunk, std::vector<ChangeRow>& rows) {
  size_t first = rows.size();
  for (idx_t row = 0; row < chunk.size(); row++) rows.push_back({chunk.KindOf(row), {}});
  TextColumn texts;
  for (idx_t column = 0; column < chunk.rows.ColumnCount(); column++) {
    RenderColumn(chunk.rows.data[column], chunk.size(), kPlainText, texts);
    for (idx_t row = 0; row < chunk.size(); row++) {
      std::string_view text = texts.At(row);
      rows[first + row].values.emplace_back(texts.is_null[row] ? "NULL"
                                            : text.empty()     ? "(empty)"
                                                               : text);
    }
  }
}

std::vector<TextRow> Fold(const std::vector<ChangeRow>& changes, std::string& problem) {
  std::map<TextRow, int64_t> counts;
  for (const ChangeRow& change : changes) counts[change.values] += Weight(change.kind);
  std::vector<TextRow> rows;
  for (auto& [row, count] : counts) {
    if (count < 0 && problem.empty()) {
      problem = "the row '" + ToLine(row) + "' left " + std::to_string(-count) +
                " time(s) more often than it came";
    }
    for (int64_t copy = 0; copy < count; copy++) rows.push_back(row);
  }
  return rows;
}

std::string ToLine(const TextRow& row) {
  std::string line;
  for (size_t i = 0; i < row.size(); i++) line += (i ? " | " : "") + row[i];
  return line;
}

bool SameRows(const std::vector<TextRow>& left, const std::vector<TextRow>& right,
              const std::string& types) {
  if (left.size() != right.size()) return false;
  for (size_t row = 0; row < left.size(); row++) {
    if (left[row].size() != right[row].size()) return false;
    for (size_t i = 0; i < left[row].size(); i++) {
      bool floating = i < types.size() && types[i] == 'R';
      if (!SameCell(left[row][i], right[row][i], floating)) return false;
    }
  }
  return true;
}

std::string Difference(const std::vector<TextRow>& expected, const std::vector<TextRow>& actual) {
  // Rows that only one side has, by text; order errors show as the whole of both sides.
  std::multiset<std::string> missing, extra;
  for (auto& row : expected) missing.insert(ToLine(row));
  for (auto& row : actual) {
    auto found = missing.find(ToLine(row));
    found == missing.end() ? (void)extra.insert(ToLine(row)) : (void)missing.erase(found);
  }
  std::string text = "  expected " + std::to_string(expected.size()) + " row(s), got " +
                     std::to_string(actual.size()) + "\n";
  size_t shown = 0;
  auto show = [&](const char* sign, const std::string& line) {
    if (shown++ < kShownLines) text += std::string("  ") + sign + " " + line + "\n";
  };
  if (missing.empty() && extra.empty()) {
    text += "  the same rows in another order; got:\n";
    for (auto& row : actual) show(" ", ToLine(row));
  }
  for (auto& line : missing) show("-", line);
  for (auto& line : extra) show("+", line);
  if (shown > kShownLines) text += "  ... " + std::to_string(shown - kShownLines) + " more\n";
  return text;
}

std::string TypeLetters(const duckdb::vector<LogicalType>& types) {
  std::string letters;
  for (auto& type : types) letters += type.IsFloating() ? 'R' : '?';
  return letters;
}

}  // namespace millrace
