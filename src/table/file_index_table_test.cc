// Goal: file indexes let scans skip files and rows, never a row that is wanted, and live and die
// with their data files. Method: random rows and filters over append-only and primary-key tables
// against the unfiltered answer; data files taken away, so that only a skipped one is not missed.
#include <set>

#include "table/table_fixture.h"

namespace millrace {

namespace {

constexpr const char* kFolder = "w/d.db/t";

Options Indexed(Options more = {}) {
  Options options = {{"file-index.bloom-filter.columns", "value, id"},
                     {"file-index.bloom-filter.value.items", "200"},
                     {"file-index.bloom-filter.value.fpp", "0.0001"},
                     {"file-index.bloom-filter.id.items", "300"},
                     {"file-index.bloom-filter.id.fpp", "0.01"},
                     {"file-index.bitmap.columns", "part"}};
  more.merge(options);
  return more;
}

std::vector<TestRow> RandomRows(std::mt19937_64& random, int64_t ids, idx_t count) {
  std::vector<TestRow> rows;
  for (idx_t i = 0; i < count; i++) {
    rows.push_back({RowKind::kInsert, static_cast<int64_t>(random() % ids),
                    std::string(1, static_cast<char>('a' + random() % 7)),
                    "v" + std::to_string(random() % 500)});
  }
  return rows;
}

bool Matches(const std::string& row, const ColumnPredicate& predicate) {
  size_t first = row.find('|'), second = row.find('|', first + 1);
  std::string cell = predicate.column == 0   ? row.substr(0, first)
                     : predicate.column == 1 ? row.substr(first + 1, second - first - 1)
                                             : row.substr(second + 1);
  if (predicate.op == ColumnPredicate::Op::kEqual) return cell == predicate.constant.ToString();
  return std::any_of(predicate.constants.begin(), predicate.constants.end(),
                     [&](const Value& value) { return cell == value.ToString(); });
}

ColumnPredicate RandomPredicate(std::mt19937_64& random, int64_t ids) {
  ColumnPredicate predicate{random() % 3, ColumnPredicate::Op::kEqual, Value()};
  auto constant = [&] {
    if (predicate.column == 0) return Value::BIGINT(static_cast<int64_t>(random() % (ids * 2)));
    if (predicate.column == 1) return Value(std::string(1, static_cast<char>('a' + random() % 9)));
    return Value("v" + std::to_string(random() % 800));
  };
  if (random() % 2) {
    predicate.constant = constant();
    return predicate;
  }
  predicate.op = ColumnPredicate::Op::kIn;
  for (uint64_t n = random() % 4 + 1; n > 0; n--) predicate.constants.push_back(constant());
  return predicate;
}

std::set<std::string> FilesLike(TestWorld& world, const std::string& end) {
  std::set<std::string> names;
  for (const FileEntry& file : world.disk.List(std::string(kFolder) + "/bucket-0")) {
    if (file.name.ends_with(end)) names.insert(file.name);
  }
  return names;
}

}  // namespace

TEST_CASE("filtered scans find what unfiltered ones do, whatever the indexes say") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (bool keyed : {false, true}) {
    for (const char* threshold : {"1 mb", "0 b"}) {
      CAPTURE(keyed);
      CAPTURE(threshold);
      TestWorld world(seed);
      auto table = Table::Create(
          world.context(), kFolder,
          TestDefinition(keyed, false, Indexed({{"file-index.in-manifest-threshold", threshold}})));
      auto writer = table->NewWriter("u");
      for (int64_t commit = 1; commit <= 4; commit++) {
        WriteRows(*writer, RandomRows(random, 400, 120));
        if (keyed && commit == 2) writer->CompactFully();
        table->Commit(writer->PrepareCommit(), "u", commit);
      }
      std::vector<std::string> all = ReadRows(*table);
      for (int probe = 0; probe < 60; probe++) {
        ScanOptions options;
        options.predicates.push_back(RandomPredicate(random, 400));
        if (random() % 3 == 0) options.predicates.push_back(RandomPredicate(random, 400));
        auto wanted = [&](const std::string& row) {
          return std::all_of(options.predicates.begin(), options.predicates.end(),
                             [&](const auto& predicate) { return Matches(row, predicate); });
        };
        std::vector<std::string> expected, found;
        std::copy_if(all.begin(), all.end(), std::back_inserter(expected), wanted);
        std::vector<std::string> scanned = ReadRows(*table, options);
        std::copy_if(scanned.begin(), scanned.end(), std::back_inserter(found), wanted);
        REQUIRE(found == expected);
      }
    }
  }
}

