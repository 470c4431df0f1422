// Goal: a lookup file finds each of its keys and no other, and damage is told by name. Method:
// random keys and rows of all types against a map; bytes flipped under an open file.
#include "lsm/lookup_file.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "lsm/row_packer.h"
#include "lsm/test_bucket.h"

namespace millrace {

namespace {

constexpr const char* kPath = "local/1";

void Damage(MemoryFileSystem& disk, size_t at) {
  std::string bytes = disk.Read(kPath);
  bytes[at] = static_cast<char>(bytes[at] ^ 16);
  disk.Truncate(kPath, 0);
  disk.OpenForAppend(kPath)->Append(bytes);
}

}  // namespace

TEST_CASE("every key is found with its entry, others are not") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (size_t rows : {0, 1, 2, 5000}) {
    MemoryFileSystem disk;
    std::map<std::string, std::string> model;
    while (model.size() < rows) {
      std::string key = std::to_string(random() % 100'000);
      model[key] = std::string(random() % 60, static_cast<char>('a' + random() % 26));
    }
    LookupFileWriter writer(disk, kPath, 7, static_cast<int64_t>(rows));
    int64_t position = 0;
    for (const auto& [key, row] : model) writer.Add(key, "o" + key, position++, row);
    LookupFile file = writer.Finish();
    CHECK(file.row_count() == static_cast<int64_t>(rows));
    for (int64_t budget : {0, 10'000, 100'000'000}) {
      LookupBlockCache cache(budget);
      position = 0;
      for (const auto& [key, row] : model) {
        auto entry = file.Find(key, cache);
        REQUIRE(entry);
        REQUIRE(entry->order == "o" + key);
        REQUIRE(entry->position == position++);
        REQUIRE(entry->row == row);
      }
      for (int probe = 0; probe < 2000; probe++) {
        std::string key = std::to_string(random() % 200'000);
        REQUIRE(file.Find(key, cache).has_value() == model.contains(key));
      }
      CHECK(!file.Find("", cache));
      CHECK(!file.Find("zzz", cache));
      CHECK(cache.used_bytes() <= budget);
    }
  }
}

TEST_CASE("a damaged block is an error that names the file") {
  MemoryFileSystem disk;
  LookupFileWriter writer(disk, kPath, 1, 100);
  for (int i = 100; i < 200; i++) writer.Add(std::to_string(i), "", i, "row");
  LookupFile file = writer.Finish();
  LookupBlockCache none(0);
  size_t size = disk.Read(kPath).size();
  for (size_t at = 0; at < size; at += 37) {
    CAPTURE(at);
    Damage(disk, at);
    CHECK_THROWS_WITH_AS((void)file.Find("150", none), doctest::Contains(kPath), Error);
    Damage(disk, at);
    CHECK(file.Find("150", none));
  }
  disk.Truncate(kPath, 20);
  CHECK_THROWS_WITH_AS((void)file.Find("150", none), doctest::Contains(kPath), Error);
}

TEST_CASE("rows of any type come back as they were packed") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  duckdb::vector<LogicalType> types;
  std::vector<DataType> paimon;
  for (const char* text : {"BOOLEAN", "TINYINT", "BIGINT", "DOUBLE", "DECIMAL(38, 5)", "STRING",
                           "BYTES", "DATE", "TIMESTAMP(9)", "ARRAY<INT>", "MAP<STRING, BIGINT>",
                           "ROW<a INT, b ARRAY<STRING>>", "CHAR(3)", "DECIMAL(5, 2)"}) {
    paimon.push_back(ParseDataType(text));
    types.push_back(paimon.back().ToDuck());
  }
  DataChunk rows, back;
  rows.Initialize(duckdb::Allocator::DefaultAllocator(), types);
  back.Initialize(duckdb::Allocator::DefaultAllocator(), types);
  constexpr idx_t kRows = 200;
  for (idx_t row = 0; row < kRows; row++) {
    for (idx_t i = 0; i < types.size(); i++) {
      rows.SetValue(i, row, RandomValue(random, paimon[i], 1000));
    }
  }
  rows.SetCardinality(kRows);
  RowPacker packer(types);
  packer.Start(rows);
  for (idx_t row = 0; row < kRows; row++) {
    std::string bytes = "before";
    packer.Append(row, bytes);
    std::string_view packed = std::string_view(bytes).substr(6);
    REQUIRE(packer.Unpack(packed, back, kRows - 1 - row));
    CHECK(!packer.Unpack(packed.substr(0, packed.size() - 1), back, 1000));
    CHECK(!packer.Unpack(std::string(packed) + "x", back, 1000));
    CHECK(!packer.Unpack(bytes + "x", back, 1000));
  }
  for (idx_t row = 0; row < kRows; row++) {
    for (idx_t i = 0; i < types.size(); i++) {
      REQUIRE(Value::NotDistinctFrom(back.GetValue(i, kRows - 1 - row), rows.GetValue(i, row)));
    }
  }
}

}  // namespace millrace
