// filesystem.h - the `filesystem` connector: tables that are files of CSV, JSON, Debezium JSON or
// Parquet.
#pragma once

#include "stream/connector.h"

namespace millrace {

void RegisterFilesystemConnector(ConnectorRegistry& registry);

}  // namespace millrace
