// verify_indexes.h - index files: there, whole, and telling of rows and keys as they are.
#pragma once

#include "meta/index_manifest.h"
#include "table/verify_files.h"

namespace millrace {

/// Checks the index files of states; each file's content once.
/// Threads: one at a time. Throws: Error(kIo).
class IndexVerifier {
 public:
  IndexVerifier(const TableState& table, FileVerifier& files, bool full)
      : table_(table), files_(files), full_(full) {}

  /// `live`: the data files of `snapshot`.
  void Check(const Snapshot& snapshot, const std::vector<ManifestEntry>& live,
             std::vector<Finding>& findings);
  /// Forgets what was seen: files may have gone since.
  void Forget() { checked_.clear(); }

 private:
  void CheckEntry(const IndexManifestEntry& entry, std::vector<Finding>& findings);
  void CheckVectors(const IndexManifestEntry& entry, const std::map<std::string, int64_t>& rows,
                    std::vector<Finding>& findings);
  void CheckHashes(const std::vector<IndexManifestEntry>& entries, std::vector<Finding>& findings);

  const TableState& table_;
  FileVerifier& files_;
  const bool full_;
  std::set<std::string> checked_;  // Index files, and sets of them.
};

}  // namespace millrace
