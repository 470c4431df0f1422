// Goal: commits that replace partitions or files are atomic, replace what is there when they come,
// and tell who stood in the way. Method: random histories of appends, overwrites, row changes and
// compactions of two writers against a map; races made by hand; the n-th file operation fails.
#include "table/overwrite.h"

#include "io/faulty_file_system.h"
#include "table/row_changes.h"
#include "table/table_fixture.h"

namespace millrace {

namespace {

std::shared_ptr<const Table> NewTable(TestWorld& world, bool keyed, bool partitioned,
                                      Options options = {}) {
  return Table::Create(world.context(), "t", TestDefinition(keyed, partitioned, options));
}

std::optional<int64_t> Append(const Table& table, const std::string& user,
                              const std::vector<TestRow>& rows, int64_t identifier = 1) {
  auto writer = table.NewWriter(user);
  WriteRows(*writer, rows);
  return table.Commit(writer->PrepareCommit(), user, identifier);
}

Committable Overwriting(const Table& table, const std::string& user,
                        const std::vector<TestRow>& rows, OverwriteScope scope) {
  auto writer = table.NewWriter(user, {.overwrite = true});
  WriteRows(*writer, rows);
  Committable committable = writer->PrepareCommit();
  committable.overwrite = std::move(scope);
  return committable;
}

PartitionSpec Part(const Table& table, const Value& value) {
  return MakePartitionSpec(table.schema(), {{"part", value}}, "Testing");
}

std::vector<TestRow> Rows(std::initializer_list<int64_t> ids, const std::string& part,
                          const std::string& value) {
  std::vector<TestRow> rows;
  for (int64_t id : ids) rows.push_back({RowKind::kInsert, id, part, value});
  return rows;
}

/// Deletes all rows with an even id, as DELETE does; the commit to make.
Committable DeletingEven(const Table& table, const std::string& user) {
  ScanOptions scan;
  scan.snapshot_id = table.LatestSnapshot()->id;
  scan.columns = {0, 1, 2};
  std::vector<Split> units = table.PlanScan(scan);
  if (!table.HasPrimaryKey()) units = SplitByFile(std::move(units));
  RowMarks marks;
  std::vector<TestRow> deleted;
  for (idx_t unit = 0; unit < units.size(); unit++) {
    auto reader = table.ReadSplit(units[unit], scan);
    DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), table.schema().DuckTypes());
    int64_t position = 0;
    for (chunk.Reset(); reader->Next(chunk); chunk.Reset()) {
      for (idx_t i = 0; i < chunk.size(); i++, position++) {
        int64_t id = chunk.GetValue(0, i).GetValue<int64_t>();
        if (id % 2 != 0) continue;
        CHECK(marks.Mark(RowIdOf(unit, position)));
        deleted.push_back({RowKind::kDelete, id, chunk.GetValue(1, i).ToString(),
                           chunk.GetValue(2, i).ToString()});
      }
    }
  }
  auto writer = table.NewWriter(user);
  if (table.HasPrimaryKey()) WriteRows(*writer, deleted);
  Committable committable = table.HasPrimaryKey()
                                ? writer->PrepareCommit()
                                : RewriteMarkedFiles(table, units, marks, *writer);
  committable.read_snapshot = scan.snapshot_id;
  return Committable::FromJson(committable.ToJson());
}

std::string ConflictOf(const Table& table, const Committable& committable,
                       const std::string& user) {
  try {
    table.Commit(committable, user, kBatchCommitIdentifier);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kConflict);
    return error.text();
  }
  return "";
}

size_t DataFiles(TestWorld& world) {
  size_t count = 0;
  for (const std::string folder : {"t/bucket-0", "t/bucket-1"}) {
    count += world.disk.List(folder).size();
  }
  return count;
}

}  // namespace

TEST_CASE("An overwrite replaces what is there when it comes, not what was there when it began") {
  for (bool keyed : {true, false}) {
    CAPTURE(keyed);
    TestWorld world;
    auto table = NewTable(world, keyed, true);
    Append(*table, "a", Rows({1, 2}, "p", "old"));
    Append(*table, "a", Rows({1}, "q", "old"), 2);
    Committable next = Overwriting(*table, "b", Rows({3}, "p", "new"), {true, {}});
    Append(*table, "c", Rows({9}, "p", "late"));
    Append(*table, "c", Rows({9}, "r", "late"), 2);
    next = Committable::FromJson(next.ToJson());
    auto id = table->Commit(next, "b", kBatchCommitIdentifier);
    CHECK(ReadRows(*table) == std::vector<std::string>{"1|q|old", "3|p|new", "9|r|late"});
    CHECK(table->FindSnapshot(*id)->commit_kind == CommitKind::kOverwrite);
    CHECK(table->FindSnapshot(*id)->total_record_count == 3);
    CHECK(table->Commit(next, "b", kBatchCommitIdentifier) == id);  // A repeat is no new commit.
    // Afterwards rows are appended as ever.
    Append(*table, "c", Rows({3, 4}, "p", "more"), 3);
    CHECK(CountRows(*table) == (keyed ? 4 : 5));
  }
}

