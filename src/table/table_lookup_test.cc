// Goal: a point lookup finds what a scan of the same snapshot finds, for every key, engine, bucket
// mode and memory budget, while the table goes on. Method: random histories; after each commit
// random keys, there or not, looked up in chunks and compared with the scan; a writer in another
// thread, whose states a map knows; deletion vectors made by hand.
#include "table/table_lookup.h"

#include <atomic>
#include <mutex>
#include <thread>

#include "format/deletion_vector.h"
#include "meta/binary_row.h"
#include "table/alter_table.h"
#include "table/index_store.h"
#include "table/overwrite.h"
#include "table/table_fixture.h"

namespace millrace {

namespace {

constexpr const char* kFolder = "w/d.db/t";

std::shared_ptr<TableState> OpenState(TestWorld& world) {
  auto state = std::make_shared<TableState>(world.context(), kFolder);
  state->schema = *state->schemas.Latest();
  state->options = state->schema.options;
  state->parsed = ParseTableOptions(state->schema, state->options);
  return state;
}

/// "part|id" -> row, as a scan has it.
std::map<std::pair<std::string, int64_t>, std::string> ScanByKey(const Table& table,
                                                                 bool partitioned) {
  std::map<std::pair<std::string, int64_t>, std::string> rows;
  for (const std::string& row : ReadRows(table)) {
    size_t first = row.find('|'), second = row.find('|', first + 1);
    std::string part = partitioned ? row.substr(first + 1, second - first - 1) : "";
    CHECK(rows.emplace(std::pair(part, std::stoll(row)), row).second);
  }
  return rows;
}

struct Variant {
  bool partitioned;
  Options options;
};

class LookupCheck {
 public:
  LookupCheck(TestWorld& world, const Table& table, const Variant& variant, int64_t memory_bytes,
              int64_t disk_bytes)
      : table_(table), variant_(variant) {
    LookupOptions options;
    options.columns = {2, 0, 1};
    options.folder = "local";
    options.memory_bytes = memory_bytes;
    options.disk_bytes = disk_bytes;
    lookup_ = std::make_unique<TableLookup>(OpenState(world), options);
  }

  void Check(std::mt19937_64& random, int64_t ids) {
    CHECK(lookup_->Refresh() == table_.LatestSnapshot()->id);
    auto expected = ScanByKey(table_, variant_.partitioned);
    duckdb::vector<LogicalType> key_types = {LogicalType::BIGINT};
    if (variant_.partitioned) key_types = {LogicalType::VARCHAR, LogicalType::BIGINT};
    DataChunk keys, rows;
    keys.Initialize(duckdb::Allocator::DefaultAllocator(), key_types);
    rows.Initialize(duckdb::Allocator::DefaultAllocator(), lookup_->Types());
    for (idx_t size : {idx_t{1}, idx_t{1}, idx_t{40}, kChunkRows}) {
      keys.Reset();
      std::vector<std::pair<std::string, int64_t>> asked;
      for (idx_t i = 0; i < size; i++) {
        int64_t id = static_cast<int64_t>(random() % static_cast<uint64_t>(ids + ids / 5));
        std::string part = variant_.partitioned ? std::string(1, "abcd"[random() % 4]) : "";
        if (variant_.partitioned) keys.SetValue(0, i, Value(part));
        keys.SetValue(variant_.partitioned ? 1 : 0, i, Value::BIGINT(id));
        asked.emplace_back(part, id);
      }
      keys.SetCardinality(size);
      SelectionVector found(kChunkRows);
      idx_t count = lookup_->Find(keys, rows, found);
      REQUIRE(rows.size() == count);
      std::vector<std::pair<idx_t, std::string>> answers, right;
      for (idx_t i = 0; i < count; i++) {
        answers.emplace_back(found.get_index(i), rows.GetValue(1, i).ToString() + "|" +
                                                     rows.GetValue(2, i).ToString() + "|" +
                                                     rows.GetValue(0, i).ToString());
      }
      for (idx_t i = 0; i < size; i++) {
        auto row = expected.find(asked[i]);
        if (row != expected.end()) right.emplace_back(i, row->second);
      }
      REQUIRE(answers == right);
    }
  }

