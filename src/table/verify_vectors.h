// verify_vectors.h - with deletion vectors a key of a primary-key table is seen once: above level 0
// all of its rows but one are deleted.
#pragma once

#include <set>

#include "table/verify_files.h"

namespace millrace {

/// Looks at the keys of each state of a bucket once.
/// Threads: one at a time. Throws: Error(kIo).
class VisibleKeyVerifier {
 public:
  VisibleKeyVerifier(const TableState& table, FileVerifier& files) : table_(table), files_(files) {}

  /// `live`: the files of `snapshot`.
  void Check(const Snapshot& snapshot, const std::vector<ManifestEntry>& live,
             std::vector<Finding>& findings);
  /// Forgets what was seen: files may have gone since.
  void Forget() { checked_.clear(); }

 private:
  void CheckBucket(const std::vector<const ManifestEntry*>& entries,
                   const std::map<std::string, DeletionFile>& deletions,
                   std::vector<Finding>& findings);

  const TableState& table_;
  FileVerifier& files_;
  std::set<std::string> checked_;  // States of buckets.
};

}  // namespace millrace
