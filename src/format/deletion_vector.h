// deletion_vector.h - how index files say which rows of data files are deleted.
//
// A DELETION_VECTORS index file is the byte 1, then one vector per data file: length, magic, a
// roaring bitmap of row positions, CRC-32. Version 1 and 2 differ in byte order and in what the
// length in the index manifest covers (docs/format.md#deletion-vectors, DeletionVector.java).
#pragma once

#include "format/row_set.h"
#include "io/file_system.h"
#include "meta/index_manifest.h"

namespace millrace {

/// The deleted rows by name of the data file.
using DeletionVectors = std::map<std::string, RowSet>;

/// One vector, of version 1 or (`bitmap64`) 2.
std::string EncodeDeletionVector(const RowSet& rows, bool bitmap64);
/// Of either version; `length` is that of the index manifest. Bytes after the vector are ignored.
/// Throws: Error(kCorrupt) naming `file`, as all that decodes here.
RowSet DecodeDeletionVector(std::string_view bytes, int64_t length, const std::string& file);

/// A whole index file, and where in it what lies. `ranges` follows the order of `vectors`.
std::string EncodeDeletionVectors(const DeletionVectors& vectors, bool bitmap64,
                                  std::vector<DeletionVectorRange>& ranges);
/// All vectors of the index file `bytes` that `ranges` tell of.
DeletionVectors DecodeDeletionVectors(std::string_view bytes,
                                      const std::vector<DeletionVectorRange>& ranges,
                                      const std::string& file);
/// Reads one vector. Throws: Error(kCorrupt) naming the index file, also when it is missing.
std::shared_ptr<const RowSet> ReadDeletionVector(FileSystem& files, const DeletionFile& place);

}  // namespace millrace
