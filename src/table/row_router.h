// row_router.h - which rows of a chunk go to which (partition, bucket), column by column.
#pragma once

#include "meta/manifest.h"
#include "meta/schema.h"

namespace millrace {

class BucketAssigner;

/// Rows of one chunk for one bucket, in the chunk's order.
struct RoutedRows {
  RowBytes partition;
  int bucket = 0;
  SelectionVector rows;
  idx_t count = 0;
};

/// Threads: one at a time (reuses its buffers).
class RowRouter {
 public:
  /// `buckets` <= 0: `assigner` chooses, which outlives the router; without one all rows of a
  /// partition go to bucket 0.
  RowRouter(const TableSchema& schema, int buckets, BucketAssigner* assigner = nullptr);
  std::vector<RoutedRows> Route(DataChunk& chunk);

 private:
  void RoutePartition(DataChunk& chunk, const SelectionVector& rows, idx_t count,
                      std::vector<RoutedRows>& out);
  void SplitByBucket(const RowBytes& partition, const SelectionVector& rows, idx_t count,
                     std::vector<RoutedRows>& out);

  std::vector<idx_t> partition_columns_;
  std::vector<DataType> partition_types_;
  std::vector<idx_t> bucket_key_;
  std::vector<DataType> bucket_types_;
  int buckets_;
  BucketAssigner* assigner_;
  std::vector<int> row_buckets_;  // Of the partition at hand.
  std::vector<int32_t> partition_hashes_;
  std::vector<int32_t> bucket_hashes_;
};

/// Of `rows`, those whose `columns` equal (NULL = NULL) those of row `other[i]`: true_rows gets
/// indexes into the arrays, in order. Both selections have `count` entries.
idx_t SelectEqualRows(DataChunk& chunk, const std::vector<idx_t>& columns,
                      const SelectionVector& rows, const SelectionVector& other, idx_t count,
                      SelectionVector& true_rows, SelectionVector& false_rows);

}  // namespace millrace
