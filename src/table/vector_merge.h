// vector_merge.h - two commits have deleted rows of one bucket: both are right unless they deleted
// rows of one data file.
#pragma once

#include "format/deletion_vector.h"
#include "table/index_store.h"

namespace millrace {

/// Makes the DELETION_VECTORS changes among `changes` fit to `entries`, the index files of the
/// newest snapshot: where others have replaced the files that the changes were made for, what they
/// say of other data files is taken over. New files go to `writer`.
/// Returns why that cannot be. nullopt: `changes` fit, as far as index files tell.
/// Throws: Error(kCorrupt) naming an index file.
std::optional<std::string> MergeVectorIndexes(const TableState& table,
                                              const std::vector<IndexManifestEntry>& entries,
                                              IndexFileWriter& writer,
                                              std::vector<IndexManifestEntry>& changes);

/// Writes `vectors` of one bucket as index files: one, or without buckets as many as their target
/// size asks for. `where` has the partition and the bucket. Returns the files as additions.
std::vector<IndexManifestEntry> WriteVectors(const TableState& table,
                                             const IndexManifestEntry& where,
                                             const DeletionVectors& vectors,
                                             IndexFileWriter& writer);

}  // namespace millrace
