// limit.h - what plain Parquet through DuckDB takes for the same rows: no table can be faster.
#pragma once

#include <cstdint>
#include <string>

namespace duckdb {
class DatabaseInstance;
}

namespace millrace {

/// Sorts and writes, writes, rewrites and scans `rows` generated rows (zstd level 1) with all of
/// DuckDB's threads; prints a line of JSON each: L-sort, L-write, L-append (which makes the rows
/// while it writes them, as the workloads do), L-rewrite, L-scan, L-scan-2cols.
void MeasureLimit(duckdb::DatabaseInstance& database, const std::string& folder, int64_t rows,
                  int reps);

}  // namespace millrace
