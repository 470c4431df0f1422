// verify_files.h - the files that metadata names: there, of the recorded size, and holding what is
// told of them.
#pragma once

#include "table/verify.h"

namespace millrace {

/// Checks files, once each for what is told of them.
/// Threads: one at a time. Throws: Error(kIo).
class FileVerifier {
 public:
  FileVerifier(const TableState& table, bool full) : table_(table), full_(full) {}

  /// A data file of a state.
  void CheckData(const ManifestEntry& entry, std::vector<Finding>& findings);
  void CheckChangelog(const ManifestEntry& entry, std::vector<Finding>& findings);
  /// Any file: there, and of `size` bytes.
  void CheckFile(const std::string& path, int64_t size, std::vector<Finding>& findings);

  /// The size of a file; nullopt when it is not there. Folders are listed once.
  std::optional<int64_t> SizeOf(const std::string& path);
  /// Forgets what was seen: files may have gone since.
  void Forget();
  /// `path` without the table's folder.
  std::string Short(const std::string& path) const;

 private:
  struct Content;  // What the rows of one file add up to.
  void Check(const ManifestEntry& entry, bool changelog, std::vector<Finding>& findings);
  void CheckContent(const ManifestEntry& entry, const std::string& path, bool changelog,
                    std::vector<Finding>& findings);
  void CompareCounts(const DataFileMeta& file, Content& content) const;
  void CompareKeys(const DataFileMeta& file, const TableSchema& schema, Content& content) const;
  void ComparePartition(const ManifestEntry& entry, const TableSchema& schema,
                        Content& content) const;
  Content ReadContent(const ManifestEntry& entry, const TableSchema& schema,
                      const std::string& path, bool changelog) const;

  const TableState& table_;
  const bool full_;
  std::map<std::string, std::map<std::string, int64_t>> listings_;  // Folder -> name -> size.
  std::map<std::string, ManifestEntry> checked_;                    // By path: what was told of it.
};

}  // namespace millrace
