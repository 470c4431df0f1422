#include "table/row_router.h"

#include <algorithm>
#include <numeric>

#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "meta/binary_row.h"
#include "table/bucket_assigner.h"

namespace millrace {

RowRouter::RowRouter(const TableSchema& schema, int buckets, BucketAssigner* assigner)
    : partition_columns_(schema.PartitionColumns()),
      bucket_key_(schema.BucketKey()),
      buckets_(buckets),
      assigner_(buckets > 0 ? nullptr : assigner) {
  for (idx_t column : partition_columns_) partition_types_.push_back(schema.fields[column].type);
  for (idx_t column : bucket_key_) bucket_types_.push_back(schema.fields[column].type);
}

idx_t SelectEqualRows(DataChunk& chunk, const std::vector<idx_t>& columns,
                      const SelectionVector& rows, const SelectionVector& other, idx_t count,
                      SelectionVector& true_rows, SelectionVector& false_rows) {
  std::vector<uint32_t> equal(count);
  std::iota(equal.begin(), equal.end(), 0);
  idx_t unequal = 0;
  for (idx_t column : columns) {
    idx_t left = equal.size();
    if (left == 0) break;
    SelectionVector left_rows(left), right_rows(left), yes(left), no(left);
    for (idx_t i = 0; i < left; i++) {
      left_rows.set_index(i, rows.get_index(equal[i]));
      right_rows.set_index(i, other.get_index(equal[i]));
    }
    Vector a(chunk.data[column], left_rows, left), b(chunk.data[column], right_rows, left);
    idx_t same = duckdb::VectorOperations::NotDistinctFrom(a, b, nullptr, left, &yes, &no);
    for (idx_t i = 0; i < left - same; i++) false_rows.set_index(unequal++, equal[no.get_index(i)]);
    std::vector<uint32_t> next(same);
    for (idx_t i = 0; i < same; i++) next[i] = equal[yes.get_index(i)];
    equal = std::move(next);
  }
  for (idx_t i = 0; i < equal.size(); i++) true_rows.set_index(i, equal[i]);
  std::sort(false_rows.data(), false_rows.data() + unequal);
  return equal.size();
}

std::vector<RoutedRows> RowRouter::Route(DataChunk& chunk) {
  std::vector<RoutedRows> out;
  idx_t count = chunk.size();
  if (count == 0) return out;
  if (buckets_ > 1 || assigner_) HashRows(bucket_types_, chunk, bucket_key_, bucket_hashes_);
  std::vector<uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  SelectionVector rows(count);
  if (partition_columns_.empty()) {
    for (idx_t i = 0; i < count; i++) rows.set_index(i, i);
    RoutePartition(chunk, rows, count, out);
    return out;
  }
  HashRows(partition_types_, chunk, partition_columns_, partition_hashes_);
  const std::vector<int32_t>& hashes = partition_hashes_;
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return hashes[a] < hashes[b]; });
  for (idx_t start = 0; start < count;) {
    idx_t end = start + 1;
    while (end < count && hashes[order[end]] == hashes[order[start]]) end++;
    // Equal hashes are almost always one partition; rows unlike the first go round again.
    std::vector<uint32_t> left(order.begin() + static_cast<int64_t>(start),
                               order.begin() + static_cast<int64_t>(end));
    while (!left.empty()) {
      idx_t size = left.size();
      SelectionVector candidates(size), first(size), same(size), different(size);
      for (idx_t i = 0; i < size; i++) {
        candidates.set_index(i, left[i]);
        first.set_index(i, left[0]);
      }
      idx_t matched =
          SelectEqualRows(chunk, partition_columns_, candidates, first, size, same, different);
      SelectionVector matching(matched);
      for (idx_t i = 0; i < matched; i++) matching.set_index(i, left[same.get_index(i)]);
      RoutePartition(chunk, matching, matched, out);
      std::vector<uint32_t> rest(size - matched);
      for (idx_t i = 0; i < rest.size(); i++) rest[i] = left[different.get_index(i)];
      left = std::move(rest);
    }
    start = end;
  }
  return out;
}

void RowRouter::RoutePartition(DataChunk& chunk, const SelectionVector& rows, idx_t count,
                               std::vector<RoutedRows>& out) {
  std::vector<Value> values;
  for (idx_t column : partition_columns_)
    values.push_back(chunk.GetValue(column, rows.get_index(0)));
  RowBytes partition = values.empty() ? EmptyRow() : EncodeRow(partition_types_, values);
  if (assigner_) {
    assigner_->Assign(partition, bucket_hashes_, rows, count, row_buckets_);
  } else if (buckets_ > 1) {
    row_buckets_.resize(count);
    for (idx_t i = 0; i < count; i++) {
      row_buckets_[i] = BucketOf(bucket_hashes_[rows.get_index(i)], buckets_);
    }
  } else {
    row_buckets_.assign(count, 0);
  }
  SplitByBucket(partition, rows, count, out);
}

void RowRouter::SplitByBucket(const RowBytes& partition, const SelectionVector& rows, idx_t count,
                              std::vector<RoutedRows>& out) {
  auto [least, greatest] = std::minmax_element(row_buckets_.begin(), row_buckets_.end());
  int first = *least;
  std::vector<idx_t> sizes(static_cast<size_t>(*greatest - first) + 1);
  for (int bucket : row_buckets_) sizes[static_cast<size_t>(bucket - first)]++;
  std::vector<size_t> place(sizes.size());
  for (size_t i = 0; i < sizes.size(); i++) {
    if (sizes[i] == 0) continue;
    place[i] = out.size();
    out.push_back({partition, first + static_cast<int>(i), SelectionVector(sizes[i]), 0});
  }
  for (idx_t i = 0; i < count; i++) {
    RoutedRows& routed = out[place[static_cast<size_t>(row_buckets_[i] - first)]];
    routed.rows.set_index(routed.count++, rows.get_index(i));
  }
}

}  // namespace millrace
