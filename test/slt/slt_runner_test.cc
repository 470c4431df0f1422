// Goal: the runner passes what is right, fails what is wrong, and says where.
// Method: small files on disk, run against a session that knows only SET, "SELECT * FROM f" over
// the feed connector, and a few fixed statements; wrong expectations must fail with the right line.
#include "slt_runner.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>

#include "base/error.h"
#include "duckdb/main/database.hpp"
#include "io/clock.h"
#include "io/file_system.h"

namespace millrace {

namespace {

std::shared_ptr<TableDefinition> FeedTable() {
  auto definition = std::make_shared<TableDefinition>();
  definition->path = {"c", "d", "f"};
  definition->columns.resize(2);
  definition->columns[0].name = "k";
  definition->columns[0].type = ParseDataType("INT");
  definition->columns[1].name = "v";
  definition->columns[1].type = ParseDataType("STRING");
  definition->options = {{"connector", "feed"}};
  return definition;
}

// All rows of a feed table; in "broken" mode it loses deletes.
class FeedRows : public ResultStream {
 public:
  FeedRows(std::unique_ptr<Source> source, bool broken)
      : source_(std::move(source)), broken_(broken) {}
  const duckdb::vector<std::string>& Names() const override { return names_; }
  const duckdb::vector<LogicalType>& Types() const override { return types_; }
  bool IsChangelog() const override { return true; }
  FetchStatus Fetch(ChangeChunk& chunk, int64_t) override {
    if (ended_) return FetchStatus::kEnd;
    bool got = false;
    SourceStatus status = source_->Read({}, [&](idx_t, ChangeChunk& rows) {
      chunk.rows.Reference(rows.rows);
      chunk.kinds = rows.kinds;
      if (broken_) {
        for (RowKind& kind : chunk.kinds) kind = RowKind::kInsert;
      }
      got = rows.size() > 0;
    });
    ended_ = status == SourceStatus::kEnd;
    if (got) return FetchStatus::kRows;
    return ended_                          ? FetchStatus::kEnd
           : status == SourceStatus::kIdle ? FetchStatus::kNothing
                                           : Fetch(chunk, 0);
  }
  void Cancel() override {}

 private:
  std::unique_ptr<Source> source_;
  bool broken_, ended_ = false;
  duckdb::vector<std::string> names_{"k", "v"};
  duckdb::vector<LogicalType> types_{LogicalType::INTEGER, LogicalType::VARCHAR};
};

class FeedSession : public Session {
 public:
  FeedSession(ConnectorRegistry& connectors, bool broken)
      : connectors_(connectors), broken_(broken) {}
  StatementResult Execute(const StatementText& statement) override {
    StatementResult result;
    const std::string& sql = statement.text;
    if (sql.rfind("SET '", 0) == 0) {
      size_t end = sql.find('\'', 5), value = sql.find('\'', end + 1) + 1;
      settings_[sql.substr(5, end - 5)] = sql.substr(value, sql.find('\'', value) - value);
    } else if (sql == "SELECT * FROM f") {
      bool batch = settings_["execution.runtime-mode"] == "batch";
      auto files = MakeLocalFileSystem();
      auto clock = MakeSystemClock();
      Random random(1);
      Environment environment{*files, *clock, random, *database_.instance, "", std::cout};
      std::vector<SourceTable> tables{{FeedTable(), {0, 1}}};
      result.kind = ResultKind::kQuery;
      result.rows = std::make_unique<FeedRows>(
          connectors_.Get("feed").MakeSource(environment, tables, batch), broken_ && !batch);
    } else if (sql.rfind("CREATE", 0) != 0 && sql != "SHOW JOBS") {
      throw Error(ErrorCode::kNotFound, "Table 'nope' does not exist");
    }
    return result;
  }
  void Cancel() override {}
  Progress CurrentProgress() override { return {}; }
  std::string Setting(const std::string& key) const override {
    auto found = settings_.find(key);
    return found == settings_.end() ? "" : found->second;
  }
  void WaitForJobs() override {}
  void CancelJobs() override {}
  void FailScript(const Error&) override {}
  void SettleForTest() override {}
  void CheckpointForTest() override {}
  void CrashForTest() override {}

