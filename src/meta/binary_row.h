// binary_row.h - Paimon's BinaryRow: partitions, min/max keys, stats, bucket hashes.
// Byte layout, null traps and worked vectors: docs/format.md#binaryrow (BinaryRowWriter.java).
#pragma once

#include "meta/manifest.h"
#include "meta/schema.h"
#include "meta/stats_collector.h"

namespace millrace {

/// One row of atomic values -> bytes with the 4-byte big-endian arity. Values have DuckDB's types
/// of `types` (Value() for null; others are cast). Throws: Error(kUnsupported) for nested values.
RowBytes EncodeRow(const std::vector<DataType>& types, const std::vector<Value>& values);
/// Throws: Error(kCorrupt) when `bytes` are no such row; the caller knows which file they are from.
std::vector<Value> DecodeRow(const std::vector<DataType>& types, std::string_view bytes);
/// Arity 0: the partition of an unpartitioned table.
const RowBytes& EmptyRow();

/// Murmur hashes of whole columns: out[i] = hash of the BinaryRow of `columns` in row i. Columnar:
/// no Value is made. MurmurHashUtils.hashBytesByWords.
void HashRows(const std::vector<DataType>& types, DataChunk& chunk,
              const std::vector<idx_t>& columns, std::vector<int32_t>& out);
/// abs(hash % buckets).
int BucketOf(int32_t hash, int buckets);

/// A value that is not null as Java prints it: `internal` Paimon's internal one (DATE is a number
/// of days), else cast to a string.
std::string ValueText(const DataType& type, const Value& value, bool internal);

/// "dt=2022-11-22/city=x/" with Paimon's escaping; "" when unpartitioned. The texts follow the
/// schema's options partition.legacy-name and partition.default-name.
std::string PartitionPath(const TableSchema& schema, std::string_view partition);

}  // namespace millrace
