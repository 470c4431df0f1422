// procedures_compact.cc - compact, compact_database.
#include <algorithm>
#include <regex>
#include <set>

#include "base/error.h"
#include "catalog/procedures.h"
#include "duckdb/common/string_util.hpp"
#include "lsm/run_file_writer.h"
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
  if (wanted.empty() && !idle) return request;
  request.partitions = [&table, wanted, idle](const RowBytes& partition) {
    if (idle && !idle->contains(partition)) return false;
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
  for (const char* argument : {"order_strategy", "order_by"}) {
    if (!call.Has(argument)) continue;
    Throw(ErrorCode::kUnsupported,
          "Calling sys.compact: '{}' is not supported; INSERT OVERWRITE the table with a sorted "
          "query",
          argument);
  }
  if (call.Has("where")) {
    Throw(ErrorCode::kUnsupported,
          "Calling sys.compact: 'where' is not supported; name the partitions: partitions => "
          "'dt=2024-01-31;dt=2024-02-01'");
  }
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
