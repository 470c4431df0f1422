// insert_target.h - what an INSERT is once its names are resolved: shared by those who run, explain
// and check it.
#pragma once

#include "session/sql_session.h"

namespace millrace {

struct SqlSession::Target {
  std::shared_ptr<const TableDefinition> definition;
  std::string duck_sql;         // The query, cast to the table's physical columns.
  std::vector<idx_t> sink_key;  // Positions in the query's columns.
  std::string original;
  std::optional<OverwriteScope> overwrite;  // INSERT OVERWRITE: what it replaces.
};

struct SqlSession::JobQuery {
  std::string name;                             // The table, or the view.
  ObjectPath view;                              // Empty for an INSERT's.
  std::vector<idx_t> columns;                   // Of the view: those that others read.
  std::unique_ptr<QueryConnection> connection;  // In which it was compiled.
  std::unique_ptr<Dataflow> flow;
};

}  // namespace millrace
