// compaction.cc - rewriting the files of a unit, with or without a record of what that changes.
#include "lsm/compaction.h"

#include <algorithm>
#include <atomic>
#include <map>

#include "base/error.h"
#include "duckdb/parallel/task_scheduler.hpp"
#include "io/parallel.h"
#include "lsm/key_batches.h"
#include "lsm/key_cuts.h"
#include "lsm/merge_reader.h"
#include "lsm/rows_above.h"
#include "meta/binary_row.h"

namespace millrace {

namespace {

/// Ranges at work in this process beyond the first of each compaction: no more than there are other
/// threads, for each takes memory.
class ExtraRanges {
 public:
  ExtraRanges(int64_t wanted, int64_t most) {
    int64_t before = at_work.load();
    do {
      granted_ = std::clamp<int64_t>(most - before, 0, std::max<int64_t>(wanted, 0));
    } while (!at_work.compare_exchange_weak(before, before + granted_));
  }
  ~ExtraRanges() { at_work -= granted_; }
  ExtraRanges(const ExtraRanges&) = delete;
  ExtraRanges& operator=(const ExtraRanges&) = delete;
  int64_t granted() const { return granted_; }

 private:
  static inline std::atomic<int64_t> at_work{0};
  int64_t granted_ = 0;
};

/// One compaction at work.
class Task {
 public:
  Task(const LsmContext& context, const KeyValueLayout& layout, const KeyOrder& order,
       const CompactUnit& unit, DataFileNames& names, const CompactOptions& options,
       const std::function<bool()>& cancelled)
      : context_(context),
        layout_(layout),
        order_(order),
        unit_(unit),
        names_(names),
        options_(options),
        cancelled_(cancelled) {
    options_.write.level = unit.output_level;
    options_.write.source = FileSource::kCompact;
    options_.write_changelog.level = unit.output_level;
  }

  CompactResult Run() {
    if (unit_.rewrites_each) {
      for (const DataFileMeta& file : unit_.files) Rewrite({file});
      return std::move(result_);
    }
    int64_t big = options_.write.target_file_bytes / 10 * 7;
    for (Section& section : PartitionIntoSections(unit_.files, order_)) {
      if (section.size() > 1) {
        AddCandidate(section);
        overlapping_ = true;
        continue;
      }
      for (const DataFileMeta& file : section[0].files) {
        if (file.file_size < big) {
          AddCandidate({SortedRun{{file}}});
        } else {
          RewriteCandidates();
          Upgrade(file);
        }
      }
    }
    RewriteCandidates();
    return std::move(result_);
  }

  /// A file that stays is an orphan, which maintenance removes: no reason to hide the first error.
  void DeleteWritten() {
    for (const DataFileMeta& file : written_) {
      for (const std::string& path : DataFilePaths(options_.write.folder, file)) {
        try {
          context_.files.Delete(path);
        } catch (const Error&) {
        }
      }
    }
  }

 private:
  void AddCandidate(const Section& section) {
    for (const SortedRun& run : section) {
      candidates_.insert(candidates_.end(), run.files.begin(), run.files.end());
    }
  }

  void RewriteCandidates() {
    if (candidates_.size() == 1 && !overlapping_) {
      Upgrade(candidates_[0]);
    } else if (!candidates_.empty()) {
      Rewrite(candidates_);
    }
    candidates_.clear();
    overlapping_ = false;
  }

  void Upgrade(const DataFileMeta& file) {
    bool to_top = unit_.output_level == options_.max_level;
    bool has_deletes = MayHoldDeletes({file});
    // Where vectors say which rows are gone nobody looks for deletes above level 0.
    bool lets_go = to_top || (options_.marks_above && file.level == 0);
    if (lets_go && has_deletes) return Rewrite({file});
    if (file.level == unit_.output_level) return;
    if (MustTrack({file})) {
      // Its rows may have to take up what lies above, unless they hide it whatever it is.
      if (options_.takes_up_above && !to_top && !HidesAbove({file})) return Rewrite({file});
      MarkAbove({file});
      if (options_.changelog.kind != CompactionChangelog::kNone) {
        Write({file}, {.tracks = true, .rewrites = false});
      }
    }
    result_.before.push_back(file);
    result_.after.push_back(file);
    result_.after.back().level = unit_.output_level;
  }

