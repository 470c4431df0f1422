// Goal: scripts run in order, stop at the first error with its place, and show what they should.
// Method: a scripted session in place of the real one; stdout through a pipe, stderr captured.
#include "app/statement_runner.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <csignal>

#include <iostream>
#include <sstream>

#include "app/command_line.h"
#include "app/live_table.h"

namespace millrace {

namespace {

class FakeRows : public ResultStream {
 public:
  FakeRows(duckdb::vector<std::string> names, std::vector<std::string> rows)
      : names_(std::move(names)), rows_(std::move(rows)) {}
  const duckdb::vector<std::string>& Names() const override { return names_; }
  const duckdb::vector<LogicalType>& Types() const override { return types_; }
  bool IsChangelog() const override { return false; }
  FetchStatus Fetch(ChangeChunk& chunk, int64_t) override {
    if (done_) return FetchStatus::kEnd;
    done_ = true;
    for (idx_t i = 0; i < rows_.size(); i++) chunk.rows.SetValue(0, i, Value(rows_[i]));
    chunk.rows.SetCardinality(rows_.size());
    return FetchStatus::kRows;
  }
  void Cancel() override {}

 private:
  duckdb::vector<std::string> names_;
  duckdb::vector<LogicalType> types_{LogicalType::VARCHAR};
  std::vector<std::string> rows_;
  bool done_ = false;
};

// "query x": a row x. "show x": describing row. "fail m": an error m. Others: done.
class FakeSession : public Session {
 public:
  StatementResult Execute(const StatementText& statement) override {
    executed.push_back(statement.text);
    StatementResult result;
    auto rest = [&](const char* word) -> std::optional<std::string> {
      std::string prefix = std::string(word) + " ";
      if (statement.text.rfind(prefix, 0) != 0) return std::nullopt;
      return statement.text.substr(prefix.size());
    };
    if (auto message = rest("fail")) throw Error(ErrorCode::kSyntax, *message);
    if (auto row = rest("query")) {
      result.kind = ResultKind::kQuery;
      result.rows = std::make_unique<FakeRows>(duckdb::vector<std::string>{"x"},
                                               std::vector<std::string>{*row});
    } else if (auto row = rest("show")) {
      result.kind = ResultKind::kRows;
      result.rows = std::make_unique<FakeRows>(duckdb::vector<std::string>{"result"},
                                               std::vector<std::string>{*row});
    } else {
      result.message = "done";
    }
    return result;
  }
  void Cancel() override {}
  Progress CurrentProgress() override { return {}; }
  std::string Setting(const std::string&) const override { return ""; }
  void WaitForJobs() override {}
  void CancelJobs() override { jobs_cancelled = true; }
  void FailScript(const Error& error) override { failure = error.text(); }
  void SettleForTest() override {}
  void CheckpointForTest() override {}
  void CrashForTest() override {}

  std::vector<std::string> executed;
  bool jobs_cancelled = false;
  std::string failure;
};

struct Ran {
  bool good;
  std::string out, err;
};

Ran RunScript(FakeSession& session, OutputFormat format, const std::string& script) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  Ran ran;
  std::ostringstream err;
  std::streambuf* before = std::cerr.rdbuf(err.rdbuf());
  {
    Output output(ends[1]);
    ProgressLine progress([] { return Progress{}; });
    StatementRunner runner(session, output, progress, {.format = format});
    ran.good = runner.RunScript("s.sql", script);
  }
  std::cerr.rdbuf(before);
  close(ends[1]);
  char buffer[4096];
  for (ssize_t n; (n = read(ends[0], buffer, sizeof(buffer))) > 0;) ran.out.append(buffer, n);
  close(ends[0]);
  ran.err = err.str();
  return ran;
}

}  // namespace

TEST_CASE("A script stops at the first error and shows its place") {
  FakeSession session;
  Ran ran = RunScript(session, OutputFormat::kCsv,
                      "query a;\n\n  fail Table 't' does not exist;\nquery b;");
  CHECK_FALSE(ran.good);
  CHECK(session.executed.size() == 2);
  CHECK(ran.out == "x\na\n");
  CHECK(ran.err ==
        "s.sql:3:3: Table 't' does not exist\n    fail Table 't' does not exist;\n    ^\n");
}

TEST_CASE("A position inside an error's text is where the caret goes") {
  Error error(ErrorCode::kSyntax, "line 2, column 4, near 'x': expected FROM");
  CHECK(DescribeError(error, "f", "a\n\té x", {1, 1}) ==
        "f:2:4: near 'x': expected FROM\n  \té x\n  \t  ^\n");
}

TEST_CASE("DuckDB's own excerpt becomes a place in the script") {
  Error error(ErrorCode::kNotFound, "Column \"nope\" was not found\n\nLINE 2: , nope\n          ^");
  CHECK(DescribeError(error, "f", "SELECT 1;\nSELECT 2\n  , nope", {2, 1}) ==
        "f:3:5: Column \"nope\" was not found\n    , nope\n      ^\n");
}

TEST_CASE("Of equal words the one under DuckDB's caret is meant") {
  std::string sql = "SELECT 1 SELECT 2";
  Error error(ErrorCode::kSyntax, "near \"SELECT\"\n\nLINE 1: " + sql + "\n                 ^");
  CHECK(DescribeError(error, "f", sql, {1, 1}) ==
        "f:1:10: near \"SELECT\"\n  SELECT 1 SELECT 2\n           ^\n");
}

