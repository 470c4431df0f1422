// Goal: compacting a table without a key changes how its rows lie in files, and nothing else: not
// which rows there are, nor which are deleted, nor what followers see, whatever fails or races with
// it. Method: random histories against a map; choices of files against the sizes that make them;
// commits slipped in between planning and publishing; every file operation failing.
#include <set>
#include <thread>

#include "io/faulty_file_system.h"
#include "meta/binary_row.h"
#include "table/alter_table.h"
#include "table/append_compaction.h"
#include "table/index_store.h"
#include "table/table_fixture.h"

namespace millrace {

namespace {

constexpr const char* kFolder = "w/d.db/t";

std::vector<TestRow> Rows(int64_t from, int64_t to) {
  std::vector<TestRow> rows;
  for (int64_t id = from; id < to; id++) {
    rows.push_back({RowKind::kInsert, id, std::string(1, static_cast<char>('a' + id % 3)),
                    "v" + std::to_string(id)});
  }
  return rows;
}

struct Store {
  Store(Options options, bool partitioned = false, uint64_t seed = 1) : world(seed) {
    options.insert({{"snapshot.num-retained.min", "1000"}, {"snapshot.num-retained.max", "2000"}});
    table = Table::Create(world.context(), kFolder, TestDefinition(false, partitioned, options));
  }

  void Append(int64_t from, int64_t to, const Options& dynamic = {{"write-only", "true"}}) {
    auto to_table = Table::Open(world.context(), kFolder, dynamic);
    auto writer = to_table->NewWriter("w");
    WriteRows(*writer, Rows(from, to));
    for (const TestRow& row : Rows(from, to)) model.Apply(row);
    to_table->Commit(writer->PrepareCommit(), "w", ++commits);
    world.clock.AdvanceMs(10);
  }

  void Delete(const std::function<bool(int64_t)>& wanted) {
    std::set<int64_t> ids;
    table->Commit(PrepareDelete(*table, wanted, ids), "d", ++commits);
    Forget(ids);
  }

  void Forget(const std::set<int64_t>& ids) {
    for (int64_t id : ids) {
      model.Apply({RowKind::kDelete, id, std::string(1, static_cast<char>('a' + id % 3)), ""});
    }
  }

  static Committable PrepareDelete(const Table& table, const std::function<bool(int64_t)>& wanted,
                                   std::set<int64_t>& ids) {
    ScanOptions scan;
    scan.snapshot_id = table.LatestSnapshot()->id;
    auto deleter = table.NewRowDeleter(*scan.snapshot_id);
    ForEachPosition(table, scan,
                    [&](const Split& split, size_t file, int64_t position, int64_t id) {
                      if (!wanted(id)) return;
                      ids.insert(id);
                      deleter->Delete(split, split.files.at(file), {position});
                    });
    Committable committable;
    deleter->PrepareCommit(committable);
    return committable;
  }

  std::optional<int64_t> Compact(bool full) {
    return table->Compact({.full = full}, "c", ++commits);
  }

  std::optional<int64_t> Sort(std::vector<idx_t> columns) {
    return table->Compact({.order_by = std::move(columns)}, "c", ++commits);
  }

  /// A compaction of everything that is not committed yet.
  Committable PrepareCompaction() {
    auto writer = table->NewWriter("c");
    writer->CompactFully();
    return writer->PrepareCommit();
  }

  std::vector<DataFileMeta> Files() const {
    std::vector<DataFileMeta> files;
    for (const Split& split : table->PlanScan({})) {
      files.insert(files.end(), split.files.begin(), split.files.end());
    }
    return files;
  }
  size_t Buckets() const {
    std::set<std::string> names;
    for (const Split& split : table->PlanScan({})) {
      names.insert(BucketName(split.partition, split.bucket));
    }
    return names.size();
  }
  size_t IndexFiles() {
    TableState state(world.context(), kFolder);
    return ReadIndexEntries(state, *table->LatestSnapshot()).size();
  }
  int64_t PhysicalRows() const {
    int64_t rows = 0;
    for (const DataFileMeta& file : Files()) rows += file.row_count;
    return rows;
  }

