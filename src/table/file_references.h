// file_references.h - which files a state of a table needs: what deleting anything has to know.
//
// A file of data, of an index or of metadata is in use for one unbroken stretch of snapshots. So of
// all tags only the nearest ones before and after can share a file with a snapshot that goes
// (SnapshotDeletion.java, TagDeletion.java); branches share files with the main line they left.
#pragma once

#include <set>

#include "table/table_state.h"

namespace millrace {

/// Collects paths.
/// Threads: one at a time. Throws: Error(kCorrupt, kIo) naming a file that cannot be read; what was
/// collected then is incomplete.
class FileReferences {
 public:
  explicit FileReferences(const TableState& table) : table_(table) {}

  /// Base and delta lists with their manifests.
  void AddLists(const Snapshot& snapshot);
  /// The changelog list with its manifests.
  void AddChangelogLists(const Snapshot& snapshot);
  /// Index manifest, index files, statistics.
  void AddIndexes(const Snapshot& snapshot);
  void AddLiveFiles(const Snapshot& snapshot);
  void AddChangelogFiles(const Snapshot& snapshot);
  /// All that reading the state needs.
  void AddState(const Snapshot& snapshot) {
    AddLists(snapshot);
    AddIndexes(snapshot);
    AddLiveFiles(snapshot);
  }
  /// All that the snapshots and tags of every branch need.
  void AddBranches();

  bool Has(const std::string& path) const { return paths_.contains(path); }
  const std::set<std::string>& paths() const { return paths_; }
  /// A data or changelog file with its extra files.
  void AddEntry(const ManifestEntry& entry);
  void AddPath(const std::string& path) { paths_.insert(path); }

 private:
  void AddList(const ListFile& list);

  const TableState& table_;
  std::set<std::string> paths_;
  std::set<std::string> lists_;  // Read already.
};

/// The paths of a data file and of the files that live and die with it.
std::vector<std::string> PathsOfEntry(const TableState& table, const ManifestEntry& entry);
/// The folders of the branches, as stores take them: <table>/branch/branch-<name>.
std::vector<std::string> BranchFolders(const TableState& table);

/// Deletes files one by one; a failure leaves an orphan and is not told. Returns how many went.
int64_t DeleteQuietly(const TableState& table, const std::vector<std::string>& paths);

}  // namespace millrace
