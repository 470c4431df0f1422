// Goal: whatever a scan leaves out, shares, remembers or knows beforehand, it answers as a plain
// scan does. Method: random histories of two handles, one with a cache that outlives it all and
// small splits, one without either: commits, compactions, deletions by position, overwrites,
// partitions that expire, ALTER, rollbacks; filters, counts and bounds against the rows of the
// plain one; watched reads.
#include <mutex>
#include <set>

#include "base/object_cache.h"
#include "duckdb/common/types/date.hpp"
#include "table/alter_table.h"
#include "table/change_reader.h"
#include "table/overwrite.h"
#include "table/partition_expire.h"
#include "table/rollback.h"
#include "table/scan_summary.h"
#include "table/table_fixture.h"

namespace millrace {

namespace {

constexpr const char* kFolder = "w/d.db/t";
constexpr int64_t kDayMs = 86'400'000;

/// What was opened to be read.
class WatchedFileSystem : public MemoryFileSystem {
 public:
  std::unique_ptr<RandomAccessFile> OpenForRead(const std::string& path) override {
    std::lock_guard lock(mutex_);
    opened_.insert(path);
    return MemoryFileSystem::OpenForRead(path);
  }
  /// Since the last call, where `part` is in the path.
  std::set<std::string> Opened(const std::string& part) {
    std::lock_guard lock(mutex_);
    std::erase_if(opened_, [&](auto& path) { return path.find(part) == std::string::npos; });
    return std::exchange(opened_, {});
  }

 private:
  std::mutex mutex_;
  std::set<std::string> opened_;
};

struct Variant {
  bool keyed;
  bool partitioned;
  Options options;
  int chunks = 0;  // Of each commit, full ones: files of fewer rows have one part. 0: a small one.
};

using RowValues = std::vector<Value>;

bool Holds(const ColumnPredicate& predicate, const RowValues& row) {
  const Value& value = row[predicate.column];
  if (value.IsNull()) return false;
  switch (predicate.op) {
    case ColumnPredicate::Op::kEqual:
      return value == predicate.constant;
    case ColumnPredicate::Op::kLess:
      return value < predicate.constant;
    case ColumnPredicate::Op::kLessEqual:
      return value <= predicate.constant;
    case ColumnPredicate::Op::kGreater:
      return value > predicate.constant;
    case ColumnPredicate::Op::kGreaterEqual:
      return value >= predicate.constant;
    case ColumnPredicate::Op::kIn:
      return std::any_of(predicate.constants.begin(), predicate.constants.end(),
                         [&](const Value& one) { return !one.IsNull() && value == one; });
  }
  return false;
}

/// Rows that pass all predicates, as text, sorted.
std::vector<std::string> Passing(const std::vector<RowValues>& rows,
                                 const std::vector<ColumnPredicate>& predicates) {
  std::vector<std::string> out;
  for (const RowValues& row : rows) {
    if (!std::all_of(predicates.begin(), predicates.end(),
                     [&](auto& predicate) { return Holds(predicate, row); })) {
      continue;
    }
    std::string text;
    for (const Value& value : row) text += value.ToString() + "|";
    out.push_back(std::move(text));
  }
  std::sort(out.begin(), out.end());
  return out;
}

/// A table whose history goes on, seen through a cache and without.
class ReadPathCheck {
 public:
  ReadPathCheck(uint64_t seed, Variant variant)
      : variant_(std::move(variant)), random_(seed), world_(seed), cache_(64 << 20) {
    TableDefinition definition =
        TestDefinition(variant_.keyed, variant_.partitioned, variant_.options);
    for (const auto& [name, type] : std::vector<std::pair<std::string, std::string>>{
             {"amount", "INT"}, {"price", "DECIMAL(10, 2)"}, {"day", "TIMESTAMP(3)"}}) {
      ColumnDefinition column;
      column.name = name;
      column.type = ParseDataType(type);
      definition.columns.push_back(column);
    }
    definition.options["snapshot.num-retained.min"] = "3";
    definition.options["snapshot.num-retained.max"] = "3";
    if (variant_.partitioned) {
      definition.options["partition.expiration-time"] = "3 d";
      definition.options["partition.timestamp-formatter"] = "yyyy-MM-dd";
    }
    Table::Create(world_.context(), kFolder, definition);
  }

