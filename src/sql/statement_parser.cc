// Statements other than CREATE TABLE and CREATE VIEW (ddl_parser.cc).
#include "sql/statement_parser.h"

#include <algorithm>
#include <set>

#include "base/error.h"

namespace millrace {

namespace {

const std::vector<std::string> kFirstWords = {
    "CREATE",   "DROP",    "USE",    "SHOW",   "DESCRIBE", "DESC",   "INSERT",  "EXECUTE",
    "BEGIN",    "EXPLAIN", "SET",    "RESET",  "STOP",     "SELECT", "VALUES",  "WITH",
    "FROM",     "TABLE",   "UPDATE", "DELETE", "TRUNCATE", "CALL",   "ALTER",   "COMMIT",
    "ROLLBACK", "START",   "CANCEL", "VERIFY", "ANALYZE",  "MERGE",  "REPLACE", "CHECK"};

const std::set<std::string, std::less<>> kOnlyDuckDb = {
    "PRAGMA", "COPY",       "ATTACH",    "DETACH", "INSTALL", "LOAD",    "EXPORT",     "IMPORT",
    "VACUUM", "CHECKPOINT", "SUMMARIZE", "PIVOT",  "UNPIVOT", "PREPARE", "DEALLOCATE", "FORCE"};

std::vector<std::string_view> Words(std::string_view words) {
  std::vector<std::string_view> out;
  while (!words.empty()) {
    idx_t space = std::min(words.find(' '), words.size());
    out.push_back(words.substr(0, space));
    words.remove_prefix(std::min(space + 1, words.size()));
  }
  return out;
}

}  // namespace

StatementParser::StatementParser(const StatementText& text)
    : text_(text.text),
      list_(Tokenize(text_, text.position)),
      rewriter_(list_),
      position_(text.position) {
  if (!list_.unterminated.empty()) {
    ThrowSyntax(list_.unterminated_at, std::string_view(text_).substr(0, 0),
                "this " + list_.unterminated + " is never closed");
  }
  // The ';' that ends the statement is no part of it.
  while (list_.tokens.size() > 1 && list_.tokens[list_.tokens.size() - 2].IsSymbol(";")) {
    bool set = IsNext("BEGIN STATEMENT");
    if (set) break;
    list_.tokens.erase(list_.tokens.end() - 2);
  }
}

Statement StatementParser::Parse() {
  Statement statement;
  statement.position = Peek().position;
  statement.text = std::string(list_.Slice(0, list_.tokens.size() - 1));
  statement.body = Body();
  return statement;
}

// ----------------------------------------------------------------------------------------------
// Tokens

const Token& StatementParser::Peek(idx_t ahead) const {
  return list_.tokens[std::min<idx_t>(at_ + ahead, list_.tokens.size() - 1)];
}

bool StatementParser::IsNext(std::string_view words) const {
  idx_t ahead = 0;
  for (std::string_view word : Words(words)) {
    if (!Peek(ahead++).IsWord(word)) return false;
  }
  return true;
}

bool StatementParser::Accept(std::string_view words) {
  if (!IsNext(words)) return false;
  at_ += Words(words).size();
  return true;
}

void StatementParser::Expect(std::string_view words, const std::string& context) {
  for (std::string_view word : Words(words)) {
    if (!Accept(word)) Fail(fmt::format("expected {} {}", words, context));
  }
}

bool StatementParser::AcceptSymbol(std::string_view symbol) {
  if (!Peek().IsSymbol(symbol)) return false;
  at_++;
  return true;
}

void StatementParser::ExpectSymbol(std::string_view symbol, const std::string& context) {
  if (!AcceptSymbol(symbol)) Fail(fmt::format("expected '{}' {}", symbol, context));
}

void StatementParser::Fail(const std::string& expectation) const {
  ThrowSyntaxAt(list_, std::min<idx_t>(at_, list_.tokens.size() - 1), expectation);
}

void StatementParser::FailUnsupported(const std::string& what) const {
  const Token& token = Peek();
  Throw(ErrorCode::kUnsupported, "line {}, column {}, near '{}': {}", token.position.line,
        token.position.column, list_.source.substr(token.begin, token.end - token.begin), what);
}

std::string StatementParser::Name(const std::string& what) {
  if (!Peek().IsName()) Fail("expected " + what);
  if (Peek().kind == TokenKind::kQuotedName && Peek().value.empty()) Fail("a name cannot be empty");
  return list_.Name(at_++);
}

QualifiedName StatementParser::Path(const std::string& what) {
  QualifiedName path{Name(what)};
  while (AcceptSymbol(".")) {
    if (path.size() == 3) Fail("a name has at most three parts: catalog.database.name");
    path.push_back(Name("a name after '.'"));
  }
  return path;
}

std::string StatementParser::String(const std::string& what) {
  if (Peek().kind != TokenKind::kString) Fail("expected " + what + " in single quotes");
  return list_.tokens[at_++].value;
}

std::vector<std::string> StatementParser::NameList(const std::string& what) {
  std::vector<std::string> names;
  ExpectSymbol("(", "before " + what);
  do {
    names.push_back(Name(what));
  } while (AcceptSymbol(","));
  ExpectSymbol(")", "after " + what);
  return names;
}

Options StatementParser::OptionList(const std::string& context) {
  Options options;
  ExpectSymbol("(", context);
  if (AcceptSymbol(")")) return options;
  do {
    idx_t key_at = at_;
    std::string key = String("an option");
    ExpectSymbol("=", "after the option '" + key + "'");
    if (options.contains(key))
      ThrowSyntaxAt(list_, key_at, "the option '" + key + "' is given twice");
    options[key] = String("the value of '" + key + "'");
  } while (AcceptSymbol(","));
  ExpectSymbol(")", "or ',' after an option");
  return options;
}

bool StatementParser::IfNotExists() {
  return Accept("IF NOT EXISTS");
}

std::string StatementParser::Comment() {
  return Accept("COMMENT") ? String("a comment") : "";
}

void StatementParser::End(const std::string& after) {
  if (!AtEnd()) Fail("expected the end of the statement after " + after);
}

bool StatementParser::StartsQuery(idx_t ahead) const {
  while (Peek(ahead).IsSymbol("(")) ahead++;
  static constexpr std::string_view kStarts[] = {"SELECT", "VALUES", "WITH", "FROM", "TABLE"};
  return std::any_of(std::begin(kStarts), std::end(kStarts),
                     [&](std::string_view word) { return Peek(ahead).IsWord(word); });
}

QueryText StatementParser::RestAsQuery() {
  if (!StartsQuery()) Fail("expected a query: SELECT, VALUES or WITH");
  idx_t last = list_.tokens.size() - 1;
  for (idx_t i = at_; i < last; i++) {
    if (list_.tokens[i].IsSymbol("(")) {
      i = rewriter_.Closing(i, last);
      continue;
    }
    if (list_.tokens[i].IsSymbol(";") || list_.tokens[i].IsSymbol(")")) {
      ThrowSyntaxAt(list_, i, "expected the end of the query");
    }
  }
  QueryText query{rewriter_.Rewrite(at_, last)};
  at_ = last;
  return query;
}

// The select list of the query that starts here.
std::vector<SelectItem> StatementParser::SelectItems() const {
  const auto& tokens = list_.tokens;
  idx_t last = tokens.size() - 1;
  idx_t first = Peek().IsWord("WITH") ? rewriter_.FindWord(at_, last, "SELECT") : at_;
  if (first == last || !tokens[first].IsWord("SELECT")) return {};
  first++;
  while (tokens[first].kind == TokenKind::kHint || tokens[first].IsWord("ALL") ||
         tokens[first].IsWord("DISTINCT")) {
    first++;
  }
  if (tokens[first].IsWord("ON")) return {};  // DuckDB's DISTINCT ON (..).
  idx_t end = last;
  for (const char* word : {"WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "FETCH",
                           "WINDOW", "QUALIFY", "UNION", "EXCEPT", "INTERSECT", "MINUS"}) {
    end = std::min(end, rewriter_.FindWord(first, end, word));
  }
  for (idx_t from = first; from < end;) {  // But not that of IS DISTINCT FROM.
    from = rewriter_.FindWord(from, end, "FROM");
    if (from < end && !tokens[from - 1].IsWord("DISTINCT")) end = from;
    from++;
  }
  std::vector<SelectItem> items;
  for (auto [begin, stop] : rewriter_.SplitArguments(first, end)) {
    if (begin == stop) continue;  // DuckDB lets a list end with a comma.
    bool star = tokens[begin].IsSymbol("*") || tokens[stop - 1].IsSymbol("*");
    if (star) return {};
    SelectItem item;
    for (idx_t i = begin; i < stop; i++) {
      if (i > begin && tokens[i].begin > tokens[i - 1].end) item.text += ' ';
      item.text += list_.source.substr(tokens[i].begin, tokens[i].end - tokens[i].begin);
    }
    if (tokens[stop - 1].IsName()) item.last_name = list_.Name(stop - 1);
    items.push_back(std::move(item));
  }
  return items;
}

Query StatementParser::QueryStatement() {
  Query query;
  query.items = SelectItems();
  query.query = RestAsQuery();
  return query;
}

// ------------------------------------------------------------------------------------------
// Statements

StatementBody StatementParser::Body() {
  if (AtEnd()) Fail("expected a statement");
  if (StartsQuery()) return QueryStatement();
  if (Accept("CREATE")) return Create();
  if (IsNext("REPLACE TABLE")) {
    at_ += 2;
    StatementBody body = CreateTableStatement(false, true);
    std::get<CreateTable>(body).must_exist = true;
    return body;
  }
  if (Accept("DROP")) return DropStatement();
  if (Accept("USE")) return UseStatement();
  if (Accept("SHOW")) return ShowStatement();
  if (Accept("DESCRIBE") || Accept("DESC")) return DescribeStatement();
  if (Accept("INSERT")) return InsertStatement(false);
  if (Accept("EXECUTE STATEMENT SET")) return StatementSetBody(false);
  if (Accept("BEGIN STATEMENT SET")) return StatementSetBody(true);
  if (Accept("EXECUTE INSERT")) return InsertStatement(false);
  if (IsNext("EXECUTE SELECT")) {
    at_++;
    return QueryStatement();
  }
  if (Accept("EXPLAIN")) return ExplainStatement();
  if (Accept("SET")) return SetStatement();
  if (Accept("RESET")) return ResetStatement();
  if (Accept("STOP") || Accept("CANCEL")) return StopStatement();
  if (Accept("CHECK")) return CheckStatement();
  if (Accept("VERIFY")) return VerifyStatement();
  if (Accept("ANALYZE")) return AnalyzeStatement();
  if (Accept("CALL")) return CallStatement();
  if (auto tag = AlterTagStatement()) return std::move(*tag);
  if (Accept("ALTER")) return AlterStatement();
  if (Accept("DELETE")) return DeleteStatement();
  if (Accept("UPDATE")) return UpdateStatement();
  if (Accept("MERGE")) return MergeStatement();
  if (Accept("TRUNCATE")) return TruncateStatement();
  for (const char* word : {"COMMIT", "ROLLBACK"}) {
    if (IsNext(word)) return HandOver();
  }
  if (IsNext("BEGIN") || IsNext("START TRANSACTION")) return HandOver();
  UnknownStatement();
}

void StatementParser::UnknownStatement() const {
  const Token& token = Peek();
  if (token.kind == TokenKind::kWord && kOnlyDuckDb.contains(token.value)) {
    Fail(
        fmt::format("{} is a statement of DuckDB's, not of Flink SQL; for DuckDB's parser: "
                    "SET 'table.sql-dialect' = 'duckdb'",
                    token.value));
  }
  if (std::find(kFirstWords.begin(), kFirstWords.end(), token.value) != kFirstWords.end()) {
    Fail(fmt::format("this form of {} is not supported", token.value));
  }
  std::string hint = token.IsName() ? DidYouMean(token.value, kFirstWords) : "";
  Fail("no statement starts like this" + hint);
}

StatementBody StatementParser::HandOver() {
  DuckStatement statement{rewriter_.Rewrite(at_, list_.tokens.size() - 1)};
  at_ = list_.tokens.size() - 1;
  return statement;
}

StatementBody StatementParser::DropStatement() {
  Drop drop;
  drop.temporary = Accept("TEMPORARY");
  if (Accept("CATALOG"))
    drop.kind = ObjectKind::kCatalog;
  else if (Accept("DATABASE"))
    drop.kind = ObjectKind::kDatabase;
  else if (Accept("TABLE"))
    drop.kind = ObjectKind::kTable;
  else if (Accept("VIEW"))
    drop.kind = ObjectKind::kView;
  else
    Fail("expected CATALOG, DATABASE, TABLE or VIEW after DROP");
  drop.if_exists = Accept("IF EXISTS");
  drop.name = Path("the name to drop");
  drop.cascade = Accept("CASCADE");
  if (!drop.cascade) (void)Accept("RESTRICT");
  End("DROP");
  return drop;
}

StatementBody StatementParser::UseStatement() {
  Use use;
  use.catalog = Accept("CATALOG");
  if (!use.catalog && IsNext("MODULES")) FailUnsupported("modules are not supported");
  use.name = Path(use.catalog ? "the name of a catalog" : "the name of a database");
  End("USE");
  return use;
}

StatementBody StatementParser::ShowStatement() {
  struct Form {
    const char* words;
    ShowWhat what;
    bool list;  // Takes FROM and LIKE.
  };
  static constexpr Form kForms[] = {
      {"CURRENT CATALOG", ShowWhat::kCurrentCatalog, false},
      {"CURRENT DATABASE", ShowWhat::kCurrentDatabase, false},
      {"CREATE TABLE", ShowWhat::kCreateTable, false},
      {"CREATE VIEW", ShowWhat::kCreateView, false},
      {"CATALOGS", ShowWhat::kCatalogs, true},
      {"DATABASES", ShowWhat::kDatabases, true},
      {"TABLES", ShowWhat::kTables, true},
      {"VIEWS", ShowWhat::kViews, true},
      {"USER FUNCTIONS", ShowWhat::kFunctions, true},
      {"FUNCTIONS", ShowWhat::kFunctions, true},
      {"JOBS", ShowWhat::kJobs, false},
      {"PROCEDURES", ShowWhat::kProcedures, true},
      {"TAGS", ShowWhat::kTags, false},
  };
  if (Accept("COLUMNS")) {
    if (!Accept("FROM")) Expect("IN", "or FROM after SHOW COLUMNS");
    Describe describe{Path("the name of a table")};
    End("SHOW COLUMNS");
    return describe;
  }
  if (Accept("CHECKPOINTS OF JOB")) {
    Show show{ShowWhat::kCheckpoints, {String("the name or the id of a job")}, {}};
    End("SHOW CHECKPOINTS");
    return show;
  }
  for (const Form& form : kForms) {
    if (!Accept(form.words)) continue;
    Show show{form.what, {}, {}};
    if (form.what == ShowWhat::kCreateTable || form.what == ShowWhat::kCreateView ||
        form.what == ShowWhat::kTags) {
      show.name = Path("a name");
    }
    if (form.list && (Accept("FROM") || Accept("IN"))) show.name = Path("the name of a database");
    if (form.list && IsNext("NOT LIKE"))
      FailUnsupported("SHOW ... NOT LIKE is not supported; use LIKE");
    if (form.list && Accept("LIKE")) show.like = String("a pattern");
    End("SHOW");
    return show;
  }
  Fail(
      "expected CATALOGS, DATABASES, TABLES, VIEWS, FUNCTIONS, JOBS, CHECKPOINTS OF JOB, "
      "PROCEDURES, TAGS, COLUMNS, CURRENT CATALOG, "
      "CURRENT DATABASE, "
      "CREATE TABLE or CREATE VIEW after SHOW" +
      (Peek().IsName() ? DidYouMean(Peek().value,
                                    {"CATALOGS", "DATABASES", "TABLES", "VIEWS", "FUNCTIONS",
                                     "JOBS", "CHECKPOINTS OF JOB", "COLUMNS", "CURRENT", "CREATE"})
                       : ""));
}

StatementBody StatementParser::DescribeStatement() {
  if (StartsQuery()) {
    DuckStatement statement{"DESCRIBE " + RestAsQuery().duck_sql};
    return statement;
  }
  (void)Accept("EXTENDED");
  Describe describe{Path("the name of a table or view")};
  End("DESCRIBE");
  return describe;
}

Insert StatementParser::InsertStatement(bool inside_set) {
  idx_t first = at_ - 1;
  Insert insert;
  insert.overwrite = Accept("OVERWRITE");
  if (!insert.overwrite)
    Expect("INTO", "or OVERWRITE after INSERT");
  else
    (void)Accept("INTO");
  insert.target = Path("the name of a table");
  while (Peek().kind == TokenKind::kHint) {
    if (auto options = rewriter_.HintOptions(at_))
      insert.hint.insert(options->begin(), options->end());
    at_++;
  }
  if (Accept("PARTITION")) insert.static_partition = PartitionValues();
  if (Peek().IsSymbol("(") && !StartsQuery()) insert.columns = NameList("the name of a column");
  if (!StartsQuery()) Fail("expected a query: SELECT, VALUES or WITH");
  if (!inside_set) {
    insert.query = RestAsQuery();
  } else {
    idx_t last = at_;
    while (list_.tokens[last].kind != TokenKind::kEnd && !list_.tokens[last].IsSymbol(";")) last++;
    insert.query.duck_sql = rewriter_.Rewrite(at_, last);
    at_ = last;
  }
  insert.original = std::string(list_.Slice(first, at_));
  return insert;
}

StatementSet StatementParser::StatementSetBody(bool begin_first) {
  if (begin_first)
    ExpectSymbol(";", "after BEGIN STATEMENT SET");
  else
    Expect("BEGIN", "after STATEMENT SET");
  StatementSet set;
  while (!Accept("END")) {
    if (AcceptSymbol(";")) continue;
    if (!Accept("INSERT")) Fail("expected INSERT or END in a statement set");
    set.inserts.push_back(InsertStatement(true));
    if (!AcceptSymbol(";") && !IsNext("END"))
      Fail("expected ';' after an INSERT of a statement set");
  }
  while (AcceptSymbol(";")) continue;
  End("END of the statement set");
  if (set.inserts.empty()) Fail("a statement set needs at least one INSERT");
  return set;
}

StatementBody StatementParser::ExplainStatement() {
  Explain explain;
  auto detail = [&] {
    for (const char* word :
         {"ESTIMATED_COST", "CHANGELOG_MODE", "JSON_EXECUTION_PLAN", "PLAN_ADVICE"}) {
      if (Accept(word)) {
        explain.kind += (explain.kind.empty() ? "" : ", ") + std::string(word);
        return true;
      }
    }
    return false;
  };
  if (Accept("PLAN FOR"))
    explain.kind = "PLAN FOR";
  else if (Accept("ANALYZE"))
    explain.kind = "ANALYZE";
  else if (detail()) {
    while (AcceptSymbol(",")) {
      if (!detail())
        Fail("expected ESTIMATED_COST, CHANGELOG_MODE, PLAN_ADVICE or JSON_EXECUTION_PLAN");
    }
  }
  if (explain.kind == "ANALYZE" && Accept("JOB")) {
    explain.job = String("the name or the id of a job");
    End("EXPLAIN ANALYZE JOB");
    return explain;
  }
  bool execute = Accept("EXECUTE");
  if (Accept("STATEMENT SET")) {
    explain.inserts = StatementSetBody(false).inserts;
  } else if (Accept("INSERT")) {
    explain.inserts.push_back(InsertStatement(false));
  } else if (StartsQuery() && !execute) {
    explain.query = RestAsQuery();
  } else {
    Fail("expected a query, an INSERT or STATEMENT SET after EXPLAIN");
  }
  return explain;
}

// SET; SET 'k' = 'v'; SET k.with-dashes = some text.
StatementBody StatementParser::SetStatement() {
  Set set;
  if (AtEnd()) return set;
  idx_t first = at_;
  while (!AtEnd() && !Peek().IsSymbol("=")) at_++;
  if (AtEnd()) {
    at_ = first;
    Fail("expected SET 'key' = 'value'");
  }
  auto text = [&](idx_t from, idx_t to) {
    if (to == from + 1 && list_.tokens[from].kind == TokenKind::kString)
      return list_.tokens[from].value;
    return std::string(list_.Slice(from, to));
  };
  idx_t last = list_.tokens.size() - 1;
  set.key = text(first, at_);
  if (set.key->empty()) Fail("expected a key before '='");
  if (at_ + 1 == last) {
    at_ = last;
    Fail("expected a value after '='; '' is the empty one");
  }
  set.value = text(at_ + 1, last);
  at_ = last;
  return set;
}

StatementBody StatementParser::ResetStatement() {
  Reset reset;
  if (AtEnd()) return reset;
  idx_t last = list_.tokens.size() - 1;
  if (Peek().kind == TokenKind::kString) {
    reset.key = String("a key");
    End("RESET");
  } else {
    reset.key = std::string(list_.Slice(at_, last));
    at_ = last;
  }
  return reset;
}

StatementBody StatementParser::StopStatement() {
  Expect("JOB", "after STOP");
  StopJob stop{String("the id of the job")};
  Accept("WITH SAVEPOINT");  // A job always leaves its last checkpoint.
  stop.drain = Accept("WITH DRAIN");
  End("STOP JOB");
  return stop;
}

Statement ParseStatement(const StatementText& text) {
  return StatementParser(text).Parse();
}

}  // namespace millrace
