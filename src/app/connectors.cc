#include "app/connectors.h"

namespace millrace {

void RegisterConnectors(ConnectorRegistry&) {}

}  // namespace millrace
