#include "table/bucket_compactor.h"

#include <algorithm>

#include "base/error.h"
#include "table/write_options.h"

namespace millrace {

namespace {

/// Who sets `write-buffer-size` lower wants little memory more than several threads.
constexpr int64_t kRangesFromBytes = 128 << 20;

bool SameFile(const DataFileMeta& a, const DataFileMeta& b) {
  return a.file_name == b.file_name && a.level == b.level;
}

void DeleteQuietly(FileSystem& files, const std::string& folder, const DataFileMeta& file) {
  for (const std::string& path : DataFilePaths(folder, file)) {
    try {
      files.Delete(path);
    } catch (const Error&) {
      // An orphan: no snapshot names it.
    }
  }
}

}  // namespace

std::vector<DataFileMeta> ApplyCompaction(std::vector<DataFileMeta> files,
                                          const std::vector<DataFileMeta>& before,
                                          const std::vector<DataFileMeta>& after) {
  std::erase_if(files, [&](const DataFileMeta& file) {
    return std::any_of(before.begin(), before.end(),
                       [&](const DataFileMeta& gone) { return SameFile(file, gone); });
  });
  files.insert(files.end(), after.begin(), after.end());
  return files;
}

BucketCompactor::BucketCompactor(std::shared_ptr<const TableState> table, DataFileNames& names)
    : table_(std::move(table)),
      layout_(table_->Layout()),
      order_(layout_.KeyTypes()),
      names_(names) {}

std::optional<CompactUnit> BucketCompactor::Pick(const Levels& levels, CompactionEffort effort,
                                                 bool interval_passed,
                                                 const HiddenRows& hidden) const {
  // Somebody writes with a newer schema already: rewriting his files would drop what it has added.
  for (const DataFileMeta& file : levels.Files()) {
    if (file.schema_id > layout_.schema_id) return std::nullopt;
  }
  if (effort == CompactionEffort::kFull) {
    return UniversalCompaction::PickAll(
        levels, [&](const DataFileMeta& file) { return hidden.contains(file.file_name); });
  }
  if (interval_passed && levels.Runs().size() > 1) return UniversalCompaction::PickAll(levels);
  UniversalCompaction strategy(table_->parsed.compaction);
  auto unit = strategy.Pick(levels);
  return unit || !table_->parsed.LooksUp() ? unit : strategy.PickLevel0(levels);
}

bool BucketCompactor::HasWork(const std::vector<DataFileMeta>& files, CompactionEffort effort,
                              bool interval_passed) const {
  if (files.empty()) return false;
  return Pick(Levels(order_, files, table_->parsed.level_count), effort, interval_passed, {})
      .has_value();
}

size_t BucketCompactor::RunCount(const std::vector<DataFileMeta>& files) const {
  std::vector<bool> levels(256);
  size_t runs = 0;
  for (const DataFileMeta& file : files) {
    if (file.level > 0 && levels[static_cast<uint8_t>(file.level)]) continue;
    levels[static_cast<uint8_t>(file.level)] = true;
    runs++;
  }
  return runs;
}

BucketCompactor::HiddenRows BucketCompactor::HiddenRowsOf(const BucketFiles& bucket) {
  HiddenRows hidden;
  if (!bucket.vectors) return hidden;
  for (const auto& [file, rows] : *bucket.vectors) {
    hidden[file] = std::shared_ptr<const RowSet>(bucket.vectors, &rows);
  }
  return hidden;
}

/// Takes over what a compaction has deleted; its inputs are gone.
void BucketCompactor::Follow(const CompactResult& result, HiddenRows& hidden) {
  for (const auto& [file, rows] : result.deleted) {
    RowSet all = rows.Copy();
    std::shared_ptr<const RowSet>& known = hidden[file];
    if (known) all.AddAll(*known);
    known = std::make_shared<const RowSet>(std::move(all));
  }
  for (const DataFileMeta& file : result.before) {
    bool lifted =
        std::any_of(result.after.begin(), result.after.end(),
                    [&](const DataFileMeta& other) { return other.file_name == file.file_name; });
    if (!lifted) hidden.erase(file.file_name);
  }
}

CompactOptions BucketCompactor::OptionsFor(const std::string& folder, const Levels& levels,
                                           const CompactUnit& unit,
                                           const HiddenRows& hidden) const {
  const TableOptions& parsed = table_->parsed;
  CompactOptions options;
  options.merge = parsed.merge;
  options.marks_above = parsed.deletion_vectors;
  options.drop_deletes = MayDropDeletes(levels, unit) || options.marks_above;
  if (options.marks_above) {
    options.rows_of_file = [&hidden](const DataFileMeta& file) {
      auto found = hidden.find(file.file_name);
      return FileRows{.hidden = found == hidden.end() ? nullptr : found->second};
    };
  }
  options.max_level = levels.MaxLevel();
  if (parsed.write_buffer_bytes < kRangesFromBytes) options.range_bytes = INT64_MAX;
  options.write = DataWriteOptions(*table_, folder, unit.output_level);
  options.write_changelog = ChangelogWriteOptions(*table_, folder, unit.output_level);
  options.fields_of_schema = [table = table_](int64_t id) {
    return table->schemas.Get(id)->fields;
  };
  ChangelogOptions& changelog = options.changelog;
  changelog.max_level = levels.MaxLevel();
  changelog.inserts_only = parsed.merge.engine == MergeEngine::kFirstRow;
  changelog.leaves_out_same = parsed.changelog_row_deduplicate;
  changelog.compared = parsed.changelog_compared;
  if (parsed.changelog_producer == ChangelogProducer::kFullCompaction) {
    changelog.kind = CompactionChangelog::kFullCompaction;
  } else if (parsed.changelog_producer == ChangelogProducer::kLookup) {
    changelog.kind = CompactionChangelog::kLookup;
  }
  options.takes_up_above = parsed.LooksUp();
  if (options.takes_up_above) {
    for (const DataFileMeta& file : levels.Files()) {
      if (file.level > unit.output_level) options.above.push_back(file);
    }
  }
  return options;
}

CompactResult BucketCompactor::Run(const BucketFiles& bucket, CompactionEffort effort,
                                   bool interval_passed,
                                   const std::function<bool()>& cancelled) const {
  CompactResult total;
  if (bucket.files.empty()) return total;
  std::string folder = table_->BucketFolder(bucket.partition, bucket.bucket);
  Levels levels(order_, bucket.files, table_->parsed.level_count);
  HiddenRows hidden = HiddenRowsOf(bucket);
  try {
    while (auto unit = Pick(levels, effort, interval_passed, hidden)) {
      interval_passed = false;
      CompactResult result = Compact(table_->lsm(), layout_, order_, *unit, names_,
                                     OptionsFor(folder, levels, *unit, hidden), cancelled);
      levels.Replace(result.before, result.after);
      Follow(result, hidden);
      AddResult(table_->context.files, folder, std::move(result), total);
    }
  } catch (...) {
    Discard(table_->context.files, folder, total);
    throw;
  }
  return total;
}

void BucketCompactor::AddResult(FileSystem& files, const std::string& folder, CompactResult later,
                                CompactResult& change) {
  for (auto& [name, rows] : later.deleted) change.deleted[name].AddAll(rows);
  for (const DataFileMeta& file : later.before) {
    if (std::none_of(later.after.begin(), later.after.end(), [&](const DataFileMeta& other) {
          return other.file_name == file.file_name;
        })) {
      change.deleted.erase(file.file_name);
    }
    auto same = [&](const DataFileMeta& other) { return SameFile(other, file); };
    // What this change has made already is never committed, unless it was only lifted.
    if (std::erase_if(change.after, same) == 0) {
      change.before.push_back(file);
      continue;
    }
    auto named = [&](const DataFileMeta& other) { return other.file_name == file.file_name; };
    if (std::none_of(change.before.begin(), change.before.end(), named) &&
        std::none_of(later.after.begin(), later.after.end(), named)) {
      DeleteQuietly(files, folder, file);
    }
  }
  change.after.insert(change.after.end(), later.after.begin(), later.after.end());
  change.changelog.insert(change.changelog.end(), later.changelog.begin(), later.changelog.end());
}

void BucketCompactor::Discard(FileSystem& files, const std::string& folder,
                              const CompactResult& result) {
  for (const DataFileMeta& file : result.after) {
    bool lifted =
        std::any_of(result.before.begin(), result.before.end(),
                    [&](const DataFileMeta& other) { return other.file_name == file.file_name; });
    if (!lifted) DeleteQuietly(files, folder, file);
  }
  for (const DataFileMeta& file : result.changelog) DeleteQuietly(files, folder, file);
}

}  // namespace millrace
