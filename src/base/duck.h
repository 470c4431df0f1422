// duck.h - the DuckDB words that every folder uses; precompiled, so keep it narrow.
//
// Rows travel as DuckDB DataChunks from decoder to Parquet (docs/ARCHITECTURE.md). Include further
// DuckDB headers where they are needed, the narrow one, never duckdb.hpp. Never define DEBUG.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "duckdb/common/exception.hpp"
#include "duckdb/common/types/data_chunk.hpp"
#include "duckdb/common/types/value.hpp"
#include "duckdb/common/types/vector.hpp"

namespace millrace {

using duckdb::data_ptr_t;
using duckdb::DataChunk;
using duckdb::idx_t;
using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using duckdb::SelectionVector;
using duckdb::string_t;
using duckdb::UnifiedVectorFormat;
using duckdb::Value;
using duckdb::Vector;

/// Rows in a full chunk.
inline constexpr idx_t kChunkRows = STANDARD_VECTOR_SIZE;

}  // namespace millrace
