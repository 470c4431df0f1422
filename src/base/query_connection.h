// query_connection.h - a connection for queries whose rows are taken one chunk after the other.
//
// DuckDB's own leaves a query running when it goes while an exception is on its way
// (ClientContext::~ClientContext): threads then work on memory that is freed.
#pragma once

#include "duckdb/main/client_context.hpp"
#include "duckdb/main/connection.hpp"

namespace millrace {

/// Ends its query before it goes, whatever the reason. REQUIRES: deleted as what it is; DuckDB's
/// destructor is not virtual.
/// Threads: as duckdb::Connection.
class QueryConnection : public duckdb::Connection {
 public:
  using duckdb::Connection::Connection;
  QueryConnection(const QueryConnection&) = delete;
  QueryConnection& operator=(const QueryConnection&) = delete;
  ~QueryConnection() {
    try {
      context->Destroy();
    } catch (...) {
      // What cannot be rolled back went wrong before, and was told.
    }
  }
};

}  // namespace millrace
