// table_fixture.h - what the tests of tables share: a world in memory, rows as text, a naive model.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "base/error.h"
#include "duckdb/common/allocator.hpp"
#include "duckdb/main/database.hpp"
#include "io/manual_clock.h"
#include "io/memory_file_system.h"
#include "table/table.h"
#include "table/verify.h"

namespace millrace {

inline duckdb::DatabaseInstance& TestDatabase() {
  // Never destroyed: at exit the engine's thread locals are gone before it.
  static auto* database = new duckdb::DuckDB(nullptr);
  return *database->instance;
}

/// A disk, a clock and randomness.
struct TestWorld {
  explicit TestWorld(uint64_t seed = 1) : random(seed) { disk.SetClock(clock); }
  TableContext Over(FileSystem& files) { return {files, clock, random, TestDatabase()}; }
  TableContext context() { return Over(disk); }

  MemoryFileSystem disk;
  ManualClock clock{1'700'000'000'000};
  Random random;
};

/// Whether there is time for everything (`make soak`); else tests take a sample of it.
inline bool IsLongRun() {
  return std::getenv("MILLRACE_OPERATIONS") != nullptr;
}

/// Which operations are to fail: each, but for sanitizers, which are ten times slower.
struct FaultPoints {
  int64_t first;
  int64_t step;
};
inline FaultPoints SomeFaultPoints() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  return {0, 1};
#endif
  if (IsLongRun()) return {0, 1};
  constexpr int64_t kStep = 3;
  return {static_cast<int64_t>(std::random_device{}() % kStep), kStep};
}

/// Columns (id BIGINT, part STRING, value STRING); `keyed`: key (id), or (part, id) when
/// partitioned.
inline TableDefinition TestDefinition(bool keyed, bool partitioned, Options options = {}) {
  TableDefinition definition;
  definition.path = {"c", "d", "t"};
  for (const auto& [name, type] : std::vector<std::pair<std::string, std::string>>{
           {"id", "BIGINT"}, {"part", "STRING"}, {"value", "STRING"}}) {
    ColumnDefinition column;
    column.name = name;
    column.type = ParseDataType(type);
    definition.columns.push_back(column);
  }
  if (keyed) definition.primary_key = {"id"};
  if (partitioned) definition.partition_keys = {"part"};
  if (keyed && partitioned) definition.primary_key = {"part", "id"};
  definition.options = std::move(options);
  return definition;
}

struct TestRow {
  RowKind kind = RowKind::kInsert;
  int64_t id = 0;
  std::string part;
  std::string value;
};

inline void WriteRows(TableWriter& writer, const std::vector<TestRow>& rows) {
  ChangeChunk chunk;
  chunk.Initialize({LogicalType::BIGINT, LogicalType::VARCHAR, LogicalType::VARCHAR});
  for (size_t start = 0; start < rows.size(); start += kChunkRows) {
    chunk.Reset();
    size_t count = std::min<size_t>(kChunkRows, rows.size() - start);
    for (size_t i = 0; i < count; i++) {
      const TestRow& row = rows[start + i];
      chunk.rows.SetValue(0, i, Value::BIGINT(row.id));
      chunk.rows.SetValue(1, i, Value(row.part));
      chunk.rows.SetValue(2, i, Value(row.value));
      chunk.kinds.push_back(row.kind);
    }
    chunk.rows.SetCardinality(count);
    writer.Write(chunk);
  }
}

/// "id|part|value" of all live rows, sorted.
inline std::vector<std::string> ReadRows(const Table& table, ScanOptions options = {}) {
  options.columns = {0, 1, 2};
  std::vector<std::string> rows;
  for (const Split& split : table.PlanScan(options)) {
    std::unique_ptr<SplitReader> reader = table.ReadSplit(split, options);
    DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(),
                     {LogicalType::BIGINT, LogicalType::VARCHAR, LogicalType::VARCHAR});
    for (chunk.Reset(); reader->Next(chunk); chunk.Reset()) {
      for (idx_t i = 0; i < chunk.size(); i++) {
        rows.push_back(chunk.GetValue(0, i).ToString() + "|" + chunk.GetValue(1, i).ToString() +
                       "|" + chunk.GetValue(2, i).ToString());
      }
    }
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

/// Visits the rows that `options` find with their ids and where they lie: the split, the number of
/// the file in it, the position.
inline void ForEachPosition(
    const Table& table, ScanOptions options,
    const std::function<void(const Split&, size_t file, int64_t position, int64_t id)>& visit) {
  options.columns = {0};
  options.positions = true;
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(),
                   {LogicalType::BIGINT, LogicalType::INTEGER, LogicalType::BIGINT});
  for (const Split& split : table.PlanScan(options)) {
    auto reader = table.ReadSplit(split, options);
    for (chunk.Reset(); reader->Next(chunk); chunk.Reset()) {
      for (idx_t i = 0; i < chunk.size(); i++) {
        visit(split, static_cast<size_t>(chunk.GetValue(1, i).GetValue<int32_t>()),
              chunk.GetValue(2, i).GetValue<int64_t>(), chunk.GetValue(0, i).GetValue<int64_t>());
      }
    }
  }
}

/// Every invariant of the format holds.
inline void CheckWhole(const Table& table) {
  std::string problems;
  for (const Finding& finding : VerifyTable(table.state(), true)) {
    problems +=
        fmt::format("{} {}: {}\n", SeverityName(finding.severity), finding.file, finding.problem);
  }
  CHECK(problems == "");
}

/// COUNT(*): a scan of no columns.
inline idx_t CountRows(const Table& table) {
  ScanOptions options;
  idx_t count = 0;
  for (const Split& split : table.PlanScan(options)) {
    std::unique_ptr<SplitReader> reader = table.ReadSplit(split, options);
    DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), duckdb::vector<LogicalType>());
    for (chunk.Reset(); reader->Next(chunk); chunk.Reset()) count += chunk.size();
  }
  return count;
}

/// The naive table: key -> row.
struct TestModel {
  void Apply(const TestRow& row) {
    std::string key = row.part + "|" + std::to_string(row.id);
    if (IsAdd(row.kind)) {
      rows[key] = std::to_string(row.id) + "|" + row.part + "|" + row.value;
    } else {
      rows.erase(key);
    }
  }
  std::vector<std::string> Rows() const {
    std::vector<std::string> out;
    for (const auto& [key, row] : rows) out.push_back(row);
    std::sort(out.begin(), out.end());
    return out;
  }
  std::map<std::string, std::string> rows;
};

/// The table as the changes of all its snapshots tell it.
inline std::vector<std::string> FoldChanges(const Table& table) {
  TestModel model;
  for (int64_t id = 1; auto changes = table.PlanChanges(id); id++) {
    table.ReadChanges(changes->splits, {0, 1, 2}, [&](ChangeChunk& chunk) {
      for (idx_t i = 0; i < chunk.size(); i++) {
        model.Apply({chunk.KindOf(i), chunk.rows.GetValue(0, i).GetValue<int64_t>(),
                     chunk.rows.GetValue(1, i).ToString(), chunk.rows.GetValue(2, i).ToString()});
      }
    });
  }
  return model.Rows();
}

}  // namespace millrace
