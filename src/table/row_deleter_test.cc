// Goal: rows deleted by position are gone for every reader, and only they, through further deletes,
// races, scans of any kind and expiry. Method: random deletions by the values that positions are
// read with, against a map; deleters that race; hand-made vectors over a primary-key table.
#include <set>

#include "format/deletion_vector.h"
#include "meta/binary_row.h"
#include "table/incremental.h"
#include "table/index_store.h"
#include "table/table_fixture.h"

namespace millrace {

namespace {

constexpr const char* kFolder = "w/d.db/t";

struct Variant {
  bool partitioned;
  bool buckets;
  bool bitmap64;
};

Options VectorOptions(const Variant& variant, Options options = {}) {
  options["deletion-vectors.enabled"] = "true";
  if (variant.buckets) options.insert({{"bucket", "2"}, {"bucket-key", "id"}});
  if (variant.bitmap64) options["deletion-vectors.bitmap64"] = "true";
  return options;
}

/// Deletes the rows for which `wanted` holds. Ids of the rows deleted.
std::set<int64_t> DeleteWhere(const Table& table, RowDeleter& deleter, int64_t snapshot_id,
                              const std::function<bool(int64_t)>& wanted) {
  ScanOptions options;
  options.snapshot_id = snapshot_id;
  std::set<int64_t> ids;
  ForEachPosition(table, options,
                  [&](const Split& split, size_t file, int64_t position, int64_t id) {
                    if (!wanted(id)) return;
                    CHECK(ids.insert(id).second);
                    deleter.Delete(split, split.files.at(file), {position});
                  });
  return ids;
}

int64_t CommitDeletion(const Table& table, RowDeleter& deleter, const std::string& user,
                       int64_t identifier) {
  Committable committable;
  deleter.PrepareCommit(committable);
  return table.Commit(Committable::FromJson(committable.ToJson()), user, identifier).value_or(0);
}

std::vector<TestRow> Rows(int64_t from, int64_t to) {
  std::vector<TestRow> rows;
  for (int64_t id = from; id < to; id++) {
    rows.push_back({RowKind::kInsert, id, std::string(1, static_cast<char>('a' + id % 3)),
                    "v" + std::to_string(id)});
  }
  return rows;
}

void Append(const Table& table, TestModel& model, int64_t from, int64_t to, int64_t identifier) {
  auto writer = table.NewWriter("w");
  WriteRows(*writer, Rows(from, to));
  for (const TestRow& row : Rows(from, to)) model.Apply(row);
  table.Commit(writer->PrepareCommit(), "w", identifier);
}

void Forget(TestModel& model, const std::set<int64_t>& ids) {
  for (int64_t id : ids) {
    model.Apply({RowKind::kDelete, id, std::string(1, static_cast<char>('a' + id % 3)), ""});
  }
}

void CheckTable(const Table& table, const TestModel& model) {
  REQUIRE(ReadRows(table) == model.Rows());
  REQUIRE(CountRows(table) == model.rows.size());
  idx_t with_kinds = 0;
  ChangeChunk chunk;
  chunk.Initialize({LogicalType::BIGINT});
  for (const Split& split : table.PlanScan({})) {
    auto reader = MakeStateChangeReader(table.state(), split, {0});
    while (reader->Next(chunk)) with_kinds += chunk.size();
  }
  REQUIRE(with_kinds == model.rows.size());
}

}  // namespace

TEST_CASE("random deletions by position agree with a map") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (const Variant& variant : {Variant{false, false, false}, Variant{true, false, true},
                                 Variant{false, true, false}, Variant{true, true, true}}) {
    CAPTURE(variant.partitioned);
    CAPTURE(variant.buckets);
    TestWorld world(seed);
    Options options = VectorOptions(
        variant, {{"deletion-vector.index-file.target-size", "100 b"},  // Many index files.
                  {"snapshot.num-retained.min", "3"},
                  {"snapshot.num-retained.max", "3"}});
    auto table = Table::Create(world.context(), kFolder,
                               TestDefinition(false, variant.partitioned, options));
    TestModel model;
    for (int64_t round = 1; round <= 12; round++) {
      CAPTURE(round);
      if (round == 1 || random() % 2) Append(*table, model, round * 3000, round * 3000 + 40, round);
      int64_t at = table->LatestSnapshot()->id;
      auto deleter = table->NewRowDeleter(at);
      uint64_t salt = random();
      auto ids = DeleteWhere(*table, *deleter, at, [&](int64_t id) {
        return (static_cast<uint64_t>(id) * 2654435761U + salt) % 5 == 0;
      });
      CHECK(deleter->DeletedRows() == static_cast<int64_t>(ids.size()));
      CommitDeletion(*table, *deleter, "d", round);
      Forget(model, ids);
      CheckTable(*table, model);
      if (!ids.empty()) CHECK(table->LatestSnapshot()->commit_kind == CommitKind::kOverwrite);
      // A filter still prunes, and what it leaves is right.
      ScanOptions filtered;
      filtered.predicates.push_back({0, ColumnPredicate::Op::kLess, Value::BIGINT(6000)});
      for (const std::string& row : ReadRows(*table, filtered)) {
        CHECK(model.rows.size() > 0);
        CHECK(std::find_if(model.rows.begin(), model.rows.end(), [&](const auto& item) {
                return item.second == row;
              }) != model.rows.end());
      }
    }
    CheckWhole(*table);
    // No index file that no snapshot names is left over.
    std::set<std::string> named;
    TableState state(world.context(), kFolder);
    for (int64_t id = *table->EarliestSnapshotId(); auto snapshot = table->FindSnapshot(id); id++) {
      for (const auto& entry : ReadIndexEntries(state, *snapshot)) named.insert(entry.file_name);
    }
    for (const FileEntry& file : world.disk.List(std::string(kFolder) + "/index")) {
      CHECK(named.contains(file.name));
    }
  }
}

