// Goal: a table that is one file holds every row whose checkpoint was acknowledged, once, whoever
// else writes it and wherever a writer dies. Method: sinks of two jobs take turns, race in threads
// and fail at every file operation; afterwards the file is read back and compared.
#include "sql/connect/file/single_file.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "io/faulty_file_system.h"
#include "sql/connect/connector_fixture.h"
#include "sql/connect/file/filesystem.h"

using namespace millrace;

namespace {

const char* const kFormats[] = {"csv", "json", "parquet"};

struct OneFile {
  explicit OneFile(FileSystem& files, std::string path, uint64_t seed)
      : random(seed),
        environment{files, *clock, random, *Database().instance, "", out},
        path(path) {
    RegisterFilesystemConnector(registry);
  }
  /// One for all; never destroyed: at exit it would outlive what its threads keep.
  static duckdb::DuckDB& Database() {
    static auto& database = *new duckdb::DuckDB(nullptr);
    return database;
  }

  TableDefinition Table(const std::string& format) {
    Options options = {{"format", format}, {"path", path + "." + format}};
    if (format == "csv") options["csv.ignore-first-line"] = "true";
    return TestTable("filesystem", "id INT, name STRING", options);
  }
  std::unique_ptr<Sink> MakeSink(const std::string& format, const std::string& job) {
    return registry.Get("filesystem").MakeSink(environment, Table(format), job);
  }
  /// The ids in the file, sorted.
  std::vector<int> Ids(const std::string& format) {
    auto source =
        registry.Get("filesystem").MakeSource(environment, {WholeTable(Table(format))}, true);
    std::vector<int> ids;
    auto receive = [&](idx_t, ChangeChunk& chunk) {
      for (idx_t row = 0; row < chunk.size(); row++) {
        ids.push_back(chunk.rows.GetValue(0, row).GetValue<int>());
      }
    };
    while (source->Read({}, receive) != SourceStatus::kEnd) continue;
    std::sort(ids.begin(), ids.end());
    return ids;
  }
  std::unique_ptr<ChangeChunk> Rows(int id) {
    return MakeChunk(Table("csv"), {std::to_string(id) + ", 'name, " + std::to_string(id) + "'"});
  }

  std::unique_ptr<Clock> clock = MakeSystemClock();
  Random random;
  std::ostringstream out;
  Environment environment;
  ConnectorRegistry registry;
  std::string path;
};

struct Folder {
  Folder()
      : root((std::filesystem::temp_directory_path() /
              ("millrace-one-" + std::to_string(std::random_device{}())))
                 .string()) {
    std::filesystem::create_directories(root);
  }
  ~Folder() { std::filesystem::remove_all(root); }
  std::vector<std::string> Hidden() {
    std::vector<std::string> names;
    for (const FileEntry& entry : files->List(root)) {
      if (entry.name[0] == '.') names.push_back(entry.name);
    }
    return names;
  }

  std::unique_ptr<FileSystem> files = MakeLocalFileSystem();
  std::string root;
  std::string path = JoinPath(root, "one");
};

std::vector<int> Numbers(int from, int to) {
  std::vector<int> numbers;
  for (int i = from; i < to; i++) numbers.push_back(i);
  return numbers;
}

std::string TextOf(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.text();
  }
  return "no error";
}

}  // namespace

TEST_CASE("Two sinks and what was there before: nobody's rows are lost, whatever the order") {
  for (std::string format : kFormats) {
    CAPTURE(format);
    Folder folder;
    OneFile one(*folder.files, folder.path, 7);
    auto a = one.MakeSink(format, "a"), b = one.MakeSink(format, "b");
    int next = 0;
    for (int checkpoint = 1; checkpoint <= 4; checkpoint++) {
      a->Write(*one.Rows(next++));
      b->Write(*one.Rows(next++));
      std::string from_a = a->Prepare(checkpoint), from_b = b->Prepare(checkpoint);
      b->Commit(checkpoint, from_b);
      a->Commit(checkpoint, from_a);
      one.MakeSink(format, "a")->Commit(checkpoint, from_a);  // Recovery repeats it.
    }
    CHECK(one.Ids(format) == Numbers(0, next));
    CHECK(folder.Hidden().empty());
  }
}

