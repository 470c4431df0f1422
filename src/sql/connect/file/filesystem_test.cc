// Goal: files written by the sink are read back by the source, once each, whatever is repeated or
// cut. Method: every format through sink and source; replay from random cuts (seed printed);
// repeated and missing commits; folders that grow; damaged input.
#include "sql/connect/file/filesystem.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>

#include "sql/connect/connector_fixture.h"

using namespace millrace;

namespace {

struct FileTest : TestEnvironment {
  FileTest() { RegisterFilesystemConnector(registry); }
  ConnectorRegistry registry;

  TableDefinition Table(const std::string& columns, const std::string& name, Options options) {
    options["path"] = JoinPath(folder, name);
    return TestTable("filesystem", columns, options);
  }
  std::unique_ptr<Source> MakeSource(const TableDefinition& table, bool bounded = false) {
    registry.Check(table);
    return registry.Get("filesystem").MakeSource(environment, {WholeTable(table)}, bounded);
  }
  std::unique_ptr<Sink> MakeSink(const TableDefinition& table) {
    registry.Check(table);
    return registry.Get("filesystem").MakeSink(environment, table, "job");
  }
  void WriteText(const std::string& name, const std::string& text) {
    std::filesystem::create_directories(
        std::filesystem::path(JoinPath(folder, name)).parent_path());
    std::ofstream(JoinPath(folder, name)) << text;
  }
  Lines ReadTable(const TableDefinition& table) {
    std::mt19937_64 random(1);
    Lines lines = ReadAll(*MakeSource(table, true), random);
    std::sort(lines.begin(), lines.end());
    return lines;
  }
  void Failure(const TableDefinition& table, const std::string& expected) {
    std::string text = "no error";
    try {
      ReadTable(table);
    } catch (const Error& error) {
      text = error.text();
    }
    CAPTURE(text);
    CHECK(text.find(expected) != std::string::npos);
  }
};

std::vector<std::string> NumberRows(int from, int count) {
  std::vector<std::string> rows;
  for (int i = from; i < from + count; i++) {
    rows.push_back(std::to_string(i) + ", 'name, " + std::to_string(i) + "', " + std::to_string(i) +
                   ".25, DATE '2024-01-0" + std::to_string(1 + i % 3) + "'");
  }
  return rows;
}

const char* const kColumns = "id INT, name STRING, amount DECIMAL(10, 2), dt DATE";

}  // namespace

TEST_CASE("What the sink publishes the source reads, in every format, partitioned or not") {
  FileTest test;
  for (std::string format : {"csv", "json", "debezium-json", "parquet"}) {
    for (bool partitioned : {false, true}) {
      CAPTURE(format);
      CAPTURE(partitioned);
      TableDefinition table =
          test.Table(kColumns, format + (partitioned ? "-parts" : ""), {{"format", format}});
      if (partitioned) table.partition_keys = {"dt"};
      auto sink = test.MakeSink(table);
      Lines expected;
      std::string prepared;
      for (int checkpoint = 1; checkpoint <= 3; checkpoint++) {
        auto chunk = MakeChunk(table, NumberRows(checkpoint * 100, 50));
        AppendLines(0, *chunk, expected);
        sink->Write(*chunk);
        sink->EndStep(checkpoint);
        prepared = sink->Prepare(checkpoint);
        if (checkpoint == 1) CHECK(test.ReadTable(table).empty());  // Invisible before Commit.
        sink->Commit(checkpoint, prepared);
      }
      test.MakeSink(table)->Commit(3, prepared);  // Recovery repeats it, on a new sink.
      CHECK(sink->Prepare(4) == "");
      std::sort(expected.begin(), expected.end());
      CHECK(test.ReadTable(table) == expected);
      CHECK(std::filesystem::exists(JoinPath(JoinPath(test.folder, format + "-parts"),
                                             "dt=2024-01-01")) == partitioned);
    }
  }
}

