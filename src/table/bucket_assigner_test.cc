// Goal: every key of a table with dynamic buckets stays in one bucket for ever, buckets fill as
// Paimon fills them, and what is on disk tells the next writer all of it. Method: the assigner
// against a naive map of hashes, over random batches, restarts and foreign commits; tables whose
// index files must list exactly the hashes of the keys that are in their bucket.
#include "table/bucket_assigner.h"

#include <set>

#include "format/hash_index.h"
#include "meta/binary_row.h"
#include "table/table_fixture.h"

namespace millrace {

namespace {

constexpr const char* kFolder = "w/d.db/t";

/// The parts of a table that lie below its class.
std::unique_ptr<TableState> OpenState(TestWorld& world) {
  auto state = std::make_unique<TableState>(world.context(), kFolder);
  state->schema = *state->schemas.Latest();
  state->options = state->schema.options;
  state->parsed = ParseTableOptions(state->schema, state->options);
  return state;
}

void CommitChanges(const Table& table, const std::vector<HashIndexChange>& changes,
                   const std::string& user, int64_t identifier) {
  Committable committable;
  for (const HashIndexChange& change : changes) {
    BucketChange bucket;
    bucket.partition = change.partition;
    bucket.bucket = change.bucket;
    bucket.total_buckets = -1;
    bucket.index_changes = change.entries;
    bucket.hash_index_base = change.base;
    committable.buckets.push_back(bucket);
  }
  table.Commit(Committable::FromJson(committable.ToJson()), user, identifier);
}

std::vector<int> Assign(BucketAssigner& assigner, const RowBytes& partition,
                        const std::vector<int32_t>& hashes) {
  SelectionVector rows(hashes.size());
  for (idx_t i = 0; i < hashes.size(); i++) rows.set_index(i, i);
  std::vector<int> buckets;
  assigner.Assign(partition, hashes, rows, hashes.size(), buckets);
  return buckets;
}

/// The rule in its simplest form, for one assigner.
struct NaiveAssigner {
  int64_t target;
  std::map<int32_t, int> bucket_of;
  std::map<int, int64_t> rows;
  int Assign(int32_t hash) {
    auto found = bucket_of.find(hash);
    if (found != bucket_of.end()) return found->second;
    int bucket = 0;
    while (rows[bucket] >= target) bucket++;
    rows[bucket]++;
    return bucket_of[hash] = bucket;
  }
};

std::map<int, std::set<int32_t>> IndexedHashes(const TableState& state) {
  std::map<int, std::set<int32_t>> hashes;
  for (const IndexManifestEntry& entry : ReadIndexEntries(state, *state.snapshots.Latest())) {
    for (int32_t hash : DecodeHashIndex(ReadIndexFile(state, entry), entry.row_count, "index")) {
      CHECK(hashes[entry.bucket].insert(hash).second);
    }
  }
  return hashes;
}

int32_t HashOfId(int64_t id) {
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), {LogicalType::BIGINT});
  chunk.SetValue(0, 0, Value::BIGINT(id));
  chunk.SetCardinality(1);
  std::vector<int32_t> hashes;
  HashRows({ParseDataType("BIGINT")}, chunk, {0}, hashes);
  return hashes[0];
}

}  // namespace

TEST_CASE("keys keep the bucket that they were given first, over restarts and other writers") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (int64_t target : {1, 7, 50}) {
    CAPTURE(target);
    TestWorld world(seed);
    auto table = Table::Create(
        world.context(), kFolder,
        TestDefinition(true, false, {{"dynamic-bucket.target-row-num", std::to_string(target)}}));
    auto state = OpenState(world);
    NaiveAssigner naive{target, {}, {}};
    std::unique_ptr<BucketAssigner> assigners[2];
    std::unique_ptr<LiveFiles> live[2];
    for (int round = 0; round < 30; round++) {
      size_t who = random() % 2;
      if (!assigners[who] || random() % 4 == 0) {
        assigners[who] = std::make_unique<BucketAssigner>(*state);
        live[who] = std::make_unique<LiveFiles>(*state);
      }
      live[who]->Advance([](const Snapshot&, const std::vector<ManifestEntry>*) {});
      assigners[who]->StartCycle(*live[who]);
      for (int batch = 0; batch < 3; batch++) {
        std::vector<int32_t> hashes(random() % 20);
        for (int32_t& hash : hashes) hash = static_cast<int32_t>(random() % 200) - 100;
        std::vector<int> buckets = Assign(*assigners[who], EmptyRow(), hashes);
        for (size_t i = 0; i < hashes.size(); i++) REQUIRE(buckets[i] == naive.Assign(hashes[i]));
      }
      CommitChanges(*table, assigners[who]->PrepareCommit(), "u" + std::to_string(who), round + 1);
      std::map<int, std::set<int32_t>> expected;
      for (auto [hash, bucket] : naive.bucket_of) expected[bucket].insert(hash);
      if (state->snapshots.Latest()) REQUIRE(IndexedHashes(*state) == expected);
    }
  }
}

