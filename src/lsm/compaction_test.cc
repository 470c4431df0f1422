// Goal: runs, sections and picks are those of the format's rules, and deletes go only where they
// may. Method: hand-derived cases over made-up file metadata; two compactions over real files.
#include "lsm/compaction.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "io/faulty_file_system.h"
#include "lsm/test_bucket.h"
#include "meta/binary_row.h"

namespace millrace {

namespace {

const std::vector<DataType>& KeyTypes() {
  static const std::vector<DataType> types = {ParseDataType("INT NOT NULL")};
  return types;
}

DataFileMeta File(const std::string& name, int level, int64_t size, int min, int max,
                  int64_t sequence) {
  DataFileMeta file;
  file.file_name = name;
  file.level = level;
  file.file_size = size;
  file.min_key = EncodeRow(KeyTypes(), {Value::INTEGER(min)});
  file.max_key = EncodeRow(KeyTypes(), {Value::INTEGER(max)});
  file.min_sequence_number = sequence;
  file.max_sequence_number = sequence;
  file.delete_row_count = 0;
  return file;
}

/// Level-0 files of these sizes, the first the newest, then (level, size) runs.
Levels MakeLevels(const std::vector<int64_t>& level0,
                  const std::vector<std::pair<int, int64_t>>& higher, int count = 6) {
  std::vector<DataFileMeta> files;
  auto sequence = static_cast<int64_t>(level0.size()) + 10;
  for (int64_t size : level0) {
    files.push_back(File("l0-" + std::to_string(files.size()), 0, size, 0, 100, sequence--));
  }
  for (auto [level, size] : higher) {
    files.push_back(File("l" + std::to_string(level), level, size, 0, 100, 0));
  }
  return Levels(KeyOrder(KeyTypes()), files, count);
}

/// "output<-number of files", "-" for nothing.
std::string Show(const std::optional<CompactUnit>& unit) {
  return unit ? fmt::format("{}<-{}", unit->output_level, unit->files.size()) : "-";
}

std::string Picked(const Levels& levels, CompactionOptions options = {}) {
  return Show(UniversalCompaction(options).Pick(levels));
}

}  // namespace

TEST_CASE("Level 0 is ordered newest first, levels above are one run each") {
  Levels levels = MakeLevels({10, 20, 30}, {{3, 100}, {5, 1000}});
  std::vector<LevelRun> runs = levels.Runs();
  REQUIRE(runs.size() == 5);
  CHECK(runs[0].run.files[0].file_name == "l0-0");
  CHECK(runs[2].run.files[0].file_name == "l0-2");
  CHECK(runs[3].level == 3);
  CHECK(levels.HighestNonEmptyLevel() == 5);
  CHECK(levels.MaxLevel() == 5);
  CHECK(levels.MaxSequenceNumber() == 13);
  CHECK(Levels(KeyOrder(KeyTypes()), {}).HighestNonEmptyLevel() == -1);
}

TEST_CASE("Overlapping files in one level are refused") {
  CHECK_THROWS_AS(
      Levels(KeyOrder(KeyTypes()), {File("a", 2, 1, 0, 5, 1), File("b", 2, 1, 5, 9, 2)}), Error);
}

TEST_CASE("Sections split where no key ranges overlap, with the fewest runs each") {
  std::vector<Section> sections = PartitionIntoSections(
      {File("c", 0, 1, 20, 30, 1), File("a", 0, 1, -5, 4, 1), File("b", 0, 1, 0, 10, 1),
       File("d", 0, 1, 5, 10, 1), File("e", 0, 1, 31, 31, 1)},
      KeyOrder(KeyTypes()));
  REQUIRE(sections.size() == 3);
  REQUIRE(sections[0].size() == 2);  // a, d and b.
  CHECK(sections[0][0].files.size() == 2);
  CHECK(sections[0][1].files[0].file_name == "b");
  CHECK(sections[1].size() == 1);
  CHECK(sections[2][0].files[0].file_name == "e");
}

TEST_CASE("Nothing is picked below the trigger") {
  CHECK(Picked(MakeLevels({}, {})) == "-");
  CHECK(Picked(MakeLevels({1, 1, 1, 1}, {})) == "-");
  CHECK(Picked(MakeLevels({1, 1, 1}, {{5, 1}})) == "-");
}

TEST_CASE("Size amplification compacts everything to the top") {
  // 4 * 100 > 200 % of 100; and just not: 100 * 200 is not > 200 * 100.
  CHECK(Picked(MakeLevels({100, 100, 100, 100}, {{5, 100}})) == "5<-5");
  CHECK(Picked(MakeLevels({50, 50, 50, 51}, {{5, 100}})) == "5<-5");
  CHECK(Picked(MakeLevels({1, 40, 80, 79}, {{5, 100}}), {.size_ratio_percent = 0}) == "-");
}

TEST_CASE("Size ratio takes runs while the next is not larger") {
  // 10 * 1.01 < 11: stops at once. 10 and 10 go together, then 20 * 1.01 < 21.
  CHECK(Picked(MakeLevels({10, 11, 200, 300}, {{5, 10'000}})) == "-");
  // Never into level 0: runs are taken until one of a higher level is among them.
  CHECK(Picked(MakeLevels({10, 10, 200, 300}, {{5, 10'000}})) == "5<-5");
  CHECK(Picked(MakeLevels({10, 10, 21}, {{4, 300}, {5, 10'000}})) == "4<-4");
  CHECK(Picked(MakeLevels({10, 10, 20}, {{4, 300}, {5, 10'000}})) == "3<-3");
  CHECK(Picked(MakeLevels({10, 10, 20, 40}, {{5, 10'000}})) == "4<-4");
}

TEST_CASE("Size ratio leaves a run of more rows alone, however few bytes it takes") {
  // Level 0 has 4 * 15 bytes of 4 * 10 rows, the top 50 bytes of 50 rows; then of 40 rows.
  for (auto [top_rows, picked] : {std::pair(50, "4<-4"), std::pair(40, "5<-5")}) {
    std::vector<DataFileMeta> files;
    for (int i = 0; i < 5; i++) {
      bool top = i == 4;
      files.push_back(File(std::to_string(i), top ? 5 : 0, top ? 50 : 15, 0, 100, 10 - i));
      files.back().row_count = top ? top_rows : 10;
    }
    CHECK(Picked(Levels(KeyOrder(KeyTypes()), files)) == picked);
  }
}

TEST_CASE("Too many runs are compacted whatever their sizes") {
  // Six runs, trigger five: two candidates at least; 3 * 1.01 < 10 ends it; level 0 next, so on.
  CHECK(Picked(MakeLevels({1, 2, 10, 100}, {{4, 1000}, {5, 100'000}})) == "4<-5");
  CHECK(Picked(MakeLevels({1}, {{1, 3}, {2, 10}, {3, 100}, {4, 1000}, {5, 100'000}})) == "1<-2");
}

TEST_CASE("Early full compaction by size thresholds") {
  CHECK(Picked(MakeLevels({10, 11}, {}), {.total_size_threshold = 22}) == "5<-2");
  CHECK(Picked(MakeLevels({10, 11}, {}), {.total_size_threshold = 21}) == "-");
  CHECK(Picked(MakeLevels({10}, {}), {.total_size_threshold = 22}) == "-");
  CHECK(Picked(MakeLevels({10}, {{5, 99}}), {.incremental_size_threshold = 9}) == "5<-2");
  CHECK(Picked(MakeLevels({10}, {{5, 99}}), {.incremental_size_threshold = 10}) == "-");
}

TEST_CASE("Level 0 alone and everything, on demand") {
  UniversalCompaction compaction({});
  CHECK(Show(compaction.PickLevel0(MakeLevels({}, {{5, 1}}))) == "-");
  CHECK(Show(compaction.PickLevel0(MakeLevels({10}, {{5, 1000}}))) == "4<-1");
  CHECK(Show(compaction.PickLevel0(MakeLevels({10, 10}, {{4, 5}, {5, 1000}}))) == "4<-3");
  CHECK(Show(compaction.PickLevel0(MakeLevels({10}, {}))) == "5<-1");
  CHECK(Show(UniversalCompaction::PickAll(MakeLevels({10}, {{5, 1000}}))) == "5<-2");
  CHECK(Show(UniversalCompaction::PickAll(MakeLevels({}, {{5, 1000}}))) == "-");
  CHECK(Show(UniversalCompaction::PickAll(MakeLevels({}, {{4, 1000}}))) == "5<-1");
}

TEST_CASE("Deletes survive below the highest level and go at it") {
  TestBucket bucket(MakeLayout({"INT", "STRING"}, {0}), 1, 50);
  bucket.WriteRandom(300, 0);
  bucket.Flush();
  bucket.CompactUnitNow(*UniversalCompaction::PickAll(bucket.levels));
  bucket.WriteRandom(20, 1);
  bucket.Flush();
  bucket.WriteRandom(20, 1);
  bucket.Flush();
  REQUIRE(bucket.levels.Runs().size() == 3);
  std::vector<LevelRun> runs = bucket.levels.Runs();
  CompactUnit low{1, {runs[0].run.files[0], runs[1].run.files[0]}};
  CHECK(!MayDropDeletes(bucket.levels, low));
  CompactResult result = bucket.CompactUnitNow(low);
  REQUIRE(result.after.size() == 1);
  CHECK(*result.after[0].delete_row_count > 0);
  CHECK(result.after[0].file_source == FileSource::kCompact);
  MergeReadOptions options;
  options.fields = {0};
  CHECK(bucket.Read(options).size() == bucket.model.size());
  CompactUnit all = *UniversalCompaction::PickAll(bucket.levels);
  CHECK(MayDropDeletes(bucket.levels, all));
  bucket.CompactUnitNow(all);
  CHECK(bucket.Read(options).size() == bucket.model.size());
  for (const DataFileMeta& file : bucket.levels.Files()) CHECK(*file.delete_row_count == 0);
}

TEST_CASE("A big file alone in its section only changes its level; one with deletes is rewritten") {
  TestBucket bucket(MakeLayout({"INT", "STRING"}, {0}), 2, 5000);
  bucket.WriteRandom(2000, 0);
  DataFileMeta file = bucket.Flush()[0];
  CompactResult up = bucket.CompactUnitNow({3, {file}}, 1000);
  REQUIRE(up.after.size() == 1);
  CHECK(up.after[0].file_name == file.file_name);
  CHECK(up.after[0].level == 3);
  CHECK(up.before == std::vector<DataFileMeta>{file});
  TestBucket other(MakeLayout({"INT", "STRING"}, {0}), 3, 5000);
  other.WriteRandom(2000, 0.2);
  file = other.Flush()[0];
  up = other.CompactUnitNow({3, {file}}, 1 << 20);
  REQUIRE(up.after.size() == 1);
  CHECK(up.after[0].file_name != file.file_name);
  CHECK(*up.after[0].delete_row_count == 0);
}

TEST_CASE("A compaction that fails leaves no files behind") {
  for (int64_t fail_at = 0;; fail_at++) {
    CAPTURE(fail_at);
    TestBucket bucket(MakeLayout({"INT", "STRING"}, {0}), 4, 500);
    for (int i = 0; i < 3; i++) {
      bucket.WriteRandom(400, 0.1);
      bucket.Flush();
    }
    FaultyFileSystem faulty(bucket.files, {.fail_at = fail_at});
    LsmContext context{faulty, bucket.clock, TestDatabase()};
    size_t before = bucket.files.Files().size();
    CompactUnit unit = *UniversalCompaction::PickAll(bucket.levels);
    CompactOptions options{.write = {.folder = "/b", .target_file_bytes = 2000}};
    try {
      Compact(context, bucket.layout, bucket.order, unit, bucket.names, options);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kIo);
      CHECK(bucket.files.Files().size() == before);
    }
    if (!faulty.failed()) break;
  }
}

TEST_CASE("A cancelled compaction stops and cleans up") {
  TestBucket bucket(MakeLayout({"INT", "STRING"}, {0}), 5, 500);
  for (int i = 0; i < 2; i++) {
    bucket.WriteRandom(400, 0.1);
    bucket.Flush();
  }
  CompactOptions options{.write = {.folder = "/b"}};
  try {
    Compact(bucket.context, bucket.layout, bucket.order,
            *UniversalCompaction::PickAll(bucket.levels), bucket.names, options,
            [] { return true; });
    FAIL("must throw");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kCancelled);
  }
  CHECK(bucket.files.Files().size() == 2);
}

}  // namespace millrace