  void Step() {
    commit_++;
    world_.clock.AdvanceMs(static_cast<int64_t>(random_() % (kDayMs / 2)));
    switch (commit_ == 1 ? 9 : random_() % 10) {
      case 0:
        Alter();
        break;
      case 1:
        Overwrite();
        break;
      case 2:
        if (variant_.partitioned) ExpirePartitions(Plain()->state());
        break;
      case 3:
        RollBack();
        break;
      case 4:
        if (!variant_.keyed) DeleteRows();
        break;
      default:
        Write(false);
    }
    Compare();
  }
  int known_counts() const { return known_counts_; }
  int known_ranges() const { return known_ranges_; }
  int range_splits() const { return range_splits_; }

 private:
  std::shared_ptr<const Table> Plain() { return Table::Open(world_.context(), kFolder); }
  std::shared_ptr<const Table> Cached() {
    TableContext context = world_.context();
    context.cache = &cache_;
    return Table::Open(
        context, kFolder,
        {{"source.split.target-size", "6 kb"}, {"source.split.open-file-cost", "1 b"}});
  }

  Value RandomOf(const DataField& field, int64_t id) {
    auto number = static_cast<int64_t>(random_() % 100);
    if (field.name == "id") return Value::BIGINT(id);
    if (field.name == "part") return Value(PartOf(id));
    if (random_() % 8 == 0) return Value(field.type.ToDuck());
    if (field.type.root == TypeRoot::kVarChar) {
      return Value("a text that is longer than statistics are: " + std::to_string(number));
    }
    if (field.type.root == TypeRoot::kTimestamp) {
      return Value::TIMESTAMP(duckdb::timestamp_t(world_.clock.NowMs() * 1000 + number * 1000));
    }
    return Value::INTEGER(static_cast<int32_t>(number) - 50).DefaultCastAs(field.type.ToDuck());
  }
  /// A row of a key stays in its partition for a day.
  std::string PartOf(int64_t id) {
    int64_t day = world_.clock.NowMs() / kDayMs - (variant_.partitioned ? id % 3 : 0);
    duckdb::date_t date(static_cast<int32_t>(day));
    return duckdb::Date::ToString(date);
  }

  void Write(bool overwrite) {
    auto table = Plain();
    auto writer = table->NewWriter("u", {.overwrite = overwrite});
    ChangeChunk chunk;
    chunk.Initialize(table->schema().DuckTypes());
    for (int i = std::max(variant_.chunks, 1); i > 0; i--) {
      FillChunk(*table, chunk);
      writer->Write(chunk);
    }
    if (variant_.keyed && (commit_ == 1 || random_() % 3 == 0)) writer->CompactFully();
    Committable committable = writer->PrepareCommit();
    if (overwrite) {
      committable.overwrite = OverwriteScope{variant_.partitioned && random_() % 2 == 0, {}};
    }
    table->Commit(committable, "u", commit_);
  }
  void Overwrite() { Write(true); }

