#include "session/shared_views.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "duckdb/parser/expression/subquery_expression.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/parser/tableref/basetableref.hpp"
#include "session/insert_target.h"
#include "sql/lexer.h"

namespace millrace {

namespace {

class NameFinder {
 public:
  void Look(duckdb::QueryNode& node) {
    using Iterator = duckdb::ParsedExpressionIterator;
    Iterator::EnumerateQueryNodeChildren(
        node,
        [this](duckdb::unique_ptr<duckdb::ParsedExpression>& expression) { Look(*expression); },
        [this](duckdb::TableRef& ref) {
          if (ref.type != duckdb::TableReferenceType::BASE_TABLE) return;
          auto& table = ref.Cast<duckdb::BaseTableRef>();
          QualifiedName& name = names.emplace_back();
          for (const std::string& part :
               {table.catalog_name, table.schema_name, table.table_name}) {
            if (!part.empty()) name.push_back(part);
          }
        });
  }
  std::vector<QualifiedName> names;

 private:
  void Look(duckdb::ParsedExpression& expression) {
    if (expression.GetExpressionClass() == duckdb::ExpressionClass::SUBQUERY) {
      Look(*expression.Cast<duckdb::SubqueryExpression>().subquery->node);
    }
    duckdb::ParsedExpressionIterator::EnumerateChildren(
        expression, [this](duckdb::ParsedExpression& child) { Look(child); });
  }
};

}  // namespace

std::vector<QualifiedName> NamesIn(const std::string& duck_sql) {
  duckdb::Parser parser;
  parser.ParseQuery(duck_sql);
  NameFinder finder;
  for (auto& statement : parser.statements) {
    if (statement->type != duckdb::StatementType::SELECT_STATEMENT) continue;
    finder.Look(*statement->Cast<duckdb::SelectStatement>().node);
  }
  return finder.names;
}

std::shared_ptr<const TableDefinition> TableOfView(const ViewDefinition& view,
                                                   const Dataflow& flow) {
  auto definition = std::make_shared<TableDefinition>();
  definition->path = view.path;
  definition->options = {{"connector", kSharedView}};
  std::set<std::string> names;
  for (idx_t i = 0; i < flow.Names().size(); i++) {
    ColumnDefinition column;
    column.name = i < view.columns.size() ? view.columns[i] : flow.Names()[i];
    try {
      column.type = DataTypeFromDuck(flow.Types()[i]);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kUnsupported) throw;
      return nullptr;
    }
    if (column.type.ToDuck() != flow.Types()[i]) return nullptr;
    if (!names.insert(duckdb::StringUtil::Lower(column.name)).second) return nullptr;
    definition->columns.push_back(std::move(column));
  }
  for (idx_t column : flow.Key()) {
    definition->primary_key.push_back(definition->columns[column].name);
  }
  return definition;
}

std::string SelectFrom(const ViewDefinition& view, const std::vector<idx_t>& columns,
                       idx_t column_count) {
  std::string select, names;
  for (idx_t column : columns) select += fmt::format("{}c{}", select.empty() ? "" : ", ", column);
  for (idx_t i = 0; i < column_count; i++) names += fmt::format("{}c{}", i ? ", " : "", i);
  return fmt::format("SELECT {} FROM ({}) AS q({})", select, view.duck_sql, names);
}

// Those that are read more than once, by INSERTs or by other shared views. Readers of a view come
// before it.
std::vector<ObjectPath> SqlSession::FindSharedViews(const std::vector<Target>& targets) {
  if (targets.size() < 2 || settings_.Get(kReuseKey) == "false") return {};
  std::map<ObjectPath, std::set<ObjectPath>> reads;  // Of each view, which others.
  std::vector<ObjectPath> sorted;                    // Views after those that they read.
  std::function<std::set<ObjectPath>(const std::string&, const std::string&, const std::string&)>
      look = [&](const std::string& sql, const std::string& catalog, const std::string& database) {
        std::set<ObjectPath> found;
        for (QualifiedName name : NamesIn(sql)) {
          if (name.size() == 1) name.insert(name.begin(), database);
          if (name.size() == 2) name.insert(name.begin(), catalog);
          ObjectPath path = Resolve(name);
          auto view = FindView(engine_.services(), path);
          if (!view || !found.insert(path).second || !reads.try_emplace(path).second) continue;
          std::set<ObjectPath> of_view = look(view->duck_sql, path.catalog, path.database);
          reads[path] = std::move(of_view);
          sorted.push_back(path);
        }
        return found;
      };
  std::map<ObjectPath, std::set<idx_t>> readers;
  for (idx_t t = 0; t < targets.size(); t++) {
    for (const ObjectPath& path : look(targets[t].duck_sql, catalog_, database_)) {
      readers[path].insert(t);
    }
  }
  std::vector<ObjectPath> shared;
  std::reverse(sorted.begin(), sorted.end());
  for (const ObjectPath& path : sorted) {
    std::set<idx_t> of_inner = readers[path];
    if (of_inner.size() > 1 && IsWorthSharing(path)) {
      shared.push_back(path);
      of_inner = {targets.size() + shared.size()};
    }
    for (const ObjectPath& inner : reads[path]) {
      readers[inner].insert(of_inner.begin(), of_inner.end());
    }
  }
  return WithoutSingleReaders(targets, std::move(shared));
}

