// Goal: a flush, a compaction and a read merge the rows of a key as the merge engines' definitions
// say, whatever engine, functions, sequences and row kinds. Method: random tables and changes;
// every file written and every read is compared with naive_merge.h, which goes row by row over
// values.
#include <doctest/doctest.h>

#include "lsm/naive_merge.h"
#include "lsm/test_bucket.h"

namespace millrace {

namespace {

using NaiveRun = std::map<TestRow, NaiveRow, KeyLess>;

/// Random tables of one shape: key, sequence columns, and a column of every kind of function.
struct RandomTable {
  std::mt19937_64 random;
  KeyValueLayout layout;
  MergeSpec spec;
  double delete_share = 0;

  explicit RandomTable(uint64_t seed) : random(seed) {
    layout = MakeLayout(
        {"INT", "INT", "STRING", "BIGINT", "INT", "DECIMAL(18,2)", "DOUBLE", "STRING", "BOOLEAN",
         "ARRAY<INT>", "MAP<STRING, INT>", "ARRAY<ROW<a INT, b STRING>>", "DECIMAL(38,4)", "DATE"},
        {0});
    delete_share = One(3) ? 0 : 0.25;
    spec.engine = static_cast<MergeEngine>(random() % 4);
    if (spec.engine != MergeEngine::kFirstRow && One(2)) {
      layout.sequence_fields = One(2) ? std::vector<idx_t>{1} : std::vector<idx_t>{2, 1};
      layout.sequence_descending = One(3);
    }
    if (spec.engine == MergeEngine::kFirstRow) spec.ignore_delete = true;
    if (spec.engine == MergeEngine::kDeduplicate) spec.ignore_delete = One(4);
    if (spec.engine == MergeEngine::kAggregation) MakeAggregation();
    if (spec.engine == MergeEngine::kPartialUpdate) MakePartialUpdate();
  }

  bool One(uint64_t of) { return random() % of == 0; }

  ColumnMerge RandomColumn(idx_t field) {
    static const std::vector<std::vector<Aggregate>> kFunctions = {
        {Aggregate::kSum, Aggregate::kProduct, Aggregate::kMax, Aggregate::kMin},
        {Aggregate::kListagg, Aggregate::kMax, Aggregate::kMin},
        {Aggregate::kBoolAnd, Aggregate::kBoolOr},
        {Aggregate::kCollect},
        {Aggregate::kMergeMap},
        {Aggregate::kCollect, Aggregate::kNestedUpdate},
        {Aggregate::kMax, Aggregate::kMin}};
    static constexpr size_t kOfField[] = {0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 0, 6};
    const auto& special = kFunctions[kOfField[field]];
    ColumnMerge merge;
    merge.aggregate = One(3) ? static_cast<Aggregate>(static_cast<int>(Aggregate::kLastValue) +
                                                      static_cast<int>(random() % 4))
                             : special[random() % special.size()];
    merge.distinct = One(2);
    merge.delimiter = One(2) ? "," : "ey";
    if (merge.aggregate == Aggregate::kNestedUpdate) {
      if (One(2)) merge.nested_key = {0};
      if (One(3)) merge.count_limit = 3;
    }
    bool retracts = merge.aggregate == Aggregate::kSum || merge.aggregate >= Aggregate::kCollect ||
                    merge.aggregate == Aggregate::kLastValue ||
                    merge.aggregate == Aggregate::kLastNonNullValue;
    merge.ignore_retract = !retracts || One(6);
    return merge;
  }

  void MakeAggregation() {
    spec.remove_on_delete = One(4);
    for (idx_t i = 0; i < layout.fields.size(); i++) {
      spec.columns.push_back(RandomColumn(i));
      if (spec.remove_on_delete) spec.columns[i].ignore_retract = false;
    }
    spec.columns[0] = {.aggregate = Aggregate::kKey};
    for (idx_t i : layout.sequence_fields) spec.columns[i] = {.aggregate = Aggregate::kLastValue};
  }

