#include "app/connectors.h"

#include "sql/connect/bank/bank.h"
#include "sql/connect/file/filesystem.h"
#include "sql/connect/generate/datagen.h"
#include "sql/connect/jdbc/jdbc.h"
#include "sql/connect/print/print.h"

namespace millrace {

void RegisterConnectors(ConnectorRegistry& registry) {
  RegisterBankConnector(registry);
  RegisterBlackholeConnector(registry);
  RegisterDatagenConnector(registry);
  RegisterFilesystemConnector(registry);
  RegisterJdbcConnector(registry);
  RegisterPrintConnector(registry);
}

}  // namespace millrace
