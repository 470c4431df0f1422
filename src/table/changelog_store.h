// changelog_store.h - changelogs that outlive their snapshots: changelog/changelog-N.
//
// Where `changelog.*-retained` keeps more than `snapshot.*-retained`, an expiring snapshot's file
// is copied here first; what streaming readers need of it stays until the changelog expires too.
// EARLIEST and LATEST are hints, as for snapshots. Bytes: docs/format.md#changelogs
// (Changelog.java).
#pragma once

#include "io/file_system.h"
#include "meta/snapshot.h"

namespace millrace {

/// Finds and writes the long-lived changelogs of one table.
/// Threads: safe; it holds no state. Throws: Error(kIo, kCorrupt) naming the file.
class ChangelogStore {
 public:
  ChangelogStore(FileSystem& files, const std::string& table_folder);

  std::optional<Snapshot> Find(int64_t id) const;
  /// All ids, ascending. One listing.
  std::vector<int64_t> Ids() const;

  /// Idempotent: a snapshot that expires a second time gives the same bytes.
  void Put(const Snapshot& snapshot);
  void Remove(int64_t id);
  void WriteEarliestHint(int64_t id);
  /// -1: there is none.
  void WriteLatestHint(int64_t id);

  std::string PathOf(int64_t id) const;

 private:
  FileSystem& files_;
  std::string folder_;  // <table>/changelog
};

}  // namespace millrace
