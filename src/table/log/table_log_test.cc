// Goal: a log gives back every acknowledged step once, in order, whatever breaks while it is
// written. Method: random rows of all kinds of columns against a copy kept aside; every file
// operation of a step failed in turn; files cut and damaged at every place that matters.
#include "table/log/table_log.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <random>

#include "base/error.h"
#include "io/faulty_file_system.h"
#include "io/memory_file_system.h"

namespace millrace {

namespace {

const std::vector<DataType>& Types() {
  static const std::vector<DataType> types = {
      ParseDataType("BIGINT"),           ParseDataType("STRING"),
      ParseDataType("DECIMAL(30, 3)"),   ParseDataType("ARRAY<STRING>"),
      ParseDataType("MAP<STRING, INT>"), ParseDataType("ROW<a TINYINT, b ARRAY<DOUBLE>>"),
      ParseDataType("BOOLEAN")};
  return types;
}

duckdb::vector<LogicalType> DuckTypes() {
  duckdb::vector<LogicalType> types;
  for (const DataType& type : Types()) types.push_back(type.ToDuck());
  return types;
}

Value RandomValue(const LogicalType& type, std::mt19937_64& random) {
  if (random() % 5 == 0) return Value(type);
  switch (type.id()) {
    case LogicalTypeId::VARCHAR:
      return Value(std::string(random() % 30, static_cast<char>('a' + random() % 26)));
    case LogicalTypeId::DECIMAL:
      return Value::DECIMAL(duckdb::hugeint_t(static_cast<int64_t>(random())), 30, 3);
    case LogicalTypeId::LIST: {
      auto element = duckdb::ListType::GetChildType(type);
      duckdb::vector<Value> values;
      for (size_t i = random() % 4; i > 0; i--) values.push_back(RandomValue(element, random));
      return Value::LIST(element, values);
    }
    case LogicalTypeId::MAP: {
      duckdb::vector<Value> keys, values;
      for (size_t i = random() % 3; i > 0; i--) {
        keys.push_back(Value("k" + std::to_string(i)));
        values.push_back(RandomValue(LogicalType::INTEGER, random));
      }
      return Value::MAP(LogicalType::VARCHAR, LogicalType::INTEGER, keys, values);
    }
    case LogicalTypeId::STRUCT: {
      duckdb::vector<Value> members;
      for (auto& child : duckdb::StructType::GetChildTypes(type)) {
        members.push_back(RandomValue(child.second, random));
      }
      return Value::STRUCT(type, members);
    }
    default:
      return Value::BIGINT(static_cast<int64_t>(random() % 100)).DefaultCastAs(type);
  }
}

using Row = std::pair<RowKind, std::vector<std::string>>;

Row RowOf(ChangeChunk& chunk, idx_t row) {
  Row out{chunk.KindOf(row), {}};
  for (idx_t c = 0; c < chunk.rows.ColumnCount(); c++) {
    out.second.push_back(chunk.rows.GetValue(c, row).ToString());
  }
  return out;
}

void FillRandom(ChangeChunk& chunk, idx_t rows, std::mt19937_64& random) {
  chunk.Initialize(DuckTypes());
  for (idx_t row = 0; row < rows; row++) {
    for (idx_t c = 0; c < Types().size(); c++) {
      chunk.rows.SetValue(c, row, RandomValue(Types()[c].ToDuck(), random));
    }
    chunk.kinds.push_back(static_cast<RowKind>(random() % 4));
  }
  if (random() % 3 == 0) chunk.kinds.clear();
  chunk.rows.SetCardinality(rows);
}

/// One BIGINT row per step; the log of the fault tests.
int64_t AppendStep(LogWriter& log, int64_t step) {
  ChangeChunk chunk;
  chunk.Initialize({LogicalType::BIGINT});
  chunk.rows.SetValue(0, 0, Value::BIGINT(step));
  chunk.rows.SetCardinality(1);
  log.Add(chunk);
  return log.EndStep("job", step, step * 10);
}

const std::vector<DataType> kOneColumn = {ParseDataType("BIGINT")};

std::vector<int64_t> ReadSteps(FileSystem& files, int64_t offset = 0) {
  LogReader reader(files, "t", kOneColumn, offset);
  std::vector<int64_t> steps;
  while (auto batch = reader.Peek()) {
    reader.Read({0}, [&](ChangeChunk& chunk) {
      CHECK(chunk.rows.GetValue(0, 0).GetValue<int64_t>() == batch->step);
    });
    steps.push_back(batch->step);
  }
  return steps;
}

}  // namespace

TEST_CASE("rows of every type come back as they were added") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  MemoryFileSystem files;
  std::vector<std::vector<Row>> steps;
  {
    LogWriter log(files, "t", Types());
    for (int64_t step = 1; step <= 20; step++) {
      steps.emplace_back();
      for (size_t chunks = random() % 3; chunks > 0; chunks--) {
        ChangeChunk chunk;
        FillRandom(chunk, random() % 50, random);
        for (idx_t row = 0; row < chunk.size(); row++) steps.back().push_back(RowOf(chunk, row));
        log.Add(chunk);
      }
      log.EndStep("job", step, 1000 + step);
    }
  }
  LogReader reader(files, "t", Types(), 0);
  for (size_t i = 0; i < steps.size(); i++) {
    auto batch = reader.Peek();
    REQUIRE(batch);
    CHECK(batch->step == static_cast<int64_t>(i + 1));
    CHECK(batch->rows == static_cast<int64_t>(steps[i].size()));
    std::vector<Row> rows;
    bool swapped = i % 2 == 1;  // A projection in another order now and then.
    std::vector<idx_t> columns =
        swapped ? std::vector<idx_t>{6, 1} : std::vector<idx_t>{0, 1, 2, 3, 4, 5, 6};
    reader.Read(columns, [&](ChangeChunk& chunk) {
      for (idx_t row = 0; row < chunk.size(); row++) rows.push_back(RowOf(chunk, row));
    });
    std::vector<Row> expected = steps[i];
    if (swapped) {
      for (Row& row : expected) row.second = {row.second[6], row.second[1]};
    }
    CHECK(rows == expected);
  }
  CHECK(!reader.Peek());
}

