// peer.cc - Millrace's table library behind the protocol of the interoperation tests.
//
//   interop_peer <warehouse>
//
// A line of JSON in, a line of JSON out: {"do": ..., "table": ...} -> {"result": ...} or
// {"error": ...}. java/interop/Peer.java speaks the same; interop_java.py compares the two.
#include <algorithm>
#include <cstdio>
#include <iostream>

#include "base/error.h"
#include "cells.h"
#include "duckdb/common/allocator.hpp"
#include "duckdb/main/database.hpp"
#include "meta/binary_row.h"
#include "table/alter_table.h"
#include "table/table.h"

namespace millrace {

namespace {

using Json = nlohmann::json;

class Peer {
 public:
  explicit Peer(std::string warehouse) : warehouse_(std::move(warehouse)) {}

  Json Answer(const Json& request) {
    std::string what = request.at("do");
    if (what == "create") return Create(request);
    if (what == "alter") return Alter(request);
    if (what == "write") return Write(request);
    if (what == "compact") return Compact(request);
    if (what == "delete") return Delete(request);
    if (what == "read") return Read(request);
    if (what == "changes") return Changes(request);
    if (what == "hash") return Hash(request);
    Throw(ErrorCode::kInvalid, "No such request: {}", what);
  }

 private:
  TableContext Context() { return {*files_, *clock_, random_, *database_.instance}; }
  std::string Folder(const Json& request) const {
    return warehouse_ + "/db.db/" + request.at("table").get<std::string>();
  }
  std::shared_ptr<const Table> Open(const Json& request) {
    Options dynamic;
    if (request.contains("dynamic")) dynamic = request.at("dynamic").get<Options>();
    return Table::Open(Context(), Folder(request), dynamic);
  }

  Json Create(const Json& request);
  Json Alter(const Json& request);
  Json Write(const Json& request);
  Json Compact(const Json& request);
  Json Delete(const Json& request);
  Json Read(const Json& request);
  Json Changes(const Json& request);
  Json Hash(const Json& request);

  std::string warehouse_;
  std::unique_ptr<FileSystem> files_ = MakeLocalFileSystem();
  std::unique_ptr<Clock> clock_ = MakeSystemClock();
  Random random_;
  duckdb::DuckDB database_{nullptr};
};

/// Fields in the JSON form of a schema file.
std::vector<DataField> FieldsOf(const Json& fields) {
  Json schema = {{"version", 3},
                 {"id", 0},
                 {"fields", fields},
                 {"highestFieldId", 0},
                 {"partitionKeys", Json::array()},
                 {"primaryKeys", Json::array()},
                 {"options", Json::object()},
                 {"timeMillis", 0}};
  return SchemaFromJson(schema.dump(), "the request").fields;
}

RowKind KindNamed(const std::string& name) {
  for (RowKind kind : {RowKind::kInsert, RowKind::kUpdateBefore, RowKind::kUpdateAfter}) {
    if (name == RowKindName(kind)) return kind;
  }
  return RowKind::kDelete;
}

Json Peer::Create(const Json& request) {
  TableDefinition definition;
  definition.path = {"lake", "db", request.at("table")};
  for (const DataField& field : FieldsOf(request.at("fields"))) {
    ColumnDefinition column;
    column.name = field.name;
    column.type = field.type;
    definition.columns.push_back(std::move(column));
  }
  definition.primary_key = request.at("primaryKeys").get<std::vector<std::string>>();
  definition.partition_keys = request.at("partitionKeys").get<std::vector<std::string>>();
  definition.options = request.at("options").get<Options>();
  Table::Create(Context(), Folder(request), definition);
  return Json::object();
}

/// "add", "drop", "rename" or "widen" one column.
Json Peer::Alter(const Json& request) {
  std::string what = request.at("change"), column = request.at("column");
  DataType type;
  if (request.contains("type")) {
    type = FieldsOf({{{"id", 0}, {"name", column}, {"type", request.at("type")}}}).at(0).type;
  }
  SchemaChange change = DropColumn{{column}};
  if (what == "add") change = AddColumn{{column}, type};
  if (what == "rename") change = RenameColumn{{column}, request.at("name")};
  if (what == "widen") change = ChangeColumnType{{column}, type};
  AlterTableSchema(Context(), Folder(request), request.at("table"),
                   [&](const TableSchema&) { return std::vector<SchemaChange>{change}; });
  return Json::object();
}

Json Peer::Write(const Json& request) {
  auto table = Open(request);
  const std::vector<DataField>& fields = table->schema().fields;
  std::string user = request.at("user");
  auto writer = table->NewWriter(user);
  ChangeChunk chunk;
  chunk.Initialize(table->schema().DuckTypes());
  const Json& rows = request.at("rows");
  for (size_t i = 0; i < rows.size(); i++) {
    for (idx_t c = 0; c < fields.size(); c++) {
      chunk.rows.SetValue(c, chunk.kinds.size(), CellFromJson(rows[i].at(c + 1), fields[c].type));
    }
    chunk.kinds.push_back(KindNamed(rows[i].at(0)));
    if (chunk.kinds.size() < STANDARD_VECTOR_SIZE && i + 1 < rows.size()) continue;
    chunk.rows.SetCardinality(chunk.kinds.size());
    writer->Write(chunk);
    chunk.Reset();
  }
  table->Commit(writer->PrepareCommit(), user, request.at("identifier"));
  return Json::object();
}

Json Peer::Compact(const Json& request) {
  auto table = Open(request);
  std::string user = request.at("user");
  if (!table->HasPrimaryKey()) {
    table->Compact({.full = true}, user, request.at("identifier"));
    return Json::object();
  }
  auto writer = table->NewWriter(user);
  writer->CompactFully();
  table->Commit(writer->PrepareCommit(), user, request.at("identifier"));
  return Json::object();
}

/// Of an append-only table every n-th row, by its position; how many these are.
Json Peer::Delete(const Json& request) {
  auto table = Open(request);
  int64_t every = request.at("every"), seen = 0;
  ScanOptions options;
  options.snapshot_id = table->LatestSnapshot()->id;
  options.positions = true;
  auto deleter = table->NewRowDeleter(*options.snapshot_id);
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(),
                   {LogicalType::INTEGER, LogicalType::BIGINT});
  for (const Split& split : table->PlanScan(options)) {
    auto reader = table->ReadSplit(split, options);
    for (chunk.Reset(); reader->Next(chunk); chunk.Reset()) {
      for (idx_t i = 0; i < chunk.size(); i++) {
        if (++seen % every != 0) continue;
        auto file = static_cast<size_t>(chunk.GetValue(0, i).GetValue<int32_t>());
        deleter->Delete(split, split.files.at(file), {chunk.GetValue(1, i).GetValue<int64_t>()});
      }
    }
  }
  int64_t deleted = deleter->DeletedRows();
  Committable committable;
  deleter->PrepareCommit(committable);
  table->Commit(committable, request.at("user"), request.at("identifier"));
  return deleted;
}

Json RowToJson(DataChunk& rows, idx_t row, RowKind kind, const std::vector<DataField>& fields) {
  Json json = Json::array({RowKindName(kind)});
  for (idx_t c = 0; c < fields.size(); c++) {
    json.push_back(CellToJson(rows.GetValue(c, row), fields[c].type));
  }
  return json;
}

Json Peer::Read(const Json& request) {
  auto table = Open(request);
  const TableSchema& schema = table->schema();
  ScanOptions options;
  for (idx_t i = 0; i < schema.fields.size(); i++) options.columns.push_back(i);
  std::optional<idx_t> filtered;
  if (request.contains("equal")) {
    filtered = schema.FindField(request.at("equal").at(0));
    Value value = CellFromJson(request.at("equal").at(1), schema.fields[*filtered].type);
    options.predicates.push_back({*filtered, ColumnPredicate::Op::kEqual, value});
  }
  Json found = Json::array();
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), schema.DuckTypes());
  for (const Split& split : table->PlanScan(options)) {
    auto reader = table->ReadSplit(split, options);
    for (chunk.Reset(); reader->Next(chunk); chunk.Reset()) {
      for (idx_t i = 0; i < chunk.size(); i++) {
        Json row = RowToJson(chunk, i, RowKind::kInsert, schema.fields);
        if (filtered && row.at(*filtered + 1) != request.at("equal").at(1)) continue;
        found.push_back(std::move(row));
      }
    }
  }
  return found;
}