  void Check() {
    REQUIRE(ReadRows(*table) == model.Rows());
    REQUIRE(CountRows(*table) == model.rows.size());
    if (auto latest = table->LatestSnapshot()) {
      REQUIRE(latest->total_record_count == PhysicalRows());
    }
    CheckWhole(*table);
  }

  TestWorld world;
  std::shared_ptr<const Table> table;
  TestModel model;
  int64_t commits = 0;
};

/// A table's state for planning alone.
struct Planner {
  explicit Planner(Options options) : names(world.random) {
    TableDefinition definition = TestDefinition(false, false, options);
    auto table = Table::Create(world.context(), kFolder, definition);
    state = std::make_shared<TableState>(world.context(), kFolder);
    state->schema = table->schema();
    state->parsed = ParseTableOptions(table->schema(), table->options());
  }

  using Names = std::vector<std::vector<std::string>>;

  /// Files f0, f1, ... of so many MB; which are rewritten together.
  Names Pick(const std::vector<int64_t>& megabytes, CompactionEffort effort,
             const AppendCompactor::Vectors& vectors = {}) {
    std::vector<DataFileMeta> files;
    for (int64_t size : megabytes) {
      DataFileMeta file;
      file.file_name = "f" + std::to_string(files.size());
      file.file_size = size << 20;
      file.row_count = 100;
      file.min_sequence_number = static_cast<int64_t>(files.size()) * 100;
      file.max_sequence_number = file.min_sequence_number + 99;
      file.creation_time_ms = static_cast<int64_t>(files.size());
      files.push_back(file);
    }
    std::shuffle(files.begin(), files.end(), std::mt19937_64(3));
    Names names_of_groups;
    AppendCompactor compactor(state, names);
    for (const auto& group : compactor.Pick(files, vectors, effort)) {
      names_of_groups.emplace_back();
      for (const DataFileMeta& file : group) names_of_groups.back().push_back(file.file_name);
    }
    return names_of_groups;
  }

  TestWorld world;
  DataFileNames names;
  std::shared_ptr<TableState> state;
};

IndexManifestEntry VectorsIn(const std::string& index_file,
                             const std::vector<std::pair<std::string, int64_t>>& deleted) {
  IndexManifestEntry entry;
  entry.file_name = index_file;
  entry.index_type = kDeletionVectorsIndex;
  entry.deletion_vectors.emplace();
  for (const auto& [file, rows] : deleted) {
    entry.deletion_vectors->push_back({file, 0, 0, rows});
  }
  return entry;
}

/// Others commit while the snapshot of a compaction is about to be made.
class RacingFileSystem : public FaultyFileSystem {
 public:
  RacingFileSystem(FileSystem& base, std::function<void()> others)
      : FaultyFileSystem(base, {}), base_(base), others_(std::move(others)) {}
  CreateOutcome CreateExclusive(const std::string& path, std::string_view bytes) override {
    if (auto others = std::exchange(others_, nullptr)) others();
    return base_.CreateExclusive(path, bytes);
  }

