#include "table/append_compaction.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "base/error.h"
#include "duckdb/common/allocator.hpp"
#include "format/deletion_vector.h"
#include "lsm/merge_reader.h"
#include "table/file_references.h"
#include "table/row_sorter.h"
#include "table/vector_merge.h"
#include "table/write_options.h"

namespace millrace {

namespace {

using Files = AppendCompactor::Files;
using Vectors = AppendCompactor::Vectors;

constexpr size_t kFullCompactionFilesMin = 3;  // Of a bucket without deleted rows.

/// What of a data file is deleted, by the index file that says so.
struct FileDeletions {
  const IndexManifestEntry* index_file;
  const DeletionVectorRange* range;
};

std::map<std::string, FileDeletions> ByDataFile(const Vectors& vectors) {
  std::map<std::string, FileDeletions> found;
  for (const IndexManifestEntry& entry : vectors) {
    if (!entry.deletion_vectors) continue;
    for (const DeletionVectorRange& range : *entry.deletion_vectors) {
      found[range.data_file] = {&entry, &range};
    }
  }
  return found;
}

/// Without buckets all writers count from 0: there the clock orders their files.
void SortForRewrite(Files& files, bool by_sequence) {
  std::stable_sort(files.begin(), files.end(), [&](const DataFileMeta& a, const DataFileMeta& b) {
    int64_t time_a = by_sequence ? 0 : a.creation_time_ms.value_or(0);
    int64_t time_b = by_sequence ? 0 : b.creation_time_ms.value_or(0);
    return std::tie(time_a, a.min_sequence_number) < std::tie(time_b, b.min_sequence_number);
  });
}

}  // namespace

AppendCompactor::AppendCompactor(std::shared_ptr<const TableState> table, DataFileNames& names,
                                 std::vector<idx_t> order_by)
    : table_(std::move(table)),
      layout_(table_->Layout()),
      names_(names),
      order_by_(std::move(order_by)) {}

/// Somebody writes with a newer schema already: rewriting his files would drop what it has added.
bool AppendCompactor::IsNewer(const Files& files) const {
  return std::any_of(files.begin(), files.end(),
                     [&](const DataFileMeta& file) { return file.schema_id > layout_.schema_id; });
}

bool AppendCompactor::IsSmall(const DataFileMeta& file) const {
  return file.file_size < table_->parsed.append_small_bytes;
}

std::vector<Files> AppendCompactor::Pick(Files files, const Vectors& vectors,
                                         CompactionEffort effort) const {
  if (files.empty() || IsNewer(files)) return {};
  if (!order_by_.empty()) return {std::move(files)};
  if (table_->HasBuckets()) return PickInSequence(std::move(files), vectors, effort);
  if (effort == CompactionEffort::kAsNeeded) return PickFromPartition(std::move(files), vectors);
  auto deletions = ByDataFile(vectors);
  std::erase_if(files, [&](const DataFileMeta& file) {
    return !IsSmall(file) && !deletions.contains(file.file_name);
  });
  if (files.empty() || (files.size() == 1 && !deletions.contains(files[0].file_name))) return {};
  SortForRewrite(files, false);
  return {std::move(files)};
}

std::vector<Files> AppendCompactor::PickInSequence(Files files, const Vectors& vectors,
                                                   CompactionEffort effort) const {
  std::vector<Files> groups;
  if (effort == CompactionEffort::kFull) {
    Files all = PickAll(files, vectors);
    if (!all.empty()) return {std::move(all)};
  }
  while (auto picked = PickOne(files)) {
    int64_t last = picked->back().min_sequence_number;
    std::erase_if(files,
                  [&](const DataFileMeta& file) { return file.min_sequence_number <= last; });
    groups.push_back(std::move(*picked));
  }
  return groups;
}

/// From the first file on that is small or has deleted rows; empty when that is not worth it.
Files AppendCompactor::PickAll(Files files, const Vectors& vectors) const {
  auto deletions = ByDataFile(vectors);
  auto has_deletions = [&](const DataFileMeta& file) { return deletions.contains(file.file_name); };
  SortForRewrite(files, true);
  auto first = std::find_if(files.begin(), files.end(), [&](const DataFileMeta& file) {
    return IsSmall(file) || has_deletions(file);
  });
  files.erase(files.begin(), first);
  auto small = static_cast<size_t>(std::count_if(
      files.begin(), files.end(), [&](const DataFileMeta& file) { return IsSmall(file); }));
  bool many = files.size() >= kFullCompactionFilesMin && small > files.size() - small;
  if (!many && std::none_of(files.begin(), files.end(), has_deletions)) return {};
  return files;
}

std::optional<Files> AppendCompactor::PickOne(Files files) const {
  if (IsNewer(files)) return std::nullopt;
  SortForRewrite(files, true);
  // What has grown large stays as it is while the next files come.
  auto first = std::find_if(files.begin(), files.end(),
                            [&](const DataFileMeta& file) { return IsSmall(file); });
  int64_t bytes = 0;
  for (auto last = first; last != files.end(); ++last) {
    bytes += last->file_size;
    if (last - first + 1 >= table_->parsed.append_min_files) return Files(first, last + 1);
    if (bytes >= table_->parsed.target_file_bytes * 2) bytes -= (first++)->file_size;
  }
  return std::nullopt;
}

/// Collects `items`, least first, until there is enough for two files; with `keep_rest` also what
/// is left over in the end.
std::vector<Files> AppendCompactor::Pack(std::vector<Files> items, bool keep_rest) const {
  const TableOptions& options = table_->parsed;
  auto bytes_of = [](const Files& files) {
    int64_t bytes = 0;
    for (const DataFileMeta& file : files) bytes += file.file_size;
    return bytes;
  };
  std::stable_sort(items.begin(), items.end(),
                   [&](const Files& a, const Files& b) { return bytes_of(a) < bytes_of(b); });
  std::vector<Files> groups;
  Files group;
  int64_t bytes = 0;
  for (Files& item : items) {
    bytes += bytes_of(item) + static_cast<int64_t>(item.size()) * options.split_open_bytes;
    std::move(item.begin(), item.end(), std::back_inserter(group));
    if (group.size() <= 1 || bytes < options.target_file_bytes * 2) continue;
    groups.push_back(std::exchange(group, {}));
    bytes = 0;
  }
  bool enough = static_cast<int64_t>(group.size()) >= options.append_min_files;
  if (enough || (keep_rest && !group.empty())) groups.push_back(std::move(group));
  for (Files& files : groups) SortForRewrite(files, false);
  return groups;
}

/// Files whose vectors lie in one index file are rewritten together, whatever their number.
std::vector<Files> AppendCompactor::PickFromPartition(Files files, const Vectors& vectors) const {
  auto deletions = ByDataFile(vectors);
  std::map<std::string, Files> with_deletions;  // By index file.
  std::vector<Files> others;
  for (DataFileMeta& file : files) {
    auto deleted = deletions.find(file.file_name);
    if (deleted == deletions.end()) {
      if (IsSmall(file)) others.push_back({std::move(file)});
      continue;
    }
    auto least = static_cast<int64_t>(static_cast<double>(file.row_count) *
                                      table_->parsed.append_delete_ratio);
    if (IsSmall(file) || deleted->second.range->cardinality.value_or(INT64_MAX) > least) {
      with_deletions[deleted->second.index_file->file_name].push_back(std::move(file));
    }
  }
  std::vector<Files> items;
  for (auto& [name, item] : with_deletions) items.push_back(std::move(item));
  std::vector<Files> groups = Pack(std::move(items), true);
  if (others.size() > 1) {
    for (Files& group : Pack(std::move(others), false)) groups.push_back(std::move(group));
  }
  return groups;
}

Files AppendCompactor::Rewrite(const RowBytes& partition, int bucket, const Files& files,
                               const Vectors& vectors,
                               const std::function<bool()>& cancelled) const {
  std::string folder = table_->BucketFolder(partition, bucket);
  auto deletions = ByDataFile(vectors);
  MergeReadOptions read;
  for (idx_t i = 0; i < layout_.fields.size(); i++) read.fields.push_back(i);
  read.fields_of_schema = [this](int64_t id) { return table_->schemas.Get(id)->fields; };
  read.rows_of_file = [&](const DataFileMeta& file) -> FileRows {
    auto deleted = deletions.find(file.file_name);
    if (deleted == deletions.end()) return {};
    const DeletionVectorRange& range = *deleted->second.range;
    DeletionFile place{IndexFilePath(*table_, *deleted->second.index_file), range.offset,
                       range.length, range.cardinality};
    return {.hidden = ReadDeletionVector(table_->context.files, place)};
  };
  RunReader reader(table_->lsm(), layout_, folder, files, read);
  RunWriteOptions write = DataWriteOptions(*table_, folder, 0);
  write.source = FileSource::kCompact;
  RunFileWriter writer(table_->lsm(), layout_, names_, std::move(write));
  int64_t sequence = files.front().min_sequence_number;
  DataChunk rows;
  rows.Initialize(duckdb::Allocator::DefaultAllocator(), reader.Types());
  std::optional<RowSorter> sorter;
  if (!order_by_.empty()) sorter.emplace(table_->context.database, reader.Types(), order_by_);
  auto write_rows = [&] {
    writer.WriteAppend(rows, sequence);
    sequence += static_cast<int64_t>(rows.size());
  };
  try {
    for (rows.Reset(); reader.Next(rows); rows.Reset()) {
      if (cancelled && cancelled()) Throw(ErrorCode::kCancelled, "The compaction was cancelled.");
      sorter ? sorter->Add(rows) : write_rows();
    }
    for (rows.Reset(); sorter && sorter->Next(rows); rows.Reset()) write_rows();
    return writer.Finish();
  } catch (...) {
    writer.Abort();
    throw;
  }
}

/// The index files that tell of `removed` go; what they say of other files is written anew.
Vectors AppendCompactor::ReplaceVectors(const Files& removed, const Vectors& vectors) const {
  std::set<std::string> names;
  for (const DataFileMeta& file : removed) names.insert(file.file_name);
  Vectors changes;
  DeletionVectors left;
  for (const IndexManifestEntry& entry : vectors) {
    if (!entry.deletion_vectors) continue;
    const auto& ranges = *entry.deletion_vectors;
    auto is_removed = [&](const DeletionVectorRange& range) {
      return names.contains(range.data_file);
    };
    if (std::none_of(ranges.begin(), ranges.end(), is_removed)) continue;
    changes.push_back(entry);
    changes.back().kind = FileKind::kDelete;
    if (std::all_of(ranges.begin(), ranges.end(), is_removed)) continue;
    left.merge(DecodeDeletionVectors(ReadIndexFile(*table_, entry), ranges,
                                     IndexFilePath(*table_, entry)));
  }
  std::erase_if(left, [&](const auto& vector) { return names.contains(vector.first); });
  if (left.empty()) return changes;
  IndexFileWriter writer(*table_);
  try {
    for (IndexManifestEntry& made : WriteVectors(*table_, changes.front(), left, writer)) {
      changes.push_back(std::move(made));
    }
  } catch (...) {
    writer.DeleteAll();
    throw;
  }
  return changes;
}

AppendCompactResult AppendCompactor::Run(const RowBytes& partition, int bucket,
                                         const std::vector<Files>& groups, const Vectors& vectors,
                                         const std::function<bool()>& cancelled) const {
  AppendCompactResult result;
  try {
    for (const Files& files : groups) {
      Files made = Rewrite(partition, bucket, files, vectors, cancelled);
      result.before.insert(result.before.end(), files.begin(), files.end());
      std::move(made.begin(), made.end(), std::back_inserter(result.after));
    }
    result.index_changes = ReplaceVectors(result.before, vectors);
  } catch (...) {
    Discard(partition, bucket, result);
    throw;
  }
  return result;
}

void AppendCompactor::Discard(const RowBytes& partition, int bucket,
                              const AppendCompactResult& result) const {
  std::string folder = table_->BucketFolder(partition, bucket);
  for (const DataFileMeta& file : result.after) {
    DeleteQuietly(*table_, DataFilePaths(folder, file));
  }
  for (const IndexManifestEntry& change : result.index_changes) {
    if (change.kind == FileKind::kAdd) DeleteQuietly(*table_, {IndexFilePath(*table_, change)});
  }
}

}  // namespace millrace
