#include "table/log/column_codec.h"

#include <cstring>

namespace millrace {

namespace {

using duckdb::FlatVector;
using duckdb::list_entry_t;
using duckdb::ListVector;
using duckdb::PhysicalType;
using duckdb::StringVector;
using duckdb::StructVector;

constexpr uint8_t kTagText = 100;
constexpr uint8_t kTagList = 101;
constexpr uint8_t kTagRow = 102;

uint8_t TagOf(const LogicalType& type) {
  switch (type.InternalType()) {
    case PhysicalType::VARCHAR:
      return kTagText;
    case PhysicalType::LIST:
      return kTagList;
    case PhysicalType::STRUCT:
      return kTagRow;
    default:
      return static_cast<uint8_t>(duckdb::GetTypeIdSize(type.InternalType()));
  }
}

template <typename T>
void Put(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

template <typename T>
[[nodiscard]] bool Get(std::string_view& bytes, T& value) {
  if (bytes.size() < sizeof(T)) return false;
  std::memcpy(&value, bytes.data(), sizeof(T));
  bytes.remove_prefix(sizeof(T));
  return true;
}

[[nodiscard]] bool Take(std::string_view& bytes, size_t size, std::string_view& taken) {
  if (bytes.size() < size) return false;
  taken = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return true;
}

template <typename T>
void EncodeFixed(const UnifiedVectorFormat& format, idx_t count, std::string& bytes) {
  const T* data = reinterpret_cast<const T*>(format.data);  // By width: the type may be another.
  size_t start = bytes.size();
  bytes.resize(start + count * sizeof(T));
  char* out = bytes.data() + start;
  for (idx_t i = 0; i < count; i++, out += sizeof(T)) {
    idx_t row = format.sel->get_index(i);
    if (format.validity.RowIsValid(row)) std::memcpy(out, &data[row], sizeof(T));
  }
}

void EncodeText(const UnifiedVectorFormat& format, idx_t count, std::string& bytes) {
  const string_t* data = UnifiedVectorFormat::GetData<string_t>(format);
  size_t total = 0;
  for (idx_t i = 0; i < count; i++) {
    idx_t row = format.sel->get_index(i);
    uint32_t size = format.validity.RowIsValid(row) ? data[row].GetSize() : 0;
    Put(bytes, size);
    total += size;
  }
  bytes.reserve(bytes.size() + total);
  for (idx_t i = 0; i < count; i++) {
    idx_t row = format.sel->get_index(i);
    if (format.validity.RowIsValid(row)) bytes.append(data[row].GetData(), data[row].GetSize());
  }
}

void EncodeColumn(Vector& vector, idx_t count, std::string& bytes);

void EncodeList(Vector& vector, const UnifiedVectorFormat& format, idx_t count,
                std::string& bytes) {
  const list_entry_t* data = UnifiedVectorFormat::GetData<list_entry_t>(format);
  idx_t total = 0;
  for (idx_t i = 0; i < count; i++) {
    idx_t row = format.sel->get_index(i);
    uint32_t size = format.validity.RowIsValid(row) ? static_cast<uint32_t>(data[row].length) : 0;
    Put(bytes, size);
    total += size;
  }
  SelectionVector elements(total);
  idx_t next = 0;
  for (idx_t i = 0; i < count; i++) {
    idx_t row = format.sel->get_index(i);
    if (!format.validity.RowIsValid(row)) continue;
    for (idx_t k = 0; k < data[row].length; k++) elements.set_index(next++, data[row].offset + k);
  }
  Vector child(ListVector::GetEntry(vector), elements, total);
  EncodeColumn(child, total, bytes);
}

void EncodeNulls(const UnifiedVectorFormat& format, idx_t count, std::string& bytes) {
  bool has_nulls = false;
  if (!format.validity.AllValid()) {
    for (idx_t i = 0; i < count && !has_nulls; i++) {
      has_nulls = !format.validity.RowIsValid(format.sel->get_index(i));
    }
  }
  Put<uint8_t>(bytes, has_nulls);
  if (!has_nulls) return;
  size_t start = bytes.size();
  bytes.resize(start + (count + 7) / 8);
  for (idx_t i = 0; i < count; i++) {
    if (format.validity.RowIsValid(format.sel->get_index(i))) {
      bytes[start + i / 8] = static_cast<char>(bytes[start + i / 8] | 1 << (i % 8));
    }
  }
}

void EncodeColumn(Vector& vector, idx_t count, std::string& bytes) {
  uint8_t tag = TagOf(vector.GetType());
  Put(bytes, tag);
  if (tag >= kTagList && vector.GetVectorType() != duckdb::VectorType::FLAT_VECTOR)
    vector.Flatten(count);
  UnifiedVectorFormat format;
  vector.ToUnifiedFormat(count, format);
  EncodeNulls(format, count, bytes);
  switch (tag) {
    case 1:
      return EncodeFixed<uint8_t>(format, count, bytes);
    case 2:
      return EncodeFixed<uint16_t>(format, count, bytes);
    case 4:
      return EncodeFixed<uint32_t>(format, count, bytes);
    case 8:
      return EncodeFixed<uint64_t>(format, count, bytes);
    case 16:
      return EncodeFixed<duckdb::hugeint_t>(format, count, bytes);
    case kTagText:
      return EncodeText(format, count, bytes);
    case kTagList:
      return EncodeList(vector, format, count, bytes);
    case kTagRow: {
      auto& members = StructVector::GetEntries(vector);
      Put(bytes, static_cast<uint32_t>(members.size()));
      for (auto& member : members) EncodeColumn(*member, count, bytes);
      return;
    }
    default:
      throw duckdb::InternalException("a log batch cannot hold a column of type %s",
                                      vector.GetType().ToString());
  }
}

[[nodiscard]] bool DecodeColumn(std::string_view& bytes, idx_t count, Vector& vector);

[[nodiscard]] bool DecodeText(std::string_view& bytes, idx_t count, Vector& vector) {
  std::string_view lengths;
  if (!Take(bytes, count * sizeof(uint32_t), lengths)) return false;
  string_t* data = FlatVector::GetData<string_t>(vector);
  for (idx_t i = 0; i < count; i++) {
    uint32_t size = 0;
    std::string_view text;
    if (!Get(lengths, size) || !Take(bytes, size, text)) return false;
    data[i] = StringVector::AddStringOrBlob(vector, text.data(), text.size());
  }
  return true;
}

[[nodiscard]] bool DecodeList(std::string_view& bytes, idx_t count, Vector& vector) {
  std::string_view lengths;
  if (!Take(bytes, count * sizeof(uint32_t), lengths)) return false;
  list_entry_t* data = FlatVector::GetData<list_entry_t>(vector);
  idx_t total = 0;
  for (idx_t i = 0; i < count; i++) {
    uint32_t size = 0;
    if (!Get(lengths, size)) return false;
    data[i] = {total, size};
    total += size;
  }
  if (total > bytes.size() * 8) return false;  // Never reserve for what cannot be there.
  ListVector::Reserve(vector, total);
  ListVector::SetListSize(vector, total);
  return DecodeColumn(bytes, total, ListVector::GetEntry(vector));
}

[[nodiscard]] bool DecodeColumn(std::string_view& bytes, idx_t count, Vector& vector) {
  uint8_t tag = 0, has_nulls = 0;
  if (!Get(bytes, tag) || !Get(bytes, has_nulls) || tag != TagOf(vector.GetType())) return false;
  vector.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
  auto& validity = FlatVector::Validity(vector);
  if (has_nulls) {
    std::string_view bits;
    if (!Take(bytes, (count + 7) / 8, bits)) return false;
    for (idx_t i = 0; i < count; i++) {
      if (!(bits[i / 8] >> (i % 8) & 1)) validity.SetInvalid(i);
    }
  }
  if (tag == kTagText) return DecodeText(bytes, count, vector);
  if (tag == kTagList) return DecodeList(bytes, count, vector);
  if (tag == kTagRow) {
    auto& members = StructVector::GetEntries(vector);
    uint32_t stored = 0;
    if (!Get(bytes, stored) || stored != members.size()) return false;
    for (auto& member : members) {
      if (!DecodeColumn(bytes, count, *member)) return false;
    }
    return true;
  }
  std::string_view values;
  if (!Take(bytes, count * tag, values)) return false;
  std::memcpy(FlatVector::GetData(vector), values.data(), values.size());
  return true;
}

}  // namespace

void EncodeBlock(ChangeChunk& chunk, std::string& bytes) {
  idx_t count = chunk.size();
  Put(bytes, static_cast<uint32_t>(count));
  Put<uint8_t>(bytes, !chunk.kinds.empty());
  for (RowKind kind : chunk.kinds) Put(bytes, static_cast<uint8_t>(kind));
  Put(bytes, static_cast<uint32_t>(chunk.rows.ColumnCount()));
  for (Vector& column : chunk.rows.data) {
    size_t length_at = bytes.size();
    Put<uint32_t>(bytes, 0);
    EncodeColumn(column, count, bytes);
    uint32_t length = static_cast<uint32_t>(bytes.size() - length_at - sizeof(uint32_t));
    std::memcpy(bytes.data() + length_at, &length, sizeof(length));
  }
}

bool DecodeBlock(std::string_view& bytes, const std::vector<idx_t>& columns, ChangeChunk& chunk) {
  uint32_t count = 0, stored = 0;
  uint8_t has_kinds = 0;
  if (!Get(bytes, count) || !Get(bytes, has_kinds) || count > kChunkRows) return false;
  chunk.Reset();
  if (has_kinds) {
    std::string_view kinds;
    if (!Take(bytes, count, kinds)) return false;
    chunk.kinds.resize(count);
    for (idx_t i = 0; i < count; i++) {
      if (kinds[i] < 0 || kinds[i] > 3) return false;
      chunk.kinds[i] = static_cast<RowKind>(kinds[i]);
    }
  }
  if (!Get(bytes, stored) || stored > bytes.size()) return false;
  std::vector<std::string_view> parts(stored);
  for (std::string_view& part : parts) {
    uint32_t length = 0;
    if (!Get(bytes, length) || !Take(bytes, length, part)) return false;
  }
  for (idx_t i = 0; i < columns.size(); i++) {
    if (columns[i] >= stored || !DecodeColumn(parts[columns[i]], count, chunk.rows.data[i]))
      return false;
  }
  chunk.rows.SetCardinality(count);
  return true;
}

}  // namespace millrace