 private:
  FileSystem& base_;
  std::function<void()> others_;
};

}  // namespace

TEST_CASE("Random compactions of an append table leave its rows as a map has them") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  std::vector<Options> variants = {
      {},
      {{"deletion-vectors.enabled", "true"}, {"deletion-vector.index-file.target-size", "100 b"}},
      {{"bucket", "2"}, {"bucket-key", "id"}, {"file-index.bloom-filter.columns", "id"}},
      {{"bucket", "2"},
       {"bucket-key", "id"},
       {"deletion-vectors.enabled", "true"},
       {"deletion-vectors.bitmap64", "true"}}};
  for (const Options& options : variants) {
    for (bool partitioned : {false, true}) {
      CAPTURE(options.size());
      CAPTURE(partitioned);
      bool deletes = options.contains("deletion-vectors.enabled");
      Options small = options;
      small["compaction.min.file-num"] = "3";
      Store store(small, partitioned, seed);
      store.Append(0, 20);
      for (int64_t round = 1; round <= 25; round++) {
        CAPTURE(round);
        uint64_t salt = random();
        switch (random() % (options.contains("bucket") ? 5 : 6)) {
          case 5:
            store.Sort({2, 0});
            break;
          case 0: {
            size_t before = store.Files().size();
            if (store.Compact(false)) CHECK(store.Files().size() <= before);
            break;
          }
          case 1:
            store.Compact(true);
            CHECK(!store.Compact(true));
            break;
          case 2:
            if (!deletes || round == 1) break;
            store.Delete([&](int64_t id) {
              return (static_cast<uint64_t>(id) * 2654435761U + salt) % 7 == 0;
            });
            break;
          case 3:
            store.Append(round * 1000, round * 1000 + 30, {});  // Compacts by itself.
            break;
          default:
            store.Append(round * 1000, round * 1000 + static_cast<int64_t>(random() % 40) + 1);
        }
        store.Check();
      }
      store.Compact(true);
      store.Check();
      // With buckets two clean files may stay as they are.
      CHECK(store.Files().size() <= store.Buckets() * (options.contains("bucket") ? 2 : 1));
      CHECK(store.IndexFiles() == 0);
      CHECK(store.PhysicalRows() == static_cast<int64_t>(store.model.rows.size()));
    }
  }
}

TEST_CASE("Files of a partition are packed as their sizes ask for") {
  using Names = Planner::Names;
  Planner planner(Options{{"source.split.open-file-cost", "1 b"}});
  auto some = CompactionEffort::kAsNeeded, all = CompactionEffort::kFull;
  CHECK(planner.Pick({1, 1, 1, 1}, some).empty());
  CHECK(planner.Pick({1, 1, 1, 1}, all) == Names{{"f0", "f1", "f2", "f3"}});
  CHECK(planner.Pick({5, 4, 3, 2, 1}, some) == Names{{"f0", "f1", "f2", "f3", "f4"}});
  CHECK(planner.Pick({5, 180, 3, 2, 200}, some).empty());
  CHECK(planner.Pick({5, 180, 3, 2, 200}, all) == Names{{"f0", "f2", "f3"}});
  CHECK(planner.Pick({5, 180}, all).empty());
  CHECK(planner.Pick({170, 170, 172, 170, 170}, some) == Names{{"f0", "f1", "f3", "f4"}});
  CHECK(planner.Pick({}, all).empty());

  // Deleted rows: too many of a large file, any of a small one; by the file that tells of them.
  AppendCompactor::Vectors vectors = {VectorsIn("i0", {{"f0", 20}, {"f1", 21}}),
                                      VectorsIn("i1", {{"f2", 1}})};
  CHECK(planner.Pick({300, 300, 1, 1}, some, vectors) == Names{{"f1", "f2"}});
  CHECK(planner.Pick({300, 600, 1, 1}, some, vectors) == Names{{"f1", "f2"}});
  CHECK(planner.Pick({300, 300, 300, 1}, all, vectors) == Names{{"f0", "f1", "f2", "f3"}});
  CHECK(planner.Pick({300, 300, 300, 300}, some, {VectorsIn("i0", {{"f3", 50}})}) == Names{{"f3"}});
  CHECK(planner.Pick({300, 300}, some, {VectorsIn("i0", {{"f1", 20}})}).empty());

  Planner few(Options{{"compaction.min.file-num", "2"},
                      {"compaction.delete-ratio-threshold", "0.5"},
                      {"target-file-size", "10 mb"},
                      {"source.split.open-file-cost", "1 b"}});
  CHECK(few.Pick({6, 8}, some).empty());
  CHECK(few.Pick({6, 6}, some) == Names{{"f0", "f1"}});
  CHECK(few.Pick({4, 4, 4, 4, 4, 6, 6}, some) ==
        Names{{"f0", "f1", "f2", "f3", "f4"}, {"f5", "f6"}});
  CHECK(few.Pick({30}, some, {VectorsIn("i0", {{"f0", 50}})}).empty());
  CHECK(few.Pick({30}, some, {VectorsIn("i0", {{"f0", 51}})}) == Names{{"f0"}});
}

