// universal_compaction.cc - which runs to compact: size amplification, size ratio, number of runs.
#include "lsm/compaction.h"

#include <algorithm>

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
  CompactUnit unit{.output_level = output_level, .files = {}};
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

int64_t TotalRows(const std::vector<LevelRun>& runs, size_t count) {
  int64_t rows = 0;
  for (size_t i = 0; i < count; i++) rows += runs[i].run.TotalRows();
  return rows;
}

bool IsLarger(int64_t size, int64_t picked, int ratio_percent) {
  return static_cast<double>(picked) * (100.0 + ratio_percent) / 100.0 < static_cast<double>(size);
}

/// Grows `count` while the next run is not larger than what is picked already (by the ratio): in
/// bytes and in rows, for where levels are compressed differently bytes alone would have a large
/// old run rewritten with a few young ones.
size_t GrowByRatio(const std::vector<LevelRun>& runs, size_t count, int ratio_percent) {
  int64_t bytes = TotalBytes(runs, count);
  int64_t rows = TotalRows(runs, count);
  for (; count < runs.size(); count++) {
    int64_t next_bytes = runs[count].run.TotalBytes(), next_rows = runs[count].run.TotalRows();
    if (IsLarger(next_bytes, bytes, ratio_percent)) break;
    if (IsLarger(next_rows, rows, ratio_percent)) break;
    bytes += next_bytes;
    rows += next_rows;
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

std::optional<CompactUnit> UniversalCompaction::PickAll(
    const Levels& levels, const std::function<bool(const DataFileMeta&)>& hides_rows) {
  std::vector<LevelRun> runs = levels.Runs();
  int max_level = levels.MaxLevel();
  if (runs.empty()) return std::nullopt;
  if (runs.size() > 1 || runs[0].level != max_level) {
    return MakeUnit(runs, runs.size(), max_level);
  }
  CompactUnit unit{.output_level = max_level, .files = {}, .rewrites_each = true};
  if (!hides_rows) return std::nullopt;
  for (const DataFileMeta& file : runs[0].run.files) {
    if (hides_rows(file)) unit.files.push_back(file);
  }
  return unit.files.empty() ? std::nullopt : std::optional(std::move(unit));
}

bool MayDropDeletes(const Levels& levels, const CompactUnit& unit) {
  return unit.output_level != 0 && unit.output_level >= levels.HighestNonEmptyLevel();
}

}  // namespace millrace
