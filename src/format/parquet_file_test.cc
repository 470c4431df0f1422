// Goal: what was written is read back, value for value; a damaged file is an error that names it.
// Method: random rows of every type through a memory disk, whole and by column; then cuts and
// flipped bits.
#include "format/parquet_file.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "format/test_values.h"
#include "io/faulty_file_system.h"
#include "io/memory_file_system.h"

namespace millrace {

namespace {

duckdb::DatabaseInstance& Database() {
  // Never destroyed: at exit the engine's thread locals are gone before it.
  static auto* database = new duckdb::DuckDB(nullptr);
  return *database->instance;
}

using Rows = std::vector<std::vector<Value>>;

constexpr const char* kTypes[] = {"BOOLEAN",
                                  "TINYINT",
                                  "SMALLINT",
                                  "INT",
                                  "BIGINT",
                                  "FLOAT",
                                  "DOUBLE",
                                  "DECIMAL(4,2)",
                                  "DECIMAL(9,2)",
                                  "DECIMAL(18,4)",
                                  "DECIMAL(38,6)",
                                  "CHAR(5)",
                                  "VARCHAR(40)",
                                  "STRING",
                                  "BINARY(3)",
                                  "BYTES",
                                  "DATE",
                                  "TIME(3)",
                                  "TIMESTAMP(0)",
                                  "TIMESTAMP(3)",
                                  "TIMESTAMP(6)",
                                  "TIMESTAMP(9)",
                                  "TIMESTAMP_LTZ(0)",
                                  "TIMESTAMP_LTZ(3)",
                                  "TIMESTAMP_LTZ(6)",
                                  "TIMESTAMP_LTZ(9)",
                                  "ARRAY<INT>",
                                  "ARRAY<TIMESTAMP(3)>",
                                  "ARRAY<TIMESTAMP(9)>",
                                  "MAP<TIME(3), TIMESTAMP_LTZ(3)>",
                                  "ROW<t TIME(3), u TIMESTAMP_LTZ(7), f DOUBLE>",
                                  "MAP<STRING, BIGINT>",
                                  "MULTISET<STRING>",
                                  "ROW<a INT, b ROW<c STRING, d ARRAY<DECIMAL(10,2)>>>"};

void GiveIds(DataType& type, int& next) {
  for (DataField& field : type.fields) {
    field.id = next++;
    GiveIds(field.type, next);
  }
  for (DataType& child : type.children) GiveIds(child, next);
}

std::vector<FileColumn> AllColumns(bool with_required = true) {
  std::vector<FileColumn> columns;
  int id = 100;
  for (const char* text : kTypes) {
    DataType type = ParseDataType(text);
    GiveIds(type, id);
    auto number = static_cast<int>(columns.size());
    columns.push_back({"c" + std::to_string(number), type, number});
    if (with_required && type.children.empty() && type.fields.empty()) {
      columns.push_back({"r" + std::to_string(number), type.NotNull(), 50 + number});
    }
  }
  return columns;
}

duckdb::vector<LogicalType> DuckTypes(const std::vector<FileColumn>& columns) {
  duckdb::vector<LogicalType> types;
  for (const FileColumn& column : columns) types.push_back(column.type.ToDuck());
  return types;
}

Rows RandomRows(std::mt19937_64& random, const std::vector<FileColumn>& columns, idx_t count) {
  Rows rows(count);
  for (auto& row : rows) {
    for (const FileColumn& column : columns) row.push_back(RandomValue(random, column.type));
  }
  return rows;
}

int64_t WriteFile(FileSystem& files, const std::string& path,
                  const std::vector<FileColumn>& columns, const Rows& rows, std::mt19937_64& random,
                  ParquetWriteOptions options = {}) {
  ParquetFileWriter writer(Database(), files, path, columns, options);
  for (idx_t start = 0; start < rows.size();) {
    idx_t size = std::min<idx_t>(rows.size() - start, 1 + random() % kChunkRows);
    DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(columns));
    for (idx_t i = 0; i < size; i++) {
      for (idx_t c = 0; c < columns.size(); c++) chunk.SetValue(c, i, rows[start + i][c]);
    }
    chunk.SetCardinality(size);
    writer.Write(chunk);
    start += size;
  }
  return writer.Finish();
}

Rows ReadFile(FileSystem& files, const std::string& path, const std::vector<FileColumn>& columns,
              const std::vector<FilePredicate>& prune = {}) {
  ParquetFileReader reader(Database(), files, path, columns, {.prune = prune});
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), reader.Types());
  Rows rows;
  while (reader.Next(chunk)) {
    for (idx_t i = 0; i < chunk.size(); i++) {
      rows.emplace_back();
      for (idx_t c = 0; c < columns.size(); c++) rows.back().push_back(chunk.GetValue(c, i));
    }
  }
  return rows;
}

