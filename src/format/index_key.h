// index_key.h - a column's values as file indexes see them: 64-bit numbers, or bytes.
//
// TIME counts in milliseconds, TIMESTAMP(0-3) too, (4-9) in microseconds; FLOAT and DOUBLE are
// their bits, all NaNs alike (FastHash.java, BitmapFileIndex.java).
#pragma once

#include "meta/data_type.h"

namespace millrace {

/// How wide a value is in a bitmap index; strings have their length before them.
enum class IndexKeyKind : uint8_t {
  kBytes,
  kBoolean,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kFloat,
  kDouble
};

/// nullopt: no index takes such a type.
std::optional<IndexKeyKind> IndexKeyKindOf(const DataType& type);

/// numbers[i] = row i of a column of `type` that is not kBytes; 0 where it is NULL. FLOAT bits are
/// sign-extended as Java does it.
void ToIndexNumbers(const DataType& type, const UnifiedVectorFormat& format, idx_t rows,
                    int64_t* numbers);
/// The same for one constant. REQUIRES: it is of the type's DuckDB type and not NULL.
int64_t ToIndexNumber(const DataType& type, const Value& constant);

}  // namespace millrace
