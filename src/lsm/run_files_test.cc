// Goal: files carry the metadata that the format wants and are read by the schema that wrote them.
// Method: small append, changelog and key-value files over a memory disk.
#include <doctest/doctest.h>

#include "base/error.h"
#include "lsm/test_bucket.h"
#include "meta/binary_row.h"

namespace millrace {

namespace {

DataChunk& Fill(DataChunk& chunk, const KeyValueLayout& layout, int first, int count) {
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), layout.ValueTypes());
  for (int i = 0; i < count; i++) {
    chunk.SetValue(0, i, Value::INTEGER(first + i));
    chunk.SetValue(1, i, i % 3 == 0 ? Value() : Value("text " + std::to_string(first + i)));
    for (idx_t c = 2; c < layout.fields.size(); c++) chunk.SetValue(c, i, Value());
  }
  chunk.SetCardinality(count);
  return chunk;
}

std::vector<TestRow> ReadAll(const LsmContext& context, const KeyValueLayout& layout,
                             const std::vector<DataFileMeta>& files, MergeReadOptions options) {
  RunReader reader(context, layout, "/b", files, std::move(options));
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), reader.Types());
  std::vector<TestRow> rows;
  while (reader.Next(chunk)) {
    for (TestRow& row : ToRows(chunk)) rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

TEST_CASE("Append files: no key, sequence numbers by row, statistics of atomic columns only") {
  TestBucket disk(MakeLayout({"INT"}, {0}), 1, 10);
  KeyValueLayout layout = MakeLayout({"INT", "STRING", "ARRAY<INT>"}, {});
  layout.schema_id = 7;
  RunFileWriter writer(disk.context, layout, disk.names, {.folder = "/b"});
  for (int part = 0; part < 3; part++) {
    DataChunk chunk;
    writer.WriteAppend(Fill(chunk, layout, part * 100, 100), 1000 + part * 100);
  }
  std::vector<DataFileMeta> files = writer.Finish();
  REQUIRE(files.size() == 1);
  const DataFileMeta& file = files[0];
  CHECK(file.row_count == 300);
  CHECK(file.min_sequence_number == 1000);
  CHECK(file.max_sequence_number == 1299);
  CHECK(file.min_key == EmptyRow());
  CHECK(file.schema_id == 7);
  CHECK(file.delete_row_count == 0);
  CHECK(file.file_source == FileSource::kAppend);
  CHECK(file.creation_time_ms == LocalWallClockMs(disk.clock));
  CHECK(file.value_stats_columns == std::vector<std::string>{"f0", "f1"});
  CHECK(file.value_stats.null_counts == std::vector<std::optional<int64_t>>{0, 102});
  std::vector<DataType> covered = {layout.fields[0].type, layout.fields[1].type};
  CHECK(SameRow(DecodeRow(covered, file.value_stats.min_values),
                {Value::INTEGER(0), Value("text 1")}));
  CHECK(SameRow(DecodeRow(covered, file.value_stats.max_values),
                {Value::INTEGER(299), Value("text 98")}));
  std::vector<TestRow> rows = ReadAll(disk.context, layout, files, {.fields = {1, 0}});
  REQUIRE(rows.size() == 300);
  CHECK(SameRow(rows[101], {Value("text 101"), Value::INTEGER(101)}));
  CHECK(ReadAll(disk.context, layout, files,
                {.prune = {{0, FilePredicate::Op::kGreater, Value::INTEGER(500)}}})
            .size() == 300);
  CHECK(ReadAll(disk.context, layout, files,
                {.fields = {0}, .prune = {{0, FilePredicate::Op::kGreater, Value::INTEGER(500)}}})
            .empty());
}

TEST_CASE("Files roll at the target size, names share one counter") {
  TestBucket bucket(MakeLayout({"INT", "STRING"}, {0}), 2, 1 << 30);
  bucket.WriteRandom(20'000, 0);
  std::vector<DataFileMeta> files = bucket.Flush(100'000);
  CHECK(files.size() > 2);
  for (size_t i = 0; i < files.size(); i++) {
    CHECK(files[i].file_name.ends_with(fmt::format("-{}.parquet", i)));
    CHECK(files[i].file_name.starts_with("data-"));
    CHECK(files[i].file_size < 400'000);
    if (i > 0) {
      CHECK(bucket.order.Normalise(files[i - 1].max_key) <
            bucket.order.Normalise(files[i].min_key));
    }
  }
}

TEST_CASE("A changelog file gives back all rows with kinds and sequence numbers") {
  TestBucket bucket(MakeLayout({"INT", "STRING"}, {0}), 3, 20);
  bucket.WriteRandom(100, 0.3);
  RunFileWriter data(bucket.context, bucket.layout, bucket.names, {.folder = "/b"});
  RunFileWriter log(bucket.context, bucket.layout, bucket.names,
                    {.folder = "/b", .prefix = "changelog-"});
  bucket.buffer.Flush([&](DataChunk& chunk) { data.Write(chunk); },
                      [&](DataChunk& chunk) { log.Write(chunk); });
  data.Finish();
  std::vector<DataFileMeta> files = log.Finish();
  REQUIRE(files.size() == 1);
  std::vector<TestRow> rows = ReadAll(bucket.context, bucket.layout, files,
                                      {.fields = {1}, .drop_deletes = false, .key_value = true});
  REQUIRE(rows.size() == 100);
  std::map<TestRow, TestRow, KeyLess> replayed;
  std::vector<bool> seen(100);
  for (const TestRow& row : rows) {
    seen[row[1].GetValue<int64_t>()] = true;
    if (row[2].GetValue<int8_t>() == 3) {
      replayed.erase({row[0]});
    } else {
      replayed[{row[0]}] = {row[0], row[3]};
    }
  }
  CHECK(std::find(seen.begin(), seen.end(), false) == seen.end());
  REQUIRE(replayed.size() == bucket.model.size());
  for (const auto& [key, row] : bucket.model) CHECK(SameRow(replayed[key], row));
}

TEST_CASE("An older file is read by field id: renamed, retyped, added and re-added columns") {
  TestBucket bucket(MakeLayout({"INT", "INT", "STRING"}, {0}), 4, 50);
  bucket.WriteRandom(60, 0);
  bucket.Flush();
  bucket.WriteRandom(60, 0.3);
  bucket.Flush();
  std::vector<DataField> old_fields = bucket.layout.fields;
  KeyValueLayout now = bucket.layout;
  now.schema_id = 1;
  now.fields[0].name = "id";                     // Renamed key.
  now.fields[1].type = ParseDataType("BIGINT");  // Widened.
  now.fields[2].id = 9;                          // Dropped and added again under its old name.
  MergeReadOptions options;
  options.fields = {0, 1, 2};
  options.fields_of_schema = [&](int64_t) { return old_fields; };
  MergeReader reader(bucket.context, now, "/b", bucket.levels.Files(), options);
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), reader.Types());
  REQUIRE(reader.Next(chunk));
  REQUIRE(chunk.size() == bucket.model.size());
  idx_t i = 0;
  for (const auto& [key, row] : bucket.model) {
    CHECK(SameRow(ToRows(chunk)[i++],
                  {row[0], row[1].DefaultCastAs(LogicalType(LogicalTypeId::BIGINT)), Value()}));
  }
}

TEST_CASE("Merging prunes by key columns, never by others") {
  TestBucket bucket(MakeLayout({"INT", "INT"}, {0}), 5, 1000);
  for (int i = 0; i < 2; i++) {
    bucket.WriteRandom(3000, 0.1);
    bucket.Flush();
  }
  MergeReadOptions options;
  options.fields = {0, 1};
  options.prune = {{1, FilePredicate::Op::kGreater, Value::INTEGER(5000)}};
  CHECK(bucket.Read(options).size() == bucket.model.size());
  options.prune = {{0, FilePredicate::Op::kGreater, Value::INTEGER(5000)}};
  CHECK(bucket.Read(options).empty());
}

TEST_CASE("The user sequence decides in a merge too") {
  KeyValueLayout layout = MakeLayout({"INT", "INT", "STRING"}, {0});
  layout.sequence_fields = {1};
  TestBucket bucket(layout, 6, 10);
  auto write = [&](int sequence, const char* text) {
    ChangeChunk chunk;
    chunk.Initialize(layout.ValueTypes());
    chunk.rows.SetValue(0, 0, Value::INTEGER(1));
    chunk.rows.SetValue(1, 0, Value::INTEGER(sequence));
    chunk.rows.SetValue(2, 0, Value(text));
    chunk.rows.SetCardinality(1);
    bucket.buffer.Add(chunk);
    bucket.Flush();
  };
  write(8, "newest");
  write(3, "late");
  write(5, "later");
  std::vector<TestRow> rows = bucket.Read({.fields = {2}});
  REQUIRE(rows.size() == 1);
  CHECK(rows[0][0] == Value("newest"));
  bucket.CompactUnitNow(*UniversalCompaction::PickAll(bucket.levels));
  CHECK(bucket.Read({.fields = {2}})[0][0] == Value("newest"));
}

TEST_CASE("A damaged file in a merge is an error that names it, or was not needed") {
  TestBucket bucket(MakeLayout({"INT", "STRING"}, {0}), 7, 100);
  for (int i = 0; i < 2; i++) {
    bucket.WriteRandom(200, 0.1);
    bucket.Flush();
  }
  std::string path = DataFilePath("/b", bucket.levels.Files()[0]);
  const std::string bytes = bucket.files.Read(path);
  int errors = 0;
  for (size_t at = 0; at < bytes.size(); at += 13) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 16);
    bucket.files.Overwrite(path, damaged);
    try {
      std::vector<TestRow> rows = bucket.Read({.fields = {0, 1}});
      CHECK(rows.size() == bucket.model.size());
    } catch (const Error& error) {
      errors++;
      CHECK(error.code() == ErrorCode::kCorrupt);
      CHECK(error.text().find(path) != std::string::npos);
    }
  }
  CHECK(errors > 50);
}

}  // namespace millrace
