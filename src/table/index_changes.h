// index_changes.h - the index manifest of the next snapshot: what is there and what a commit
// changes.
//
// Key hashes have one file per bucket, deletion vectors one per bucket or, without buckets, any
// number with each data file in at most one (IndexManifestFileHandler.java).
#pragma once

#include <set>

#include "meta/index_manifest.h"

namespace millrace {

/// The complete list after `changes`. REQUIRES: FindIndexConflict finds nothing.
std::vector<IndexManifestEntry> ApplyIndexChanges(std::vector<IndexManifestEntry> entries,
                                                  const std::vector<IndexManifestEntry>& changes);

/// Why `changes` cannot be made to `entries`: a file to be removed is not there, or one to be added
/// has a rival. nullopt: they can. `by_bucket`: the table has buckets.
std::optional<std::string> FindIndexConflict(const std::vector<IndexManifestEntry>& entries,
                                             const std::vector<IndexManifestEntry>& changes,
                                             bool by_bucket);

/// Why the deletion vectors in `entries` do not fit to the data files: `removed` are those that the
/// commit takes away, `live` those that its buckets have afterwards. Looks at files that `changes`
/// touch or that are removed.
std::optional<std::string> FindVectorConflict(const std::vector<IndexManifestEntry>& entries,
                                              const std::vector<IndexManifestEntry>& changes,
                                              const std::set<std::string>& removed,
                                              const std::set<std::string>& live);

}  // namespace millrace
