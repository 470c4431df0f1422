// interop_tables.cc - the C++ half of the interoperation tests: writes tables for others, goes on
// with theirs.
//
//   interop_tables write <warehouse>            makes pk_* and append_* tables and
//   expected-<table>.json interop_tables read <table folder>          prints the rows, one JSON
//   array of texts per line interop_tables extend <table folder>        pypaimon's table (id
//   BIGINT, name STRING, ...): new rows,
//                                               updates, deletes, then a full compaction
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "duckdb/common/allocator.hpp"
#include "duckdb/main/database.hpp"
#include "table/table.h"

namespace millrace {

namespace {

using Json = nlohmann::json;

struct World {
  std::unique_ptr<FileSystem> files = MakeLocalFileSystem();
  std::unique_ptr<Clock> clock = MakeSystemClock();
  Random random;
  duckdb::DuckDB database{nullptr};
  TableContext context() { return {*files, *clock, random, *database.instance}; }
};

/// A column of the written tables and the text of its value in row `i` with salt `k`.
struct TestColumn {
  const char* name;
  const char* type;
  std::function<std::string(int64_t i, int64_t k)> text;
};

std::string Padded(int64_t number, int width) {
  return fmt::format("{:0{}}", number, width);
}

const std::vector<TestColumn>& Columns() {
  static const std::vector<TestColumn> columns = {
      {"id", "BIGINT", [](int64_t i, int64_t) { return std::to_string(i); }},
      {"dt", "DATE", [](int64_t i, int64_t) { return "2022-11-" + Padded(i % 3 + 1, 2); }},
      {"code", "STRING", [](int64_t i, int64_t) { return "key-" + Padded(i, 1 + i % 9); }},
      {"c_bool", "BOOLEAN", [](int64_t i, int64_t k) { return (i + k) % 2 ? "true" : "false"; }},
      {"c_tiny", "TINYINT",
       [](int64_t i, int64_t k) { return std::to_string((i + k) % 256 - 128); }},
      {"c_small", "SMALLINT", [](int64_t i, int64_t k) { return std::to_string(-(i + k) * 31); }},
      {"c_int", "INT", [](int64_t i, int64_t k) { return std::to_string((i - k) * 100003); }},
      {"c_float", "FLOAT",
       [](int64_t i, int64_t k) { return fmt::format("{:.2f}", i + k + 0.25); }},
      {"c_double", "DOUBLE",
       [](int64_t i, int64_t k) { return fmt::format("{:.2f}", -i * 7 - k - 0.5); }},
      {"c_dec9", "DECIMAL(9, 2)",
       [](int64_t i, int64_t k) { return fmt::format("{}.{:02}", i - 50, k); }},
      {"c_dec18", "DECIMAL(18, 4)",
       [](int64_t i, int64_t k) { return fmt::format("{}.00{:02}", i * 999, k); }},
      {"c_dec38", "DECIMAL(38, 10)",
       [](int64_t i, int64_t k) {
         return fmt::format("1234567890123456789{}.00000000{:02}", i, k);
       }},
      {"c_char", "CHAR(6)",
       [](int64_t i, int64_t k) { return fmt::format("c{}", (i + k) % 1000); }},
      {"c_varchar", "VARCHAR(40)",
       [](int64_t i, int64_t k) {
         return fmt::format("zażółć 中文 {} {} {}", i, k,
                            std::string(static_cast<size_t>(i % 9), 'x'));
       }},
      {"c_bytes", "BYTES", [](int64_t i, int64_t k) { return fmt::format("b{}-{}", i, k); }},
      {"c_date", "DATE",
       [](int64_t i, int64_t k) { return fmt::format("19{:02}-02-{:02}", i % 90 + 10, k + 1); }},
      {"c_time", "TIME(3)",
       [](int64_t i, int64_t k) {
         return fmt::format("{:02}:{:02}:07.{:03}", i % 24, k, i % 1000);
       }},
      {"c_ts3", "TIMESTAMP(3)",
       [](int64_t i, int64_t k) {
         return fmt::format("2022-11-22 {:02}:00:{:02}.{:03}", i % 24, k, i % 1000);
       }},
      {"c_ts6", "TIMESTAMP(6)",
       [](int64_t i, int64_t k) {
         return fmt::format("1955-01-{:02} 23:59:{:02}.{:06}", i % 28 + 1, k, i * 1001 % 1000000);
       }},
      {"c_ltz3", "TIMESTAMP_LTZ(3)",
       [](int64_t i, int64_t k) {
         return fmt::format("2030-06-{:02} 01:02:{:02}.{:03}", i % 28 + 1, k, i % 1000);
       }},
      {"c_ltz6", "TIMESTAMP_LTZ(6)",
       [](int64_t i, int64_t k) {
         return fmt::format("1969-12-{:02} 01:02:{:02}.{:06}", i % 28 + 1, k, i);
       }},
  };
  return columns;
}

bool IsNull(size_t column, int64_t i) {
  return column > 2 && (i + static_cast<int64_t>(column)) % 7 == 0;
}

Value MakeValue(size_t column, int64_t i, int64_t k) {
  LogicalType type = ParseDataType(Columns()[column].type).ToDuck();
  if (IsNull(column, i)) return Value(type);
  std::string text = Columns()[column].text(i, k);
  if (type.id() == LogicalTypeId::BLOB) return Value::BLOB_RAW(text);
  if (type.id() == LogicalTypeId::TIMESTAMP_TZ) {
    return Value(text)
        .DefaultCastAs(LogicalType::TIMESTAMP)
        .DefaultCastAs(LogicalType::TIMESTAMP_TZ);
  }
  return Value(text).DefaultCastAs(type);
}

/// Row number -> salt of its newest version; the model of a written table.
using Model = std::map<int64_t, int64_t>;

void WriteRows(TableWriter& writer, const std::vector<std::pair<RowKind, int64_t>>& rows,
               int64_t salt, Model& model) {
  duckdb::vector<LogicalType> types;
  for (const TestColumn& column : Columns()) types.push_back(ParseDataType(column.type).ToDuck());
  ChangeChunk chunk;
  chunk.Initialize(types);
  for (size_t n = 0; n < rows.size(); n++) {
    auto [kind, i] = rows[n];
    for (size_t c = 0; c < Columns().size(); c++)
      chunk.rows.SetValue(c, chunk.kinds.size(), MakeValue(c, i, salt));
    chunk.kinds.push_back(kind);
    if (IsAdd(kind)) {
      model[i] = salt;
    } else {
      model.erase(i);
    }
    if (chunk.kinds.size() < 500 && n + 1 < rows.size()) continue;
    chunk.rows.SetCardinality(chunk.kinds.size());
    writer.Write(chunk);
    chunk.Reset();
  }
}

std::vector<std::pair<RowKind, int64_t>> Rows(RowKind kind, int64_t from, int64_t to,
                                              int64_t step) {
  std::vector<std::pair<RowKind, int64_t>> rows;
  for (int64_t i = from; i < to; i += step) rows.emplace_back(kind, i);
  return rows;
}

/// Deletes the rows whose id is 3 more than a multiple of `step`, by their position.
void DeleteRows(const Table& table, int64_t step, int64_t identifier, Model& model) {
  int64_t at = table.LatestSnapshot()->id;
  ScanOptions options;
  options.snapshot_id = at;
  options.columns = {0};
  options.positions = true;
  auto deleter = table.NewRowDeleter(at);
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(),
                   {LogicalType::BIGINT, LogicalType::INTEGER, LogicalType::BIGINT});
  for (const Split& split : table.PlanScan(options)) {
    auto reader = table.ReadSplit(split, options);
    for (chunk.Reset(); reader->Next(chunk); chunk.Reset()) {
      for (idx_t i = 0; i < chunk.size(); i++) {
        int64_t id = chunk.GetValue(0, i).GetValue<int64_t>();
        if (id % step != 3) continue;
        auto file = static_cast<size_t>(chunk.GetValue(1, i).GetValue<int32_t>());
        deleter->Delete(split, split.files.at(file), {chunk.GetValue(2, i).GetValue<int64_t>()});
        model.erase(id);
      }
    }
  }
  Committable committable;
  deleter->PrepareCommit(committable);
  table.Commit(committable, "interop", identifier);
}

struct Recipe {
  std::string name;
  std::vector<std::string> key;
  bool partitioned;
  Options options;
  bool compact;
};

void WriteTable(World& world, const std::string& warehouse, const Recipe& recipe) {
  TableDefinition definition;
  definition.path = {"lake", "db", recipe.name};
  for (const TestColumn& column : Columns()) {
    ColumnDefinition made;
    made.name = column.name;
    made.type = ParseDataType(column.type);
    definition.columns.push_back(made);
  }
  definition.primary_key = recipe.key;
  if (recipe.partitioned) definition.partition_keys = {"dt"};
  definition.options = recipe.options;
  auto table = Table::Create(world.context(), warehouse + "/db.db/" + recipe.name, definition);
  auto writer = table->NewWriter("interop");
  Model model;
  int64_t identifier = 0;
  auto commit = [&] { table->Commit(writer->PrepareCommit(), "interop", ++identifier); };
  WriteRows(*writer, Rows(RowKind::kInsert, 0, 700, 1), 1, model);
  commit();
  if (!recipe.key.empty()) {
    WriteRows(*writer, Rows(RowKind::kUpdateAfter, 0, 700, 2), 2, model);
    commit();
    WriteRows(*writer, Rows(RowKind::kDelete, 0, 700, 5), 1, model);
    commit();
    if (recipe.compact) writer->CompactFully();
    WriteRows(*writer, Rows(RowKind::kInsert, 600, 800, 3), 3, model);
    commit();
  } else {
    WriteRows(*writer, Rows(RowKind::kInsert, 700, 900, 1), 4, model);
    commit();
    if (recipe.options.contains("deletion-vectors.enabled")) {
      for (int64_t step : {7, 10}) DeleteRows(*table, step, ++identifier, model);
    }
    if (recipe.compact) {
      table->Compact({.full = true}, "interop", ++identifier);
      WriteRows(*writer, Rows(RowKind::kInsert, 900, 1000, 1), 2, model);
      commit();
      DeleteRows(*table, 9, ++identifier, model);
    }
  }
  Json expected = Json::array();
  for (auto [i, salt] : model) {
    Json row = Json::array();
    for (size_t c = 0; c < Columns().size(); c++) {
      row.push_back(IsNull(c, i) ? Json() : Json(Columns()[c].text(i, salt)));
    }
    expected.push_back(row);
  }
  auto file = world.files->OpenForWrite(warehouse + "/expected-" + recipe.name + ".json");
  file->Append(expected.dump());
  file->Close();
}

void PrintRows(const Table& table) {
  ScanOptions options;
  for (idx_t i = 0; i < table.schema().fields.size(); i++) options.columns.push_back(i);
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), table.schema().DuckTypes());
  for (const Split& split : table.PlanScan(options)) {
    auto reader = table.ReadSplit(split, options);
    for (chunk.Reset(); reader->Next(chunk); chunk.Reset()) {
      for (idx_t i = 0; i < chunk.size(); i++) {
        Json row = Json::array();
        for (idx_t c = 0; c < chunk.ColumnCount(); c++) {
          Value value = chunk.GetValue(c, i);
          row.push_back(value.IsNull() ? Json() : Json(value.ToString()));
        }
        std::puts(row.dump().c_str());
      }
    }
  }
}