TEST_CASE("Files of a bucket are taken in the order of their rows") {
  using Names = Planner::Names;
  Planner planner(Options{{"bucket", "1"}, {"bucket-key", "id"}});
  auto some = CompactionEffort::kAsNeeded, all = CompactionEffort::kFull;
  CHECK(planner.Pick({1, 1, 1, 1}, some).empty());
  CHECK(planner.Pick({1, 1, 1, 1, 1, 1}, some) == Names{{"f0", "f1", "f2", "f3", "f4"}});
  CHECK(planner.Pick({300, 1, 1, 1, 1}, some).empty());
  CHECK(planner.Pick({1, 300, 1, 1, 1}, some) == Names{{"f0", "f1", "f2", "f3", "f4"}});
  CHECK(planner.Pick({100, 300, 200, 1, 1, 1, 1}, some) == Names{{"f1", "f2", "f3", "f4", "f5"}});
  CHECK(planner.Pick({100, 300, 300, 1, 1, 1, 1}, some) == Names{{"f2", "f3", "f4", "f5", "f6"}});
  CHECK(planner.Pick({1, 1}, all).empty());
  CHECK(planner.Pick({1, 1, 1}, all) == Names{{"f0", "f1", "f2"}});
  CHECK(planner.Pick({300, 1, 1, 1}, all) == Names{{"f1", "f2", "f3"}});
  CHECK(planner.Pick({1, 300, 300}, all).empty());
  CHECK(planner.Pick({300, 1}, all, {VectorsIn("i", {{"f1", 1}})}) == Names{{"f1"}});
  CHECK(planner.Pick({300, 300, 300}, all, {VectorsIn("i", {{"f1", 1}})}) == Names{{"f1", "f2"}});
}

namespace {

/// Four files, each with a deleted row.
std::unique_ptr<Store> MakeDeletedStore(bool buckets) {
  Options options = {{"deletion-vectors.enabled", "true"}};
  if (buckets) options.insert({{"bucket", "1"}, {"bucket-key", "id"}});
  auto store = std::make_unique<Store>(options);
  for (int64_t i = 0; i < 4; i++) store->Append(i * 10, i * 10 + 10);
  store->Delete([](int64_t id) { return id % 10 == 3; });
  return store;
}

}  // namespace

TEST_CASE("New rows do not disturb a compaction, another compaction does") {
  for (bool buckets : {false, true}) {
    CAPTURE(buckets);
    auto store = MakeDeletedStore(buckets);
    Committable first = store->PrepareCompaction(), second = store->PrepareCompaction();
    store->Append(100, 120);
    CHECK(store->table->Commit(first, "c", 100));
    store->Check();
    CHECK(store->Files().size() == 2);
    CHECK(store->IndexFiles() == 0);
    size_t files = store->world.disk.Files().size();
    CHECK_THROWS_WITH_AS(store->table->Commit(second, "e", 100), doctest::Contains("by 'c'"),
                         Error);
    store->Check();
    CHECK(store->world.disk.Files().size() < files);  // What was made in vain is gone.
    CHECK(store->table->Commit(first, "c", 100) == store->table->LatestSnapshot()->id);  // Again.
    store->Check();
  }
}