void CheckSame(const Rows& actual, const Rows& expected, const std::vector<FileColumn>& columns) {
  REQUIRE(actual.size() == expected.size());
  for (size_t i = 0; i < actual.size(); i++) {
    for (size_t c = 0; c < columns.size(); c++) {
      if (Value::NotDistinctFrom(actual[i][c], expected[i][c])) continue;
      CAPTURE(columns[c].type.ToString());
      CAPTURE(i);
      FAIL(actual[i][c].ToString() << " instead of " << expected[i][c].ToString());
    }
  }
}

}  // namespace

TEST_CASE("Every type survives writing and reading, NULLs included") {
  for (uint64_t seed : {1, 2, 3}) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    MemoryFileSystem disk;
    std::vector<FileColumn> columns = AllColumns();
    Rows rows = RandomRows(random, columns, 1 + random() % 5000);
    int64_t size = WriteFile(disk, "/t/f.parquet", columns, rows, random,
                             {.row_group_rows = seed == 1 ? 122'880 : 1000});
    CHECK(size == disk.OpenForRead("/t/f.parquet")->Size());
    CheckSame(ReadFile(disk, "/t/f.parquet", columns), rows, columns);
  }
}

TEST_CASE("Sequence numbers may have a codec of their own, wherever they stand") {
  auto disk = MakeLocalFileSystem();
  const std::string path =
      (std::filesystem::temp_directory_path() / fmt::format("codec_{}.parquet", getpid())).string();
  DataType number = ParseDataType("BIGINT").NotNull(), list = ParseDataType("ARRAY<INT>");
  for (auto [before, after] : {std::pair{0, 9}, {1, 0}, {3, 4}, {4, 1}}) {
    std::mt19937_64 random(static_cast<uint64_t>(before));
    std::vector<FileColumn> columns;
    auto add = [&](const std::string& name, const DataType& type) {
      columns.push_back({name + std::to_string(columns.size()), type, int(columns.size())});
    };
    for (int i = 0; i < before; i++) add("b", i == 0 ? list : number);
    add("seq", number);
    columns.back().sequence = columns.back().unique = true;
    for (int i = 0; i < after; i++) add("a", number);
    Rows rows = RandomRows(random, columns, 3000 + random() % 3000);
    ParquetWriteOptions options{.compression = "zstd", .sequence_compression = "lz4"};
    options.row_group_rows = 2500;
    WriteFile(*disk, path, columns, rows, random, options);
    CheckSame(ReadFile(*disk, path, columns), rows, columns);
    auto codecs = duckdb::Connection(Database())
                      .Query("SELECT count(*) FROM parquet_metadata('" + path +
                             "') WHERE compression = "
                             "CASE WHEN path_in_schema LIKE 'seq%' THEN 'LZ4_RAW' ELSE 'ZSTD' END");
    REQUIRE_MESSAGE(!codecs->HasError(), codecs->GetError());
    size_t row_groups = (rows.size() + kChunkRows - 1) / kChunkRows;  // At least so many rows each.
    CHECK(codecs->GetValue(0, 0).GetValue<int64_t>() % static_cast<int64_t>(columns.size()) == 0);
    CHECK(codecs->GetValue(0, 0).GetValue<int64_t>() >=
          static_cast<int64_t>(columns.size() * (row_groups > 1 ? 2 : 1)));
    disk->Delete(path);
  }
}

TEST_CASE("The sign of zero survives, also among few values and inside other types") {
  std::mt19937_64 random(9);
  MemoryFileSystem disk;
  std::vector<FileColumn> columns = {{"d", ParseDataType("DOUBLE"), 0},
                                     {"f", ParseDataType("FLOAT"), 1},
                                     {"l", ParseDataType("ARRAY<DOUBLE>"), 2}};
  Rows rows;
  for (int i = 0; i < 3000; i++) {
    double zero = i % 2 ? -0.0 : 0.0;
    rows.push_back({Value::DOUBLE(zero), Value::FLOAT(static_cast<float>(zero)),
                    Value::LIST(LogicalType::DOUBLE, {Value::DOUBLE(zero)})});
  }
  WriteFile(disk, "/f", columns, rows, random);
  Rows found = ReadFile(disk, "/f", columns);
  REQUIRE(found.size() == rows.size());
  for (size_t i = 0; i < rows.size(); i++) {
    CAPTURE(i);
    CHECK(std::signbit(found[i][0].GetValue<double>()) == (i % 2 == 1));
    CHECK(std::signbit(found[i][1].GetValue<float>()) == (i % 2 == 1));
    double inside = duckdb::ListValue::GetChildren(found[i][2])[0].GetValue<double>();
    CHECK(std::signbit(inside) == (i % 2 == 1));
  }
}

TEST_CASE("NaNs survive among few values") {
  std::mt19937_64 random(9);
  MemoryFileSystem disk;
  std::vector<FileColumn> columns = {{"d", ParseDataType("DOUBLE"), 0},
                                     {"f", ParseDataType("FLOAT"), 1}};
  for (int nans : {1, 50, 2999, 3000}) {
    CAPTURE(nans);
    Rows rows;
    for (int i = 0; i < 3000; i++) {
      double value = i < nans ? std::nan("") : i % 3;
      rows.push_back({Value::DOUBLE(value), Value::FLOAT(static_cast<float>(value))});
    }
    std::shuffle(rows.begin(), rows.end(), random);
    WriteFile(disk, "/f", columns, rows, random);
    CheckSame(ReadFile(disk, "/f", columns), rows, columns);
  }
}

TEST_CASE("Columns are found by name, cast when their type changed, NULL when missing") {
  std::mt19937_64 random(4);
  MemoryFileSystem disk;
  std::vector<FileColumn> columns = {{"a", ParseDataType("INT"), 0},
                                     {"b", ParseDataType("STRING"), 1}};
  WriteFile(disk, "/f", columns, {{Value::INTEGER(7), Value("x")}, {Value::INTEGER(8), Value()}},
            random);
  std::vector<FileColumn> wanted = {{"b", ParseDataType("STRING"), 1},
                                    {"new", ParseDataType("DATE"), 2},
                                    {"a", ParseDataType("BIGINT"), 0}};
  Rows rows = ReadFile(disk, "/f", wanted);
  CheckSame(rows, {{Value("x"), Value(), Value::BIGINT(7)}, {Value(), Value(), Value::BIGINT(8)}},
            wanted);
  CHECK(ReadFile(disk, "/f", {}).size() == 2);
  CHECK(ReadFile(disk, "/f", {wanted[1]}).size() == 2);
}

TEST_CASE("Row groups that cannot match are skipped, all others are kept") {
  std::mt19937_64 random(5);
  MemoryFileSystem disk;
  std::vector<FileColumn> columns = {{"a", ParseDataType("BIGINT NOT NULL"), 0},
                                     {"s", ParseDataType("STRING"), 1}};
  Rows rows;
  for (int i = 0; i < 10000; i++)
    rows.push_back({Value::BIGINT(i), Value(fmt::format("{:06}", i))});
  WriteFile(disk, "/f", columns, rows, random, {.row_group_rows = 1000});
  using Op = FilePredicate::Op;
  auto count = [&](std::vector<FilePredicate> prune) {
    return ReadFile(disk, "/f", columns, prune).size();
  };
  size_t all = rows.size();
  size_t one = count({{0, Op::kEqual, Value::BIGINT(5000)}});
  CHECK(one > 0);
  CHECK(one < 4000);
  CHECK(count({{1, Op::kEqual, Value("005000")}}) == one);
  CHECK(count({{0, Op::kGreaterEqual, Value::BIGINT(0)}}) == all);
  CHECK(count({{0, Op::kGreater, Value::BIGINT(20000)}}) == 0);
  CHECK(count({{0, Op::kLess, Value::BIGINT(0)}}) == 0);
  CHECK(count({{0, Op::kGreaterEqual, Value::BIGINT(9999)}, {1, Op::kLess, Value("000001")}}) == 0);
}

TEST_CASE("NULL in a NOT NULL column is refused with the column's name") {
  std::mt19937_64 random(6);
  MemoryFileSystem disk;
  try {
    WriteFile(disk, "/f", {{"balance", ParseDataType("INT NOT NULL"), 0}}, {{Value()}}, random);
    FAIL("must throw");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kData);
    CHECK(error.text().find("'balance'") != std::string::npos);
  }
}

