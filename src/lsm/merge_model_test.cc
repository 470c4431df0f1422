// Goal: a flush, a compaction and a read merge the rows of a key as the merge engines' definitions
// say, whatever engine, functions, sequences and row kinds. Method: random tables and changes;
// every file written and every read is compared with naive_merge.h, which goes row by row over
// values.
#include <doctest/doctest.h>

#include "lsm/model_bucket.h"

namespace millrace {

namespace {

void RunModel(uint64_t seed) {
  CAPTURE(seed);
  ModelBucket bucket(seed);
  CAPTURE(static_cast<int>(bucket.table.spec.engine));
  std::vector<idx_t> all;
  for (idx_t i = 0; i < bucket.table.layout.fields.size(); i++) all.push_back(i);
  UniversalCompaction compaction({.trigger = 3});
  for (int round = 0; round < 8; round++) {
    CAPTURE(round);
    for (int i = 0; i < 3; i++) bucket.Write(bucket.table.random() % 30);
    bucket.Flush();
    bucket.CheckRead(all);
    bucket.CheckRead(bucket.SomeFields());
    auto unit = bucket.table.One(4) ? UniversalCompaction::PickAll(bucket.levels)
                                    : compaction.Pick(bucket.levels);
    if (!unit) continue;
    bucket.Compact(*unit);
    bucket.CheckRead(all);
  }
}

}  // namespace

TEST_CASE("Flush, compaction and read merge as the merge engines are defined") {
  for (uint64_t seed = 1; seed <= 80; seed++) RunModel(seed);
}

TEST_CASE("A batch holds more keys and rows than a chunk") {
  // 5000 keys in four runs of one file each: batches end between keys, never inside.
  KeyValueLayout layout = MakeLayout({"BIGINT", "BIGINT", "STRING"}, {0});
  MergeSpec spec{.engine = MergeEngine::kAggregation,
                 .columns = {{.aggregate = Aggregate::kKey},
                             {.aggregate = Aggregate::kSum},
                             {.aggregate = Aggregate::kListagg}}};
  TestBucket bucket(layout, 1, 100, {.merge = spec});
  for (int run = 0; run < 4; run++) {
    for (int64_t start = 0; start < 10'000; start += 1000) {
      ChangeChunk chunk;
      chunk.Initialize(layout.ValueTypes());
      for (idx_t i = 0; i < 1000; i++) {
        int64_t row = start + static_cast<int64_t>(i);
        chunk.rows.SetValue(0, i, Value::BIGINT(row % 5000));
        chunk.rows.SetValue(1, i, Value::BIGINT(row));
        chunk.rows.SetValue(2, i, Value(std::to_string(run)));
      }
      chunk.rows.SetCardinality(1000);
      bucket.buffer.Add(chunk);
    }
    bucket.Flush();
  }
  std::vector<TestRow> rows = bucket.Read({.fields = {0, 1, 2}, .merge = spec});
  REQUIRE(rows.size() == 5000);
  for (int64_t key = 0; key < 5000; key++) {
    CHECK(rows[key][0].GetValue<int64_t>() == key);
    CHECK(rows[key][1].GetValue<int64_t>() == 4 * (key + key + 5000));
    CHECK(rows[key][2].ToString() == "0,0,1,1,2,2,3,3");
  }
}

TEST_CASE("Results that do not fit are errors that name the column") {
  KeyValueLayout layout = MakeLayout({"INT", "TINYINT", "DECIMAL(4,2)", "DECIMAL(38,0)"}, {0});
  auto merge = [&](Aggregate aggregate, idx_t field, const std::vector<Value>& values) {
    MergeSpec spec{.engine = MergeEngine::kAggregation, .columns = {}};
    spec.columns.resize(4, {.aggregate = Aggregate::kLastValue});
    spec.columns[field].aggregate = aggregate;
    WriteBuffer buffer(layout, 0, {.merge = spec});
    ChangeChunk chunk;
    chunk.Initialize(layout.ValueTypes());
    for (idx_t i = 0; i < values.size(); i++) {
      for (idx_t c = 0; c < 4; c++) chunk.rows.SetValue(c, i, Value(layout.ValueTypes()[c]));
      chunk.rows.SetValue(0, i, Value::INTEGER(1));
      chunk.rows.SetValue(field, i, values[i].DefaultCastAs(layout.ValueTypes()[field]));
    }
    chunk.rows.SetCardinality(values.size());
    buffer.Add(chunk);
    std::string result;
    try {
      buffer.Flush([&](DataChunk& rows) { result = rows.GetValue(3 + field, 0).ToString(); });
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kData);
      CHECK(error.text().find("'f" + std::to_string(field) + "'") != std::string::npos);
      return std::string("error");
    }
    return result;
  };
  CHECK(merge(Aggregate::kSum, 1, {Value::INTEGER(100), Value::INTEGER(27)}) == "127");
  CHECK(merge(Aggregate::kSum, 1, {Value::INTEGER(100), Value::INTEGER(28)}) == "error");
  CHECK(merge(Aggregate::kSum, 2, {Value("99.98"), Value("0.01")}) == "99.99");
  CHECK(merge(Aggregate::kSum, 2, {Value("99.98"), Value("0.02")}) == "error");
  CHECK(merge(Aggregate::kProduct, 2, {Value("-1.05"), Value("0.50")}) == "-0.53");
  std::string nines(38, '9');
  CHECK(merge(Aggregate::kSum, 3, {Value(nines), Value("-1")}) == nines.substr(1) + "8");
  CHECK(merge(Aggregate::kSum, 3, {Value(nines), Value("1")}) == "error");
  CHECK(merge(Aggregate::kProduct, 3, {Value(nines), Value("1")}) == nines);
  CHECK(merge(Aggregate::kProduct, 3, {Value(nines), Value("2")}) == "error");
}

}  // namespace millrace