/// Ids 1000..1099 are new; of a primary-key table 0..49 are updated and 50..59 deleted as well.
void Extend(World& world, const std::string& folder) {
  auto table = Table::Open(world.context(), folder);
  auto writer = table->NewWriter("interop");
  ChangeChunk chunk;
  chunk.Initialize(table->schema().DuckTypes());
  auto add = [&](RowKind kind, int64_t id) {
    idx_t row = chunk.kinds.size();
    for (idx_t c = 0; c < table->schema().fields.size(); c++) {
      const DataField& field = table->schema().fields[c];
      Value value = field.name == "id" ? Value::BIGINT(id)
                    : field.name == "dt"
                        ? Value("d" + std::to_string(id % 2))
                        : Value(field.name == "name" ? "millrace-" + std::to_string(id)
                                                     : std::to_string(id % 100));
      chunk.rows.SetValue(c, row, value.DefaultCastAs(field.type.ToDuck()));
    }
    chunk.kinds.push_back(kind);
  };
  for (int64_t id = 1000; id < 1100; id++) add(RowKind::kInsert, id);
  if (table->HasPrimaryKey()) {
    for (int64_t id = 0; id < 50; id++) add(RowKind::kUpdateAfter, id);
    for (int64_t id = 50; id < 60; id++) add(RowKind::kDelete, id);
    writer->CompactFully();
  }
  chunk.rows.SetCardinality(chunk.kinds.size());
  writer->Write(chunk);
  auto id = table->Commit(writer->PrepareCommit(), "interop", kBatchCommitIdentifier);
  std::printf("committed snapshot %lld\n", static_cast<long long>(id.value_or(0)));
}

