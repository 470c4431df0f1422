#include "table/vector_merge.h"

#include <algorithm>
#include <set>

#include "base/error.h"

namespace millrace {

namespace {

bool IsVectors(const IndexManifestEntry& entry) {
  return entry.index_type == kDeletionVectorsIndex && entry.deletion_vectors;
}

bool InBucket(const IndexManifestEntry& entry, const IndexManifestEntry& bucket) {
  return IsVectors(entry) && entry.partition == bucket.partition && entry.bucket == bucket.bucket;
}

DeletionVectors ReadVectors(const TableState& table, const IndexManifestEntry& entry) {
  return DecodeDeletionVectors(ReadIndexFile(table, entry), *entry.deletion_vectors,
                               IndexFilePath(table, entry));
}

bool Same(const DeletionVectors& a, const DeletionVectors& b, const std::string& data_file) {
  auto in_a = a.find(data_file), in_b = b.find(data_file);
  if (in_a == a.end() || in_b == b.end()) return (in_a == a.end()) == (in_b == b.end());
  return in_a->second == in_b->second;
}

/// One bucket's changes and what others have made of it.
class BucketMerge {
 public:
  BucketMerge(const TableState& table, const std::vector<IndexManifestEntry>& entries,
              const std::vector<IndexManifestEntry>& changes, const IndexManifestEntry& bucket)
      : table_(table), bucket_(bucket) {
    for (const IndexManifestEntry& entry : entries) {
      if (InBucket(entry, bucket)) current_.push_back(entry);
    }
    for (const IndexManifestEntry& change : changes) {
      if (!InBucket(change, bucket)) continue;
      (change.kind == FileKind::kDelete ? replaced_ : added_).push_back(change);
    }
  }

  /// Whether the files that the changes replace are all there are for these data files.
  bool Fits() const {
    std::set<std::string> replaced, data_files;
    for (const IndexManifestEntry& entry : replaced_) replaced.insert(entry.file_name);
    for (const IndexManifestEntry& entry : added_) {
      for (const auto& range : *entry.deletion_vectors) data_files.insert(range.data_file);
    }
    for (const IndexManifestEntry& entry : current_) {
      if (replaced.erase(entry.file_name) > 0) continue;
      if (table_.HasBuckets()) return false;
      for (const auto& range : *entry.deletion_vectors) {
        if (data_files.contains(range.data_file)) return false;
      }
    }
    return replaced.empty();
  }

  std::optional<std::string> Merge(IndexFileWriter& writer,
                                   std::vector<IndexManifestEntry>& changes) {
    DeletionVectors base, ours;
    try {
      for (const IndexManifestEntry& entry : replaced_) base.merge(ReadVectors(table_, entry));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kCorrupt) throw;
      return "the index file that it replaces has expired";
    }
    for (const IndexManifestEntry& entry : added_) ours.merge(ReadVectors(table_, entry));
    std::set<std::string> touched;
    for (const auto& [data_file, vector] : ours) {
      if (!Same(base, ours, data_file)) touched.insert(data_file);
    }
    for (const auto& [data_file, vector] : base) {
      if (!ours.contains(data_file)) touched.insert(data_file);
    }
    DeletionVectors theirs = TakeTheirs(touched);
    for (const std::string& data_file : touched) {
      if (!Same(base, theirs, data_file)) {
        return fmt::format("rows of file {} have been deleted meanwhile", data_file);
      }
      theirs.erase(data_file);
      auto found = ours.find(data_file);
      if (found != ours.end()) theirs.emplace(data_file, std::move(found->second));
    }
    std::erase_if(changes, [&](const auto& change) { return InBucket(change, bucket_); });
    changes.insert(changes.end(), gone_.begin(), gone_.end());
    for (IndexManifestEntry& made : WriteVectors(table_, bucket_, theirs, writer)) {
      changes.push_back(std::move(made));
    }
    return std::nullopt;
  }

 private:
  /// The vectors of the current files that have to be written anew; these files are `gone_`.
  DeletionVectors TakeTheirs(const std::set<std::string>& touched) {
    DeletionVectors theirs;
    for (const IndexManifestEntry& entry : current_) {
      const auto& ranges = *entry.deletion_vectors;
      if (!table_.HasBuckets() &&
          std::none_of(ranges.begin(), ranges.end(),
                       [&](const auto& range) { return touched.contains(range.data_file); })) {
        continue;
      }
      theirs.merge(ReadVectors(table_, entry));
      gone_.push_back(entry);
      gone_.back().kind = FileKind::kDelete;
    }
    return theirs;
  }

  const TableState& table_;
  const IndexManifestEntry bucket_;
  std::vector<IndexManifestEntry> current_, replaced_, added_, gone_;
};

}  // namespace

std::vector<IndexManifestEntry> WriteVectors(const TableState& table,
                                             const IndexManifestEntry& where,
                                             const DeletionVectors& vectors,
                                             IndexFileWriter& writer) {
  std::vector<IndexManifestEntry> made;
  auto write = [&](const DeletionVectors& part) {
    IndexManifestEntry entry;
    entry.partition = where.partition;
    entry.bucket = where.bucket;
    entry.index_type = kDeletionVectorsIndex;
    entry.row_count = static_cast<int64_t>(part.size());
    std::string bytes = EncodeDeletionVectors(part, table.parsed.deletion_vectors_64,
                                              entry.deletion_vectors.emplace());
    writer.Write(bytes, entry);
    made.push_back(std::move(entry));
  };
  if (table.HasBuckets()) {
    if (!vectors.empty()) write(vectors);
    return made;
  }
  DeletionVectors part;
  int64_t bytes = 0;
  for (const auto& [data_file, vector] : vectors) {
    bytes += vector.EncodedBytes();
    part.emplace(data_file, vector.Copy());
    if (bytes <= table.parsed.deletion_vector_bytes) continue;
    write(part);
    part.clear();
    bytes = 0;
  }
  if (!part.empty()) write(part);
  return made;
}

std::optional<std::string> MergeVectorIndexes(const TableState& table,
                                              const std::vector<IndexManifestEntry>& entries,
                                              IndexFileWriter& writer,
                                              std::vector<IndexManifestEntry>& changes) {
  std::vector<IndexManifestEntry> buckets;
  for (const IndexManifestEntry& change : changes) {
    if (IsVectors(change) && std::none_of(buckets.begin(), buckets.end(), [&](const auto& bucket) {
          return InBucket(change, bucket);
        })) {
      buckets.push_back(change);
    }
  }
  for (const IndexManifestEntry& bucket : buckets) {
    BucketMerge merge(table, entries, changes, bucket);
    if (merge.Fits()) continue;
    if (auto conflict = merge.Merge(writer, changes)) return conflict;
  }
  return std::nullopt;
}

}  // namespace millrace
