// connectors.h - the connectors that this program is made with.
#pragma once

#include "stream/connector.h"

namespace millrace {

/// Registers every connector of sql/connect.
void RegisterConnectors(ConnectorRegistry& registry);

}  // namespace millrace