TEST_CASE("large files with many deletions are read right over row groups") {
  TestWorld world;
  auto table = Table::Create(world.context(), kFolder,
                             TestDefinition(false, false, VectorOptions({false, false, false})));
  TestModel model;
  Append(*table, model, 0, 260'000, 1);
  auto deleter = table->NewRowDeleter(1);
  auto ids = DeleteWhere(*table, *deleter, 1, [](int64_t id) {
    return id % 1000 == 7 || (id > 100'000 && id < 130'000) || id == 259'999;
  });
  CommitDeletion(*table, *deleter, "d", 1);
  Forget(model, ids);
  CHECK(CountRows(*table) == model.rows.size());
  ScanOptions options;
  options.predicates.push_back({0, ColumnPredicate::Op::kGreater, Value::BIGINT(245'000)});
  std::vector<std::string> found, expected;  // Row groups before are skipped.
  for (const std::string& row : ReadRows(*table, options)) {
    if (std::stoll(row) > 245'000) found.push_back(row);
  }
  for (const std::string& row : model.Rows()) {
    if (std::stoll(row) > 245'000) expected.push_back(row);
  }
  CHECK(found == expected);
}

TEST_CASE("deleters of different files pass each other, those of one file do not") {
  for (bool buckets : {false, true}) {
    for (bool same_file : {false, true}) {
      CAPTURE(buckets);
      CAPTURE(same_file);
      TestWorld world;
      Options options = VectorOptions({false, buckets, false});
      if (buckets) options["bucket"] = "1";
      auto table = Table::Create(world.context(), kFolder, TestDefinition(false, false, options));
      TestModel model;
      Append(*table, model, 0, 10, 1);
      Append(*table, model, 10, 20, 2);
      auto first = table->NewRowDeleter(2);  // Both files have vectors in one index file.
      Forget(model, DeleteWhere(*table, *first, 2, [](int64_t id) { return id % 10 == 0; }));
      CommitDeletion(*table, *first, "d", 1);
      auto one = table->NewRowDeleter(3), two = table->NewRowDeleter(3);
      auto ids = DeleteWhere(*table, *one, 3, [](int64_t id) { return id == 1; });
      auto more =
          DeleteWhere(*table, *two, 3, [&](int64_t id) { return id == (same_file ? 2 : 12); });
      CommitDeletion(*table, *one, "one", 1);
      Forget(model, ids);
      if (same_file) {
        CHECK_THROWS_WITH_AS(CommitDeletion(*table, *two, "two", 1),
                             doctest::Contains("have been deleted meanwhile"), Error);
      } else {
        CommitDeletion(*table, *two, "two", 1);
        Forget(model, more);
      }
      CheckTable(*table, model);
    }
  }
}

TEST_CASE("a deletion and new rows are one commit; streams skip it") {
  TestWorld world;
  auto table = Table::Create(world.context(), kFolder,
                             TestDefinition(false, false, VectorOptions({false, false, false})));
  TestModel model;
  Append(*table, model, 0, 10, 1);
  auto deleter = table->NewRowDeleter(1);
  auto ids = DeleteWhere(*table, *deleter, 1, [](int64_t id) { return id == 3; });
  auto writer = table->NewWriter("u");
  WriteRows(*writer, {{RowKind::kInsert, 3, "a", "new"}});
  Committable committable = writer->PrepareCommit();
  deleter->PrepareCommit(committable);
  CHECK(committable.buckets.size() == 1);
  CHECK(table->Commit(committable, "u", 1) == 2);
  Forget(model, ids);
  model.Apply({RowKind::kInsert, 3, "a", "new"});
  CheckTable(*table, model);
  CHECK(table->PlanChanges(2)->splits.empty());
  ScanOptions before;
  before.snapshot_id = 1;
  CHECK(ReadRows(*table, before).size() == 10);
  // Rows can be deleted again after their file has got a vector; telling a row twice is no harm.
  auto again = table->NewRowDeleter(2);
  auto more = DeleteWhere(*table, *again, 2, [](int64_t id) { return id == 3 || id == 4; });
  CHECK(again->DeletedRows() == 2);
  CommitDeletion(*table, *again, "u", 2);
  Forget(model, more);
  model.Apply({RowKind::kDelete, 3, "a", ""});
  CheckTable(*table, model);
}

TEST_CASE("who cannot have rows deleted by position is told what to do") {
  TestWorld world;
  auto plain = Table::Create(world.context(), "w/d.db/plain", TestDefinition(false, false));
  CHECK_THROWS_WITH_AS(plain->NewRowDeleter(1),
                       doctest::Contains("set the option 'deletion-vectors.enabled'"), Error);
  auto keyed = Table::Create(world.context(), "w/d.db/keyed", TestDefinition(true, false));
  CHECK_THROWS_WITH_AS(keyed->NewRowDeleter(1), doctest::Contains("write deletes by key"), Error);
  auto table = Table::Create(world.context(), kFolder,
                             TestDefinition(false, false, VectorOptions({false, false, false})));
  CHECK_THROWS_WITH_AS(table->NewRowDeleter(7), doctest::Contains("snapshot 7 has expired"), Error);
}

// As Paimon's compaction leaves a primary-key table: old versions of rows are deleted in their
// files, level 0 waits.
TEST_CASE("a primary-key table with deletion vectors is read raw, without level 0") {
  TestWorld world;
  auto table =
      Table::Create(world.context(), kFolder, TestDefinition(true, false, {{"bucket", "1"}}));
  auto writer = table->NewWriter("u");
  WriteRows(*writer, Rows(0, 10));
  writer->CompactFully();
  table->Commit(writer->PrepareCommit(), "u", 1);
  std::vector<Split> splits = table->PlanScan({});
  REQUIRE(splits.size() == 1);
  REQUIRE(splits[0].files.size() == 1);
  DeletionVectors vectors;
  vectors[splits[0].files[0].file_name].Add(4);
  IndexManifestEntry entry;
  entry.partition = EmptyRow();
  entry.index_type = kDeletionVectorsIndex;
  entry.row_count = 1;
  TableState state(world.context(), kFolder);
  IndexFileWriter index_writer(state);
  index_writer.Write(EncodeDeletionVectors(vectors, false, entry.deletion_vectors.emplace()),
                     entry);
  Committable committable;
  BucketChange change;
  change.partition = EmptyRow();
  change.total_buckets = 1;
  change.compact_index_changes.push_back(entry);
  committable.buckets.push_back(change);
  table->Commit(committable, "v", 1);
  WriteRows(*writer, Rows(20, 22));
  table->Commit(writer->PrepareCommit(), "u", 2);
  Options vectors_on = {{"deletion-vectors.enabled", "true"}};
  auto reading = Table::Open(world.context(), kFolder, vectors_on);
  std::vector<std::string> rows = ReadRows(*reading);
  CHECK(rows.size() == 9);
  CHECK(CountRows(*reading) == 9);
  for (const Split& split : reading->PlanScan({})) CHECK(split.raw);
  CHECK(std::none_of(rows.begin(), rows.end(), [](auto& row) { return row.starts_with("4|"); }));
  // The difference of the states before and after is the deleted row.
  Options between = {{"deletion-vectors.enabled", "true"}, {"incremental-between", "2,3"}};
  between["incremental-between-scan-mode"] = "diff";
  auto comparing = Table::Open(world.context(), kFolder, between);
  IncrementalRange range = ResolveScanStart(comparing->state(), false).incremental;
  std::vector<std::string> changes;
  ChangeChunk chunk;
  chunk.Initialize({LogicalType::BIGINT});
  for (const IncrementalSplit& split : PlanIncremental(comparing->state(), range)) {
    auto reader = ReadIncremental(comparing->state(), split, {0}, true);
    while (reader->Next(chunk)) {
      for (idx_t i = 0; i < chunk.size(); i++) {
        changes.push_back(RowKindName(chunk.KindOf(i)) + chunk.rows.GetValue(0, i).ToString());
      }
    }
  }
  CHECK(changes == std::vector<std::string>{"-D4"});
  CheckWhole(*reading);
  // Damage to the vectors is told by name.
  std::string path = std::string(kFolder) + "/index/" + entry.file_name;
  std::string bytes = world.disk.Read(path);
  bytes[bytes.size() - 6] ^= 1;
  world.disk.Overwrite(path, bytes);
  CHECK_THROWS_WITH_AS(ReadRows(*reading), doctest::Contains(entry.file_name.c_str()), Error);
}

}  // namespace millrace
