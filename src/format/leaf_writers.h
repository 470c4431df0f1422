// leaf_writers.h - column writers for what DuckDB's Parquet writer cannot store as Paimon does.
//
// TIMESTAMP and TIMESTAMP_LTZ of precision 7 to 9 are INT96, TIME inside another type is int32
// milliseconds, and FLOAT and DOUBLE keep the sign of zero and NaNs (dictionaries of DuckDB take
// -0.0 and 0.0 for one value). Also says of each leaf of a column which schema element is its own.
#pragma once

#include "format/parquet_file.h"
#include "parquet_writer.hpp"

namespace millrace {

/// Puts writers of ours where `type` has such leaves. REQUIRES: nothing has been written yet.
void ReplaceLeafWriters(duckdb::unique_ptr<duckdb::ColumnWriter>& writer, const DataType& type,
                        bool top = true);

/// Calls `visit` for each leaf of a column with its writer and its type. A MULTISET's count is INT.
void ForEachLeaf(const duckdb::ColumnWriter& writer, const DataType& type,
                 const std::function<void(const duckdb::ColumnWriter&, const DataType&)>& visit);

}  // namespace millrace