TEST_CASE("Threads with sinks of their own append to one file") {
  for (std::string format : kFormats) {
    CAPTURE(format);
    Folder folder;
    constexpr int kThreads = 3, kCheckpoints = 8;
    std::vector<std::thread> threads;
    std::atomic<int> failures = 0;
    for (int t = 0; t < kThreads; t++) {
      threads.emplace_back([&, t] {
        OneFile one(*folder.files, folder.path, 100 + t);
        auto sink = one.MakeSink(format, "job" + std::to_string(t));
        for (int i = 0; i < kCheckpoints; i++) {
          sink->Write(*one.Rows(t * kCheckpoints + i));
          failures += TextOf([&] { sink->Commit(i, sink->Prepare(i)); }) != "no error";
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(failures == 0);
    OneFile one(*folder.files, folder.path, 1);
    CHECK(one.Ids(format) == Numbers(0, kThreads * kCheckpoints));
    CHECK(folder.Hidden().empty());
  }
}

TEST_CASE("A writer that fails at any file operation loses and doubles nothing, of nobody") {
  for (std::string format : {"csv", "parquet"}) {
    for (FaultMode mode : {FaultMode::kBefore, FaultMode::kAfter, FaultMode::kHalf}) {
      bool failed = true;
      for (int fail_at = 0; failed; fail_at++) {
        CAPTURE(format);
        CAPTURE(static_cast<int>(mode));
        CAPTURE(fail_at);
        Folder folder;
        OneFile good(*folder.files, folder.path, 7);
        auto other = good.MakeSink(format, "other");
        other->Write(*good.Rows(0));
        other->Commit(1, other->Prepare(1));

        FaultyFileSystem faulty(*folder.files, {.fail_at = fail_at, .mode = mode});
        OneFile bad(faulty, folder.path, 8);
        std::string prepared;
        failed = TextOf([&] {
                   auto sink = bad.MakeSink(format, "job");
                   sink->Write(*good.Rows(1));
                   prepared = sink->Prepare(1);
                   sink->Commit(1, prepared);
                 }) != "no error";

        other->Write(*good.Rows(2));  // Another job goes on before the failed one does.
        other->Commit(2, other->Prepare(2));
        auto again = good.MakeSink(format, "job");
        if (failed && !prepared.empty()) again->Commit(1, prepared);
        if (failed && prepared.empty()) {
          again->Write(*good.Rows(1));
          again->Commit(1, again->Prepare(1));
        }
        again->Write(*good.Rows(3));
        again->Commit(2, again->Prepare(2));
        REQUIRE(good.Ids(format) == Numbers(0, 4));
        REQUIRE(folder.Hidden().empty());
      }
    }
  }
}

TEST_CASE("A file of other columns is left alone") {
  Folder folder;
  OneFile one(*folder.files, folder.path, 7);
  std::ofstream(folder.path + ".csv") << "id,amount\n1,2\n";
  auto csv = one.MakeSink("csv", "a");
  std::string text = TextOf([&] { csv->Write(*one.Rows(1)); });
  CHECK(text.find("begins with 'id,amount'") != std::string::npos);
  CHECK(folder.files->Read(folder.path + ".csv") == "id,amount\n1,2\n");

  TableDefinition wide = one.Table("parquet");
  wide.columns.pop_back();
  auto narrow = one.registry.Get("filesystem").MakeSink(one.environment, wide, "b");
  narrow->Write(*MakeChunk(wide, {"1"}));
  narrow->Commit(1, narrow->Prepare(1));
  auto parquet = one.MakeSink("parquet", "a");
  text = TextOf([&] { parquet->Write(*one.Rows(1)); });
  CHECK(text.find("has other columns (id)") != std::string::npos);
}

TEST_CASE("A header with a mark, quotes and Windows line ends is the table's") {
  Folder folder;
  OneFile one(*folder.files, folder.path, 7);
  std::ofstream(folder.path + ".csv") << "\xEF\xBB\xBF\"id\",\"name\"\r\n0,zero";  // No line end.
  auto sink = one.MakeSink("csv", "a");
  sink->Write(*one.Rows(1));
  sink->Commit(1, sink->Prepare(1));
  CHECK(one.Ids("csv") == Numbers(0, 2));
}

TEST_CASE("A folder with the ending of a file takes parts; a link keeps leading to its file") {
  Folder folder;
  OneFile one(*folder.files, folder.path, 7);
  std::filesystem::create_directories(folder.path + ".json");
  std::filesystem::create_directories(folder.root + "/far");
  std::filesystem::create_symlink(folder.root + "/far/real.csv", folder.path + ".csv");
  for (std::string format : {"csv", "json"}) {
    auto sink = one.MakeSink(format, "a");
    for (int i = 0; i < 2; i++) {
      sink->Write(*one.Rows(i));
      sink->Commit(i, sink->Prepare(i));
    }
    CHECK(one.Ids(format) == Numbers(0, 2));
  }
  CHECK(std::filesystem::is_symlink(folder.path + ".csv"));
  CHECK(folder.files->List(folder.path + ".json").size() == 2);
}
