// Goal: whatever is written, committed, compacted, raced and repeated, a table holds what a
// std::map would. Method: random operations by two writers of two Table objects over one disk in
// memory, against the map; the changes of all snapshots, folded, must give the same rows.
#include "table/table.h"

#include "table/changes.h"
#include "table/schema_store.h"
#include "table/table_fixture.h"

namespace millrace {

namespace {

struct Variant {
  bool partitioned;
  std::string buckets;
  std::string producer;
  std::string trigger;
};

/// Two processes in one: two opened tables with a writer each.
class RandomHistory {
 public:
  RandomHistory(uint64_t seed, const Variant& variant)
      : world_(seed), random_(seed), variant_(variant) {
    Options options = {{"bucket", variant.buckets},
                       {"changelog-producer", variant.producer},
                       {"num-sorted-run.compaction-trigger", variant.trigger},
                       {"write-buffer-size", random_() % 2 ? "256 MB" : "1 kb"},
                       {"data-file.thin-mode", random_() % 2 ? "true" : "false"},
                       {"manifest.merge-min-count", "4"},
                       {"dynamic-bucket.target-row-num", std::to_string(random_() % 30 + 1)},
                       {"snapshot.num-retained.min", "1000"}};
    Table::Create(world_.context(), "w/d.db/t", TestDefinition(true, variant.partitioned, options));
    for (int i = 0; i < 2; i++) {
      tables_.push_back(Table::Open(world_.context(), "w/d.db/t"));
      writers_.push_back(tables_[i]->NewWriter(Name(i)));
    }
  }

  void Step() {
    size_t who = random_() % 2;
    switch (random_() % 8) {
      case 0:
        writers_[who]->CompactFully();
        Commit(who, writers_[who]->PrepareCommit());
        break;
      case 1:
        WriteBoth();
        break;
      case 2:  // The process dies with uncommitted rows and files, and starts again.
        WriteRows(*writers_[who], RandomRows(0, 1));
        if (random_() % 2) (void)writers_[who]->PrepareCommit();
        tables_[who] = Table::Open(world_.context(), "w/d.db/t");
        writers_[who] = tables_[who]->NewWriter(Name(who));
        break;
      default: {
        std::vector<TestRow> rows = RandomRows(0, 1);
        WriteRows(*writers_[who], rows);
        for (const TestRow& row : rows) model_.Apply(row);
        Commit(who, writers_[who]->PrepareCommit());
      }
    }
    Check();
  }

  /// Compactions given up have recorded nothing: one that is not.
  void RecordAll() {
    writers_[0] = tables_[0]->NewWriter(Name(0));  // One that waits for nothing it has prepared.
    writers_[0]->CompactFully();
    Commit(0, writers_[0]->PrepareCommit());
    Check();
  }

  const CommitReport& report() const { return report_; }
  const Table& table() const { return *tables_[0]; }
  TestModel& model() { return model_; }

 private:
  static std::string Name(size_t who) { return who == 0 ? "alice" : "bob"; }

  /// Ids congruent to `rest` modulo `step`; deletes, updates in pairs, blind upserts.
  std::vector<TestRow> RandomRows(int64_t rest, int64_t step) {
    std::vector<TestRow> rows;
    for (size_t n = random_() % 40 + 1; n > 0; n--) {
      int64_t id = static_cast<int64_t>(random_() % 60) / step * step + rest;
      std::string part(1, static_cast<char>('a' + (variant_.partitioned ? id % 3 : 0)));
      std::string value = "v" + std::to_string(random_() % 100000);
      switch (random_() % 4) {
        case 0:
          rows.push_back({RowKind::kDelete, id, part, value});
          break;
        case 1:
          rows.push_back({RowKind::kUpdateBefore, id, part, "old"});
          rows.push_back({RowKind::kUpdateAfter, id, part, value});
          break;
        default:
          rows.push_back({RowKind::kInsert, id, part, value});
      }
    }
    return rows;
  }

  /// Both prepare before one of them commits; their keys are apart.
  void WriteBoth() {
    Committable prepared[2];
    for (int64_t i = 0; i < 2; i++) {
      std::vector<TestRow> rows = RandomRows(i, 2);
      WriteRows(*writers_[i], rows);
      for (const TestRow& row : rows) model_.Apply(row);
      if (random_() % 2) writers_[i]->CompactFully();
      prepared[i] = writers_[i]->PrepareCommit();
    }
    for (size_t i = 0; i < 2; i++) {
      try {
        Commit(i, prepared[i]);
      } catch (const Error& error) {  // Nothing but a compaction, and the other's came first.
        CHECK(error.code() == ErrorCode::kConflict);
      }
    }
  }