TEST_CASE("files whose index denies the value are not opened; rows are chosen by bitmap") {
  for (const char* threshold : {"1 mb", "0 b"}) {
    CAPTURE(threshold);
    TestWorld world;
    auto table = Table::Create(
        world.context(), kFolder,
        TestDefinition(false, false, Indexed({{"file-index.in-manifest-threshold", threshold}})));
    for (int64_t commit = 1; commit <= 3; commit++) {
      auto writer = table->NewWriter("u");
      std::vector<TestRow> rows;
      for (int64_t id = 0; id < 200; id++) {
        // Ranges overlap: statistics tell nothing.
        rows.push_back({RowKind::kInsert, id * 3 + commit, id % 50 == 7 ? "rare" : "z-often",
                        "v" + std::to_string(id * 3 + commit)});
      }
      WriteRows(*writer, rows);
      table->Commit(writer->PrepareCommit(), "u", commit);
    }
    ScanOptions by_part;
    by_part.predicates.push_back(
        {1, ColumnPredicate::Op::kIn, Value(), {Value("rare"), Value("none")}});
    CHECK(ReadRows(*table, by_part).size() == 12);  // Four rows of each file, no others.
    ScanOptions by_values;
    by_values.predicates.push_back(
        {2, ColumnPredicate::Op::kIn, Value(), {Value("v302"), Value("v1000")}});
    CHECK(ReadRows(*table, by_values).size() == 200);  // One file; a Bloom filter tells no rows.
    ScanOptions by_value;
    by_value.predicates.push_back({2, ColumnPredicate::Op::kEqual, Value("v302")});
    CHECK(ReadRows(*table, by_value).size() == 1);  // Equalities are tested while decoding.
    bool in_manifest = threshold == std::string("1 mb");
    size_t planned = 0;
    for (const Split& split : table->PlanScan(by_value)) planned += split.files.size();
    CHECK(planned == (in_manifest ? 1 : 3));
    CHECK(FilesLike(world, ".index").size() == (in_manifest ? 0 : 3));
    ScanOptions nothing;
    nothing.predicates.push_back({2, ColumnPredicate::Op::kEqual, Value("v1000")});
    for (const std::string& file : FilesLike(world, ".parquet")) {
      world.disk.Delete(std::string(kFolder) + "/bucket-0/" + file);
    }
    CHECK(ReadRows(*table, nothing).empty());
    CHECK_THROWS_AS(ReadRows(*table, by_value), Error);
    auto blind = Table::Open(world.context(), kFolder, {{"file-index.read.enabled", "false"}});
    CHECK_THROWS_AS(ReadRows(*blind, nothing), Error);
  }
}

TEST_CASE("a file's index goes when the file goes") {
  TestWorld world;
  auto table = Table::Create(world.context(), kFolder,
                             TestDefinition(true, false,
                                            Indexed({{"bucket", "1"},
                                                     {"file-index.in-manifest-threshold", "0 b"},
                                                     {"num-sorted-run.compaction-trigger", "2"},
                                                     {"snapshot.num-retained.min", "1"},
                                                     {"snapshot.num-retained.max", "1"}})));
  auto writer = table->NewWriter("u");
  std::mt19937_64 random(7);
  for (int64_t commit = 1; commit <= 9; commit++) {
    WriteRows(*writer, RandomRows(random, 300, 50));
    table->Commit(writer->PrepareCommit(), "u", commit);
  }
  std::set<std::string> expected;
  for (const std::string& file : FilesLike(world, ".parquet")) expected.insert(file + ".index");
  CHECK(FilesLike(world, ".index") == expected);
  CHECK(expected.size() < 9);
  CHECK(!expected.empty());
}

TEST_CASE("columns that cannot be indexed are refused by name") {
  TestWorld world;
  auto refused = [&](const Options& options, const char* why) {
    CHECK_THROWS_WITH_AS(
        Table::Create(world.context(), kFolder, TestDefinition(false, false, options)),
        doctest::Contains(why), Error);
  };
  refused({{"file-index.bloom-filter.columns", "valu"}}, "names column 'valu', which the table");
  refused({{"file-index.bloom-filter.columns", "id"}, {"file-index.bloom-filter.id.fpp", "2"}},
          "false positives");
  TableDefinition definition =
      TestDefinition(false, false, {{"file-index.bitmap.columns", "value"}});
  definition.columns[2].type = ParseDataType("DECIMAL(10, 2)");
  CHECK_THROWS_WITH_AS(Table::Create(world.context(), kFolder, definition),
                       doctest::Contains("DECIMAL(10, 2), which a bitmap cannot index"), Error);
}

TEST_CASE("a damaged or missing index is told by name") {
  TestWorld world;
  auto table = Table::Create(
      world.context(), kFolder,
      TestDefinition(false, false, Indexed({{"file-index.in-manifest-threshold", "0 b"}})));
  auto writer = table->NewWriter("u");
  std::mt19937_64 random(7);
  WriteRows(*writer, RandomRows(random, 300, 50));
  table->Commit(writer->PrepareCommit(), "u", 1);
  std::string path = std::string(kFolder) + "/bucket-0/" + *FilesLike(world, ".index").begin();
  ScanOptions options;
  options.predicates.push_back({1, ColumnPredicate::Op::kEqual, Value("a")});
  std::string bytes = world.disk.Read(path);
  world.disk.Overwrite(path, bytes.substr(0, 40));
  CHECK_THROWS_WITH_AS(ReadRows(*table, options), doctest::Contains(path.c_str()), Error);
  world.disk.Delete(path);
  CHECK_THROWS_WITH_AS(ReadRows(*table, options), doctest::Contains("'file-index.read.enabled'"),
                       Error);
  CHECK(ReadRows(*table).size() == 50);
}

}  // namespace millrace
