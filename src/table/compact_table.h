// compact_table.h - compaction of committed files without a writer: CALL sys.compact, and the
// dedicated compaction of write-only tables.
#pragma once

#include "table/table_state.h"

namespace millrace {

/// Compacts bucket by bucket; what to commit. Throws: Error(kIo): what was written is deleted.
Committable PrepareTableCompaction(std::shared_ptr<const TableState> table,
                                   const CompactRequest& request);

}  // namespace millrace