  void Commit(size_t who, const Committable& prepared) {
    Committable again = Committable::FromJson(prepared.ToJson());
    CHECK(again.ToJson() == prepared.ToJson());
    int64_t identifier = ++identifier_;
    std::optional<int64_t> id = tables_[who]->Commit(again, Name(who), identifier, &report_);
    if (random_() % 3 == 0) {
      CommitReport ignored;
      CHECK(tables_[random_() % 2]->Commit(prepared, Name(who), identifier, &ignored) == id);
    }
  }

  void Check() {
    REQUIRE(ReadRows(*tables_[0]) == model_.Rows());
    REQUIRE(CountRows(*tables_[1]) == model_.rows.size());
  }

  TestWorld world_;
  std::mt19937_64 random_;
  Variant variant_;
  std::vector<std::shared_ptr<const Table>> tables_;
  std::vector<std::unique_ptr<TableWriter>> writers_;
  TestModel model_;
  int64_t identifier_ = 0;
  CommitReport report_;
};

}  // namespace

TEST_CASE("random histories of two writers agree with a map") {
  std::vector<Variant> variants = {
      {false, "1", "none", "3"},   {false, "2", "input", "5"},         {true, "2", "none", "2"},
      {true, "1", "input", "3"},   {false, "-1", "none", "3"},         {true, "-1", "input", "2"},
      {false, "1", "lookup", "3"}, {true, "2", "full-compaction", "3"}};
  uint64_t base = std::random_device{}();
  int dropped = 0;
  for (uint64_t run = 0; run < 16; run++) {
    uint64_t seed = base + run;
    CAPTURE(seed);
    RandomHistory history(seed, variants[run % variants.size()]);
    for (int step = 0; step < 25; step++) {
      CAPTURE(step);
      history.Step();
    }
    history.RecordAll();
    CHECK(FoldChanges(history.table()) == history.model().Rows());
    CheckWhole(history.table());
    dropped += !history.report().dropped_compaction.empty();
  }
  MESSAGE("histories in which a compaction was given up: ", dropped);
}

TEST_CASE("append-only tables keep every row, in partitions and buckets, and refuse changes") {
  for (bool partitioned : {false, true}) {
    for (const char* bucket : {"-1", "2"}) {
      CAPTURE(partitioned);
      CAPTURE(bucket);
      TestWorld world;
      Options options = {{"bucket", bucket}, {"write-buffer-size", "1 kb"}, {"write-only", "true"}};
      if (bucket == std::string("2")) options["bucket-key"] = "id";
      auto table =
          Table::Create(world.context(), "w/d.db/t", TestDefinition(false, partitioned, options));
      auto writer = table->NewWriter("u");
      std::vector<std::string> expected;
      for (int64_t commit = 1; commit <= 3; commit++) {
        std::vector<TestRow> rows;
        for (int64_t i = 0; i < 3000; i++) {
          rows.push_back(
              {RowKind::kInsert, i, "p" + std::to_string(i % 12), std::to_string(commit)});
          expected.push_back(std::to_string(i) + "|" + rows.back().part + "|" + rows.back().value);
        }
        WriteRows(*writer, rows);
        CHECK(table->Commit(writer->PrepareCommit(), "u", commit) == commit);
      }
      std::sort(expected.begin(), expected.end());
      CHECK(ReadRows(*table) == expected);
      CHECK(CountRows(*table) == expected.size());
      CHECK(table->StreamType() == ChangelogType::kAppend);
      CHECK(table->PlanChanges(2)->full);
      CHECK(!table->PlanChanges(4));
      CHECK_THROWS_AS(WriteRows(*writer, {{RowKind::kDelete, 1, "p", "v"}}), Error);
      CHECK(!table->Commit(writer->PrepareCommit(), "u", 4));
      CheckWhole(*table);
    }
  }
}

TEST_CASE("one bucket is read by key range, in splits that share its files") {
  for (bool text_key : {false, true}) {
    CAPTURE(text_key);
    TestWorld world;
    TableDefinition definition = TestDefinition(true, false,
                                                {{"bucket", "1"},
                                                 {"target-file-size", "20 kb"},
                                                 {"source.split.target-size", "10 kb"},
                                                 {"source.split.open-file-cost", "1 kb"},
                                                 {"num-sorted-run.compaction-trigger", "20"}});
    if (text_key) definition.primary_key = {"value", "id"};
    auto table = Table::Create(world.context(), "w/d.db/t", definition);
    auto writer = table->NewWriter("u");
    TestModel model;
    std::mt19937_64 random(5);
    for (int64_t commit = 1; commit <= 3; commit++) {
      std::vector<TestRow> rows;
      for (int64_t i = 0; i < 20'000; i++) {
        int64_t id = static_cast<int64_t>(random() % 60'000);
        RowKind kind = random() % 10 == 0 ? RowKind::kDelete : RowKind::kInsert;
        rows.push_back({kind, id, "p" + std::to_string(commit),
                        text_key ? "v" + std::to_string(id) : "v" + std::to_string(random() % 99)});
      }
      WriteRows(*writer, rows);
      for (TestRow row : rows) {
        std::string part = std::exchange(row.part, "");
        model.Apply(row);
        if (IsAdd(row.kind)) {
          model.rows["|" + std::to_string(row.id)] =
              std::to_string(row.id) + "|" + part + "|" + row.value;
        }
      }
      if (commit == 1) writer->CompactFully();
      table->Commit(writer->PrepareCommit(), "u", commit);
    }
    std::vector<Split> splits = table->PlanScan({});
    REQUIRE(splits.size() > 2);
    for (size_t i = 0; i < splits.size(); i++) {
      CHECK(splits[i].from_key.empty() == (i == 0));
      CHECK(splits[i].below_key.empty() == (i + 1 == splits.size()));
      if (i > 0) CHECK(splits[i].from_key == splits[i - 1].below_key);
      CHECK(splits[i].files.size() > 1);
    }
    CHECK(ReadRows(*table) == model.Rows());
    CHECK(CountRows(*table) == model.rows.size());
    ScanOptions point;
    point.predicates.push_back({0, ColumnPredicate::Op::kEqual, Value::BIGINT(30'000)});
    std::vector<std::string> found = ReadRows(*table, point);
    auto expected = model.rows.find("|30000");
    CHECK(found == (expected == model.rows.end() ? std::vector<std::string>()
                                                 : std::vector<std::string>{expected->second}));
  }
}

TEST_CASE("scans skip what cannot match and never what can") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (bool keyed : {true, false}) {
    TestWorld world(seed);
    Options options = {{"bucket", "4"}, {"source.split.target-size", "1 kb"}};
    if (!keyed) options["bucket-key"] = "id";
    auto table = Table::Create(world.context(), "w/d.db/t", TestDefinition(keyed, true, options));
    auto writer = table->NewWriter("u");
    for (int64_t commit = 1; commit <= 6; commit++) {
      std::vector<TestRow> rows;
      for (int64_t i = 0; i < 30; i++) {
        int64_t id = commit * 20 + static_cast<int64_t>(random() % 40);
        rows.push_back({RowKind::kInsert, id, "p" + std::to_string(id % 3),
                        "v" + std::to_string(random() % 90)});
      }
      WriteRows(*writer, rows);
      if (keyed && commit == 3) writer->CompactFully();
      table->Commit(writer->PrepareCommit(), "u", commit);
    }
    std::vector<std::string> all = ReadRows(*table);
    idx_t all_files = 0, kept_files = 0;
    for (const Split& split : table->PlanScan(ScanOptions{})) all_files += split.files.size();
    for (int trial = 0; trial < 200; trial++) {
      idx_t column = random() % 3;
      auto op = static_cast<ColumnPredicate::Op>(random() % 5);
      int64_t number = static_cast<int64_t>(random() % 200);
      Value constant = column == 0   ? Value::BIGINT(number)
                       : column == 1 ? Value("p" + std::to_string(number % 4))
                                     : Value("v" + std::to_string(number % 90));
      ScanOptions options_;
      options_.predicates.push_back({column, op, constant});
      for (const Split& split : table->PlanScan(options_)) kept_files += split.files.size();
      auto holds = [&](const std::string& row) {
        size_t one = row.find('|'), two = row.find('|', one + 1);
        Value value = column == 0   ? Value::BIGINT(std::stoll(row.substr(0, one)))
                      : column == 1 ? Value(row.substr(one + 1, two - one - 1))
                                    : Value(row.substr(two + 1));
        switch (op) {
          case ColumnPredicate::Op::kEqual:
            return value == constant;
          case ColumnPredicate::Op::kLess:
            return value < constant;
          case ColumnPredicate::Op::kLessEqual:
            return value <= constant;
          case ColumnPredicate::Op::kGreater:
            return value > constant;
          default:
            return value >= constant;
        }
      };
      std::vector<std::string> expected, found;
      std::copy_if(all.begin(), all.end(), std::back_inserter(expected), holds);
      // The scan may return more, the caller filters; what matches must all be there, unchanged.
      for (const std::string& row : ReadRows(*table, options_)) {
        if (holds(row)) found.push_back(row);
      }
      REQUIRE(found == expected);
    }
    CHECK(kept_files < all_files * 200 * 3 / 4);  // It does prune.
  }
}

TEST_CASE("what a table cannot hold is refused with its column and value") {
  TestWorld world;
  TableDefinition definition = TestDefinition(true, false);
  definition.columns[1].type = ParseDataType("VARCHAR(3)");
  definition.columns[2].type = ParseDataType("STRING NOT NULL");
  auto table = Table::Create(world.context(), "w/d.db/t", definition);
  auto writer = table->NewWriter("u");
  WriteRows(*writer, {{RowKind::kInsert, 1, "äöü", "v"}});
  auto refusal = [&](const TestRow& row, bool null_value) {
    ChangeChunk chunk;
    chunk.Initialize({LogicalType::BIGINT, LogicalType::VARCHAR, LogicalType::VARCHAR});
    chunk.rows.SetValue(0, 0, Value::BIGINT(row.id));
    chunk.rows.SetValue(1, 0, Value(row.part));
    chunk.rows.SetValue(2, 0, null_value ? Value(LogicalType::VARCHAR) : Value(row.value));
    chunk.rows.SetCardinality(1);
    try {
      writer->Write(chunk);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kData);
      return error.text();
    }
    return std::string();
  };
  CHECK(refusal({RowKind::kInsert, 2, "abcd", "v"}, false).find("'part' is VARCHAR(3)") !=
        std::string::npos);
  CHECK(refusal({RowKind::kInsert, 2, "abcd", "v"}, false).find("'abcd' has 4 characters") !=
        std::string::npos);
  CHECK(refusal({RowKind::kInsert, 2, "a", "v"}, true).find("'value' is NOT NULL") !=
        std::string::npos);
  table->Commit(writer->PrepareCommit(), "u", 1);
  CHECK(ReadRows(*table) == std::vector<std::string>{"1|äöü|v"});
}

TEST_CASE("options that would change the meaning are refused by name, also on foreign tables") {
  TestWorld world;
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
           {"fields.default-aggregate-function", "rbm32"}, {"bucket", "-2"}}) {
    CAPTURE(name);
    try {
      Table::Create(world.context(), "w/d.db/t", TestDefinition(true, false, {{name, value}}));
      FAIL("created");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kUnsupported);
      CHECK(error.text().find("'" + name + "'") != std::string::npos);
    }
    CHECK(!Table::Exists(world.disk, "w/d.db/t"));
  }
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
           {"merge-engine", "first-row"}, {"changelog-producer", "full-compaction"}}) {
    Options vectors = {{"deletion-vectors.enabled", "true"}, {name, value}};
    CHECK_THROWS_WITH_AS(
        Table::Create(world.context(), "w/d.db/t", TestDefinition(true, false, vectors)),
        doctest::Contains(("does not go with '" + name + "' = '" + value).c_str()), Error);
  }
  for (const char* producer : {"lookup", "full-compaction"}) {
    Options logged = {{"log.system", "local"}, {"changelog-producer", producer}};
    CHECK_THROWS_WITH_AS(
        Table::Create(world.context(), "w/d.db/t", TestDefinition(true, false, logged)),
        doctest::Contains("'changelog-producer' = 'input' or 'none'"), Error);
  }
  auto table = Table::Create(world.context(), "w/d.db/t", TestDefinition(true, false));
  CHECK_THROWS_AS(Table::Create(world.context(), "w/d.db/t", TestDefinition(true, false)), Error);
  auto foreign = Table::Open(world.context(), "w/d.db/t", {{"file.format", "orc"}});
  CHECK_THROWS_AS(foreign->NewWriter("u"), Error);
  CHECK_THROWS_AS(foreign->PlanScan({}), Error);
  CHECK_THROWS_AS((void)foreign->PlanChanges(1), Error);
  CHECK_THROWS_AS(Table::Open(world.context(), "w/d.db/nothing"), Error);
}