TEST_CASE("Static scopes, the whole table, nothing at all") {
  TestWorld world;
  auto table = NewTable(world, true, true);
  Append(*table, "a", Rows({1, 2}, "p", "x"));
  Append(*table, "a", Rows({1}, "q", "x"), 2);
  OverwriteScope p{false, {Part(*table, Value("p"))}};
  table->Commit(Overwriting(*table, "b", {}, p), "b", kBatchCommitIdentifier);
  CHECK(ReadRows(*table) == std::vector<std::string>{"1|q|x"});
  CHECK_THROWS_WITH_AS(
      table->Commit(Overwriting(*table, "c", Rows({5}, "q", "y"), p), "c", kBatchCommitIdentifier),
      doctest::Contains("outside of that part"), Error);
  // A dynamic overwrite without rows is no commit.
  int64_t before = table->LatestSnapshot()->id;
  CHECK(!table->Commit(Overwriting(*table, "d", {}, {true, {}}), "d", 1));
  CHECK(table->LatestSnapshot()->id == before);
  table->Commit(Overwriting(*table, "e", {}, {}), "e", kBatchCommitIdentifier);
  CHECK(CountRows(*table) == 0);
  CHECK(table->LatestSnapshot()->total_record_count == 0);
  CHECK_THROWS_WITH_AS(MakePartitionSpec(table->schema(), {{"id", Value(1)}}, "Testing"),
                       doctest::Contains("'id' is not a partition column"), Error);
}

TEST_CASE("The new files of a keyed table are its highest level") {
  TestWorld world;
  auto table = NewTable(world, true, false);
  Append(*table, "a", Rows({1, 2, 3}, "p", "x"));
  table->Commit(Overwriting(*table, "b", Rows({5, 6}, "p", "y"), {}), "b", 1);
  std::vector<Split> splits = table->PlanScan({});
  REQUIRE(splits.size() == 1);
  CHECK(splits[0].raw);
  CHECK(splits[0].files[0].level == 5);
}

TEST_CASE("Row changes give way to whoever has changed the same rows, and name him") {
  for (bool keyed : {true, false}) {
    CAPTURE(keyed);
    TestWorld world;
    auto table = NewTable(world, keyed, false);
    Append(*table, "a", Rows({1, 2, 3, 4}, "p", "x"));
    Committable first = DeletingEven(*table, "deleter");
    Committable second = DeletingEven(*table, "rival");
    // Other rows do not matter.
    Append(*table, "b", Rows({7, 9}, "p", "y"));
    table->Commit(first, "deleter", kBatchCommitIdentifier);
    CHECK(ReadRows(*table) == std::vector<std::string>{"1|p|x", "3|p|x", "7|p|y", "9|p|y"});
    size_t files = DataFiles(world);
    std::string conflict = ConflictOf(*table, second, "rival");
    CHECK(conflict.find("'deleter'") != std::string::npos);
    CHECK(conflict.find(keyed ? "rows that were read at snapshot 1"
                              : "was removed by snapshot 3") != std::string::npos);
    CHECK(DataFiles(world) < files);  // What was prepared in vain is gone.
    CHECK(ReadRows(*table) == std::vector<std::string>{"1|p|x", "3|p|x", "7|p|y", "9|p|y"});
    CHECK(ConflictOf(*table, DeletingEven(*table, "again"), "again").empty());
  }
}

TEST_CASE("A compaction in between does not disturb a change by key") {
  TestWorld world;
  auto table = NewTable(world, true, false);
  Append(*table, "a", Rows({1, 2}, "p", "x"));
  Append(*table, "a", Rows({3, 4}, "p", "x"), 2);
  Committable deleting = DeletingEven(*table, "d");
  auto compactor = table->NewWriter("c");
  compactor->CompactFully();
  table->Commit(compactor->PrepareCommit(), "c", 1);
  CHECK(table->LatestSnapshot()->commit_kind == CommitKind::kCompact);
  table->Commit(deleting, "d", kBatchCommitIdentifier);
  CHECK(ReadRows(*table) == std::vector<std::string>{"1|p|x", "3|p|x"});
}

