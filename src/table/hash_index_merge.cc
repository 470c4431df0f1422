#include "table/hash_index_merge.h"

#include <algorithm>

#include "base/error.h"
#include "format/hash_index.h"
#include "meta/binary_row.h"
#include "table/bucket_assigner.h"

namespace millrace {

namespace {

std::vector<int32_t> ReadHashes(const TableState& table, const IndexManifestEntry& entry) {
  return DecodeHashIndex(ReadIndexFile(table, entry), entry.row_count, IndexFilePath(table, entry));
}

/// What others have written down for one partition.
struct Theirs {
  HashBuckets buckets_of;
  std::map<int, IndexManifestEntry> files;

  Theirs(const TableState& table, const std::vector<IndexManifestEntry>& entries,
         const RowBytes& partition) {
    for (const IndexManifestEntry& entry : entries) {
      if (entry.index_type != kHashIndex || entry.partition != partition) continue;
      files.emplace(entry.bucket, entry);
      for (int32_t hash : ReadHashes(table, entry)) {
        if (buckets_of.Find(hash) == HashBuckets::kNone) buckets_of.Add(hash, entry.bucket);
      }
    }
  }
};

std::optional<std::string> MergeFile(const TableState& table, const Theirs& theirs,
                                     IndexFileWriter& writer, IndexManifestEntry& ours) {
  std::vector<int32_t> hashes = ReadHashes(table, ours);
  HashBuckets merged;
  for (int32_t hash : hashes) {
    int bucket = theirs.buckets_of.Find(hash);
    if (bucket != HashBuckets::kNone && bucket != ours.bucket) {
      return fmt::format(
          "another writer has put a key of partition '{}' into bucket {} that this "
          "one put into bucket {}; let one job write a table with dynamic buckets",
          PartitionPath(table.schema, ours.partition), bucket, ours.bucket);
    }
    if (merged.Find(hash) == HashBuckets::kNone) merged.Add(hash, ours.bucket);
  }
  auto there = theirs.files.find(ours.bucket);
  if (there == theirs.files.end()) return std::nullopt;
  size_t before = hashes.size();
  for (int32_t hash : ReadHashes(table, there->second)) {
    if (merged.Find(hash) == HashBuckets::kNone) hashes.push_back(hash);
  }
  if (hashes.size() == before) return std::nullopt;
  ours.row_count = static_cast<int64_t>(hashes.size());
  writer.Write(EncodeHashIndex(hashes), ours);
  return std::nullopt;
}

}  // namespace

std::optional<std::string> MergeHashIndexes(const TableState& table,
                                            const std::vector<IndexManifestEntry>& entries,
                                            const std::map<RowBytes, std::string>& bases,
                                            IndexFileWriter& writer,
                                            std::vector<IndexManifestEntry>& changes) {
  for (const auto& [partition, base] : bases) {
    if (HashIndexState(entries, partition) == base) continue;
    Theirs theirs(table, entries, partition);
    auto is_hash = [&](const IndexManifestEntry& change) {
      return change.index_type == kHashIndex && change.partition == partition;
    };
    std::erase_if(changes, [&](const IndexManifestEntry& change) {
      return is_hash(change) && change.kind == FileKind::kDelete;
    });
    std::vector<IndexManifestEntry> replaced;
    for (IndexManifestEntry& change : changes) {
      if (!is_hash(change)) continue;
      if (auto conflict = MergeFile(table, theirs, writer, change)) return conflict;
      auto there = theirs.files.find(change.bucket);
      if (there == theirs.files.end()) continue;
      replaced.push_back(there->second);
      replaced.back().kind = FileKind::kDelete;
    }
    changes.insert(changes.end(), replaced.begin(), replaced.end());
  }
  return std::nullopt;
}

}  // namespace millrace
