// Goal: index files come, stay and go with the snapshots that name them, and a commit whose index
// changes somebody else has overtaken is refused. Method: hand-made index files in commits of a
// small table, raced against each other, against compactions and against failing disks.
#include "io/faulty_file_system.h"
#include "meta/binary_row.h"
#include "table/manifest_store.h"
#include "table/table_fixture.h"

namespace millrace {

namespace {

constexpr const char* kFolder = "w/d.db/t";

IndexManifestEntry MakeIndex(TestWorld& world, const std::string& name,
                             const char* type = kHashIndex) {
  std::string bytes = "content of " + name;
  auto file = world.disk.OpenForWrite(std::string(kFolder) + "/index/" + name);
  file->Append(bytes);
  file->Close();
  IndexManifestEntry entry;
  entry.partition = EmptyRow();
  entry.index_type = type;
  entry.file_name = name;
  entry.file_size = static_cast<int64_t>(bytes.size());
  entry.row_count = 3;
  return entry;
}

IndexManifestEntry Removal(IndexManifestEntry entry) {
  entry.kind = FileKind::kDelete;
  return entry;
}

IndexManifestEntry WithVector(IndexManifestEntry entry, const std::string& data_file) {
  entry.deletion_vectors = {{data_file, 1, 24, 2}};
  return entry;
}

Committable IndexOnly(std::vector<IndexManifestEntry> changes, int number = 0) {
  BucketChange bucket;
  bucket.partition = EmptyRow();
  bucket.bucket = number;
  bucket.total_buckets = 8;
  bucket.index_changes = std::move(changes);
  Committable committable;
  committable.buckets.push_back(std::move(bucket));
  return Committable::FromJson(committable.ToJson());
}

std::vector<std::string> IndexNames(const Table& table, int64_t id) {
  auto snapshot = table.FindSnapshot(id);
  REQUIRE(snapshot);
  std::vector<std::string> names;
  if (!snapshot->index_manifest) return names;
  ManifestStore manifests(table.context().files, kFolder);
  for (const auto& entry : manifests.ReadIndex(*snapshot->index_manifest)) {
    CHECK(entry.kind == FileKind::kAdd);
    names.push_back(entry.file_name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

using Names = std::vector<std::string>;

std::vector<TestRow> Rows(int64_t from, int64_t to) {
  std::vector<TestRow> rows;
  for (int64_t id = from; id < to; id++) rows.push_back({RowKind::kInsert, id, "p", "v"});
  return rows;
}

std::vector<DataFileMeta> LiveFiles(const Table& table) {
  std::vector<DataFileMeta> files;
  for (const Split& split : table.PlanScan({})) {
    files.insert(files.end(), split.files.begin(), split.files.end());
  }
  return files;
}

}  // namespace

TEST_CASE("index changes survive the way through a checkpoint") {
  TestWorld world;
  IndexManifestEntry hash = MakeIndex(world, "index-a-0");
  IndexManifestEntry vectors =
      WithVector(MakeIndex(world, "index-a-1", kDeletionVectorsIndex), "f");
  vectors.external_path = "s3://elsewhere/index-a-1";
  Committable committable = IndexOnly({hash, Removal(vectors)});
  REQUIRE(committable.buckets.size() == 1);
  CHECK(committable.buckets[0].index_changes ==
        std::vector<IndexManifestEntry>{hash, Removal(vectors)});
  CHECK_FALSE(committable.Empty());
  // What an earlier version has prepared is still taken.
  std::string old = Committable().ToJson();
  auto at = old.find("\"version\":2");
  REQUIRE(at != std::string::npos);
  old.replace(at, 11, "\"version\":1");
  CHECK(Committable::FromJson(old).Empty());
  old.replace(at, 11, "\"version\":3");
  CHECK_THROWS_WITH_AS(Committable::FromJson(old), doctest::Contains("of version 3"), Error);
}

TEST_CASE("an index file is carried on until a commit replaces it") {
  TestWorld world;
  auto table =
      Table::Create(world.context(), kFolder, TestDefinition(true, false, {{"bucket", "1"}}));
  IndexManifestEntry first = MakeIndex(world, "index-a-0");
  table->Commit(IndexOnly({first}), "u", 1);
  CHECK(table->LatestSnapshot()->commit_kind == CommitKind::kAppend);
  CHECK(table->LatestSnapshot()->delta_record_count == 0);
  CHECK(IndexNames(*table, 1) == Names{"index-a-0"});
  auto writer = table->NewWriter("u");
  WriteRows(*writer, Rows(0, 5));
  table->Commit(writer->PrepareCommit(), "u", 2);
  CHECK(table->FindSnapshot(2)->index_manifest == table->FindSnapshot(1)->index_manifest);
  table->Commit(IndexOnly({MakeIndex(world, "index-a-1"), Removal(first)}), "u", 3);
  CHECK(IndexNames(*table, 3) == Names{"index-a-1"});
  CHECK(IndexNames(*table, 2) == Names{"index-a-0"});
  // A repeat finds itself.
  CHECK(table->Commit(IndexOnly({MakeIndex(world, "index-a-1"), Removal(first)}), "u", 3) == 3);
}

TEST_CASE("index changes that somebody else has overtaken are refused by name") {
  TestWorld world;
  auto table =
      Table::Create(world.context(), kFolder, TestDefinition(true, false, {{"bucket", "1"}}));
  IndexManifestEntry first = MakeIndex(world, "index-a-0");
  table->Commit(IndexOnly({first}), "one", 1);
  table->Commit(IndexOnly({Removal(first), MakeIndex(world, "index-b-0")}), "two", 1);
  CHECK_THROWS_WITH_AS(
      table->Commit(IndexOnly({Removal(first), MakeIndex(world, "index-c-0")}), "one", 2),
      doctest::Contains("HASH index file index-a-0 of bucket 0 is no longer in the table: another "
                        "writer was faster (latest snapshot 2, APPEND by 'two')"),
      Error);
  CHECK_THROWS_WITH_AS(table->Commit(IndexOnly({MakeIndex(world, "index-c-1")}), "one", 3),
                       doctest::Contains("which was not there before"), Error);
  CHECK(table->LatestSnapshot()->id == 2);
  CHECK(IndexNames(*table, 2) == Names{"index-b-0"});
}

TEST_CASE("deleted rows and compactions of the same file do not pass each other") {
  for (bool delete_first : {true, false}) {
    CAPTURE(delete_first);
    TestWorld world;
    auto table =
        Table::Create(world.context(), kFolder, TestDefinition(true, false, {{"bucket", "1"}}));
    auto writer = table->NewWriter("u");
    for (int64_t commit = 1; commit <= 2; commit++) {
      WriteRows(*writer, Rows(commit, 20));
      table->Commit(writer->PrepareCommit(), "u", commit);
    }
    std::string file = LiveFiles(*table)[0].file_name;
    Committable deletion =
        IndexOnly({WithVector(MakeIndex(world, "index-a-0", kDeletionVectorsIndex), file)});
    writer->CompactFully();
    Committable compaction = writer->PrepareCommit();
    REQUIRE(compaction.buckets.size() == 1);
    REQUIRE_FALSE(compaction.buckets[0].compact_before.empty());
    if (delete_first) {
      CHECK(table->Commit(deletion, "d", 1) == 3);
      CHECK(table->LatestSnapshot()->commit_kind == CommitKind::kOverwrite);
      CHECK_THROWS_WITH_AS(table->Commit(compaction, "u", 3),
                           doctest::Contains("have been deleted meanwhile"), Error);
    } else {
      CHECK(table->Commit(compaction, "u", 3) == 3);
      CHECK_THROWS_WITH_AS(table->Commit(deletion, "d", 1),
                           doctest::Contains("whose rows it deletes, is no longer in the table"),
                           Error);
    }
    CHECK(table->LatestSnapshot()->id == 3);
  }
}

TEST_CASE("expiry deletes index files that no snapshot needs, and no others") {
  TestWorld world;
  auto table = Table::Create(world.context(), kFolder,
                             TestDefinition(true, false,
                                            {{"bucket", "1"},
                                             {"snapshot.num-retained.min", "2"},
                                             {"snapshot.num-retained.max", "2"}}));
  IndexManifestEntry kept = MakeIndex(world, "index-a-0");
  table->Commit(IndexOnly({kept}, 7), "u", 1);
  IndexManifestEntry before = MakeIndex(world, "index-b-1");
  table->Commit(IndexOnly({before}), "u", 2);
  for (int64_t i = 3; i <= 5; i++) {
    IndexManifestEntry next = MakeIndex(world, "index-b-" + std::to_string(i));
    table->Commit(IndexOnly({Removal(before), next}), "u", i);
    before = next;
  }
  CHECK(table->EarliestSnapshotId() == 4);
  Names files;
  for (const FileEntry& file : world.disk.List(std::string(kFolder) + "/index")) {
    files.push_back(file.name);
  }
  std::sort(files.begin(), files.end());
  CHECK(files == Names{"index-a-0", "index-b-4", "index-b-5"});
  CHECK(IndexNames(*table, 4) == Names{"index-a-0", "index-b-4"});
  CHECK(IndexNames(*table, 5) == Names{"index-a-0", "index-b-5"});
  idx_t manifests = 0;
  for (const FileEntry& file : world.disk.List(std::string(kFolder) + "/manifest")) {
    manifests += file.name.starts_with("index-manifest-");
  }
  CHECK(manifests == 2);
}

TEST_CASE("whichever operation of a commit with index files fails, it is all or nothing") {
  for (FaultMode mode : {FaultMode::kBefore, FaultMode::kAfter, FaultMode::kHalf}) {
    for (int fail_at = 0;; fail_at++) {
      CAPTURE(fail_at);
      CAPTURE(static_cast<int>(mode));
      TestWorld world;
      auto table =
          Table::Create(world.context(), kFolder, TestDefinition(true, false, {{"bucket", "1"}}));
      IndexManifestEntry first = MakeIndex(world, "index-a-0");
      table->Commit(IndexOnly({first}), "u", 1);
      Committable next = IndexOnly({Removal(first), MakeIndex(world, "index-a-1")});
      FaultyFileSystem faulty(world.disk, {.fail_at = fail_at, .mode = mode});
      try {
        Table::Open(world.Over(faulty), kFolder)->Commit(next, "u", 2);
      } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::kIo);
      }
      int64_t latest = table->LatestSnapshot()->id;
      CHECK(IndexNames(*table, latest) == (latest == 1 ? Names{"index-a-0"} : Names{"index-a-1"}));
      CHECK(table->Commit(next, "u", 2) == 2);
      CHECK(IndexNames(*table, 2) == Names{"index-a-1"});
      if (!faulty.failed()) break;
    }
  }
}

}  // namespace millrace