  void FillChunk(const Table& table, ChangeChunk& chunk) {
    chunk.Reset();
    idx_t count = variant_.chunks ? kChunkRows : random_() % 400 + 1;
    for (idx_t i = 0; i < count; i++) {
      auto id = static_cast<int64_t>(random_() % (variant_.chunks ? 12'000 : 1000));
      for (idx_t c = 0; c < table.schema().fields.size(); c++) {
        chunk.rows.SetValue(c, i, RandomOf(table.schema().fields[c], id));
      }
      bool is_delete = variant_.keyed && random_() % 6 == 0;
      chunk.kinds.push_back(is_delete ? RowKind::kDelete : RowKind::kInsert);
    }
    chunk.rows.SetCardinality(count);
  }

  void Alter() {
    altered_++;
    AlterTableSchema(world_.context(), kFolder, "t", [&](const TableSchema& schema) {
      std::vector<SchemaChange> changes;
      const DataField& amount = schema.fields[3];
      if (altered_ == 1)
        changes.push_back(ChangeColumnType{{amount.name}, ParseDataType("BIGINT")});
      if (altered_ == 2) changes.push_back(RenameColumn{{"price"}, "cost"});
      if (altered_ == 3) changes.push_back(DropColumn{{"day"}});
      changes.push_back(AddColumn{{"new" + std::to_string(altered_)}, ParseDataType("INT")});
      return changes;
    });
  }

  void RollBack() {
    auto table = Plain();
    auto earliest = table->EarliestSnapshotId();
    if (!earliest || *earliest == table->LatestSnapshot()->id) return;
    auto target = table->FindSnapshot(*earliest);
    if (target->schema_id == table->schema().id) RollbackTo(table->state(), *target);
  }

  void DeleteRows() {
    auto table = Plain();
    if (!table->LatestSnapshot()) return;
    auto deleter = table->NewRowDeleter(table->LatestSnapshot()->id);
    auto salt = static_cast<int64_t>(random_() % 7);
    ForEachPosition(*table, {}, [&](const Split& split, size_t file, int64_t position, int64_t id) {
      if (id % 7 == salt) deleter->Delete(split, split.files.at(file), {position});
    });
    Committable committable;
    deleter->PrepareCommit(committable);
    table->Commit(committable, "d", commit_);
  }

  std::vector<RowValues> Rows(const Table& table, std::vector<ColumnPredicate> predicates = {}) {
    ScanOptions options;
    options.predicates = std::move(predicates);
    for (idx_t i = 0; i < table.schema().fields.size(); i++) options.columns.push_back(i);
    std::vector<RowValues> rows;
    DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), table.schema().DuckTypes());
    for (const Split& split : table.PlanScan(options)) {
      range_splits_ += !split.from_key.empty();
      auto reader = table.ReadSplit(split, options);
      for (chunk.Reset(); reader->Next(chunk); chunk.Reset()) {
        for (idx_t i = 0; i < chunk.size(); i++) {
          RowValues& row = rows.emplace_back();
          for (idx_t c = 0; c < chunk.ColumnCount(); c++) row.push_back(chunk.GetValue(c, i));
        }
      }
    }
    return rows;
  }

  std::vector<ColumnPredicate> RandomFilter(const Table& table,
                                            const std::vector<RowValues>& rows) {
    std::vector<ColumnPredicate> predicates;
    auto value_of = [&](idx_t column) {
      if (!rows.empty() && random_() % 4 > 0) return rows[random_() % rows.size()][column];
      return RandomOf(table.schema().fields[column], static_cast<int64_t>(random_() % 1100));
    };
    for (size_t n = random_() % 2 + 1; n > 0; n--) {
      ColumnPredicate predicate;
      predicate.column = random_() % 3 == 0 ? 0 : random_() % table.schema().fields.size();
      predicate.op = static_cast<ColumnPredicate::Op>(random_() % 6);
      if (random_() % 3 == 0) predicate.op = ColumnPredicate::Op::kEqual;
      if (predicate.op == ColumnPredicate::Op::kIn) {
        for (size_t i = random_() % 4 + 1; i > 0; i--) {
          predicate.constants.push_back(value_of(predicate.column));
        }
      } else {
        predicate.constant = value_of(predicate.column);
        if (predicate.constant.IsNull()) continue;
      }
      predicates.push_back(std::move(predicate));
    }
    return predicates;
  }

  void CompareSummary(const Table& table, const std::vector<RowValues>& rows) {
    std::vector<Split> splits = table.PlanScan({});
    if (auto count = CountRows(splits)) {
      known_counts_++;
      REQUIRE(*count == static_cast<int64_t>(rows.size()));
    }
    for (idx_t column = 0; column < table.schema().fields.size(); column++) {
      auto range = RangeOfColumn(table.state(), splits, column);
      if (!range) continue;
      CAPTURE(table.schema().fields[column].name);
      known_ranges_++;
      std::optional<Value> least, greatest;
      for (const RowValues& row : rows) {
        if (row[column].IsNull()) continue;
        if (!least || row[column] < *least) least = row[column];
        if (!greatest || row[column] > *greatest) greatest = row[column];
      }
      REQUIRE(least);
      REQUIRE(range->least == *least);
      REQUIRE(range->greatest == *greatest);
    }
  }

