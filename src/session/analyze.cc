// analyze.cc - ANALYZE TABLE: DuckDB works out the statistics of one state, the store keeps them.
#include <algorithm>

#include "base/error.h"
#include "meta/binary_row.h"
#include "session/sql_session.h"
#include "sql/lexer.h"
#include "table/statistics.h"

namespace millrace {

namespace {

/// The width of a value in Spark's and Flink's reckoning; 0: it varies.
int64_t FixedBytes(const DataType& type) {
  switch (type.root) {
    case TypeRoot::kBoolean:
    case TypeRoot::kTinyInt:
      return 1;
    case TypeRoot::kSmallInt:
      return 2;
    case TypeRoot::kInt:
    case TypeRoot::kFloat:
    case TypeRoot::kDate:
    case TypeRoot::kTime:
      return 4;
    case TypeRoot::kDecimal:
      return type.length <= 18 ? 8 : 16;
    case TypeRoot::kChar:
    case TypeRoot::kVarChar:
    case TypeRoot::kBinary:
    case TypeRoot::kVarBinary:
      return 0;
    default:
      return 8;
  }
}

bool IsNested(const DataType& type) {
  return type.root >= TypeRoot::kArray;
}

std::vector<DataField> ChosenFields(const Table& table, const Analyze& statement) {
  std::vector<DataField> chosen;
  for (const DataField& field : table.schema().fields) {
    if (statement.all_columns && !IsNested(field.type)) chosen.push_back(field);
  }
  for (const std::string& name : statement.columns) {
    auto column = table.schema().FindField(name);
    if (!column) {
      std::vector<std::string> known;
      for (const DataField& field : table.schema().fields) known.push_back(field.name);
      Throw(ErrorCode::kNotFound, "Analyzing '{}': it has no column '{}'{}",
            FileName(table.folder()), name, DidYouMean(name, known));
    }
    const DataField& field = table.schema().fields[*column];
    if (IsNested(field.type)) {
      Throw(ErrorCode::kUnsupported,
            "Analyzing '{}': column '{}' is {}, of which there are no "
            "statistics",
            FileName(table.folder()), name, field.type.ToString());
    }
    chosen.push_back(field);
  }
  return chosen;
}

/// Expressions of one column, in the order in which TakeColumn reads them.
std::string ColumnExpressions(const DataField& field) {
  std::string name = QuoteName(field.name);
  std::string text = fmt::format(", COUNT(DISTINCT {0}), COUNT(*) - COUNT({0})", name);
  if (FixedBytes(field.type) > 0) return text + fmt::format(", MIN({0}), MAX({0})", name);
  bool is_text = field.type.root == TypeRoot::kChar || field.type.root == TypeRoot::kVarChar;
  std::string bytes =
      is_text ? fmt::format("strlen({})", name) : fmt::format("octet_length({})", name);
  return text + fmt::format(", CAST(round(AVG({0})) AS BIGINT), CAST(MAX({0}) AS BIGINT)", bytes);
}

std::optional<int64_t> LongOf(const Value& value) {
  return value.IsNull() ? std::nullopt : std::optional(value.GetValue<int64_t>());
}

ColumnStatistics TakeColumn(const DataField& field, DataChunk& row, idx_t first) {
  ColumnStatistics column;
  column.column_id = field.id;
  column.distinct_count = LongOf(row.GetValue(first, 0));
  column.null_count = LongOf(row.GetValue(first + 1, 0));
  Value third = row.GetValue(first + 2, 0), fourth = row.GetValue(first + 3, 0);
  if (int64_t bytes = FixedBytes(field.type)) {
    column.average_bytes = column.greatest_bytes = bytes;
    if (!third.IsNull()) column.least = ValueText(field.type, third, true);
    if (!fourth.IsNull()) column.greatest = ValueText(field.type, fourth, true);
  } else {
    column.average_bytes = LongOf(third);
    column.greatest_bytes = LongOf(fourth);
  }
  return column;
}

}  // namespace

StatementResult SqlSession::Run(const Analyze& statement) {
  std::shared_ptr<const Table> table = NeedLakeTable(statement.name, "Analyzing");
  std::vector<DataField> fields = ChosenFields(*table, statement);
  std::optional<Snapshot> snapshot = table->LatestSnapshot();
  if (!snapshot) return {};
  ObjectPath path = Resolve(statement.name);
  std::string sql = "SELECT COUNT(*)";
  for (const DataField& field : fields) sql += ColumnExpressions(field);
  std::string name =
      fmt::format("{}$options{{\"scan.snapshot-id\":\"{}\"}}", path.name, snapshot->id);
  sql += fmt::format(" FROM {}.{}.{}", QuoteName(path.catalog), QuoteName(path.database),
                     QuoteName(name));
  std::shared_ptr<duckdb::Connection> connection = engine_.NewConnection(catalog_, database_, true);
  {
    std::lock_guard lock(running_mutex_);
    running_query_ = connection;
  }
  auto result = connection->Query(sql);
  if (result->HasError()) result->ThrowError();
  auto row = result->Fetch();
  TableStatistics statistics;
  statistics.snapshot_id = snapshot->id;
  statistics.schema_id = snapshot->schema_id;
  statistics.row_count = LongOf(row->GetValue(0, 0));
  double bytes = 0, rows_in_files = 0;
  for (const ManifestEntry& entry : table->state().manifests.LiveEntries(*snapshot)) {
    bytes += static_cast<double>(entry.file.file_size);
    rows_in_files += static_cast<double>(entry.file.row_count);
  }
  // Rows that newer ones hide count in the files, not in the table.
  double share = rows_in_files > 0 ? static_cast<double>(*statistics.row_count) / rows_in_files : 0;
  statistics.bytes = static_cast<int64_t>(bytes * share);
  for (idx_t i = 0; i < fields.size(); i++) {
    statistics.columns[fields[i].name] = TakeColumn(fields[i], *row, 1 + 4 * i);
  }
  CommitStatistics(table->state(), statistics);
  return {};
}

}  // namespace millrace
