// page_slices.h - reads stretches of pages as if each were a row group.
//
// DuckDB's reader knows row groups only. So it is given other metadata: a stretch is a row group
// whose column chunks lie beyond the end of the file, where DuckFileSystem puts together the
// dictionary page and the stretch's own; what is passed over are row groups that nobody reads, so
// that rows keep their positions.
#pragma once

#include "format/duck_file_system.h"
#include "format/file_checksums.h"
#include "format/file_pages.h"
#include "format/parquet_file.h"
#include "parquet_types.h"

namespace millrace {

/// Pages [first, end).
struct PageRange {
  size_t first = 0;
  size_t end = 0;
  bool empty() const { return first >= end; }
};

/// A row group to be read, or some pages of it.
struct GroupSlice {
  idx_t group;
  std::optional<PageRange> pages = {};
};

struct SlicedFile {
  duckdb::unique_ptr<duckdb_parquet::FileMetaData> metadata;
  std::vector<idx_t> groups;          // Of `metadata`, that are to be read.
  std::vector<FilePart> parts;        // Ascending, one after the other.
  std::vector<ChunkChecksum> checks;  // Of their pages.
};

/// Whether `pages` tells of the chunks of `metadata`.
bool Describes(const FilePages& pages, const duckdb_parquet::FileMetaData& metadata);

/// The pages that may hold rows whose sorted column compares so with `constant`, a BIGINT or
/// VARCHAR. REQUIRES: group.least is not empty.
PageRange FindPages(const RowGroupPages& group, FilePredicate::Op op, const Value& constant);

/// `wanted` ascends. REQUIRES: Describes(pages, metadata).
SlicedFile SlicePages(const duckdb_parquet::FileMetaData& metadata, const FilePages& pages,
                      const std::vector<GroupSlice>& wanted, int64_t file_bytes);

}  // namespace millrace
