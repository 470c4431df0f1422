#include "twins.h"

#include "base/error.h"
#include "catalog/scan_function.h"
#include "duckdb/common/error_data.hpp"
#include "duckdb/common/type_visitor.hpp"
#include "duckdb/function/table_function.hpp"
#include "duckdb/main/extension/extension_loader.hpp"
#include "duckdb/main/prepared_statement.hpp"
#include "duckdb/parser/expression/constant_expression.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/query_node.hpp"
#include "duckdb/parser/statement/select_statement.hpp"

namespace millrace {

/// What the table function `feed('schema.name')` finds.
struct Twins::Feeds : public duckdb::TableFunctionInfo {
  std::map<std::string, TableHistory> tables;
};

namespace {

constexpr int kForever = 1'000'000;

std::string Join(const std::vector<std::string>& parts) {
  std::string text;
  for (auto& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

std::string KeyOf(const std::string& schema, const std::string& name) {
  return schema + "." + name;
}

/// The versions of all rows: columns, then n (the row's number), since, until, came (by update),
/// went (by update). Updates leave the `kept` columns alone.
std::string VersionsSql(const std::string& source, const std::vector<std::string>& columns,
                        const std::vector<bool>& kept, const HistoryOptions& options) {
  int early = options.at_once ? 1 : std::max(1, options.steps * 6 / 10);
  std::string own, other, mixed;
  auto draw = [&](const std::string& row, int64_t purpose) {
    return fmt::format("hash({}, {}, {})", row, options.seed, purpose);
  };
  for (idx_t i = 0; i < columns.size(); i++) {
    auto purpose = static_cast<int64_t>(100 + i);
    own += "r." + columns[i] + ", ";
    mixed += kept[i] ? "r." + columns[i] + ", "
                     : fmt::format("CASE WHEN {} % 2 = 0 THEN r.{} ELSE p.{} END, ",
                                   draw("r._n", purpose), columns[i], columns[i]);
  }
  std::string sql = fmt::format(
      "WITH numbered AS (SELECT row_number() OVER () - 1 AS _n, * FROM {}), "
      "drawn AS (SELECT *, {} % 10000 / 10000.0 AS _kind, ({} % {})::INTEGER AS _b FROM numbered), "
      "timed AS (SELECT *, (_b + 1 + {} % ({} - _b))::INTEGER AS _c FROM drawn), "
      "rows AS MATERIALIZED (SELECT *, (_c + 1 + {} % ({} - _c))::INTEGER AS _d FROM timed) ",
      source, draw("_n", 1), draw("_n", 2), early, draw("_n", 3), options.steps - 2, draw("_n", 4),
      options.steps - 1);
  std::string updated = fmt::format("r._kind < {}", options.updated);
  std::string deleted = fmt::format("r._kind >= {} AND r._kind < {}", options.updated,
                                    options.updated + options.deleted);
  auto versions = [&](const std::string& values, const std::string& since, const std::string& until,
                      const std::string& flags, const std::string& from, const std::string& where) {
    return "SELECT " + values + "r._n, " + since + " AS _since, " + until + " AS _until, " + flags +
           " FROM " + from + " WHERE " + where;
  };
  std::string forever = std::to_string(kForever);
  sql += versions(own, "r._b", forever, "FALSE AS _came, FALSE AS _went", "rows r",
                  fmt::format("r._kind >= {}", options.updated + options.deleted));
  std::string partner = fmt::format(
      "(SELECT *, ({} % (SELECT count(*) FROM rows))::BIGINT AS _p FROM rows) r JOIN rows p ON "
      "p._n = "
      "r._p",
      draw("_n", 5));
  sql += " UNION ALL " + versions(mixed, "r._b", "r._c", "FALSE, TRUE", partner, updated);
  sql += " UNION ALL " + versions(own, "r._c", forever, "TRUE, FALSE", "rows r", updated);
  sql += " UNION ALL " + versions(own, "r._b", "r._c", "FALSE, FALSE", "rows r", deleted);
  if (options.come_back) {
    sql += " UNION ALL " + versions(own, "r._d", forever, "FALSE, FALSE", "rows r", deleted);
  }
  return sql;
}

duckdb::unique_ptr<duckdb::FunctionData> BindFeed(duckdb::TableFunctionBindInput& input,
                                                  const TableHistory& history,
                                                  duckdb::vector<LogicalType>& types,
                                                  duckdb::vector<std::string>& names) {
  auto data = duckdb::make_uniq<ScanBindData>();
  data->definition = history.definition;
  types = history.types;
  names = history.definition->ColumnNames();
  if (names.empty()) Throw(ErrorCode::kNotFound, "no table {}", input.inputs[0].ToString());
  return data;
}

}  // namespace

std::string Quoted(const std::string& name) {
  std::string text = "\"";
  for (char c : name) text += c == '"' ? std::string("\"\"") : std::string(1, c);
  return text + "\"";
}

Twins::Twins() : feeds_(std::make_shared<Feeds>()), database_(nullptr) {
  duckdb::ExtensionLoader loader(*database_.instance, "continuous");
  duckdb::TableFunction feed = MakeScanFunction();
  feed.name = "millrace_feed";
  feed.arguments = {LogicalType::VARCHAR};
  feed.function_info = duckdb::shared_ptr<duckdb::TableFunctionInfo>(feeds_);
  feed.bind = [](duckdb::ClientContext&, duckdb::TableFunctionBindInput& input,
                 duckdb::vector<LogicalType>& types, duckdb::vector<std::string>& names) {
    auto& tables = input.info->Cast<Feeds>().tables;
    return BindFeed(input, tables[input.inputs[0].ToString()], types, names);
  };
  loader.RegisterFunction(feed);
  given_ = std::make_unique<duckdb::Connection>(database_);
  batch_ = std::make_unique<duckdb::Connection>(database_);
  streaming_ = std::make_unique<duckdb::Connection>(database_);
  Run(*given_, "ATTACH ':memory:' AS batch; ATTACH ':memory:' AS streaming");
  Run(*given_, "ATTACH ':memory:' AS history");
  Run(*batch_, "USE batch; SET VARIABLE step = 0");
  Run(*streaming_, "USE streaming");
}

void Twins::Run(duckdb::Connection& connection, const std::string& sql) {
  auto result = connection.Query(sql);
  if (!result->HasError()) return;
  Throw(ErrorCode::kInvalid, "{} in: {}", result->GetErrorObject().Message(), sql);
}

void Twins::AddTable(const std::string& schema, const std::string& name,
                     const HistoryOptions& options, idx_t key_columns, std::string source) {
  std::string key = KeyOf(schema, name);
  TableHistory& history = feeds_->tables[key];
  history = {};
  auto definition = std::make_shared<TableDefinition>();
  definition->path = {"test", schema, name};
  std::string shown = Quoted(schema) + "." + Quoted(name);
  if (source.empty()) source = shown;
  auto given = given_->Query("SELECT * FROM " + source + " LIMIT 0");
  if (given->HasError())
    throw ErrorFrom(duckdb::Exception(given->GetErrorType(), given->GetErrorObject().RawMessage()));
  history.types = given->types;
  std::vector<std::string> columns;
  std::vector<bool> kept;
  for (idx_t i = 0; i < given->names.size(); i++) {
    ColumnDefinition made;
    made.name = given->names[i];
    definition->columns.push_back(made);
    columns.push_back(Quoted(made.name));
    // DuckDB has no CASE over arrays.
    bool array = duckdb::TypeVisitor::Contains(given->types[i], LogicalTypeId::ARRAY);
    kept.push_back(i < key_columns || array);
  }
  history.definition = definition;
  std::string versions = "history." + Quoted(key);
  Run(*given_,
      "CREATE OR REPLACE TABLE " + versions + " AS " + VersionsSql(source, columns, kept, options));
  std::string list = Join(columns);
  auto result = given_->Query(fmt::format(
      "SELECT {0}, _step, (CASE WHEN _pair THEN (CASE WHEN _add THEN 2 ELSE 1 END) WHEN _add THEN "
      "0 "
      "ELSE 3 END)::TINYINT FROM (SELECT {0}, _n, _since AS _step, TRUE AS _add, _came AS _pair "
      "FROM {1} UNION ALL SELECT {0}, _n, _until, FALSE, _went FROM {1} WHERE _until < {2}) "
      "ORDER BY _step, hash(_n, _step, {3}), _n, _add",
      list, versions, kForever, options.seed));
  if (result->HasError())
    throw ErrorFrom(
        duckdb::Exception(result->GetErrorType(), result->GetErrorObject().RawMessage()));
  history.steps.resize(options.steps);
  while (auto chunk = result->Fetch()) {
    if (chunk->size() == 0) break;
    chunk->Flatten();
    auto steps = duckdb::FlatVector::GetData<int32_t>(chunk->data[columns.size()]);
    auto kinds = duckdb::FlatVector::GetData<int8_t>(chunk->data[columns.size() + 1]);
    for (idx_t start = 0, end; start < chunk->size(); start = end) {
      for (end = start; end < chunk->size() && steps[end] == steps[start];) end++;
      auto part = std::make_unique<ChangeChunk>();
      part->rows.Initialize(duckdb::Allocator::DefaultAllocator(), history.types);
      SelectionVector rows(end - start);
      for (idx_t i = start; i < end; i++) {
        rows.set_index(i - start, i);
        part->kinds.push_back(static_cast<RowKind>(kinds[i]));
      }
      for (idx_t i = 0; i < columns.size(); i++) {
        duckdb::VectorOperations::Copy(chunk->data[i], part->rows.data[i], rows, end - start, 0, 0);
      }
      part->rows.SetCardinality(end - start);
      history.changes += static_cast<int64_t>(end - start);
      history.steps.at(steps[start]).push_back(std::move(part));
    }
  }
  ShowTable(schema, shown, key,
            fmt::format("SELECT {} FROM {} WHERE _since <= "
                        "getvariable('step') AND _until > getvariable('step')",
                        list, versions));
}

/// Makes the table's views; those that are there and fit stay, since others may stand upon them.
void Twins::ShowTable(const std::string& schema, const std::string& shown, const std::string& key,
                      const std::string& rows) {
  std::string made = rows;
  for (auto& type : feeds_->tables[key].types) made += " " + type.ToString();
  if (views_[key] == made) return;
  std::string quoted_schema = Quoted(schema);
  Run(*batch_, "CREATE SCHEMA IF NOT EXISTS " + quoted_schema);
  Run(*batch_, "CREATE OR REPLACE VIEW " + shown + " AS " + rows);
  Run(*streaming_, "CREATE SCHEMA IF NOT EXISTS " + quoted_schema);
  std::string text;
  for (char c : key) text += c == '\'' ? std::string("''") : std::string(1, c);
  Run(*streaming_, "CREATE OR REPLACE VIEW " + shown + " AS FROM millrace_feed('" + text + "')");
  views_[key] = made;
}

void Twins::DropTable(const std::string& schema, const std::string& name) {
  feeds_->tables.erase(KeyOf(schema, name));
  views_.erase(KeyOf(schema, name));
  std::string view = Quoted(schema) + "." + Quoted(name);
  batch_->Query("DROP VIEW IF EXISTS " + view);
  streaming_->Query("DROP VIEW IF EXISTS " + view);
}

const TableHistory& Twins::HistoryOf(const ObjectPath& path) const {
  return feeds_->tables.at(KeyOf(path.database, path.name));
}

void Twins::GoTo(int step) {
  Run(*batch_, "SET VARIABLE step = " + std::to_string(step));
}

void Twins::Shuffle(int order) {
  for (auto& [key, history] : feeds_->tables) {
    std::string versions = "history." + Quoted(key);
    Run(*given_,
        fmt::format(
            "CREATE OR REPLACE TABLE {0} AS FROM {0} ORDER BY md5(concat(_n, ' ', {1})), _since",
            versions, order));
  }
}

Answer Twins::AskBatch(const std::string& sql) {
  auto result = batch_->Query(sql);
  if (result->HasError()) {
    throw duckdb::Exception(result->GetErrorType(), result->GetErrorObject().RawMessage());
  }
  Answer answer;
  while (auto chunk = result->Fetch()) {
    for (idx_t i = 0; i < chunk->size(); i++) (void)answer.Add(*chunk, i, 1);
  }
  return answer;
}

std::string WithTotalOrder(duckdb::Connection& connection, const std::string& sql) {
  duckdb::Parser parser(connection.context->GetParserOptions());
  parser.ParseQuery(sql);
  if (parser.statements.size() != 1 ||
      parser.statements[0]->type != duckdb::StatementType::SELECT_STATEMENT) {
    return sql;
  }
  auto& node = *parser.statements[0]->Cast<duckdb::SelectStatement>().node;
  bool limited = false;
  duckdb::OrderModifier* order = nullptr;
  for (auto& modifier : node.modifiers) {
    limited = limited || modifier->type == duckdb::ResultModifierType::LIMIT_MODIFIER ||
              modifier->type == duckdb::ResultModifierType::LIMIT_PERCENT_MODIFIER;
    if (modifier->type == duckdb::ResultModifierType::ORDER_MODIFIER)
      order = &modifier->Cast<duckdb::OrderModifier>();
  }
  if (!limited) return sql;
  auto prepared = connection.Prepare(sql);
  if (prepared->HasError()) return sql;
  if (!order) {
    auto made = duckdb::make_uniq<duckdb::OrderModifier>();
    order = made.get();
    node.modifiers.insert(node.modifiers.end() - 1, std::move(made));
  }
  // ORDER BY ALL is total already and takes no further columns.
  for (auto& by : order->orders) {
    if (by.expression->GetExpressionClass() == duckdb::ExpressionClass::STAR) return sql;
  }
  for (idx_t i = 0; i < prepared->ColumnCount(); i++) {
    order->orders.emplace_back(
        duckdb::OrderType::ORDER_DEFAULT, duckdb::OrderByNullType::ORDER_DEFAULT,
        duckdb::make_uniq<duckdb::ConstantExpression>(Value::INTEGER(static_cast<int>(i + 1))));
  }
  return parser.statements[0]->ToString();
}

}  // namespace millrace
