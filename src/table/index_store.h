// index_store.h - the index files of one table: which a snapshot has, and where they lie.
//
// An index manifest is the complete list of its snapshot (docs/format.md#index-manifest); it lies
// beside the manifests, index files lie under index/ or, with 'index-file-in-data-file-dir', with
// the data of their bucket.
#pragma once

#include "meta/index_manifest.h"
#include "table/table_state.h"

namespace millrace {

/// Index files of `snapshot`; none when it names no index manifest.
/// Throws: Error(kCorrupt) naming a manifest that is missing or does not parse.
std::vector<IndexManifestEntry> ReadIndexEntries(const TableState& table, const Snapshot& snapshot);
std::vector<IndexManifestEntry> ReadIndexEntries(const ManifestStore& manifests,
                                                 const Snapshot& snapshot);

/// The deleted rows of a state's data files, by their names. Throws: as ReadIndexEntries.
std::map<std::string, DeletionFile> FindDeletions(const TableState& table,
                                                  const Snapshot& snapshot);

/// The index files with deletion vectors of a state, by BucketName; some hold none, as Paimon
/// leaves them. Throws: as ReadIndexEntries.
using VectorFiles = std::map<std::string, std::vector<IndexManifestEntry>>;
VectorFiles ReadVectorFiles(const TableState& table, const Snapshot& snapshot);

std::string IndexFilePath(const TableState& table, const IndexManifestEntry& entry);
/// The whole file. Throws: Error(kCorrupt) when it is missing or not as long as `entry` says.
std::string ReadIndexFile(const TableState& table, const IndexManifestEntry& entry);

/// Names and writes the index files of one writer or commit.
/// Threads: one at a time. Throws: Error(kIo).
class IndexFileWriter {
 public:
  explicit IndexFileWriter(const TableState& table);
  /// Writes `bytes` as a new file and sets name and size of `entry`, whose partition, bucket and
  /// external path say where.
  void Write(std::string_view bytes, IndexManifestEntry& entry);
  /// Deletes all that was written; failures leave an orphan behind and are not told.
  void DeleteAll();

 private:
  const TableState& table_;
  std::string uuid_;
  int64_t counter_ = 0;
  std::vector<std::string> written_;  // Paths.
};

}  // namespace millrace
