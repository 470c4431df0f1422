// Goal: the database shows whole steps only, each once, with the last change of every key.
// Method: random changes (seed printed) against a map; steps repeated by a new sink; the file read
// by a DuckDB of our own.
#include "sql/connect/jdbc/jdbc.h"

#include <doctest/doctest.h>

#include <thread>

#include <fstream>
#include <map>

#include "sql/connect/connector_fixture.h"

using namespace millrace;

namespace {

struct JdbcTest : TestEnvironment {
  JdbcTest() { RegisterJdbcConnector(registry); }
  ConnectorRegistry registry;

  std::string Path() const { return folder + "/report.db"; }
  TableDefinition Table(const std::string& columns, std::vector<std::string> key,
                        Options options = {}) {
    options.insert({"url", "jdbc:duckdb:" + Path()});
    options.insert({"table-name", "report"});
    TableDefinition table = TestTable("jdbc", columns, options);
    table.primary_key = std::move(key);
    return table;
  }
  std::unique_ptr<Sink> MakeSink(const TableDefinition& table) {
    registry.Check(table);
    return registry.Get("jdbc").MakeSink(environment, table, "job");
  }
  std::string Ask(const std::string& sql) {
    duckdb::DuckDB database(Path());
    duckdb::Connection connection(database);
    auto result = connection.Query(sql);
    if (result->HasError()) return result->GetError();
    std::string text;
    for (idx_t row = 0; row < result->RowCount(); row++) {
      for (idx_t i = 0; i < result->ColumnCount(); i++)
        text += (i ? "," : "") + result->GetValue(i, row).ToString();
      text += ";";
    }
    return text;
  }
};

using Contents = std::map<int, std::string>;

/// A step's changes; applied to `contents` too.
std::unique_ptr<ChangeChunk> RandomStep(const TableDefinition& table, std::mt19937_64& random,
                                        Contents& contents) {
  std::vector<std::string> rows;
  std::vector<RowKind> kinds;
  auto add = [&](RowKind kind, int key, const std::string& value) {
    rows.push_back(std::to_string(key) + ", '" + value + "'");
    kinds.push_back(kind);
  };
  for (int i = random() % 30 + 1; i > 0; i--) {
    int key = static_cast<int>(random() % 20);
    std::string value = std::to_string(random() % 1000) + ".50";
    auto old = contents.find(key);
    if (old == contents.end()) {
      add(RowKind::kInsert, key, value);
      contents[key] = value;
    } else if (random() % 2) {
      add(RowKind::kUpdateBefore, key, old->second);
      add(RowKind::kUpdateAfter, key, value);
      old->second = value;
    } else {
      add(RowKind::kDelete, key, old->second);
      contents.erase(old);
    }
  }
  auto chunk = MakeChunk(table, rows);
  chunk->kinds = kinds;
  return chunk;
}

std::string Expected(const Contents& contents) {
  std::string text;
  for (const auto& [key, value] : contents) text += std::to_string(key) + "," + value + ";";
  return text;
}

}  // namespace

TEST_CASE("Each step leaves the last change of every key, in own and in given tables") {
  auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (bool given : {false, true}) {
    CAPTURE(given);
    JdbcTest test;
    if (given)
      test.Ask("CREATE TABLE report (extra INTEGER DEFAULT 7, v DECIMAL(10, 2), id INTEGER)");
    TableDefinition table = test.Table("id INT, v DECIMAL(10, 2)", {"id"});
    auto sink = test.MakeSink(table);
    Contents contents;
    for (int step = 1; step <= 25; step++) {
      sink->Write(*RandomStep(table, random, contents));
      sink->EndStep(step);
      if (step % 5 == 0) {
        CHECK(sink->Prepare(step) == "");
        REQUIRE(test.Ask("SELECT id, v FROM report ORDER BY id") == Expected(contents));
      }
    }
  }
}

