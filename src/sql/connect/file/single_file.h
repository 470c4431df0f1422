// single_file.h - a table that is one file: several sinks and processes append to it, by
// checkpoints.
//
// A sink prepares a hidden part beside the file, whole in itself. Publishing takes the lease of the
// file, writes old content and part into a hidden file "merged", deletes the part (from here on it
// counts as published) and renames "merged" over the file. Whoever has the lease first finishes
// what a killed one has left: "merged" without its part is renamed, with its part it is deleted.
// Readers see whole checkpoints, and nobody's rows are lost. The price: each checkpoint copies the
// file.
#pragma once

#include "io/file_lock.h"
#include "sql/connect/file/file_table.h"

namespace millrace {

/// Publishes parts into the one file of a table.
/// Threads: one at a time; any number of objects and processes may serve one file.
/// Throws: Error(kIo) naming the path, Error(kConflict) when the lease is not to be had.
class SingleFile {
 public:
  /// `table` must outlive this object.
  SingleFile(Environment& environment, const FileTable& table);

  /// The file itself, links resolved.
  const std::string& path() const { return path_; }
  const std::string& folder() const { return folder_; }
  /// A new hidden name in its folder, with `ending`: a part is written under it.
  std::string PartName(const std::string& ending) const;
  /// Error(kInvalid) when what the file holds now has other columns than the table.
  void CheckFits() const;
  /// Appends `part`, a path, without its first `header_bytes`. May be repeated. False when neither
  /// part nor file exist.
  [[nodiscard]] bool Publish(const std::string& part, int64_t header_bytes);

 private:
  class Lease;

  void FinishMerges();
  bool HasContent() const;
  void MergeText(const std::string& part, int64_t header_bytes, const std::string& merged);
  void MergeParquet(const std::string& part, const std::string& merged);
  void CheckHeader() const;
  void CheckParquet() const;

  Environment& environment_;
  FileSystem& files_;
  const FileTable& table_;
  std::string path_;
  std::string folder_;
};

}  // namespace millrace
