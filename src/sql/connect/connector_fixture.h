// connector_fixture.h - an environment, tables and rows as text for the connectors' tests.
#pragma once

#include <filesystem>
#include <random>
#include <sstream>

#include "base/error.h"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/main/materialized_query_result.hpp"
#include "io/manual_clock.h"
#include "stream/connector.h"

namespace millrace {

/// The disk, a clock set by hand, an own DuckDB and a folder that goes away again.
struct TestEnvironment {
  TestEnvironment() {
    folder = (std::filesystem::temp_directory_path() /
              ("millrace-connect-" + std::to_string(std::random_device{}())))
                 .string();
    std::filesystem::create_directories(folder);
  }
  ~TestEnvironment() { std::filesystem::remove_all(folder); }

  std::string folder;
  std::unique_ptr<FileSystem> files = MakeLocalFileSystem();
  ManualClock clock{1'700'000'000'000};
  Random random{1};
  duckdb::DuckDB database{nullptr};
  std::ostringstream out;
  Environment environment{*files, clock, random, *database.instance, "", out};
};

inline TableDefinition TestTable(const std::string& connector, const std::string& columns,
                                 Options options, const std::string& name = "t") {
  TableDefinition table;
  table.path = {"c", "d", name};
  for (const DataField& field : ParseDataType("ROW<" + columns + ">").fields) {
    ColumnDefinition column;
    column.name = field.name;
    column.type = field.type;
    table.columns.push_back(std::move(column));
  }
  table.options = std::move(options);
  table.options["connector"] = connector;
  return table;
}

/// A chunk of the table's rows, each given as the SQL of its cells.
inline std::unique_ptr<ChangeChunk> MakeChunk(const TableDefinition& table,
                                              const std::vector<std::string>& rows) {
  // Never destroyed: at exit it would outlive what its threads keep.
  static auto& database = *new duckdb::DuckDB(nullptr);
  duckdb::Connection connection(database);
  connection.Query("SET TimeZone = 'UTC'");
  auto chunk = std::make_unique<ChangeChunk>();
  duckdb::vector<LogicalType> types;
  for (idx_t index : table.PhysicalColumns()) types.push_back(table.columns[index].type.ToDuck());
  chunk->Initialize(types);
  for (idx_t row = 0; row < rows.size(); row++) {
    auto result = connection.Query("SELECT " + rows[row]);
    if (result->HasError()) throw std::runtime_error(result->GetError());
    for (idx_t i = 0; i < types.size(); i++) {
      chunk->rows.SetValue(i, row, result->GetValue(i, 0).DefaultCastAs(types[i]));
    }
  }
  chunk->rows.SetCardinality(rows.size());
  return chunk;
}

/// What came out of a source: "table|kind|cell|cell" a row.
using Lines = std::vector<std::string>;

inline void AppendLines(idx_t table, ChangeChunk& chunk, Lines& lines) {
  for (idx_t row = 0; row < chunk.size(); row++) {
    std::string line = std::to_string(table) + "|" + RowKindName(chunk.KindOf(row));
    for (idx_t i = 0; i < chunk.rows.ColumnCount(); i++) {
      line += "|" + chunk.rows.GetValue(i, row).ToString();
    }
    lines.push_back(std::move(line));
  }
}

inline SourceTable WholeTable(const TableDefinition& definition) {
  auto shared = std::make_shared<const TableDefinition>(definition);
  std::vector<idx_t> columns;
  for (idx_t i = 0; i < definition.columns.size(); i++) {
    if (!definition.columns[i].computed) columns.push_back(i);
  }
  return {shared, columns};
}

/// Reads with random limits until the end or idleness; the cuts are the positions after each Read.
inline Lines ReadAll(Source& source, std::mt19937_64& random,
                     std::vector<std::string>* cuts = nullptr,
                     std::vector<size_t>* counts = nullptr, idx_t max_rows = 5000) {
  Lines lines;
  for (int idle = 0; idle < 3;) {
    ReadLimit limit;
    limit.max_rows = random() % max_rows + 1;
    auto status = source.Read(
        limit, [&](idx_t table, ChangeChunk& chunk) { AppendLines(table, chunk, lines); });
    if (cuts) cuts->push_back(source.Position());
    if (counts) counts->push_back(lines.size());
    if (status == SourceStatus::kEnd) break;
    idle = status == SourceStatus::kIdle ? idle + 1 : 0;
  }
  return lines;
}

/// Goal of every source: from any cut, Seek and `until` give the very rows that came the first
/// time. `make` makes a fresh source. Returns the rows, or what differs as an Error.
inline Lines CheckReplay(const std::function<std::unique_ptr<Source>()>& make,
                         std::mt19937_64& random, int rounds = 5, idx_t max_rows = 5000) {
  std::vector<std::string> cuts;
  std::vector<size_t> counts;
  auto first = make();
  std::string start = first->Position();
  Lines lines = ReadAll(*first, random, &cuts, &counts, max_rows);
  cuts.insert(cuts.begin(), start);
  counts.insert(counts.begin(), 0);
  for (int round = 0; round < rounds; round++) {
    size_t from = random() % cuts.size(), to = from + random() % (cuts.size() - from);
    auto again = make();
    again->Seek(cuts[from]);
    if (again->Position() != cuts[from])
      Throw(ErrorCode::kInvalid, "Seek({}) is at {}", cuts[from], again->Position());
    Lines replayed;
    for (size_t cut = from; cut < to;) {
      cut = cut + 1 + random() % (to - cut);  // Other steps than the first time.
      if (cuts[cut] == again->Position()) continue;
      ReadLimit limit;
      limit.until = cuts[cut];
      limit.max_rows = 1;
      again->Read(limit,
                  [&](idx_t table, ChangeChunk& chunk) { AppendLines(table, chunk, replayed); });
      if (again->Position() != cuts[cut])
        Throw(ErrorCode::kInvalid, "until {} ends at {}", cuts[cut], again->Position());
    }
    Lines rest = ReadAll(*again, random, nullptr, nullptr, max_rows);
    replayed.insert(replayed.end(), rest.begin(), rest.end());
    Lines expected(lines.begin() + static_cast<std::ptrdiff_t>(counts[from]), lines.end());
    // Tables interleave as the steps cut them; each table's own order is fixed.
    auto by_table = [](const std::string& a, const std::string& b) {
      return a.substr(0, a.find('|')) < b.substr(0, b.find('|'));
    };
    std::stable_sort(expected.begin(), expected.end(), by_table);
    std::stable_sort(replayed.begin(), replayed.end(), by_table);
    if (replayed != expected) {
      Throw(ErrorCode::kInvalid, "replay from {}: {} rows, expected {}", cuts[from],
            replayed.size(), expected.size());
    }
  }
  return lines;
}

}  // namespace millrace
