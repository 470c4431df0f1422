// Goal: a damaged file gives an error that names a file of the table, or the right answer; never a
// crash, never wrong rows. Method: every file of small tables with all kinds of files is cut off
// and bit-flipped at many places (a few of them at random, seed printed), and everything is read.
// JSON carries no checksum: there a flipped bit may say something else that is well-formed, and
// only crashes are found.
#include "table/changes.h"
#include "table/row_changes.h"
#include "table/scan_plan.h"
#include "table/table_fixture.h"
#include "table/tags.h"

namespace millrace {

namespace {

constexpr const char* kFolder = "/w/d.db/t";

/// A table, its files and what reading it says.
struct Prepared {
  explicit Prepared(bool keyed, Options options) : keyed(keyed) {
    auto table = Table::Create(world.context(), kFolder, TestDefinition(keyed, true, options));
    auto writer = table->NewWriter("user");
    std::mt19937_64 random(7);
    for (int64_t commit = 1; commit <= 4; commit++) {
      std::vector<TestRow> rows;
      for (int64_t i = 0; i < 100; i++) {
        auto id = static_cast<int64_t>(random() % 300);
        rows.push_back({RowKind::kInsert, id, id % 2 ? "odd" : "even",
                        "value " + std::to_string(random() % 10000)});
      }
      WriteRows(*writer, rows);
      table->Commit(writer->PrepareCommit(), "user", commit);
      if (commit == 2) CreateTag(table->state(), "early", *table->LatestSnapshot(), {});
      if (!keyed && commit == 3) DeleteSome(*table);
    }
    answers = ReadAll(world.disk);
  }

  static void DeleteSome(const Table& table) {
    auto deleter = table.NewRowDeleter(table.LatestSnapshot()->id);
    ScanOptions scan;
    scan.columns = {0};
    for (const Split& split : table.PlanScan(scan)) {
      for (const DataFileMeta& file : split.files) deleter->Delete(split, file, {1, 5, 20});
    }
    Committable deletion;
    deleter->PrepareCommit(deletion);
    table.Commit(deletion, "deleter", 1);
  }

  /// The answers to all questions; an error stands for its question's answer.
  std::vector<std::vector<std::string>> ReadAll(FileSystem& disk) {
    std::vector<std::vector<std::string>> all;
    auto ask = [&](auto question) {
      try {
        all.push_back(question());
      } catch (const std::exception& exception) {
        all.push_back({"error: " + ErrorFrom(exception).text()});
      }
    };
    ask([&] { return ReadRows(*Table::Open(world.Over(disk), kFolder)); });
    ask([&] {
      return ReadRows(*Table::Open(world.Over(disk), kFolder, {{"scan.tag-name", "early"}}));
    });
    ask([&] {
      auto table = Table::Open(world.Over(disk), kFolder);
      ScanOptions options;
      options.predicates = {{0, ColumnPredicate::Op::kEqual, Value::BIGINT(42)}};
      std::vector<std::string> rows;
      for (const std::string& row : ReadRows(*table, options)) {
        if (row.starts_with("42|")) rows.push_back(row);
      }
      return rows;
    });
    for (int64_t id = 1; id <= 5; id++) {
      ask([&] { return Changes(*Table::Open(world.Over(disk), kFolder), id); });
    }
    return all;
  }

  static std::vector<std::string> Changes(const Table& table, int64_t id) {
    std::vector<std::string> rows;
    auto changes = table.PlanChanges(id);
    if (!changes) return rows;
    for (const Split& split : changes->splits) {
      table.ReadChanges({split}, {0, 1, 2}, [&](ChangeChunk& chunk) {
        for (idx_t i = 0; i < chunk.size(); i++) {
          rows.push_back(std::to_string(static_cast<int>(chunk.KindOf(i))) + "|" +
                         chunk.rows.GetValue(0, i).ToString() + "|" +
                         chunk.rows.GetValue(2, i).ToString());
        }
      });
    }
    return rows;
  }

