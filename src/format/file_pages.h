// file_pages.h - where the pages of a file's column chunks lie, so that a reader who wants few keys
// decodes few pages.
//
// All columns of a row group have pages of the same rows. Of sorted files lengths, checksums and
// the least key of each page stand in the footer's key-value metadata, which other readers skip
// (docs/format.md#pages).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/duck.h"

namespace millrace {

inline constexpr const char* kPagesKey = "millrace.pages";

/// A page with its header: bytes in the file, and their CRC-32.
struct FilePage {
  int64_t bytes = 0;
  uint32_t crc = 0;
  bool operator==(const FilePage&) const = default;
};

/// Pages in the order of the file: the dictionary, if there is one, then those with data.
using ChunkPages = std::vector<FilePage>;

struct RowGroupPages {
  int64_t rows = 0;                // Of each page but the last.
  std::vector<ChunkPages> chunks;  // Empty: nobody knows.
  std::vector<Value> least;        // Of the sorted column by page, BIGINT or VARCHAR.
  bool operator==(const RowGroupPages& other) const;
};

struct FilePages {
  std::string sorted_column;  // By whose values rows ascend; "": by none.
  std::vector<RowGroupPages> row_groups;
};

std::string FilePagesToText(const FilePages& pages);
/// nullopt: it is none of ours.
std::optional<FilePages> FilePagesFromText(std::string_view text);

}  // namespace millrace
