#include "lsm/compaction.h"

#include <algorithm>

#include "base/error.h"
#include "lsm/merge_reader.h"

namespace millrace {

namespace {

int64_t TotalBytes(const std::vector<LevelRun>& runs, size_t count) {
  int64_t bytes = 0;
  for (size_t i = 0; i < count; i++) bytes += runs[i].run.TotalBytes();
  return bytes;
}

/// The first `count` runs to `output_level`; nullopt when that would change nothing.
std::optional<CompactUnit> MakeUnit(const std::vector<LevelRun>& runs, size_t count,
                                    int output_level) {
  CompactUnit unit{output_level, {}};
  for (size_t i = 0; i < count; i++) {
    const auto& files = runs[i].run.files;
    unit.files.insert(unit.files.end(), files.begin(), files.end());
  }
  if (unit.files.empty()) return std::nullopt;
  if (unit.files.size() == 1 && unit.files[0].level == output_level) return std::nullopt;
  return unit;
}

/// Chooses the output level of the first `count` runs, taking more when it would be level 0.
std::optional<CompactUnit> UnitOf(const std::vector<LevelRun>& runs, size_t count, int max_level) {
  int output = count == runs.size() ? max_level : std::max(0, runs[count].level - 1);
  if (output == 0) {
    while (count < runs.size()) {
      int level = runs[count++].level;
      if (level != 0) {
        output = level;
        break;
      }
    }
  }
  if (count == runs.size()) output = max_level;
  return MakeUnit(runs, count, output);
}

/// Grows `count` while the next run is not larger than what is picked already (by the ratio).
size_t GrowByRatio(const std::vector<LevelRun>& runs, size_t count, int ratio_percent) {
  int64_t picked = TotalBytes(runs, count);
  while (count < runs.size()) {
    int64_t next = runs[count].run.TotalBytes();
    if (static_cast<double>(picked) * (100.0 + ratio_percent) / 100.0 < static_cast<double>(next)) {
      break;
    }
    picked += next;
    count++;
  }
  return count;
}

}  // namespace

std::optional<CompactUnit> UniversalCompaction::Pick(const Levels& levels) const {
  std::vector<LevelRun> runs = levels.Runs();
  int max_level = levels.MaxLevel();
  auto trigger = static_cast<size_t>(options_.trigger);
  if (runs.size() != 1 && !runs.empty()) {
    int64_t total = TotalBytes(runs, runs.size());
    int64_t top = runs.back().level == max_level ? runs.back().run.TotalBytes() : 0;
    bool small = options_.total_size_threshold && total < *options_.total_size_threshold;
    bool grown =
        options_.incremental_size_threshold && total - top > *options_.incremental_size_threshold;
    if (small || grown) return MakeUnit(runs, runs.size(), max_level);
  }
  if (runs.size() >= trigger && !runs.empty()) {
    int64_t candidates = TotalBytes(runs, runs.size() - 1);
    int64_t last = runs.back().run.TotalBytes();
    if (candidates * 100 > options_.max_size_amplification_percent * last) {
      return MakeUnit(runs, runs.size(), max_level);
    }
    size_t count = GrowByRatio(runs, 1, options_.size_ratio_percent);
    if (count > 1) return UnitOf(runs, count, max_level);
  }
  if (runs.size() > trigger) {
    size_t count = GrowByRatio(runs, runs.size() - trigger + 1, options_.size_ratio_percent);
    if (count > 1) return UnitOf(runs, count, max_level);
  }
  return std::nullopt;
}

std::optional<CompactUnit> UniversalCompaction::PickLevel0(const Levels& levels) const {
  std::vector<LevelRun> runs = levels.Runs();
  size_t count = 0;
  while (count < runs.size() && runs[count].level == 0) count++;
  if (count == 0) return std::nullopt;
  count = GrowByRatio(runs, count, options_.size_ratio_percent);
  return UnitOf(runs, count, levels.MaxLevel());
}

std::optional<CompactUnit> UniversalCompaction::PickAll(const Levels& levels) {
  std::vector<LevelRun> runs = levels.Runs();
  int max_level = levels.MaxLevel();
  if (runs.empty() || (runs.size() == 1 && runs[0].level == max_level)) return std::nullopt;
  return MakeUnit(runs, runs.size(), max_level);
}

bool MayDropDeletes(const Levels& levels, const CompactUnit& unit) {
  return unit.output_level != 0 && unit.output_level >= levels.HighestNonEmptyLevel();
}

namespace {

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
  }

  CompactResult Run() {
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
      try {
        context_.files.Delete(JoinPath(options_.write.folder, file.file_name));
      } catch (const Error&) {
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
    bool has_deletes = !file.delete_row_count.has_value() || *file.delete_row_count > 0;
    if (unit_.output_level == options_.max_level && has_deletes) {
      Rewrite({file});
    } else if (file.level != unit_.output_level) {
      result_.before.push_back(file);
      result_.after.push_back(file);
      result_.after.back().level = unit_.output_level;
    }
  }

  void Rewrite(const std::vector<DataFileMeta>& files) {
    MergeReadOptions read;
    for (idx_t i = 0; i < layout_.fields.size(); i++) read.fields.push_back(i);
    read.engine = options_.engine;
    read.drop_deletes = options_.drop_deletes;
    read.key_value = true;
    read.fields_of_schema = options_.fields_of_schema;
    MergeReader reader(context_, layout_, options_.write.folder, files, std::move(read));
    RunFileWriter writer(context_, layout_, names_, options_.write);
    try {
      DataChunk chunk;
      chunk.Initialize(duckdb::Allocator::DefaultAllocator(), reader.Types());
      while (reader.Next(chunk)) {
        if (cancelled_ && cancelled_()) {
          Throw(ErrorCode::kCancelled, "Compacting '{}' was cancelled", options_.write.folder);
        }
        writer.Write(chunk);
      }
      std::vector<DataFileMeta> rewritten = writer.Finish();
      written_.insert(written_.end(), rewritten.begin(), rewritten.end());
      result_.before.insert(result_.before.end(), files.begin(), files.end());
      result_.after.insert(result_.after.end(), rewritten.begin(), rewritten.end());
    } catch (...) {
      writer.Abort();
      throw;
    }
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
