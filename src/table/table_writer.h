// table_writer.h - the two writers behind Table::NewWriter: sorted runs by key, or rows as they
// come.
#pragma once

#include "table/table_state.h"

namespace millrace {

/// Of a primary-key table: write buffers by bucket under one budget, level-0 runs, compaction.
std::unique_ptr<TableWriter> MakeKeyedWriter(std::shared_ptr<const TableState> table,
                                             std::string user, const WriterOptions& options);
/// Of an append-only table: rolling files by bucket.
std::unique_ptr<TableWriter> MakeAppendWriter(std::shared_ptr<const TableState> table,
                                              std::string user, const WriterOptions& options);
/// Of an append-only table: deletion vectors. Error(kNotFound) when there is no such snapshot.
std::unique_ptr<RowDeleter> MakeRowDeleter(std::shared_ptr<const TableState> table,
                                           int64_t snapshot_id);

}  // namespace millrace
