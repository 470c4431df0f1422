// describe.cc - SHOW, DESCRIBE, SET, RESET, STOP JOB.
#include <algorithm>

#include "base/error.h"
#include "duckdb/main/query_result.hpp"
#include "session/sql_session.h"
#include "session/time_zone.h"
#include "sql/lexer.h"

namespace millrace {

namespace {

StatementResult Rows(std::vector<std::string> names,
                     const std::vector<std::vector<std::string>>& rows) {
  StatementResult result;
  result.kind = ResultKind::kRows;
  result.rows = MakeTextResult(std::move(names), rows);
  return result;
}

std::string Ticks(const std::string& name) {
  return "`" + duckdb::StringUtil::Replace(name, "`", "``") + "`";
}

std::string TickList(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + Ticks(name);
  return list;
}

// Expressions as the user wrote them. Earlier tables keep only what DuckDB reads.
const std::string& Written(const ColumnDefinition& column) {
  return column.computed_text.empty() ? *column.computed : column.computed_text;
}
const std::string& Written(const WatermarkDefinition& watermark) {
  return watermark.text.empty() ? watermark.expression : watermark.text;
}

// Other writers keep texts without quotes.
std::string DefaultText(const ColumnDefinition& column) {
  const std::string& text = *column.default_value;
  bool literal = text.starts_with("'") || column.type.root <= TypeRoot::kDecimal;
  return " DEFAULT " + (literal ? text : QuoteString(text));
}

std::string CreateTableText(const TableDefinition& definition) {
  std::vector<std::string> items;
  for (const ColumnDefinition& column : definition.columns) {
    std::string item = "  " + Ticks(column.name);
    item += column.computed ? " AS " + Written(column) : " " + column.type.ToString();
    if (column.default_value) item += DefaultText(column);
    if (column.metadata) item += " METADATA FROM " + QuoteString(*column.metadata);
    if (!column.comment.empty()) item += " COMMENT " + QuoteString(column.comment);
    items.push_back(item);
  }
  if (definition.watermark) {
    items.push_back("  WATERMARK FOR " + Ticks(definition.watermark->column) + " AS " +
                    Written(*definition.watermark));
  }
  if (!definition.primary_key.empty()) {
    items.push_back("  PRIMARY KEY (" + TickList(definition.primary_key) + ") NOT ENFORCED");
  }
  std::string text =
      fmt::format("CREATE {}TABLE {}.{}.{} (\n{}\n)", definition.temporary ? "TEMPORARY " : "",
                  Ticks(definition.path.catalog), Ticks(definition.path.database),
                  Ticks(definition.path.name), fmt::join(items, ",\n"));
  if (!definition.comment.empty()) text += "\nCOMMENT " + QuoteString(definition.comment);
  if (!definition.partition_keys.empty())
    text += "\nPARTITIONED BY (" + TickList(definition.partition_keys) + ")";
  std::vector<std::string> options;
  for (const auto& [key, value] : definition.options)
    options.push_back("  " + QuoteString(key) + " = " + QuoteString(value));
  if (!options.empty()) text += fmt::format("\nWITH (\n{}\n)", fmt::join(options, ",\n"));
  return text;
}

}  // namespace

bool MatchesLike(std::string_view text, std::string_view pattern) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '%') {
    return MatchesLike(text, pattern.substr(1)) ||
           (!text.empty() && MatchesLike(text.substr(1), pattern));
  }
  return !text.empty() && (pattern[0] == '_' || pattern[0] == text[0]) &&
         MatchesLike(text.substr(1), pattern.substr(1));
}

