// Goal: incremental reads give exactly what changed. Method: random histories of upserts, deletes
// and compactions; each state is remembered, and intervals are compared with the difference of two
// remembered states, and with the rows written.
#include "table/incremental.h"

#include "table/table_fixture.h"

namespace millrace {

namespace {

/// "+I id|part|value" of a whole incremental read, sorted.
std::vector<std::string> ReadChangesOf(const Table& table, const Options& options,
                                       bool keep_deletes) {
  ScanStart start =
      ResolveScanStart(Table::Open(table.context(), table.folder(), options)->state(), false);
  std::vector<std::string> rows;
  if (start.kind != ScanStart::Kind::kIncremental) return rows;
  ChangeChunk chunk;
  chunk.Initialize({LogicalType::BIGINT, LogicalType::VARCHAR, LogicalType::VARCHAR});
  for (const IncrementalSplit& split : PlanIncremental(table.state(), start.incremental)) {
    auto reader = ReadIncremental(table.state(), split, {0, 1, 2}, keep_deletes);
    while (reader->Next(chunk)) {
      for (idx_t i = 0; i < chunk.size(); i++) {
        rows.push_back(fmt::format(
            "{} {}|{}|{}", RowKindName(chunk.KindOf(i)), chunk.rows.GetValue(0, i).ToString(),
            chunk.rows.GetValue(1, i).ToString(), chunk.rows.GetValue(2, i).ToString()));
      }
    }
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

using State = std::map<std::string, std::string>;

std::vector<std::string> Difference(const State& before, const State& after, bool keep_deletes) {
  std::vector<std::string> rows;
  for (const auto& [key, row] : after) {
    auto old = before.find(key);
    if (old == before.end() || old->second != row) rows.push_back("+I " + row);
  }
  for (const auto& [key, row] : before) {
    if (keep_deletes && !after.contains(key)) rows.push_back("-D " + row);
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

}  // namespace

TEST_CASE("The difference of two states is what a map says") {
  for (uint64_t seed = 1; seed <= 6; seed++) {
    CAPTURE(seed);
    TestWorld world(seed);
    std::mt19937_64 random(seed);
    bool partitioned = seed % 2 == 0;
    auto table = Table::Create(world.context(), "/w/d.db/t",
                               TestDefinition(true, partitioned,
                                              {{"bucket", "2"},
                                               {"num-sorted-run.compaction-trigger", "3"},
                                               {"snapshot.num-retained.min", "100"}}));
    TestModel model;
    std::map<int64_t, State> states;  // By snapshot.
    for (int commit = 1; commit <= 12; commit++) {
      auto writer = table->NewWriter("user");
      std::vector<TestRow> rows;
      for (int i = 0; i < 40; i++) {
        int64_t id = static_cast<int64_t>(random() % 60);
        bool gone = random() % 4 == 0;
        rows.push_back({gone ? RowKind::kDelete : RowKind::kInsert, id,
                        partitioned ? "p" + std::to_string(random() % 3) : "p",
                        "v" + std::to_string(random() % 3)});
        model.Apply(rows.back());
      }
      if (!partitioned) {  // The key is the id alone.
        for (TestRow& row : rows) row.part = "p";
      }
      WriteRows(*writer, rows);
      if (commit % 5 == 0) writer->CompactFully();
      auto id = table->Commit(writer->PrepareCommit(), "user", commit);
      REQUIRE(id.has_value());
      states[*id] = model.rows;
    }
    for (const auto& [from, before] : states) {
      for (const auto& [to, after] : states) {
        if (from >= to) continue;
        CAPTURE(from);
        CAPTURE(to);
        Options options = {{"incremental-between", fmt::format("{},{}", from, to)},
                           {"incremental-between-scan-mode", "diff"}};
        CHECK(ReadChangesOf(*table, options, false) == Difference(before, after, false));
        CHECK(ReadChangesOf(*table, options, true) == Difference(before, after, true));
      }
    }
  }
}

TEST_CASE("Delta gives the rows that were appended, changelog those of the changelog") {
  for (const char* producer : {"none", "input"}) {
    CAPTURE(producer);
    TestWorld world;
    auto table = Table::Create(
        world.context(), "/w/d.db/t",
        TestDefinition(true, false, {{"bucket", "1"}, {"changelog-producer", producer}}));
    for (int64_t i = 1; i <= 4; i++) {
      auto writer = table->NewWriter("user");
      WriteRows(*writer, {{RowKind::kInsert, 1, "p", "a" + std::to_string(i)},
                          {RowKind::kInsert, 1, "p", "b" + std::to_string(i)},
                          {RowKind::kDelete, 9, "p", "x"}});
      table->Commit(writer->PrepareCommit(), "user", i);
    }
    std::vector<std::string> merged = {"+I 1|p|b2", "+I 1|p|b3", "-D 9|p|x", "-D 9|p|x"};
    std::vector<std::string> raw = {"+I 1|p|a2", "+I 1|p|a3", "+I 1|p|b2",
                                    "+I 1|p|b3", "-D 9|p|x",  "-D 9|p|x"};
    Options options = {{"incremental-between", "1,3"}};
    CHECK(ReadChangesOf(*table, options, true) ==
          (producer == std::string("input") ? raw : merged));
    options["incremental-between-scan-mode"] = "delta";
    CHECK(ReadChangesOf(*table, options, true) == merged);
  }
}

TEST_CASE("Of a table without key the added rows are the difference") {
  TestWorld world;
  auto table = Table::Create(world.context(), "/w/d.db/t", TestDefinition(false, false));
  for (int64_t i = 1; i <= 4; i++) {
    auto writer = table->NewWriter("user");
    WriteRows(*writer, {{RowKind::kInsert, i, "p", "v"}});
    table->Commit(writer->PrepareCommit(), "user", i);
  }
  std::vector<std::string> expected = {"+I 2|p|v", "+I 3|p|v"};
  CHECK(ReadChangesOf(*table, {{"incremental-between", "1,3"}}, true) == expected);
  TagStore tags(world.disk, table->folder());
  REQUIRE(tags.Create("a", {*table->FindSnapshot(1), {}, {}}));
  REQUIRE(tags.Create("b", {*table->FindSnapshot(3), {}, {}}));
  CHECK(ReadChangesOf(*table, {{"incremental-between", "a,b"}}, true) == expected);
}

TEST_CASE("Files are chosen by when they were made") {
  TestWorld world;
  auto table = Table::Create(world.context(), "/w/d.db/t", TestDefinition(false, false));
  for (int64_t i = 1; i <= 4; i++) {
    world.clock.SetMs(1'700'000'000'000 + i * 1000);
    auto writer = table->NewWriter("user");
    WriteRows(*writer, {{RowKind::kInsert, i, "p", "v"}});
    table->Commit(writer->PrepareCommit(), "user", i);
  }
  ScanOptions options;
  options.created_since_ms = 1'700'000'003'000;
  CHECK(ReadRows(*table, options) == std::vector<std::string>{"3|p|v", "4|p|v"});
}

}  // namespace millrace
