// procedures_partitions.cc - expire_partitions, drop_partition, mark_partition_done.
#include "base/error.h"
#include "catalog/procedures.h"
#include "duckdb/common/string_util.hpp"
#include "meta/options.h"
#include "table/partition_done.h"
#include "table/partition_expire.h"
#include "table/partition_time.h"

namespace millrace {

namespace {

using enum ArgumentType;

ProcedureRows RunExpirePartitions(const ProcedureCall& call) {
  Options options;
  for (auto [argument, option] : {std::pair{"expiration_time", "partition.expiration-time"},
                                  {"timestamp_formatter", "partition.timestamp-formatter"},
                                  {"timestamp_pattern", "partition.timestamp-pattern"},
                                  {"expire_strategy", "partition.expiration-strategy"}}) {
    if (call.Has(argument)) options[option] = call.Text(argument);
  }
  if (auto most = call.Long("max_expires")) {
    options["partition.expiration-max-num"] = std::to_string(*most);
  }
  auto table = call.OpenTable(options);
  ProcedureRows rows;
  for (const RowBytes& partition : ExpirePartitions(table->state())) {
    rows.push_back({Value(PartitionText(table->state(), partition))});
  }
  if (rows.empty()) rows.push_back({Value("No expired partitions.")});
  return rows;
}

ProcedureRows RunDropPartition(const ProcedureCall& call) {
  auto table = call.OpenTable();
  const TableState& state = table->state();
  if (GetString(state.options, "log.system", "") == "local") {
    Throw(
        ErrorCode::kUnsupported,
        "Cannot drop partitions of table {}: its readers follow its log ('log.system' = 'local'), "
        "which cannot tell that rows have gone; DELETE FROM it instead",
        state.folder);
  }
  const std::vector<std::string>& keys = state.schema.partition_keys;
  Committable committable;
  committable.overwrite.emplace();
  for (const std::string& text : duckdb::StringUtil::Split(call.Text("partitions"), ';')) {
    std::vector<std::optional<Value>> values = ParsePartitionValues(state, text);
    std::map<std::string, Value> named;
    for (idx_t i = 0; i < keys.size(); i++) {
      if (values[i]) named[keys[i]] = *values[i];
    }
    committable.overwrite->partitions.push_back(
        MakePartitionSpec(state.schema, named, fmt::format("Dropping '{}'", text)));
  }
  // An empty scope would be the whole table.
  if (committable.overwrite->partitions.empty()) {
    Throw(ErrorCode::kInvalid, "Calling sys.drop_partition: give a partition, as 'dt=2024-01-31'");
  }
  table->Commit(committable, call.context.random.Uuid(), kBatchCommitIdentifier);
  return {{Value("Success")}};
}

ProcedureRows RunMarkDone(const ProcedureCall& call) {
  auto table = call.OpenTable();
  for (const std::string& text : duckdb::StringUtil::Split(call.Text("partitions"), ';')) {
    MarkPartitionDone(table->state(), ParsePartitionSpec(table->state(), text));
  }
  return {{Value("Success")}};
}

}  // namespace

const std::vector<Procedure>& PartitionProcedures() {
  static const std::pair<const char*, LogicalType> kResult = {"result", LogicalType::VARCHAR};
  static const std::vector<Procedure> procedures = {
      {"expire_partitions",
       {{"table", kText, true},
        {"expiration_time", kText, false},
        {"timestamp_formatter", kText, false},
        {"timestamp_pattern", kText, false},
        {"expire_strategy", kText, false},
        {"max_expires", kLong, false},
        {"options", kText, false}},
       {{"expired_partitions", LogicalType::VARCHAR}},
       RunExpirePartitions},
      {"drop_partition",
       {{"table", kText, true}, {"partitions", kText, true}},
       {kResult},
       RunDropPartition,
       true},
      {"mark_partition_done",
       {{"table", kText, true}, {"partitions", kText, true}},
       {kResult},
       RunMarkDone}};
  return procedures;
}

}  // namespace millrace
