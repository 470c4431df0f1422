// bank.h - the `bank` connector: the books of a made-up bank, full load first, then transactions.
//
// Deterministic: rows follow from the options and their number. A position is
// "<rows loaded>+<transactions>@<fingerprint of the options>", whichever tables are read.
#pragma once

#include "stream/connector.h"

namespace millrace {

void RegisterBankConnector(ConnectorRegistry& registry);

}  // namespace millrace
