// binary_row.h - Paimon's BinaryRow: partitions, min/max keys, stats, bucket hashes.
// Byte layout, null traps and worked vectors: docs/format.md#binaryrow (BinaryRowWriter.java).
#pragma once

#include "meta/manifest.h"
#include "meta/schema.h"

namespace millrace {

/// One row of atomic values -> bytes with the 4-byte big-endian arity. Values have DuckDB's types of
/// `types` (Value() for null). Throws: Error(kUnsupported) for nested types.
RowBytes EncodeRow(const std::vector<DataType>& types, const std::vector<Value>& values);
std::vector<Value> DecodeRow(const std::vector<DataType>& types, std::string_view bytes);
/// Arity 0: the partition of an unpartitioned table.
const RowBytes& EmptyRow();

/// Murmur hashes of whole columns: out[i] = hash of the BinaryRow of `columns` in row i. Columnar: no
/// Value is made. MurmurHashUtils.hashBytesByWords.
void HashRows(const std::vector<DataType>& types, DataChunk& chunk, const std::vector<idx_t>& columns,
              std::vector<int32_t>& out);
/// abs(hash % buckets).
int BucketOf(int32_t hash, int buckets);

/// "dt=2022-11-22/city=x/" with Paimon's escaping; "" when unpartitioned. legacy = partition.legacy-name.
std::string PartitionPath(const TableSchema& schema, std::string_view partition);

/// Collects SimpleStats of columns as chunks go by, by `metadata.stats-mode` (SimpleStatsCollector.java).
/// Threads: one at a time.
class StatsCollector {
 public:
  /// `truncate` < 0: full strings.
  StatsCollector(std::vector<DataType> types, int truncate = 16);
  /// Adds `count` rows of `chunk`; column i of the collector is chunk column `first_column` + i.
  void Add(DataChunk& chunk, idx_t first_column);
  /// Stats over all columns; those without min/max support have nulls there.
  SimpleStats Finish() const;
  ~StatsCollector();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace millrace