TEST_CASE("Rows that are deleted between planning and publishing stay deleted") {
  for (bool buckets : {false, true}) {
    CAPTURE(buckets);
    auto store = MakeDeletedStore(buckets);
    Committable compaction = store->PrepareCompaction();
    store->Delete([](int64_t id) { return id == 5; });
    CHECK_THROWS_WITH_AS(store->table->Commit(compaction, "c", 100), doctest::Contains("by 'd'"),
                         Error);
    store->Check();
    std::set<int64_t> ids;
    Committable deletion =
        Store::PrepareDelete(*store->table, [](int64_t id) { return id == 6; }, ids);
    CHECK(store->Compact(true));
    CHECK_THROWS_AS(store->table->Commit(deletion, "d", 100), Error);  // The other way round.
    store->Check();
    // Who plans by himself plans again.
    store->Append(100, 120);
    RacingFileSystem racing(store->world.disk,
                            [&] { store->Delete([](int64_t id) { return id % 10 == 4; }); });
    auto table = Table::Open(store->world.Over(racing), kFolder);
    store->Delete([](int64_t id) { return id == 7; });
    CHECK(table->Compact({.full = true}, "c", 101));
    CHECK(store->table->LatestSnapshot()->commit_kind == CommitKind::kCompact);
    store->Check();
    CHECK(store->IndexFiles() == 0);
  }
}

TEST_CASE("Rows that are replaced between planning and publishing stay replaced") {
  for (bool buckets : {false, true}) {
    CAPTURE(buckets);
    auto store = MakeDeletedStore(buckets);
    Committable compaction = store->PrepareCompaction();
    auto writer = store->table->NewWriter("o", {.overwrite = true});
    WriteRows(*writer, Rows(500, 510));
    Committable overwrite = writer->PrepareCommit();
    overwrite.overwrite = OverwriteScope{};
    store->table->Commit(overwrite, "o", 1);
    store->model = {};
    for (const TestRow& row : Rows(500, 510)) store->model.Apply(row);
    CHECK_THROWS_WITH_AS(store->table->Commit(compaction, "c", 100), doctest::Contains("by 'o'"),
                         Error);
    store->Check();
  }
}