TEST_CASE("Steps that recovery replays are dropped; a step that was not applied is applied") {
  std::mt19937_64 random(3);
  JdbcTest test;
  TableDefinition table = test.Table("id INT, v DECIMAL(10, 2)", {"id"});
  Contents contents, after_two;
  std::vector<std::unique_ptr<ChangeChunk>> steps;
  for (int i = 0; i < 4; i++) {
    steps.push_back(RandomStep(table, random, contents));
    if (i == 1) after_two = contents;
  }
  {
    auto sink = test.MakeSink(table);
    CHECK_FALSE(sink->LastStep());
    for (int step = 1; step <= 2; step++) {
      sink->Write(*steps[step - 1]);
      sink->EndStep(step);
    }
    sink->Write(*steps[2]);  // Killed in the middle of step 3.
  }
  CHECK(test.Ask("SELECT id, v FROM report ORDER BY id") == Expected(after_two));
  auto sink = test.MakeSink(table);
  CHECK(sink->LastStep() == 2);
  for (int step = 2; step <= 4; step++) {
    sink->Write(*steps[step - 1]);
    sink->EndStep(step);
  }
  sink->Prepare(1);
  CHECK(test.Ask("SELECT id, v FROM report ORDER BY id") == Expected(contents));
  CHECK(test.Ask("SELECT job, step FROM millrace_steps") == "job,4;");
}

TEST_CASE("Without a key rows are appended; two sinks share a file; the source reads it back") {
  JdbcTest test;
  TableDefinition one = test.Table("id INT, name STRING", {}), two = one;
  two.options["table-name"] = "other.report";
  auto first = test.MakeSink(one), second = test.MakeSink(two);
  for (int step = 1; step <= 3; step++) {
    first->Write(*MakeChunk(one, {"1, 'a'", "1, 'a'"}));
    second->Write(*MakeChunk(two, {std::to_string(step) + ", NULL"}));
    first->EndStep(step);
    second->EndStep(step);
  }
  auto removal = MakeChunk(one, {"1, 'a'"});
  removal->kinds = {RowKind::kDelete};
  CHECK_THROWS_AS(first->Write(*removal), Error);
  first.reset();
  second.reset();
  CHECK(test.Ask("SELECT count(*) FROM report") == "6;");
  std::mt19937_64 random(5);
  auto make = [&] {
    return test.registry.Get("jdbc").MakeSource(test.environment, {WholeTable(two)}, true);
  };
  CHECK(CheckReplay(make, random, 5, 2) == Lines{"0|+I|1|NULL", "0|+I|2|NULL", "0|+I|3|NULL"});
}

TEST_CASE("Options and tables that do not fit are refused") {
  JdbcTest test;
  auto failure = [&](const TableDefinition& table) {
    try {
      test.MakeSink(table);
    } catch (const Error& error) {
      return error.text();
    }
    return std::string("no error");
  };
  auto has = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  CHECK(has(failure(test.Table("id INT", {}, {{"url", "jdbc:mysql://host/db"}})),
            "only database files of DuckDB"));
  CHECK(
      has(failure(test.Table("id INT", {}, {{"tabel-name", "x"}})), "did you mean 'table-name'?"));
  test.Ask("CREATE TABLE report (id VARCHAR)");
  CHECK(has(failure(test.Table("id INT", {})), "column 'id' is INT"));
  CHECK(has(failure(test.Table("name INT", {})), "does not fit"));
  std::filesystem::remove(test.Path());
  std::ofstream(test.Path()) << std::string(10000, 'x');
  CHECK(has(failure(test.Table("id INT", {})), "Opening database"));
}

TEST_CASE("Jobs in threads that upsert the same keys wait for each other") {
  JdbcTest test;
  TableDefinition table = test.Table("id INT, v DECIMAL(10, 2)", {"id"});
  TableDefinition linked = table;
  std::filesystem::create_symlink(test.Path(), test.Path() + ".link");
  linked.options["url"] = "duckdb:" + test.Path() + ".link";
  constexpr int kThreads = 3, kSteps = 15;
  std::vector<std::thread> threads;
  std::atomic<int> failures = 0;
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      try {
        const TableDefinition& mine = t == 0 ? linked : table;
        auto sink = test.registry.Get("jdbc").MakeSink(test.environment, mine, std::to_string(t));
        for (int step = 1; step <= kSteps; step++) {
          sink->Write(*MakeChunk(mine, {"1, " + std::to_string(step), "2, " + std::to_string(t)}));
          sink->EndStep(step);
          if (step % 4 == 0) sink->Prepare(step);
        }
      } catch (const std::exception& exception) {
        MESSAGE(std::string(exception.what()));
        failures++;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(failures == 0);
  CHECK(test.Ask("SELECT id, v FROM report WHERE id = 1") == "1,15.00;");
  CHECK(test.Ask("SELECT count(*), min(step) FROM millrace_steps") == "3,15;");
}
