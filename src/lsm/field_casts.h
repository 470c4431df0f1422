// field_casts.h - old values in a column's new type, as Paimon's CastExecutors.java makes them.
//
// Not SQL's casts: BIGINT to INT keeps the low bits, DOUBLE to INT saturates, a DECIMAL that does
// not fit becomes NULL, texts are cut. Which pairs there are: meta/type_casts.h. Time zones: UTC.
#pragma once

#include "meta/data_type.h"

namespace millrace {

/// Writes `count` values of one type as another; the target is flat, with room for them.
/// Throws: Error(kData) for a text that is no value of the type.
using FieldCast = std::function<void(Vector& source, Vector& target, idx_t count)>;

/// nullptr when values need no change (their DuckDB types are the same and so are all values).
/// Throws: Error(kUnsupported) for a pair that SupportsCast does not know.
FieldCast MakeFieldCast(const DataType& from, const DataType& to);

}  // namespace millrace
