#include "stream/packed_rows.h"

#include <cmath>
#include <cstring>

#include "duckdb/common/operator/comparison_operators.hpp"
#include "duckdb/common/types/interval.hpp"
#include "stream/nested_value.h"

namespace millrace {

namespace {

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
  uint8_t bit = static_cast<uint8_t>(1 << (column & 7));
  idx_t byte = column >> 3;
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
  uint8_t bit = static_cast<uint8_t>(1 << (column & 7));
  idx_t byte = column >> 3;
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
  idx_t offset = (count + 63) / 64 * 8;
  if (offset == 0) offset = 8;
  for (idx_t width : {16, 8, 4, 2, 1}) {
    for (idx_t i = 0; i < count; i++) {
      if (kinds_[i] >= kString || bytes_[i] != width) continue;
      offsets_[i] = offset;
      offset += width;
    }
  }
  fixed_width_ = offset = (offset + 7) / 8 * 8;
  for (idx_t i = 0; i < count; i++) {
    if (kinds_[i] < kString) continue;
    strings_.push_back(i);
    offsets_[i] = offset;
    offset += sizeof(string_t);
  }
  width_ = offset;
}

bool RowLayout::AnyNull(const uint8_t* row) const {
  for (idx_t i = 0; i < (types_.size() + 7) / 8; i++) {
    if (row[i]) return true;
  }
  return false;
}

uint64_t RowLayout::Hash(const uint8_t* row) const {
  uint64_t hash = 0x8EBC6AF09C88C6E3ULL;
  for (idx_t at = 0; at < fixed_width_; at += 8) hash = Mix(hash ^ LoadAs<uint64_t>(row + at));
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
        rows[column >> 3] |= static_cast<uint8_t>(1 << (column & 7));
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
  for (idx_t i = 0; i < columns.size(); i++) {
    layout.Scatter(i, *columns[i], count, rows_.data(), width_, nested_);
  }
  if (!hash) return;
  hashes_.resize(count);
  for (idx_t i = 0; i < count; i++) hashes_[i] = layout.Hash(Row(i));
}

RowStore::~RowStore() = default;

uint8_t* RowStore::Carve(idx_t size) {
  if (size > left_) {
    idx_t block = std::max<idx_t>(size, blocks_.size() < 4 ? 16 << 10 : 256 << 10);
    blocks_.emplace_back(new uint8_t[block]);
    bytes_ += static_cast<int64_t>(block);
    next_ = blocks_.back().get();
    left_ = block;
  }
  uint8_t* result = next_;
  next_ += size;
  left_ -= size;
  return result;
}

uint8_t* RowStore::New() {
  uint8_t* row = free_rows_;
  if (row) {
    memcpy(&free_rows_, row, sizeof(row));
  } else {
    row = Carve(row_bytes_);
  }
  memset(row, 0, row_bytes_);
  return row;
}

void RowStore::Free(uint8_t* row) {
  memcpy(row, &free_rows_, sizeof(row));
  free_rows_ = row;
}

char* RowStore::NewString(idx_t size) {
  idx_t size_class = (size + 15) / 16;
  if (size_class > kClasses) {
    auto owned = std::make_unique<char[]>(size);
    char* data = owned.get();
    bytes_ += static_cast<int64_t>(size);
    large_.emplace(data, std::move(owned));
    return data;
  }
  char* data = free_strings_[size_class];
  if (!data) return reinterpret_cast<char*>(Carve(size_class * 16));
  memcpy(&free_strings_[size_class], data, sizeof(data));
  return data;
}

void RowStore::FreeString(char* data, idx_t size) {
  idx_t size_class = (size + 15) / 16;
  if (size_class > kClasses) {
    bytes_ -= static_cast<int64_t>(size);
    large_.erase(data);
    return;
  }
  memcpy(data, &free_strings_[size_class], sizeof(data));
  free_strings_[size_class] = data;
}

void RowStore::Intern(const RowLayout& layout, uint8_t* row) {
  for (idx_t column : layout.StringColumns()) {
    auto& text = *reinterpret_cast<string_t*>(const_cast<uint8_t*>(layout.ValueAt(row, column)));
    if (text.IsInlined()) continue;
    char* data = NewString(text.GetSize());
    memcpy(data, text.GetData(), text.GetSize());
    text = string_t(data, static_cast<uint32_t>(text.GetSize()));
  }
}

void RowStore::Release(const RowLayout& layout, uint8_t* row) {
  for (idx_t column : layout.StringColumns()) {
    auto& text = *reinterpret_cast<string_t*>(const_cast<uint8_t*>(layout.ValueAt(row, column)));
    if (!text.IsInlined()) FreeString(text.GetDataWriteable(), text.GetSize());
    text = string_t();
    memset(static_cast<void*>(&text), 0, sizeof(text));
  }
}

RowTable::RowTable(RowLayout layout, idx_t payload_bytes)
    : layout_(std::move(layout)),
      payload_bytes_(payload_bytes),
      store_(layout_.Width() + payload_bytes),
      entries_(64),
      mask_(63) {}

uint8_t* RowTable::Find(const uint8_t* row, uint64_t hash) const {
  for (idx_t at = hash & mask_;; at = (at + 1) & mask_) {
    const Entry& entry = entries_[at];
    if (!entry.row) return nullptr;
    if (entry.hash == hash && layout_.Equal(entry.row, row)) return entry.row;
  }
}

uint8_t* RowTable::FindOrCreate(const uint8_t* row, uint64_t hash, bool& created) {
  idx_t at = hash & mask_;
  for (; entries_[at].row; at = (at + 1) & mask_) {
    if (entries_[at].hash == hash && layout_.Equal(entries_[at].row, row)) {
      created = false;
      return entries_[at].row;
    }
  }
  created = true;
  uint8_t* copy = store_.New();
  memcpy(copy, row, layout_.Width());
  if (layout_.HasStrings()) store_.Intern(layout_, copy);
  entries_[at] = {hash, copy};
  size_++;
  if (size_ * 2 > mask_) Grow();
  return copy;
}

void RowTable::FindOrCreateAll(RowBatch& batch, idx_t count, uint8_t** rows) {
  constexpr idx_t kAhead = 16;
  bool created;
  for (idx_t i = 0; i < count; i++) {
    if (i + kAhead < count) Prefetch(batch.HashOf(i + kAhead));
    if (i + kAhead / 2 < count) {
      __builtin_prefetch(entries_[batch.HashOf(i + kAhead / 2) & mask_].row);
    }
    rows[i] = FindOrCreate(batch.Row(i), batch.HashOf(i), created);
  }
}

void RowTable::Erase(uint8_t* row) {
  idx_t at = layout_.Hash(row) & mask_;
  while (entries_[at].row != row) {
    MILLRACE_CHECK(entries_[at].row != nullptr);
    at = (at + 1) & mask_;
  }
  // Close the gap: move back whatever would not be found across it.
  for (idx_t next = (at + 1) & mask_; entries_[next].row; next = (next + 1) & mask_) {
    idx_t home = entries_[next].hash & mask_;
    if (((next - home) & mask_) >= ((next - at) & mask_)) {
      entries_[at] = entries_[next];
      at = next;
    }
  }
  entries_[at] = {0, nullptr};
  size_--;
  if (layout_.HasStrings()) store_.Release(layout_, row);
  store_.Free(row);
}

void RowTable::Clear() {
  if (size_ == 0) return;
  for (Entry& entry : entries_) {
    if (!entry.row) continue;
    if (layout_.HasStrings()) store_.Release(layout_, entry.row);
    store_.Free(entry.row);
    entry = {0, nullptr};
  }
  if (entries_.size() > 65536) {  // Do not pay for one big step in every later one.
    entries_.assign(64, Entry{0, nullptr});
    entries_.shrink_to_fit();
    mask_ = 63;
  }
  size_ = 0;
}

void RowTable::Grow() {
  std::vector<Entry> old(entries_.size() * 2);
  old.swap(entries_);
  mask_ = entries_.size() - 1;
  for (const Entry& entry : old) {
    if (!entry.row) continue;
    idx_t at = entry.hash & mask_;
    while (entries_[at].row) at = (at + 1) & mask_;
    entries_[at] = entry;
  }
}

}  // namespace millrace
