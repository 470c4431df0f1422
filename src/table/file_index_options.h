// file_index_options.h - which file indexes a table's options ask for.
#pragma once

#include "format/file_index.h"
#include "meta/schema.h"

namespace millrace {

/// From 'file-index.<type>.columns' and 'file-index.<type>.<column>.<option>'. Types that Millrace
/// does not write, and indexes of map entries (`column[key]`), are left out: they are never needed
/// to read. Throws: Error(kInvalid) for a column that is not there or that cannot be indexed so.
std::vector<FileIndexSpec> ParseFileIndexes(const TableSchema& schema, const Options& options);

}  // namespace millrace