std::vector<std::vector<std::string>> SqlSession::ListNames(const Show& statement,
                                                            std::string* column) {
  std::vector<std::string> names;
  CatalogServices& services = engine_.services();
  std::string catalog = statement.name.size() > 1 ? statement.name[0] : catalog_;
  std::string database = statement.name.empty() ? database_ : statement.name.back();
  switch (statement.what) {
    case ShowWhat::kCatalogs:
      *column = "catalog name";
      for (const auto& [name, store] : services.stores) names.push_back(name);
      break;
    case ShowWhat::kDatabases:
      *column = "database name";
      names = engine_.Store(statement.name.empty() ? catalog_ : statement.name.back()).Databases();
      break;
    case ShowWhat::kTables:
      *column = "table name";
      names = engine_.Store(catalog).Tables(database);
      for (const auto& [path, table] : services.temporary.tables) {
        if (path.catalog == catalog && path.database == database) names.push_back(path.name);
      }
      [[fallthrough]];  // Flink lists views among the tables.
    default:
      if (statement.what == ShowWhat::kViews) *column = "view name";
      for (const std::string& view : engine_.Store(catalog).Views(database)) names.push_back(view);
      for (const auto& [path, view] : services.temporary.views) {
        if (path.catalog == catalog && path.database == database) names.push_back(path.name);
      }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::vector<std::vector<std::string>> rows;
  for (const std::string& name : names) {
    if (!statement.like || MatchesLike(name, *statement.like)) rows.push_back({name});
  }
  return rows;
}

StatementResult SqlSession::Run(const Show& statement) {
  switch (statement.what) {
    case ShowWhat::kCurrentCatalog:
      return Rows({"current catalog name"}, {{catalog_}});
    case ShowWhat::kCurrentDatabase:
      return Rows({"current database name"}, {{database_}});
    case ShowWhat::kJobs:
      return ShowJobs();
    case ShowWhat::kCheckpoints:
      return ShowCheckpoints(statement.name[0]);
    case ShowWhat::kProcedures:
      return ShowProcedures(statement);
    case ShowWhat::kTags:
      return ShowTags(statement);
    case ShowWhat::kCreateTable:
    case ShowWhat::kCreateView:
      return ShowCreate(statement);
    case ShowWhat::kFunctions: {
      auto connection = NewConnection();
      auto result =
          connection->Query("SELECT DISTINCT function_name FROM duckdb_functions() ORDER BY 1");
      if (result->HasError()) result->ThrowError();
      std::vector<std::vector<std::string>> rows;
      for (idx_t row = 0; row < result->RowCount(); row++) {
        std::string name = result->GetValue(0, row).ToString();
        if (!statement.like || MatchesLike(name, *statement.like)) rows.push_back({name});
      }
      return Rows({"function name"}, rows);
    }
    default: {
      std::string column;
      auto rows = ListNames(statement, &column);
      return Rows({column}, rows);
    }
  }
}

StatementResult SqlSession::ShowJobs() {
  std::vector<std::vector<std::string>> rows;
  auto connection = NewConnection();
  for (const JobRunner::Entry& entry : jobs_->Jobs()) {
    JobStatistics statistics = entry.job->Statistics();
    rows.push_back({entry.job->options().id, entry.job->options().name,
                    JobStateName(entry.job->State()), LocalTimeText(*connection, entry.started_ms),
                    std::to_string(statistics.rows_in), std::to_string(statistics.rows_out),
                    std::to_string(statistics.state_bytes)});
  }
  return Rows({"job id", "job name", "status", "start time", "rows in", "rows out", "state bytes"},
              rows);
}

StatementResult SqlSession::ShowCheckpoints(const std::string& job) {
  std::vector<std::vector<std::string>> rows;
  auto folder = folders_.Peek(jobs_->Find(job)->options().id);
  for (int64_t id : folder ? folder->Retained() : std::vector<int64_t>()) {
    std::string step;
    try {
      step = std::to_string(folder->Read(id).step);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kNotFound) continue;  // Forgotten since.
      step = "damaged";
    }
    rows.push_back({std::to_string(id), step, fmt::format("{}/checkpoint-{}", folder->path(), id)});
  }
  return Rows({"checkpoint", "step", "path"}, rows);
}