int Run(const std::string& command, const std::string& place) {
  World world;
  if (command == "write") {
    std::vector<Recipe> recipes = {
        {"pk_one", {"id"}, false, {{"bucket", "1"}}, true},
        {"pk_two", {"id"}, false, {{"bucket", "2"}, {"changelog-producer", "input"}}, false},
        {"pk_text", {"code"}, false, {{"bucket", "2"}}, true},
        {"pk_part", {"dt", "code", "id"}, true, {{"bucket", "2"}}, true},
        {"pk_dynamic", {"id"}, false, {{"dynamic-bucket.target-row-num", "100"}}, true},
        {"pk_dynamic_part",
         {"dt", "code"},
         true,
         {{"bucket", "-1"}, {"dynamic-bucket.target-row-num", "90"}},
         false},
        {"pk_vectors",
         {"id"},
         false,
         {{"bucket", "1"}, {"deletion-vectors.enabled", "true"}},
         false},
        {"pk_vectors_part",
         {"dt", "code", "id"},
         true,
         {{"bucket", "2"},
          {"changelog-producer", "lookup"},
          {"deletion-vectors.enabled", "true"}},
         false},
        {"append_any", {}, false, {}, false},
        {"append_deleted", {}, true, {{"deletion-vectors.enabled", "true"}}, false},
        {"append_deleted_two",
         {},
         false,
         {{"bucket", "2"}, {"bucket-key", "code"}, {"deletion-vectors.enabled", "true"}},
         false},
        {"append_compacted",
         {},
         true,
         {{"deletion-vectors.enabled", "true"}, {"file-index.bloom-filter.columns", "id"}},
         true},
        {"append_compacted_two",
         {},
         false,
         {{"bucket", "2"}, {"bucket-key", "code"}, {"deletion-vectors.enabled", "true"}},
         true},
        {"append_indexed",
         {},
         false,
         {{"file-index.bloom-filter.columns", "id,code,c_ts6"},
          {"file-index.bloom-filter.id.items", "100"},
          {"file-index.bitmap.columns", "c_date,c_char,c_ltz3"}},
         false},
        {"append_part", {}, true, {{"bucket", "2"}, {"bucket-key", "id"}}, false},
    };
    for (const Recipe& recipe : recipes) WriteTable(world, place, recipe);
  } else if (command == "read") {
    PrintRows(*Table::Open(world.context(), place));
  } else if (command == "extend") {
    Extend(world, place);
  } else {
    return 2;
  }
  return 0;
}

}  // namespace

}  // namespace millrace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    return millrace::Run(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", millrace::ErrorFrom(error).text().c_str());
    return 1;
  }
}