TEST_CASE("a step is written once, read once, and a follower sees it as soon as it is there") {
  MemoryFileSystem files;
  LogReader follower(files, "t", kOneColumn, 0);
  CHECK(!follower.Peek());
  LogWriter log(files, "t", kOneColumn);
  int64_t end = AppendStep(log, 1);
  CHECK(follower.Peek()->step == 1);
  follower.Read({}, [](ChangeChunk& chunk) { CHECK(chunk.size() == 1); });
  CHECK(!follower.Peek());
  CHECK(AppendStep(log, 1) == end);  // A repeat.
  CHECK(!follower.Peek());
  CHECK(log.EndStep("job", 2, 5, false) == end);
  CHECK(log.EndStep("other", 1, 6) > end);
  CHECK(follower.Peek()->job == "other");
  CHECK(log.LastStep("job") == 1);
  CHECK(!log.LastStep("nobody"));
}

TEST_CASE("one writer at a time") {
  MemoryFileSystem memory;
  {
    LogWriter first(memory, "t", kOneColumn);
    CHECK_THROWS_AS(LogWriter(memory, "t", kOneColumn), Error);
  }
  LogWriter again(memory, "t", kOneColumn);

  std::string folder =
      std::filesystem::temp_directory_path() / ("log_test_" + std::to_string(::getpid()));
  auto one = MakeLocalFileSystem(), two = MakeLocalFileSystem();
  {
    LogWriter first(*one, folder, kOneColumn);
    CHECK_THROWS_AS(LogWriter(*two, folder, kOneColumn), Error);
  }
  { LogWriter second(*two, folder, kOneColumn); }
  std::filesystem::remove_all(folder);
}

TEST_CASE("a log cut at any byte loses its last step at most") {
  MemoryFileSystem whole;
  int64_t first_end = 0, end = 0;
  {
    LogWriter log(whole, "t", kOneColumn);
    first_end = AppendStep(log, 1);
    end = AppendStep(log, 2);
  }
  std::string bytes = whole.Read("t/log/log-0");
  for (int64_t size = 0; size <= end; size++) {
    CAPTURE(size);
    MemoryFileSystem files;
    auto file = files.OpenForWrite("t/log/log-0");
    file->Append(std::string_view(bytes).substr(0, static_cast<size_t>(size)));
    file->Close();
    std::vector<int64_t> expected;
    if (size >= first_end) expected.push_back(1);
    if (size >= end) expected.push_back(2);
    CHECK(ReadSteps(files) == expected);
    LogWriter log(files, "t", kOneColumn);
    CHECK(log.LastStep("job").value_or(0) == static_cast<int64_t>(expected.size()));
    AppendStep(log, 3);
    expected.push_back(3);
    CHECK(ReadSteps(files) == expected);
  }
}

TEST_CASE("damage before the last batch is an error that names file and offset") {
  MemoryFileSystem files;
  int64_t first_end = 0;
  {
    LogWriter log(files, "t", kOneColumn);
    first_end = AppendStep(log, 1);
    AppendStep(log, 2);
  }
  std::string bytes = files.Read("t/log/log-0");
  for (int64_t at = 50; at < first_end; at += 7) {
    CAPTURE(at);
    std::string damaged = bytes;
    damaged[static_cast<size_t>(at)] = static_cast<char>(damaged[static_cast<size_t>(at)] ^ 1);
    files.Overwrite("t/log/log-0", damaged);
    try {
      ReadSteps(files);
      FAIL("read a damaged log");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kCorrupt);
      CHECK(error.text().find("t/log/log-0") != std::string::npos);
      CHECK(error.text().find("offset 0") != std::string::npos);
    }
  }
}

TEST_CASE(
    "whichever file operation fails, acknowledged steps are there once and the writer goes on") {
  for (FaultMode mode : {FaultMode::kBefore, FaultMode::kAfter, FaultMode::kHalf}) {
    for (int fail_at = 0;; fail_at++) {
      CAPTURE(fail_at);
      CAPTURE(static_cast<int>(mode));
      MemoryFileSystem files;
      {
        LogWriter log(files, "t", kOneColumn);
        AppendStep(log, 1);
      }
      FaultyFileSystem faulty(files, {.fail_at = fail_at, .mode = mode});
      int64_t acknowledged = 1;
      bool threw = false;
      try {
        LogWriter log(faulty, "t", kOneColumn);
        for (int64_t step = 2; step <= 4; step++) {
          try {
            AppendStep(log, step);
          } catch (const Error&) {
            threw = true;
            AppendStep(log, step);  // The job tries the step again.
          }
          acknowledged = step;
        }
      } catch (const Error& error) {
        threw = true;
        CHECK(error.code() == ErrorCode::kIo);
      }
      std::vector<int64_t> steps = ReadSteps(files);
      std::vector<int64_t> expected;
      for (int64_t step = 1; step <= static_cast<int64_t>(steps.size()); step++)
        expected.push_back(step);
      CHECK(steps == expected);
      CHECK(static_cast<int64_t>(steps.size()) >= acknowledged);
      if (!threw) {
        CHECK(acknowledged == 4);
        break;
      }
    }
  }
}

}  // namespace millrace
