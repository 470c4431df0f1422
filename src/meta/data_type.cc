// data_type.cc - the types' text, their DuckDB counterparts and back. The parser is
// data_type_parser.cc.
#include "meta/data_type.h"

#include "base/error.h"
#include "duckdb/common/extra_type_info.hpp"

namespace millrace {

namespace {

bool IsPlainName(const std::string& name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  for (char c : name) {
    bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!plain) return false;
  }
  return true;
}

/// Doubles the quote inside and puts it around.
std::string Quote(const std::string& text, char quote) {
  std::string quoted(1, quote);
  for (char c : text) {
    quoted += c;
    if (c == quote) quoted += c;
  }
  return quoted + quote;
}

std::string RowToString(const std::vector<DataField>& fields) {
  std::string text = "ROW<";
  for (const DataField& field : fields) {
    if (&field != &fields.front()) text += ", ";
    text += (IsPlainName(field.name) ? field.name : Quote(field.name, '`')) + " " +
            field.type.ToString();
    if (!field.description.empty()) text += " " + Quote(field.description, '\'');
  }
  return text + ">";
}

std::string BaseToString(const DataType& type) {
  switch (type.root) {
    case TypeRoot::kBoolean:
      return "BOOLEAN";
    case TypeRoot::kTinyInt:
      return "TINYINT";
    case TypeRoot::kSmallInt:
      return "SMALLINT";
    case TypeRoot::kInt:
      return "INT";
    case TypeRoot::kBigInt:
      return "BIGINT";
    case TypeRoot::kFloat:
      return "FLOAT";
    case TypeRoot::kDouble:
      return "DOUBLE";
    case TypeRoot::kDecimal:
      return fmt::format("DECIMAL({}, {})", type.length, type.scale);
    case TypeRoot::kChar:
      return fmt::format("CHAR({})", type.length);
    case TypeRoot::kVarChar:
      return type.length == kMaxLength ? "STRING" : fmt::format("VARCHAR({})", type.length);
    case TypeRoot::kBinary:
      return fmt::format("BINARY({})", type.length);
    case TypeRoot::kVarBinary:
      return type.length == kMaxLength ? "BYTES" : fmt::format("VARBINARY({})", type.length);
    case TypeRoot::kDate:
      return "DATE";
    case TypeRoot::kTime:
      return fmt::format("TIME({})", type.length);
    case TypeRoot::kTimestamp:
      return fmt::format("TIMESTAMP({})", type.length);
    case TypeRoot::kTimestampLtz:
      return fmt::format("TIMESTAMP({}) WITH LOCAL TIME ZONE", type.length);
    case TypeRoot::kArray:
      return fmt::format("ARRAY<{}>", type.children.at(0).ToString());
    case TypeRoot::kMultiset:
      return fmt::format("MULTISET<{}>", type.children.at(0).ToString());
    case TypeRoot::kMap:
      return fmt::format("MAP<{}, {}>", type.children.at(0).ToString(),
                         type.children.at(1).ToString());
    case TypeRoot::kRow:
      return RowToString(type.fields);
  }
  return "?";
}

DataType Atomic(TypeRoot root, int length = 0, int scale = 0) {
  DataType type;
  type.root = root;
  type.length = length;
  type.scale = scale;
  return type;
}

DataType FromStruct(const LogicalType& type) {
  DataType row = Atomic(TypeRoot::kRow);
  for (const auto& [name, child] : duckdb::StructType::GetChildTypes(type)) {
    DataField field;
    field.name = name;
    field.type = DataTypeFromDuck(child);
    row.fields.push_back(std::move(field));
  }
  return row;
}

}  // namespace

bool DataType::operator==(const DataType& other) const {
  return root == other.root && nullable == other.nullable && length == other.length &&
         scale == other.scale && children == other.children && fields == other.fields;
}

std::string DataType::ToString() const {
  return nullable ? BaseToString(*this) : BaseToString(*this) + " NOT NULL";
}

DataType DataType::NotNull() const {
  DataType type = *this;
  type.nullable = false;
  return type;
}

DataType DataType::Nullable() const {
  DataType type = *this;
  type.nullable = true;
  return type;
}

