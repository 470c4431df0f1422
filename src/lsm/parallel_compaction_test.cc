// Goal: a compaction by several threads, each with a range of keys, makes the rows, changes and
// marks that one thread makes, and leaves nothing behind when a range fails. Method: the same
// random files compacted both ways, for every kind of changelog and with deletion vectors; each
// file operation failing.
#include <doctest/doctest.h>

#include <atomic>

#include "io/faulty_file_system.h"
#include "lsm/test_bucket.h"

namespace millrace {

namespace {

/// Several threads, whatever the machine has.
duckdb::DatabaseInstance& ThreadedDatabase() {
  static auto* database = [] {
    duckdb::DBConfig config;
    config.options.maximum_threads = 4;
    return new duckdb::DuckDB(nullptr, &config);
  }();
  return *database->instance;
}

/// A run at the top level, and two in level 0 that overlap it.
struct Bucket {
  TestBucket base;
  LsmContext context{base.files, base.clock, ThreadedDatabase()};

  Bucket(KeyValueLayout layout, uint64_t seed, idx_t rows) : base(std::move(layout), seed, 50'000) {
    base.WriteRandom(rows, 0.1);
    base.Flush();
    base.CompactUnitNow(*UniversalCompaction::PickAll(base.levels));
    for (int i = 0; i < 2; i++) {
      base.WriteRandom(rows / 2, 0.2);
      base.Flush();
    }
  }

  CompactUnit Level0To(int level) const {
    CompactUnit unit{.output_level = level, .files = {}};
    for (const DataFileMeta& file : base.levels.Files()) {
      if (file.level == 0 || level == base.levels.MaxLevel()) unit.files.push_back(file);
    }
    return unit;
  }

  CompactOptions Options(CompactionChangelog kind, bool marks, int level) const {
    CompactOptions options;
    options.max_level = base.levels.MaxLevel();
    options.marks_above = marks;
    options.takes_up_above = marks || kind == CompactionChangelog::kLookup;
    options.drop_deletes = marks || level == base.levels.MaxLevel();
    options.changelog = {.kind = kind, .max_level = base.levels.MaxLevel()};
    options.write.folder = options.write_changelog.folder = "/b";
    for (const DataFileMeta& file : base.levels.Files()) {
      if (file.level > level) options.above.push_back(file);
    }
    return options;
  }

  std::vector<TestRow> RowsOf(const std::vector<DataFileMeta>& files) const {
    MergeReadOptions read{.drop_deletes = false, .key_value = true};
    for (idx_t i = 0; i < base.layout.fields.size(); i++) read.fields.push_back(i);
    RunReader reader(context, base.layout, "/b", files, read);
    DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), reader.Types());
    std::vector<TestRow> rows;
    for (chunk.Reset(); reader.Next(chunk); chunk.Reset()) {
      for (TestRow& row : ToRows(chunk)) rows.push_back(std::move(row));
    }
    return rows;
  }
};

void CheckSame(const std::vector<TestRow>& a, const std::vector<TestRow>& b) {
  REQUIRE(a.size() == b.size());
  size_t different = 0;
  for (size_t i = 0; i < a.size(); i++) different += !SameRow(a[i], b[i]);
  CHECK(different == 0);
}

const std::vector<std::pair<std::vector<std::string>, std::vector<idx_t>>> kLayouts = {
    {{"BIGINT", "STRING"}, {0}}, {{"INT", "STRING", "DOUBLE"}, {1, 0}}};

}  // namespace

TEST_CASE("Ranges that are compacted side by side make what one thread makes") {
  uint64_t seed = std::random_device{}();
  MESSAGE("seed " << seed);
  for (const auto& [types, key] : kLayouts) {
    Bucket bucket(MakeLayout(types, key), seed, 40'000);
    int top = bucket.base.levels.MaxLevel();
    struct Case {
      CompactionChangelog kind;
      bool marks;
      int level;
    };
    for (auto [kind, marks, level] :
         std::vector<Case>{{CompactionChangelog::kNone, false, top},
                           {CompactionChangelog::kNone, false, top - 1},
                           {CompactionChangelog::kNone, true, top - 1},
                           {CompactionChangelog::kLookup, false, top - 1},
                           {CompactionChangelog::kLookup, true, top - 1},
                           {CompactionChangelog::kLookup, false, top},
                           {CompactionChangelog::kFullCompaction, false, top}}) {
      CAPTURE(static_cast<int>(kind));
      CAPTURE(marks);
      CAPTURE(level);
      CompactUnit unit = bucket.Level0To(level);
      CompactOptions options = bucket.Options(kind, marks, level);
      options.range_bytes = INT64_MAX;
      CompactResult one = Compact(bucket.context, bucket.base.layout, bucket.base.order, unit,
                                  bucket.base.names, options);
      options.range_bytes = 1;
      CompactResult many = Compact(bucket.context, bucket.base.layout, bucket.base.order, unit,
                                   bucket.base.names, options);
      CHECK(one.after.size() == 1);
      CHECK(many.after.size() > 1);
      CHECK(many.before == one.before);
      CHECK(many.deleted == one.deleted);
      CheckSame(bucket.RowsOf(many.after), bucket.RowsOf(one.after));
      CHECK((many.changelog.size() > 1) == (kind != CompactionChangelog::kNone));
      CheckSame(bucket.RowsOf(many.changelog), bucket.RowsOf(one.changelog));
      // The files are a run.
      CHECK(PackIntoRuns(many.after, bucket.base.order).size() == 1);
    }
  }
}

TEST_CASE("Of a compaction by ranges that fails, or is cancelled, nothing stays") {
  Bucket bucket(MakeLayout({"BIGINT", "INT"}, {0}), 11, 20'000);
  CompactUnit unit = bucket.Level0To(bucket.base.levels.MaxLevel());
  CompactOptions options =
      bucket.Options(CompactionChangelog::kFullCompaction, false, bucket.base.levels.MaxLevel());
  options.range_bytes = 1;
  const size_t before = bucket.base.files.Files().size();
  for (int64_t fail_at = 0;; fail_at++) {
    CAPTURE(fail_at);
    FaultyFileSystem faulty(bucket.base.files, {.fail_at = fail_at});
    LsmContext context{faulty, bucket.base.clock, ThreadedDatabase()};
    try {
      Compact(context, bucket.base.layout, bucket.base.order, unit, bucket.base.names, options);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kIo);
      CHECK(bucket.base.files.Files().size() == before);
    }
    if (!faulty.failed()) break;
  }
  const size_t now = bucket.base.files.Files().size();
  std::atomic<int> asked{0};
  CHECK_THROWS_AS(Compact(bucket.context, bucket.base.layout, bucket.base.order, unit,
                          bucket.base.names, options, [&] { return ++asked > 3; }),
                  Error);
  CHECK(bucket.base.files.Files().size() == now);
}

}  // namespace millrace