TEST_CASE("a stream is full only when every writer promised it") {
  TestWorld world;
  auto table = Table::Create(world.context(), "w/d.db/t",
                             TestDefinition(true, false, {{"changelog-producer", "input"}}));
  CHECK(table->StreamType() == ChangelogType::kUpsert);
  auto writer = table->NewWriter("u");
  auto commit = [&](int64_t identifier, bool full) {
    WriteRows(*writer, {{RowKind::kInsert, identifier, "p", "v"}});
    Committable committable = writer->PrepareCommit();
    if (full) committable.properties[kInputFullProperty] = "u";
    table->Commit(committable, "u", identifier);
  };
  commit(1, true);
  CHECK(table->StreamType() == ChangelogType::kFull);
  CHECK(table->PlanChanges(1)->full);
  commit(2, false);
  CHECK(table->StreamType() == ChangelogType::kUpsert);
  CHECK(!table->PlanChanges(2)->full);
}

namespace {

/// A table of changelog-producer=input that keeps two snapshots, and commits to it.
struct ClaimedTable {
  TestWorld world;
  std::shared_ptr<const Table> table =
      Table::Create(world.context(), "w/d.db/t",
                    TestDefinition(true, false,
                                   {{"changelog-producer", "input"},
                                    {"snapshot.num-retained.min", "1"},
                                    {"snapshot.num-retained.max", "2"}}));
  int64_t identifier = 0;