TEST_CASE("Deletions of other files in the same index file are merged with a compaction") {
  // A large file keeps its vector while a small one beside it is rewritten.
  Store store(Options{{"deletion-vectors.enabled", "true"}, {"target-file-size", "10 kb"}});
  Options at_once = {{"target-file-size", "100 mb"}};
  store.Append(0, 20'000, at_once);
  for (int64_t i = 0; i < 4; i++) store.Append(100'000 + i * 10, 100'010 + i * 10, at_once);
  store.Delete([](int64_t id) { return id == 7 || id == 100'003; });
  REQUIRE(store.IndexFiles() == 1);
  RacingFileSystem racing(store.world.disk,
                          [&] { store.Delete([](int64_t id) { return id == 8; }); });
  auto raced = Table::Open(store.world.Over(racing), kFolder);
  REQUIRE(raced->Compact({.full = false}, "c", 100));
  store.Check();
  CHECK(store.IndexFiles() == 1);
  CHECK(store.PhysicalRows() == 20'000 + 39);
}

TEST_CASE("Sorted: each partition's files follow each other, rows in the order of the columns") {
  for (bool partitioned : {false, true}) {
    Store store({{"deletion-vectors.enabled", "true"}, {"target-file-size", "20 kb"}}, partitioned);
    std::mt19937_64 random(7);
    std::vector<TestRow> rows = Rows(0, 30'000);
    std::shuffle(rows.begin(), rows.end(), random);
    auto writer = store.table->NewWriter("w");
    for (int64_t i = 0; i < 3; i++) {
      WriteRows(*writer, {rows.begin() + i * 10'000, rows.begin() + (i + 1) * 10'000});
      store.table->Commit(writer->PrepareCommit(), "w", ++store.commits);
    }
    for (const TestRow& row : rows) store.model.Apply(row);
    store.Delete([](int64_t id) { return id % 11 == 0; });
    REQUIRE(store.Sort({2}));
    store.Check();
    CHECK(store.IndexFiles() == 0);
    CHECK(store.PhysicalRows() == static_cast<int64_t>(store.model.rows.size()));
    std::map<RowBytes, std::vector<std::string>> values;
    size_t files = 0;
    for (const Split& split : store.table->PlanScan({})) {
      files += split.files.size();
      ScanOptions options;
      options.columns = {2};
      auto reader = store.table->ReadSplit(split, options);
      DataChunk chunk;
      chunk.Initialize(duckdb::Allocator::DefaultAllocator(), {LogicalType::VARCHAR});
      for (chunk.Reset(); reader->Next(chunk); chunk.Reset()) {
        for (idx_t i = 0; i < chunk.size(); i++) {
          values[split.partition].push_back(chunk.GetValue(0, i).ToString());
        }
      }
    }
    CHECK(files > values.size());
    for (auto& [partition, of_partition] : values) {
      CHECK(std::is_sorted(of_partition.begin(), of_partition.end()));
    }
  }
  Store with_buckets({{"bucket", "1"}, {"bucket-key", "id"}});
  with_buckets.Append(0, 10);
  CHECK_THROWS_AS(with_buckets.Sort({2}), Error);
}

TEST_CASE("Whichever file operation fails, a compaction is all or nothing") {
  struct Run {
    FaultMode mode;
    bool buckets;
    bool sorts;
  };
  constexpr Run kRuns[] = {{FaultMode::kBefore, false, false},
                           {FaultMode::kAfter, true, false},
                           {FaultMode::kHalf, false, false},
                           {FaultMode::kAfter, false, true}};
  for (auto [mode, buckets, sorts] : kRuns) {
    for (int fail_at = 0;; fail_at++) {
      CAPTURE(buckets);
      CAPTURE(static_cast<int>(mode));
      CAPTURE(fail_at);
      Options options = {{"deletion-vectors.enabled", "true"},
                         {"file-index.bloom-filter.columns", "id"},
                         {"file-index.in-manifest-threshold", "0 b"}};
      if (buckets) options.insert({{"bucket", "1"}, {"bucket-key", "id"}});
      Store store(options);
      for (int64_t i = 0; i < 2; i++) store.Append(i * 10, i * 10 + 10);
      store.Delete([](int64_t id) { return id % 10 == 3; });
      FaultyFileSystem faulty(store.world.disk, {.fail_at = fail_at, .mode = mode});
      bool failed = false;
      try {
        Table::Open(store.world.Over(faulty), kFolder)
            ->Compact({.full = true, .order_by = std::vector<idx_t>(sorts ? 1 : 0, 2)}, "c", 100);
      } catch (const std::exception&) {
        failed = true;
      }
      REQUIRE(ReadRows(*store.table) == store.model.Rows());
      bool compacted = store.table->LatestSnapshot()->commit_kind == CommitKind::kCompact;
      if (!failed) CHECK(compacted);
      CHECK(store.Compact(true).has_value() == !compacted);
      store.Check();
      CHECK(store.Files().size() == 1);
      CHECK(store.IndexFiles() == 0);
      if (!faulty.failed()) break;
    }
  }
}

TEST_CASE("A writer compacts its buckets at commits, in the order of their rows") {
  for (bool stream : {false, true}) {
    CAPTURE(stream);
    Store store(Options{{"bucket", "1"}, {"bucket-key", "id"}});
    auto writer = store.table->NewWriter("w");
    size_t most = 0, compactions = 0;
    int64_t commit = 1;
    for (; commit <= 30 || compactions == 0; commit++) {
      WriteRows(*writer, Rows(commit * 10, commit * 10 + 10));
      for (const TestRow& row : Rows(commit * 10, commit * 10 + 10)) store.model.Apply(row);
      Committable committable = stream ? writer->PrepareStreamCommit() : writer->PrepareCommit();
      committable = Committable::FromJson(committable.ToJson());
      store.table->Commit(committable, "w", commit);
      compactions += store.table->LatestSnapshot()->commit_kind == CommitKind::kCompact;
      most = std::max(most, store.Files().size());
    }
    CHECK(compactions > 0);
    if (!stream) CHECK(most <= 5);
    store.Check();
    writer = nullptr;
    store.Compact(true);
    store.Check();
    ScanOptions scan;
    scan.columns = {0};
    std::vector<int64_t> ids;
    for (const Split& split : store.table->PlanScan(scan)) {
      auto reader = store.table->ReadSplit(split, scan);
      DataChunk chunk;
      chunk.Initialize(duckdb::Allocator::DefaultAllocator(), {LogicalType::BIGINT});
      for (chunk.Reset(); reader->Next(chunk); chunk.Reset()) {
        for (idx_t i = 0; i < chunk.size(); i++) {
          ids.push_back(chunk.GetValue(0, i).GetValue<int64_t>());
        }
      }
    }
    CHECK(std::is_sorted(ids.begin(), ids.end()));
    int64_t next = 0;
    for (const DataFileMeta& file : store.Files()) {
      CHECK(file.min_sequence_number == next);
      next = file.max_sequence_number + 1;
    }
    CHECK(next == (commit - 1) * 10);
    CHECK(store.Files().front().file_source == FileSource::kCompact);
  }
}

TEST_CASE("Write-only writers leave compaction to others; what they prepared counts") {
  Store store(Options{{"bucket", "1"}, {"bucket-key", "id"}, {"compaction.min.file-num", "2"}});
  auto writer = store.table->NewWriter("early");
  std::vector<Committable> prepared;
  for (int64_t commit = 1; commit <= 4; commit++) {  // None is committed before the next.
    WriteRows(*writer, Rows(commit * 10, commit * 10 + 10));
    for (const TestRow& row : Rows(commit * 10, commit * 10 + 10)) store.model.Apply(row);
    prepared.push_back(writer->PrepareCommit());
  }
  for (int64_t commit = 1; commit <= 4; commit++) {
    store.table->Commit(prepared[static_cast<size_t>(commit) - 1], "early", commit);
  }
  store.Check();
  for (int64_t i = 10; i < 20; i++) {
    store.Append(i * 10, i * 10 + 5);
    CHECK(store.table->LatestSnapshot()->commit_kind == CommitKind::kAppend);
  }
  CHECK(store.Files().size() == 14);
  store.Append(1000, 1001, {});
  CHECK(store.Files().size() < 15);
  store.Check();
}

TEST_CASE("Files of an older schema are rewritten under the newest, of a newer one left alone") {
  Store store(Options{{"deletion-vectors.enabled", "true"}});
  auto old = store.table;
  store.Append(0, 10);
  store.Append(10, 20);
  AlterTableSchema(
      store.world.context(), kFolder, "t", [](const TableSchema&) -> std::vector<SchemaChange> {
        return {RenameColumn{{"value"}, "called"}, AddColumn{{"extra"}, ParseDataType("INT")},
                AddColumn{{"value"}, ParseDataType("INT")}};
      });
  store.table = Table::Open(store.world.context(), kFolder);
  store.Delete([](int64_t id) { return id == 4; });
  REQUIRE(store.Compact(true));
  store.Check();
  for (const DataFileMeta& file : store.Files()) CHECK(file.schema_id == 1);
  auto writer = store.table->NewWriter("w");
  ChangeChunk chunk;
  chunk.Initialize(store.table->schema().DuckTypes());
  for (idx_t c = 0; c < 5; c++) chunk.rows.SetValue(c, 0, Value());
  chunk.rows.SetValue(0, 0, Value::BIGINT(99));
  chunk.rows.SetValue(1, 0, Value("a"));
  chunk.rows.SetValue(2, 0, Value("v99"));
  chunk.rows.SetCardinality(1);
  chunk.kinds.push_back(RowKind::kInsert);
  writer->Write(chunk);
  store.table->Commit(writer->PrepareCommit(), "w", 100);
  store.model.Apply({RowKind::kInsert, 99, "a", "v99"});
  CHECK(!old->Compact({.full = true}, "c", 200));
  CHECK(store.Compact(true));
  store.Check();
}

TEST_CASE("Followers of a table do not see that it was compacted") {
  Store store(Options{{"deletion-vectors.enabled", "true"}});
  for (int64_t i = 0; i < 6; i++) store.Append(i * 10, i * 10 + 10);
  store.Delete([](int64_t id) { return id % 2 == 0; });
  int64_t id = *store.Compact(false);
  CHECK(store.table->FindSnapshot(id)->commit_kind == CommitKind::kCompact);
  CHECK(store.table->FindSnapshot(id)->delta_record_count == -30);
  auto changes = store.table->PlanChanges(id);
  REQUIRE(changes);
  CHECK(changes->splits.empty());
  CHECK(changes->full);
  store.Check();
}

TEST_CASE("A limit of files is kept; what is left over is for the next time") {
  Store store(Options{{"compaction.file-num-limit", "4"}}, true);
  for (int64_t i = 0; i < 6; i++) store.Append(i * 10, i * 10 + 10);
  CHECK(store.Files().size() == 18);
  CHECK(store.Compact(true));
  CHECK(store.Files().size() == 15);
  store.Check();
  while (store.Compact(true)) store.Check();
  CHECK(store.Files().size() == 3);
}

TEST_CASE("A table whose rows are all deleted is compacted to no file") {
  for (bool buckets : {false, true}) {
    Options options = {{"deletion-vectors.enabled", "true"}};
    if (buckets) options.insert({{"bucket", "1"}, {"bucket-key", "id"}});
    Store store(options);
    store.Append(0, 10);
    store.Delete([](int64_t) { return true; });
    CHECK(store.Compact(true));
    store.Check();
    CHECK(store.Files().empty());
    CHECK(!store.Compact(true));
    store.Append(10, 20);
    store.Check();
  }
}

TEST_CASE("Writers, a deleter and compactors in threads lose no row and revive none") {
  for (bool buckets : {false, true}) {
    CAPTURE(buckets);
    Options options = {{"deletion-vectors.enabled", "true"},
                       {"compaction.min.file-num", "2"},
                       {"commit.max-retries", "1000"},
                       {"commit.min-retry-wait", "1 ms"}};
    if (buckets) options.insert({{"bucket", "2"}, {"bucket-key", "id"}});
    Store store(options);
    store.Append(0, 500);
    std::string failure;
    auto guarded = [&](const std::function<void(const Table&)>& work) {
      return std::thread([&, work] {
        try {
          work(*Table::Open(store.world.context(), kFolder));
        } catch (const std::exception& error) {
          failure = ErrorFrom(error).text();
        }
      });
    };
    std::set<int64_t> deleted;
    std::thread writing = guarded([&](const Table& table) {
      auto writer = table.NewWriter("writer");
      for (int64_t i = 1; i <= 20; i++) {
        WriteRows(*writer, Rows(i * 1000, i * 1000 + 20));
        table.Commit(writer->PrepareStreamCommit(), "writer", i);
      }
    });
    std::thread deleting = guarded([&](const Table& table) {
      for (int64_t i = 1; i <= 15; i++) {
        std::set<int64_t> ids;
        Committable deletion =
            Store::PrepareDelete(table, [&](int64_t id) { return id % 100 == i; }, ids);
        try {
          table.Commit(deletion, "deleter", i);
          deleted.insert(ids.begin(), ids.end());
        } catch (const Error& error) {
          if (error.code() != ErrorCode::kConflict) throw;
        }
      }
    });
    std::thread compacting = guarded([&](const Table& table) {
      for (int64_t i = 1; i <= 10; i++) {
        try {
          table.Compact({.full = i % 2 == 0}, "compactor", i);
        } catch (const Error& error) {
          if (error.code() != ErrorCode::kConflict) throw;
        }
      }
    });
    writing.join();
    deleting.join();
    compacting.join();
    CHECK(failure == "");
    for (int64_t i = 1; i <= 20; i++) {
      for (const TestRow& row : Rows(i * 1000, i * 1000 + 20)) store.model.Apply(row);
    }
    store.Forget(deleted);
    store.Check();
    store.Compact(true);
    store.Check();
  }
}

}  // namespace millrace
