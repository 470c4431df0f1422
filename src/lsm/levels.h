// levels.h - which runs a bucket has: level-0 files newest first, then one run per level.
//
// Order, sections and picking: docs/format.md#compaction (Levels.java, IntervalPartition.java,
// UniversalCompaction.java). Nothing here does I/O.
#pragma once

#include "lsm/key_value.h"

namespace millrace {

/// Files with ascending, disjoint key ranges.
struct SortedRun {
  std::vector<DataFileMeta> files;
  int64_t TotalBytes() const;
  int64_t TotalRows() const;
  bool operator==(const SortedRun&) const = default;
};

struct LevelRun {
  int level = 0;
  SortedRun run;
  bool operator==(const LevelRun&) const = default;
};

/// A key range in which files overlap, as the fewest runs; sections ascend and are disjoint.
using Section = std::vector<SortedRun>;
std::vector<Section> PartitionIntoSections(std::vector<DataFileMeta> files, const KeyOrder& order);

/// All of `files` as the fewest runs.
std::vector<SortedRun> PackIntoRuns(std::vector<DataFileMeta> files, const KeyOrder& order);

/// True when reading these files needs no merging: none in level 0, no deletes, all on one level.
bool IsRawConvertible(const std::vector<DataFileMeta>& files);

/// The runs of one bucket.
/// Threads: one at a time. Throws: Error(kCorrupt) when files of one level >= 1 overlap.
class Levels {
 public:
  /// `level_count` grows to hold the highest level of `files`.
  Levels(KeyOrder order, const std::vector<DataFileMeta>& files, int level_count = 6);

  void AddLevel0(const DataFileMeta& file);
  /// Takes the result of a compaction over.
  void Replace(const std::vector<DataFileMeta>& before, const std::vector<DataFileMeta>& after);

  int MaxLevel() const { return static_cast<int>(levels_.size()); }  // Level 0 is apart.
  /// Highest level that has files; -1 when the bucket is empty.
  int HighestNonEmptyLevel() const;
  /// Level-0 files newest first, one run each; then the non-empty levels ascending.
  std::vector<LevelRun> Runs() const;
  std::vector<DataFileMeta> Files() const;
  int64_t MaxSequenceNumber() const;  // -1 when empty.
  const KeyOrder& order() const { return order_; }

 private:
  void SortLevel(int level);
  KeyOrder order_;
  std::vector<DataFileMeta> level0_;
  std::vector<SortedRun> levels_;  // levels_[i] is level i + 1.
};

}  // namespace millrace
