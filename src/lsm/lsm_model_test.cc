// Goal: whatever is written, flushed and compacted, a bucket reads as the last change of each key,
// in order. Method: random changes of small key domains against std::map, over many key types and
// compactions.
#include <doctest/doctest.h>

#include "base/error.h"
#include "lsm/test_bucket.h"
#include "meta/binary_row.h"

namespace millrace {

namespace {

void CheckRead(TestBucket& bucket, const std::vector<idx_t>& fields) {
  MergeReadOptions options;
  options.fields = fields;
  std::vector<TestRow> rows = bucket.Read(options);
  REQUIRE(rows.size() == bucket.model.size());
  size_t i = 0;
  for (const auto& [key, row] : bucket.model) {
    TestRow expected;
    for (idx_t field : fields) expected.push_back(row[field]);
    if (!SameRow(rows[i], expected)) {
      CAPTURE(i);
      for (size_t c = 0; c < fields.size(); c++) {
        MESSAGE(rows[i][c].ToString() << " / " << expected[c].ToString());
      }
      FAIL("row differs");
    }
    i++;
  }
}

void CheckFile(TestBucket& bucket, const DataFileMeta& file) {
  MergeReadOptions options;
  options.key_value = true;
  options.drop_deletes = false;
  for (idx_t i = 0; i < bucket.layout.fields.size(); i++) options.fields.push_back(i);
  RunReader reader(bucket.context, bucket.layout, "/b", {file}, options);
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), reader.Types());
  std::vector<TestRow> rows;
  while (reader.Next(chunk)) {
    for (TestRow& row : ToRows(chunk)) rows.push_back(std::move(row));
  }
  REQUIRE(static_cast<int64_t>(rows.size()) == file.row_count);
  size_t key_size = bucket.layout.key.size();
  auto key_of = [&](const TestRow& row) { return TestRow(row.begin(), row.begin() + key_size); };
  CHECK(file.min_key == EncodeRow(bucket.layout.KeyTypes(), key_of(rows.front())));
  CHECK(file.max_key == EncodeRow(bucket.layout.KeyTypes(), key_of(rows.back())));
  int64_t deletes = 0;
  int64_t low = INT64_MAX;
  int64_t high = INT64_MIN;
  for (size_t i = 0; i < rows.size(); i++) {
    if (i > 0) CHECK(KeyLess()(key_of(rows[i - 1]), key_of(rows[i])));
    int64_t sequence = rows[i][key_size].GetValue<int64_t>();
    low = std::min(low, sequence);
    high = std::max(high, sequence);
    deletes += rows[i][key_size + 1].GetValue<int8_t>() == 3;
  }
  CHECK(file.delete_row_count == deletes);
  CHECK(file.min_sequence_number == low);
  CHECK(file.max_sequence_number == high);
  CHECK(file.file_size == bucket.files.OpenForRead(DataFilePath("/b", file))->Size());
  CHECK(file.key_stats.null_counts.size() == key_size);
}

void RunModel(const std::vector<std::string>& types, const std::vector<idx_t>& key, uint64_t seed,
              int64_t domain) {
  CAPTURE(seed);
  CAPTURE(types[key[0]]);
  TestBucket bucket(MakeLayout(types, key), seed, domain);
  std::vector<idx_t> all;
  for (idx_t i = 0; i < types.size(); i++) all.push_back(i);
  UniversalCompaction compaction({.trigger = 3});
  for (int round = 0; round < 12; round++) {
    CAPTURE(round);
    bucket.WriteRandom(bucket.random() % 3000, 0.25);
    int64_t target = bucket.random() % 3 == 0 ? 20'000 : 128 << 20;
    for (const DataFileMeta& file : bucket.Flush(target)) CheckFile(bucket, file);
    CheckRead(bucket, all);
    std::optional<CompactUnit> unit = bucket.random() % 5 == 0
                                          ? UniversalCompaction::PickAll(bucket.levels)
                                          : compaction.Pick(bucket.levels);
    if (unit) {
      CompactResult result = bucket.CompactUnitNow(*unit, target);
      for (const DataFileMeta& file : result.after) {
        CHECK(file.level == unit->output_level);
        CheckFile(bucket, file);
      }
      CheckRead(bucket, all);
      CheckRead(bucket, {bucket.random() % types.size()});
      CheckRead(bucket, {});
    }
  }
  if (auto unit = UniversalCompaction::PickAll(bucket.levels)) bucket.CompactUnitNow(*unit);
  CHECK(IsRawConvertible(bucket.levels.Files()));
  CheckRead(bucket, all);
}

}  // namespace

TEST_CASE("A bucket equals the model: one BIGINT key") {
  for (uint64_t seed : {1, 2, 3}) {
    RunModel({"BIGINT", "STRING", "DECIMAL(10,2)", "INT"}, {0}, seed, seed == 1 ? 100 : 20'000);
  }
}

TEST_CASE("A bucket equals the model: other keys") {
  RunModel({"STRING", "INT", "BIGINT"}, {1}, 11, 3000);
  RunModel({"STRING", "INT"}, {0}, 12, 3000);
  RunModel({"STRING", "INT"}, {0}, 13, 1 << 30);  // Long strings, hardly a key twice.
  RunModel({"STRING", "INT", "DOUBLE"}, {0, 1}, 14, 40);
  RunModel({"INT", "STRING", "DATE"}, {2, 0}, 15, 40);
  RunModel({"DECIMAL(18,2)", "INT"}, {0}, 16, 1 << 20);
  RunModel({"DECIMAL(38,2)", "INT"}, {0}, 17, 1 << 20);
  RunModel({"DATE", "BOOLEAN"}, {0}, 18, 500);
  RunModel({"TIMESTAMP(3)", "BYTES"}, {0}, 19, 2000);
  RunModel({"TIMESTAMP(6)", "TIMESTAMP(3)"}, {0}, 20, 2000);
  RunModel({"TIMESTAMP(9)", "TIME(3)"}, {0}, 21, 2000);
  RunModel({"BYTES", "INT"}, {0}, 22, 2000);
}

TEST_CASE("A bucket equals the model: nested values") {
  RunModel({"INT", "ARRAY<STRING>", "MAP<STRING, INT>", "ROW<a INT, b ARRAY<INT>>"}, {0}, 31, 1000);
}

}  // namespace millrace
