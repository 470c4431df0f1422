#include "lsm/row_packer.h"

#include "base/bytes.h"
#include "duckdb/common/serializer/binary_deserializer.hpp"
#include "duckdb/common/serializer/binary_serializer.hpp"
#include "duckdb/common/serializer/memory_stream.hpp"

namespace millrace {

namespace {

std::string PackNested(const Value& value) {
  duckdb::MemoryStream stream;
  duckdb::BinarySerializer serializer(stream);
  serializer.Begin();
  value.Serialize(serializer);
  serializer.End();
  return std::string(reinterpret_cast<const char*>(stream.GetData()), stream.GetPosition());
}

Value UnpackNested(std::string_view bytes) {
  duckdb::MemoryStream stream(reinterpret_cast<duckdb::data_ptr_t>(const_cast<char*>(bytes.data())),
                              bytes.size());
  duckdb::BinaryDeserializer deserializer(stream);
  deserializer.Begin();
  Value value = Value::Deserialize(deserializer);
  deserializer.End();
  return value;
}

}  // namespace

RowPacker::RowPacker(duckdb::vector<LogicalType> types) : types_(std::move(types)) {
  for (const LogicalType& type : types_) {
    duckdb::PhysicalType physical = type.InternalType();
    if (physical == duckdb::PhysicalType::VARCHAR) {
      columns_.push_back({Kind::kText});
    } else if (duckdb::TypeIsConstantSize(physical)) {
      columns_.push_back({Kind::kFixed, duckdb::GetTypeIdSize(physical)});
    } else {
      columns_.push_back({Kind::kNested});
    }
  }
}

void RowPacker::Start(DataChunk& rows) {
  rows_ = &rows;
  for (idx_t i = 0; i < columns_.size(); i++) {
    rows.data[i].ToUnifiedFormat(rows.size(), columns_[i].format);
  }
}

void RowPacker::Append(idx_t row, std::string& out) {
  size_t nulls = out.size();
  out.append((columns_.size() + 7) / 8, '\0');
  for (idx_t i = 0; i < columns_.size(); i++) {
    const Column& column = columns_[i];
    idx_t at = column.format.sel->get_index(row);
    if (!column.format.validity.RowIsValid(at)) {
      out[nulls + i / 8] = static_cast<char>(out[nulls + i / 8] | 1 << (i % 8));
      continue;
    }
    switch (column.kind) {
      case Kind::kFixed:
        out.append(reinterpret_cast<const char*>(column.format.data) + at * column.width,
                   column.width);
        break;
      case Kind::kText: {
        const auto& text = reinterpret_cast<const string_t*>(column.format.data)[at];
        AppendLittle<uint32_t>(out, static_cast<uint32_t>(text.GetSize()));
        out.append(text.GetData(), text.GetSize());
        break;
      }
      case Kind::kNested: {
        std::string bytes = PackNested(rows_->GetValue(i, row));
        AppendLittle<uint32_t>(out, static_cast<uint32_t>(bytes.size()));
        out += bytes;
        break;
      }
    }
  }
}

bool RowPacker::Unpack(std::string_view bytes, DataChunk& rows, idx_t target) const {
  size_t null_bytes = (columns_.size() + 7) / 8;
  if (bytes.size() < null_bytes) return false;
  const char* nulls = bytes.data();
  std::string_view rest = bytes.substr(null_bytes);
  for (idx_t i = 0; i < columns_.size(); i++) {
    Vector& vector = rows.data[i];
    if (nulls[i / 8] >> (i % 8) & 1) {
      duckdb::FlatVector::SetNull(vector, target, true);
      continue;
    }
    duckdb::FlatVector::Validity(vector).SetValid(target);
    const Column& column = columns_[i];
    size_t length = column.width;
    if (column.kind != Kind::kFixed) {
      if (rest.size() < 4) return false;
      length = LoadLittle<uint32_t>(rest.data());
      rest.remove_prefix(4);
    }
    if (rest.size() < length) return false;
    switch (column.kind) {
      case Kind::kFixed:
        std::memcpy(duckdb::FlatVector::GetData(vector) + target * length, rest.data(), length);
        break;
      case Kind::kText:
        reinterpret_cast<string_t*>(duckdb::FlatVector::GetData(vector))[target] =
            duckdb::StringVector::AddStringOrBlob(vector, rest.data(), length);
        break;
      case Kind::kNested:
        try {
          vector.SetValue(target, UnpackNested(rest.substr(0, length)));
        } catch (const std::exception&) {
          return false;  // Bytes that are no value, or one of another type.
        }
        break;
    }
    rest.remove_prefix(length);
  }
  return rest.empty();
}

}  // namespace millrace
