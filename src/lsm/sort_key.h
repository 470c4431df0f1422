// sort_key.h - keys in a form that compares fast: one integer as int64, everything else as bytes.
//
// Both forms live in memory only; their bytes follow DuckDB's version.
#pragma once

#include "base/duck.h"

namespace millrace {

/// True when a key of these types is one column that fits int64 with its order kept.
bool IsIntegerKey(const duckdb::vector<LogicalType>& key_types);
/// out[i] = row i of `column` as int64. False when there is a NULL.
[[nodiscard]] bool ToIntegers(Vector& column, idx_t count, int64_t* out);
/// out[i] = bytes that compare by memcmp (then length) as the rows of `keys` do, NULL first in
/// either direction. `out` is BLOB.
void NormaliseToBlobs(DataChunk& keys, Vector& out, bool descending = false);
/// Below, equal or above zero as `a` is to `b`, looking from byte `from` on.
int CompareBlobs(const string_t& a, const string_t& b, idx_t from = 0);

}  // namespace millrace
