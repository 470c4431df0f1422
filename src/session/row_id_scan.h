// row_id_scan.h - the scan of a table whose rows a statement changes: as any other, and each row
// has its number.
#pragma once

#include "catalog/scan_function.h"
#include "table/group_cut.h"

namespace duckdb {
class ClientContext;
}

namespace millrace {

/// `request` may name one column behind those of the table: the row's id (table/row_changes.h).
/// What is read is told to the connection's StatementReads. Throws: Error(kInvalid) when the
/// connection has none: the hint is not for other statements.
std::unique_ptr<BatchScan> MakeRowIdScan(duckdb::ClientContext& context,
                                         std::shared_ptr<const Table> table,
                                         const BatchScanRequest& request, GroupCut& cut);

}  // namespace millrace
