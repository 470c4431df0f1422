// lexer.h - cuts Flink SQL into tokens with positions; hints are tokens, comments are gaps.
//
// The raw slice of every token stays at hand, so that rewriting can copy what it does not change
// and keep line numbers. Symbols are single characters but for || <> <= >= != => :: so that the
// `>>` of ARRAY<MAP<..>> needs no special case.
#pragma once

#include "sql/statement.h"

namespace millrace {

enum class TokenKind : uint8_t {
  kWord,        // Unquoted: keyword or name. `value` is upper case.
  kQuotedName,  // `name` or "name". `value` has no quotes.
  kString,      // 'text' in all its forms. `value` is decoded.
  kBytes,       // X'0AFF'. `value` holds the hex digits.
  kNumber,
  kSymbol,
  kHint,  // /*+ ... */. `value` is the inside.
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  idx_t begin = 0, end = 0;  // Bytes in the source.
  SourcePosition position;
  std::string value;

  bool IsWord(std::string_view upper) const { return kind == TokenKind::kWord && value == upper; }
  bool IsSymbol(std::string_view symbol) const {
    return kind == TokenKind::kSymbol && value == symbol;
  }
  bool IsName() const { return kind == TokenKind::kWord || kind == TokenKind::kQuotedName; }
};

/// The tokens of a text. `tokens` always ends with one kEnd.
struct TokenList {
  std::string_view source;
  std::vector<Token> tokens;
  std::string unterminated;  // "string literal", "comment" ...: the text ends inside one.
  SourcePosition unterminated_at;

  /// Slice of the source from token `first` to before token `last`.
  std::string_view Slice(idx_t first, idx_t last) const;
  /// A name as written: its case kept, its quotes removed.
  std::string Name(idx_t index) const;
};

/// Never throws for text that ends inside a literal or comment: see `unterminated`.
/// Throws: Error(kSyntax) for malformed U&'' and X'' literals.
TokenList Tokenize(std::string_view source, SourcePosition start = {});

/// Error(kSyntax) "line L, column C, near 'text': expectation".
[[noreturn]] void ThrowSyntax(SourcePosition position, std::string_view near,
                              const std::string& expectation);
/// The same at a token of `list`.
[[noreturn]] void ThrowSyntaxAt(const TokenList& list, idx_t index, const std::string& expectation);

/// "name" with inner quotes doubled.
std::string QuoteName(std::string_view name);
/// 'text' with inner quotes doubled.
std::string QuoteString(std::string_view text);

}  // namespace millrace