  /// Whether moving these files to the output level changes what a changelog tells, or what rows
  /// above level 0 have to hold.
  bool MustTrack(const std::vector<DataFileMeta>& files) const {
    if (options_.changelog.kind == CompactionChangelog::kFullCompaction) {
      return unit_.output_level == options_.max_level;
    }
    return options_.takes_up_above &&
           std::any_of(files.begin(), files.end(),
                       [](const DataFileMeta& file) { return file.level == 0; });
  }

  /// Whether a row of these files hides what lies of its key above, whatever that is.
  bool HidesAbove(const std::vector<DataFileMeta>& files) const {
    bool newest_wins =
        options_.merge.engine == MergeEngine::kDeduplicate && layout_.sequence_fields.empty();
    bool ignores = options_.marks_above && options_.merge.ignore_delete;
    return newest_wins && !(ignores && MayHoldDeletes(files));
  }

  /// Tells of the rows above the output level whose keys come from level 0 in `files`.
  void MarkAbove(const std::vector<DataFileMeta>& files) {
    if (!options_.marks_above) return;
    std::vector<DataFileMeta> level0;
    std::copy_if(files.begin(), files.end(), std::back_inserter(level0),
                 [](const DataFileMeta& file) { return file.level == 0; });
    marked_ = FindRowsAbove(context_, layout_, options_.write.folder, level0,
                            FilesAbove(ExtentOf(level0)), ReadAll(), [this] { CheckCancelled(); });
    for (const auto& [name, rows] : marked_) result_.deleted[name].AddAll(rows);
  }

  void Rewrite(const std::vector<DataFileMeta>& files) {
    bool tracks = false;
    if (MustTrack(files)) {
      MarkAbove(files);
      tracks = !options_.marks_above || !HidesAbove(files) ||
               options_.changelog.kind != CompactionChangelog::kNone;
    }
    Write(files, {.tracks = tracks, .rewrites = true});
  }

  /// How files are gone through.
  struct Way {
    bool tracks;    // Key by key, with what lies above where that is taken up, for a changelog.
    bool rewrites;  // Else only the changelog is made.
  };
  /// What came of a range of keys.
  struct Written {
    std::vector<DataFileMeta> rows, changes;
  };

  void Write(const std::vector<DataFileMeta>& files, Way way) {
    int64_t threads = duckdb::TaskScheduler::GetScheduler(context_.database).NumberOfThreads();
    ExtraRanges extra(std::min(threads, BytesToRead(files) / options_.range_bytes) - 1,
                      threads - 1);
    std::vector<KeyRange> ranges =
        ChooseKeyRanges(context_, layout_, options_.write.folder, PackIntoRuns(files, order_),
                        order_, extra.granted() + 1);
    std::vector<Written> parts(ranges.size());
    auto take_over = [&] {
      for (const Written& part : parts) {
        written_.insert(written_.end(), part.rows.begin(), part.rows.end());
        written_.insert(written_.end(), part.changes.begin(), part.changes.end());
      }
    };
    try {
      RunParts("compaction", ranges.size(), ranges.size(), [&](size_t i) {
        std::vector<DataFileMeta> inside = FilesInRange(files, ranges[i], order_);
        if (inside.empty()) return;
        parts[i] = way.tracks ? WriteTracked(inside, ranges[i], way.rewrites)
                              : WriteMerged(inside, ranges[i]);
      });
    } catch (...) {
      take_over();
      throw;
    }
    take_over();
    for (const Written& part : parts) {
      result_.after.insert(result_.after.end(), part.rows.begin(), part.rows.end());
      result_.changelog.insert(result_.changelog.end(), part.changes.begin(), part.changes.end());
    }
    if (way.rewrites) result_.before.insert(result_.before.end(), files.begin(), files.end());
  }

  int64_t BytesToRead(const std::vector<DataFileMeta>& files) const {
    int64_t bytes = 0;
    for (const DataFileMeta& file : files) bytes += file.file_size;
    if (options_.takes_up_above) {
      for (const DataFileMeta& file : FilesAbove(ExtentOf(files))) bytes += file.file_size;
    }
    return bytes;
  }

