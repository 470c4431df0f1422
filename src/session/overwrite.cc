// overwrite.cc - statements that replace whole partitions: INSERT OVERWRITE, TRUNCATE TABLE, ALTER
// TABLE .. DROP PARTITION.
#include <algorithm>

#include "base/error.h"
#include "duckdb/main/query_result.hpp"
#include "meta/duck_type_name.h"
#include "meta/options.h"
#include "session/sql_session.h"
#include "stream/lake_source.h"

namespace millrace {

namespace {

/// Overwriting works on lake tables, and not where readers follow a log of changes.
void CheckCanOverwrite(const TableDefinition& definition, const std::string& doing) {
  if (!definition.Connector().empty()) {
    Throw(ErrorCode::kUnsupported,
          "{}: only lake tables can be overwritten, this one is of connector '{}'", doing,
          definition.Connector());
  }
  if (GetString(definition.options, "log.system", "") == "local") {
    Throw(
        ErrorCode::kUnsupported,
        "{}: its readers follow its log ('log.system' = 'local'), which cannot tell that rows were "
        "replaced; DELETE FROM it instead",
        doing);
  }
}

}  // namespace

std::map<std::string, Value> SqlSession::PartitionValuesOf(const TableDefinition& definition,
                                                           const PartitionText& texts,
                                                           const std::string& doing) {
  std::map<std::string, Value> values;
  for (const auto& [name, text] : texts) {
    auto key =
        std::find_if(definition.partition_keys.begin(), definition.partition_keys.end(),
                     [&](const std::string& k) { return duckdb::StringUtil::CIEquals(k, name); });
    if (key == definition.partition_keys.end()) {
      Throw(ErrorCode::kInvalid, "{}: '{}' is no partition column{}", doing, name,
            definition.partition_keys.empty() ? "; the table is not partitioned"
                                              : DidYouMean(name, definition.partition_keys));
    }
    const DataType& type = definition.columns[*definition.FindColumn(*key)].type;
    auto result = NewConnection()->Query("SELECT CAST(" + text + " AS " + DuckTypeName(type) + ")");
    if (result->HasError() || result->RowCount() != 1) {
      Throw(ErrorCode::kInvalid, "{}: {} is no value of partition column '{}' ({})", doing, text,
            *key, type.ToString());
    }
    values[*key] = result->GetValue(0, 0);
  }
  return values;
}

OverwriteScope SqlSession::OverwriteScopeOf(const Insert& insert,
                                            const TableDefinition& definition) {
  std::string doing = fmt::format("INSERT OVERWRITE into '{}'", definition.path.ToString());
  CheckCanOverwrite(definition, doing);
  if (settings_.Streaming()) {
    Throw(ErrorCode::kUnsupported,
          "{}: a stream has no end at which rows could be replaced; SET 'execution.runtime-mode' = "
          "'batch' first",
          doing);
  }
  OverwriteScope scope;
  scope.dynamic = !definition.partition_keys.empty() &&
                  GetBool(definition.options, "dynamic-partition-overwrite", true);
  if (insert.static_partition.empty()) return scope;
  auto values = PartitionValuesOf(definition, insert.static_partition, doing);
  TableSchema schema = OpenLakeTable(engine_.table_context(), definition)->schema();
  scope.partitions.push_back(MakePartitionSpec(schema, values, doing));
  return scope;
}

void SqlSession::Overwrite(const TableDefinition& definition, OverwriteScope scope) {
  auto table = OpenLakeTable(engine_.table_context(), definition);
  Committable committable;
  committable.overwrite = std::move(scope);
  table->Commit(committable, engine_.environment().random.Uuid(), kBatchCommitIdentifier);
}

StatementResult SqlSession::Run(const TruncateTable& statement) {
  std::shared_ptr<const TableDefinition> definition = NeedTable(Resolve(statement.name));
  CheckCanOverwrite(*definition, fmt::format("Truncating table '{}'", definition->path.ToString()));
  Overwrite(*definition, {});
  return {};
}

void SqlSession::DropPartitions(const TableDefinition& definition, const AlterTable& statement) {
  std::string doing = fmt::format("Dropping partitions of table '{}'", definition.path.ToString());
  CheckCanOverwrite(definition, doing);
  auto table = OpenLakeTable(engine_.table_context(), definition);
  std::set<RowBytes> live;
  if (!statement.drop_partitions_if_exist) {
    for (const Split& split : table->PlanScan({})) live.insert(split.partition);
  }
  OverwriteScope scope;
  for (const PartitionText& texts : statement.drop_partitions) {
    PartitionSpec spec =
        MakePartitionSpec(table->schema(), PartitionValuesOf(definition, texts, doing), doing);
    PartitionMatcher matcher(table->schema(), {spec});
    bool found = std::any_of(live.begin(), live.end(),
                             [&](const RowBytes& partition) { return matcher.Matches(partition); });
    if (!found && !statement.drop_partitions_if_exist) {
      std::vector<std::string> items;
      for (const auto& [key, value] : texts) items.push_back(key + " = " + value);
      Throw(ErrorCode::kNotFound,
            "{}: there is no partition ({}); DROP IF EXISTS PARTITION does "
            "not mind",
            doing, fmt::join(items, ", "));
    }
    scope.partitions.push_back(std::move(spec));
  }
  Overwrite(definition, std::move(scope));
}

}  // namespace millrace
