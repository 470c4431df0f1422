// DELETE, UPDATE, MERGE INTO and TRUNCATE.
#include "base/error.h"
#include "sql/statement_parser.h"

namespace millrace {

StatementBody StatementParser::TruncateStatement() {
  (void)Accept("TABLE");
  TruncateTable truncate{Path("the name of a table")};
  if (IsNext("PARTITION")) {
    FailUnsupported("TRUNCATE empties whole tables; use ALTER TABLE .. DROP PARTITION (..)");
  }
  End("TRUNCATE TABLE");
  return truncate;
}

DmlTarget StatementParser::Target(std::initializer_list<std::string_view> next_words) {
  DmlTarget target;
  target.name = Path("the name of a table");
  while (Peek().kind == TokenKind::kHint) {
    if (auto options = rewriter_.HintOptions(at_)) {
      target.hint.insert(options->begin(), options->end());
    }
    at_++;
  }
  target.alias = Alias(target.name.back(), next_words);
  return target;
}

std::string StatementParser::Alias(const std::string& fallback,
                                   std::initializer_list<std::string_view> next_words) {
  if (Accept("AS")) return Name("an alias");
  if (!Peek().IsName()) return fallback;
  for (std::string_view word : next_words) {
    if (Peek().IsWord(word)) return fallback;
  }
  return Name("an alias");
}

/// Tokens up to the first of `stops` (or a comma, where `at_comma`) outside brackets and CASE.
std::string StatementParser::Expression(std::initializer_list<std::string_view> stops,
                                        bool at_comma, const std::string& what) {
  idx_t first = at_, last = list_.tokens.size() - 1;
  idx_t end = last;
  for (std::string_view word : stops) end = std::min(end, rewriter_.FindWord(first, end, word));
  if (at_comma && end > first) end = rewriter_.SplitArguments(first, end).front().second;
  if (end == first) Fail("expected " + what);
  std::string text = rewriter_.Rewrite(first, end);
  at_ = end;
  return text;
}

std::vector<Assignment> StatementParser::Assignments(
    const DmlTarget& target, std::initializer_list<std::string_view> stops) {
  std::vector<Assignment> assignments;
  do {
    QualifiedName path = Path("the name of a column");
    if (path.size() == 2 && (path[0] == target.alias || path[0] == target.name.back())) {
      path.erase(path.begin());
    }
    if (path.size() > 1) {
      at_--;
      FailUnsupported("a field of a ROW cannot be set by itself; set the whole column to ROW(..)");
    }
    for (const Assignment& other : assignments) {
      if (other.column == path[0]) Fail("the column '" + path[0] + "' is set twice");
    }
    ExpectSymbol("=", "after the column '" + path[0] + "'");
    assignments.push_back({path[0], Expression(stops, true, "the new value of '" + path[0] + "'")});
  } while (AcceptSymbol(","));
  return assignments;
}

std::optional<std::string> StatementParser::Where() {
  if (!Accept("WHERE")) return std::nullopt;
  return Expression({}, false, "a condition after WHERE");
}

StatementBody StatementParser::DeleteStatement() {
  Expect("FROM", "after DELETE");
  DeleteRows statement;
  statement.target = Target({"WHERE"});
  statement.condition = Where();
  End("DELETE");
  statement.original = std::string(list_.Slice(0, list_.tokens.size() - 1));
  return statement;
}

StatementBody StatementParser::UpdateStatement() {
  UpdateRows statement;
  statement.target = Target({"SET"});
  Expect("SET", "after the table of UPDATE");
  statement.assignments = Assignments(statement.target, {"WHERE"});
  statement.condition = Where();
  End("UPDATE");
  statement.original = std::string(list_.Slice(0, list_.tokens.size() - 1));
  return statement;
}

StatementBody StatementParser::MergeStatement() {
  Expect("INTO", "after MERGE");
  MergeInto merge;
  merge.target = Target({"USING"});
  Expect("USING", "and the source of MERGE");
  idx_t first = at_;
  std::string name = "source";
  if (Peek().IsSymbol("(")) {
    at_ = rewriter_.Closing(at_, list_.tokens.size() - 1) + 1;
  } else {
    name = Path("a table or a query in parentheses").back();
    while (Peek().kind == TokenKind::kHint) at_++;
  }
  merge.source = rewriter_.Rewrite(first, at_);
  merge.source_alias = Alias(name, {"ON"});
  if (Peek().IsSymbol("(")) merge.source_columns = NameList("the name of a column");
  Expect("ON", "and the condition that matches rows");
  merge.condition = Expression({"WHEN"}, false, "a condition after ON");
  while (Accept("WHEN")) merge.clauses.push_back(WhenClause(merge));
  End("MERGE INTO");
  if (merge.clauses.empty()) Fail("expected WHEN MATCHED or WHEN NOT MATCHED");
  merge.original = std::string(list_.Slice(0, list_.tokens.size() - 1));
  return merge;
}

MergeClause StatementParser::WhenClause(const MergeInto& merge) {
  MergeClause clause{MergeClause::Case::kMatched, MergeClause::Action::kUpdate};
  if (Accept("NOT MATCHED BY SOURCE")) {
    clause.when = MergeClause::Case::kNotMatchedBySource;
  } else if (Accept("NOT MATCHED")) {
    clause.when = MergeClause::Case::kNotMatched;
    (void)Accept("BY TARGET");
  } else {
    Expect("MATCHED", "or NOT MATCHED [BY SOURCE] after WHEN");
  }
  if (Accept("AND")) clause.condition = Expression({"THEN"}, false, "a condition after AND");
  Expect("THEN", "and what to do");
  if (clause.when == MergeClause::Case::kNotMatched) {
    Expect("INSERT", "after THEN: a row that is not there can only be inserted");
    clause.action = MergeClause::Action::kInsert;
    InsertValues(clause);
    return clause;
  }
  if (Accept("DELETE")) {
    clause.action = MergeClause::Action::kDelete;
    return clause;
  }
  Expect("UPDATE SET", "or DELETE after THEN");
  clause.star = clause.when == MergeClause::Case::kMatched && AcceptSymbol("*");
  if (!clause.star) clause.assignments = Assignments(merge.target, {"WHEN"});
  return clause;
}

void StatementParser::InsertValues(MergeClause& clause) {
  clause.star = AcceptSymbol("*");
  if (clause.star) return;
  idx_t columns_at = at_;
  std::vector<std::string> columns;
  if (Peek().IsSymbol("(")) columns = NameList("the name of a column");
  Expect("VALUES", "after the columns of INSERT");
  idx_t open = at_;
  ExpectSymbol("(", "after VALUES");
  idx_t close = rewriter_.Closing(open, list_.tokens.size() - 1);
  auto values = rewriter_.SplitArguments(at_, close);
  if (columns.empty()) {  // All columns, by position: the session knows their names.
    columns.resize(values.size());
  } else if (columns.size() != values.size()) {
    at_ = columns_at;
    Fail(fmt::format("{} columns are named here, but {} values follow", columns.size(),
                     values.size()));
  }
  for (idx_t i = 0; i < values.size(); i++) {
    clause.assignments.push_back(
        {columns[i], rewriter_.Rewrite(values[i].first, values[i].second)});
  }
  at_ = close + 1;
}

}  // namespace millrace
