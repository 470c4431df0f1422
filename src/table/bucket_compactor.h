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
  CompactResult Run(const RowBytes& partition, int bucket, std::vector<DataFileMeta> files,
                    CompactionEffort effort, bool interval_passed,
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
  std::optional<CompactUnit> Pick(const Levels& levels, CompactionEffort effort,
                                  bool interval_passed) const;
  CompactOptions OptionsFor(const RowBytes& partition, int bucket, const Levels& levels,
                            const CompactUnit& unit) const;

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
