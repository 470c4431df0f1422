// shared_views.h - views that several INSERTs of a statement set read: computed once, each step's
// changes going to all of them.
//
// DuckDB puts a view's query in the place of its name, so every INSERT would have its own joins and
// sums of it, and their state. Views that keep state and are read by more than one are queries of
// the job instead, and tables for those that read them. Flink does the same by blocks
// (CommonSubGraphBasedOptimizer). Docs: docs/internals/jobs.md.
#pragma once

#include "catalog/duck_catalog.h"
#include "sql/statement.h"
#include "stream/dataflow.h"

namespace millrace {

/// The tables and views that a query names, also in sub-queries and WITH; names of a WITH itself
/// may be among them.
std::vector<QualifiedName> NamesIn(const std::string& duck_sql);

/// What a view is for those that read it; nullptr when it cannot be a table: it has columns of
/// equal names, or of types that tables do not have.
std::shared_ptr<const TableDefinition> TableOfView(const ViewDefinition& view,
                                                   const Dataflow& flow);

/// The query of a view, of some of its columns.
std::string SelectFrom(const ViewDefinition& view, const std::vector<idx_t>& columns,
                       idx_t column_count);

/// For as long as it lives some views are tables. Threads: the session's.
class ViewsAsTables {
 public:
  explicit ViewsAsTables(TemporaryObjects& temporary) : temporary_(temporary), before_(temporary) {}
  ~ViewsAsTables() { temporary_ = before_; }
  ViewsAsTables(const ViewsAsTables&) = delete;
  ViewsAsTables& operator=(const ViewsAsTables&) = delete;
  void Add(const std::shared_ptr<const TableDefinition>& table) {
    temporary_.views.erase(table->path);
    temporary_.tables[table->path] = table;
  }

 private:
  TemporaryObjects& temporary_;
  const TemporaryObjects before_;
};

}  // namespace millrace
