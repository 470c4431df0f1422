// hash_index_merge.h - two writers have given buckets to new keys of one partition: both are right
// unless they disagree about a key.
#pragma once

#include "table/index_store.h"

namespace millrace {

/// Makes the HASH index changes among `changes` fit to `entries`, the index files of the newest
/// snapshot: where others have come between (`bases` says by partition what the changes were made
/// for), each new file gets the hashes of the file that it replaces now. New files go to `writer`.
/// Returns why that cannot be: a key has been given two buckets. nullopt: `changes` fit.
/// Throws: Error(kCorrupt) naming an index file.
std::optional<std::string> MergeHashIndexes(const TableState& table,
                                            const std::vector<IndexManifestEntry>& entries,
                                            const std::map<RowBytes, std::string>& bases,
                                            IndexFileWriter& writer,
                                            std::vector<IndexManifestEntry>& changes);

}  // namespace millrace
