// Goal: a reader who wants some keys of a sorted file decodes the pages that may hold them, gets
// the same rows at the same positions as one who reads everything, and damage to a page is told.
// Method: files of several row groups and pages, random predicates against a naive filter.
#include "format/file_pages.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <random>
#include <set>

#include "base/error.h"
#include "duckdb/main/database.hpp"
#include "format/parquet_file.h"
#include "format/row_set.h"
#include "io/memory_file_system.h"

namespace millrace {

namespace {

constexpr int64_t kRows = 130'000;
constexpr int64_t kPageRows = 4096;
constexpr int64_t kGroupRows = 7 * kPageRows;

duckdb::DatabaseInstance& Database() {
  // Never destroyed: at exit the engine's thread locals are gone before it.
  static auto* database = new duckdb::DuckDB(nullptr);
  return *database->instance;
}

Value KeyOf(const LogicalType& type, int64_t row) {
  int64_t number = row * 3 - 100'000;
  if (type.id() == LogicalTypeId::VARCHAR) return Value(fmt::format("key {:09}", number + 200'000));
  return Value::BIGINT(number).DefaultCastAs(type);
}

Value TextOf(int64_t row) {
  return row % 7 == 0 ? Value(LogicalType::VARCHAR) : Value("city " + std::to_string(row % 50));
}

double NumberOf(int64_t row) {
  return static_cast<double>(row * 7919 % 100'003) / 3;
}

std::vector<FileColumn> Columns(const char* key) {
  std::vector<FileColumn> columns = {{"_KEY_id", ParseDataType(key).NotNull(), 0},
                                     {"city", ParseDataType("STRING"), 1},
                                     {"number", ParseDataType("DOUBLE NOT NULL"), 2},
                                     {"id", ParseDataType(key), 3}};
  columns[0].sorted = true;
  return columns;
}

void WriteSorted(FileSystem& disk, const std::vector<FileColumn>& columns) {
  ParquetFileWriter writer(Database(), disk, "/f", columns, {.row_group_rows = kGroupRows});
  DataChunk chunk;
  duckdb::vector<LogicalType> types;
  for (const FileColumn& column : columns) types.push_back(column.type.ToDuck());
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), types);
  for (int64_t row = 0; row < kRows;) {
    chunk.Reset();
    idx_t count = 0;
    for (; count < kChunkRows && row < kRows; count++, row++) {
      chunk.SetValue(0, count, KeyOf(types[0], row));
      chunk.SetValue(1, count, TextOf(row));
      chunk.SetValue(2, count, Value::DOUBLE(NumberOf(row)));
      chunk.SetValue(3, count, KeyOf(types[3], row));
    }
    chunk.SetCardinality(count);
    writer.Write(chunk);
  }
  writer.Finish();
}

/// The rows that were read, by position; each is checked.
std::set<int64_t> ReadPositions(FileSystem& disk, std::vector<FileColumn> columns,
                                const ParquetReadOptions& options) {
  columns.push_back(RowPositionColumn());
  ParquetFileReader reader(Database(), disk, "/f", columns, options);
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), reader.Types());
  std::set<int64_t> positions;
  while (reader.Next(chunk)) {
    for (idx_t i = 0; i < chunk.size(); i++) {
      int64_t row = chunk.GetValue(4, i).GetValue<int64_t>();
      CHECK(positions.insert(row).second);
      REQUIRE(chunk.GetValue(0, i) == KeyOf(reader.Types()[0], row));
      REQUIRE(Value::NotDistinctFrom(chunk.GetValue(1, i), TextOf(row)));
      REQUIRE(chunk.GetValue(2, i).GetValue<double>() == NumberOf(row));
      REQUIRE(chunk.GetValue(3, i) == KeyOf(reader.Types()[3], row));
    }
  }
  return positions;
}

bool Holds(const Value& key, const FilePredicate& predicate) {
  switch (predicate.op) {
    case FilePredicate::Op::kEqual:
      return key == predicate.constant;
    case FilePredicate::Op::kLess:
      return key < predicate.constant;
    case FilePredicate::Op::kLessEqual:
      return key <= predicate.constant;
    case FilePredicate::Op::kGreater:
      return key > predicate.constant;
    case FilePredicate::Op::kGreaterEqual:
      return key >= predicate.constant;
  }
  return false;
}

}  // namespace