  Written WriteMerged(const std::vector<DataFileMeta>& files, const KeyRange& range) {
    MergeReader reader(context_, layout_, options_.write.folder, files, ReadAll(range));
    RunFileWriter writer(context_, layout_, names_, options_.write);
    try {
      DataChunk chunk;
      chunk.Initialize(duckdb::Allocator::DefaultAllocator(), reader.Types());
      while (reader.Next(chunk)) {
        CheckCancelled();
        writer.Write(chunk);
      }
      return {writer.Finish(), {}};
    } catch (...) {
      writer.Abort();
      throw;
    }
  }

  Written WriteTracked(const std::vector<DataFileMeta>& files, const KeyRange& range,
                       bool rewrites) {
    RunFileWriter writer(context_, layout_, names_, options_.write);
    RunFileWriter changelog(context_, layout_, names_, options_.write_changelog);
    try {
      MergeTracked(files, range, rewrites ? &writer : nullptr, changelog);
      Written written;
      written.rows = writer.Finish();
      written.changes = changelog.Finish();
      return written;
    } catch (...) {
      writer.Abort();
      changelog.Abort();
      throw;
    }
  }

  void MergeTracked(const std::vector<DataFileMeta>& files, const KeyRange& range,
                    RunFileWriter* writer, RunFileWriter& changelog) {
    MergeReadOptions read = ReadAll(range);
    auto function = MakeMergeFunction(options_.merge, layout_, read.fields);
    ReadPlan plan = PlanMerge(layout_, read, function->needed_fields());
    BatchCombiner combiner(plan, *function, layout_, read.fields, /*key_value=*/true);
    ReadPlan above_plan;
    MergeReadOptions above_read = read;
    auto batches = MakeKeyBatches(OpenRuns(files, range, plan, read, above_plan, above_read), plan,
                                  options_.takes_up_above || options_.merge.whole_above_level0);
    ChangelogMaker maker(layout_, plan, options_.changelog,
                         [&](DataChunk& rows) { changelog.Write(rows); });
    KeyBatch batch;
    DataChunk merged;
    merged.Initialize(duckdb::Allocator::DefaultAllocator(), layout_.RowTypes());
    while (batches->Next(batch)) {
      CheckCancelled();
      // Rows of a file that stays are told of as they are in it.
      combiner.Combine(batch, merged, /*pass_single=*/!options_.takes_up_above || !writer);
      if (options_.changelog.kind != CompactionChangelog::kNone) {
        maker.Add(batch, merged, combiner.kinds());
      }
      if (writer != nullptr && KeepRows(batch, combiner.kinds(), merged)) writer->Write(merged);
    }
  }

  /// The rows of the output file among the merged ones; false when there is none.
  bool KeepRows(const KeyBatch& batch, const int8_t* kinds, DataChunk& merged) const {
    bool first_row = options_.merge.engine == MergeEngine::kFirstRow;
    SelectionVector kept(kChunkRows);
    idx_t count = 0;
    for (idx_t key = 0; key < merged.size(); key++) {
      kept.set_index(count, key);
      if (options_.drop_deletes && !IsAdd(static_cast<RowKind>(kinds[key]))) continue;
      // A key that lies above has its first row there.
      if (first_row && IsAbove(batch, key)) continue;
      count++;
    }
    if (count < merged.size()) merged.Slice(kept, count);
    return count > 0;
  }

  bool IsAbove(const KeyBatch& batch, idx_t key) const {
    for (uint32_t row = batch.starts[key]; row < batch.starts[key + 1]; row++) {
      if (batch.levels[row] > unit_.output_level) return true;
    }
    return false;
  }

  /// The keys that some files hold.
  struct Extent {
    std::string least, greatest;               // Comparable.
    std::string_view least_key, greatest_key;  // As in the files' metadata.
  };

  Extent ExtentOf(const std::vector<DataFileMeta>& files) const {
    Extent range;
    for (const DataFileMeta& file : files) {
      std::string min = order_.Normalise(file.min_key), max = order_.Normalise(file.max_key);
      if (range.least_key.empty() || min < range.least) {
        range.least = min;
        range.least_key = file.min_key;
      }
      if (range.greatest_key.empty() || max > range.greatest) {
        range.greatest = max;
        range.greatest_key = file.max_key;
      }
    }
    return range;
  }

