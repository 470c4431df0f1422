// type_casts.h - into which type a column may be changed: Paimon's rules (DataTypeCasts.java and
// the casts that CastExecutors.java has). How values are then read: lsm/field_casts.h.
#pragma once

#include "meta/data_type.h"

namespace millrace {

/// Whether old values of `from` can be read as `to`; nullability does not count. `allow_explicit`:
/// also casts that may lose something, as BIGINT to INT.
bool SupportsCast(const DataType& from, const DataType& to, bool allow_explicit);

/// Whether the cast keeps order and every value, so that old statistics, cast, bound the new
/// values: INT to BIGINT, DECIMAL(10, 2) to DECIMAL(12, 2), VARCHAR(5) to STRING.
bool KeepsOrder(const DataType& from, const DataType& to);

}  // namespace millrace
