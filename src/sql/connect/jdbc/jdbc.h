// jdbc.h - the `jdbc` connector, for DuckDB database files: 'url' = 'duckdb:/path/report.db'.
#pragma once

#include "stream/connector.h"

namespace millrace {

void RegisterJdbcConnector(ConnectorRegistry& registry);

}  // namespace millrace
