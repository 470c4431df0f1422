#include "table/index_changes.h"

#include <algorithm>
#include <tuple>

#include "base/error.h"

namespace millrace {

namespace {

bool IsBucketIndex(const IndexManifestEntry& entry, bool by_bucket) {
  return entry.index_type == kHashIndex || (entry.index_type == kDeletionVectorsIndex && by_bucket);
}

auto BucketKey(const IndexManifestEntry& entry) {
  return std::tie(entry.partition, entry.bucket, entry.index_type);
}

}  // namespace

std::vector<IndexManifestEntry> ApplyIndexChanges(std::vector<IndexManifestEntry> entries,
                                                  const std::vector<IndexManifestEntry>& changes) {
  std::set<std::string> removed;
  for (const IndexManifestEntry& change : changes) {
    if (change.kind == FileKind::kDelete) removed.insert(change.file_name);
  }
  std::erase_if(entries,
                [&](const IndexManifestEntry& entry) { return removed.contains(entry.file_name); });
  for (const IndexManifestEntry& change : changes) {
    if (change.kind == FileKind::kAdd) entries.push_back(change);
  }
  return entries;
}

std::optional<std::string> FindIndexConflict(const std::vector<IndexManifestEntry>& entries,
                                             const std::vector<IndexManifestEntry>& changes,
                                             bool by_bucket) {
  std::set<std::string> left;
  for (const IndexManifestEntry& entry : entries) left.insert(entry.file_name);
  for (const IndexManifestEntry& change : changes) {
    if (change.kind == FileKind::kDelete && left.erase(change.file_name) == 0) {
      return fmt::format("its {} index file {} of bucket {} is no longer in the table",
                         change.index_type, change.file_name, change.bucket);
    }
  }
  for (const IndexManifestEntry& change : changes) {
    if (change.kind != FileKind::kAdd) continue;
    if (left.contains(change.file_name)) {
      return fmt::format("index file {} is in the table already", change.file_name);
    }
    if (!IsBucketIndex(change, by_bucket)) continue;
    auto rival = std::find_if(entries.begin(), entries.end(), [&](const auto& entry) {
      return left.contains(entry.file_name) && BucketKey(entry) == BucketKey(change);
    });
    if (rival != entries.end()) {
      return fmt::format("bucket {} has the {} index file {}, which was not there before",
                         change.bucket, change.index_type, rival->file_name);
    }
  }
  return std::nullopt;
}

std::optional<std::string> FindVectorConflict(const std::vector<IndexManifestEntry>& entries,
                                              const std::vector<IndexManifestEntry>& changes,
                                              const std::set<std::string>& removed,
                                              const std::set<std::string>& live) {
  std::set<std::string> added;
  for (const IndexManifestEntry& change : changes) {
    if (change.kind == FileKind::kAdd) added.insert(change.file_name);
  }
  std::set<std::string> seen;
  for (const IndexManifestEntry& entry : entries) {
    if (!entry.deletion_vectors) continue;
    for (const DeletionVectorRange& range : *entry.deletion_vectors) {
      if (removed.contains(range.data_file)) {
        return fmt::format("rows of file {} have been deleted meanwhile (index file {})",
                           range.data_file, entry.file_name);
      }
      if (added.contains(entry.file_name) && !live.contains(range.data_file)) {
        return fmt::format("file {}, whose rows it deletes, is no longer in the table",
                           range.data_file);
      }
      if (!seen.insert(range.data_file).second) {
        return fmt::format("rows of file {} have been deleted meanwhile (index file {})",
                           range.data_file, entry.file_name);
      }
    }
  }
  return std::nullopt;
}

}  // namespace millrace