  void MakePartialUpdate() {
    spec.columns.resize(layout.fields.size());
    spec.columns[0] = {.aggregate = Aggregate::kKey};
    if (One(2)) {
      if (delete_share > 0) {
        spec.ignore_delete = One(2);
        spec.remove_on_delete = !spec.ignore_delete;
      }
      return;
    }
    layout.sequence_fields.clear();
    spec.groups.push_back({.sequence = {4}, .columns = {3, 5, 9, 11}});
    if (One(2)) spec.groups.push_back({.sequence = {13, 1}, .columns = {6, 7, 8}});
    if (One(3)) {
      spec.groups[random() % spec.groups.size()].removes_row = true;
    } else {
      spec.ignore_delete = One(4);
    }
    for (const SequenceGroup& group : spec.groups) {
      for (idx_t i : group.columns) {
        if (One(2)) spec.columns[i] = RandomColumn(i);
      }
    }
  }

  Value RandomCell(idx_t field) {
    const DataType& type = layout.fields[field].type;
    if (type.root == TypeRoot::kInt && field > 0) {
      return One(5) ? Value(type.ToDuck()) : Value::INTEGER(static_cast<int32_t>(random() % 7) - 3);
    }
    if (field == 3)
      return One(5) ? Value(type.ToDuck()) : Value::BIGINT(static_cast<int64_t>(random() % 5) - 2);
    return RandomValue(random, type, 12);
  }
};

/// The bucket under test beside a naive one.
struct ModelBucket {
  RandomTable table;
  MemoryFileSystem files;
  ManualClock clock{1'700'000'000'000};
  Random names_random{7};
  LsmContext context{files, clock, TestDatabase()};
  DataFileNames names{names_random};
  KeyOrder order;
  Levels levels;
  WriteBuffer buffer;
  std::map<TestRow, std::vector<NaiveRow>, KeyLess> waiting;
  std::map<std::string, NaiveRun> model;  // By file.
  int64_t next_sequence = 0;

  explicit ModelBucket(uint64_t seed)
      : table(seed),
        order(table.layout.KeyTypes()),
        levels(order, {}, 4),
        buffer(table.layout, 0, {.merge = table.spec}) {}

  bool Older(const NaiveRow& a, const NaiveRow& b) const {
    for (idx_t i : table.layout.sequence_fields) {
      const Value &x = a.values[i], &y = b.values[i];
      if (x.IsNull() && y.IsNull()) continue;
      if (x.IsNull() || y.IsNull()) return x.IsNull();
      if (SameValue(x, y)) continue;
      return (x < y) != table.layout.sequence_descending;
    }
    return a.sequence < b.sequence;
  }

  std::optional<NaiveRow> MergeNaively(std::vector<NaiveRow> rows) const {
    std::stable_sort(rows.begin(), rows.end(),
                     [&](const NaiveRow& a, const NaiveRow& b) { return Older(a, b); });
    return NaiveMerge::Merge(table.spec, table.layout, rows);
  }

  void Write(idx_t count) {
    ChangeChunk chunk;
    chunk.Initialize(table.layout.ValueTypes());
    for (idx_t i = 0; i < count; i++) {
      NaiveRow row;
      for (idx_t c = 0; c < table.layout.fields.size(); c++) {
        row.values.push_back(table.RandomCell(c));
        chunk.rows.SetValue(c, i, row.values.back());
      }
      bool retract = static_cast<double>(table.random() % 1000) < table.delete_share * 1000;
      row.kind = retract ? (table.One(3) && !table.spec.remove_on_delete ? RowKind::kUpdateBefore
                                                                         : RowKind::kDelete)
                         : (table.One(2) ? RowKind::kInsert : RowKind::kUpdateAfter);
      chunk.kinds.push_back(row.kind);
      if (retract && table.spec.ignore_delete) continue;  // Has no number either.
      row.sequence = next_sequence++;
      waiting[{row.values[0]}].push_back(row);
    }
    chunk.rows.SetCardinality(count);
    buffer.Add(chunk);
  }

