// Goal: a log gives back every acknowledged step once, in order, whatever breaks while it is
// written. Method: random rows of all kinds of columns against a copy kept aside; every file
// operation of a step failed in turn; files cut and damaged at every place that matters.
#include "table/log/table_log.h"

#include <doctest/doctest.h>

#include <cstring>
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
  return log.EndStep({"job", step, step * 10});
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
      log.EndStep({"job", step, 1000 + step});
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
  CHECK(log.EndStep({"other", 1, 6}) > end);
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
  {
    LogWriter second(*two, folder, kOneColumn);
  }
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

namespace {

/// Reading and writing a log refuse it by name, and cut nothing.
void CheckRefused(MemoryFileSystem& files, const std::string& bytes, const std::string& offset) {
  files.Overwrite("t/log/log-0", bytes);
  auto refused = [&](const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kCorrupt);
      CHECK(error.text().find("t/log/log-0") != std::string::npos);
      CHECK(error.text().find("offset " + offset) != std::string::npos);
      return true;
    }
    return false;
  };
  CHECK(refused([&] { ReadSteps(files); }));
  // Rows are not read by a writer.
  refused([&] {
    LogWriter log(files, "t", kOneColumn);
    CHECK(log.EndOffset() == static_cast<int64_t>(bytes.size()));
  });
  CHECK(files.Read("t/log/log-0") == bytes);
}

struct ThreeSteps {
  MemoryFileSystem files;
  int64_t ends[3];
  std::string bytes;
  ThreeSteps() {
    LogWriter log(files, "t", kOneColumn);
    for (int64_t step = 1; step <= 3; step++) ends[step - 1] = AppendStep(log, step);
    bytes = files.Read("t/log/log-0");
  }
};

}  // namespace

TEST_CASE("damage before the last batch is an error that names file and offset, and cuts nothing") {
  ThreeSteps log;
  for (int64_t at = 0; at < log.ends[1]; at++) {
    CAPTURE(at);
    std::string damaged = log.bytes;
    damaged[static_cast<size_t>(at)] = static_cast<char>(damaged[static_cast<size_t>(at)] ^ 1);
    CheckRefused(log.files, damaged, at < log.ends[0] ? "0" : std::to_string(log.ends[0]));
  }
}

TEST_CASE("no length in the middle of a log makes the rest of it a torn tail") {
  ThreeSteps log;
  int64_t size = static_cast<int64_t>(log.bytes.size());
  constexpr size_t kBodyBytesAt = 16;
  for (int64_t length : {int64_t(0), int64_t(1), size, size - log.ends[0], size - 57, size - 56,
                         size - 55, int64_t(1) << 40, INT64_MAX, int64_t(-1), INT64_MIN}) {
    CAPTURE(length);
    std::string damaged = log.bytes;
    std::memcpy(damaged.data() + kBodyBytesAt, &length, sizeof(length));
    CheckRefused(log.files, damaged, "0");
    damaged = log.bytes;
    std::memcpy(damaged.data() + log.ends[0] + kBodyBytesAt, &length, sizeof(length));
    CheckRefused(log.files, damaged, std::to_string(log.ends[0]));
  }
  // A hole, as a disk leaves it; two of them.
  std::string hole = log.bytes;
  std::fill(hole.begin() + log.ends[0], hole.begin() + log.ends[1], '\0');
  CheckRefused(log.files, hole, std::to_string(log.ends[0]));
  std::fill(hole.begin(), hole.begin() + log.ends[0], '\0');
  CheckRefused(log.files, hole, "0");
}

TEST_CASE("what no whole batch follows is torn, whatever it is") {
  ThreeSteps log;
  std::mt19937_64 random(7);
  for (int i = 0; i < 200; i++) {
    CAPTURE(i);
    std::string tail(random() % 300, '\0');
    if (i % 3 != 0) {
      for (char& c : tail) c = static_cast<char>(random());
    }
    if (i % 3 == 2) {  // A batch with a hole in it, or without its end.
      tail = log.bytes.substr(static_cast<size_t>(log.ends[1]));
      constexpr size_t kVersionEnd = 6;  // Another version is refused, not cut.
      tail[kVersionEnd + random() % (tail.size() - kVersionEnd)] ^= 4;
      tail.resize(tail.size() - random() % 3);
    }
    log.files.Overwrite("t/log/log-0",
                        log.bytes.substr(0, static_cast<size_t>(log.ends[1])) + tail);
    CHECK(ReadSteps(log.files) == std::vector<int64_t>{1, 2});
    LogWriter writer(log.files, "t", kOneColumn);
    CHECK(writer.EndOffset() == log.ends[1]);
    AppendStep(writer, 3);
    CHECK(ReadSteps(log.files) == std::vector<int64_t>{1, 2, 3});
  }
}

TEST_CASE("a log that has lost what snapshots include is refused, not gone on with") {
  ThreeSteps log;
  for (size_t size = 0; size < log.bytes.size(); size++) {
    CAPTURE(size);
    std::string cut = log.bytes.substr(0, size);
    log.files.Overwrite("t/log/log-0", cut);
    CHECK_THROWS_WITH_AS(LogWriter(log.files, "t", kOneColumn, log.ends[2]),
                         doctest::Contains("t/log/log-0"), Error);
    CHECK(log.files.Read("t/log/log-0") == cut);
    bool has_two = static_cast<int64_t>(size) >= log.ends[1];
    if (has_two) LogWriter(log.files, "t", kOneColumn, log.ends[1]);
    if (!has_two) CHECK_THROWS_AS(LogWriter(log.files, "t", kOneColumn, log.ends[1]), Error);
    CHECK_THROWS_AS(ReadSteps(log.files, log.ends[2]), Error);
  }
  log.files.Delete("t/log/log-0");
  CHECK_THROWS_AS(LogWriter(log.files, "t", kOneColumn, log.ends[0]), Error);
}

TEST_CASE("a writer knows what is committed, and what is not") {
  MemoryFileSystem files;
  int64_t committed = 0;
  {
    LogWriter log(files, "t", kOneColumn);
    AppendStep(log, 1);
    AppendStep(log, 2);
    committed = log.EndStep({"idle", 9, 0});
    AppendStep(log, 3);
    log.EndStep({"insert", 1, 0, true});
  }
  LogWriter log(files, "t", kOneColumn, committed);
  CHECK(log.CommittedStep("job") == 2);
  CHECK(!log.CommittedStep("idle"));  // It had no rows.
  CHECK(!log.CommittedStep("insert"));
  CHECK(log.LastStep("job") == 3);
  REQUIRE(log.Tail().size() == 2);
  CHECK((log.Tail()[0].job == "job" && log.Tail()[0].step == 3 && log.Tail()[0].rows == 1));
  CHECK(!log.Tail()[0].whole_job);
  CHECK((log.Tail()[1].job == "insert" && log.Tail()[1].whole_job));
  CHECK(log.Tail()[1].next_offset == log.EndOffset());
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
