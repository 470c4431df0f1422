// dataflow_bench.cc - rows per CPU second of the hot operators: grouped sums, and facts joined to a
// dimension.
#include <cstdio>
#include <ctime>
#include <random>

#include "catalog/scan_function.h"
#include "duckdb/function/table_function.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/main/extension/extension_loader.hpp"
#include "stream/dataflow.h"

namespace millrace {
namespace {

/// CPU time, so that neighbours on the machine do not count.
double Seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::shared_ptr<TableDefinition> Definition(const std::string& name) {
  auto definition = std::make_shared<TableDefinition>();
  definition->path = {"bench", "bench", name};
  for (const char* column : {"k", "v"}) {
    ColumnDefinition made;
    made.name = column;
    made.type = ParseDataType("BIGINT");
    definition->columns.push_back(made);
  }
  if (name == "dimension") definition->primary_key = {"k"};
  return definition;
}

duckdb::unique_ptr<duckdb::FunctionData> Bind(duckdb::ClientContext&,
                                              duckdb::TableFunctionBindInput& input,
                                              duckdb::vector<LogicalType>& types,
                                              duckdb::vector<std::string>& names) {
  auto data = duckdb::make_uniq<ScanBindData>();
  data->definition = Definition(input.inputs[0].ToString());
  types = data->definition->ColumnTypes();
  names = data->definition->ColumnNames();
  return data;
}

void Fill(ChangeChunk& chunk, std::mt19937_64& random, uint64_t keys) {
  chunk.Reset();
  for (idx_t column = 0; column < chunk.rows.ColumnCount(); column++) {
    auto data = duckdb::FlatVector::GetData<int64_t>(chunk.rows.data[column]);
    for (idx_t i = 0; i < kChunkRows; i++)
      data[i] = static_cast<int64_t>(random() % (column ? 1000 : keys));
  }
  chunk.rows.SetCardinality(kChunkRows);
}

void Measure(duckdb::Connection& connection, const char* name, const std::string& sql,
             ChangelogType type, bool deletes, idx_t step_chunks) {
  auto flow = Dataflow::Compile(*connection.context, sql, {});
  std::vector<ChangelogType> types(flow->Inputs().size(), type);
  idx_t fact = 0;
  for (idx_t i = 0; i < types.size(); i++) {
    if (flow->Inputs()[i].definition->path.name == "fact") fact = i;
  }
  flow->Start(types);
  int64_t emitted = 0;
  ChangeReceiver out = [&](ChangeChunk& chunk) { emitted += static_cast<int64_t>(chunk.size()); };
  std::mt19937_64 random(1);
  ChangeChunk chunk;
  for (idx_t input = 0; input < types.size(); input++) {
    if (input == fact) continue;
    duckdb::vector<LogicalType> columns(flow->Inputs()[input].columns.size(), LogicalType::BIGINT);
    chunk.Initialize(columns);
    for (int64_t start = 0; start < 100'000; start += kChunkRows) {
      chunk.Reset();
      for (idx_t column = 0; column < columns.size(); column++) {
        auto data = duckdb::FlatVector::GetData<int64_t>(chunk.rows.data[column]);
        for (idx_t i = 0; i < kChunkRows; i++) data[i] = start + static_cast<int64_t>(i);
      }
      chunk.rows.SetCardinality(kChunkRows);
      flow->Push(input, chunk, out);
    }
    flow->EndStep(out);
  }
  duckdb::vector<LogicalType> columns(flow->Inputs()[fact].columns.size(), LogicalType::BIGINT);
  std::vector<ChangeChunk> chunks(64);
  for (auto& made : chunks) {
    made.Initialize(columns);
    Fill(made, random, 100'000);
  }
  idx_t rounds = 32;
  double start = Seconds();
  idx_t pushed = 0;
  for (idx_t round = 0; round < rounds; round++) {
    for (auto& made : chunks) {
      // Every second round takes back what the one before brought.
      if (deletes && round % 2 == 1)
        made.kinds.assign(made.size(), RowKind::kDelete);
      else
        made.kinds.clear();
      flow->Push(fact, made, out);
      if (++pushed % step_chunks == 0) flow->EndStep(out);
    }
  }
  flow->EndStep(out);
  double seconds = Seconds() - start;
  std::printf("%-44s %6.2f M rows/s, %5.1f MB state, %lld changes out\n", name,
              static_cast<double>(pushed * kChunkRows) / seconds / 1e6,
              static_cast<double>(flow->StateBytes()) / 1e6, static_cast<long long>(emitted));
}

void Run() {
  duckdb::DuckDB database(nullptr);
  duckdb::ExtensionLoader loader(*database.instance, "bench");
  duckdb::TableFunction feed = MakeScanFunction();
  feed.name = "feed";
  feed.arguments = {LogicalType::VARCHAR};
  feed.bind = Bind;
  loader.RegisterFunction(feed);
  duckdb::Connection connection(database);
  connection.Query(
      "CREATE VIEW fact AS FROM feed('fact'); CREATE VIEW dimension AS FROM feed('dimension')");
  const std::string sums = "SELECT k, sum(v), count(*) FROM fact GROUP BY k";
  const std::string join = "SELECT f.k, f.v, d.v FROM fact f JOIN dimension d ON f.k = d.k";
  Measure(connection, "sum, count by 100k keys, inserts", sums, ChangelogType::kAppend, false, 49);
  Measure(connection, "sum, count by 100k keys, inserts and deletes", sums, ChangelogType::kFull,
          true, 49);
  Measure(connection, "same, steps of 2048 rows", sums, ChangelogType::kFull, true, 1);
  Measure(connection, "min, max by 100k keys, inserts and deletes",
          "SELECT k, min(v), max(v) FROM fact GROUP BY k", ChangelogType::kFull, true, 49);
  Measure(connection, "fact x 100k dimension, inserts", join, ChangelogType::kAppend, false, 49);
  Measure(connection, "fact x 100k dimension, inserts and deletes", join, ChangelogType::kFull,
          true, 49);
  Measure(connection, "join and sum",
          "SELECT d.v, sum(f.v) FROM fact f JOIN dimension d ON f.k = d.k GROUP BY d.v",
          ChangelogType::kAppend, false, 49);
}

}  // namespace
}  // namespace millrace

int main() {
  millrace::Run();
}