TEST_CASE("Of a long line the part around the place is shown") {
  std::string line(400, 'a');
  line += "é!";
  line.append(400, 'b');
  std::string text = DescribeError(Error(ErrorCode::kSyntax, "no"), "f", line, {1, 402});
  size_t second = text.find('\n') + 1, third = text.find('\n', second) + 1;
  std::string shown = text.substr(second, third - second - 1), caret = text.substr(third);
  CHECK(shown.starts_with("  ... aaa"));
  CHECK(shown.ends_with("bbb ..."));
  CHECK(shown.size() < 140);
  // One character of two bytes stands before the caret.
  CHECK(shown.at(caret.find('^') + 1) == '!');
  text = DescribeError(Error(ErrorCode::kSyntax, "no"), "f", line, {1, 1});
  CHECK(text.find("\n  aaa") != std::string::npos);
  CHECK(text.ends_with("\n  ^\n"));
}

TEST_CASE("Of many candidates a few are shown") {
  std::string message = "No function matches\n\tCandidate functions:";
  for (int i = 0; i < 20; i++) message += fmt::format("\n\t+(T{}) -> T", i);
  for (const char* end : {"", "\n"}) {
    std::string text =
        DescribeError(Error(ErrorCode::kInvalid, message + end), "s", "SELECT 1", {1, 1});
    CHECK(text.find("+(T5)") != std::string::npos);
    CHECK(text.find("\n\t...") != std::string::npos);
    CHECK(text.find("+(T6)") == std::string::npos);
    CHECK(text.find("SELECT 1") != std::string::npos);
  }
}

TEST_CASE("CSV and JSON show query results only, tables everything") {
  FakeSession session;
  std::string script = "create it; show tables; query a;";
  CHECK(RunScript(session, OutputFormat::kCsv, script).out == "x\na\n");
  CHECK(RunScript(session, OutputFormat::kJson, script).out == "{\"x\":\"a\"}\n");
  std::string table = RunScript(session, OutputFormat::kTable, script).out;
  CHECK(table.find("done\n") == 0);
  CHECK(table.find("| tables |") != std::string::npos);
}

TEST_CASE("Texts with lines of their own come without a frame") {
  FakeSession session;
  CHECK(RunScript(session, OutputFormat::kTable, "show a\nb;").out == "a\nb\n");
}

TEST_CASE("When the reader leaves, output stops and the owner is told once") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  close(ends[0]);
  signal(SIGPIPE, SIG_IGN);
  Output output(ends[1]);
  int told = 0;
  output.OnClosed([&] { told++; });
  output.stream() << "a";
  output.stream() << "b";
  CHECK(output.closed());
  CHECK(told == 1);
  close(ends[1]);
}

TEST_CASE("A full disk is no reader who has left") {
  FILE* full = fopen("/dev/full", "w");
  REQUIRE(full);
  Output output(fileno(full));
  output.stream() << "a";
  CHECK(output.closed());
  CHECK(output.failure() == ENOSPC);
  fclose(full);
}

TEST_CASE("Memory sizes are understood with and without units") {
  CHECK(ParseMemorySize("4GB") == 4'000'000'000);
  CHECK(ParseMemorySize("1.5 GiB") == 1'610'612'736);
  CHECK(ParseMemorySize("1000") == 1000);
  CHECK_FALSE(ParseMemorySize("4 parsecs"));
  CHECK_FALSE(ParseMemorySize(""));
}

TEST_CASE("Progress groups digits and fits its width") {
  Progress progress{.rows_in = 1234567,
                    .rows_out = 42,
                    .lag_ms = 120,
                    .rows_per_second = 250000,
                    .what = "job-1"};
  CHECK(ProgressText(progress, 0) ==
        "job-1: 1,234,567 rows in, 42 rows out, 250,000 rows/s, lag 120 ms");
  CHECK(ProgressText(progress, 20).size() == 19);
}

TEST_CASE("A live table shows the fold of its changes") {
  std::ostringstream out;
  LiveTable table({"k", "n"}, {LogicalType::VARCHAR, LogicalType::INTEGER}, out);
  ChangeChunk chunk;
  chunk.Initialize({LogicalType::VARCHAR, LogicalType::INTEGER});
  auto change = [&](RowKind kind, const char* key, int n) {
    chunk.Reset();
    chunk.rows.SetValue(0, 0, Value(key));
    chunk.rows.SetValue(1, 0, Value::INTEGER(n));
    chunk.rows.SetCardinality(1);
    chunk.kinds = {kind};
    table.Apply(chunk);
  };
  change(RowKind::kInsert, "a", 1);
  change(RowKind::kUpdateBefore, "a", 1);
  change(RowKind::kUpdateAfter, "a", 2);
  change(RowKind::kInsert, "b", 5);
  change(RowKind::kDelete, "b", 5);
  table.Draw(80, 0);
  CHECK(table.RowCount() == 1);
  CHECK(out.str() == "+---+---+\n| k | n |\n+---+---+\n| a | 2 |\n+---+---+\n1 row\n");
  out.str("");
  table.Draw(80, 0);
  CHECK(out.str().rfind("\x1b[6A\r\x1b[J", 0) == 0);  // Six lines up: the drawing before.
}

}  // namespace millrace
