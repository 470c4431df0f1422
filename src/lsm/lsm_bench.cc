// lsm_bench.cc - sort+write and merge of 5 million rows, next to DuckDB's own Parquet on the same
// rows.
//
// Usage: lsm_bench [rows] [folder]. Prints rows per processor second and the ratio to plain DuckDB
// in the same process.
#include <cstdio>
#include <ctime>
#include <filesystem>

#include "base/error.h"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/main/materialized_query_result.hpp"
#include "lsm/compaction.h"
#include "lsm/merge_reader.h"
#include "lsm/write_buffer.h"

namespace millrace {
namespace {

constexpr const char* kRows =
    "SELECT hash(i + {0}) % {1} AS id, 'account ' || (i * 7919 % 100000) AS name, "
    "(i * 31 % 1000000)::DECIMAL(18,2) / 4 AS balance, DATE '2022-01-01' + (i % 900)::INTEGER AS "
    "day, "
    "TIMESTAMP '2022-11-22 00:00:00' + INTERVAL (i % 86400) SECOND AS opened, i % 97 AS branch, "
    "i * 0.5::DOUBLE AS rate, 'EUR' AS currency, i AS number, i % 2 = 0 AS active FROM range({2}) "
    "t(i)";

constexpr const char* kTypes[] = {"BIGINT NOT NULL", "STRING", "DECIMAL(18,2)", "DATE",
                                  "TIMESTAMP(6)",    "BIGINT", "DOUBLE",        "STRING",
                                  "BIGINT",          "BOOLEAN"};
constexpr const char* kNames[] = {"id",     "name", "balance",  "day",    "opened",
                                  "branch", "rate", "currency", "number", "active"};

KeyValueLayout BenchLayout() {
  KeyValueLayout layout;
  for (int i = 0; i < 10; i++) {
    DataField field;
    field.id = i;
    field.name = kNames[i];
    field.type = ParseDataType(kTypes[i]);
    layout.fields.push_back(field);
  }
  layout.key = {0};
  return layout;
}

struct Bench {
  explicit Bench(std::string folder_path) : folder(std::move(folder_path)), connection(database) {
    Run("SET threads = 1");
  }

  duckdb::unique_ptr<duckdb::MaterializedQueryResult> Run(const std::string& sql) {
    auto result = connection.Query(sql);
    if (result->HasError()) result->ThrowError();
    return result;
  }

  /// The rows of one run: keys are spread over `keys` values, another seed per run.
  std::string RowsSql(int run, int64_t rows, int64_t keys) {
    std::string types = fmt::format(fmt::runtime(kRows), run * 1'000'003, keys, rows);
    return "SELECT id::BIGINT id, name, balance::DECIMAL(18,2) balance, day, opened, "
           "branch::BIGINT branch, "
           "rate, currency, number, active FROM (" +
           types + ")";
  }

  /// Processor seconds: other programs on the machine do not count.
  static double Time(const std::function<void()>& work) {
    auto now = [] {
      timespec time{};
      clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
      return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
    };
    double start = now();
    work();
    return now() - start;
  }

  std::vector<DataFileMeta> WriteRun(const std::string& table) {
    WriteBuffer buffer(layout, 0);
    auto rows = connection.SendQuery("SELECT * FROM " + table);
    ChangeChunk change;
    change.rows.InitializeEmpty(layout.ValueTypes());
    add_s += Time([&] {
      while (auto chunk = rows->Fetch()) {
        change.rows.Reference(*chunk);
        buffer.Add(change);
      }
    });
    RunFileWriter writer(context, layout, names, {.folder = folder});
    std::vector<DataFileMeta> files;
    flush_s += Time([&] {
      buffer.Flush([&](DataChunk& chunk) { writer.Write(chunk); });
      files = writer.Finish();
    });
    return files;
  }

  double Drain(MergeReader& reader, int64_t& rows) {
    DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), reader.Types());
    return Time([&] {
      while (reader.Next(chunk)) rows += static_cast<int64_t>(chunk.size());
    });
  }

  std::string folder;
  duckdb::DuckDB database{nullptr};
  duckdb::Connection connection;
  std::unique_ptr<FileSystem> files = MakeLocalFileSystem();
  std::unique_ptr<Clock> clock = MakeSystemClock();
  Random random{1};
  LsmContext context{*files, *clock, *database.instance};
  KeyValueLayout layout = BenchLayout();
  DataFileNames names{random};
  double add_s = 0;
  double flush_s = 0;
};

