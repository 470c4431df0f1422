// encode_passes.h - shares the columns of a row group out among the threads that encode it.
#pragma once

#include "base/duck.h"

namespace millrace {

using ColumnList = duckdb::vector<duckdb::column_t>;

/// The columns of `sample` (the first rows), but for `left_out`, in about `count` parts of equal
/// work: those that take longest come first, and alone.
std::vector<ColumnList> PlanPasses(DataChunk& sample, idx_t count, idx_t left_out);

}  // namespace millrace
