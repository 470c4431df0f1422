// Goal: what was acknowledged survives a crash of the machine, though data files are closed before
// the disk has them. Method: power cuts after commits and after prepared commits were written down,
// for each kind of writer; every file operation failed in turn.
#include "table/file_sync.h"

#include "io/faulty_file_system.h"
#include "table/table_fixture.h"

namespace millrace {

namespace {

struct Kind {
  const char* name;
  bool keyed;
  bool partitioned;
  Options options;
};

std::vector<Kind> Kinds() {
  return {{"keyed", true, true, {{"changelog-producer", "input"}}},
          {"keyed, compacting",
           true,
           false,
           {{"changelog-producer", "lookup"}, {"num-sorted-run.compaction-trigger", "2"}}},
          {"keyed with vectors and indexes",
           true,
           false,
           {{"deletion-vectors.enabled", "true"},
            {"file-index.bloom-filter.columns", "value"},
            {"file-index.in-manifest-threshold", "1 B"}}},
          {"append", false, true, {{"compaction.min.file-num", "2"}}},
          {"append in buckets", false, false, {{"bucket", "2"}, {"bucket-key", "id"}}}};
}

constexpr int64_t kRows = 40;

/// Writes the rows of commit `number`: all keys anew, or appended.
Committable PrepareRows(TableWriter& writer, int64_t number) {
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < kRows; i++) {
    std::string part = i % 2 ? "odd" : "even";
    rows.push_back({RowKind::kInsert, i, part, "v" + std::to_string(number)});
  }
  WriteRows(writer, rows);
  return writer.PrepareCommit();
}

void CheckRows(const Table& table, const Kind& kind, int64_t commits) {
  std::vector<std::string> rows = ReadRows(table);
  REQUIRE(static_cast<int64_t>(rows.size()) ==
          (kind.keyed ? std::min<int64_t>(commits, 1) : commits) * kRows);
  std::string last = "v" + std::to_string(commits);
  auto is_last = [&](const std::string& row) { return row.ends_with(last); };
  CHECK(std::count_if(rows.begin(), rows.end(), is_last) == (commits > 0 ? kRows : 0));
  CHECK(VerifyTable(table.state(), true).empty());
}

}  // namespace

TEST_CASE("what is committed survives a power cut") {
  for (const Kind& kind : Kinds()) {
    CAPTURE(kind.name);
    TestWorld world;
    Table::Create(world.context(), "w/d.db/t",
                  TestDefinition(kind.keyed, kind.partitioned, kind.options));
    for (int64_t i = 1; i <= 5; i++) {
      auto table = Table::Open(world.context(), "w/d.db/t");
      table->Commit(PrepareRows(*table->NewWriter("u"), i), "u", i);
      if (i == 4) table->Compact({}, "u", 100);
      world.disk.LoseUnsynced();
      CheckRows(*Table::Open(world.context(), "w/d.db/t"), kind, i);
    }
  }
}

TEST_CASE("a prepared commit that is written down survives a power cut") {
  for (const Kind& kind : Kinds()) {
    CAPTURE(kind.name);
    TestWorld world;
    Table::Create(world.context(), "w/d.db/t",
                  TestDefinition(kind.keyed, kind.partitioned, kind.options));
    for (int64_t i = 1; i <= 5; i++) {
      auto table = Table::Open(world.context(), "w/d.db/t");
      std::string json = PrepareRows(*table->NewWriter("u"), i).ToJson();
      world.disk.LoseUnsynced();
      table = Table::Open(world.context(), "w/d.db/t");
      table->Commit(Committable::FromJson(json), "u", i);
      CheckRows(*table, kind, i);
    }
  }
}

TEST_CASE("what is acknowledged survives a power cut, whichever operation has failed") {
  for (const Kind& kind : Kinds()) {
    CAPTURE(kind.name);
    int failures = 0;
    for (int64_t fail_at = 0;; fail_at++) {
      CAPTURE(fail_at);
      REQUIRE(fail_at < 1000);
      TestWorld world;
      auto table = Table::Create(world.context(), "w/d.db/t",
                                 TestDefinition(kind.keyed, kind.partitioned, kind.options));
      table->Commit(PrepareRows(*table->NewWriter("u"), 1), "u", 1);
      FaultyFileSystem faulty(world.disk, {.fail_at = fail_at});
      int64_t commits = 1;
      std::string prepared;
      try {
        auto failing = Table::Open(world.Over(faulty), "w/d.db/t");
        auto writer = failing->NewWriter("u");
        if (failing->Commit(PrepareRows(*writer, 2), "u", 2)) commits = 2;
        prepared = PrepareRows(*writer, 3).ToJson();
      } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::kIo);
        failures++;
      }
      world.disk.LoseUnsynced();
      auto there = Table::Open(world.context(), "w/d.db/t");
      for (const std::string& row : ReadRows(*there)) {
        if (row.ends_with("v2")) commits = 2;  // Made, if perhaps not acknowledged.
      }
      CheckRows(*there, kind, commits);
      if (!prepared.empty()) {
        there->Commit(Committable::FromJson(prepared), "u", 3);
        CheckRows(*there, kind, 3);
      }
      if (!faulty.failed()) break;
    }
    CHECK(failures > 5);
  }
}

}  // namespace millrace