TEST_CASE("Output of a checkpoint that never came stays hidden; a lost file is an error") {
  FileTest test;
  TableDefinition table = test.Table(kColumns, "out", {{"format", "json"}});
  auto lost = test.MakeSink(table);
  lost->Write(*MakeChunk(table, NumberRows(1, 10)));
  lost->Prepare(1);
  auto sink = test.MakeSink(table);
  sink->Write(*MakeChunk(table, NumberRows(1, 10)));
  std::string prepared = sink->Prepare(1);
  sink->Commit(1, prepared);
  CHECK(test.ReadTable(table).size() == 10);
  std::filesystem::remove_all(JoinPath(test.folder, "out"));
  CHECK_THROWS_AS(sink->Commit(1, prepared), Error);
}

TEST_CASE("What a killed life of a job left behind goes with its next one; others' files stay") {
  FileTest test;
  TableDefinition table = test.Table(kColumns, "out", {{"format", "json"}});
  auto start = [&](const std::string& job) {
    auto sink = test.registry.Get("filesystem").MakeSink(test.environment, table, job);
    sink->Write(*MakeChunk(table, NumberRows(1, 10)));
    return sink;
  };
  auto hidden = [&] { return test.files->List(JoinPath(test.folder, "out")).size(); };
  start("mine")->Prepare(1);  // No checkpoint names it.
  start("other")->Prepare(1);
  CHECK(hidden() == 2);
  auto sink = start("mine");
  CHECK(hidden() == 2);
  sink.reset();  // What was never prepared goes at once.
  CHECK(hidden() == 1);
}

TEST_CASE("One file grows by whole checkpoints") {
  FileTest test;
  TableDefinition table =
      test.Table(kColumns, "one.csv", {{"format", "csv"}, {"csv.ignore-first-line", "true"}});
  auto sink = test.MakeSink(table);
  for (int checkpoint = 1; checkpoint <= 3; checkpoint++) {
    sink->Write(*MakeChunk(table, NumberRows(checkpoint * 10, 4)));
    std::string prepared = sink->Prepare(checkpoint);
    sink->Commit(checkpoint, prepared);
    sink->Commit(checkpoint, prepared);
  }
  CHECK(test.ReadTable(table).size() == 12);
  CHECK(test.files->Read(JoinPath(test.folder, "one.csv"))
            .starts_with("id,name,amount,dt\n10,\"name, 10\",10.25,"));
}

TEST_CASE("Replay from any cut over several files of every format") {
  auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  FileTest test;
  for (std::string format : {"csv", "json", "debezium-json", "parquet"}) {
    CAPTURE(format);
    TableDefinition table = test.Table(kColumns, format, {{"format", format}});
    auto sink = test.MakeSink(table);
    for (int i = 0; i < 4; i++) {
      for (int k = 0; k < 3; k++)
        sink->Write(*MakeChunk(table, NumberRows(i * 1000 + k * 200, 1 + random() % 200)));
      sink->Commit(i, sink->Prepare(i));
    }
    Lines lines = CheckReplay([&] { return test.MakeSource(table, true); }, random, 8, 100);
    CHECK(lines.size() > 10);
  }
}

TEST_CASE("A watched folder gives each new file once, also after a restart") {
  FileTest test;
  test.WriteText("in/b.json", "{\"id\":1}\n");
  TableDefinition table =
      test.Table("id INT", "in", {{"format", "json"}, {"source.monitor-interval", "1 s"}});
  std::mt19937_64 random(1);
  auto source = test.MakeSource(table);
  CHECK_FALSE(source->IsBounded());
  CHECK(ReadAll(*source, random) == Lines{"0|+I|1"});
  test.WriteText("in/a.json", "{\"id\":2}\n");  // Sorts before what was read.
  test.WriteText("in/.hidden.json", "{\"id\":9}\n");
  CHECK(ReadAll(*source, random).empty());  // The interval is not over.
  test.clock.SleepMs(1000);
  CHECK(ReadAll(*source, random) == Lines{"0|+I|2"});
  test.WriteText("in/sub/c.json", "{\"id\":3}");
  auto again = test.MakeSource(table);
  again->Seek(source->Position());
  CHECK(ReadAll(*again, random) == Lines{"0|+I|3"});
}

