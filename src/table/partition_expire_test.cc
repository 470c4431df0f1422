// Goal: partitions go when their time is over and not before, followers of the table do not mind,
// and finished partitions are marked once. Method: texts with the times that Java reads from them;
// tables with a clock moved by hand; every file operation of an expiry failing once.
#include "table/partition_expire.h"

#include "io/faulty_file_system.h"
#include "meta/binary_row.h"
#include "table/changes.h"
#include "table/partition_done.h"
#include "table/partition_time.h"
#include "table/table_fixture.h"

namespace millrace {

namespace {

constexpr const char* kFolder = "w/d.db/t";

RowBytes Part(const std::string& text) {
  return EncodeRow({ParseDataType("STRING")}, {Value(text)});
}

std::shared_ptr<const Table> MakeTable(TestWorld& world, bool keyed, Options options = {}) {
  if (keyed) options.emplace("bucket", "1");
  return Table::Create(world.context(), kFolder, TestDefinition(keyed, true, options));
}

void Write(const Table& table, const std::vector<std::string>& parts, int64_t commit,
           std::map<std::string, std::string> properties = {}, const std::string& user = "u") {
  auto writer = table.NewWriter(user);
  std::vector<TestRow> rows;
  for (const std::string& part : parts) rows.push_back({RowKind::kInsert, commit, part, "v"});
  WriteRows(*writer, rows);
  Committable committable = writer->PrepareCommit();
  committable.properties = std::move(properties);
  table.Commit(committable, user, commit);
}

std::vector<std::string> Texts(const TableState& table, const std::vector<RowBytes>& partitions) {
  std::vector<std::string> texts;
  for (const RowBytes& partition : partitions) texts.push_back(PartitionText(table, partition));
  return texts;
}

int64_t Day(const std::string& text) {
  return duckdb::Timestamp::GetEpochMs(
      duckdb::Timestamp::FromCString((text + " 00:00:00").c_str(), text.size() + 9, false));
}

}  // namespace

TEST_CASE("Partition values tell times as they do in Java") {
  TestWorld world;
  auto table = MakeTable(world, false);
  struct Case {
    const char *value, *pattern, *formatter, *day;  // day "": none.
    int64_t ms;
  };
  for (const Case& c :
       std::vector<Case>{{"2024-02-29", "", "", "2024-02-29", 0},
                         {"2024-02-29 13:45:07", "", "", "2024-02-29", 49'507'000},
                         {"2023-02-29", "", "", "", 0},
                         {"nonsense", "", "", "", 0},
                         {"20240229", "", "yyyyMMdd", "2024-02-29", 0},
                         {"20240229", "", "", "", 0},
                         {"29/02/2024T13", "", "dd/MM/yyyy'T'HH", "2024-02-29", 46'800'000},
                         {"13", "2024-02-29 $part:00:00", "", "2024-02-29", 46'800'000},
                         {"2024-02", "$part-01", "yyyy-MM-dd", "2024-02-01", 0}}) {
    CAPTURE(c.value);
    auto time = PartitionTimeMs(table->state(), Part(c.value), {c.pattern, c.formatter});
    CHECK(time == (*c.day ? std::optional(Day(c.day) + c.ms) : std::nullopt));
  }
  RowBytes null = EncodeRow({ParseDataType("STRING")}, {Value(LogicalType::VARCHAR)});
  CHECK(!PartitionTimeMs(table->state(), null, {}));
  CHECK_THROWS_WITH_AS(PartitionTimeMs(table->state(), Part("1"), {"", "QQ"}),
                       doctest::Contains("the letter Q is not supported"), Error);
}

TEST_CASE("Partitions go when their values or their files are old enough") {
  for (bool keyed : {false, true}) {
    for (const char* strategy : {"values-time", "update-time"}) {
      CAPTURE(keyed);
      CAPTURE(strategy);
      TestWorld world;  // In November 2023.
      auto table = MakeTable(world, keyed,
                             {{"partition.expiration-strategy", strategy},
                              {"partition.expiration-check-interval", "1 d"}});
      Write(*table, {"2023-10-01", "2023-11-12", "other"}, 1);
      CHECK_THROWS_WITH_AS(ExpirePartitions(table->state()), doctest::Contains("do not expire"),
                           Error);
      bool by_values = strategy == std::string("values-time");
      auto expiring = Table::Open(world.context(), kFolder, {{"partition.expiration-time", "5 d"}});
      std::vector<std::string> over;
      if (by_values) over = {"part=2023-10-01"};
      CHECK(Texts(expiring->state(), FindExpiredPartitions(expiring->state())) == over);
      Write(*expiring, {"2023-11-12"}, 2);  // Looks, too.
      CHECK(ReadRows(*table).size() == (by_values ? 3 : 4));
      world.clock.AdvanceMs(6 * 86'400'000LL);
      if (by_values) {
        over = {"part=2023-11-12"};
      } else {
        over = {"part=2023-10-01", "part=2023-11-12", "part=other"};
      }
      auto capped = Table::Open(
          world.context(), kFolder,
          {{"partition.expiration-time", "5 d"}, {"partition.expiration-max-num", "1"}});
      CHECK(FindExpiredPartitions(capped->state()).size() == 1);
      Write(*expiring, {"2023-11-19"}, 3);
      CHECK(table->LatestSnapshot()->commit_kind == CommitKind::kOverwrite);
      CHECK(ReadRows(*table).size() == (by_values ? 2 : 1));
      CHECK(FindExpiredPartitions(expiring->state()).empty());
      world.clock.AdvanceMs(3'600'000);  // Not looked at again so soon.
      Write(*expiring, {"2023-10-02"}, 4);
      CHECK(ReadRows(*table).size() == (by_values ? 3 : 2));
      CheckWhole(*table);
    }
  }
}

TEST_CASE("Who follows a table with its old values does not mind that partitions expire") {
  TestWorld world;
  auto table = MakeTable(world, true, {{"changelog-producer", "input"}});
  Write(*table, {"2023-10-01", "2023-11-12"}, 1, {{kInputFullProperty, "u"}});
  CHECK(table->StreamType() == ChangelogType::kFull);
  auto expiring = Table::Open(world.context(), kFolder, {{"partition.expiration-time", "5 d"}});
  CHECK(ExpirePartitions(expiring->state()).size() == 1);
  CHECK(table->StreamType() == ChangelogType::kFull);
  auto changes = table->PlanChanges(table->LatestSnapshot()->id);
  CHECK(changes->full);
  CHECK(changes->splits.empty());
  Write(*table, {"2023-11-12"}, 2, {{kInputFullProperty, "u"}});
  CHECK(table->PlanChanges(table->LatestSnapshot()->id)->full);
}

TEST_CASE("Expiry of partitions survives a failure of every operation") {
  for (FaultMode mode : {FaultMode::kBefore, FaultMode::kAfter}) {
    for (int fail_at = 0;; fail_at++) {
      CAPTURE(fail_at);
      TestWorld world;
      auto table =
          MakeTable(world, true, {{"partition.expiration-time", "5 d"}, {"write-only", "true"}});
      Write(*table, {"2023-10-01", "2023-11-12"}, 1);
      FaultyFileSystem faulty(world.disk, {.fail_at = fail_at, .mode = mode});
      try {
        ExpirePartitions(Table::Open(world.Over(faulty), kFolder)->state());
      } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::kIo);
      }
      CheckWhole(*table);
      ExpirePartitions(table->state());
      CHECK(ReadRows(*table) == std::vector<std::string>{"1|2023-11-12|v"});
      CheckWhole(*table);
      if (!faulty.failed()) break;
    }
  }
}