LogicalType DataType::ToDuck() const {
  switch (root) {
    case TypeRoot::kBoolean:
      return LogicalType::BOOLEAN;
    case TypeRoot::kTinyInt:
      return LogicalType::TINYINT;
    case TypeRoot::kSmallInt:
      return LogicalType::SMALLINT;
    case TypeRoot::kInt:
      return LogicalType::INTEGER;
    case TypeRoot::kBigInt:
      return LogicalType::BIGINT;
    case TypeRoot::kFloat:
      return LogicalType::FLOAT;
    case TypeRoot::kDouble:
      return LogicalType::DOUBLE;
    case TypeRoot::kDecimal:
      return LogicalType::DECIMAL(static_cast<uint8_t>(length), static_cast<uint8_t>(scale));
    case TypeRoot::kChar:
    case TypeRoot::kVarChar:
      return LogicalType::VARCHAR;
    case TypeRoot::kBinary:
    case TypeRoot::kVarBinary:
      return LogicalType::BLOB;
    case TypeRoot::kDate:
      return LogicalType::DATE;
    case TypeRoot::kTime:
      return LogicalType::TIME;
    case TypeRoot::kTimestamp:
      return length <= 6 ? LogicalType::TIMESTAMP : LogicalType::TIMESTAMP_NS;
    case TypeRoot::kTimestampLtz: {
      if (length <= 6) return LogicalType::TIMESTAMP_TZ;
      LogicalType nanos = LogicalType::TIMESTAMP_NS;  // DuckDB has no zoned type this fine.
      nanos.SetAlias(kTimestampLtzAlias);
      return nanos;
    }
    case TypeRoot::kArray:
      return LogicalType::LIST(children.at(0).ToDuck());
    case TypeRoot::kMap:
      return LogicalType::MAP(children.at(0).ToDuck(), children.at(1).ToDuck());
    case TypeRoot::kMultiset:
      return LogicalType::MAP(children.at(0).ToDuck(), LogicalType::INTEGER);
    case TypeRoot::kRow: {
      duckdb::child_list_t<LogicalType> members;
      for (const DataField& field : fields) members.emplace_back(field.name, field.type.ToDuck());
      return LogicalType::STRUCT(std::move(members));
    }
  }
  Throw(ErrorCode::kUnsupported, "Type {} has no DuckDB type", ToString());
}

DataType DataTypeFromDuck(const LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::BOOLEAN:
      return Atomic(TypeRoot::kBoolean);
    case LogicalTypeId::TINYINT:
      return Atomic(TypeRoot::kTinyInt);
    case LogicalTypeId::SMALLINT:
    case LogicalTypeId::UTINYINT:
      return Atomic(TypeRoot::kSmallInt);
    case LogicalTypeId::SQLNULL:  // DuckDB gives a column of untyped NULLs the type INTEGER too.
    case LogicalTypeId::INTEGER:
    case LogicalTypeId::USMALLINT:
      return Atomic(TypeRoot::kInt);
    case LogicalTypeId::BIGINT:
    case LogicalTypeId::UINTEGER:
      return Atomic(TypeRoot::kBigInt);
    case LogicalTypeId::UBIGINT:
      return Atomic(TypeRoot::kDecimal, 20, 0);
    case LogicalTypeId::HUGEINT:
      return Atomic(TypeRoot::kDecimal, 38, 0);
    case LogicalTypeId::FLOAT:
      return Atomic(TypeRoot::kFloat);
    case LogicalTypeId::DOUBLE:
      return Atomic(TypeRoot::kDouble);
    case LogicalTypeId::DECIMAL:
      return Atomic(TypeRoot::kDecimal, duckdb::DecimalType::GetWidth(type),
                    duckdb::DecimalType::GetScale(type));
    case LogicalTypeId::VARCHAR:
    case LogicalTypeId::STRING_LITERAL:
    case LogicalTypeId::ENUM:
      return Atomic(TypeRoot::kVarChar, kMaxLength);
    case LogicalTypeId::UUID:
      return Atomic(TypeRoot::kChar, 36);
    case LogicalTypeId::BLOB:
      return Atomic(TypeRoot::kVarBinary, kMaxLength);
    case LogicalTypeId::DATE:
      return Atomic(TypeRoot::kDate);
    case LogicalTypeId::TIME:
      return Atomic(TypeRoot::kTime, 3);  // Paimon keeps milliseconds.
    case LogicalTypeId::TIMESTAMP_SEC:
      return Atomic(TypeRoot::kTimestamp, 0);
    case LogicalTypeId::TIMESTAMP_MS:
      return Atomic(TypeRoot::kTimestamp, 3);
    case LogicalTypeId::TIMESTAMP:
      return Atomic(TypeRoot::kTimestamp, 6);
    case LogicalTypeId::TIMESTAMP_NS:
      return Atomic(type.HasAlias() && type.GetAlias() == kTimestampLtzAlias
                        ? TypeRoot::kTimestampLtz
                        : TypeRoot::kTimestamp,
                    9);
    case LogicalTypeId::TIMESTAMP_TZ:
      return Atomic(TypeRoot::kTimestampLtz, 6);
    case LogicalTypeId::LIST:
    case LogicalTypeId::ARRAY: {
      DataType array = Atomic(TypeRoot::kArray);
      array.children.push_back(DataTypeFromDuck(type.id() == LogicalTypeId::LIST
                                                    ? duckdb::ListType::GetChildType(type)
                                                    : duckdb::ArrayType::GetChildType(type)));
      return array;
    }
    case LogicalTypeId::MAP: {
      DataType map = Atomic(TypeRoot::kMap);
      map.children.push_back(DataTypeFromDuck(duckdb::MapType::KeyType(type)).NotNull());
      map.children.push_back(DataTypeFromDuck(duckdb::MapType::ValueType(type)));
      return map;
    }
    case LogicalTypeId::STRUCT:
      return FromStruct(type);
    default:
      Throw(ErrorCode::kUnsupported,
            "A lake table cannot keep a column of type {}: cast it, to STRING for example",
            type.ToString());
  }
}

}  // namespace millrace
