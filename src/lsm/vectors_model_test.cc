// Goal: with deletion vectors compactions leave one row of each key to be seen above level 0, the
// right one, and changelogs tell of the same. Method: random tables of all merge engines that go
// with vectors; after each compaction the vectors, what is seen, and the files are compared with a
// naive model that knows every row and its place.
#include "lsm/model_bucket.h"
#include "lsm/rows_above.h"

namespace millrace {

namespace {

void RunVectors(uint64_t seed, CompactionChangelog kind) {
  CAPTURE(seed);
  ModelBucket bucket(seed);
  if (bucket.table.spec.engine == MergeEngine::kFirstRow) return;
  CAPTURE(static_cast<int>(bucket.table.spec.engine));
  bucket.marks_above = true;
  bucket.changelog_kind = kind;
  bucket.table.spec.whole_above_level0 = true;
  UniversalCompaction compaction({.trigger = 3});
  for (int round = 0; round < 12; round++) {
    CAPTURE(round);
    for (int i = 0; i < 3; i++) bucket.Write(bucket.table.random() % 30);
    bucket.Flush();
    auto hides = [&](const DataFileMeta& file) { return bucket.hidden.contains(file.file_name); };
    auto unit = bucket.table.One(6) ? UniversalCompaction::PickAll(bucket.levels, hides)
                                    : compaction.Pick(bucket.levels);
    if (!unit && !bucket.table.One(4)) unit = compaction.PickLevel0(bucket.levels);
    if (!unit) continue;
    bucket.Compact(*unit);
    bucket.CheckVisible();
    std::vector<idx_t> all;
    for (idx_t i = 0; i < bucket.table.layout.fields.size(); i++) all.push_back(i);
    bucket.CheckRead(all);  // With level 0, as a stream starts.
  }
}

/// A file whose keys are every `step`-th number from `first` on.
DataFileMeta WriteNumbers(TestBucket& bucket, int64_t first, int64_t step, idx_t count) {
  ChangeChunk chunk;
  chunk.Initialize(bucket.layout.ValueTypes());
  for (idx_t done = 0; done < count;) {
    idx_t size = std::min<idx_t>(count - done, kChunkRows);
    chunk.Reset();
    for (idx_t i = 0; i < size; i++) {
      int64_t number = first + static_cast<int64_t>(done + i) * step;
      LogicalType type = bucket.layout.ValueTypes()[0];
      chunk.rows.SetValue(0, i,
                          type.id() == LogicalTypeId::VARCHAR
                              ? Value(fmt::format("key {:020}", number))
                              : Value::BIGINT(number));
      chunk.kinds.push_back(RowKind::kInsert);
    }
    chunk.rows.SetCardinality(size);
    bucket.buffer.Add(chunk);
    done += size;
  }
  return bucket.Flush().at(0);
}

}  // namespace

TEST_CASE("With deletion vectors each key is seen once, as its rows merge") {
  for (uint64_t seed = 1; seed <= 60; seed++) RunVectors(seed, CompactionChangelog::kNone);
}

TEST_CASE("With deletion vectors and changelogs likewise") {
  for (uint64_t seed = 1; seed <= 60; seed++) RunVectors(seed, CompactionChangelog::kLookup);
}

TEST_CASE("Rows above are found by position, sparse or dense, over files and row groups") {
  for (const char* type : {"BIGINT", "STRING"}) {
    CAPTURE(type);
    TestBucket bucket(MakeLayout({type}, {0}), 1, 1);
    std::vector<DataFileMeta> above;
    for (int64_t i = 0; i < 4; i++) {  // Keys 0, 2, 4, ... with gaps between files.
      above.push_back(WriteNumbers(bucket, i * 1'000'000, 2, 150'000));
    }
    MergeReadOptions read;
    read.rows_of_file = [&](const DataFileMeta& file) {
      FileRows rows;
      RowSet hidden;
      hidden.Add(3);
      if (file.file_name == above[1].file_name) {
        rows.hidden = std::make_shared<const RowSet>(std::move(hidden));
      }
      return rows;
    };
    auto find = [&](const std::vector<DataFileMeta>& lower) {
      return FindRowsAbove(bucket.context, bucket.layout, "/b", lower, above, read, [] {});
    };
    auto check = [&](int64_t first, int64_t step, idx_t count) {
      CAPTURE(first);
      CAPTURE(step);
      DeletionVectors expected;
      for (idx_t i = 0; i < count; i++) {
        int64_t key = first + static_cast<int64_t>(i) * step;
        int64_t rest = key % 1'000'000;
        if (key < 0 || key >= 4'000'000 || rest % 2 != 0 || rest >= 300'000) continue;
        if (key / 1'000'000 == 1 && rest == 6) continue;  // Hidden.
        expected[above[static_cast<size_t>(key / 1'000'000)].file_name].Add(rest / 2);
      }
      CHECK(find({WriteNumbers(bucket, first, step, count)}) == expected);
    };
    check(-10, 1, 100);
    check(999'000, 1, 3000);
    check(5, 99'991, 60);
    check(299'998, 700'002, 6);
    check(3'299'990, 1, 100);
    check(4'000'000, 1, 10);
    check(0, 3, 100'000);
    // Several files below, which overlap: each row is found once.
    DeletionVectors found = find({WriteNumbers(bucket, 0, 4, 10), WriteNumbers(bucket, 2, 2, 5)});
    REQUIRE(found.size() == 1);
    CHECK(found.begin()->second.Positions() ==
          std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 18});
    CHECK(find({}).empty());
  }
}

}  // namespace millrace
