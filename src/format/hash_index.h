// hash_index.h - the key hashes of one dynamic bucket: 32-bit integers, big endian, in any order
// (docs/format.md#hash-index, HashIndexFile.java).
#pragma once

#include "meta/index_manifest.h"

namespace millrace {

std::string EncodeHashIndex(const std::vector<int32_t>& hashes);
/// `file` only names the culprit. Throws: Error(kCorrupt) unless `bytes` are `row_count` hashes.
std::vector<int32_t> DecodeHashIndex(std::string_view bytes, int64_t row_count,
                                     const std::string& file);

}  // namespace millrace
