// compaction.h - choosing runs to compact (universal compaction) and rewriting them.
//
// Rules: docs/format.md#compaction (UniversalCompaction.java, MergeTreeCompactTask.java).
#pragma once

#include "format/deletion_vector.h"
#include "lsm/changelog_maker.h"
#include "lsm/levels.h"
#include "lsm/run_file_writer.h"

namespace millrace {

struct CompactionOptions {
  int trigger = 5;                           // num-sorted-run.compaction-trigger
  int max_size_amplification_percent = 200;  // compaction.max-size-amplification-percent
  int size_ratio_percent = 1;                // compaction.size-ratio
  /// compaction.total-size-threshold: below it everything is compacted to the top.
  std::optional<int64_t> total_size_threshold = std::nullopt;
  /// compaction.incremental-size-threshold: above it (outside the top level) likewise.
  std::optional<int64_t> incremental_size_threshold = std::nullopt;
};

/// What to compact: whole runs, to one level.
struct CompactUnit {
  int output_level = 0;
  std::vector<DataFileMeta> files;
  bool rewrites_each = false;  // File for file: all lie at the output level, some rows are hidden.
  bool operator==(const CompactUnit&) const = default;
};

/// Picks by size amplification, then size ratio, then number of runs.
/// Threads: safe (no state).
class UniversalCompaction {
 public:
  explicit UniversalCompaction(CompactionOptions options) : options_(options) {}
  /// nullopt: nothing worth doing. Never picks level 0 as output, nor a unit that would change
  /// nothing.
  [[nodiscard]] std::optional<CompactUnit> Pick(const Levels& levels) const;
  /// All level-0 runs (and what size ratio adds): lookup changelogs need an empty level 0.
  [[nodiscard]] std::optional<CompactUnit> PickLevel0(const Levels& levels) const;
  /// All runs to the top level; when only that has files, those of them that hide rows.
  [[nodiscard]] static std::optional<CompactUnit> PickAll(
      const Levels& levels, const std::function<bool(const DataFileMeta&)>& hides_rows = nullptr);

 private:
  CompactionOptions options_;
};

struct CompactResult {
  std::vector<DataFileMeta> before;  // Removed (an upgrade: with its old level).
  std::vector<DataFileMeta> after;   // Added (an upgrade: same name, new level).
  std::vector<DataFileMeta> changelog;
  DeletionVectors deleted = {};  // Rows of files above the output level, which are replaced.
};

struct CompactOptions {
  MergeSpec merge = {};
  /// Deletes may go: the output is at or above the highest non-empty level and is not level 0, or
  /// `marks_above`.
  bool drop_deletes = false;
  int max_level = 5;  // Levels::MaxLevel(): files with deletes do not rise there as they are.
  ChangelogOptions changelog = {};
  /// Rows that come from level 0 take up what lies of their key above the output level, so that one
  /// row above level 0 holds the whole (MergeSpec::whole_above_level0).
  bool takes_up_above = false;
  std::vector<DataFileMeta> above = {};  // Files of levels above the output's.
  /// With deletion vectors: of each key that comes from level 0 the row above the output level is
  /// told of as deleted. So above level 0 each key has one row that is not hidden. REQUIRES:
  /// takes_up_above.
  bool marks_above = false;
  /// As in MergeReadOptions: what deletion vectors hide by now.
  std::function<FileRows(const DataFileMeta& file)> rows_of_file = nullptr;
  /// Ranges of keys with at least so many bytes to read are rewritten side by side, each to files
  /// of its own, by as many threads as the database has.
  int64_t range_bytes = 8 << 20;
  RunWriteOptions write = {};            // Its level and source are set by the task.
  RunWriteOptions write_changelog = {};  // Its level too.
  /// As in MergeReadOptions: without it, files of an older schema are read by today's names.
  std::function<std::vector<DataField>(int64_t schema_id)> fields_of_schema = nullptr;
};

/// True when `unit`'s output level lets deletes go.
bool MayDropDeletes(const Levels& levels, const CompactUnit& unit);

/// Rewrites the files of `unit` to its output level: sections of one run with files that are big
/// enough are upgraded by metadata only, everything else is merged. Files of `before` are not
/// deleted. Throws: Error(kIo, kCorrupt, kCancelled); what had been written is deleted then.
/// `cancelled` is asked once per chunk, by several threads.
CompactResult Compact(const LsmContext& context, const KeyValueLayout& layout,
                      const KeyOrder& order, const CompactUnit& unit, DataFileNames& names,
                      const CompactOptions& options,
                      const std::function<bool()>& cancelled = nullptr);

}  // namespace millrace
