// Rewriting by token; see the header. Each construct is one function that returns the index after
// it.
#include "sql/rewriter.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "meta/data_type.h"
#include "meta/duck_type_name.h"

namespace millrace {

namespace {

constexpr int kDepthMax = 200;

// Words that may follow a table name in FROM and hence are not its alias.
const std::set<std::string, std::less<>> kAfterTable = {
    "WHERE",      "GROUP",     "ORDER",       "HAVING",   "LIMIT",   "OFFSET",          "FETCH",
    "UNION",      "INTERSECT", "EXCEPT",      "MINUS",    "JOIN",    "INNER",           "LEFT",
    "RIGHT",      "FULL",      "CROSS",       "NATURAL",  "ON",      "USING",           "WINDOW",
    "FOR",        "SEMI",      "ANTI",        "ASOF",     "LATERAL", "SELECT",          "SET",
    "POSITIONAL", "QUALIFY",   "TABLESAMPLE", "PIVOT",    "UNPIVOT", "MATCH_RECOGNIZE", "THEN",
    "WHEN",       "END",       "DO",          "RETURNING"};

// Reserved in DuckDB, ordinary names in Flink.
const std::set<std::string, std::less<>> kReservedInDuckDb = {
    "ANALYSE",   "DEFERRABLE", "DO",       "INITIALLY", "LAMBDA",
    "RETURNING", "SUMMARIZE",  "VARIADIC", "SHOW",      "DESCRIBE"};

// Keywords that Flink evaluates like functions without parentheses.
const std::map<std::string, std::string, std::less<>> kClockWords = {
    {"CURRENT_TIMESTAMP", "now()"},
    {"CURRENT_DATE", "flink_current_date()"},
    {"LOCALTIMESTAMP", "flink_localtimestamp()"},
    {"LOCALTIME", "flink_localtime()"},
    {"CURRENT_TIME", "flink_localtime()"}};

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// SQL_TSI_DAY, DAYS -> DAY.
std::string UnitName(const Token& token) {
  static const std::set<std::string, std::less<>> kUnits = {
      "NANOSECOND", "MICROSECOND", "MILLISECOND", "SECOND",  "MINUTE", "HOUR",    "DAY",
      "WEEK",       "MONTH",       "QUARTER",     "YEAR",    "DECADE", "CENTURY", "MILLENNIUM",
      "DOW",        "DOY",         "ISODOW",      "ISOYEAR", "EPOCH"};
  std::string name = token.value;
  if (name.starts_with("SQL_TSI_")) name = name.substr(8);
  if (name == "FRAC_SECOND") name = "MICROSECOND";
  if (!kUnits.contains(name) && name.size() > 1 && name.back() == 'S') name.pop_back();
  return kUnits.contains(name) ? name : "";
}

// EXTRACT(unit FROM x); DuckDB's milliseconds and microseconds count the seconds too, its Sunday is
// 0.
std::string ExtractCall(const std::string& unit, const std::string& value) {
  if (unit == "DOW") return fmt::format("dayofweek({})", value);
  if (unit == "EPOCH") return fmt::format("CAST(floor(date_part('epoch', {})) AS BIGINT)", value);
  if (unit == "MILLISECOND") return fmt::format("(date_part('millisecond', {}) % 1000)", value);
  if (unit == "MICROSECOND") return fmt::format("(date_part('microsecond', {}) % 1000000)", value);
  if (unit == "NANOSECOND")
    return fmt::format("(date_part('microsecond', {}) % 1000000 * 1000)", value);
  return fmt::format("date_part({}, {})", QuoteString(Lower(unit)), value);
}

}  // namespace

std::string Rewriter::Gap(idx_t index) const {
  if (index == 0) return "";
  idx_t from = At(index - 1).end;
  std::string_view raw = list_.source.substr(from, At(index).begin - from);
  bool blank = std::all_of(raw.begin(), raw.end(), [](unsigned char c) { return std::isspace(c); });
  if (blank) return std::string(raw);
  std::string out;  // Comments become blanks, so that columns stay.
  for (char c : raw) out += c == '\n' ? '\n' : ' ';
  return out;
}

idx_t Rewriter::Closing(idx_t open, idx_t last) const {
  std::vector<char> expected;
  for (idx_t i = open; i < last; i++) {
    if (At(i).kind != TokenKind::kSymbol) continue;
    char c = At(i).value[0];
    if (c == '(') expected.push_back(')');
    if (c == '[') expected.push_back(']');
    if (c == '{') expected.push_back('}');
    if (c != ')' && c != ']' && c != '}') continue;
    if (expected.empty() || expected.back() != c) {
      ThrowSyntaxAt(list_, i,
                    fmt::format("expected '{}'", expected.empty() ? ' ' : expected.back()));
    }
    expected.pop_back();
    if (expected.empty()) return i;
  }
  ThrowSyntaxAt(list_, open, fmt::format("this '{}' is never closed", At(open).value));
}

idx_t Rewriter::FindWord(idx_t first, idx_t last, std::string_view word) const {
  int cases = 0;
  for (idx_t i = first; i < last; i++) {
    if (cases == 0 && At(i).IsWord(word)) return i;
    if (At(i).IsWord("CASE")) cases++;
    if (At(i).IsWord("END") && cases > 0) cases--;
    if (At(i).IsSymbol("(") || At(i).IsSymbol("[") || At(i).IsSymbol("{")) i = Closing(i, last);
  }
  return last;
}

std::vector<std::pair<idx_t, idx_t>> Rewriter::SplitArguments(idx_t first, idx_t last) const {
  std::vector<std::pair<idx_t, idx_t>> parts;
  if (first == last) return parts;
  idx_t start = first;
  for (idx_t i = first; i < last; i++) {
    if (At(i).IsSymbol("(") || At(i).IsSymbol("[") || At(i).IsSymbol("{")) i = Closing(i, last);
    if (i < last && At(i).IsSymbol(",")) {
      parts.emplace_back(start, i);
      start = i + 1;
    }
  }
  parts.emplace_back(start, last);
  return parts;
}

idx_t Rewriter::TypeEnd(idx_t first, idx_t last) const {
  if (first >= last || !At(first).IsName())
    ThrowSyntaxAt(list_, first, "expected a type, as INT or STRING");
  idx_t i = first + 1;
  if (At(first).IsWord("DOUBLE") && IsWordAt(i, last, "PRECISION")) i++;
  if (IsWordAt(i, last, "VARYING")) i++;
  if (IsSymbolAt(i, last, "(")) i = Closing(i, last) + 1;
  if (IsSymbolAt(i, last, "<>")) {  // ROW<>
    i++;
  } else if (IsSymbolAt(i, last, "<")) {
    int depth = 0;
    idx_t open = i;
    for (; i < last; i++) {
      if (At(i).IsSymbol("(")) i = Closing(i, last);
      if (At(i).IsSymbol("<")) depth++;
      if (At(i).IsSymbol(">") && --depth == 0) break;
      if (At(i).IsSymbol(">=")) break;
    }
    if (i >= last || !At(i).IsSymbol(">"))
      ThrowSyntaxAt(list_, open, "this '<' of a type is never closed");
    i++;
  }
  if (IsWordAt(i, last, "WITH") || IsWordAt(i, last, "WITHOUT")) {
    idx_t zone = i + 1 + (IsWordAt(i + 1, last, "LOCAL") ? 1 : 0);
    if (IsWordAt(zone, last, "TIME") && IsWordAt(zone + 1, last, "ZONE")) i = zone + 2;
  }
  while (IsWordAt(i, last, "ARRAY") || IsWordAt(i, last, "MULTISET")) i++;
  while (IsSymbolAt(i, last, "[")) i = Closing(i, last) + 1;  // DuckDB's INT[].
  return i;
}

std::string Rewriter::Rewrite(idx_t first, idx_t last) {
  if (++depth_ > kDepthMax) {
    ThrowSyntaxAt(list_, first,
                  fmt::format("the expression is nested more than {} levels deep", kDepthMax));
  }
  std::string out;
  for (idx_t i = first; i < last;) {
    if (i > first) out += Gap(i);
    i = One(i, last, out);
  }
  depth_--;
  return out;
}

idx_t Rewriter::One(idx_t index, idx_t last, std::string& out) {
  const Token& token = At(index);
  switch (token.kind) {
    case TokenKind::kWord:
    case TokenKind::kQuotedName:
      return Word(index, last, out);
    case TokenKind::kString:
      out += QuoteString(token.value);
      return index + 1;
    case TokenKind::kBytes: {
      std::string bytes;
      for (idx_t i = 0; i + 1 < token.value.size(); i += 2)
        bytes += "\\x" + token.value.substr(i, 2);
      out += "CAST('" + bytes + "' AS BLOB)";
      return index + 1;
    }
    case TokenKind::kHint:
      if (HintOptions(index)) {
        ThrowSyntaxAt(list_, index, "an OPTIONS hint belongs right after the name of a table");
      }
      out += " ";  // Hints to Flink's planner have no meaning here.
      return index + 1;
    case TokenKind::kNumber:
      out += Number(index);
      return index + 1;
    default:
      out += std::string(list_.source.substr(token.begin, token.end - token.begin));
      return index + 1;
  }
}

idx_t Rewriter::Word(idx_t index, idx_t last, std::string& out) {
  const Token& token = At(index);
  bool after_dot = index > 0 && At(index - 1).IsSymbol(".");
  if (!after_dot) {
    if (auto next = HintedTable(index, last, out)) return *next;
  }
  if (token.kind == TokenKind::kQuotedName) {
    if (token.value.empty()) ThrowSyntaxAt(list_, index, "a name cannot be empty");
    out += QuoteName(token.value);
    return index + 1;
  }
  if (!after_dot) {
    if (IsSymbolAt(index + 1, last, "(") || IsSymbolAt(index + 1, last, "[")) {
      if (auto next = Call(index, last, out)) return *next;
    }
    if (auto next = Keyword(index, last, out)) return *next;
  }
  std::string raw(list_.source.substr(token.begin, token.end - token.begin));
  bool quote = kReservedInDuckDb.contains(token.value) && !IsSymbolAt(index + 1, last, "(");
  out += quote ? QuoteName(raw) : raw;
  return index + 1;
}

std::optional<idx_t> Rewriter::Keyword(idx_t index, idx_t last, std::string& out) {
  const Token& token = At(index);
  if (token.IsWord("INTERVAL")) {
    idx_t value = index + 1;
    if (IsSymbolAt(value, last, "-") || IsSymbolAt(value, last, "+")) value++;
    if (value < last && At(value).kind == TokenKind::kString) return Interval(index, last, out);
  }
  if (token.IsWord("VALUES")) {  // VALUES ROW(1, 2), (3, 4)
    out += "VALUES";
    idx_t i = index + 1;
    while (i < last) {
      idx_t open = i + (At(i).IsWord("ROW") ? 1 : 0);
      if (!IsSymbolAt(open, last, "(")) break;
      idx_t close = Closing(open, last);
      out += Gap(i) + "(" + Rewrite(open + 1, close) + ")";
      i = close + 1;
      if (!IsSymbolAt(i, last, ",")) break;
      out += ",";
      i++;
    }
    return i;
  }
  auto clock = kClockWords.find(token.value);
  if (clock != kClockWords.end() && !IsSymbolAt(index + 1, last, ".")) {
    bool named = index > 0 && At(index - 1).IsWord("AS");
    if (named) return std::nullopt;
    out += clock->second;
    idx_t next = index + 1;  // An optional precision: CURRENT_TIMESTAMP(3).
    if (IsSymbolAt(next, last, "(")) next = Closing(next, last) + 1;
    return next;
  }
  if (token.IsWord("MATCH_RECOGNIZE")) {
    Throw(ErrorCode::kUnsupported, "line {}, column {}: MATCH_RECOGNIZE is not supported",
          token.position.line, token.position.column);
  }
  return std::nullopt;
}

std::optional<idx_t> Rewriter::Call(idx_t index, idx_t last, std::string& out) {
  const Token& token = At(index);
  idx_t open = index + 1;
  if (At(open).IsSymbol("[")) {
    if (!token.IsWord("MAP")) return std::nullopt;
    idx_t close = Closing(open, last);
    auto parts = SplitArguments(open + 1, close);
    if (parts.size() % 2 != 0)
      ThrowSyntaxAt(list_, open, "MAP[...] takes pairs: MAP[key, value, ...]");
    out += "MAP {";
    for (idx_t i = 0; i < parts.size(); i += 2) {
      if (i > 0) out += ", ";
      out += Rewrite(parts[i].first, parts[i].second) + ": " +
             Rewrite(parts[i + 1].first, parts[i + 1].second);
    }
    out += "}";
    return close + 1;
  }
  const std::string& name = token.value;
  if (name == "CAST" || name == "TRY_CAST") {
    idx_t close = Closing(open, last);
    out += Cast(open + 1, close, name == "TRY_CAST");
    return close + 1;
  }
  if (name == "EXTRACT" && open + 3 < last && At(open + 1).IsName() &&
      At(open + 2).IsWord("FROM")) {
    std::string unit = UnitName(At(open + 1));
    if (unit.empty()) ThrowSyntaxAt(list_, open + 1, "expected a unit of time, as YEAR or MINUTE");
    idx_t close = Closing(open, last);
    out += ExtractCall(unit, Rewrite(open + 3, close));
    return close + 1;
  }
  if (name == "CEIL" || name == "CEILING" || name == "FLOOR") {
    idx_t close = Closing(open, last);
    idx_t to = FindWord(open + 1, close, "TO");
    if (to == close) return std::nullopt;
    std::string unit = to + 1 < close ? UnitName(At(to + 1)) : "";
    if (unit.empty() || to + 2 != close)
      ThrowSyntaxAt(list_, to + 1, "expected a unit of time, as DAY");
    out += (name == "FLOOR" ? "floor_to(" : "ceil_to(") + QuoteString(Lower(unit)) + ", " +
           Rewrite(open + 1, to) + ")";
    return close + 1;
  }
  if (name == "TIMESTAMPADD" || name == "TIMESTAMPDIFF") {
    std::string unit = open + 1 < last ? UnitName(At(open + 1)) : "";
    if (unit.empty() || !IsSymbolAt(open + 2, last, ",")) return std::nullopt;
    idx_t close = Closing(open, last);
    out += Lower(name) + "(" + QuoteString(Lower(unit)) + "," + Gap(open + 3) +
           Rewrite(open + 3, close) + ")";
    return close + 1;
  }
  if (name == "SUBSTRING" || name == "OVERLAY" || name == "POSITION") {
    out += StringCall(index, last);
    return Closing(open, last) + 1;
  }
  if (name == "JSON_VALUE" || name == "JSON_EXISTS") {
    out += JsonCall(index, last);
    return Closing(open, last) + 1;
  }
  if (name == "TABLE" && index > 0 &&
      (At(index - 1).IsWord("FROM") || At(index - 1).IsWord("LATERAL") ||
       At(index - 1).IsSymbol(","))) {
    Throw(ErrorCode::kUnsupported,
          "line {}, column {}: TABLE(...) with a window or table function is not supported; "
          "group by FLOOR(time TO unit) instead",
          token.position.line, token.position.column);
  }
  return std::nullopt;
}

std::string Rewriter::Cast(idx_t first, idx_t last, bool try_cast) {
  idx_t as = FindWord(first, last, "AS");
  const char* name = try_cast ? "TRY_CAST" : "CAST";
  if (as == last || as == first) {
    ThrowSyntaxAt(list_, last, fmt::format("expected {}(value AS type)", name));
  }
  idx_t end = TypeEnd(as + 1, last);
  if (end != last)
    ThrowSyntaxAt(list_, end, fmt::format("expected ')' after the type of {}", name));
  return CastTo(Rewrite(first, as), std::string(list_.Slice(as + 1, last)), try_cast,
                At(as + 1).position);
}

std::string Rewriter::CastTo(const std::string& value, const std::string& type_text, bool try_cast,
                             SourcePosition position) const {
  const char* cast = try_cast ? "TRY_CAST" : "CAST";
  DataType type;
  try {
    type = ParseDataType(type_text);
  } catch (const Error& error) {
    // A type of DuckDB's (HUGEINT, JSON, INT[]) is as good; its parser knows the rest.
    static const std::set<std::string, std::less<>> kFlinkOnly = {"ARRAY", "MAP", "ROW", "MULTISET",
                                                                  "RAW"};
    if (kFlinkOnly.contains(list_.tokens.empty() ? "" : type_text.substr(0, type_text.find('<')))) {
      Throw(ErrorCode::kSyntax, "line {}, column {}: {}", position.line, position.column,
            error.text());
    }
    return fmt::format("{}({} AS {})", cast, value, type_text);
  }
  std::string duck = DuckTypeName(type);
  switch (type.root) {
    case TypeRoot::kTinyInt:
    case TypeRoot::kSmallInt:
    case TypeRoot::kInt:
    case TypeRoot::kBigInt:
      return fmt::format("{}(to_integral({}) AS {})", cast, value, duck);
    case TypeRoot::kChar:
      return fmt::format("pad_to(to_text({}), {})", value, type.length);
    case TypeRoot::kVarChar:
      if (type.length == kMaxLength) return fmt::format("to_text({})", value);
      return fmt::format("cut_to(to_text({}), {})", value, type.length);
    case TypeRoot::kTimestamp:
    case TypeRoot::kTimestampLtz:
      if (type.length >= 6) break;
      return fmt::format("to_precision({}({} AS {}), {})", cast, value, duck, type.length);
    default:
      break;
  }
  return fmt::format("{}({} AS {})", cast, value, duck);
}

std::optional<Options> Rewriter::HintOptions(idx_t index) const {
  const Token& hint = At(index);
  SourcePosition inside = hint.position;
  inside.column += 3;
  TokenList list = Tokenize(hint.value, inside);
  if (list.tokens.size() < 2 || !list.tokens[0].IsWord("OPTIONS")) return std::nullopt;
  idx_t i = 1;
  auto expect = [&](const char* symbol) {
    if (!list.tokens[i].IsSymbol(symbol)) {
      ThrowSyntaxAt(list, i, fmt::format("expected '{}' in OPTIONS('key'='value', ...)", symbol));
    }
    i++;
  };
  auto text = [&]() -> std::string {
    if (list.tokens[i].kind != TokenKind::kString) {
      ThrowSyntaxAt(list, i, "expected a quoted text in OPTIONS('key'='value', ...)");
    }
    return list.tokens[i++].value;
  };
  expect("(");
  Options options;
  do {
    std::string key = text();
    expect("=");
    options[key] = text();
  } while (list.tokens[i].IsSymbol(",") && ++i > 0);
  expect(")");
  if (list.tokens[i].kind != TokenKind::kEnd)
    ThrowSyntaxAt(list, i, "expected the end of the hint");
  return options;
}

// catalog.database.name /*+ OPTIONS(...) */ [FOR SYSTEM_TIME AS OF TIMESTAMP '...' | FOR VERSION AS
// OF '...'] [AS alias]
std::optional<idx_t> Rewriter::HintedTable(idx_t index, idx_t last, std::string& out) {
  idx_t i = index + 1;
  std::vector<idx_t> parts{index};
  while (IsSymbolAt(i, last, ".") && i + 1 < last && At(i + 1).IsName()) {
    parts.push_back(i + 1);
    i += 2;
  }
  Options options;
  bool found = false;
  while (i < last) {
    if (At(i).kind == TokenKind::kHint) {
      if (At(index).IsWord("SELECT")) return std::nullopt;
      if (auto more = HintOptions(i)) {
        options.insert(more->begin(), more->end());
        found = true;
      } else if (!found) {
        return std::nullopt;
      }
      i++;
    } else if (At(i).IsWord("FOR") && IsWordAt(i + 1, last, "SYSTEM_TIME")) {
      if (!IsWordAt(i + 2, last, "AS") || !IsWordAt(i + 3, last, "OF")) {
        ThrowSyntaxAt(list_, std::min(i + 2, last),
                      "expected FOR SYSTEM_TIME AS OF TIMESTAMP '...'");
      }
      idx_t value = i + 4 + (IsWordAt(i + 4, last, "TIMESTAMP") ? 1 : 0);
      if (value >= last || At(value).kind != TokenKind::kString) {
        Throw(
            ErrorCode::kUnsupported,
            "line {}, column {}: FOR SYSTEM_TIME AS OF takes a TIMESTAMP '...' literal; lookup and "
            "temporal joins by a time column are not supported",
            At(i).position.line, At(i).position.column);
      }
      options["scan.timestamp"] = At(value).value;
      found = true;
      i = value + 1;
    } else if (At(i).IsWord("FOR") && IsWordAt(i + 1, last, "VERSION")) {
      idx_t value = i + 4;
      if (!IsWordAt(i + 2, last, "AS") || !IsWordAt(i + 3, last, "OF") || value >= last ||
          (At(value).kind != TokenKind::kString && At(value).kind != TokenKind::kNumber)) {
        ThrowSyntaxAt(list_, std::min(i + 2, last),
                      "expected FOR VERSION AS OF 'tag' or the id of a snapshot");
      }
      options["scan.version"] =
          At(value).kind == TokenKind::kString
              ? At(value).value
              : std::string(list_.source.substr(At(value).begin, At(value).end - At(value).begin));
      found = true;
      i = value + 1;
    } else {
      break;
    }
  }
  if (!found) return std::nullopt;
  std::string name = list_.Name(parts.back());
  for (idx_t p = 0; p + 1 < parts.size(); p++) out += QuoteName(list_.Name(parts[p])) + ".";
  std::string json;
  try {
    json = nlohmann::json(options).dump();
  } catch (const nlohmann::json::exception&) {
    ThrowSyntaxAt(list_, index, "the options of this table are not valid UTF-8");
  }
  out += QuoteName(name + "$options" + json);
  bool aliased =
      i < last && (At(i).IsWord("AS") || At(i).kind == TokenKind::kQuotedName ||
                   (At(i).kind == TokenKind::kWord && !kAfterTable.contains(At(i).value)));
  if (!aliased) out += " AS " + QuoteName(name);
  return i;
}

idx_t Rewriter::Interval(idx_t index, idx_t last, std::string& out) const {
  idx_t i = index + 1;
  bool negative = At(i).IsSymbol("-");
  if (negative || At(i).IsSymbol("+")) i++;
  const Token& value = At(i++);
  auto unit = [&](std::string& name) {
    if (i >= last || At(i).kind != TokenKind::kWord) return false;
    name = UnitName(At(i));
    if (name.empty()) return false;
    i++;
    if (IsSymbolAt(i, last, "(")) i = Closing(i, last) + 1;
    return true;
  };
  std::string from, to;
  if (!unit(from)) {  // DuckDB's INTERVAL '1 day'.
    bool has_unit = std::any_of(value.value.begin(), value.value.end(),
                                [](unsigned char c) { return std::isalpha(c); });
    if (!has_unit || IsWordAt(i, last, "TO")) {
      ThrowSyntaxAt(
          list_, i,
          "expected a unit of time, as INTERVAL '1' DAY: YEAR, QUARTER, MONTH, WEEK, DAY, "
          "HOUR, MINUTE or SECOND");
    }
    out += "INTERVAL " + QuoteString((negative ? "-" : "") + value.value);
    return i;
  }
  if (IsWordAt(i, last, "TO")) {
    i++;
    if (!unit(to)) ThrowSyntaxAt(list_, i, "expected a unit of time after TO");
  }
  out += "INTERVAL " + QuoteString(IntervalText(value.value, from, to, negative, value.position));
  return i;
}

// SUBSTRING(s FROM b FOR n), OVERLAY(s PLACING t FROM b FOR n), POSITION(t IN s) as plain calls:
// DuckDB's grammar ties the special forms, and SUBSTRING with commas too, to its own functions.
std::string Rewriter::StringCall(idx_t index, idx_t last) {
  idx_t close = Closing(index + 1, last);
  std::string out = At(index).IsWord("SUBSTRING") ? "substr("
                    : At(index).IsWord("OVERLAY") ? "\"overlay\"("
                                                  : "locate(";
  idx_t start = index + 2;
  while (start < close) {
    idx_t end = close;
    for (const char* word : {"PLACING", "FROM", "FOR", "IN"})
      end = std::min(end, FindWord(start, close, word));
    out += Rewrite(start, end);
    if (end < close) out += ", ";
    start = end + 1;
  }
  return out + ")";
}

// JSON_VALUE(text, path [RETURNING type] [NULL | ERROR | DEFAULT v ON EMPTY | ON ERROR]),
// JSON_EXISTS likewise.
std::string Rewriter::JsonCall(idx_t index, idx_t last) {
  idx_t close = Closing(index + 1, last);
  auto parts = SplitArguments(index + 2, close);
  if (parts.size() != 2 || parts[0].first == parts[0].second) {
    ThrowSyntaxAt(list_, index, fmt::format("expected {}(text, path)", At(index).value));
  }
  auto [first, end] = parts[1];
  idx_t clause = first + 1;
  std::string path = At(first).value;
  for (std::string_view mode : {"lax ", "strict "}) {
    if (path.starts_with(mode)) path = path.substr(mode.size());
  }
  std::string text = Rewrite(parts[0].first, parts[0].second) + ", " +
                     (At(first).kind == TokenKind::kString ? QuoteString(path)
                                                           : Rewrite(first, std::min(clause, end)));
  bool exists = At(index).IsWord("JSON_EXISTS");
  std::string type, fallback = exists ? "FALSE" : "NULL";
  if (!exists && IsWordAt(clause, end, "RETURNING")) {
    idx_t type_end = TypeEnd(clause + 1, end);
    type = std::string(list_.Slice(clause + 1, type_end));
    clause = type_end;
  }
  idx_t on = FindWord(clause, end, "ON");
  if (on < end && on + 2 == end && (At(on + 1).IsWord("EMPTY") || At(on + 1).IsWord("ERROR"))) {
    if (At(clause).IsWord("DEFAULT") && clause + 1 < on)
      fallback = Rewrite(clause + 1, on);
    else if (exists && (At(clause).IsWord("TRUE") || At(clause).IsWord("FALSE")))
      fallback = At(clause).value;
    else if (exists && At(clause).IsWord("UNKNOWN"))
      fallback = "NULL";
    else if (!At(clause).IsWord("NULL") || clause + 1 != on) {
      ThrowSyntaxAt(list_, clause,
                    "only NULL and DEFAULT are supported before ON EMPTY and ON ERROR");
    }
    clause = end;
  }
  if (clause < end)
    ThrowSyntaxAt(list_, clause,
                  fmt::format("this clause of {} is not supported", At(index).value));
  std::string call = (exists ? "json_path_exists(" : "json_path_value(") + text + ")";
  if (!type.empty()) call = CastTo(call, type, true, At(first).position);
  return fallback == "NULL" ? call : fmt::format("coalesce({}, {})", call, fallback);
}

std::string ToDuckSql(std::string_view flink_sql, SourcePosition start) {
  TokenList list = Tokenize(flink_sql, start);
  if (!list.unterminated.empty()) {
    ThrowSyntax(list.unterminated_at, "", "this " + list.unterminated + " is never closed");
  }
  return Rewriter(list).Rewrite(0, list.tokens.size() - 1);
}

}  // namespace millrace