TEST_CASE("what was prepared but not committed yet is not given again") {
  TestWorld world;
  auto table = Table::Create(world.context(), kFolder,
                             TestDefinition(true, false, {{"dynamic-bucket.target-row-num", "2"}}));
  auto state = OpenState(world);
  LiveFiles live(*state);
  BucketAssigner assigner(*state);
  auto start = [&] {
    live.Advance([](const Snapshot&, const std::vector<ManifestEntry>*) {});
    assigner.StartCycle(live);
  };
  start();
  CHECK(Assign(assigner, EmptyRow(), {1, 2, 3}) == std::vector<int>{0, 0, 1});
  auto first = assigner.PrepareCommit();
  CHECK(first.size() == 2);
  start();
  CHECK(Assign(assigner, EmptyRow(), {4, 1, 5}) == std::vector<int>{1, 0, 2});
  auto second = assigner.PrepareCommit();
  CHECK(second.size() == 2);
  CHECK(assigner.PrepareCommit().empty());
  CommitChanges(*table, first, "u", 1);
  start();
  CHECK(Assign(assigner, EmptyRow(), {6, 7}) == std::vector<int>{2, 3});
  auto third = assigner.PrepareCommit();
  CommitChanges(*table, second, "u", 2);
  CommitChanges(*table, third, "u", 3);
  CHECK(IndexedHashes(*state) ==
        std::map<int, std::set<int32_t>>{{0, {1, 2}}, {1, {3, 4}}, {2, {5, 6}}, {3, {7}}});
}

TEST_CASE("initial and greatest numbers of buckets are kept to") {
  TestWorld world;
  auto table = Table::Create(world.context(), kFolder,
                             TestDefinition(true, false,
                                            {{"dynamic-bucket.target-row-num", "10"},
                                             {"dynamic-bucket.initial-buckets", "3"},
                                             {"dynamic-bucket.max-buckets", "5"}}));
  auto state = OpenState(world);
  LiveFiles live(*state);
  BucketAssigner assigner(*state);
  assigner.StartCycle(live);
  std::vector<int32_t> hashes(12);
  for (size_t i = 0; i < hashes.size(); i++) hashes[i] = static_cast<int32_t>(i);
  std::vector<int> buckets = Assign(assigner, EmptyRow(), hashes);
  CHECK(std::set<int>(buckets.begin(), buckets.end()) == std::set<int>{0, 1, 2});
  for (size_t i = 3; i < hashes.size(); i++) CHECK(buckets[i] == buckets[i - 3]);
  hashes.resize(500);
  for (size_t i = 0; i < hashes.size(); i++) hashes[i] = static_cast<int32_t>(i * 7);
  buckets = Assign(assigner, EmptyRow(), hashes);
  CHECK(std::set<int>(buckets.begin(), buckets.end()) == std::set<int>{0, 1, 2, 3, 4});
  CHECK(Assign(assigner, EmptyRow(), hashes) == buckets);
}

TEST_CASE("two writers that give buckets at once agree, or the later one is refused") {
  for (bool disagree : {false, true}) {
    CAPTURE(disagree);
    TestWorld world;
    auto table =
        Table::Create(world.context(), kFolder,
                      TestDefinition(true, false, {{"dynamic-bucket.target-row-num", "3"}}));
    auto state = OpenState(world);
    LiveFiles live(*state);
    BucketAssigner one(*state), two(*state);
    one.StartCycle(live);
    two.StartCycle(live);
    CHECK(Assign(one, EmptyRow(), {1, 2, 3, 4}) == std::vector<int>{0, 0, 0, 1});
    // 1 is in both; 9 would be in bucket 0 of the one and in bucket 1 of the other.
    std::vector<int32_t> theirs =
        disagree ? std::vector<int32_t>{5, 6, 7, 3} : std::vector<int32_t>{1, 5, 6, 7};
    CHECK(Assign(two, EmptyRow(), theirs) == std::vector<int>{0, 0, 0, 1});
    CommitChanges(*table, one.PrepareCommit(), "one", 1);
    auto prepared = two.PrepareCommit();
    if (disagree) {
      CHECK_THROWS_WITH_AS(CommitChanges(*table, prepared, "two", 1),
                           doctest::Contains("into bucket 0 that this one put into bucket 1"),
                           Error);
      CHECK(table->LatestSnapshot()->id == 1);
    } else {
      CommitChanges(*table, prepared, "two", 1);
      CHECK(IndexedHashes(*state) ==
            std::map<int, std::set<int32_t>>{{0, {1, 2, 3, 5, 6}}, {1, {4, 7}}});
      live.Advance([](const Snapshot&, const std::vector<ManifestEntry>*) {});
      two.StartCycle(live);  // Its own file has been merged with the other's.
      CHECK(Assign(two, EmptyRow(), {4, 3, 8}) == std::vector<int>{1, 0, 1});
      CommitChanges(*table, two.PrepareCommit(), "two", 2);
      CHECK(IndexedHashes(*state)[1] == std::set<int32_t>{4, 7, 8});
    }
  }
}

