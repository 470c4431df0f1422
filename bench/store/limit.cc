#include "limit.h"

#include <atomic>
#include <filesystem>

#include "base/error.h"
#include "duckdb/function/table_function.hpp"
#include "duckdb/main/appender.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/extension/extension_loader.hpp"
#include "duckdb/main/query_result.hpp"
#include "measure.h"
#include "rows.h"

namespace millrace {

namespace {

void Execute(duckdb::Connection& connection, const std::string& sql) {
  auto result = connection.Query(sql);
  if (result->HasError()) result->ThrowError();
}

void FillTable(duckdb::Connection& connection, int64_t rows) {
  Execute(
      connection,
      "CREATE TABLE generated (id BIGINT, customer_id BIGINT, branch INT, amount DECIMAL(18, 2), "
      "balance DOUBLE, status VARCHAR, memo VARCHAR, city VARCHAR, created TIMESTAMP, "
      "updated TIMESTAMP, flag BOOLEAN)");
  std::vector<uint32_t> shuffled = Shuffled(static_cast<uint32_t>(rows));
  duckdb::Appender appender(connection, "generated");
  ChangeChunk chunk;
  duckdb::vector<LogicalType> types;
  for (const ColumnDefinition& column : RowColumns()) types.push_back(column.type.ToDuck());
  chunk.Initialize(types);
  std::vector<int64_t> ids(STANDARD_VECTOR_SIZE);
  for (int64_t s = 0; s < rows; s += STANDARD_VECTOR_SIZE) {
    auto count = static_cast<idx_t>(std::min<int64_t>(rows - s, STANDARD_VECTOR_SIZE));
    for (idx_t i = 0; i < count; i++) ids[i] = shuffled[static_cast<size_t>(s) + i];
    FillRows(chunk, ids, static_cast<uint64_t>(s), count);
    appender.AppendDataChunk(chunk.rows);
  }
  appender.Close();
}

/// made_rows(): the same rows, made while they are read, by as many threads as DuckDB likes.
class MadeRows {
 public:
  static void Register(duckdb::DatabaseInstance& database, int64_t rows) {
    duckdb::TableFunction function("made_rows", {}, Fill, Bind, InitGlobal, InitLocal);
    function.function_info = duckdb::make_shared_ptr<Info>(rows);
    duckdb::ExtensionLoader(database, "made_rows").RegisterFunction(function);
  }

 private:
  struct Info : duckdb::TableFunctionInfo {
    explicit Info(int64_t rows) : rows(rows), ids(Shuffled(static_cast<uint32_t>(rows))) {}
    const int64_t rows;
    const std::vector<uint32_t> ids;
  };
  struct Bound : duckdb::TableFunctionData {
    Info* info = nullptr;
  };
  struct Global : duckdb::GlobalTableFunctionState {
    idx_t MaxThreads() const override { return 64; }
    std::atomic<int64_t> next{0};
  };
  struct Local : duckdb::LocalTableFunctionState {
    ChangeChunk chunk;
    std::vector<int64_t> ids;
  };

  static duckdb::unique_ptr<duckdb::FunctionData> Bind(duckdb::ClientContext&,
                                                       duckdb::TableFunctionBindInput& input,
                                                       duckdb::vector<LogicalType>& types,
                                                       duckdb::vector<std::string>& names) {
    for (const ColumnDefinition& column : RowColumns()) {
      types.push_back(column.type.ToDuck());
      names.push_back(column.name);
    }
    auto bound = duckdb::make_uniq<Bound>();
    bound->info = &input.info->Cast<Info>();
    return bound;
  }
  static duckdb::unique_ptr<duckdb::GlobalTableFunctionState> InitGlobal(
      duckdb::ClientContext&, duckdb::TableFunctionInitInput&) {
    return duckdb::make_uniq<Global>();
  }
  static duckdb::unique_ptr<duckdb::LocalTableFunctionState> InitLocal(
      duckdb::ExecutionContext&, duckdb::TableFunctionInitInput&,
      duckdb::GlobalTableFunctionState*) {
    auto local = duckdb::make_uniq<Local>();
    duckdb::vector<LogicalType> types;
    for (const ColumnDefinition& column : RowColumns()) types.push_back(column.type.ToDuck());
    local->chunk.Initialize(types);
    local->ids.resize(STANDARD_VECTOR_SIZE);
    return local;
  }
  static void Fill(duckdb::ClientContext&, duckdb::TableFunctionInput& input, DataChunk& out) {
    const Info& info = *input.bind_data->Cast<Bound>().info;
    auto& local = input.local_state->Cast<Local>();
    int64_t s = input.global_state->Cast<Global>().next.fetch_add(STANDARD_VECTOR_SIZE);
    if (s >= info.rows) return;
    auto count = static_cast<idx_t>(std::min<int64_t>(info.rows - s, STANDARD_VECTOR_SIZE));
    for (idx_t i = 0; i < count; i++) local.ids[i] = info.ids[static_cast<size_t>(s) + i];
    FillRows(local.chunk, local.ids, static_cast<uint64_t>(s), count);
    out.Reference(local.chunk.rows);
  }
};

}  // namespace

void MeasureLimit(duckdb::DatabaseInstance& database, const std::string& folder, int64_t rows,
                  int reps) {
  std::filesystem::create_directories(folder);
  duckdb::Connection connection(database);
  FillTable(connection, rows);
  MadeRows::Register(database, rows);
  std::string options = "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)";
  std::string sorted = "'" + folder + "/sorted.parquet'", plain = "'" + folder + "/plain.parquet'";
  std::string again = "'" + folder + "/again.parquet'";
  struct Step {
    const char* name;
    std::string sql;
  };
  std::string sums =
      "sum(id), sum(customer_id), sum(branch), sum(amount), sum(balance), sum(strlen(status)), "
      "sum(strlen(memo)), sum(strlen(city)), max(created), max(updated), sum(flag::INT)";
  for (const Step& step :
       {Step{"L-sort", "COPY (FROM generated ORDER BY id) TO " + sorted + options},
        Step{"L-write", "COPY generated TO " + plain + options},
        Step{"L-append", "COPY (FROM made_rows()) TO " + plain + options},
        Step{"L-rewrite", "COPY (FROM " + sorted + ") TO " + again + options},
        Step{"L-scan", "SELECT " + sums + " FROM " + sorted},
        Step{"L-scan-2cols", "SELECT sum(customer_id), sum(amount) FROM " + sorted}}) {
    Report report(step.name);
    // What is made by several threads has no order, and is written by all of them.
    bool makes = std::string_view(step.name) == "L-append";
    Execute(connection, fmt::format("SET preserve_insertion_order = {}", !makes));
    for (int rep = 0; rep < reps; rep++) {
      report.Start();
      Execute(connection, step.sql);
      report.Stop();
    }
    report.Print(rows);
  }
}

}  // namespace millrace
