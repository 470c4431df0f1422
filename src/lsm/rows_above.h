// rows_above.h - where rows lie above some files whose keys these files hold: with deletion vectors
// a compaction marks them as deleted.
//
// Both sides are read along in key order, by their key columns alone. Files and row groups above
// that no key can be in are passed over.
#pragma once

#include "format/deletion_vector.h"
#include "lsm/merge_reader.h"

namespace millrace {

/// The positions of rows in `above` whose keys are in `lower`, by data file. Rows that
/// `read.rows_of_file` hides are not there; of `read` only that and `fields_of_schema` count.
/// `each_chunk` is called now and then and may throw. Throws: as RunReader.
DeletionVectors FindRowsAbove(const LsmContext& context, const KeyValueLayout& layout,
                              const std::string& folder, const std::vector<DataFileMeta>& lower,
                              const std::vector<DataFileMeta>& above, const MergeReadOptions& read,
                              const std::function<void()>& each_chunk);

}  // namespace millrace