TEST_CASE("A cut or missing file is an error that names it") {
  std::mt19937_64 random(7);
  MemoryFileSystem disk;
  std::vector<FileColumn> columns = AllColumns();
  WriteFile(disk, "/whole", columns, RandomRows(random, columns, 300), random);
  std::string bytes = disk.Read("/whole");
  for (size_t keep = 0; keep < bytes.size(); keep += 1 + random() % (bytes.size() / 60)) {
    CAPTURE(keep);
    disk.Overwrite("/cut.parquet", bytes.substr(0, keep));
    try {
      ReadFile(disk, "/cut.parquet", columns);
      FAIL("must throw");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kCorrupt);
      CHECK(error.text().find("/cut.parquet") != std::string::npos);
    }
  }
  CHECK_THROWS_AS(ReadFile(disk, "/none", columns), Error);
}

TEST_CASE("A flipped bit gives an error that names the file or the right rows, never others") {
  std::mt19937_64 random(8);
  MemoryFileSystem disk;
  std::vector<FileColumn> columns = AllColumns();
  Rows rows = RandomRows(random, columns, 200);
  WriteFile(disk, "/whole", columns, rows, random);
  const std::string bytes = disk.Read("/whole");
  for (int round = 0; round < 1500; round++) {
    std::string damaged = bytes;
    size_t at = random() % bytes.size();
    int bit = static_cast<int>(random() % 8);
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
    CAPTURE(at);
    CAPTURE(bit);
    disk.Overwrite("/bad.parquet", damaged);
    try {
      CheckSame(ReadFile(disk, "/bad.parquet", columns), rows, columns);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kCorrupt);
      CHECK(error.text().find("/bad.parquet") != std::string::npos);
    }
  }
}

TEST_CASE("An I/O failure at any point comes through as kIo and the next try succeeds") {
  std::vector<FileColumn> columns = AllColumns();
  std::mt19937_64 random(9);
  Rows rows = RandomRows(random, columns, 100);
  for (int64_t fail_at = 0;; fail_at++) {
    CAPTURE(fail_at);
    MemoryFileSystem disk;
    FaultyFileSystem faulty(disk, {.fail_at = fail_at});
    std::mt19937_64 chunks(1);
    try {
      WriteFile(faulty, "/f", columns, rows, chunks);
      CheckSame(ReadFile(faulty, "/f", columns), rows, columns);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kIo);
    }
    if (!faulty.failed()) {
      CHECK(fail_at > 5);
      break;
    }
    WriteFile(disk, "/f", columns, rows, chunks);
    CheckSame(ReadFile(disk, "/f", columns), rows, columns);
  }
}

}  // namespace millrace