 private:
  ConnectorRegistry& connectors_;
  bool broken_;
  std::map<std::string, std::string> settings_;
  duckdb::DuckDB database_;
};

SltOutcome RunText(const std::string& text, bool broken = false) {
  namespace fs = std::filesystem;
  std::string folder = fs::temp_directory_path() / ("slt-runner-test-" + std::to_string(getpid()));
  fs::create_directories(folder);
  std::ofstream(folder + "/t.slt") << text;
  SltOptions options;
  options.scratch_folder = folder + "/scratch";
  options.register_connectors = [](ConnectorRegistry&) {};
  options.make_session = [&](ConnectorRegistry& connectors, const SessionOptions&) {
    return std::make_unique<FeedSession>(connectors, broken);
  };
  SltOutcome outcome = SltRunner(folder + "/t.slt", options).Run();
  fs::remove_all(folder);
  return outcome;
}

const std::string kFeed =
    "feed f\n+I | 2 | b\n+I | 1 | a a\n\nfeed f\n-D | 2 | b\n+I | 3 | NULL\n\n";

}  // namespace

TEST_CASE("Cells are split at bars that stand alone, and at tabs") {
  CHECK(SplitCells("1 | a b |") == TextRow{"1", "a b", ""});
  CHECK(SplitCells("a||b\tc") == TextRow{"a||b", "c"});
}

TEST_CASE("Changes fold to rows, and a row that left too often is named") {
  std::string problem;
  std::vector<ChangeRow> changes{{RowKind::kInsert, {"a"}},
                                 {RowKind::kInsert, {"a"}},
                                 {RowKind::kUpdateBefore, {"a"}},
                                 {RowKind::kUpdateAfter, {"b"}}};
  CHECK(Fold(changes, problem) == std::vector<TextRow>{{"a"}, {"b"}});
  CHECK(problem.empty());
  changes.push_back({RowKind::kDelete, {"c"}});
  Fold(changes, problem);
  CHECK(problem.find("the row 'c' left 1 time(s)") != std::string::npos);
  CHECK(SameRows({{"1.0", "x"}}, {{"1.0000000000001", "x"}}, "R?"));
  CHECK_FALSE(SameRows({{"1.0", "x"}}, {{"1.001", "x"}}, "R?"));
  CHECK_FALSE(SameRows({{"1.0", "x"}}, {{"1.0000000000001", "x"}}, "??"));
}

TEST_CASE("Statements and queries pass and fail as they should") {
  CHECK(RunText("statement ok\nCREATE f\n\nstatement error nope. does\nDROP x\n").failure == "");
  CHECK(RunText("\n\nstatement ok\nDROP x\n").failure.find("t.slt:3: Table 'nope'") !=
        std::string::npos);
  CHECK(RunText("statement error other\nDROP x\n").failure.find("the error is not /other/") !=
        std::string::npos);
  CHECK(RunText("statement error x\nCREATE f\n").failure.find("succeeded") != std::string::npos);
  std::string query = kFeed + "query IT rowsort\nSELECT * FROM f\n----\n";
  CHECK(RunText(query + "1 | a a\n3 | NULL\n").failure == "");
  std::string failure = RunText(query + "1 | a a\n4 | NULL\n").failure;
  CHECK(failure.find("t.slt:9: the rows differ") != std::string::npos);
  CHECK(failure.find("- 4 | NULL\n") != std::string::npos);
  CHECK(failure.find("+ 3 | NULL\n") != std::string::npos);
  CHECK(RunText("skipif millrace\nstatement ok\nDROP x\n").failure == "");
  CHECK(RunText("require moon\n\nstatement ok\nDROP x\n").skipped == "requires moon");
  CHECK(RunText("qwery I\n").failure.find("unknown directive 'qwery'") != std::string::npos);
  CHECK(RunText("statement ok\nCREATE ${NO}\n").failure.find("unknown variable") !=
        std::string::npos);
}

TEST_CASE("Streams show their changes and fold to the batch answer") {
  std::string text = "stream s\nSELECT * FROM f\n\n" + kFeed +
                     "changes s\n----\n+I | 2 | b\n+I | 1 | a a\n-D | 2 | b\n+I | 3 | NULL\n\n"
                     "same-as-batch s\n\nfeed f\n-D | 1 | a a\n\nchanges s\n----\n-D | 1 | a a\n\n"
                     "same-as-batch s\n";
  SltOutcome outcome = RunText(text);
  CHECK(outcome.failure == "");
  CHECK(outcome.checks == 4);
  CHECK(RunText(text, /*broken=*/true).failure.find("the changes differ") != std::string::npos);
  std::string only = "stream s\nSELECT * FROM f\n\n" + kFeed + "same-as-batch s\n";
  CHECK(RunText(only).failure == "");
  CHECK(RunText(only, /*broken=*/true).failure.find("differs from batch") != std::string::npos);
}

TEST_CASE("stream-check runs every query as a stream too") {
  std::string text =
      "# stream-check\n" + kFeed + "query IT rowsort\nSELECT * FROM f\n----\n1 | a a\n3 | NULL\n";
  CHECK(RunText(text).failure == "");
  CHECK(RunText(text, /*broken=*/true).failure.find("streaming differs from batch") !=
        std::string::npos);
}

TEST_CASE("Files are written, damaged and compared; new ones are no loss") {
  std::string begin = "file ${TMP}/x/a.txt\nhello\n\nremember ${TMP}/x\n\n";
  CHECK(RunText(begin + "file ${TMP}/x/b.txt\nmore\n\nuntouched ${TMP}/x\n").failure == "");
  for (std::string how : {"cut", "scribble", "delete"}) {
    SltOutcome outcome =
        RunText(begin + "damage " + how + " ${TMP}/x/*.txt\n\nuntouched ${TMP}/x\n");
    CHECK(outcome.failure.find(how == "delete" ? "a.txt is gone" : "a.txt was changed") !=
          std::string::npos);
  }
  CHECK(RunText("damage cut ${TMP}/none*\n").failure.find("no file matches") != std::string::npos);
}

TEST_CASE("After a crash a session must be restarted; streams begin anew") {
  std::string begin = "stream s\nSELECT * FROM f\n\n" + kFeed + "crash\n\n";
  CHECK(RunText(begin + "settle\n").failure.find("`restart` it first") != std::string::npos);
  CHECK(RunText(begin + "restart\n\nsame-as-batch s\n").failure == "");
}

}  // namespace millrace
