#include "lsm/levels.h"

#include <algorithm>
#include <queue>

#include "base/error.h"

namespace millrace {

namespace {

/// A file with its key range in comparable form.
struct Ranged {
  DataFileMeta file;
  std::string min;
  std::string max;
};

std::vector<Ranged> WithRanges(std::vector<DataFileMeta> files, const KeyOrder& order) {
  std::vector<Ranged> ranged;
  ranged.reserve(files.size());
  for (DataFileMeta& file : files) {
    std::string min = order.Normalise(file.min_key);
    std::string max = order.Normalise(file.max_key);
    ranged.push_back({std::move(file), std::move(min), std::move(max)});
  }
  std::sort(ranged.begin(), ranged.end(), [](const Ranged& a, const Ranged& b) {
    return std::tie(a.min, a.max) < std::tie(b.min, b.max);
  });
  return ranged;
}

/// Greedy: each file goes to the run whose end is least, if it fits; that gives the fewest runs.
Section FewestRuns(std::vector<Ranged> files) {
  Section runs;
  using End = std::pair<std::string, size_t>;  // Greatest key of a run, its place in `runs`.
  std::priority_queue<End, std::vector<End>, std::greater<>> ends;
  for (Ranged& ranged : files) {
    size_t place = runs.size();
    if (!ends.empty() && ranged.min > ends.top().first) {
      place = ends.top().second;
      ends.pop();
    } else {
      runs.emplace_back();
    }
    runs[place].files.push_back(std::move(ranged.file));
    ends.emplace(std::move(ranged.max), place);
  }
  return runs;
}

bool NewerFirst(const DataFileMeta& a, const DataFileMeta& b) {
  if (a.max_sequence_number != b.max_sequence_number) {
    return a.max_sequence_number > b.max_sequence_number;
  }
  return std::tie(a.min_sequence_number, a.creation_time_ms, a.file_name) <
         std::tie(b.min_sequence_number, b.creation_time_ms, b.file_name);
}

}  // namespace

int64_t SortedRun::TotalBytes() const {
  int64_t bytes = 0;
  for (const DataFileMeta& file : files) bytes += file.file_size;
  return bytes;
}

int64_t SortedRun::TotalRows() const {
  int64_t rows = 0;
  for (const DataFileMeta& file : files) rows += file.row_count;
  return rows;
}

std::vector<Section> PartitionIntoSections(std::vector<DataFileMeta> files, const KeyOrder& order) {
  std::vector<Section> sections;
  std::vector<Ranged> open;
  std::string bound;
  for (Ranged& ranged : WithRanges(std::move(files), order)) {
    if (!open.empty() && ranged.min > bound) {
      sections.push_back(FewestRuns(std::move(open)));
      open.clear();
    }
    if (open.empty() || ranged.max > bound) bound = ranged.max;
    open.push_back(std::move(ranged));
  }
  if (!open.empty()) sections.push_back(FewestRuns(std::move(open)));
  return sections;
}

std::vector<SortedRun> PackIntoRuns(std::vector<DataFileMeta> files, const KeyOrder& order) {
  return FewestRuns(WithRanges(std::move(files), order));
}

bool IsRawConvertible(const std::vector<DataFileMeta>& files) {
  for (const DataFileMeta& file : files) {
    bool no_deletes = file.delete_row_count.has_value() && *file.delete_row_count == 0;
    if (file.level == 0 || !no_deletes || file.level != files[0].level) return false;
  }
  return true;
}

Levels::Levels(KeyOrder order, const std::vector<DataFileMeta>& files, int level_count)
    : order_(std::move(order)) {
  for (const DataFileMeta& file : files) level_count = std::max(level_count, file.level + 1);
  MILLRACE_CHECK(level_count > 1);
  levels_.resize(static_cast<size_t>(level_count) - 1);
  Replace({}, files);
}

void Levels::AddLevel0(const DataFileMeta& file) {
  MILLRACE_CHECK(file.level == 0);
  auto place = std::lower_bound(level0_.begin(), level0_.end(), file, NewerFirst);
  level0_.insert(place, file);
}

void Levels::Replace(const std::vector<DataFileMeta>& before,
                     const std::vector<DataFileMeta>& after) {
  for (const DataFileMeta& file : before) {
    auto& files = file.level == 0 ? level0_ : levels_.at(file.level - 1).files;
    auto place = std::find_if(files.begin(), files.end(), [&](const DataFileMeta& other) {
      return other.file_name == file.file_name;
    });
    MILLRACE_CHECK(place != files.end());
    files.erase(place);
  }
  std::vector<bool> changed(levels_.size());
  for (const DataFileMeta& file : after) {
    if (file.level == 0) {
      AddLevel0(file);
    } else {
      levels_.at(file.level - 1).files.push_back(file);
      changed[file.level - 1] = true;
    }
  }
  for (size_t i = 0; i < levels_.size(); i++) {
    if (changed[i]) SortLevel(static_cast<int>(i) + 1);
  }
}

void Levels::SortLevel(int level) {
  SortedRun& run = levels_[level - 1];
  std::vector<Ranged> ranged = WithRanges(std::move(run.files), order_);
  run.files.clear();
  for (size_t i = 0; i < ranged.size(); i++) {
    if (i > 0 && ranged[i].min <= ranged[i - 1].max) {
      Throw(ErrorCode::kCorrupt,
            "Files '{}' and '{}' of level {} overlap in their keys, which no writer may produce",
            ranged[i - 1].file.file_name, ranged[i].file.file_name, level);
    }
    run.files.push_back(ranged[i].file);
  }
}

int Levels::HighestNonEmptyLevel() const {
  for (int level = MaxLevel(); level > 0; level--) {
    if (!levels_[level - 1].files.empty()) return level;
  }
  return level0_.empty() ? -1 : 0;
}

std::vector<LevelRun> Levels::Runs() const {
  std::vector<LevelRun> runs;
  for (const DataFileMeta& file : level0_) runs.push_back({0, {{file}}});
  for (int level = 1; level <= MaxLevel(); level++) {
    if (!levels_[level - 1].files.empty()) runs.push_back({level, levels_[level - 1]});
  }
  return runs;
}

std::vector<DataFileMeta> Levels::Files() const {
  std::vector<DataFileMeta> files = level0_;
  for (const SortedRun& run : levels_) {
    files.insert(files.end(), run.files.begin(), run.files.end());
  }
  return files;
}

int64_t Levels::MaxSequenceNumber() const {
  int64_t max = -1;
  for (const DataFileMeta& file : Files()) max = std::max(max, file.max_sequence_number);
  return max;
}

}  // namespace millrace
