// model_bucket.h - a bucket of a random table beside a naive one, for tests.
//
// Every file that is written is compared with what naive_merge.h makes of the same rows.
#pragma once

#include <doctest/doctest.h>

#include "lsm/naive_merge.h"
#include "lsm/test_bucket.h"

namespace millrace {

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
  CompactionChangelog changelog_kind = CompactionChangelog::kNone;
  bool leaves_out_same = false;
  std::vector<std::pair<RowKind, TestRow>> changes;  // Of all compactions.
  bool marks_above = false;                          // With deletion vectors:
  DeletionVectors hidden;                            // by file.
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

  /// Of rows above level 0 only the lowest counts where it holds the whole.
  std::optional<NaiveRow> MergeNaively(std::vector<NaiveRow> rows, bool pass_single = true) const {
    if (table.spec.whole_above_level0) {
      int lowest = INT32_MAX;
      for (const NaiveRow& row : rows) {
        if (row.level > 0) lowest = std::min(lowest, row.level);
      }
      std::erase_if(rows, [&](const NaiveRow& row) { return row.level > lowest; });
    }
    std::stable_sort(rows.begin(), rows.end(),
                     [&](const NaiveRow& a, const NaiveRow& b) { return Older(a, b); });
    return NaiveMerge::Merge(table.spec, table.layout, rows, pass_single);
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
      int64_t position = 0;
      for (const auto& [key, row] : model.at(file.file_name)) {
        if (IsHidden(file, position++)) continue;
        rows[key].push_back(row);
        rows[key].back().level = file.level;
      }
    }
    return rows;
  }

  bool IsHidden(const DataFileMeta& file, int64_t position) const {
    auto found = hidden.find(file.file_name);
    return found != hidden.end() && found->second.Contains(position);
  }
  FileRows RowsOfFile(const DataFileMeta& file) const {
    auto found = hidden.find(file.file_name);
    if (found == hidden.end()) return {};
    return {.hidden = std::make_shared<const RowSet>(found->second.Copy())};
  }

  bool LooksUp() const { return changelog_kind == CompactionChangelog::kLookup; }
  bool TakesUp() const { return LooksUp() || marks_above; }

  void Compact(const CompactUnit& unit) {
    CompactOptions options;
    options.merge = table.spec;
    options.drop_deletes = MayDropDeletes(levels, unit) || marks_above;
    options.marks_above = marks_above;
    options.rows_of_file = [this](const DataFileMeta& file) { return RowsOfFile(file); };
    options.max_level = levels.MaxLevel();
    options.write.folder = "/b";
    options.write_changelog.folder = "/b";
    options.write_changelog.prefix = "changelog-";
    options.changelog = {.kind = changelog_kind,
                         .max_level = levels.MaxLevel(),
                         .inserts_only = table.spec.engine == MergeEngine::kFirstRow,
                         .leaves_out_same = leaves_out_same};
    for (idx_t i = 0; i < table.layout.fields.size(); i++) options.changelog.compared.push_back(i);
    options.takes_up_above = TakesUp();
    for (const DataFileMeta& file : levels.Files()) {
      if (file.level > unit.output_level) options.above.push_back(file);
    }
    CompactResult result = millrace::Compact(context, table.layout, order, unit, names, options);
    DeletionVectors deleted;
    NaiveRun run = CompactNaively(unit, result.before, options.drop_deletes, deleted);
    CHECK(result.deleted == deleted);
    levels.Replace(result.before, result.after);
    for (const auto& [file, rows] : deleted) hidden[file].AddAll(rows);
    std::erase_if(hidden, [files = levels.Files()](const auto& item) {
      return std::none_of(files.begin(), files.end(),
                          [&](const DataFileMeta& file) { return file.file_name == item.first; });
    });
    ReadChanges(result.changelog);
    if (result.after.size() == 1 && model.contains(result.after[0].file_name)) return;  // Lifted.
    REQUIRE(result.after.size() == (run.empty() ? 0 : 1));
    if (run.empty()) return;
    model[result.after[0].file_name] = run;
    CheckFile(result.after[0]);
  }

  /// The row of `key` that lies lowest above `level`; `deleted` gets its place.
  std::optional<NaiveRow> FindAbove(const TestRow& key, int level, DeletionVectors* deleted) const {
    std::optional<NaiveRow> found;
    for (const DataFileMeta& file : levels.Files()) {
      const NaiveRun& run = model.at(file.file_name);
      auto row = run.find(key);
      if (file.level <= level || row == run.end()) continue;
      int64_t position = std::distance(run.begin(), row);
      if (IsHidden(file, position) || (found && found->level < file.level)) continue;
      found = row->second;
      found->level = file.level;
      if (deleted) (*deleted)[file.file_name].Add(position);
    }
    return found;
  }

  NaiveRun CompactNaively(const CompactUnit& unit, const std::vector<DataFileMeta>& before,
                          bool drop_deletes, DeletionVectors& deleted) {
    NaiveRun output;
    bool tracked = false;
    for (const DataFileMeta& file : before) tracked |= file.level == 0;
    for (auto& [key, rows] : RowsOf(before)) {
      bool above = false;
      for (const NaiveRow& row : rows) above |= row.level > 0;
      bool hides = table.spec.engine == MergeEngine::kFirstRow;
      bool dropped = false;
      if (TakesUp() && !above) {
        auto found = FindAbove(key, unit.output_level, marks_above ? &deleted : nullptr);
        dropped = found && hides;
        if (found) rows.push_back(*found);
      }
      bool pass_single = !TakesUp() || !tracked;
      auto merged = MergeNaively(rows, pass_single);
      if (merged && !dropped && (!drop_deletes || IsAdd(merged->kind))) output[key] = *merged;
    }
    return output;
  }

  void ReadChanges(const std::vector<DataFileMeta>& changelog) {
    MergeReadOptions options;
    options.key_value = true;
    options.drop_deletes = false;
    for (idx_t i = 0; i < table.layout.fields.size(); i++) options.fields.push_back(i);
    RunReader reader(context, table.layout, "/b", changelog, options);
    for (TestRow& row : Drain(reader)) {
      auto kind = static_cast<RowKind>(row[2].GetValue<int8_t>());
      changes.emplace_back(kind, TestRow(row.begin() + 3, row.end()));
    }
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
    options.rows_of_file = [this](const DataFileMeta& file) { return RowsOfFile(file); };
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

  /// What scans see with deletion vectors: each key once.
  void CheckVisible() {
    std::vector<DataFileMeta> files = levels.Files();
    std::erase_if(files, [](const DataFileMeta& file) { return file.level == 0; });
    MergeReadOptions options;
    for (idx_t i = 0; i < table.layout.fields.size(); i++) options.fields.push_back(i);
    options.rows_of_file = [this](const DataFileMeta& file) { return RowsOfFile(file); };
    RunReader reader(context, table.layout, "/b", files, options);
    std::vector<TestRow> found = Drain(reader), expected;
    std::sort(found.begin(), found.end(),
              [](const TestRow& a, const TestRow& b) { return a[0] < b[0]; });
    for (auto& [key, rows] : RowsOf(files)) {
      REQUIRE(rows.size() == 1);
      CHECK(IsAdd(rows[0].kind));
      expected.push_back(rows[0].values);
    }
    CheckRows(found, expected);
  }

  std::vector<idx_t> SomeFields() {
    std::vector<idx_t> fields;
    for (idx_t i = 0; i < table.layout.fields.size(); i++) {
      if (table.One(3)) fields.push_back(i);
    }
    return fields;
  }
};

}  // namespace millrace
