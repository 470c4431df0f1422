// Tokens of Flink SQL. One pass over the bytes; line and column are counted as they are passed.
#include "sql/lexer.h"

#include <cctype>

#include "base/error.h"

namespace millrace {

namespace {

bool IsWordStart(unsigned char c) {
  return std::isalpha(c) || c == '_' || c >= 0x80;
}
bool IsWordPart(unsigned char c) {
  return std::isalnum(c) || c == '_' || c == '$' || c >= 0x80;
}

void AppendUtf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (code >> 18));
    out += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

class Lexer {
 public:
  Lexer(std::string_view source, SourcePosition start) : at_(start) { list_.source = source; }

  TokenList Run() {
    while (Skip()) Next();
    Token end;
    end.begin = end.end = list_.source.size();
    end.position = at_;
    list_.tokens.push_back(std::move(end));
    return std::move(list_);
  }

 private:
  char Look(idx_t ahead = 0) const {
    idx_t index = offset_ + ahead;
    return index < list_.source.size() ? list_.source[index] : '\0';
  }
  bool AtEnd() const { return offset_ >= list_.source.size(); }

  void Advance(idx_t count = 1) {
    for (; count > 0 && !AtEnd(); count--) {
      unsigned char c = static_cast<unsigned char>(list_.source[offset_++]);
      if (c == '\n') {
        at_.line++;
        at_.column = 1;
      } else if ((c & 0xC0) != 0x80) {  // Columns count characters, not UTF-8 continuation bytes.
        at_.column++;
      }
    }
  }

  void Unterminated(const char* what, SourcePosition from) {
    if (list_.unterminated.empty()) {
      list_.unterminated = what;
      list_.unterminated_at = from;
    }
  }

  // Passes white space and comments; false at the end.
  bool Skip() {
    while (!AtEnd()) {
      if (std::isspace(static_cast<unsigned char>(Look()))) {
        Advance();
      } else if (Look() == '-' && Look(1) == '-') {
        while (!AtEnd() && Look() != '\n') Advance();
      } else if (Look() == '/' && Look(1) == '*' && Look(2) != '+') {
        SourcePosition from = at_;
        Advance(2);
        while (!AtEnd() && !(Look() == '*' && Look(1) == '/')) Advance();
        if (AtEnd()) Unterminated("comment", from);
        Advance(2);
      } else {
        return true;
      }
    }
    return false;
  }

  void Next() {
    Token token;
    token.begin = offset_;
    token.position = at_;
    char c = Look();
    if (c == '\'') {
      token.kind = TokenKind::kString;
      Quoted('\'', token, "string literal");
    } else if (c == '`' || c == '"') {
      token.kind = TokenKind::kQuotedName;
      Quoted(c, token, "quoted name");
    } else if (c == '/' && Look(1) == '*') {
      Hint(token);
    } else if (c == '$' && Look(1) == '$') {
      DollarString(token);
    } else if (std::isdigit(static_cast<unsigned char>(c)) ||
               (c == '.' && std::isdigit(static_cast<unsigned char>(Look(1))) && !AfterName())) {
      Number(token);
    } else if (IsWordStart(static_cast<unsigned char>(c))) {
      Word(token);
    } else {
      Symbol(token);
    }
    token.end = offset_;
    list_.tokens.push_back(std::move(token));
  }

  // `t.1`: the dot belongs to the name.
  bool AfterName() const {
    if (list_.tokens.empty()) return false;
    const Token& last = list_.tokens.back();
    return last.end == offset_ && (last.IsName() || last.IsSymbol(")") || last.IsSymbol("]"));
  }

  void Quoted(char quote, Token& token, const char* what) {
    Advance();
    while (!AtEnd()) {
      if (Look() == quote) {
        if (Look(1) != quote) {
          Advance();
          return;
        }
        Advance();
      }
      token.value += Look();
      Advance();
    }
    Unterminated(what, token.position);
  }

  void Hint(Token& token) {
    token.kind = TokenKind::kHint;
    Advance(3);
    char quote = '\0';  // A `*/` in a string of the hint does not end it.
    while (!AtEnd() && (quote != '\0' || !(Look() == '*' && Look(1) == '/'))) {
      if (Look() == '\'') quote = quote == '\0' ? '\'' : '\0';
      token.value += Look();
      Advance();
    }
    if (AtEnd()) Unterminated("hint", token.position);
    Advance(2);
  }

  // DuckDB's $$text$$, so that a script of that dialect is cut rightly.
  void DollarString(Token& token) {
    token.kind = TokenKind::kString;
    Advance(2);
    while (!AtEnd() && !(Look() == '$' && Look(1) == '$')) {
      token.value += Look();
      Advance();
    }
    if (AtEnd()) Unterminated("string literal", token.position);
    Advance(2);
  }

  void Number(Token& token) {
    token.kind = TokenKind::kNumber;
    auto digits = [&] {
      while (std::isdigit(static_cast<unsigned char>(Look())) || Look() == '_') Advance();
    };
    if (Look() == '0' && (Look(1) == 'x' || Look(1) == 'X') && HexDigit(Look(2)) >= 0) {
      Advance(2);
      while (HexDigit(Look()) >= 0) Advance();
    } else {
      digits();
      if (Look() == '.') {
        Advance();
        digits();
      }
      if (Look() == 'e' || Look() == 'E') {
        idx_t sign = Look(1) == '+' || Look(1) == '-' ? 1 : 0;
        if (std::isdigit(static_cast<unsigned char>(Look(1 + sign)))) {
          Advance(1 + sign);
          digits();
        }
      }
    }
    token.value = std::string(list_.source.substr(token.begin, offset_ - token.begin));
  }