  Committable Prepare(const std::string& user, bool full) {
    auto writer = table->NewWriter(user);
    WriteRows(*writer, {{RowKind::kInsert, 1, "p", user}});
    Committable committable = writer->PrepareCommit();
    if (full) committable.properties[kInputFullProperty] = user;
    return committable;
  }
  void Commit(const std::string& user, bool full) {
    table->Commit(Prepare(user, full), user, ++identifier);
  }
  bool IsFull() const { return table->StreamType() == ChangelogType::kFull; }
  /// A snapshot of another program that changes no files of ours.
  void PublishForeign(CommitKind kind) {
    Snapshot next = *table->LatestSnapshot();
    next.id++;
    next.commit_user = "flink";
    next.commit_kind = kind;
    next.properties.clear();
    REQUIRE(SnapshotStore(world.disk, table->folder()).Publish(next) == PublishOutcome::kPublished);
  }
};

}  // namespace

TEST_CASE("a write of somebody else ends what a writer promises, also after it has expired") {
  for (bool promises_too : {false, true}) {
    ClaimedTable claimed;
    claimed.Commit("a", true);
    claimed.Commit("a", true);
    CHECK(claimed.IsFull());
    Committable late = claimed.Prepare("a", true);  // Prepared before, committed after.
    claimed.Commit("b", promises_too);
    CHECK(!claimed.IsFull());
    CHECK(!claimed.table->PlanChanges(3)->full);
    claimed.table->Commit(late, "a", 100);
    CHECK(!claimed.IsFull());
    for (int i = 0; i < 2; i++) claimed.Commit("a", true);
    REQUIRE(!claimed.table->FindSnapshot(3));
    CHECK(!claimed.IsFull());
    CHECK(!claimed.table->PlanChanges(claimed.table->LatestSnapshot()->id)->full);
  }
}

