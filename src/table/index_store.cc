#include "table/index_store.h"

#include "base/error.h"

namespace millrace {

std::vector<IndexManifestEntry> ReadIndexEntries(const TableState& table,
                                                 const Snapshot& snapshot) {
  return ReadIndexEntries(table.manifests, snapshot);
}

std::vector<IndexManifestEntry> ReadIndexEntries(const ManifestStore& manifests,
                                                 const Snapshot& snapshot) {
  if (!snapshot.index_manifest) return {};
  return manifests.ReadIndex(*snapshot.index_manifest);
}

VectorFiles ReadVectorFiles(const TableState& table, const Snapshot& snapshot) {
  VectorFiles found;
  for (IndexManifestEntry& entry : ReadIndexEntries(table, snapshot)) {
    if (entry.index_type != kDeletionVectorsIndex) continue;
    found[BucketName(entry.partition, entry.bucket)].push_back(std::move(entry));
  }
  return found;
}

std::map<std::string, DeletionFile> FindDeletions(const TableState& table,
                                                  const Snapshot& snapshot) {
  std::map<std::string, DeletionFile> deletions;
  for (const IndexManifestEntry& entry : ReadIndexEntries(table.scan_manifests, snapshot)) {
    if (!entry.deletion_vectors) continue;
    std::string path = IndexFilePath(table, entry);
    for (const DeletionVectorRange& range : *entry.deletion_vectors) {
      deletions[range.data_file] = {path, range.offset, range.length, range.cardinality};
    }
  }
  return deletions;
}

std::string IndexFilePath(const TableState& table, const IndexManifestEntry& entry) {
  if (entry.external_path) return *entry.external_path;
  std::string folder = table.parsed.index_in_data_folder
                           ? table.BucketFolder(entry.partition, entry.bucket)
                           : JoinPath(table.folder, "index");
  return JoinPath(folder, entry.file_name);
}

std::string ReadIndexFile(const TableState& table, const IndexManifestEntry& entry) {
  std::string path = IndexFilePath(table, entry);
  std::string bytes;
  try {
    bytes = table.context.files.Read(path);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
    Throw(ErrorCode::kCorrupt,
          "Cannot read table {}: its metadata names the index file {}, which is missing. If its "
          "snapshot was expired meanwhile, run the query again.",
          table.folder, path);
  }
  if (static_cast<int64_t>(bytes.size()) != entry.file_size) {
    Throw(ErrorCode::kCorrupt, "Reading index file '{}': it has {} bytes, but its manifest says {}",
          path, bytes.size(), entry.file_size);
  }
  return bytes;
}

IndexFileWriter::IndexFileWriter(const TableState& table)
    : table_(table), uuid_(table.context.random.Uuid()) {}

void IndexFileWriter::Write(std::string_view bytes, IndexManifestEntry& entry) {
  entry.file_name = fmt::format("index-{}-{}", uuid_, counter_++);
  entry.file_size = static_cast<int64_t>(bytes.size());
  written_.push_back(IndexFilePath(table_, entry));  // First: also what is half written goes.
  std::unique_ptr<WritableFile> file = table_.context.files.OpenForWrite(written_.back());
  file->Append(bytes);
  file->Close();
}

void IndexFileWriter::DeleteAll() {
  for (const std::string& path : written_) {
    try {
      table_.context.files.Delete(path);
    } catch (const Error&) {
      // An orphan: no snapshot names it.
    }
  }
  written_.clear();
}

}  // namespace millrace
