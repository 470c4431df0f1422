// Goal: followed with 'millrace.old-values' = 'index', a table's changes add up to what it holds,
// whatever its merge engine, in any steps and through restarts. Method: random writes, overwrites
// and compactions with a printed seed; after each step the multiset of all changes against a scan
// of the snapshot at which the source stands; every prefix of the changes a multiset.
#include "stream/indexed_changes.h"
#include "stream/lake_source.h"
#include "table/table_fixture.h"

namespace millrace {

namespace {

std::vector<Options> Kinds() {
  return {{{"bucket", "1"}},
          {{"bucket", "2"}, {"write-buffer-size", "64kb"}},
          {{"bucket", "-1"}},
          {{"bucket", "1"}, {"sequence.field", "value"}},
          {{"bucket", "2"}, {"changelog-producer", "input"}},
          {{"bucket", "1"},
           {"merge-engine", "aggregation"},
           {"fields.part.aggregate-function", "max"},
           {"fields.value.aggregate-function", "listagg"}},
          {{"bucket", "2"},
           {"merge-engine", "partial-update"},
           {"partial-update.remove-record-on-delete", "true"}}};
}

struct Follower {
  Follower(TestWorld& world, const Table& table, bool partitioned, std::vector<idx_t> columns)
      : columns(std::move(columns)) {
    TableDefinition definition = TestDefinition(true, partitioned, table.options());
    definition.options[kPathOption] = table.folder();
    definition.options[kOldValuesOption] = "index";
    source = MakeLakeSource(world.context(),
                            {{std::make_shared<const TableDefinition>(definition), this->columns}},
                            false, "/data/index");
    CHECK(source->Changelog(0) == ChangelogType::kFull);
    source->RelyOn(0, ChangelogType::kFull);
  }
  SourceStatus Read(idx_t most) {
    ReadLimit limit;
    limit.max_rows = most;
    return source->Read(limit, [&](idx_t, ChangeChunk& chunk) {
      for (idx_t i = 0; i < chunk.size(); i++) {
        std::string row;
        for (idx_t c = 0; c < columns.size(); c++) {
          row += (c ? "|" : "") + chunk.rows.GetValue(c, i).ToString();
        }
        int64_t& count = rows[row];
        count += Weight(chunk.KindOf(i));
        CHECK(count >= 0);
        if (count == 0) rows.erase(row);
        changes++;
      }
    });
  }
  int64_t Snapshot() const { return ParseLakePosition(source->Position())[0].snapshot; }
  std::vector<std::string> Rows() const {
    std::vector<std::string> all;
    for (const auto& [row, count] : rows) {
      for (int64_t i = 0; i < count; i++) all.push_back(row);
    }
    return all;
  }

  const std::vector<idx_t> columns;
  std::unique_ptr<Source> source;
  std::map<std::string, int64_t> rows;
  int64_t changes = 0;
};

std::vector<std::string> RowsAt(const Table& table, int64_t snapshot,
                                const std::vector<idx_t>& columns) {
  if (snapshot == 0) return {};
  ScanOptions options;
  options.snapshot_id = snapshot;
  std::vector<std::string> rows;
  for (const std::string& row : ReadRows(table, options)) {
    auto cells = duckdb::StringUtil::Split(row, '|');
    std::string wanted;
    for (idx_t c = 0; c < columns.size(); c++) wanted += (c ? "|" : "") + cells[columns[c]];
    rows.push_back(wanted);
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

void FollowAtRandom(const Options& options, uint64_t seed) {
  TestWorld world(seed);
  std::mt19937_64 rng(seed);
  auto below = [&](uint64_t limit) { return rng() % limit; };
  bool aggregates = options.contains("fields.value.aggregate-function");
  bool partitioned = below(3) == 0 && options.at("bucket") != "-1" && !aggregates;
  auto table = Table::Create(world.context(), "/w/t", TestDefinition(true, partitioned, options));
  std::vector<idx_t> columns = below(2) ? std::vector<idx_t>{0, 1, 2} : std::vector<idx_t>{2, 0};
  auto follower = std::make_unique<Follower>(world, *table, partitioned, columns);
  std::string user = world.random.Uuid();
  int64_t identifier = 0;
  for (int turn = 0; turn < 40; turn++) {
    WriterOptions how;
    bool overwrites = below(12) == 0;
    how.overwrite = overwrites;
    auto writer = table->NewWriter(user, how);
    std::vector<TestRow> rows;
    for (uint64_t n = below(300) + 1; n > 0; n--) {
      bool deletes = !overwrites && !aggregates && below(4) == 0;
      rows.push_back({deletes ? RowKind::kDelete : RowKind::kInsert,
                      static_cast<int64_t>(below(60)), std::string(1, 'a' + below(3)),
                      std::to_string(below(5))});
    }
    WriteRows(*writer, rows);
    if (below(8) == 0 && !overwrites) writer->CompactFully();
    Committable committable = writer->PrepareCommit();
    if (overwrites) committable.overwrite = OverwriteScope{};
    table->Commit(committable, user, ++identifier);
    if (below(6) == 0) table->Compact({}, user, ++identifier);
    if (below(3) == 0) continue;
    SourceStatus status = follower->Read(1 + below(400));
    CHECK(follower->Rows() == RowsAt(*table, follower->Snapshot(), columns));
    if (below(5) > 0 || status != SourceStatus::kProgress) continue;
    // Another life, from the same position.
    auto next = std::make_unique<Follower>(world, *table, partitioned, columns);
    next->source->Seek(follower->source->Position());
    next->rows = follower->rows;
    next->changes = follower->changes;
    follower = std::move(next);
  }
  while (follower->Read(100) == SourceStatus::kProgress) {
    CHECK(follower->Rows() == RowsAt(*table, follower->Snapshot(), columns));
  }
  CHECK(follower->Snapshot() == table->LatestSnapshot()->id);
  CHECK(follower->changes > 100);
}

}  // namespace

TEST_CASE("Changes by the table's own index add up to the table, whatever its merge engine") {
  const char* given = std::getenv("MILLRACE_SEED");
  uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  MESSAGE("seed ", seed);
  for (const Options& options : Kinds()) {
    CAPTURE(options.at("bucket"));
    for (const auto& [name, value] : options) INFO(name, " = ", value);
    FollowAtRandom(options, seed++);
  }
}

TEST_CASE("Old values that have expired are an error that names the snapshot") {
  TestWorld world;
  auto table =
      Table::Create(world.context(), "/w/t", TestDefinition(true, false, {{"bucket", "1"}}));
  Follower follower(world, *table, false, {0, 2});
  auto write = [&](int64_t id) {
    auto writer = table->NewWriter("u");
    WriteRows(*writer, {{RowKind::kInsert, 1, "p", std::to_string(id)}});
    table->Commit(writer->PrepareCommit(), "u", id);
  };
  write(1);
  follower.Read(10);
  write(2);
  world.disk.Delete("/w/t/snapshot/snapshot-1");
  CHECK_THROWS_WITH_AS(follower.Read(10), doctest::Contains("as of snapshot 1: it has expired"),
                       Error);
}

}  // namespace millrace