StatementResult SqlSession::ShowCreate(const Show& statement) {
  ObjectPath path = Resolve(statement.name);
  if (auto view = FindView(engine_.services(), path)) {
    return Rows(
        {"result"},
        {{fmt::format("CREATE {}VIEW {}.{}.{}{} AS\n{}", view->temporary ? "TEMPORARY " : "",
                      Ticks(path.catalog), Ticks(path.database), Ticks(path.name),
                      view->columns.empty() ? "" : " (" + TickList(view->columns) + ")",
                      view->original)}});
  }
  if (statement.what == ShowWhat::kCreateView) {
    Throw(ErrorCode::kNotFound, "There is no view '{}'; SHOW VIEWS lists them", path.ToString());
  }
  return Rows({"result"}, {{CreateTableText(*NeedTable(path))}});
}

StatementResult SqlSession::Run(const Describe& statement) {
  ObjectPath path = Resolve(statement.name);
  std::vector<std::vector<std::string>> rows;
  if (auto view = FindView(engine_.services(), path)) {
    duckdb::vector<std::string> names;
    duckdb::vector<LogicalType> types;
    BindQuery(view->duck_sql, &names, &types);
    for (idx_t i = 0; i < names.size(); i++) {
      rows.push_back({view->columns.empty() ? names[i] : view->columns[i],
                      DataTypeFromDuck(types[i]).ToString(), "TRUE", "", "", ""});
    }
    return Rows({"name", "type", "null", "key", "extras", "watermark"}, rows);
  }
  auto table = std::make_shared<TableDefinition>(*NeedTable(path));
  BindComputedColumns(*table);  // A lake table keeps their expressions, not their types.
  for (const ColumnDefinition& column : table->columns) {
    bool in_key = std::find(table->primary_key.begin(), table->primary_key.end(), column.name) !=
                  table->primary_key.end();
    bool is_time = table->watermark && table->watermark->column == column.name;
    rows.push_back({column.name, column.type.Nullable().ToString(),
                    column.type.nullable && !in_key ? "TRUE" : "FALSE",
                    in_key ? fmt::format("PRI({})", fmt::join(table->primary_key, ", ")) : "",
                    column.computed ? "AS " + Written(column) : "",
                    is_time ? Written(*table->watermark) : ""});
  }
  return Rows({"name", "type", "null", "key", "extras", "watermark"}, rows);
}

StatementResult SqlSession::Run(const Set& statement) {
  if (statement.key) {
    Settings before = settings_;
    if (*statement.key == kTimeZoneKey) engine_.SetTimeZone(statement.value);
    settings_.Set(*statement.key, statement.value);
    ApplyMemoryLimits(before);
    return {};
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& [key, value] : settings_.All()) rows.push_back({key, value});
  return Rows({"key", "value"}, rows);
}

StatementResult SqlSession::Run(const Reset& statement) {
  Settings before = settings_;
  if (statement.key) {
    settings_.Reset(*statement.key);
  } else {
    settings_.ResetAll();
  }
  engine_.SetTimeZone(settings_.Get(kTimeZoneKey));
  ApplyMemoryLimits(before);
  return {};
}

void SqlSession::ApplyMemoryLimits(const Settings& before) {
  try {
    if (settings_.MemoryLimit() != before.MemoryLimit()) {
      engine_.SetMemoryLimit(settings_.MemoryLimit());
    }
    engine_.LimitStateMemory(settings_.StateMemoryLimit());
  } catch (...) {
    settings_ = before;
    throw;
  }
}

StatementResult SqlSession::Run(const StopJob& statement) {
  std::shared_ptr<Job> job = jobs_->Find(statement.job);
  if (statement.drain) job->WaitUntilIdle();
  job->Cancel();
  job->Wait();
  if (auto failure = job->Failure()) throw *failure;
  StatementResult result;
  result.message =
      fmt::format("Job '{}' has stopped ({}).", statement.job, JobStateName(job->State()));
  return result;
}

}  // namespace millrace
