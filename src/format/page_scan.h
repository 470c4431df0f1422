// page_scan.h - the pages in the bytes of a Parquet column chunk.
#pragma once

#include "format/file_pages.h"

namespace millrace {

/// Throws: Error(kCorrupt) when the bytes are not pages and nothing else.
ChunkPages ScanPages(std::string_view chunk);

}  // namespace millrace
