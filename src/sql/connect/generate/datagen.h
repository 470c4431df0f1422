// datagen.h - the `datagen` connector: random or sequential rows, with Flink's options.
//
// Deterministic: the rows follow from the seed ('datagen.seed', default by the table's path) and
// their number. A position is "<rows made>@<start, Unix ms>".
#pragma once

#include "stream/connector.h"

namespace millrace {

void RegisterDatagenConnector(ConnectorRegistry& registry);

}  // namespace millrace