TEST_CASE("a promise outlives compactions of others, not what they overwrite") {
  ClaimedTable claimed;
  claimed.Commit("a", true);
  claimed.PublishForeign(CommitKind::kCompact);
  CHECK(claimed.IsFull());
  CHECK(claimed.table->PlanChanges(2)->full);
  claimed.Commit("a", true);
  CHECK(claimed.IsFull());
  claimed.PublishForeign(CommitKind::kOverwrite);
  CHECK(!claimed.IsFull());
  CHECK(!claimed.table->PlanChanges(4)->full);
  claimed.Commit("a", true);
  CHECK(!claimed.IsFull());
  // Nothing is left that could tell who wrote what.
  ClaimedTable forgotten;
  forgotten.Commit("a", true);
  for (int i = 0; i < 3; i++) forgotten.PublishForeign(CommitKind::kCompact);
  SnapshotStore(forgotten.world.disk, forgotten.table->folder()).Remove(1);
  CHECK(!forgotten.IsFull());
  forgotten.Commit("a", true);
  CHECK(!forgotten.IsFull());
}

TEST_CASE("old snapshots go, their files too, and everything that is kept stays readable") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  TestWorld world(seed);
  auto table = Table::Create(world.context(), "w/d.db/t",
                             TestDefinition(true, false,
                                            {{"snapshot.num-retained.min", "3"},
                                             {"snapshot.num-retained.max", "6"},
                                             {"changelog-producer", "input"},
                                             {"num-sorted-run.compaction-trigger", "2"}}));
  auto writer = table->NewWriter("u");
  TestModel model;
  std::map<int64_t, std::vector<std::string>> history;
  std::mt19937_64 random(seed);
  for (int64_t commit = 1; commit <= 30; commit++) {
    TestRow row{RowKind::kInsert, static_cast<int64_t>(random() % 20), "p", std::to_string(commit)};
    WriteRows(*writer, {row});
    model.Apply(row);
    int64_t id = *table->Commit(writer->PrepareCommit(), "u", commit);
    history[id] = model.Rows();
    int64_t earliest = *table->EarliestSnapshotId();
    CHECK(earliest >= id - 5);
    CHECK(earliest <= std::max<int64_t>(1, id - 2));
    if (earliest > 1) CHECK_THROWS_AS((void)table->PlanChanges(earliest - 1), Error);
    for (const auto& [snapshot, rows] : history) {
      ScanOptions options;
      options.snapshot_id = snapshot;
      if (snapshot >= earliest) REQUIRE(ReadRows(*table, options) == rows);
    }
  }
  idx_t manifests = world.disk.List("w/d.db/t/manifest").size();
  CHECK(manifests < 60);  // 30 commits wrote far more.
  CHECK(ReadRows(*table) == model.Rows());
  CheckWhole(*table);
  world.disk.Overwrite("w/d.db/t/tag/tag-keep", "{}");
  int64_t earliest = *table->EarliestSnapshotId();
  for (int64_t commit = 31; commit <= 40; commit++) {
    WriteRows(*writer, {{RowKind::kInsert, 1, "p", "v"}});
    table->Commit(writer->PrepareCommit(), "u", commit);
  }
  CHECK(table->EarliestSnapshotId() == earliest);  // A tag that cannot be read may need any of it.
}