  TestWorld world;
  const bool keyed;
  std::vector<std::vector<std::string>> answers;
};

bool IsJson(const std::string& path) {
  for (const char* folder : {"/snapshot/", "/schema/", "/tag/", "/statistics/"}) {
    if (path.find(folder) != std::string::npos) return true;
  }
  return false;
}

void ReadDamaged(Prepared& prepared, const std::string& path, const std::string& bytes,
                 bool rows_count) {  // False: other answers are no mistake.
  std::unique_ptr<MemoryFileSystem> disk = prepared.world.disk.Clone();
  disk->Overwrite(path, bytes);
  auto answers = prepared.ReadAll(*disk);
  for (size_t i = 0; i < answers.size(); i++) {
    if (answers[i] == prepared.answers[i]) continue;
    CAPTURE(i);
    bool failed = answers[i].size() == 1 && answers[i][0].starts_with("error: ");
    if (!failed) {
      CHECK_FALSE(rows_count);
      continue;
    }
    bool names_a_file = answers[i][0].find(kFolder) != std::string::npos ||
                        answers[i][0].find(path.substr(path.rfind('/') + 1)) != std::string::npos;
    CAPTURE(answers[i][0]);
    CHECK((names_a_file || !rows_count));
  }
  std::string problems;
  try {
    auto table = Table::Open(prepared.world.Over(*disk), kFolder);
    for (const Finding& finding : VerifyTable(table->state(), true)) problems += finding.problem;
  } catch (const std::exception& exception) {
    problems = ErrorFrom(exception).text();
  }
  bool changed = answers != prepared.answers;
  CHECK((!changed || !problems.empty() || !rows_count));
}

// Of each file; many more in a long run.
const int kCuts = IsLongRun() ? 20 : 1;
const int kFlips = IsLongRun() ? 50 : 2;

/// Bytes of an Avro file up to its first block: cut there, it parses as one without entries.
std::optional<size_t> AvroHeaderBytes(const std::string& path, const std::string& bytes) {
  if (path.find("/manifest/") == std::string::npos || bytes.size() < 32) return std::nullopt;
  return bytes.find(bytes.substr(bytes.size() - 16)) + 16;
}

void DamageEverywhere(bool keyed, const Options& options) {
  Prepared prepared(keyed, options);
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (const std::string& path : prepared.world.disk.Files()) {
    CAPTURE(path);
    std::string whole = prepared.world.disk.Read(path);
    bool is_hint = path.ends_with("/LATEST") || path.ends_with("/EARLIEST");
    std::vector<size_t> lengths = {random() % 2 ? 0 : whole.size() - 1};
    for (int i = 0; i < kCuts; i++) lengths.push_back(random() % whole.size());
    auto header = AvroHeaderBytes(path, whole);
    if (header) lengths.push_back(*header);
    for (size_t length : lengths) {
      CAPTURE(length);
      ReadDamaged(prepared, path, whole.substr(0, length), !is_hint);
    }
    for (int flip = 0; flip < kFlips; flip++) {
      size_t at = random() % whole.size();
      auto bit = static_cast<int>(random() % 8);
      CAPTURE(at);
      CAPTURE(bit);
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      ReadDamaged(prepared, path, damaged, !is_hint && !IsJson(path));
    }
  }
}

}  // namespace

TEST_CASE("Damage to any file of a keyed table is told or does no harm") {
  DamageEverywhere(true, {{"bucket", "1"},
                          {"changelog-producer", "input"},
                          {"file-index.bloom-filter.columns", "id"},
                          {"file-index.bloom-filter.id.items", "300"},
                          {"num-sorted-run.compaction-trigger", "3"}});
}

TEST_CASE("Damage to any file of a table with dynamic buckets is told or does no harm") {
  DamageEverywhere(
      true, {{"bucket", "-1"}, {"changelog-producer", "lookup"}, {"data-file.thin-mode", "true"}});
}

TEST_CASE("Damage to any file of an append-only table is told or does no harm") {
  DamageEverywhere(false, {{"bucket", "-1"},
                           {"deletion-vectors.enabled", "true"},
                           {"file-index.bitmap.columns", "value"}});
}

}  // namespace millrace
