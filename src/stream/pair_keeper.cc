#include "stream/pair_keeper.h"

#include "duckdb/common/vector_operations/vector_operations.hpp"

namespace millrace {

void PairKeeper::Keep(ChangeChunk& chunk, idx_t row) {
  idx_t at = pair_.size();
  if (pair_.rows.ColumnCount() == 0 && chunk.rows.ColumnCount() > 0) {
    pair_.Initialize(chunk.rows.GetTypes());
  }
  for (idx_t i = 0; i < chunk.rows.ColumnCount(); i++) {
    duckdb::VectorOperations::Copy(chunk.rows.data[i], pair_.rows.data[i], row + 1, row, at);
  }
  pair_.rows.SetCardinality(at + 1);
  pair_.kinds.push_back(chunk.KindOf(row));
}

void PairKeeper::Push(ChangeChunk& chunk, const ChangeReceiver& next) {
  idx_t size = chunk.size();
  idx_t begin = 0;
  if (pair_.size() > 0) {
    if (chunk.KindOf(0) == RowKind::kUpdateAfter) Keep(chunk, begin++);
    Flush(next);
  }
  bool open = begin < size && chunk.KindOf(size - 1) == RowKind::kUpdateBefore;
  idx_t end = open ? size - 1 : size;
  if (open) Keep(chunk, end);
  if (begin == 0 && !open) return next(chunk);
  if (begin == end) return;
  ChangeChunk part;
  if (chunk.rows.ColumnCount() > 0) part.rows.InitializeEmpty(chunk.rows.GetTypes());
  for (idx_t i = 0; i < chunk.rows.ColumnCount(); i++) {
    part.rows.data[i].Slice(chunk.rows.data[i], begin, end);
  }
  part.rows.SetCardinality(end - begin);
  part.rows.Flatten();
  part.kinds.assign(chunk.kinds.begin() + static_cast<std::ptrdiff_t>(begin),
                    chunk.kinds.begin() + static_cast<std::ptrdiff_t>(end));
  next(part);
}

void PairKeeper::Flush(const ChangeReceiver& next) {
  if (pair_.size() == 0) return;
  next(pair_);
  pair_.Reset();
}

}  // namespace millrace