TEST_CASE("files of an older schema are read by column id: renamed, dropped, added, widened") {
  for (bool keyed : {true, false}) {
    CAPTURE(keyed);
    TestWorld world;
    auto table = Table::Create(world.context(), "w/d.db/t", TestDefinition(keyed, false));
    auto writer = table->NewWriter("u");
    WriteRows(*writer, {{RowKind::kInsert, 1, "p1", "10"}, {RowKind::kInsert, 2, "p2", "20"}});
    table->Commit(writer->PrepareCommit(), "u", 1);
    // id; value -> renamed to part's old name; part dropped; a new column.
    TableSchema next = table->schema();
    next.id = 1;
    next.fields = {table->schema().fields[0], table->schema().fields[2], table->schema().fields[1]};
    next.fields[1].name = "part";
    next.fields[2] = {++next.highest_field_id, "added", ParseDataType("STRING"), "", std::nullopt};
    SchemaStore schemas(world.disk, "w/d.db/t");
    REQUIRE(schemas.Publish(next));
    CHECK(!schemas.Publish(next));
    table = Table::Open(world.context(), "w/d.db/t");
    CHECK(table->schema().id == 1);
    CHECK(ReadRows(*table) == std::vector<std::string>{"1|10|NULL", "2|20|NULL"});
    writer = table->NewWriter("u");
    WriteRows(*writer, {{RowKind::kInsert, keyed ? 2 : 3, "21", "new"}});
    if (keyed) writer->CompactFully();
    table->Commit(writer->PrepareCommit(), "u", 2);
    std::vector<std::string> expected = {"1|10|NULL", "2|20|NULL", "3|21|new"};
    if (keyed) expected = {"1|10|NULL", "2|21|new"};
    CHECK(ReadRows(*table) == expected);
    CHECK(table->LatestSnapshot()->schema_id == 1);
    // A condition on the renamed column prunes by the statistics of its old name.
    ScanOptions options;
    options.predicates.push_back({1, ColumnPredicate::Op::kEqual, Value("10")});
    std::vector<std::string> found = ReadRows(*table, options);
    CHECK(std::find(found.begin(), found.end(), "1|10|NULL") != found.end());
  }
}

}  // namespace millrace
