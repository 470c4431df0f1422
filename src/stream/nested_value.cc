#include "stream/nested_value.h"

#include "base/error.h"
#include "duckdb/common/value_operations/value_operations.hpp"

namespace millrace {

namespace {

void Append(const Value& value, std::string& out) {
  out.push_back(value.IsNull() ? 0 : 1);
  if (value.IsNull()) return;
  auto put_size = [&](size_t size) {
    auto small = static_cast<uint32_t>(size);
    out.append(reinterpret_cast<const char*>(&small), sizeof(small));
  };
  switch (value.type().InternalType()) {
    case duckdb::PhysicalType::VARCHAR: {
      const std::string& text = duckdb::StringValue::Get(value);
      put_size(text.size());
      out += text;
      return;
    }
    case duckdb::PhysicalType::LIST:
    case duckdb::PhysicalType::ARRAY: {
      auto& children = value.type().InternalType() == duckdb::PhysicalType::LIST
                           ? duckdb::ListValue::GetChildren(value)
                           : duckdb::ArrayValue::GetChildren(value);
      put_size(children.size());
      for (auto& child : children) Append(child, out);
      return;
    }
    case duckdb::PhysicalType::STRUCT: {
      for (auto& child : duckdb::StructValue::GetChildren(value)) Append(child, out);
      return;
    }
    default:
      break;
  }
  Vector one(value);
  idx_t width = duckdb::GetTypeIdSize(value.type().InternalType());
  one.Flatten(1);
  out.append(reinterpret_cast<const char*>(duckdb::FlatVector::GetData(one)), width);
}

struct Reader {
  const char* at;
  const char* end;

  void Read(void* into, size_t size) {
    if (static_cast<size_t>(end - at) < size) {
      Throw(ErrorCode::kCorrupt,
            "Decoding a nested value: {} bytes are missing; the state is damaged",
            size - static_cast<size_t>(end - at));
    }
    memcpy(into, at, size);
    at += size;
  }
  uint32_t ReadSize() {
    uint32_t size;
    Read(&size, sizeof(size));
    return size;
  }
};

Value Parse(Reader& reader, const LogicalType& type) {
  char present;
  reader.Read(&present, 1);
  if (!present) return Value(type);
  switch (type.InternalType()) {
    case duckdb::PhysicalType::VARCHAR: {
      std::string text(reader.ReadSize(), '\0');
      reader.Read(text.data(), text.size());
      Value value = Value::BLOB_RAW(text);
      value.Reinterpret(type);
      return value;
    }
    case duckdb::PhysicalType::LIST:
    case duckdb::PhysicalType::ARRAY: {
      bool is_list = type.InternalType() == duckdb::PhysicalType::LIST;
      const LogicalType& child_type =
          is_list ? duckdb::ListType::GetChildType(type) : duckdb::ArrayType::GetChildType(type);
      duckdb::vector<Value> children;
      uint32_t size = reader.ReadSize();
      for (uint32_t i = 0; i < size; i++) children.push_back(Parse(reader, child_type));
      Value value = is_list ? Value::LIST(child_type, std::move(children))
                            : Value::ARRAY(child_type, std::move(children));
      value.Reinterpret(type);
      return value;
    }
    case duckdb::PhysicalType::STRUCT: {
      duckdb::vector<Value> children;
      for (auto& child : duckdb::StructType::GetChildTypes(type)) {
        children.push_back(Parse(reader, child.second));
      }
      return Value::STRUCT(type, std::move(children));
    }
    default:
      break;
  }
  Vector one(type, 1);
  reader.Read(duckdb::FlatVector::GetData(one), duckdb::GetTypeIdSize(type.InternalType()));
  return one.GetValue(0);
}

}  // namespace

std::string EncodeNested(const Value& value) {
  std::string out;
  Append(value, out);
  return out;
}

Value DecodeNested(const string_t& bytes, const LogicalType& type) {
  Reader reader{bytes.GetData(), bytes.GetData() + bytes.GetSize()};
  return Parse(reader, type);
}

int CompareNested(const string_t& a, const string_t& b, const LogicalType& type) {
  Value left = DecodeNested(a, type), right = DecodeNested(b, type);
  if (duckdb::ValueOperations::DistinctLessThan(left, right)) return -1;
  return duckdb::ValueOperations::DistinctLessThan(right, left) ? 1 : 0;
}

}  // namespace millrace
