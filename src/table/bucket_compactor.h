// bucket_compactor.h - compacts one bucket after the table's options: which runs, how far, with
// what changelog.
#pragma once

#include "lsm/compaction.h"
#include "table/table_state.h"

namespace millrace {

enum class CompactionEffort : uint8_t {
  kAsNeeded,  // What universal compaction picks; all of level 0 where compactions look up.
  kFull,      // All runs to the top level.
};

/// A bucket as a compaction finds it.
struct BucketFiles {
  RowBytes partition;
  int bucket = 0;
  std::vector<DataFileMeta> files;
  std::shared_ptr<const DeletionVectors> vectors = nullptr;  // Of a table with deletion vectors.
};

/// Threads: safe (immutable but for `names`, which is safe).
/// Throws: Error(kNotFound) when another writer's compaction has made files go; Error(kIo).
class BucketCompactor {
 public:
  /// `names` outlives it.
  BucketCompactor(std::shared_ptr<const TableState> table, DataFileNames& names);

  /// Whether a run with this effort would do something. `interval_passed`: that of
  /// compaction.optimization-interval.
  bool HasWork(const std::vector<DataFileMeta>& files, CompactionEffort effort,
               bool interval_passed) const;
  /// Compacts until there is nothing left to do. What is in `before` and not in `files` never is:
  /// files in between are deleted.
  CompactResult Run(const BucketFiles& bucket, CompactionEffort effort, bool interval_passed,
                    const std::function<bool()>& cancelled = nullptr) const;
  /// Sorted runs, as the stop trigger counts them.
  size_t RunCount(const std::vector<DataFileMeta>& files) const;

  /// Adds what `later` did on top of `change`. Files that `change` made and `later` used up are
  /// deleted: nobody has seen them.
  static void AddResult(FileSystem& files, const std::string& folder, CompactResult later,
                        CompactResult& change);
  /// Deletes what `result` has written.
  static void Discard(FileSystem& files, const std::string& folder, const CompactResult& result);

 private:
  /// What is hidden of each file by now.
  using HiddenRows = std::map<std::string, std::shared_ptr<const RowSet>>;

  std::optional<CompactUnit> Pick(const Levels& levels, CompactionEffort effort,
                                  bool interval_passed, const HiddenRows& hidden) const;
  CompactOptions OptionsFor(const std::string& folder, const Levels& levels,
                            const CompactUnit& unit, const HiddenRows& hidden) const;
  static HiddenRows HiddenRowsOf(const BucketFiles& bucket);
  static void Follow(const CompactResult& result, HiddenRows& hidden);

  const std::shared_ptr<const TableState> table_;
  const KeyValueLayout layout_;
  const KeyOrder order_;
  DataFileNames& names_;
};

/// `files` after a compaction.
std::vector<DataFileMeta> ApplyCompaction(std::vector<DataFileMeta> files,
                                          const std::vector<DataFileMeta>& before,
                                          const std::vector<DataFileMeta>& after);

}  // namespace millrace
