#include "table/verify_indexes.h"

#include <algorithm>

#include "base/error.h"
#include "format/deletion_vector.h"
#include "format/hash_index.h"
#include "table/index_store.h"

namespace millrace {

namespace {

/// Runs a check; an index file that cannot be read is what it finds.
template <typename Body>
void Telling(const std::string& file, std::vector<Finding>& findings, Body check) {
  try {
    check();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kIo) throw;
    findings.push_back({Finding::Severity::kError, file, error.text()});
  }
}

}  // namespace

void IndexVerifier::Check(const Snapshot& snapshot, const std::vector<ManifestEntry>& live,
                          std::vector<Finding>& findings) {
  if (!snapshot.index_manifest) return;
  std::string manifest = files_.Short(table_.manifests.PathOf(*snapshot.index_manifest));
  Telling(manifest, findings, [&] {
    std::vector<IndexManifestEntry> entries = ReadIndexEntries(table_, snapshot);
    std::map<std::string, int64_t> rows;
    for (const ManifestEntry& entry : live) {
      if (entry.kind == FileKind::kAdd) rows[entry.file.file_name] = entry.file.row_count;
    }
    std::map<std::string, std::string> told_by;  // Data file -> index file.
    for (const IndexManifestEntry& entry : entries) {
      std::string file = files_.Short(IndexFilePath(table_, entry));
      CheckEntry(entry, findings);
      if (!entry.deletion_vectors) continue;
      for (const DeletionVectorRange& range : *entry.deletion_vectors) {
        auto [first, is_new] = told_by.try_emplace(range.data_file, file);
        if (is_new) continue;
        findings.push_back({Finding::Severity::kError, file,
                            fmt::format("deletes rows of file {}, and so does {}", range.data_file,
                                        first->second)});
      }
      Telling(file, findings, [&] { CheckVectors(entry, rows, findings); });
    }
    if (full_) CheckHashes(entries, findings);
  });
}

void IndexVerifier::CheckEntry(const IndexManifestEntry& entry, std::vector<Finding>& findings) {
  std::string path = IndexFilePath(table_, entry);
  if (!checked_.insert(path).second) return;
  files_.CheckFile(path, entry.file_size, findings);
  auto say = [&](std::string problem) {
    findings.push_back({Finding::Severity::kError, files_.Short(path), std::move(problem)});
  };
  if (entry.index_type == kHashIndex && entry.row_count * 4 != entry.file_size) {
    say(fmt::format("has {} bytes for {} hashes of 4 bytes", entry.file_size, entry.row_count));
  }
  if (!entry.deletion_vectors) return;
  int64_t vectors = static_cast<int64_t>(entry.deletion_vectors->size());
  if (entry.row_count != vectors) {
    say(fmt::format("has {} deletion vectors; its manifest says {}", vectors, entry.row_count));
  }
}

/// Vectors may only delete rows that are there; which those are differs from state to state.
void IndexVerifier::CheckVectors(const IndexManifestEntry& entry,
                                 const std::map<std::string, int64_t>& rows,
                                 std::vector<Finding>& findings) {
  std::string path = IndexFilePath(table_, entry);
  auto say = [&](std::string problem) {
    findings.push_back({Finding::Severity::kError, files_.Short(path), std::move(problem)});
  };
  DeletionVectors vectors;
  bool read = full_ && checked_.insert(path + " (content)").second;
  if (read) {
    vectors = DecodeDeletionVectors(ReadIndexFile(table_, entry), *entry.deletion_vectors, path);
  }
  for (const DeletionVectorRange& range : *entry.deletion_vectors) {
    auto file = rows.find(range.data_file);
    if (file == rows.end()) {
      say(fmt::format("deletes rows of file {}, which is not in the table", range.data_file));
      continue;
    }
    auto vector = vectors.find(range.data_file);
    int64_t deleted =
        vector == vectors.end() ? range.cardinality.value_or(0) : vector->second.Size();
    if (range.cardinality && *range.cardinality != deleted) {
      say(fmt::format("deletes {} rows of file {}; its manifest says {}", deleted, range.data_file,
                      *range.cardinality));
    }
    bool beyond = vector != vectors.end() && vector->second.CountIn(0, file->second) != deleted;
    if (deleted > file->second || beyond) {
      say(fmt::format("deletes rows that file {} with its {} rows does not have", range.data_file,
                      file->second));
    }
  }
}

/// Within a partition a key lies in one bucket.
void IndexVerifier::CheckHashes(const std::vector<IndexManifestEntry>& entries,
                                std::vector<Finding>& findings) {
  std::map<RowBytes, std::vector<const IndexManifestEntry*>> partitions;
  for (const IndexManifestEntry& entry : entries) {
    if (entry.index_type == kHashIndex) partitions[entry.partition].push_back(&entry);
  }
  for (const auto& [partition, files] : partitions) {
    std::string all;
    for (const IndexManifestEntry* entry : files) all += entry->file_name + "/";
    if (!checked_.insert(all).second) continue;
    std::vector<std::pair<int32_t, uint32_t>> owners;  // Hash, position in `files`.
    for (uint32_t i = 0; i < files.size(); i++) {
      std::string path = IndexFilePath(table_, *files[i]);
      Telling(files_.Short(path), findings, [&] {
        for (int32_t hash :
             DecodeHashIndex(ReadIndexFile(table_, *files[i]), files[i]->row_count, path)) {
          owners.emplace_back(hash, i);
        }
      });
    }
    std::sort(owners.begin(), owners.end());
    for (size_t i = 1; i < owners.size(); i++) {
      if (owners[i - 1].first != owners[i].first) continue;
      const IndexManifestEntry &one = *files[owners[i - 1].second], &two = *files[owners[i].second];
      findings.push_back(
          {Finding::Severity::kError, files_.Short(IndexFilePath(table_, two)),
           &one == &two ? fmt::format("has the key hash {} twice", owners[i].first)
                        : fmt::format("has the key hash {} for bucket {}; {} has it for bucket {}",
                                      owners[i].first, two.bucket, one.file_name, one.bucket)});
      break;  // The first says enough.
    }
  }
}

}  // namespace millrace