  void Word(Token& token) {
    char c = Look();
    char next = Look(1);
    if ((c == 'x' || c == 'X') && next == '\'') return Bytes(token);
    if ((c == 'u' || c == 'U') && next == '&' && Look(2) == '\'') return Unicode(token);
    if ((c == 'e' || c == 'E') && next == '\'') return Escaped(token);
    if ((c == 'n' || c == 'N') && next == '\'') {
      token.kind = TokenKind::kString;
      Advance();
      return Quoted('\'', token, "string literal");
    }
    token.kind = TokenKind::kWord;
    while (!AtEnd() && IsWordPart(static_cast<unsigned char>(Look()))) {
      token.value += static_cast<char>(std::toupper(static_cast<unsigned char>(Look())));
      Advance();
    }
    if (token.value[0] == '_' && Look() == '\'') {  // _UTF8'text'
      token.value.clear();
      token.kind = TokenKind::kString;
      Quoted('\'', token, "string literal");
    }
  }

  void Bytes(Token& token) {
    token.kind = TokenKind::kBytes;
    Advance();
    Quoted('\'', token, "binary literal");
    if (!list_.unterminated.empty()) return;
    bool good = token.value.size() % 2 == 0;
    for (char digit : token.value) good = good && HexDigit(digit) >= 0;
    if (!good) {
      ThrowSyntax(token.position, list_.source.substr(token.begin, offset_ - token.begin),
                  "a binary literal takes an even number of hexadecimal digits, as X'0AFF'");
    }
  }

  void Unicode(Token& token) {
    token.kind = TokenKind::kString;
    Advance(2);
    Token raw;
    raw.position = token.position;
    Quoted('\'', raw, "string literal");
    const std::string& text = raw.value;
    for (idx_t i = 0; i < text.size(); i++) {
      if (text[i] != '\\') {
        token.value += text[i];
        continue;
      }
      if (i + 1 < text.size() && text[i + 1] == '\\') {
        token.value += text[++i];
        continue;
      }
      idx_t count = i + 1 < text.size() && text[i + 1] == '+' ? 6 : 4;
      idx_t from = i + (count == 6 ? 2 : 1);
      uint32_t code = 0;
      bool good = from + count <= text.size();
      for (idx_t k = 0; good && k < count; k++) {
        int digit = HexDigit(text[from + k]);
        good = digit >= 0;
        code = code * 16 + static_cast<uint32_t>(digit);
      }
      if (!good || code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
        ThrowSyntax(
            token.position, list_.source.substr(token.begin, offset_ - token.begin),
            "after \\ in a U&'' literal come four hexadecimal digits of a character, or + and six");
      }
      AppendUtf8(token.value, code);
      i = from + count - 1;
    }
  }

  // DuckDB's e'it\'s', again only to cut scripts of that dialect.
  void Escaped(Token& token) {
    token.kind = TokenKind::kString;
    Advance(2);
    while (!AtEnd()) {
      if (Look() == '\\' && offset_ + 1 < list_.source.size()) {
        Advance();
      } else if (Look() == '\'' && Look(1) == '\'') {
        Advance();
      } else if (Look() == '\'') {
        Advance();
        return;
      }
      token.value += Look();
      Advance();
    }
    Unterminated("string literal", token.position);
  }

  void Symbol(Token& token) {
    token.kind = TokenKind::kSymbol;
    static constexpr std::string_view kPairs[] = {"||", "<>", "<=", ">=", "!=", "=>", "::"};
    for (std::string_view pair : kPairs) {
      if (list_.source.substr(offset_, 2) == pair) {
        token.value = pair;
        Advance(2);
        return;
      }
    }
    token.value = std::string(1, Look());
    Advance();
  }

  TokenList list_;
  idx_t offset_ = 0;
  SourcePosition at_;
};

std::string Doubled(std::string_view text, char quote) {
  std::string out(1, quote);
  for (char c : text) {
    if (c == quote) out += quote;
    out += c;
  }
  return out + quote;
}

}  // namespace

std::string_view TokenList::Slice(idx_t first, idx_t last) const {
  if (first >= last) return {};
  idx_t begin = tokens[first].begin;
  return source.substr(begin, tokens[last - 1].end - begin);
}

std::string TokenList::Name(idx_t index) const {
  const Token& token = tokens[index];
  if (token.kind == TokenKind::kQuotedName) return token.value;
  return std::string(source.substr(token.begin, token.end - token.begin));
}

TokenList Tokenize(std::string_view source, SourcePosition start) {
  return Lexer(source, start).Run();
}

void ThrowSyntax(SourcePosition position, std::string_view near, const std::string& expectation) {
  constexpr idx_t kShown = 40;
  std::string shown(near.substr(0, near.find('\n')));
  if (shown.size() > kShown) {
    idx_t cut = kShown;  // Never inside a UTF-8 character: DuckDB's exception wants valid text.
    while (cut > 0 && (static_cast<unsigned char>(shown[cut]) & 0xC0) == 0x80) cut--;
    shown = shown.substr(0, cut) + "...";
  }
  Throw(ErrorCode::kSyntax, "line {}, column {}, near '{}': {}", position.line, position.column,
        shown.empty() ? "end of statement" : shown, expectation);
}

void ThrowSyntaxAt(const TokenList& list, idx_t index, const std::string& expectation) {
  const Token& token = list.tokens[index];
  ThrowSyntax(token.position, list.source.substr(token.begin, token.end - token.begin),
              expectation);
}

std::string QuoteName(std::string_view name) {
  return Doubled(name, '"');
}
std::string QuoteString(std::string_view text) {
  return Doubled(text, '\'');
}

}  // namespace millrace