TEST_CASE("A writer of another number of buckets is told so") {
  TestWorld world;
  auto table = NewTable(world, true, false, {{"bucket", "1"}});
  Append(*table, "a", Rows({1, 2, 3}, "p", "x"));
  auto slow = table->NewWriter("slow");
  WriteRows(*slow, Rows({4}, "p", "x"));
  Committable prepared = slow->PrepareCommit();
  TableSchema next = table->schema();
  next.id = 1;
  next.options["bucket"] = "4";
  world.disk.Overwrite("t/schema/schema-1", SchemaToJson(next));
  auto rescaled = Table::Open(world.context(), "t");
  CHECK_THROWS_WITH_AS(Append(*rescaled, "b", Rows({9}, "p", "x")),
                       doctest::Contains("lie in 1 buckets, but 'bucket' = '4'"), Error);
  rescaled->Commit(Overwriting(*rescaled, "b", Rows({1, 2, 3}, "p", "y"), {}), "b", 1);
  CHECK(ConflictOf(*table, prepared, "slow").find("rewritten into 4 buckets") != std::string::npos);
  Append(*rescaled, "b", Rows({4, 5}, "p", "y"), 2);
  CHECK(CountRows(*rescaled) == 5);
}

TEST_CASE("An overwrite is all or nothing under an I/O failure at every point") {
  for (int fail_at = 0;; fail_at++) {
    CAPTURE(fail_at);
    TestWorld world;
    Append(*NewTable(world, true, false), "a", Rows({1, 2}, "p", "old"));
    FaultyFileSystem faulty(world.disk, {.fail_at = fail_at});
    bool done = false;
    std::string text;
    try {
      auto table = Table::Open(world.Over(faulty), "t");
      Committable committable = Overwriting(*table, "b", Rows({2, 3}, "p", "new"), {});
      text = committable.ToJson();
      table->Commit(committable, "b", 7);
      done = true;
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kIo);
    }
    auto table = Table::Open(world.context(), "t");
    std::vector<std::string> old = {"1|p|old", "2|p|old"}, next = {"2|p|new", "3|p|new"};
    std::vector<std::string> rows = ReadRows(*table);
    CHECK((rows == old || rows == next));
    if (done) CHECK(rows == next);
    if (!text.empty()) {  // The repeat finds itself, or does it.
      table->Commit(Committable::FromJson(text), "b", 7);
      CHECK(ReadRows(*table) == next);
      CHECK(table->LatestSnapshot()->id == 2);
    }
    if (done) return;
  }
}

TEST_CASE("Random histories of appends, overwrites, deletes and compactions") {
  for (uint32_t seed = 1; seed <= 12; seed++) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    TestWorld world(seed);
    bool keyed = seed % 2 == 0, partitioned = seed % 3 == 0;
    auto table =
        NewTable(world, keyed, partitioned,
                 {{"num-sorted-run.compaction-trigger", "3"}, {"manifest.merge-min-count", "3"}});
    std::multimap<std::string, std::string> model;  // Key -> row; without key: by row.
    auto put = [&](const TestRow& row) {
      std::string text = std::to_string(row.id) + "|" + row.part + "|" + row.value;
      std::string key = keyed ? (partitioned ? row.part + "|" : "") + std::to_string(row.id) : text;
      if (keyed) model.erase(key);
      model.emplace(key, text);
    };
    for (int step = 0; step < 40; step++) {
      CAPTURE(step);
      std::string user = "u" + std::to_string(step);
      std::vector<TestRow> rows;
      for (uint32_t i = random() % 6; i > 0; i--) {
        rows.push_back({RowKind::kInsert, static_cast<int64_t>(random() % 20),
                        std::string(1, static_cast<char>('p' + random() % 3)), user});
      }
      switch (random() % 5) {
        case 0:
        case 1:
          Append(*table, user, rows);
          for (const TestRow& row : rows) put(row);
          break;
        case 2: {
          OverwriteScope scope{partitioned, {}};
          table->Commit(Overwriting(*table, user, rows, scope), user, 1);
          std::set<std::string> parts;
          for (const TestRow& row : rows) parts.insert(row.part);
          std::erase_if(model, [&](const auto& item) {
            return !partitioned ||
                   parts.contains(std::string(1, item.second[item.second.find('|') + 1]));
          });
          for (const TestRow& row : rows) put(row);
          break;
        }
        case 3:
          if (!table->LatestSnapshot()) break;
          table->Commit(DeletingEven(*table, user), user, 1);
          std::erase_if(model, [](const auto& item) { return std::stoi(item.second) % 2 == 0; });
          break;
        default: {
          if (!keyed) break;
          auto compactor = table->NewWriter(user);
          compactor->CompactFully();
          table->Commit(compactor->PrepareCommit(), user, 1);
        }
      }
      std::vector<std::string> expected;
      for (const auto& [key, row] : model) expected.push_back(row);
      std::sort(expected.begin(), expected.end());
      REQUIRE(ReadRows(*table) == expected);
    }
  }
}

}  // namespace millrace
