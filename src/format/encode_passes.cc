#include "format/encode_passes.h"

#include <algorithm>

namespace millrace {

namespace {

constexpr idx_t kWorkOfNested = 64;  // Per row; guesses, as are those below.
constexpr idx_t kWorkOfText = 8;
constexpr idx_t kWorkOfNumber = 4;

/// Bytes, and what it takes to look values up and to write levels.
idx_t WorkOf(Vector& values, idx_t count) {
  auto type = values.GetType().InternalType();
  if (values.GetType().IsNested()) return kWorkOfNested * count;
  if (type != duckdb::PhysicalType::VARCHAR) {
    return (kWorkOfNumber + duckdb::GetTypeIdSize(type)) * count;
  }
  UnifiedVectorFormat format;
  values.ToUnifiedFormat(count, format);
  const auto* texts = UnifiedVectorFormat::GetData<string_t>(format);
  idx_t work = kWorkOfText * count;
  for (idx_t i = 0; i < count; i++) {
    idx_t row = format.sel->get_index(i);
    if (format.validity.RowIsValid(row)) work += texts[row].GetSize();
  }
  return work;
}

}  // namespace

std::vector<ColumnList> PlanPasses(DataChunk& sample, idx_t count, idx_t left_out) {
  std::vector<std::pair<idx_t, duckdb::column_t>> by_work;
  idx_t total = 0;
  for (idx_t i = 0; i < sample.ColumnCount(); i++) {
    if (i == left_out) continue;
    by_work.emplace_back(WorkOf(sample.data[i], sample.size()), i);
    total += by_work.back().first;
  }
  std::stable_sort(by_work.begin(), by_work.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<ColumnList> passes;
  idx_t work = total;  // Of the last pass.
  for (const auto& [of_column, column] : by_work) {
    if (work + of_column > total / count) {
      passes.emplace_back();
      work = 0;
    }
    passes.back().push_back(column);
    work += of_column;
  }
  return passes;
}

}  // namespace millrace
