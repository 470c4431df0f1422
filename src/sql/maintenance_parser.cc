// Statements that look after tables: VERIFY TABLE, ANALYZE TABLE.
#include "sql/statement_parser.h"

namespace millrace {

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

}  // namespace millrace