  void Compare() {
    std::vector<RowValues> rows = Rows(*Plain());
    auto table = Cached();
    std::vector<std::string> all = Passing(rows, {});
    REQUIRE(Passing(Rows(*table), {}) == all);
    REQUIRE(Passing(Rows(*table), {}) == all);  // From what the first one left in the cache.
    REQUIRE(CountRows(*table) == rows.size());
    std::map<std::pair<std::string, int64_t>, int64_t> positions;
    if (!variant_.keyed) positions = Positions(*Plain(), {});
    for (int i = 0; i < 12; i++) {
      auto filter = RandomFilter(*table, rows);
      CAPTURE(i);
      REQUIRE(Passing(Rows(*table, filter), filter) == Passing(rows, filter));
      if (variant_.keyed) continue;
      for (const auto& [place, id] : Positions(*table, filter)) {
        auto there = positions.find(place);
        REQUIRE(there != positions.end());
        REQUIRE(there->second == id);
      }
    }
    CompareSummary(*table, rows);
    REQUIRE(RowsWithKinds(*table) == rows.size());
  }

  /// Ids by file and position in it.
  std::map<std::pair<std::string, int64_t>, int64_t> Positions(
      const Table& table, std::vector<ColumnPredicate> predicates) {
    ScanOptions options;
    options.predicates = std::move(predicates);
    std::map<std::pair<std::string, int64_t>, int64_t> ids;
    ForEachPosition(table, options,
                    [&](const Split& split, size_t file, int64_t position, int64_t id) {
                      ids[{split.files.at(file).file_name, position}] = id;
                    });
    return ids;
  }

  /// As readers of the table's log of changes begin.
  static idx_t RowsWithKinds(const Table& table) {
    idx_t count = 0;
    ChangeChunk chunk;
    chunk.Initialize({LogicalType::BIGINT});
    for (const Split& split : table.PlanScan({})) {
      auto reader = MakeStateChangeReader(table.state(), split, {0});
      while (reader->Next(chunk)) {
        for (idx_t i = 0; i < chunk.size(); i++) count += IsAdd(chunk.KindOf(i));
      }
    }
    return count;
  }

  const Variant variant_;
  std::mt19937_64 random_;
  TestWorld world_;
  ObjectCache cache_;
  int64_t commit_ = 0;
  int altered_ = 0;
  int known_counts_ = 0, known_ranges_ = 0, range_splits_ = 0;
};

}  // namespace

TEST_CASE("scans with a cache, small splits and filters agree with plain ones") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  Options vectors = {{"deletion-vectors.enabled", "true"}};
  Options buckets = {{"bucket", "2"}, {"target-file-size", "5 kb"}};
  Options one_bucket = {{"bucket", "1"}, {"target-file-size", "5 kb"}};
  Options indexes = buckets;
  indexes["file-index.bloom-filter.columns"] = "id,value";
  indexes["file-index.bloom-filter.id.items"] = "500";
  indexes["file-index.bloom-filter.value.items"] = "500";
  indexes["file-index.bitmap.columns"] = "amount";
  int counts = 0, ranges = 0, range_splits = 0;
  for (const Variant& variant : std::vector<Variant>{{true, false, buckets},
                                                     {true, true, buckets},
                                                     {true, false, indexes},
                                                     {true, true, {{"target-file-size", "3 kb"}}},
                                                     {true, false, one_bucket, 4},
                                                     {false, false, vectors},
                                                     {false, true, vectors}}) {
    seed++;
    CAPTURE(variant.keyed);
    CAPTURE(variant.partitioned);
    ReadPathCheck check(seed, variant);
    for (int step = variant.chunks ? 19 : 0; step < 25; step++) {
      CAPTURE(step);
      check.Step();
    }
    counts += check.known_counts();
    ranges += check.known_ranges();
    range_splits += check.range_splits();
  }
  for (int attempt = 0; range_splits == 0 && attempt < 20; attempt++) {  // Not in every history.
    ReadPathCheck check(++seed, {true, false, one_bucket, 4});
    for (int step = 0; step < 6; step++) check.Step();
    range_splits += check.range_splits();
  }
  CHECK(counts > 0);
  CHECK(ranges > 0);
  CHECK(range_splits > 0);
}