Json Peer::Changes(const Json& request) {
  auto table = Open(request);
  const TableSchema& schema = table->schema();
  std::vector<idx_t> columns(schema.fields.size());
  for (idx_t i = 0; i < columns.size(); i++) columns[i] = i;
  Json changes = Json::object();
  for (int64_t id = table->EarliestSnapshotId().value_or(1);; id++) {
    std::optional<SnapshotChanges> planned = table->PlanChanges(id);
    if (!planned) return changes;
    for (const Split& split : planned->splits) {
      table->ReadChanges({split}, columns, [&](ChangeChunk& chunk) {
        for (idx_t i = 0; i < chunk.size(); i++) {
          changes[std::to_string(id)].push_back(
              RowToJson(chunk.rows, i, chunk.KindOf(i), schema.fields));
        }
      });
    }
  }
}

Json Peer::Hash(const Json& request) {
  Json fields = Json::array();
  for (const Json& type : request.at("types")) {
    std::string name = "f" + std::to_string(fields.size());
    fields.push_back({{"id", fields.size()}, {"name", name}, {"type", type}});
  }
  std::vector<DataType> types;
  duckdb::vector<LogicalType> duck_types;
  std::vector<idx_t> columns;
  for (const DataField& field : FieldsOf(fields)) {
    columns.push_back(types.size());
    types.push_back(field.type);
    duck_types.push_back(field.type.ToDuck());
  }
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), duck_types);
  const Json& rows = request.at("rows");
  for (idx_t i = 0; i < rows.size(); i++) {
    for (idx_t c = 0; c < types.size(); c++) {
      chunk.SetValue(c, i, CellFromJson(rows[i].at(c), types[c]));
    }
  }
  chunk.SetCardinality(rows.size());
  std::vector<int32_t> hashes;
  HashRows(types, chunk, columns, hashes);
  return hashes;
}

int Serve(const std::string& warehouse) {
  Peer peer(warehouse);
  for (std::string line; std::getline(std::cin, line);) {
    Json answer;
    try {
      answer["result"] = peer.Answer(Json::parse(line));
    } catch (const std::exception& error) {
      answer = {{"error", ErrorFrom(error).text()}};
    }
    std::puts(answer.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

}  // namespace millrace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  return millrace::Serve(argv[1]);
}
