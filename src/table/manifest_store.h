// manifest_store.h - the manifests and manifest lists of one table: which data files a snapshot
// has.
//
// Immutable files under manifest/, named by random ids; readers open them with the sizes that the
// level above recorded, so sizes are taken after the bytes are written (docs/format.md#manifests).
#pragma once

#include <atomic>
#include <mutex>

#include "base/object_cache.h"
#include "io/file_system.h"
#include "io/random.h"
#include "meta/index_manifest.h"
#include "meta/manifest.h"
#include "meta/schema.h"
#include "meta/snapshot.h"

namespace millrace {

/// Chooses manifest entries; both the ADD and the DELETE of a file must get the same answer.
using EntryFilter = std::function<bool(const ManifestEntry&)>;
/// Skips whole manifests whose summary shows that no entry can be wanted.
using ManifestFilter = std::function<bool(const ManifestFileMeta&)>;

/// Reads and writes them.
/// Threads: safe. Throws: Error(kCorrupt) naming a file that is missing, shorter than what names it
/// says, or does not parse; Error(kIo).
class ManifestStore {
 public:
  /// Decoded files stay in `cache`, if there is one.
  ManifestStore(FileSystem& files, const std::string& table_folder, ObjectCache* cache = nullptr);

  std::vector<ManifestFileMeta> ReadList(const ListFile& list) const;
  std::vector<ManifestEntry> Read(const ManifestFileMeta& manifest) const;
  std::vector<IndexManifestEntry> ReadIndex(const std::string& name) const;
  /// Manifests of the base and the delta list, in order.
  std::vector<ManifestFileMeta> ManifestsOf(const Snapshot& snapshot) const;
  /// All entries of a list, in order. An empty filter takes everything.
  std::vector<ManifestEntry> EntriesOf(const ListFile& list, const EntryFilter& filter = {}) const;
  /// The live files of a snapshot.
  std::vector<ManifestEntry> LiveEntries(const Snapshot& snapshot, const EntryFilter& filter = {},
                                         const ManifestFilter& manifest_filter = {}) const;

  std::string PathOf(const std::string& name) const;

 private:
  using Entries = std::vector<ManifestEntry>;

  std::string ReadFile(const ListFile& file) const;
  template <typename T, typename Decode>
  std::shared_ptr<const T> Shared(const ListFile& file, int64_t item_bytes, Decode decode) const;
  std::shared_ptr<const Entries> SharedEntries(const ManifestFileMeta& manifest) const;
  /// All live files, kept for the next one who asks; nullptr when they are too many for that.
  std::shared_ptr<const Entries> SharedLive(const Snapshot& snapshot) const;
  void RefuseStrayDeletes(const Entries& live, const Snapshot& snapshot) const;

  FileSystem& files_;
  std::string folder_;  // <table>/manifest
  ObjectCache* cache_;
};

/// Writes the manifests of one commit and can take them back.
/// Threads: one at a time. Throws: Error(kIo).
class ManifestWriter {
 public:
  ManifestWriter(FileSystem& files, const ManifestStore& store, const TableSchema& schema,
                 Random& random, int64_t target_bytes);

  /// Entries as one or more manifests of about the target size.
  std::vector<ManifestFileMeta> WriteManifests(const std::vector<ManifestEntry>& entries);
  ListFile WriteList(const std::vector<ManifestFileMeta>& manifests);
  /// The name of an index manifest with exactly `entries`.
  std::string WriteIndex(const std::vector<IndexManifestEntry>& entries);
  /// Fewer and larger manifests with the same live entries: small neighbours are merged once
  /// `merge_min_count` of them are there, everything once `full_bytes` of rewritable ones are.
  std::vector<ManifestFileMeta> MergeManifests(std::vector<ManifestFileMeta> manifests,
                                               int merge_min_count, int64_t full_bytes);

  /// Makes what was written durable. REQUIRES: called before a snapshot names any of it.
  void Sync();
  /// A mark to return to with DeleteSince: how many files were written so far.
  size_t Mark() const { return written_.size(); }
  /// Deletes what was written after `mark`; failures leave an orphan behind and are not told.
  void DeleteSince(size_t mark);

 private:
  ManifestFileMeta Describe(const std::vector<ManifestEntry>& entries) const;
  std::string WriteFile(const std::string& name, const std::string& bytes);

  FileSystem& files_;
  const ManifestStore& store_;
  std::vector<DataType> partition_types_;
  std::string uuid_;
  int64_t target_bytes_;
  int manifests_ = 0;
  int lists_ = 0;
  int indexes_ = 0;
  std::vector<std::string> written_;  // Paths.
  size_t synced_ = 0;                 // So many of them are durable.
};

/// The types of a table's partition columns, in order.
std::vector<DataType> PartitionTypes(const TableSchema& schema);

}  // namespace millrace
