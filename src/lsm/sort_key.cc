#include "lsm/sort_key.h"

#include <cstring>

#include "base/error.h"
#include "duckdb/function/create_sort_key.hpp"

namespace millrace {

namespace {

template <typename T>
bool Widen(const UnifiedVectorFormat& format, idx_t count, int64_t* out) {
  const T* data = UnifiedVectorFormat::GetData<T>(format);
  if (!format.validity.AllValid()) {
    for (idx_t i = 0; i < count; i++) {
      if (!format.validity.RowIsValid(format.sel->get_index(i))) return false;
    }
  }
  if (!format.sel->IsSet()) {
    for (idx_t i = 0; i < count; i++) out[i] = static_cast<int64_t>(data[i]);
  } else {
    for (idx_t i = 0; i < count; i++) out[i] = static_cast<int64_t>(data[format.sel->get_index(i)]);
  }
  return true;
}

}  // namespace

bool IsIntegerKey(const duckdb::vector<LogicalType>& key_types) {
  if (key_types.size() != 1) return false;
  switch (key_types[0].InternalType()) {
    case duckdb::PhysicalType::BOOL:
    case duckdb::PhysicalType::INT8:
    case duckdb::PhysicalType::INT16:
    case duckdb::PhysicalType::INT32:
    case duckdb::PhysicalType::INT64:
      return true;
    default:
      return false;
  }
}

bool ToIntegers(Vector& column, idx_t count, int64_t* out) {
  UnifiedVectorFormat format;
  column.ToUnifiedFormat(count, format);
  switch (column.GetType().InternalType()) {
    case duckdb::PhysicalType::BOOL:
      return Widen<bool>(format, count, out);
    case duckdb::PhysicalType::INT8:
      return Widen<int8_t>(format, count, out);
    case duckdb::PhysicalType::INT16:
      return Widen<int16_t>(format, count, out);
    case duckdb::PhysicalType::INT32:
      return Widen<int32_t>(format, count, out);
    case duckdb::PhysicalType::INT64:
      return Widen<int64_t>(format, count, out);
    default:
      MILLRACE_CHECK(false);
      return false;
  }
}

void NormaliseToBlobs(DataChunk& keys, Vector& out, bool descending) {
  const duckdb::OrderModifiers order(
      descending ? duckdb::OrderType::DESCENDING : duckdb::OrderType::ASCENDING,
      duckdb::OrderByNullType::NULLS_FIRST);
  duckdb::vector<duckdb::OrderModifiers> modifiers(keys.ColumnCount(), order);
  duckdb::CreateSortKeyHelpers::CreateSortKey(keys, modifiers, out);
}

int CompareBlobs(const string_t& a, const string_t& b, idx_t from) {
  idx_t common = std::min<idx_t>(a.GetSize(), b.GetSize());
  int order =
      from < common ? std::memcmp(a.GetData() + from, b.GetData() + from, common - from) : 0;
  if (order != 0) return order;
  return a.GetSize() < b.GetSize() ? -1 : a.GetSize() > b.GetSize() ? 1 : 0;
}

}  // namespace millrace
