// Goal: VERIFY finds whatever breaks an invariant, names the file, and says nothing of a whole
// table. Method: whole tables of random histories; then one file or one fact of a table is spoiled
// at a time.
#include "table/verify.h"

#include "meta/binary_row.h"
#include "meta/index_manifest.h"
#include "table/snapshot_store.h"
#include "table/table_fixture.h"

namespace millrace {

namespace {

std::string Findings(const Table& table, bool full) {
  std::string text;
  for (const Finding& finding : VerifyTable(table.state(), full)) {
    text +=
        fmt::format("{} {}: {}\n", SeverityName(finding.severity), finding.file, finding.problem);
  }
  return text;
}

bool Has(const std::string& text, const std::string& part) {
  INFO(text);
  INFO(part);
  return text.find(part) != std::string::npos;
}

std::shared_ptr<const Table> SomeTable(TestWorld& world, bool keyed, Options options = {}) {
  if (keyed) options.emplace("bucket", "2");
  options.emplace("num-sorted-run.compaction-trigger", "3");
  auto table = Table::Create(world.context(), "/w/d.db/t", TestDefinition(keyed, false, options));
  std::mt19937_64 random(7);
  for (int64_t commit = 1; commit <= 7; commit++) {
    auto writer = table->NewWriter("user");
    std::vector<TestRow> rows;
    for (int i = 0; i < 50; i++) {
      bool gone = keyed && random() % 5 == 0;
      rows.push_back({gone ? RowKind::kDelete : RowKind::kInsert,
                      static_cast<int64_t>(random() % 40), "p",
                      "v" + std::to_string(random() % 9)});
    }
    WriteRows(*writer, rows);
    table->Commit(writer->PrepareCommit(), "user", commit);
  }
  return table;
}

/// Commits the change of one live file's metadata as if a writer had written it so.
void Replace(TestWorld& world, const Table& table,
             const std::function<void(ManifestEntry&)>& change) {
  ManifestStore store(world.disk, table.folder());
  Snapshot next = *table.LatestSnapshot();
  ManifestWriter writer(world.disk, store, table.schema(), world.random, 8 << 20);
  std::vector<ManifestFileMeta> base = writer.WriteManifests(store.LiveEntries(next));
  std::vector<ManifestEntry> live = store.LiveEntries(next);
  std::vector<ManifestEntry> delta = {live[0], live[0]};
  delta[0].kind = FileKind::kDelete;
  change(delta[1]);
  if (delta[1] == live[0]) delta.clear();
  next.id++;
  ListFile base_list = writer.WriteList(base);
  ListFile delta_list = writer.WriteList(writer.WriteManifests(delta));
  next.base_manifest_list = base_list.name;
  next.base_manifest_list_size = base_list.size;
  next.delta_manifest_list = delta_list.name;
  next.delta_manifest_list_size = delta_list.size;
  next.changelog_manifest_list.reset();
  next.changelog_record_count.reset();
  next.delta_record_count = delta.empty() ? 0 : delta[1].file.row_count - delta[0].file.row_count;
  next.total_record_count += next.delta_record_count;
  REQUIRE(SnapshotStore(world.disk, table.folder()).Publish(next) == PublishOutcome::kPublished);
}

}  // namespace

TEST_CASE("A whole table has no findings") {
  for (bool keyed : {true, false}) {
    for (const char* producer : {"none", "input"}) {
      TestWorld world;
      Options options;
      if (keyed) options["changelog-producer"] = producer;
      auto table = SomeTable(world, keyed, options);
      CheckWhole(*table);
    }
  }
}

TEST_CASE("A file that is missing, cut or scribbled on is named") {
  TestWorld world;
  auto table = SomeTable(world, true, {{"changelog-producer", "input"}});
  std::vector<std::string> paths = world.disk.Files();
  for (const std::string& path : paths) {
    bool hint = path.ends_with("LATEST") || path.ends_with("EARLIEST");
    if (!path.starts_with("/w/d.db/t/") || hint) continue;
    CAPTURE(path);
    std::string bytes = world.disk.Read(path);
    std::string name = path.substr(std::string("/w/d.db/t/").size());
    bool is_snapshot = name.starts_with("snapshot/");
    bool newest = name == fmt::format("snapshot/snapshot-{}", table->LatestSnapshot()->id);
    // Manifests that a merge has replaced and whose snapshots have expired would be orphans; here
    // all are in use. The newest snapshot may go: then the one before is the newest.
    if (!newest && name != "snapshot/snapshot-1" && name != "schema/schema-0") {
      world.disk.Delete(path);
      CHECK(Has(Findings(*table, false), name));
    }
    world.disk.Overwrite(path, bytes.substr(0, bytes.size() / 2));
    std::string cut = Findings(*table, !is_snapshot);
    CHECK(Has(cut, name));
    if (path.find("/bucket-") != std::string::npos) {
      std::string scribbled = bytes;
      for (size_t i = bytes.size() / 3; i < bytes.size() / 3 + 8; i++) scribbled[i] ^= 0x5a;
      world.disk.Overwrite(path, scribbled);
      CHECK(Findings(*table, false) == "");  // Only reading the rows shows it.
      CHECK(Has(Findings(*table, true), name));
    }
    world.disk.Overwrite(path, bytes);
  }
  CheckWhole(*table);
}

TEST_CASE("Metadata that does not tell the truth about a file is found") {
  struct Lie {
    const char* says;
    std::function<void(ManifestEntry&)> tell;
  };
  auto key = [](int64_t id) { return EncodeRow({ParseDataType("BIGINT")}, {Value::BIGINT(id)}); };
  const std::vector<Lie> lies = {
      {"its metadata says", [](ManifestEntry& e) { e.file.row_count += 3; }},
      {"rows that delete; its metadata says 99",
       [](ManifestEntry& e) { e.file.delete_row_count = 99; }},
      {"bytes; its metadata says", [](ManifestEntry& e) { e.file.file_size += 1; }},
      {"sequence numbers from", [](ManifestEntry& e) { e.file.min_sequence_number -= 1; }},
      {"has keys from", [&](ManifestEntry& e) { e.file.min_key = key(-5); }},
      {"greatest key below its least", [&](ManifestEntry& e) { e.file.max_key = key(-7); }},
      {"key statistics say that column 'id' is at least 10000",
       [&](ManifestEntry& e) { e.file.key_stats.min_values = key(10000); }},
      {"key statistics say that column 'id' has 4 nulls",
       [](ManifestEntry& e) { e.file.key_stats.null_counts = {4}; }},
      {"is in bucket 5 of 2", [](ManifestEntry& e) { e.bucket = 5; }},
      {"belongs to bucket", [](ManifestEntry& e) { e.total_buckets = 4; }},
      {"the schema file", [](ManifestEntry& e) { e.file.schema_id = 7; }},
      {"x.index: is missing", [](ManifestEntry& e) { e.file.extra_files = {"x.index"}; }},
      {"is missing", [](ManifestEntry& e) { e.file.file_name = "data-none.parquet"; }},
  };
  for (const Lie& lie : lies) {
    TestWorld world;
    auto table = SomeTable(world, true);
    Replace(world, *table, lie.tell);
    CHECK(Has(Findings(*table, true), lie.says));
  }
  TestWorld world;
  auto table = SomeTable(world, true);
  Replace(world, *table, [](ManifestEntry&) {});  // The tool itself spoils nothing.
  CheckWhole(*table);
}

TEST_CASE("Index files that do not fit to the table are found") {
  using Entries = std::vector<IndexManifestEntry>;
  struct Lie {
    const char* says;
    bool vectors;  // Of a table with deletion vectors; else with dynamic buckets.
    std::function<void(Entries&)> tell;
  };
  auto first_range = [](Entries& entries) -> DeletionVectorRange& {
    return entries.at(0).deletion_vectors->at(0);
  };
  const std::vector<Lie> lies = {
      {"is missing", true, [](Entries& e) { e[0].file_name = "index-none"; }},
      {"bytes; its metadata says", true, [](Entries& e) { e[0].file_size++; }},
      {"1 deletion vectors; its manifest says 5", true, [](Entries& e) { e[0].row_count = 5; }},
      {"deletes rows of file data-none, which is not in the table", true,
       [&](Entries& e) { first_range(e).data_file = "data-none"; }},
      {"deletes 2 rows of file", true, [&](Entries& e) { first_range(e).cardinality = 3; }},
      {"does not have", true, [&](Entries& e) { first_range(e).cardinality = 1000; }},
      {"and so does", true,
       [](Entries& e) { e[0].deletion_vectors->push_back(e[0].deletion_vectors->at(0)); }},
      {"index-", true, [&](Entries& e) { first_range(e).offset += 3; }},
      {"hashes of 4 bytes", false, [](Entries& e) { e[0].row_count++; }},
      {"has the key hash", false,
       [](Entries& e) {
         e.push_back(e[0]);
         e.back().bucket = 77;
       }},
  };
  for (const Lie& lie : lies) {
    CAPTURE(lie.says);
    TestWorld world;
    Options options = {{"bucket", "-1"}};
    if (lie.vectors) options["deletion-vectors.enabled"] = "true";
    auto table = SomeTable(world, !lie.vectors, options);
    if (lie.vectors) {
      auto deleter = table->NewRowDeleter(table->LatestSnapshot()->id);
      Split split = table->PlanScan({}).at(0);
      deleter->Delete(split, split.files.at(0), {1, 3});
      Committable deletion;
      deleter->PrepareCommit(deletion);
      table->Commit(deletion, "deleter", 1);
    }
    CheckWhole(*table);
    ManifestStore store(world.disk, table->folder());
    std::string path = store.PathOf(*table->LatestSnapshot()->index_manifest);
    Entries entries = IndexManifestFromAvro(world.disk.Read(path), path);
    lie.tell(entries);
    world.disk.Overwrite(path, IndexManifestToAvro(entries));
    auto reopened = Table::Open(world.context(), table->folder());
    bool found =
        Has(Findings(*reopened, true), lie.says) ||  // From the files, or only the metadata.
        Has(Findings(*reopened, false), lie.says);
    CHECK(found);
  }
}

TEST_CASE("Value statistics of a wrong column are found") {
  TestWorld world;
  auto table = SomeTable(world, false);
  std::vector<DataType> types = {ParseDataType("BIGINT"), ParseDataType("STRING"),
                                 ParseDataType("STRING")};
  Replace(world, *table, [&](ManifestEntry& e) {
    e.file.value_stats.max_values = EncodeRow(types, {Value::BIGINT(99), Value("a"), Value("z")});
  });
  CHECK(Has(Findings(*table, true),
            "statistics say that column 'part' is at most a, but it holds p"));
}

TEST_CASE("A snapshot that does not follow from the one before is found") {
  struct Lie {
    const char* says;
    std::function<void(Snapshot&)> tell;
  };
  const std::vector<Lie> lies = {
      {"says that its files hold", [](Snapshot& s) { s.total_record_count++; }},
      {"says that it changes the row count", [](Snapshot& s) { s.delta_record_count++; }},
      {"says that it is 4", [](Snapshot& s) { s.id = 4; }},
      {"names schema 9", [](Snapshot& s) { s.schema_id = 9; }},
      {"readers of the Java version", [](Snapshot& s) { s.base_manifest_list_size = 5; }},
      {"is older by its time", [](Snapshot& s) { s.time_ms = 5; }},
      {"cannot be read|which is missing", [](Snapshot& s) { s.delta_manifest_list = "none"; }},
      {"its base is not the state|is added twice",
       [](Snapshot& s) {
         s.base_manifest_list = s.delta_manifest_list;
         s.base_manifest_list_size = s.delta_manifest_list_size;
       }},
  };
  for (const Lie& lie : lies) {
    CAPTURE(lie.says);
    TestWorld world;
    auto table = SomeTable(world, true);
    Snapshot snapshot = *table->FindSnapshot(3);
    std::string path = JoinPath(table->folder(), "snapshot/snapshot-3");
    lie.tell(snapshot);
    world.disk.Overwrite(path, SnapshotToJson(snapshot));
    std::string found = Findings(*table, false);
    INFO(found);
    std::string either = lie.says;
    size_t bar = either.find('|');
    bool has =
        found.find(either.substr(0, bar)) != std::string::npos ||
        (bar != std::string::npos && found.find(either.substr(bar + 1)) != std::string::npos);
    CHECK(has);
  }
}

TEST_CASE("Tags and consumers are looked at") {
  TestWorld world;
  auto table = SomeTable(world, true);
  TagStore tags(world.disk, table->folder());
  REQUIRE(tags.Create("good", {*table->FindSnapshot(2), {}, {}}));
  CheckWhole(*table);
  Snapshot lost = *table->FindSnapshot(2);
  lost.id = 90;
  lost.delta_manifest_list = "manifest-list-gone";
  REQUIRE(tags.Create("bad", {lost, {}, {}}));
  world.disk.Overwrite(tags.PathOf("torn"), "{\"version\": 3, ");
  ConsumerStore(world.disk, table->folder()).Reset("late", 0);
  std::string found = Findings(*table, false);
  CHECK(Has(found, "manifest-list-gone"));
  CHECK(Has(found, "tag/tag-torn"));
  CHECK(Has(found, "WARNING consumer/consumer-late: waits for snapshot 0"));
}

}  // namespace millrace