void Line(const char* what, int64_t rows, double seconds, double base_seconds) {
  std::printf("%-44s %8.3f s %8.2f M rows/s %6.2fx DuckDB's time\n", what, seconds,
              static_cast<double>(rows) / seconds / 1e6, seconds / base_seconds);
  std::fflush(stdout);
}

void Main(int64_t total, const std::string& folder) {
  Bench bench(folder);
  constexpr int kRuns = 5;
  int64_t per_run = total / kRuns;
  std::vector<std::string> tables;
  for (int run = 0; run < kRuns; run++) {
    tables.push_back("run" + std::to_string(run));
    bench.Run("CREATE TABLE " + tables.back() + " AS " + bench.RowsSql(run, per_run, total));
  }
  double copy_s = 0;
  double sorted_s = 0;
  for (int run = 0; run < kRuns; run++) {
    std::string path = fmt::format("{}/plain{}.parquet", folder, run);
    copy_s += bench.Time([&] {
      bench.Run(
          fmt::format("COPY {} TO '{}' (FORMAT PARQUET, COMPRESSION ZSTD, COMPRESSION_LEVEL 1)",
                      tables[run], path));
    });
    sorted_s += bench.Time([&] {
      bench.Run(
          fmt::format("COPY (FROM {} ORDER BY id) TO '{}/sorted{}.parquet' (FORMAT PARQUET, "
                      "COMPRESSION ZSTD, COMPRESSION_LEVEL 1)",
                      tables[run], folder, run));
    });
  }
  Line("DuckDB COPY, unsorted", total, copy_s, copy_s);
  Line("DuckDB COPY ... ORDER BY id", total, sorted_s, copy_s);
  std::vector<DataFileMeta> files;
  for (const std::string& table : tables) {
    for (DataFileMeta& file : bench.WriteRun(table)) files.push_back(std::move(file));
  }
  Line("WriteBuffer: add", total, bench.add_s, copy_s);
  Line("WriteBuffer: sort, merge, write files", total, bench.flush_s, copy_s);

  double scan_s = bench.Time([&] {
    auto result = bench.connection.SendQuery(
        fmt::format("SELECT * FROM read_parquet('{}/plain*.parquet')", folder));
    while (auto chunk = result->Fetch()) {
    }
  });
  Line("DuckDB scan of the plain files, all columns", total, scan_s, scan_s);
  MergeReadOptions all;
  for (idx_t i = 0; i < bench.layout.fields.size(); i++) all.fields.push_back(i);
  {
    int64_t rows = 0;
    RunReader reader(bench.context, bench.layout, folder, files, all);
    DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), reader.Types());
    double raw_s = bench.Time([&] {
      while (reader.Next(chunk)) rows += static_cast<int64_t>(chunk.size());
    });
    Line("Raw read of the runs, all columns", rows, raw_s, scan_s);
  }
  {
    int64_t rows = 0;
    MergeReader reader(bench.context, bench.layout, folder, files, all);
    double merge_s = bench.Drain(reader, rows);
    Line("Merge of 5 overlapping runs, all columns", total, merge_s, scan_s);
    std::printf("  %lld rows live\n", static_cast<long long>(rows));
  }
  {
    int64_t rows = 0;
    double two_scan_s = bench.Time([&] {
      auto result = bench.connection.SendQuery(
          fmt::format("SELECT balance, branch FROM read_parquet('{}/plain*.parquet')", folder));
      while (auto chunk = result->Fetch()) {
      }
    });
    MergeReader reader(bench.context, bench.layout, folder, files, {.fields = {2, 5}});
    Line("Merge of 5 overlapping runs, two columns", total, bench.Drain(reader, rows), two_scan_s);
  }
  for (DataFileMeta& file : files) file.delete_row_count = 0;
  CompactOptions options{.drop_deletes = true, .write = {.folder = folder}};
  KeyOrder order(bench.layout.KeyTypes());
  double compact_s = bench.Time([&] {
    Compact(bench.context, bench.layout, order, {5, files}, bench.names, options);
  });
  Line("Compaction of the 5 runs", total, compact_s, copy_s + scan_s);
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  int64_t rows = argc > 1 ? std::atoll(argv[1]) : 5'000'000;
  std::string folder = argc > 2 ? argv[2] : "/tmp/millrace_lsm_bench";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  millrace::Main(rows, folder);
  std::filesystem::remove_all(folder);
}