// A name of a WITH may be a view's, too, so that fewer read it than it seemed.
std::vector<ObjectPath> SqlSession::WithoutSingleReaders(const std::vector<Target>& targets,
                                                         std::vector<ObjectPath> views) {
  while (!views.empty()) {
    std::map<ObjectPath, int> readers;
    for (const JobQuery& query : CompileJob(targets, views, 1, {})) {
      for (const SourceTable& input : query.flow->Inputs()) readers[input.definition->path]++;
    }
    auto few = [&](const ObjectPath& view) { return readers[view] < 2; };
    if (std::erase_if(views, few) == 0) break;
  }
  return views;
}

SqlSession::JobQuery SqlSession::CompileView(const ViewDefinition& view, const std::string& sql,
                                             const DataflowOptions& options,
                                             const std::string& plan) {
  JobQuery made;
  made.name = view.path.ToString();
  made.view = view.path;
  // Names in it mean what they mean where it stands.
  made.connection =
      engine_.NewConnection(view.path.catalog, view.path.database, settings_.DuckDialect());
  made.flow = Dataflow::CompileAs(*made.connection->context, sql, options, plan);
  return made;
}

// What keeps nothing is as cheap twice, and its filters go to the source.
bool SqlSession::IsWorthSharing(const ObjectPath& path) {
  auto view = FindView(engine_.services(), path);
  try {
    JobQuery made = CompileView(*view, "SELECT * FROM (" + view->duck_sql + ")", FlowOptions(), "");
    return made.flow->KeepsState() && TableOfView(*view, *made.flow);
  } catch (const std::exception&) {
    return false;  // Those who read it say why.
  }
}

// A view is compiled twice: for what it gives, since those that read it need its types; then with
// the columns that they want.
std::vector<SqlSession::JobQuery> SqlSession::CompileJob(const std::vector<Target>& targets,
                                                         const std::vector<ObjectPath>& views,
                                                         idx_t shards,
                                                         std::vector<std::string> plans) {
  plans.resize(targets.size() + views.size());
  DataflowOptions options = FlowOptions();
  options.shards = shards;
  std::vector<std::shared_ptr<const ViewDefinition>> definitions(views.size());
  std::vector<std::shared_ptr<const TableDefinition>> tables(views.size());
  ViewsAsTables hidden(engine_.services().temporary);
  for (idx_t v = views.size(); v-- > 0;) {
    definitions[v] = FindView(engine_.services(), views[v]);
    std::string sql = definitions[v] ? "SELECT * FROM (" + definitions[v]->duck_sql + ")" : "";
    if (definitions[v]) {
      tables[v] =
          TableOfView(*definitions[v], *CompileView(*definitions[v], sql, options, "").flow);
    }
    if (!tables[v]) {
      Throw(ErrorCode::kInvalid,
            "Resuming a job: view '{}', which several of its INSERTs read, is gone or has changed; "
            "make it again as it was, or start over with --fresh",
            views[v].ToString());
    }
    hidden.Add(tables[v]);
  }
  std::vector<JobQuery> queries;
  std::map<ObjectPath, std::set<idx_t>> wanted;
  auto add = [&](JobQuery query) {
    for (const SourceTable& input : query.flow->Inputs()) {
      if (!IsSharedView(*input.definition)) continue;
      wanted[input.definition->path].insert(input.columns.begin(), input.columns.end());
    }
    queries.push_back(std::move(query));
  };
  for (const Target& target : targets) {
    JobQuery made;
    made.name = target.definition->path.ToString();
    made.connection = NewConnection();
    DataflowOptions of_target = options;
    of_target.sink_key = target.sink_key;
    made.flow = Dataflow::CompileAs(*made.connection->context, target.duck_sql, of_target,
                                    plans[queries.size()]);
    add(std::move(made));
  }
  for (idx_t v = 0; v < views.size(); v++) {
    const std::set<idx_t>& columns = wanted[views[v]];
    std::vector<idx_t> chosen(columns.begin(), columns.end());
    if (chosen.empty()) chosen = {0};  // Its rows are counted.
    JobQuery made =
        CompileView(*definitions[v], SelectFrom(*definitions[v], chosen, tables[v]->columns.size()),
                    options, plans[queries.size()]);
    made.columns = std::move(chosen);
    add(std::move(made));
  }
  return queries;
}

}  // namespace millrace
