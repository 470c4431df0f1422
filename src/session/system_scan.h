// system_scan.h - batch scans of system tables.
#pragma once

#include "catalog/system_tables.h"
#include "session/engine.h"
#include "table/group_cut.h"

namespace millrace {

/// Opens a scan of `t$snapshots`, `t$audit_log`, `sys.tables` and so on; not of `t$ro`, which is a
/// scan of the table itself.
std::unique_ptr<BatchScan> OpenSystemScan(Engine& engine, const TableDefinition& definition,
                                          const BatchScanRequest& request, GroupCut& cut);

}  // namespace millrace