  /// Files above the output level that keys of `range` may be in.
  std::vector<DataFileMeta> FilesAbove(const Extent& range) const {
    std::vector<DataFileMeta> files;
    for (const DataFileMeta& file : options_.above) {
      bool apart = order_.Normalise(file.max_key) < range.least ||
                   order_.Normalise(file.min_key) > range.greatest;
      if (!apart) files.push_back(file);
    }
    return files;
  }

  /// `above_plan` and `above_read` are for the files above: without row groups outside of the keys
  /// of `files` and, with deletion vectors, for nothing but the rows that are marked.
  std::vector<RunInput> OpenRuns(const std::vector<DataFileMeta>& files, const KeyRange& range,
                                 const ReadPlan& plan, const MergeReadOptions& read,
                                 ReadPlan& above_plan, MergeReadOptions& above_read) const {
    std::vector<RunInput> runs;
    auto open = [&](std::vector<DataFileMeta> run, const ReadPlan& run_plan,
                    const MergeReadOptions& run_read, bool lookup_only) {
      runs.push_back(
          {RunScan(context_, layout_, options_.write.folder, std::move(run), run_plan, run_read),
           lookup_only});
    };
    for (SortedRun& run : PackIntoRuns(files, order_)) {
      open(std::move(run.files), plan, read, false);
    }
    if (!options_.takes_up_above) return runs;
    Extent extent = ExtentOf(files);
    above_plan = plan;
    using Op = FilePredicate::Op;
    above_plan.prune.push_back(
        {plan.key[0], Op::kGreaterEqual, DecodeRow(layout_.KeyTypes(), extent.least_key)[0]});
    above_plan.prune.push_back(
        {plan.key[0], Op::kLessEqual, DecodeRow(layout_.KeyTypes(), extent.greatest_key)[0]});
    std::vector<DataFileMeta> files_above = FilesInRange(FilesAbove(extent), range, order_);
    if (options_.marks_above) {
      std::erase_if(files_above,
                    [&](const DataFileMeta& file) { return !marked_.contains(file.file_name); });
      above_read.rows_of_file = [this](const DataFileMeta& file) {
        RowSet others = marked_.at(file.file_name).Complement(file.row_count);
        return FileRows{.hidden = std::make_shared<const RowSet>(std::move(others))};
      };
    }
    std::map<int, std::vector<DataFileMeta>> above;
    for (DataFileMeta& file : files_above) above[file.level].push_back(std::move(file));
    for (auto& [level, run] : above) {
      for (SortedRun& sorted : PackIntoRuns(std::move(run), order_)) {
        open(std::move(sorted.files), above_plan, above_read, true);
      }
    }
    return runs;
  }

  MergeReadOptions ReadAll(const KeyRange& range = {}) const {
    MergeReadOptions read;
    read.from_key = range.from;
    read.below_key = range.below;
    read.prune = PredicatesOf(range, layout_);
    for (idx_t i = 0; i < layout_.fields.size(); i++) read.fields.push_back(i);
    read.merge = options_.merge;
    read.drop_deletes = options_.drop_deletes;
    read.key_value = true;
    read.fields_of_schema = options_.fields_of_schema;
    read.rows_of_file = options_.rows_of_file;
    return read;
  }

  void CheckCancelled() const {
    if (!cancelled_ || !cancelled_()) return;
    Throw(ErrorCode::kCancelled, "Compacting '{}' was cancelled", options_.write.folder);
  }

  LsmContext context_;
  const KeyValueLayout& layout_;
  const KeyOrder& order_;
  const CompactUnit& unit_;
  DataFileNames& names_;
  CompactOptions options_;
  const std::function<bool()>& cancelled_;
  std::vector<DataFileMeta> candidates_;  // To be rewritten together.
  bool overlapping_ = false;              // Some of them overlap.
  std::vector<DataFileMeta> written_;
  DeletionVectors marked_;  // Of the files that are rewritten just now.
  CompactResult result_;
};

}  // namespace

CompactResult Compact(const LsmContext& context, const KeyValueLayout& layout,
                      const KeyOrder& order, const CompactUnit& unit, DataFileNames& names,
                      const CompactOptions& options, const std::function<bool()>& cancelled) {
  MILLRACE_CHECK(unit.output_level > 0);
  Task task(context, layout, order, unit, names, options, cancelled);
  try {
    return task.Run();
  } catch (...) {
    task.DeleteWritten();
    throw;
  }
}

}  // namespace millrace