TEST_CASE("Few keys cost few pages, whatever the key's type") {
  using Op = FilePredicate::Op;
  constexpr Op kOps[] = {Op::kEqual, Op::kLess, Op::kLessEqual, Op::kGreater, Op::kGreaterEqual};
  for (const char* key : {"BIGINT", "INT", "STRING"}) {
    CAPTURE(key);
    MemoryFileSystem disk;
    std::vector<FileColumn> columns = Columns(key);
    LogicalType type = columns[0].type.ToDuck();
    WriteSorted(disk, columns);
    uint64_t seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    for (int round = 0; round < 25; round++) {
      ParquetReadOptions options;
      int64_t row = static_cast<int64_t>(random() % kRows);
      if (round % 3 == 0) row = row / kPageRows * kPageRows;  // The first of a page.
      // Both columns of the key have its order.
      options.prune = {{random() % 2 * 3, kOps[random() % 5], KeyOf(type, row)}};
      if (random() % 2) {
        int64_t other = std::min<int64_t>(kRows - 1, row + static_cast<int64_t>(random() % 3000));
        options.prune.push_back({0, kOps[random() % 5], KeyOf(type, other)});
      }
      options.choose_rows = random() % 2;
      RowSet hidden;
      for (int64_t i = row > 5 ? row - 5 : 0; i < row + 5; i += 2) hidden.Add(i);
      if (random() % 2) options.hidden = std::make_shared<const RowSet>(std::move(hidden));
      std::set<int64_t> found = ReadPositions(disk, columns, options);
      int64_t first = kRows, last = -1;
      for (int64_t i = 0; i < kRows; i++) {
        bool wanted = true;
        for (const auto& predicate : options.prune) wanted &= Holds(KeyOf(type, i), predicate);
        if (!wanted) continue;
        first = std::min(first, i);
        last = i;
        bool is_hidden = options.hidden && options.hidden->Contains(i);
        if (found.contains(i) == is_hidden) {
          CAPTURE(i);
          CHECK(found.contains(i) == !is_hidden);
        }
      }
      // What is read besides lies in the same pages, and in the one before each. (Statistics of
      // texts are short: row groups that have one page may be read in vain.)
      if (last < 0 || found.empty() || key == std::string("STRING")) continue;
      CHECK(*found.begin() / kPageRows >= first / kPageRows - 1);
      CHECK(*found.rbegin() / kPageRows <= last / kPageRows + 1);
    }
  }
}

TEST_CASE("Damage to a page that is read is told") {
  MemoryFileSystem disk;
  std::vector<FileColumn> columns = Columns("BIGINT");
  WriteSorted(disk, columns);
  const std::string whole = disk.Read("/f");
  std::mt19937_64 random(11);
  int told = 0;
  for (int round = 0; round < 60; round++) {
    std::string damaged = whole;
    damaged[random() % (whole.size() / 2)] ^= static_cast<char>(1 << random() % 8);
    disk.Overwrite("/f", damaged);
    int64_t row = static_cast<int64_t>(random() % kRows);
    ParquetReadOptions options;
    options.prune = {{0, FilePredicate::Op::kEqual, KeyOf(LogicalType::BIGINT, row)}};
    try {
      bool is_there = ReadPositions(disk, columns, options).contains(row);
      CHECK(is_there);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kCorrupt);
      CHECK(error.text().find("'/f'") != std::string::npos);
      told++;
    }
  }
  CHECK(told > 0);
  CHECK(told < 60);
}

TEST_CASE("Texts of pages are read back, others are told apart") {
  FilePages pages;
  pages.sorted_column = "_KEY_id;|,";
  pages.row_groups = {{20'480, {{{12, 0xFFFFFFFF}, {1 << 20, 0}}, {{7, 1}}}, {Value::BIGINT(-5)}},
                      {20'480, {}, {}},
                      {1, {{{1, 1}}}, {Value(""), Value("a;b|c,\xC3\xA4")}}};
  std::string text = FilePagesToText(pages);
  std::optional<FilePages> again = FilePagesFromText(text);
  REQUIRE(again);
  CHECK(again->sorted_column == pages.sorted_column);
  CHECK(again->row_groups == pages.row_groups);
  for (const char* other : {"", "2;;", "1", "1;zz;", "1;;0||;", "1;;5|1|;", "1;;5|1.x|;",
                            "1;;5||q7;", "1;;5||sFF;", "1;;x"}) {
    CAPTURE(other);
    CHECK((!FilePagesFromText(other) || std::string(other) == "1"));
  }
}

TEST_CASE("Rows hidden at the end of a row group leave the next ones in their places") {
  MemoryFileSystem disk;
  std::vector<FileColumn> columns = Columns("BIGINT");
  WriteSorted(disk, columns);
  for (int64_t first : {int64_t(1), kPageRows - 1, kPageRows, 3 * kPageRows + 5}) {
    CAPTURE(first);
    RowSet hidden;
    for (int64_t row = first; row < kGroupRows; row++) hidden.Add(row);
    ParquetReadOptions options;
    options.hidden = std::make_shared<const RowSet>(std::move(hidden));
    CHECK(ReadPositions(disk, columns, options).size() ==
          static_cast<size_t>(kRows - kGroupRows + first));
  }
}

}  // namespace millrace
