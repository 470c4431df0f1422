// Goal: of two ALTERs at once none is lost, a failing one leaves the table as it was, and who reads
// or writes with the older schema neither loses nor sees what is new. Method: a second ALTER in the
// middle of the first; the n-th file operation fails; two writers of different schemas and
// compactions.
#include "table/alter_table.h"

#include "io/faulty_file_system.h"
#include "table/table_fixture.h"

namespace millrace {

namespace {

std::vector<SchemaChange> Adding(const std::string& name) {
  return {AddColumn{{name}, ParseDataType("STRING")}};
}

std::shared_ptr<const TableSchema> Add(TestWorld& world, const std::string& name) {
  return AlterTableSchema(world.context(), "t", "t",
                          [&](const TableSchema&) { return Adding(name); });
}

/// All columns of all rows, as text, sorted.
std::vector<std::string> AllRows(const Table& table) {
  ScanOptions options;
  for (idx_t i = 0; i < table.schema().fields.size(); i++) options.columns.push_back(i);
  std::vector<std::string> rows;
  for (const Split& split : table.PlanScan(options)) {
    auto reader = table.ReadSplit(split, options);
    DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), table.schema().DuckTypes());
    for (chunk.Reset(); reader->Next(chunk); chunk.Reset()) {
      for (idx_t row = 0; row < chunk.size(); row++) {
        std::string text;
        for (idx_t c = 0; c < chunk.ColumnCount(); c++)
          text += (c ? "|" : "") + chunk.GetValue(c, row).ToString();
        rows.push_back(text);
      }
    }
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

/// Rows of a table with one more column than the fixture's.
void WriteWide(const Table& table, const std::string& user, int64_t id, const std::string& extra) {
  auto writer = table.NewWriter(user);
  ChangeChunk chunk;
  chunk.Initialize(table.schema().DuckTypes());
  chunk.rows.SetValue(0, 0, Value::BIGINT(id));
  chunk.rows.SetValue(1, 0, Value("p"));
  chunk.rows.SetValue(2, 0, Value("wide"));
  chunk.rows.SetValue(3, 0, Value(extra));
  chunk.rows.SetCardinality(1);
  writer->Write(chunk);
  table.Commit(writer->PrepareCommit(), user, 1);
}

}  // namespace

TEST_CASE("Of two ALTERs at once both are made, one on top of the other") {
  TestWorld world;
  Table::Create(world.context(), "t", TestDefinition(true, false));
  int asked = 0;
  auto schema = AlterTableSchema(
      world.context(), "t", "t",
      [&](const TableSchema&) {
        asked++;
        return Adding("mine");
      },
      [&](const TableSchema& next) {
        if (next.id == 1) Add(world, "theirs");
      });
  CHECK(asked == 2);
  CHECK(schema->id == 2);
  REQUIRE(schema->fields.size() == 5);
  CHECK(schema->fields[3].name == "theirs");
  CHECK(schema->fields[4].id == 4);
  CHECK_THROWS_WITH_AS(Add(world, "mine"), doctest::Contains("there is a column 'mine' already"),
                       Error);
  // Nothing to change: no new version.
  auto same = AlterTableSchema(world.context(), "t", "t",
                               [](const TableSchema&) { return std::vector<SchemaChange>(); });
  CHECK(same->id == 2);
}

TEST_CASE("An ALTER is all or nothing under an I/O failure at every point") {
  for (int fail_at = 0;; fail_at++) {
    CAPTURE(fail_at);
    TestWorld world;
    Table::Create(world.context(), "t", TestDefinition(true, false));
    FaultyFileSystem faulty(world.disk, {.fail_at = fail_at});
    bool done = false;
    try {
      AlterTableSchema(world.Over(faulty), "t", "t",
                       [](const TableSchema&) { return Adding("x"); });
      done = true;
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kIo);
    }
    size_t columns = Table::Open(world.context(), "t")->schema().fields.size();
    CHECK((columns == 4 || (!done && columns == 3)));
    if (done) return;
  }
}

TEST_CASE("An older writer leaves alone what a newer one has added") {
  TestWorld world;
  auto old =
      Table::Create(world.context(), "t",
                    TestDefinition(true, false, {{"num-sorted-run.compaction-trigger", "2"}}));
  auto writer = old->NewWriter("old");
  auto write = [&](int64_t id, int64_t checkpoint) {
    WriteRows(*writer, {{RowKind::kInsert, id, "p", "old"}});
    old->Commit(writer->PrepareCommit(), "old", checkpoint);
  };
  write(1, 1);
  Add(world, "extra");
  auto wide = Table::Open(world.context(), "t");
  WriteWide(*wide, "new", 2, "kept");
  for (int64_t checkpoint = 2; checkpoint < 8; checkpoint++) write(10 + checkpoint, checkpoint);
  auto rows = AllRows(*wide);
  CHECK(rows.size() == 8);
  CHECK(std::count(rows.begin(), rows.end(), "2|p|wide|kept") == 1);
  CHECK(std::count(rows.begin(), rows.end(), "1|p|old|NULL") == 1);
  // Its own view has no such column, but all rows.
  CHECK(AllRows(*old).size() == 8);
  // The newer writer compacts both.
  auto compactor = wide->NewWriter("new");
  compactor->CompactFully();
  wide->Commit(compactor->PrepareCommit(), "new", 2);
  CHECK(wide->LatestSnapshot()->commit_kind == CommitKind::kCompact);
  CHECK(AllRows(*wide) == rows);
}

TEST_CASE("A reader that began before a column got another type is told when values may not fit") {
  TestWorld world;
  auto old = Table::Create(world.context(), "t", TestDefinition(true, false));
  AlterTableSchema(world.context(), "t", "t", [](const TableSchema&) {
    return std::vector<SchemaChange>{ChangeColumnType{{"value"}, ParseDataType("BYTES"), true}};
  });
  auto next = Table::Open(world.context(), "t");
  auto writer = next->NewWriter("w");
  ChangeChunk chunk;
  chunk.Initialize(next->schema().DuckTypes());
  chunk.rows.SetValue(0, 0, Value::BIGINT(1));
  chunk.rows.SetValue(1, 0, Value("p"));
  chunk.rows.SetValue(2, 0, Value::BLOB("\\xFF"));
  chunk.rows.SetCardinality(1);
  writer->Write(chunk);
  next->Commit(writer->PrepareCommit(), "w", 1);
  CHECK(AllRows(*next).size() == 1);
  CHECK_THROWS_WITH_AS(AllRows(*old),
                       doctest::Contains("'value' was STRING when reading began and is BYTES now"),
                       Error);
}

}  // namespace millrace
