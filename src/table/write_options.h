// write_options.h - how a table's files are written: names, sizes, compression, statistics.
#pragma once

#include "lsm/run_file_writer.h"
#include "table/table_state.h"

namespace millrace {

/// Of data files at `level`. Throws: Error(kInvalid) naming the option.
RunWriteOptions DataWriteOptions(const TableState& table, const std::string& folder, int level);
/// Of changelog files.
RunWriteOptions ChangelogWriteOptions(const TableState& table, const std::string& folder,
                                      int level);

}  // namespace millrace
