// text_casts.h - the part of field_casts.h that has texts or bytes on a side.
#pragma once

#include "lsm/field_casts.h"

namespace millrace {

inline bool IsTextOrBytes(TypeRoot root) {
  return root == TypeRoot::kChar || root == TypeRoot::kVarChar || root == TypeRoot::kBinary ||
         root == TypeRoot::kVarBinary;
}

/// nullptr when there is no such cast. Throws (when casting): Error(kData).
FieldCast MakeTextCast(const DataType& from, const DataType& to);

}  // namespace millrace
