// table_bench.cc - rows a second through a table's writer, commit and scan: 1 million balances in 2
// buckets, loaded once, then updated 3 million times.
#include <chrono>
#include <cstdio>
#include <filesystem>

#include "duckdb/common/allocator.hpp"
#include "duckdb/main/database.hpp"
#include "table/table.h"

namespace millrace {

namespace {

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

constexpr int64_t kAccounts = 1'000'000;

void Fill(ChangeChunk& chunk, int64_t first, bool scattered) {
  auto* id = duckdb::FlatVector::GetData<int64_t>(chunk.rows.data[0]);
  auto* balance = duckdb::FlatVector::GetData<int64_t>(chunk.rows.data[1]);
  auto* name = duckdb::FlatVector::GetData<string_t>(chunk.rows.data[2]);
  for (idx_t i = 0; i < kChunkRows; i++) {
    int64_t row = first + static_cast<int64_t>(i);
    id[i] = scattered ? row * 7'919 % kAccounts : row % kAccounts;
    balance[i] = row * 100;
    name[i] = string_t("branch", 6);
  }
  chunk.rows.SetCardinality(kChunkRows);
}

void Run(const char* producer) {
  auto files = MakeLocalFileSystem();
  auto clock = MakeSystemClock();
  Random random;
  duckdb::DuckDB database(nullptr);
  std::string folder =
      std::filesystem::temp_directory_path() / "millrace_table_bench" / "db.db" / "t";
  std::filesystem::remove_all(folder);
  TableDefinition definition;
  for (auto [name, type] :
       {std::pair("id", "BIGINT"), {"balance", "DECIMAL(18, 2)"}, {"branch", "STRING"}}) {
    ColumnDefinition column;
    column.name = name;
    column.type = ParseDataType(type);
    definition.columns.push_back(column);
  }
  definition.primary_key = {"id"};
  definition.options = {{"bucket", "2"}, {"changelog-producer", producer}};
  auto table = Table::Create({*files, *clock, random, *database.instance}, folder, definition);
  auto writer = table->NewWriter("bench");
  auto load = [&](const char* what, int64_t rows, bool scattered, int64_t identifier) {
    double start = Seconds();
    for (int64_t row = 0; row < rows; row += static_cast<int64_t>(kChunkRows)) {
      ChangeChunk chunk;
      chunk.Initialize(table->schema().DuckTypes());
      Fill(chunk, row, scattered);
      writer->Write(chunk);
    }
    double wrote = Seconds();
    table->Commit(writer->PrepareCommit(), "bench", identifier);
    double end = Seconds();
    std::printf(
        "%s, producer %s: %.2f s routing and buffering, %.2f s flush and commit, %.0f rows/s\n",
        what, producer, wrote - start, end - wrote, static_cast<double>(rows) / (end - start));
  };
  load("load", kAccounts, false, 1);
  load("update", 3 * kAccounts, true, 2);
  double start = Seconds();
  ScanOptions options;
  options.columns = {0, 1, 2};
  idx_t rows = 0;
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), table->schema().DuckTypes());
  for (const Split& split : table->PlanScan(options)) {
    auto reader = table->ReadSplit(split, options);
    for (chunk.Reset(); reader->Next(chunk); chunk.Reset()) rows += chunk.size();
  }
  std::printf("scan with merge: %llu rows, %.0f rows/s\n", static_cast<unsigned long long>(rows),
              static_cast<double>(rows) / (Seconds() - start));
  std::filesystem::remove_all(folder);
}

}  // namespace

}  // namespace millrace

int main() {
  for (const char* producer : {"none", "input"}) millrace::Run(producer);
}