 private:
  const Table& table_;
  const Variant& variant_;
  std::unique_ptr<TableLookup> lookup_;
};

std::vector<TestRow> RandomRows(std::mt19937_64& random, const Variant& variant, int64_t ids,
                                bool deletes) {
  std::vector<TestRow> rows;
  for (uint64_t n = random() % 200 + 1; n > 0; n--) {
    int64_t id = static_cast<int64_t>(random() % static_cast<uint64_t>(ids));
    std::string part(1, variant.partitioned ? "abc"[id % 3] : 'x');
    RowKind kind = deletes && random() % 5 == 0 ? RowKind::kDelete : RowKind::kInsert;
    rows.push_back({kind, id, part, std::to_string(random() % 1000)});
  }
  return rows;
}

/// One key looked up: "value", or "" when it is not there.
std::string ValueOf(TableLookup& lookup, int64_t id) {
  DataChunk keys, rows;
  keys.Initialize(duckdb::Allocator::DefaultAllocator(), {LogicalType::BIGINT});
  rows.Initialize(duckdb::Allocator::DefaultAllocator(), lookup.Types());
  keys.SetValue(0, 0, Value::BIGINT(id));
  keys.SetCardinality(1);
  SelectionVector found(kChunkRows);
  return lookup.Find(keys, rows, found) ? rows.GetValue(0, 0).ToString() : "";
}

LookupOptions ValueColumn() {
  LookupOptions options;
  options.columns = {2};
  options.folder = "local";
  return options;
}

}  // namespace

TEST_CASE("lookups agree with scans over random histories") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::vector<Variant> variants = {
      {false, {}},
      {true, {{"bucket", "2"}}},
      {false, {{"bucket", "3"}, {"sequence.field", "value"}}},
      {false, {{"sequence.field", "value"}, {"sequence.field.sort-order", "descending"}}},
      {true, {{"dynamic-bucket.target-row-num", "30"}}},
      {false, {{"merge-engine", "first-row"}}},
      {false, {{"merge-engine", "partial-update"}, {"ignore-delete", "true"}}},
      {false, {{"merge-engine", "aggregation"}, {"fields.value.aggregate-function", "max"}}},
      {false, {{"ignore-delete", "true"}}}};
  for (size_t number = 0; number < variants.size(); number++) {
    CAPTURE(number);
    const Variant& variant = variants[number];
    TestWorld world(seed + number);
    std::mt19937_64 random(seed + number);
    Options options = variant.options;
    options["num-sorted-run.compaction-trigger"] = "4";
    options["snapshot.num-retained.min"] = "2";
    options["snapshot.num-retained.max"] = "2";
    auto table =
        Table::Create(world.context(), kFolder, TestDefinition(true, variant.partitioned, options));
    bool deletes = variant.options.count("merge-engine") == 0;
    auto writer = table->NewWriter("u");
    int64_t memory = random() % 2 ? 64 << 20 : 6'000;  // Most files and blocks do not stay.
    WriteRows(*writer, RandomRows(random, variant, 300, false));
    table->Commit(writer->PrepareCommit(), "u", 1);
    int64_t disk = random() % 2 ? 1LL << 30 : 20'000;
    LookupCheck check(world, *table, variant, memory, disk);
    for (int64_t commit = 2; commit <= 9; commit++) {
      CAPTURE(commit);
      WriteRows(*writer, RandomRows(random, variant, 300, deletes));
      if (random() % 4 == 0) writer->CompactFully();
      Committable committable = writer->PrepareCommit();
      // A table whose buckets are told apart by an index is replaced with a writer of its own.
      if (random() % 5 == 0 && !variant.options.contains("dynamic-bucket.target-row-num")) {
        writer = table->NewWriter("u", {.overwrite = true});
        WriteRows(*writer, RandomRows(random, variant, 300, false));
        committable = writer->PrepareCommit();
        committable.overwrite = OverwriteScope{variant.partitioned && random() % 2 == 0, {}};
        writer = table->NewWriter("u");
      }
      table->Commit(committable, "u", commit);
      check.Check(random, 300);
      int64_t on_disk = 0;
      for (const FileEntry& folder : world.disk.List("local")) {
        for (const FileEntry& file : world.disk.List("local/" + folder.name)) on_disk += file.size;
      }
      CHECK(on_disk <= disk);
    }
  }
}

