// Cutting a script into statements, without parsing them: the dialect may change between two.
#include <cctype>

#include "sql/lexer.h"

namespace millrace {

namespace {

// Where the statement that starts at `first` stands: inside a statement set or not.
class SetTracker {
 public:
  // REQUIRES: called for every token of the statement, in order.
  void See(const Token& token) {
    if (index_ < 8) Head(token);
    index_++;
    if (!inside_) return;
    if (token.IsWord("CASE")) cases_++;
    if (!token.IsWord("END")) return;
    if (cases_ > 0)
      cases_--;
    else
      inside_ = false;
  }

  bool Inside() const { return inside_; }

 private:
  // [EXPLAIN ...] [EXECUTE] STATEMENT SET BEGIN, or BEGIN STATEMENT SET.
  void Head(const Token& token) {
    words_ += token.kind == TokenKind::kWord ? token.value + " " : "? ";
    inside_ =
        inside_ || words_.ends_with("STATEMENT SET BEGIN ") || words_ == "BEGIN STATEMENT SET ";
  }

  std::string words_;
  int index_ = 0;
  int cases_ = 0;
  bool inside_ = false;
};

}  // namespace

std::vector<StatementText> SplitScript(std::string_view script) {
  TokenList list = Tokenize(script);
  std::vector<StatementText> statements;
  const std::vector<Token>& tokens = list.tokens;
  idx_t first = 0;
  SetTracker tracker;
  for (idx_t i = 0; i < tokens.size(); i++) {
    bool end = tokens[i].kind == TokenKind::kEnd;
    if (!end && (!tokens[i].IsSymbol(";") || tracker.Inside())) {
      tracker.See(tokens[i]);
      continue;
    }
    if (i > first) {
      StatementText statement;
      // An open comment is no token: it is kept, so that the text stays incomplete when parsed
      // again.
      std::string_view text = end && !list.unterminated.empty() ? script.substr(tokens[first].begin)
                                                                : list.Slice(first, i);
      statement.text = std::string(text);
      statement.position = tokens[first].position;
      statement.complete = !end;
      statements.push_back(std::move(statement));
    } else if (end && !list.unterminated.empty()) {  // Nothing but an open comment.
      SourcePosition start = i == 0 ? SourcePosition{} : tokens[i - 1].position;
      if (i > 0) start.column++;  // Behind the ';'.
      statements.push_back(
          {std::string(script.substr(i == 0 ? 0 : tokens[i - 1].end)), start, false});
    }
    first = i + 1;
    tracker = SetTracker();
  }
  return statements;
}

}  // namespace millrace