TEST_CASE("a second scan reads no manifest; after a commit only what is new") {
  ManualClock clock(1'700'000'000'000);
  Random random(1);
  WatchedFileSystem disk;
  ObjectCache cache(64 << 20);
  TableContext context{disk, clock, random, TestDatabase(), nullptr, &cache};
  auto table = Table::Create(context, kFolder, TestDefinition(true, false, {{"bucket", "2"}}));
  auto writer = table->NewWriter("u");
  for (int64_t commit = 1; commit <= 3; commit++) {
    WriteRows(*writer, {{RowKind::kInsert, commit, "p", "v"}, {RowKind::kInsert, 9, "p", "w"}});
    table->Commit(writer->PrepareCommit(), "u", commit);
  }
  disk.Opened("");
  CHECK(ReadRows(*table).size() == 4);
  std::set<std::string> first = disk.Opened("/manifest/");
  CHECK(first.size() >= 3);
  CHECK(ReadRows(*Table::Open(context, kFolder)).size() == 4);
  CHECK(disk.Opened("/manifest/").empty());
  WriteRows(*writer, {{RowKind::kInsert, 4, "p", "v"}});
  table->Commit(writer->PrepareCommit(), "u", 4);
  disk.Opened("");
  CHECK(ReadRows(*table).size() == 5);
  std::set<std::string> next = disk.Opened("/manifest/");
  CHECK(!next.empty());
  for (const std::string& path : next) CHECK(!first.contains(path));
  // An older state that is still there is not taken for the newest one.
  ScanOptions older;
  older.snapshot_id = table->LatestSnapshot()->id - 1;
  CHECK(ReadRows(*table, older).size() == 4);
}

TEST_CASE("a point query opens the files of one bucket that may hold the key, and no others") {
  ManualClock clock(1'700'000'000'000);
  Random random(1);
  WatchedFileSystem disk;
  TableContext context{disk, clock, random, TestDatabase()};
  auto table = Table::Create(context, kFolder,
                             TestDefinition(true, false,
                                            {{"bucket", "4"},
                                             {"file-index.bloom-filter.columns", "id"},
                                             {"file-index.bloom-filter.id.items", "300"},
                                             {"file-index.bloom-filter.id.fpp", "0.01"},
                                             {"num-sorted-run.compaction-trigger", "20"}}));
  auto writer = table->NewWriter("u");
  for (int64_t commit = 0; commit < 6; commit++) {  // Keys 0, 6, ...; 1, 7, ...: ranges overlap.
    std::vector<TestRow> rows;
    for (int64_t i = 0; i < 500; i++) rows.push_back({RowKind::kInsert, i * 6 + commit, "p", "v"});
    WriteRows(*writer, rows);
    table->Commit(writer->PrepareCommit(), "u", commit + 1);
  }
  size_t opened = 0;
  for (int64_t id = 0; id < 3000; id += 30) {
    ScanOptions point;
    point.predicates.push_back({0, ColumnPredicate::Op::kEqual, Value::BIGINT(id)});
    disk.Opened("");
    std::vector<std::string> rows = ReadRows(*table, point);
    CHECK(std::count(rows.begin(), rows.end(), std::to_string(id) + "|p|v") == 1);
    std::set<std::string> files = disk.Opened("/bucket-");
    opened += files.size();
    std::set<std::string> buckets;
    for (const std::string& path : files) buckets.insert(path.substr(0, path.rfind('/')));
    CHECK(buckets.size() == 1);
    ColumnPredicate list{0, ColumnPredicate::Op::kIn, Value(), {}};
    list.constants = {Value::BIGINT(id), Value::BIGINT(-1)};
    point.predicates = {list};
    CHECK(ReadRows(*table, point).size() >= 1);
    CHECK(disk.Opened("/bucket-").size() <= 12);
  }
  CHECK(opened < 130);  // Of 6 files in the bucket each time; filters err now and then.
}

}  // namespace millrace