  void Flush() {
    RunFileWriter writer(context, table.layout, names, {.folder = "/b"});
    buffer.Flush([&](DataChunk& chunk) { writer.Write(chunk); });
    std::vector<DataFileMeta> flushed = writer.Finish();
    if (waiting.empty()) return;
    REQUIRE(flushed.size() == 1);
    levels.AddLevel0(flushed[0]);
    NaiveRun& run = model[flushed[0].file_name];
    for (auto& [key, rows] : waiting) {
      if (auto merged = MergeNaively(rows)) run[key] = *merged;
    }
    waiting.clear();
    CheckFile(flushed[0]);
  }

  std::map<TestRow, std::vector<NaiveRow>, KeyLess> RowsOf(
      const std::vector<DataFileMeta>& of_files) {
    std::map<TestRow, std::vector<NaiveRow>, KeyLess> rows;
    for (const DataFileMeta& file : of_files) {
      for (const auto& [key, row] : model.at(file.file_name)) {
        rows[key].push_back(row);
        rows[key].back().level = file.level;
      }
    }
    return rows;
  }

  void Compact(const CompactUnit& unit) {
    CompactOptions options;
    options.merge = table.spec;
    options.drop_deletes = MayDropDeletes(levels, unit);
    options.max_level = levels.MaxLevel();
    options.write.folder = "/b";
    CompactResult result = millrace::Compact(context, table.layout, order, unit, names, options);
    NaiveRun run;
    for (auto& [key, rows] : RowsOf(result.before)) {
      auto merged = MergeNaively(rows);
      if (merged && (!options.drop_deletes || IsAdd(merged->kind))) run[key] = *merged;
    }
    levels.Replace(result.before, result.after);
    if (result.after.size() == 1 && model.contains(result.after[0].file_name)) return;  // Lifted.
    REQUIRE(result.after.size() == (run.empty() ? 0 : 1));
    if (run.empty()) return;
    model[result.after[0].file_name] = run;
    CheckFile(result.after[0]);
  }

  void CheckRows(const std::vector<TestRow>& rows, const std::vector<TestRow>& expected) {
    REQUIRE(rows.size() == expected.size());
    for (size_t i = 0; i < rows.size(); i++) {
      if (SameRow(rows[i], expected[i])) continue;
      for (size_t c = 0; c < rows[i].size(); c++) {
        MESSAGE(c << ": " << rows[i][c].ToString() << " / " << expected[i][c].ToString());
      }
      FAIL("row " << i << " differs");
    }
  }

  void CheckFile(const DataFileMeta& file) {
    MergeReadOptions options;
    options.key_value = true;
    options.drop_deletes = false;
    for (idx_t i = 0; i < table.layout.fields.size(); i++) options.fields.push_back(i);
    RunReader reader(context, table.layout, "/b", {file}, options);
    std::vector<TestRow> expected;
    for (const auto& [key, row] : model.at(file.file_name)) {
      expected.push_back({row.values[0], Value::BIGINT(row.sequence),
                          Value::TINYINT(static_cast<int8_t>(row.kind))});
      expected.back().insert(expected.back().end(), row.values.begin(), row.values.end());
    }
    CheckRows(Drain(reader), expected);
  }

  template <typename Reader>
  static std::vector<TestRow> Drain(Reader& reader) {
    DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), reader.Types());
    std::vector<TestRow> rows;
    while (reader.Next(chunk)) {
      for (TestRow& row : ToRows(chunk)) rows.push_back(std::move(row));
    }
    return rows;
  }

  void CheckRead(const std::vector<idx_t>& fields) {
    MergeReadOptions options;
    options.fields = fields;
    options.merge = table.spec;
    MergeReader reader(context, table.layout, "/b", levels.Files(), options);
    std::vector<TestRow> expected;
    for (auto& [key, rows] : RowsOf(levels.Files())) {
      auto merged = MergeNaively(rows);
      if (!merged || !IsAdd(merged->kind)) continue;
      expected.emplace_back();
      for (idx_t field : fields) expected.back().push_back(merged->values[field]);
    }
    CheckRows(Drain(reader), expected);
  }

  std::vector<idx_t> SomeFields() {
    std::vector<idx_t> fields;
    for (idx_t i = 0; i < table.layout.fields.size(); i++) {
      if (table.One(3)) fields.push_back(i);
    }
    return fields;
  }
};

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
  for (uint64_t seed = 1; seed <= 150; seed++) RunModel(seed);
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
