// index_manifest.h - the index files of a snapshot: key hashes of dynamic buckets, deletion
// vectors, global indexes. Avro on disk: docs/format.md#index-manifest (IndexManifestEntry.java).
#pragma once

#include "meta/manifest.h"

namespace millrace {

/// Where in an index file the deleted rows of one data file are.
struct DeletionVectorRange {
  std::string data_file;
  int offset = 0;
  int length = 0;  // What it covers depends on the vector's version: docs/format.md#index-manifest.
  std::optional<int64_t> cardinality;
  bool operator==(const DeletionVectorRange&) const = default;
};

/// The same for a reader: the place in the index file's path.
struct DeletionFile {
  std::string path;
  int64_t offset = 0;
  int64_t length = 0;
  std::optional<int64_t> cardinality;
  bool operator==(const DeletionFile&) const = default;
};

/// The rows and fields that a global index covers.
struct GlobalIndexMeta {
  int64_t row_range_start = 0;
  int64_t row_range_end = 0;
  int field_id = 0;
  std::optional<std::vector<int>> extra_field_ids;
  std::optional<std::string> index_meta;
  bool operator==(const GlobalIndexMeta&) const = default;
};

inline constexpr const char* kHashIndex = "HASH";
inline constexpr const char* kDeletionVectorsIndex = "DELETION_VECTORS";

struct IndexManifestEntry {
  FileKind kind = FileKind::kAdd;
  RowBytes partition;
  int bucket = 0;
  std::string index_type;
  std::string file_name;
  int64_t file_size = 0;
  int64_t row_count = 0;
  std::optional<std::vector<DeletionVectorRange>> deletion_vectors;
  std::optional<std::string> external_path;
  std::optional<GlobalIndexMeta> global_index;
  bool operator==(const IndexManifestEntry&) const = default;
};

/// Whole Avro files, as for manifests. An index manifest is the complete list of its snapshot.
std::string IndexManifestToAvro(const std::vector<IndexManifestEntry>& entries);
std::vector<IndexManifestEntry> IndexManifestFromAvro(std::string_view bytes,
                                                      const std::string& file);

}  // namespace millrace
