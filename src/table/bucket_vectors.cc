#include "table/bucket_vectors.h"

#include <set>

#include "table/vector_merge.h"

namespace millrace {

namespace {

uint64_t DigestOf(uint64_t seed, std::string_view name) {
  uint64_t digest = 14695981039346656037ULL ^ seed;
  for (unsigned char letter : name) digest = (digest ^ letter) * 1099511628211ULL;
  return digest * 0x9E3779B97F4A7C15ULL ^ digest >> 32;
}

/// Files that the compaction in `change` uses up.
std::set<std::string> UsedUp(const BucketChange& change) {
  std::set<std::string> names;
  for (const DataFileMeta& file : change.compact_before) names.insert(file.file_name);
  for (const DataFileMeta& file : change.compact_after) names.erase(file.file_name);  // Lifted.
  return names;
}

}  // namespace

void BucketState::Add(const DataFileMeta& file) {
  if (file.level > 0) digest_ += DigestOf(static_cast<uint64_t>(file.level), file.file_name);
}

void BucketState::Add(const IndexManifestEntry& entry) {
  if (entry.index_type == kDeletionVectorsIndex) digest_ += DigestOf(0, entry.file_name);
}

std::string BucketState::Text() const {
  return fmt::format("{:016x}", digest_);
}

VectorBase VectorBases::BaseOf(const Snapshot& snapshot, const RowBytes& partition, int bucket,
                               const std::vector<DataFileMeta>& files) {
  if (snapshot.index_manifest != manifest_) {
    files_ = ReadVectorFiles(table_, snapshot);
    manifest_ = snapshot.index_manifest;
  }
  VectorBase base;
  BucketState state;
  for (const DataFileMeta& file : files) state.Add(file);
  auto found = files_.find(BucketName(partition, bucket));
  if (found != files_.end()) {
    base.entries = found->second;
    DeletionVectors vectors;
    for (const IndexManifestEntry& entry : base.entries) {
      state.Add(entry);
      if (!entry.deletion_vectors) continue;
      vectors.merge(DecodeDeletionVectors(ReadIndexFile(table_, entry), *entry.deletion_vectors,
                                          IndexFilePath(table_, entry)));
    }
    base.vectors = std::make_shared<const DeletionVectors>(std::move(vectors));
  }
  base.state = state.Text();
  return base;
}

std::shared_ptr<const DeletionVectors> WithDeleted(std::shared_ptr<const DeletionVectors> vectors,
                                                   const DeletionVectors& deleted) {
  if (deleted.empty()) return vectors;
  DeletionVectors both;
  for (const auto* part : {vectors.get(), &deleted}) {
    for (const auto& [file, rows] : *part) both[file].AddAll(rows);
  }
  return std::make_shared<const DeletionVectors>(std::move(both));
}

void AddVectorChanges(const TableState& table, const VectorBase& base,
                      const DeletionVectors& deleted, IndexFileWriter& writer,
                      BucketChange& change) {
  change.vector_base = base.state;
  std::set<std::string> used_up = UsedUp(change);
  bool same = deleted.empty();
  DeletionVectors vectors;
  for (const auto* part : {base.vectors.get(), &deleted}) {
    for (const auto& [file, rows] : *part) {
      if (used_up.contains(file)) {
        same = false;
      } else {
        vectors[file].AddAll(rows);
      }
    }
  }
  if (same) return;
  for (const IndexManifestEntry& entry : base.entries) {
    change.compact_index_changes.push_back(entry);
    change.compact_index_changes.back().kind = FileKind::kDelete;
  }
  IndexManifestEntry where;
  where.partition = change.partition;
  where.bucket = change.bucket;
  for (IndexManifestEntry& made : WriteVectors(table, where, vectors, writer)) {
    change.compact_index_changes.push_back(std::move(made));
  }
}

}  // namespace millrace
