// scan_function.h - the DuckDB table function behind every Millrace table, lake or connector.
//
// Batch: DuckDB runs it, in parallel by unit. Streaming: the plan compiler (stream) finds its
// ScanBindData in a LogicalGet and takes the table as an input. Filters are only looked at for
// pruning; the plan keeps them.
#pragma once

#include "meta/table_definition.h"
#include "table/table.h"

#include "duckdb/function/table_function.hpp"

namespace millrace {

/// A hint with this option gives a lake table one more column, kRowIdColumn: BIGINT numbers of
/// rows, for statements that change them (table/row_changes.h).
inline constexpr const char* kRowIdOption = "millrace.row-id";
inline constexpr const char* kRowIdColumn = "_millrace_row";

/// Reads one unit (a split, a file) in batch. Threads: one at a time.
class BatchReader {
 public:
  virtual ~BatchReader() = default;
  /// Fills `chunk` with the wanted columns; false at the end.
  virtual bool Next(DataChunk& chunk) = 0;
};

/// A batch read of one table, cut into units. Threads: NextUnit is safe.
class BatchScan {
 public:
  virtual ~BatchScan() = default;
  virtual idx_t MaxThreads() const { return 1; }
  /// nullptr when nothing is left.
  virtual std::unique_ptr<BatchReader> NextUnit() = 0;
  /// How many rows there are, if that is known without reading them.
  virtual std::optional<int64_t> RowCount() const { return std::nullopt; }
  /// The least and the greatest value of a column of the table, if that is known.
  virtual std::optional<std::pair<Value, Value>> RangeOf(idx_t) const { return std::nullopt; }
};

/// What a scan wants: indexes into definition.columns.
struct BatchScanRequest {
  std::vector<idx_t> columns;
  std::vector<ColumnPredicate> predicates;
};

/// Opens batch scans of one table. Threads: safe.
using BatchScanOpener =
    std::function<std::unique_ptr<BatchScan>(duckdb::ClientContext&, const BatchScanRequest&)>;

/// Bind data of the scan: names the table, with the OPTIONS hint merged into definition->options.
struct ScanBindData : public duckdb::TableFunctionData {
  std::shared_ptr<const TableDefinition> definition;
  BatchScanOpener open;
  std::vector<ColumnPredicate> predicates;  // Found by pushdown; pruning only.
};

/// The bind data of a node that scans a table of ours; nullptr for all others.
const ScanBindData* FindScan(const duckdb::LogicalOperator& node);

/// The function: projection pushdown; column ids index definition->columns.
duckdb::TableFunction MakeScanFunction();

}  // namespace millrace
