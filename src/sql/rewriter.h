// rewriter.h - Flink expression and query tokens to text that DuckDB's parser takes.
//
// Token based: what has one meaning in both is copied, white space included, so line numbers stay
// and columns stay close. What DuckDB's grammar lacks becomes a call of a function of the schema
// `flink` (flink_functions.h). Rules: docs/dialect.md.
#pragma once

#include "sql/lexer.h"

namespace millrace {

/// Rewrites ranges of one token list.
///
/// Threads: one at a time. Throws: Error(kSyntax), Error(kUnsupported).
class Rewriter {
 public:
  /// `list` must outlive this object.
  explicit Rewriter(const TokenList& list) : list_(list) {}

  /// The DuckDB text of tokens [first, last).
  std::string Rewrite(idx_t first, idx_t last);

  /// Index after the type that starts at `first` (before `last`): "DECIMAL(10,2)", "ARRAY<ROW<a
  /// INT>>", "TIMESTAMP(3) WITH LOCAL TIME ZONE", "INT ARRAY"; NOT NULL is not part of it.
  idx_t TypeEnd(idx_t first, idx_t last) const;
  /// Index of the bracket that closes the one at `open`. Throws: Error(kSyntax) if there is none.
  idx_t Closing(idx_t open, idx_t last) const;
  /// First index in [first, last) of `word` outside brackets (and CASE ... END), or `last`.
  idx_t FindWord(idx_t first, idx_t last, std::string_view word) const;
  /// The ranges between top-level commas of [first, last); empty for an empty range.
  std::vector<std::pair<idx_t, idx_t>> SplitArguments(idx_t first, idx_t last) const;

  /// The options of a hint token: OPTIONS('k'='v', ...). nullopt for hints of other kinds.
  std::optional<Options> HintOptions(idx_t index) const;

 private:
  idx_t One(idx_t index, idx_t last, std::string& out);
  std::string Number(idx_t index) const;
  idx_t Word(idx_t index, idx_t last, std::string& out);
  std::optional<idx_t> Call(idx_t index, idx_t last, std::string& out);
  std::optional<idx_t> Keyword(idx_t index, idx_t last, std::string& out);
  std::optional<idx_t> HintedTable(idx_t index, idx_t last, std::string& out);
  std::string Cast(idx_t first, idx_t last, bool try_cast);
  std::string CastTo(const std::string& value, const std::string& type_text, bool try_cast,
                     SourcePosition position) const;
  std::string StringCall(idx_t index, idx_t last);
  std::string JsonCall(idx_t index, idx_t last);
  idx_t Interval(idx_t index, idx_t last, std::string& out) const;
  std::string Gap(idx_t index) const;
  const Token& At(idx_t index) const { return list_.tokens[index]; }
  bool IsWordAt(idx_t index, idx_t last, std::string_view word) const {
    return index < last && At(index).IsWord(word);
  }
  bool IsSymbolAt(idx_t index, idx_t last, std::string_view symbol) const {
    return index < last && At(index).IsSymbol(symbol);
  }

  const TokenList& list_;
  int depth_ = 0;
};

/// The DuckDB text of a Flink interval literal's value: ('1-2', "YEAR", "MONTH") -> "14 months".
/// `to` is empty for a single unit. Throws: Error(kSyntax) at `position`.
std::string IntervalText(const std::string& value, const std::string& from, const std::string& to,
                         bool negative, SourcePosition position);

}  // namespace millrace
