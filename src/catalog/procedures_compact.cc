// procedures_compact.cc - compact, compact_database.
#include <algorithm>
#include <regex>
#include <set>

#include "base/error.h"
#include "base/query_connection.h"
#include "catalog/procedures.h"
#include "duckdb/common/string_util.hpp"
#include "duckdb/main/materialized_query_result.hpp"
#include "duckdb/parser/keyword_helper.hpp"
#include "lsm/run_file_writer.h"
#include "meta/binary_row.h"
#include "table/partition_done.h"
#include "table/table_state.h"

namespace millrace {

namespace {

using enum ArgumentType;
using duckdb::StringUtil;

const std::pair<const char*, LogicalType> kResult = {"result", LogicalType::VARCHAR};

ProcedureRows Success() {
  return {{Value("Success")}};
}

/// Partitions whose newest file is older than `idle_ms`.
std::set<RowBytes> IdlePartitions(const TableState& table, int64_t idle_ms) {
  std::map<RowBytes, int64_t> newest;
  if (auto latest = table.snapshots.Latest()) {
    for (const ManifestEntry& entry : table.manifests.LiveEntries(*latest)) {
      int64_t& time = newest[entry.partition];
      time = std::max(time, entry.file.creation_time_ms.value_or(0));
    }
  }
  std::set<RowBytes> idle;
  for (const auto& [partition, time] : newest) {
    if (time < LocalWallClockMs(table.context.clock) - idle_ms) idle.insert(partition);
  }
  return idle;
}

/// Partitions of the table that a condition of SQL holds for.
std::set<RowBytes> PartitionsWhere(const TableState& table, const std::string& condition) {
  std::set<RowBytes> found;
  auto latest = table.snapshots.Latest();
  if (!latest) return found;
  std::set<RowBytes> partitions;
  for (const ManifestEntry& entry : table.manifests.LiveEntries(*latest)) {
    partitions.insert(entry.partition);
  }
  QueryConnection connection(table.context.database);
  for (const RowBytes& partition : partitions) {
    std::vector<Value> values = DecodeRow(PartitionTypes(table.schema), partition);
    std::string columns = "NULL";
    for (idx_t i = 0; i < values.size(); i++) {
      columns +=
          fmt::format(", {} AS {}", values[i].ToSQLString(),
                      duckdb::KeywordHelper::WriteQuoted(table.schema.partition_keys[i], '"'));
    }
    auto result =
        connection.Query("SELECT (" + condition + ") IS TRUE FROM (SELECT " + columns + ")");
    if (result->HasError()) {
      Throw(ErrorCode::kInvalid,
            "Argument 'where' = '{}': it is a condition on the partition columns ({}): {}",
            condition, fmt::join(table.schema.partition_keys, ", "),
            result->GetErrorObject().RawMessage());
    }
    if (result->GetValue(0, 0).GetValue<bool>()) found.insert(partition);
  }
  return found;
}

/// The columns that rows are to be sorted by.
std::vector<idx_t> OrderOf(const ProcedureCall& call, const TableState& table) {
  std::string strategy = StringUtil::Lower(call.Text("order_strategy", "none"));
  if (strategy == "zorder" || strategy == "hilbert") {
    Throw(ErrorCode::kUnsupported, "Argument 'order_strategy' = '{}': only 'order' is supported",
          strategy);
  }
  if (strategy != "order" && strategy != "none") {
    Throw(ErrorCode::kInvalid, "Argument 'order_strategy' = '{}': it is 'order' or 'none'",
          strategy);
  }
  if ((strategy == "order") != call.Has("order_by")) {
    Throw(ErrorCode::kInvalid,
          "Arguments 'order_strategy' => 'order' and 'order_by' => 'column, ...' go together");
  }
  std::vector<idx_t> columns;
  for (std::string& name : StringUtil::Split(call.Text("order_by"), ',')) {
    StringUtil::Trim(name);
    std::optional<idx_t> column = table.schema.FindField(name);
    if (!column) {
      Throw(ErrorCode::kNotFound, "Argument 'order_by': the table has no column '{}'; it has {}",
            name, fmt::join(table.schema.Names(), ", "));
    }
    columns.push_back(*column);
  }
  return columns;
}

CompactRequest RequestOf(const ProcedureCall& call, const TableState& table) {
  CompactRequest request;
  std::string strategy = StringUtil::Lower(call.Text("compact_strategy", "full"));
  if (strategy != "full" && strategy != "minor") {
    Throw(ErrorCode::kInvalid, "Argument 'compact_strategy' = '{}': it is 'full' or 'minor'",
          strategy);
  }
  request.full = strategy == "full";
  std::vector<std::vector<std::optional<Value>>> wanted;
  if (call.Has("partitions")) {
    for (const std::string& spec : StringUtil::Split(call.Text("partitions"), ';')) {
      wanted.push_back(ParsePartitionValues(table, spec));
    }
  }
  std::optional<std::set<RowBytes>> idle;
  if (auto idle_ms = call.Duration("partition_idle_time")) idle = IdlePartitions(table, *idle_ms);
  request.order_by = OrderOf(call, table);
  if (call.Has("where") && !wanted.empty()) {
    Throw(ErrorCode::kInvalid, "Arguments 'partitions' and 'where' exclude each other");
  }
  std::optional<std::set<RowBytes>> found;
  if (call.Has("where")) found = PartitionsWhere(table, call.Text("where"));
  if (wanted.empty() && !idle && !found) return request;
  request.partitions = [&table, wanted, idle, found](const RowBytes& partition) {
    if (idle && !idle->contains(partition)) return false;
    if (found && !found->contains(partition)) return false;
    return wanted.empty() || std::any_of(wanted.begin(), wanted.end(), [&](const auto& values) {
             return PartitionMatches(table, values, partition);
           });
  };
  return request;
}

void CompactOne(const ProcedureCall& call, const Table& table) {
  table.Compact(RequestOf(call, table.state()), table.context().random.Uuid(),
                kBatchCommitIdentifier);
}

ProcedureRows RunCompact(const ProcedureCall& call) {
  CompactOne(call, *call.OpenTable());
  return Success();
}

bool Matches(const ProcedureCall& call, const char* argument, const std::string& text,
             bool without) {
  if (!call.Has(argument)) return without;
  try {
    return std::regex_match(text, std::regex(call.Text(argument)));
  } catch (const std::regex_error& error) {
    Throw(ErrorCode::kInvalid, "Argument '{}' = '{}' is no regular expression: {}", argument,
          call.Text(argument), error.what());
  }
}

/// Every table of the databases wanted.
ProcedureRows RunCompactDatabase(const ProcedureCall& call) {
  int64_t compacted = 0;
  for (const std::string& database : call.store.Databases()) {
    if (!Matches(call, "including_databases", database, true)) continue;
    for (const std::string& name : call.store.Tables(database)) {
      std::string full = database + "." + name;
      if (!Matches(call, "including_tables", full, true) ||
          Matches(call, "excluding_tables", full, false)) {
        continue;
      }
      ProcedureCall one = call;
      one.arguments["table"] = Value(full);
      if (call.Has("table_options")) one.arguments["options"] = call.arguments.at("table_options");
      CompactOne(one, *one.OpenTable());
      compacted++;
    }
  }
  return {{Value(fmt::format("Success: {} tables", compacted))}};
}

}  // namespace

const std::vector<Procedure>& CompactProcedures() {
  static const std::vector<Procedure> procedures = {{"compact",
                                                     {{"table", kText, true},
                                                      {"partitions", kText, false},
                                                      {"order_strategy", kText, false},
                                                      {"order_by", kText, false},
                                                      {"options", kText, false},
                                                      {"where", kText, false},
                                                      {"partition_idle_time", kText, false},
                                                      {"compact_strategy", kText, false}},
                                                     {kResult},
                                                     RunCompact},
                                                    {"compact_database",
                                                     {{"including_databases", kText, false},
                                                      {"mode", kText, false},
                                                      {"including_tables", kText, false},
                                                      {"excluding_tables", kText, false},
                                                      {"table_options", kText, false},
                                                      {"partition_idle_time", kText, false},
                                                      {"compact_strategy", kText, false}},
                                                     {kResult},
                                                     RunCompactDatabase}};
  return procedures;
}

}  // namespace millrace