TEST_CASE(
    "a lookup whose files expire goes on with the newest snapshot, and leaves nothing behind") {
  TestWorld world;
  auto table = Table::Create(
      world.context(), kFolder,
      TestDefinition(true, false,
                     {{"snapshot.num-retained.min", "1"}, {"snapshot.num-retained.max", "1"}}));
  auto writer = table->NewWriter("u");
  auto commit = [&](int64_t identifier, const std::string& value) {
    WriteRows(*writer, {{RowKind::kInsert, 7, "p", value}});
    writer->CompactFully();
    table->Commit(writer->PrepareCommit(), "u", identifier);
  };
  commit(1, "old");
  {
    TableLookup lookup(OpenState(world), ValueColumn());
    CHECK(lookup.snapshot_id() == 0);
    lookup.Refresh();
    commit(2, "new");
    commit(3, "newest");
    CHECK(ValueOf(lookup, 7) == "newest");
    CHECK(lookup.snapshot_id() == table->LatestSnapshot()->id);
    CHECK(world.disk.List("local").size() == 1);
  }
  CHECK(world.disk.List("local").empty());
}

TEST_CASE("lookups beside a writer that commits, compacts and expires see one state at a time") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  TestWorld world(seed);
  Options options = {{"bucket", "2"},
                     {"num-sorted-run.compaction-trigger", "3"},
                     {"snapshot.num-retained.min", "2"},
                     {"snapshot.num-retained.max", "2"}};
  auto table = Table::Create(world.context(), kFolder, TestDefinition(true, false, options));
  constexpr int64_t kIds = 400;
  std::mutex mutex;
  std::map<int64_t, int64_t> commit_of;                   // By snapshot; a commit may publish two.
  std::vector<std::map<int64_t, std::string>> states(1);  // By commit.
  std::atomic<bool> done{false};
  auto write = [&] {
    std::mt19937_64 random(seed + 1);
    auto writer = table->NewWriter("u");
    for (int64_t commit = 1; commit <= 60; commit++) {
      std::map<int64_t, std::string> state = states.back();
      std::vector<TestRow> rows;
      for (uint64_t n = random() % 60 + 1; n > 0; n--) {
        int64_t id = static_cast<int64_t>(random() % kIds);
        bool is_delete = random() % 4 == 0;
        std::string value = std::to_string(commit) + "-" + std::to_string(random() % 100);
        rows.push_back({is_delete ? RowKind::kDelete : RowKind::kInsert, id, "p", value});
        if (is_delete) {
          state.erase(id);
        } else {
          state[id] = value;
        }
      }
      WriteRows(*writer, rows);
      Committable committable = writer->PrepareCommit();
      std::lock_guard lock(mutex);
      int64_t before = table->LatestSnapshot() ? table->LatestSnapshot()->id : 0;
      int64_t last = *table->Commit(committable, "u", commit);
      states.push_back(std::move(state));
      for (int64_t id = before + 1; id <= last; id++) commit_of[id] = commit;
    }
    done = true;
  };
  std::mt19937_64 random(seed + 2);
  int64_t looked_up = 0;
  {
    std::unique_ptr<TableLookup> made = MakeTableLookup(table, ValueColumn());
    TableLookup& lookup = *made;
    std::thread writer(write);
    std::vector<std::pair<int64_t, std::string>> wrong;
    for (bool last = false; !last && wrong.empty();) {
      last = done;
      if (random() % 4 == 0 || last) lookup.Refresh();
      DataChunk keys, rows;
      keys.Initialize(duckdb::Allocator::DefaultAllocator(), {LogicalType::BIGINT});
      rows.Initialize(duckdb::Allocator::DefaultAllocator(), lookup.Types());
      std::vector<int64_t> asked;
      for (idx_t i = 0; i < 50; i++) {
        asked.push_back(static_cast<int64_t>(random() % kIds));
        keys.SetValue(0, i, Value::BIGINT(asked.back()));
      }
      keys.SetCardinality(asked.size());
      SelectionVector found(kChunkRows);
      idx_t count = lookup.Find(keys, rows, found);
      std::vector<std::string> answers(asked.size());
      for (idx_t i = 0; i < count; i++) {
        answers[found.get_index(i)] = rows.GetValue(0, i).ToString();
      }
      std::lock_guard lock(mutex);
      const auto& state =
          states[lookup.snapshot_id() ? static_cast<size_t>(commit_of.at(lookup.snapshot_id()))
                                      : 0];
      for (size_t i = 0; i < asked.size(); i++, looked_up++) {
        auto row = state.find(asked[i]);
        if (answers[i] != (row == state.end() ? "" : row->second)) {
          wrong.emplace_back(asked[i], answers[i]);
        }
      }
    }
    writer.join();
    CHECK(wrong.empty());
    CHECK(lookup.snapshot_id() == table->LatestSnapshot()->id);
  }
  CHECK(looked_up >= 50);
}

