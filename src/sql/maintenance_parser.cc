// Statements that look after tables: CHECK VIEW, VERIFY TABLE, ANALYZE TABLE, CALL, tags.
#include "sql/statement_parser.h"

namespace millrace {

StatementBody StatementParser::CheckStatement() {
  Expect("VIEW", "after CHECK");
  CheckView check{Path("the name of a table that a job keeps up to date")};
  End("CHECK VIEW");
  return check;
}

StatementBody StatementParser::VerifyStatement() {
  Expect("TABLE", "after VERIFY");
  Verify verify{Path("the name of a table"), false};
  verify.full = Accept("FULL");
  End("VERIFY TABLE");
  return verify;
}

StatementBody StatementParser::AnalyzeStatement() {
  Expect("TABLE", "after ANALYZE");
  Analyze analyze{Path("the name of a table"), {}, false};
  if (IsNext("PARTITION")) {
    FailUnsupported("statistics are of the whole table; leave PARTITION out");
  }
  Expect("COMPUTE STATISTICS", "after the table");
  if (Accept("FOR ALL COLUMNS")) {
    analyze.all_columns = true;
  } else if (Accept("FOR COLUMNS")) {
    do {
      analyze.columns.push_back(Name("the name of a column"));
    } while (AcceptSymbol(","));
  }
  End("COMPUTE STATISTICS");
  return analyze;
}

// CALL [catalog.]sys.name(value, ...) or (name => value, ...)
StatementBody StatementParser::CallStatement() {
  Call call{Path("the name of a procedure, as sys.compact"), {}};
  ExpectSymbol("(", "after the procedure");
  idx_t last = rewriter_.Closing(at_ - 1, list_.tokens.size());
  for (auto [first, end] : rewriter_.SplitArguments(at_, last)) {
    Call::Argument argument;
    at_ = first;
    if (Peek().IsName() && Peek(1).IsSymbol("=>")) {
      argument.name = list_.Name(first);
      first += 2;
    }
    at_ = first;
    if (first >= end) Fail("expected the value of an argument");
    argument.duck_sql = rewriter_.Rewrite(first, end);
    call.arguments.push_back(std::move(argument));
  }
  at_ = last + 1;
  End("CALL");
  return call;
}

// ALTER TABLE t CREATE [OR REPLACE] TAG [IF NOT EXISTS] name [AS OF VERSION n] [RETAIN n DAYS],
// REPLACE TAG, RENAME TAG a TO b, DELETE TAG [IF EXISTS] a: Spark's forms. nullopt: another ALTER.
std::optional<StatementBody> StatementParser::AlterTagStatement() {
  idx_t start = at_;
  auto other = [&]() -> std::optional<StatementBody> {
    at_ = start;
    return std::nullopt;
  };
  if (!Accept("ALTER TABLE") || !Peek().IsName()) return other();
  AlterTag alter;
  alter.table = Path("the name of a table");
  if (Accept("CREATE OR REPLACE TAG")) {
    alter.action = AlterTag::Action::kCreateOrReplace;
  } else if (Accept("CREATE TAG")) {
    alter.action = AlterTag::Action::kCreate;
    alter.lenient = IfNotExists();
  } else if (Accept("REPLACE TAG")) {
    alter.action = AlterTag::Action::kReplace;
  } else if (Accept("RENAME TAG")) {
    alter.action = AlterTag::Action::kRename;
  } else if (Accept("DELETE TAG") || Accept("DROP TAG")) {
    alter.action = AlterTag::Action::kDelete;
    alter.lenient = Accept("IF EXISTS");
  } else {
    return other();
  }
  alter.tag = TagName();
  if (alter.action == AlterTag::Action::kRename) {
    Expect("TO", "after the tag");
    alter.new_name = TagName();
  }
  bool makes =
      alter.action != AlterTag::Action::kRename && alter.action != AlterTag::Action::kDelete;
  if (makes && Accept("AS OF VERSION")) alter.snapshot_id = WholeNumber("the id of a snapshot");
  if (makes && Accept("RETAIN")) {
    int64_t count = WholeNumber("a number of days, hours or minutes");
    constexpr std::pair<const char*, int64_t> kUnits[] = {
        {"DAYS", 86'400'000}, {"HOURS", 3'600'000}, {"MINUTES", 60'000}};
    for (const auto& [unit, ms] : kUnits) {
      if (!alter.retained_ms && Accept(unit)) alter.retained_ms = count * ms;
    }
    if (!alter.retained_ms) Fail("expected DAYS, HOURS or MINUTES");
  }
  End("the tag");
  return alter;
}

/// A name, or a text for names that are none in SQL.
std::string StatementParser::TagName() {
  if (Peek().kind == TokenKind::kString) return String("the name of a tag");
  return Name("the name of a tag");
}

int64_t StatementParser::WholeNumber(const std::string& what) {
  std::string text(list_.Slice(at_, at_ + 1));
  if (Peek().kind != TokenKind::kNumber ||
      text.find_first_not_of("0123456789") != std::string::npos || text.size() > 18) {
    Fail("expected " + what);
  }
  at_++;
  return std::stoll(text);
}

}  // namespace millrace