TEST_CASE("the index files of a table list the keys of their buckets") {
  TestWorld world;
  auto table =
      Table::Create(world.context(), kFolder,
                    TestDefinition(true, false, {{"dynamic-bucket.target-row-num", "40"}}));
  CHECK(table->schema().options.count("bucket") == 0);  // Dynamic buckets are Paimon's default.
  auto writer = table->NewWriter("u");
  std::map<int64_t, std::string> model;
  for (int64_t commit = 1; commit <= 5; commit++) {
    std::vector<TestRow> rows;
    for (int64_t id = commit * 20; id < commit * 20 + 60; id++) {
      rows.push_back({RowKind::kInsert, id, "p", std::to_string(commit)});
      model[id] = std::to_string(commit);
    }
    WriteRows(*writer, rows);
    table->Commit(writer->PrepareCommit(), "u", commit);
  }
  CHECK(ReadRows(*table).size() == model.size());
  auto state = OpenState(world);
  std::map<int, std::set<int32_t>> expected;
  ScanOptions options;
  options.columns = {0};
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), {LogicalType::BIGINT});
  std::set<int64_t> ids;
  for (const Split& split : table->PlanScan(options)) {
    auto reader = table->ReadSplit(split, options);
    for (chunk.Reset(); reader->Next(chunk); chunk.Reset()) {
      for (idx_t i = 0; i < chunk.size(); i++) {
        int64_t id = chunk.GetValue(0, i).GetValue<int64_t>();
        CHECK(ids.insert(id).second);
        expected[split.bucket].insert(HashOfId(id));
      }
    }
  }
  CHECK(expected.size() == 4);  // 140 keys, 40 in a bucket.
  CHECK(IndexedHashes(*state) == expected);
  for (const auto& entry : state->manifests.LiveEntries(*table->LatestSnapshot())) {
    CHECK(entry.total_buckets == -1);
  }
}

TEST_CASE("buckets that no index tells of, and damaged index files, are refused by name") {
  TestWorld world;
  auto table = Table::Create(world.context(), kFolder, TestDefinition(true, false));
  auto writer = table->NewWriter("u");
  WriteRows(*writer, {{RowKind::kInsert, 1, "p", "v"}});
  Committable committable = writer->PrepareCommit();
  committable.buckets[0].index_changes.clear();
  table->Commit(committable, "u", 1);
  auto next = table->NewWriter("v");
  CHECK_THROWS_WITH_AS(WriteRows(*next, {{RowKind::kInsert, 2, "p", "v"}}),
                       doctest::Contains("no index file tells which keys are in bucket 0"), Error);
  std::string bytes = EncodeHashIndex({1, -2, 3});
  CHECK(bytes == std::string("\x00\x00\x00\x01\xff\xff\xff\xfe\x00\x00\x00\x03", 12));
  CHECK(DecodeHashIndex(bytes, 3, "f") == std::vector<int32_t>{1, -2, 3});
  for (size_t length = 0; length < bytes.size(); length++) {
    CHECK_THROWS_WITH_AS(DecodeHashIndex(bytes.substr(0, length), 3, "the-file"),
                         doctest::Contains("the-file"), Error);
  }
  CHECK_THROWS_AS(DecodeHashIndex(bytes, -1, "f"), Error);
}

TEST_CASE("tables whose rows may change their partition are refused, with the column to add") {
  TestWorld world;
  TableDefinition definition = TestDefinition(true, true);
  definition.primary_key = {"id"};
  CHECK_THROWS_WITH_AS(Table::Create(world.context(), kFolder, definition),
                       doctest::Contains("its primary key lacks the partition column 'part'"),
                       Error);
  CHECK_THROWS_WITH_AS(
      Table::Create(world.context(), kFolder, TestDefinition(true, false, {{"bucket-key", "id"}})),
      doctest::Contains("'bucket-key' needs a positive 'bucket'"), Error);
}

}  // namespace millrace