TEST_CASE(
    "A watched file that goes away before it is read was never there; a loop of links is told") {
  FileTest test;
  test.WriteText("in/a.json", "{\"id\":1}\n");
  test.WriteText("in/b.json", "{\"id\":2}\n");
  TableDefinition table =
      test.Table("id INT", "in", {{"format", "json"}, {"source.monitor-interval", "1 s"}});
  auto source = test.MakeSource(table);
  Lines lines;
  auto receive = [&](idx_t index, ChangeChunk& chunk) { AppendLines(index, chunk, lines); };
  ReadLimit one;
  one.max_rows = 1;
  source->Read(one, receive);  // Both are listed, one is read.
  std::filesystem::remove(JoinPath(test.folder, "in/b.json"));
  while (source->Read({}, receive) != SourceStatus::kIdle) continue;
  CHECK(lines == Lines{"0|+I|1"});
  std::filesystem::create_directory_symlink(JoinPath(test.folder, "in"),
                                            JoinPath(test.folder, "in/loop"));
  table.options.erase("source.monitor-interval");
  test.Failure(table, "does a link lead back?");
}

TEST_CASE("Bad input is named; the position stays; ignored records are counted") {
  FileTest test;
  test.WriteText("in/a.csv", "1,x\n2,y\n");
  test.WriteText("in/b.csv", "3,z\nfour,w\n5,v\n");
  TableDefinition table = test.Table("id INT, name STRING", "in", {{"format", "csv"}});
  test.Failure(table, "Cannot decode line 2 of " + test.folder +
                          "/in/b.csv as CSV: field 'id': 'four' is not an INT");
  auto source = test.MakeSource(table, true);
  std::string before = source->Position();
  CHECK_THROWS_AS(source->Read({}, [](idx_t, ChangeChunk&) {}), Error);
  CHECK(source->Position() == before);
  table.options["csv.ignore-parse-errors"] = "true";
  source = test.MakeSource(table, true);
  std::mt19937_64 random(1);
  CHECK(ReadAll(*source, random).size() == 4);
  CHECK(source->SkippedRecords() == 1);
  test.Failure(test.Table("id INT", "none", {{"format", "csv"}}), "none does not exist");
  test.WriteText("bad.parquet", "PAR1 no file at all PAR1");
  test.Failure(test.Table("id INT", "bad.parquet", {{"format", "parquet"}}), "bad.parquet");
}

TEST_CASE("Options and columns that do not fit are refused") {
  FileTest test;
  test.Failure(test.Table("id INT", "x", {{"format", "jsn"}}), "did you mean 'json'?");
  test.Failure(test.Table("id INT", "x", {{"format", "csv"}, {"json.ignore-parse-errors", "true"}}),
               "no effect");
  test.Failure(test.Table("id INT", "x", {{"format", "csv"}, {"csv.field-delimiter", "ab"}}),
               "one character");
  test.Failure(test.Table("id ROW<a INT>", "x", {{"format", "csv"}}), "'format' = 'json'");
  test.Failure(test.Table("id INT", "x", {{"format", "csv"}, {"pth", "y"}}),
               "did you mean 'path'?");
}

TEST_CASE("Metadata columns tell the file of a row") {
  FileTest test;
  test.WriteText("in/a.csv", "1\n");
  test.WriteText("in/b.csv", "2\n");
  TableDefinition table = test.Table("id INT, f STRING", "in", {{"format", "csv"}});
  table.columns[1].metadata = "file.name";
  CHECK(test.ReadTable(table) == Lines{"0|+I|1|a.csv", "0|+I|2|b.csv"});
}
