#include "stream/row_layout.h"

#include <cmath>
#include <cstring>

#include "duckdb/common/operator/comparison_operators.hpp"
#include "duckdb/common/types/interval.hpp"
#include "stream/nested_value.h"

namespace millrace {

namespace {

idx_t AlignWord(idx_t bytes) {
  return (bytes + 7) / 8 * 8;
}

inline uint64_t Mix(uint64_t value) {
  __uint128_t product = static_cast<__uint128_t>(value) * 0x9E3779B97F4A7C15ULL;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t HashBytes(uint64_t hash, const char* data, idx_t size) {
  while (size >= 8) {
    uint64_t word;
    memcpy(&word, data, 8);
    hash = Mix(hash ^ word);
    data += 8;
    size -= 8;
  }
  uint64_t word = size;
  for (idx_t i = 0; i < size; i++) word = (word << 8) | static_cast<uint8_t>(data[i]);
  return Mix(hash ^ word ^ 0xA24BAED4963EE407ULL);
}

template <typename T>
T LoadAs(const uint8_t* at) {
  T value;
  memcpy(&value, at, sizeof(T));
  return value;
}

template <typename T>
int CompareAs(const uint8_t* a, const uint8_t* b) {
  T left = LoadAs<T>(a), right = LoadAs<T>(b);
  if (duckdb::GreaterThan::Operation<T>(right, left)) return -1;
  return duckdb::GreaterThan::Operation<T>(left, right) ? 1 : 0;
}

template <typename T>
T Canonical(T value) {
  if constexpr (std::is_floating_point_v<T>) {
    if (value == 0) return 0;
    if (std::isnan(value)) return std::numeric_limits<T>::quiet_NaN();
  }
  return value;
}

template <typename T>
void ScatterPlain(const UnifiedVectorFormat& format, idx_t count, uint8_t* rows, idx_t stride,
                  idx_t offset, idx_t column) {
  auto data = reinterpret_cast<const T*>(format.data);
  uint8_t bit = RowLayout::NullBit(column);
  idx_t byte = RowLayout::NullByte(column);
  bool all_valid = format.validity.AllValid();
  for (idx_t i = 0; i < count; i++, rows += stride) {
    idx_t at = format.sel->get_index(i);
    if (all_valid || format.validity.RowIsValid(at)) {
      T value = Canonical(data[at]);
      memcpy(rows + offset, &value, sizeof(T));
    } else {
      rows[byte] |= bit;
    }
  }
}

template <typename T>
void GatherPlain(const uint8_t* const* rows, idx_t count, idx_t offset, idx_t column,
                 Vector& vector) {
  auto data = reinterpret_cast<T*>(duckdb::FlatVector::GetData(vector));
  auto& validity = duckdb::FlatVector::Validity(vector);
  uint8_t bit = RowLayout::NullBit(column);
  idx_t byte = RowLayout::NullByte(column);
  for (idx_t i = 0; i < count; i++) {
    const uint8_t* row = rows[i];
    if (!row || (row[byte] & bit)) {
      validity.SetInvalid(i);
    } else {
      memcpy(&data[i], row + offset, sizeof(T));
    }
  }
}

}  // namespace

RowLayout::RowLayout(duckdb::vector<LogicalType> types, bool canonical)
    : types_(std::move(types)), canonical_(canonical) {
  idx_t count = types_.size();
  kinds_.resize(count);
  offsets_.resize(count);
  bytes_.resize(count);
  for (idx_t i = 0; i < count; i++) {
    switch (types_[i].InternalType()) {
      case duckdb::PhysicalType::VARCHAR:
        kinds_[i] = kString;
        break;
      case duckdb::PhysicalType::LIST:
      case duckdb::PhysicalType::ARRAY:
      case duckdb::PhysicalType::STRUCT:
        kinds_[i] = kNested;
        break;
      case duckdb::PhysicalType::FLOAT:
        kinds_[i] = kFloat;
        break;
      case duckdb::PhysicalType::DOUBLE:
        kinds_[i] = kDouble;
        break;
      case duckdb::PhysicalType::INTERVAL:
        kinds_[i] = kInterval;
        break;
      default:
        kinds_[i] = kPlain;
    }
    bytes_[i] =
        kinds_[i] >= kString ? sizeof(string_t) : duckdb::GetTypeIdSize(types_[i].InternalType());
  }
  // Narrow columns share the first words with the bits; the wide ones stay aligned.
  idx_t offset = (count + 1) / 8 + 1;
  for (idx_t width : {4, 2, 1, 0, 16, 8}) {
    if (width == 0) offset = AlignWord(offset);
    for (idx_t i = 0; i < count; i++) {
      if (kinds_[i] >= kString || bytes_[i] != width) continue;
      offsets_[i] = offset;
      offset += width;
    }
  }
  fixed_width_ = offset = AlignWord(offset);
  for (idx_t i = 0; i < count; i++) {
    if (kinds_[i] < kString) continue;
    strings_.push_back(i);
    offsets_[i] = offset;
    offset += sizeof(string_t);
  }
  width_ = offset;
}

bool RowLayout::AnyNull(const uint8_t* row) const {
  for (idx_t i = 0; i < types_.size(); i++) {
    if (IsNull(row, i)) return true;
  }
  return false;
}

uint64_t RowLayout::Hash(const uint8_t* row) const {
  uint64_t hash = Mix(0x8EBC6AF09C88C6E3ULL ^ FirstWord(row));
  for (idx_t at = 8; at < fixed_width_; at += 8) hash = Mix(hash ^ LoadAs<uint64_t>(row + at));
  for (idx_t column : strings_) {
    auto& text = *reinterpret_cast<const string_t*>(row + offsets_[column]);
    hash = HashBytes(hash, text.GetData(), text.GetSize());
  }
  return hash;
}

bool RowLayout::StringsEqual(const uint8_t* a, const uint8_t* b) const {
  for (idx_t column : strings_) {
    auto& left = *reinterpret_cast<const string_t*>(a + offsets_[column]);
    auto& right = *reinterpret_cast<const string_t*>(b + offsets_[column]);
    if (left.GetSize() != right.GetSize()) return false;
    if (memcmp(left.GetData(), right.GetData(), left.GetSize()) != 0) return false;
  }
  return true;
}

int RowLayout::Compare(const uint8_t* a, const uint8_t* b, idx_t column) const {
  bool a_null = IsNull(a, column), b_null = IsNull(b, column);
  if (a_null || b_null) return a_null == b_null ? 0 : (a_null ? 1 : -1);
  a += offsets_[column];
  b += offsets_[column];
  using duckdb::PhysicalType;
  switch (types_[column].InternalType()) {
    case PhysicalType::BOOL:
    case PhysicalType::UINT8:
      return CompareAs<uint8_t>(a, b);
    case PhysicalType::INT8:
      return CompareAs<int8_t>(a, b);
    case PhysicalType::UINT16:
      return CompareAs<uint16_t>(a, b);
    case PhysicalType::INT16:
      return CompareAs<int16_t>(a, b);
    case PhysicalType::UINT32:
      return CompareAs<uint32_t>(a, b);
    case PhysicalType::INT32:
      return CompareAs<int32_t>(a, b);
    case PhysicalType::UINT64:
      return CompareAs<uint64_t>(a, b);
    case PhysicalType::INT64:
      return CompareAs<int64_t>(a, b);
    case PhysicalType::UINT128:
      return CompareAs<duckdb::uhugeint_t>(a, b);
    case PhysicalType::INT128:
      return CompareAs<duckdb::hugeint_t>(a, b);
    case PhysicalType::FLOAT:
      return CompareAs<float>(a, b);
    case PhysicalType::DOUBLE:
      return CompareAs<double>(a, b);
    case PhysicalType::INTERVAL:
      return CompareAs<duckdb::interval_t>(a, b);
    case PhysicalType::VARCHAR:
      return CompareAs<string_t>(a, b);
    default:
      break;
  }
  return CompareNested(LoadAs<string_t>(a), LoadAs<string_t>(b), types_[column]);
}

int RowLayout::CompareRows(const uint8_t* a, const uint8_t* b) const {
  for (idx_t i = 0; i < types_.size(); i++) {
    if (int order = Compare(a, b, i)) return order;
  }
  return 0;
}

void RowLayout::Scatter(idx_t column, Vector& vector, idx_t count, uint8_t* rows, idx_t stride,
                        std::deque<std::string>& nested) const {
  idx_t offset = offsets_[column];
  if (kinds_[column] == kNested) {
    for (idx_t i = 0; i < count; i++, rows += stride) {
      Value value = vector.GetValue(i);
      if (value.IsNull()) {
        SetNull(rows, column);
        continue;
      }
      nested.push_back(EncodeNested(value));
      string_t text(nested.back().data(), static_cast<uint32_t>(nested.back().size()));
      memcpy(rows + offset, &text, sizeof(text));
    }
    return;
  }
  UnifiedVectorFormat format;
  vector.ToUnifiedFormat(count, format);
  if (kinds_[column] == kFloat)
    return ScatterPlain<float>(format, count, rows, stride, offset, column);
  if (kinds_[column] == kDouble) {
    return ScatterPlain<double>(format, count, rows, stride, offset, column);
  }
  if (kinds_[column] == kInterval && canonical_) {
    ScatterPlain<duckdb::interval_t>(format, count, rows, stride, offset, column);
    for (idx_t i = 0; i < count; i++) {
      auto value = LoadAs<duckdb::interval_t>(rows + i * stride + offset);
      int64_t months, days, micros;
      value.Normalize(months, days, micros);
      value.months = static_cast<int32_t>(months);
      value.days = static_cast<int32_t>(days);
      value.micros = micros;
      memcpy(rows + i * stride + offset, &value, sizeof(value));
    }
    return;
  }
  switch (bytes_[column]) {
    case 1:
      return ScatterPlain<uint8_t>(format, count, rows, stride, offset, column);
    case 2:
      return ScatterPlain<uint16_t>(format, count, rows, stride, offset, column);
    case 4:
      return ScatterPlain<uint32_t>(format, count, rows, stride, offset, column);
    case 8:
      return ScatterPlain<uint64_t>(format, count, rows, stride, offset, column);
    default:
      return ScatterPlain<duckdb::hugeint_t>(format, count, rows, stride, offset, column);
  }
}

void RowLayout::Gather(idx_t column, const uint8_t* const* rows, idx_t count,
                       Vector& vector) const {
  vector.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
  idx_t offset = offsets_[column];
  if (kinds_[column] == kNested) {
    for (idx_t i = 0; i < count; i++) {
      bool null = !rows[i] || IsNull(rows[i], column);
      vector.SetValue(i, null ? Value(types_[column])
                              : DecodeNested(LoadAs<string_t>(rows[i] + offset), types_[column]));
    }
    return;
  }
  switch (bytes_[column]) {
    case 1:
      return GatherPlain<uint8_t>(rows, count, offset, column, vector);
    case 2:
      return GatherPlain<uint16_t>(rows, count, offset, column, vector);
    case 4:
      return GatherPlain<uint32_t>(rows, count, offset, column, vector);
    case 8:
      return GatherPlain<uint64_t>(rows, count, offset, column, vector);
    default:
      return GatherPlain<duckdb::hugeint_t>(rows, count, offset, column, vector);
  }
}

void RowBatch::Fill(const RowLayout& layout, DataChunk& chunk, const std::vector<idx_t>* columns,
                    bool hash) {
  std::vector<Vector*> vectors;
  for (idx_t i = 0; i < layout.Columns(); i++) {
    vectors.push_back(&chunk.data[columns ? (*columns)[i] : i]);
  }
  Fill(layout, vectors, chunk.size(), hash);
}

void RowBatch::Fill(const RowLayout& layout, std::vector<Vector*>& columns, idx_t count,
                    bool hash) {
  width_ = layout.Width();
  nested_.clear();
  rows_.assign(count * width_, 0);
  for (idx_t i = 0; i < count; i++) RowLayout::MarkLive(Row(i));
  for (idx_t i = 0; i < columns.size(); i++) {
    layout.Scatter(i, *columns[i], count, rows_.data(), width_, nested_);
  }
  if (!hash) return;
  hashes_.resize(count);
  for (idx_t i = 0; i < count; i++) hashes_[i] = layout.Hash(Row(i));
}

}  // namespace millrace