TEST_CASE("rows that a deletion vector hides are not found; level 0 waits") {
  TestWorld world;
  auto table =
      Table::Create(world.context(), kFolder, TestDefinition(true, false, {{"bucket", "1"}}));
  auto writer = table->NewWriter("u");
  std::vector<TestRow> rows;
  for (int64_t id = 0; id < 100; id++) rows.push_back({RowKind::kInsert, id, "p", "old"});
  WriteRows(*writer, rows);
  writer->CompactFully();
  table->Commit(writer->PrepareCommit(), "u", 1);
  auto reading = std::make_shared<TableState>(world.context(), kFolder);
  reading->schema = *reading->schemas.Latest();
  reading->options = {{"deletion-vectors.enabled", "true"}};
  reading->parsed = ParseTableOptions(reading->schema, reading->options);
  TableLookup lookup(reading, ValueColumn());
  CHECK(ValueOf(lookup, 4) == "old");
  DeletionVectors vectors;
  for (const Split& split : table->PlanScan({})) vectors[split.files.at(0).file_name].Add(4);
  IndexManifestEntry entry;
  entry.partition = EmptyRow();
  entry.index_type = kDeletionVectorsIndex;
  entry.row_count = 1;
  IndexFileWriter index_writer(*reading);
  index_writer.Write(EncodeDeletionVectors(vectors, false, entry.deletion_vectors.emplace()),
                     entry);
  Committable committable;
  BucketChange change;
  change.partition = EmptyRow();
  change.total_buckets = 1;
  change.compact_index_changes.push_back(entry);
  committable.buckets.push_back(change);
  table->Commit(committable, "v", 1);
  WriteRows(*writer, {{RowKind::kInsert, 5, "p", "new"}, {RowKind::kInsert, 200, "p", "new"}});
  table->Commit(writer->PrepareCommit(), "u", 2);
  CHECK(ValueOf(lookup, 4) == "old");  // As of the snapshot that it is at.
  lookup.Refresh();
  CHECK(ValueOf(lookup, 4) == "");
  CHECK(ValueOf(lookup, 5) == "old");
  CHECK(ValueOf(lookup, 200) == "");
}

TEST_CASE("a lookup goes on over ALTER with the columns that it began with") {
  TestWorld world;
  auto table = Table::Create(world.context(), kFolder, TestDefinition(true, false));
  auto writer = table->NewWriter("u");
  WriteRows(*writer, {{RowKind::kInsert, 1, "p", "one"}, {RowKind::kInsert, 2, "p", "two"}});
  table->Commit(writer->PrepareCommit(), "u", 1);
  TableLookup lookup(OpenState(world), ValueColumn());
  CHECK(ValueOf(lookup, 1) == "one");
  AlterTableSchema(world.context(), kFolder, "t", [](const TableSchema&) {
    return std::vector<SchemaChange>{RenameColumn{{"value"}, "text"},
                                     AddColumn{{"more"}, ParseDataType("INT")}};
  });
  auto altered = Table::Open(world.context(), kFolder);
  auto next = altered->NewWriter("w");
  ChangeChunk chunk;
  chunk.Initialize(altered->schema().DuckTypes());
  for (idx_t i = 0; i < 2; i++) {
    chunk.rows.SetValue(0, i, Value::BIGINT(i ? 3 : 1));
    chunk.rows.SetValue(1, i, Value("p"));
    chunk.rows.SetValue(2, i, Value("renamed"));
    chunk.rows.SetValue(3, i, Value::INTEGER(7));
  }
  chunk.rows.SetCardinality(2);
  next->Write(chunk);
  altered->Commit(next->PrepareCommit(), "w", 1);
  lookup.Refresh();
  CHECK(ValueOf(lookup, 1) == "renamed");
  CHECK(ValueOf(lookup, 2) == "two");
  CHECK(ValueOf(lookup, 3) == "renamed");
  LookupOptions options = ValueColumn();
  options.columns = {3};
  TableLookup newer(OpenState(world), options);
  CHECK(ValueOf(newer, 1) == "7");
  CHECK(ValueOf(newer, 2) == "NULL");  // A row of before the column.
}

TEST_CASE("a table without a primary key is refused") {
  TestWorld world;
  Table::Create(world.context(), "w/d.db/append", TestDefinition(false, false));
  auto append = std::make_shared<TableState>(world.context(), "w/d.db/append");
  append->schema = *append->schemas.Latest();
  append->parsed = ParseTableOptions(append->schema, {});
  CHECK_THROWS_WITH_AS(TableLookup(append, ValueColumn()),
                       doctest::Contains("it has no primary key"), Error);
}

}  // namespace millrace