TEST_CASE("Partitions are marked when they are idle, and at the end of a batch job") {
  TestWorld world;
  auto table = MakeTable(
      world, false, {{"partition.idle-time-to-done", "1 h"}, {"partition.time-interval", "1 d"}});
  const TableState& state = table->state();
  Write(*table, {"2023-10-01", "2023-12-24", "other"}, 1);
  CHECK(!IsPartitionDone(state, Part("2023-10-01")));
  world.clock.AdvanceMs(3'700'000);
  Write(*table, {"2023-12-24"}, 2);
  CHECK(IsPartitionDone(state, Part("2023-10-01")));
  CHECK(!IsPartitionDone(state, Part("2023-12-24")));  // Its day is not over.
  CHECK(!IsPartitionDone(state, Part("other")));
  std::string mark = std::string(kFolder) + "/part=2023-10-01/_SUCCESS";
  std::string before = world.disk.Read(mark);
  world.clock.AdvanceMs(3'700'000);
  Write(*table, {"2023-10-01"}, 3);  // Late: marked again when it is idle again.
  CHECK(world.disk.Read(mark) == before);
  world.clock.AdvanceMs(3'700'000);
  Write(*table, {"2023-12-24"}, 4);
  CHECK(world.disk.Read(mark) != before);
  CheckWhole(*table);

  TestWorld other;
  table = MakeTable(other, false, {{"partition.end-input-to-done", "true"}});
  Write(*table, {"x"}, 1);
  CHECK(!IsPartitionDone(table->state(), Part("x")));
  Write(*table, {"y"}, kBatchCommitIdentifier);
  CHECK(!IsPartitionDone(table->state(), Part("x")));
  CHECK(IsPartitionDone(table->state(), Part("y")));
}

}  // namespace millrace
