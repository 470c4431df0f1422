#include "lsm/scatter.h"

#include <algorithm>

#include "duckdb/common/types/hugeint.hpp"
#include "duckdb/common/vector_operations/vector_operations.hpp"

namespace millrace {

namespace {

template <typename T>
void ScatterData(const UnifiedVectorFormat& format, const RowPairs& pairs, Vector& target) {
  // By width alone: GetData would insist on the logical type.
  auto* from = reinterpret_cast<const T*>(format.data);
  auto* to = reinterpret_cast<T*>(duckdb::FlatVector::GetData(target));
  if (!format.sel->IsSet()) {
    for (idx_t i = 0; i < pairs.count; i++) to[pairs.target[i]] = from[pairs.source[i]];
  } else {
    for (idx_t i = 0; i < pairs.count; i++) {
      to[pairs.target[i]] = from[format.sel->get_index(pairs.source[i])];
    }
  }
}

void ScatterNulls(const UnifiedVectorFormat& format, const RowPairs& pairs, Vector& target) {
  if (format.validity.AllValid()) return;
  auto& validity = duckdb::FlatVector::Validity(target);
  for (idx_t i = 0; i < pairs.count; i++) {
    if (!format.validity.RowIsValid(format.sel->get_index(pairs.source[i]))) {
      validity.SetInvalid(pairs.target[i]);
    }
  }
}

/// Nested values: stretches of neighbouring rows at a time.
void ScatterNested(Vector& source, const RowPairs& pairs, Vector& target) {
  for (idx_t start = 0; start < pairs.count;) {
    idx_t end = start + 1;
    while (end < pairs.count && pairs.target[end] == pairs.target[end - 1] + 1) end++;
    SelectionVector rows(end - start);
    for (idx_t i = start; i < end; i++) rows.set_index(i - start, pairs.source[i]);
    duckdb::VectorOperations::Copy(source, target, rows, end - start, 0, pairs.target[start]);
    start = end;
  }
}

// How far ahead of its use a row is asked for: memory is some hundred cycles away.
constexpr idx_t kAhead = 24;

template <typename T>
void GatherData(Vector& source, const uint32_t* rows, idx_t count, Vector& target) {
  auto* from = reinterpret_cast<const T*>(duckdb::FlatVector::GetData(source));
  auto* to = reinterpret_cast<T*>(duckdb::FlatVector::GetData(target));
  for (idx_t i = 0; i < count; i++) {
    if (i + kAhead < count) __builtin_prefetch(&from[rows[i + kAhead]]);
    to[i] = from[rows[i]];
  }
}

void GatherTexts(Vector& source, const uint32_t* rows, idx_t count, Vector& target) {
  auto* from = duckdb::FlatVector::GetData<string_t>(source);
  auto* to = duckdb::FlatVector::GetData<string_t>(target);
  auto& validity = duckdb::FlatVector::Validity(source);
  for (idx_t i = 0; i < count; i++) {
    if (i + 2 * kAhead < count) __builtin_prefetch(&from[rows[i + 2 * kAhead]]);
    if (i + kAhead < count) {
      // The text itself will be read next, by whoever encodes it.
      uint32_t row = rows[i + kAhead];
      if (validity.RowIsValid(row)) __builtin_prefetch(from[row].GetData());
    }
    to[i] = from[rows[i]];
  }
}

/// Of rows 0 to `count`, those of which `is_null(i)` tells become NULL; a word of bits at a time.
template <typename F>
void SetNulls(duckdb::ValidityMask& target, idx_t count, F&& is_null) {
  constexpr idx_t kBits = duckdb::ValidityMask::BITS_PER_VALUE;
  target.EnsureWritable();
  auto* words = target.GetData();
  for (idx_t start = 0; start < count; start += kBits) {
    duckdb::validity_t nulls = 0;
    idx_t end = std::min(count - start, kBits);
    for (idx_t i = 0; i < end; i++) {
      nulls |= static_cast<duckdb::validity_t>(is_null(start + i)) << i;
    }
    words[start / kBits] &= ~nulls;
  }
}

}  // namespace

void Gather(Vector& source, const uint32_t* rows, idx_t count, Vector& target) {
  if (source.GetType().IsNested()) {
    SelectionVector chosen(std::max<idx_t>(count, 1));
    for (idx_t i = 0; i < count; i++) chosen.set_index(i, rows[i]);
    duckdb::VectorOperations::Copy(source, target, chosen, count, 0, 0);
    return;
  }
  auto& validity = duckdb::FlatVector::Validity(source);
  if (!validity.AllValid()) {
    SetNulls(duckdb::FlatVector::Validity(target), count,
             [&](idx_t i) { return !validity.RowIsValidUnsafe(rows[i]); });
  }
  switch (duckdb::GetTypeIdSize(source.GetType().InternalType())) {
    case 1:
      return GatherData<uint8_t>(source, rows, count, target);
    case 2:
      return GatherData<uint16_t>(source, rows, count, target);
    case 4:
      return GatherData<uint32_t>(source, rows, count, target);
    case 8:
      return GatherData<uint64_t>(source, rows, count, target);
    default:
      break;
  }
  if (source.GetType().InternalType() == duckdb::PhysicalType::VARCHAR) {
    duckdb::StringVector::AddHeapReference(target, source);
    return GatherTexts(source, rows, count, target);
  }
  GatherData<duckdb::hugeint_t>(source, rows, count, target);
}

void GatherOrNull(Vector& source, const uint32_t* rows, idx_t count, Vector& target) {
  const uint32_t* first = std::find(rows, rows + count, kNoRow);
  if (first == rows + count) return Gather(source, rows, count, target);
  std::vector<uint32_t> there(rows, rows + count);
  std::replace(there.begin(), there.end(), kNoRow, uint32_t{0});
  Gather(source, there.data(), count, target);
  if (source.GetType().IsNested()) {
    for (auto i = static_cast<idx_t>(first - rows); i < count; i++) {
      if (rows[i] == kNoRow) duckdb::FlatVector::SetNull(target, i, true);
    }
    return;
  }
  SetNulls(duckdb::FlatVector::Validity(target), count, [&](idx_t i) { return rows[i] == kNoRow; });
}

void Scatter(Vector& source, idx_t source_rows, const RowPairs& pairs, Vector& target) {
  if (pairs.count == 0) return;
  if (source.GetType().IsNested()) {
    ScatterNested(source, pairs, target);
    return;
  }
  UnifiedVectorFormat format;
  source.ToUnifiedFormat(source_rows, format);
  ScatterNulls(format, pairs, target);
  switch (duckdb::GetTypeIdSize(source.GetType().InternalType())) {
    case 1:
      return ScatterData<uint8_t>(format, pairs, target);
    case 2:
      return ScatterData<uint16_t>(format, pairs, target);
    case 4:
      return ScatterData<uint32_t>(format, pairs, target);
    case 8:
      return ScatterData<uint64_t>(format, pairs, target);
    default:
      break;
  }
  if (source.GetType().InternalType() == duckdb::PhysicalType::VARCHAR) {
    duckdb::StringVector::AddHeapReference(target, source);
    return ScatterData<string_t>(format, pairs, target);
  }
  ScatterData<duckdb::hugeint_t>(format, pairs, target);
}

}  // namespace millrace
