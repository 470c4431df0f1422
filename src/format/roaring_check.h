// roaring_check.h - whether bytes are a well-formed 32-bit roaring bitmap in the portable format.
//
// CRoaring trusts what it reads: containers out of order or with wrong counts lead to wrong answers
// or worse. Bitmaps without a checksum (file indexes) are checked before they are handed to it.
// Format: github.com/RoaringBitmap/RoaringFormatSpec.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace millrace {

/// The length of the bitmap that `bytes` begin with; nullopt when they are none.
std::optional<size_t> CheckRoaring(std::string_view bytes);

}  // namespace millrace
