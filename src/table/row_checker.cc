#include "table/row_checker.h"

#include "base/error.h"
#include "meta/duck_type_name.h"
#include "duckdb/common/types/hugeint.hpp"

namespace millrace {

namespace {

int64_t PowerOfTen(int exponent) {
  int64_t power = 1;
  for (int i = 0; i < exponent; i++) power *= 10;
  return power;
}

idx_t CodePoints(const string_t& text) {
  idx_t points = 0;
  const char* data = text.GetData();
  for (idx_t i = 0; i < text.GetSize(); i++) points += (data[i] & 0xC0) != 0x80;
  return points;
}

std::string Shortened(const std::string& text) {
  return text.size() <= 60 ? text : text.substr(0, 60) + "...";
}

}  // namespace

void RowChecker::Check(DataChunk& rows) const {
  if (rows.ColumnCount() != fields_.size()) {
    Throw(ErrorCode::kInvalid, "Cannot write to table {}: rows have {} columns, the table has {}.",
          table_, rows.ColumnCount(), fields_.size());
  }
  for (idx_t i = 0; i < fields_.size(); i++) CheckColumn(fields_[i], rows.data[i], rows.size());
}

void RowChecker::CheckColumn(const DataField& field, Vector& column, idx_t count) const {
  const DataType& type = field.type;
  const LogicalType& given = column.GetType();
  if (given != type.ToDuck() && given.ToString() != DuckTypeName(type)) {
    Throw(
        ErrorCode::kInvalid,
        "Cannot write to table {}: column '{}' is {}, but the rows have {} there; cast them first.",
        table_, field.name, type.ToString(), given.ToString());
  }
  UnifiedVectorFormat format;
  column.ToUnifiedFormat(count, format);
  if (!type.nullable && !format.validity.AllValid()) {
    for (idx_t i = 0; i < count; i++) {
      if (format.validity.RowIsValid(format.sel->get_index(i))) continue;
      Throw(ErrorCode::kData,
            "Cannot write to table {}: column '{}' is NOT NULL, but row {} of the chunk has "
            "NULL there.",
            table_, field.name, i + 1);
    }
  }
  switch (type.root) {
    case TypeRoot::kChar:
    case TypeRoot::kVarChar:
    case TypeRoot::kBinary:
    case TypeRoot::kVarBinary:
      if (type.length != kMaxLength) CheckLengths(field, format, count);
      return;
    case TypeRoot::kDecimal:
      return CheckDecimal(field, column, format, count);
    case TypeRoot::kTime:  // Stored in milliseconds whatever its precision.
      return CutTimes(field, column, format, count, PowerOfTen(6 - std::min(type.length, 3)));
    case TypeRoot::kTimestamp:
    case TypeRoot::kTimestampLtz:
      return CutTimes(field, column, format, count,
                      PowerOfTen((type.length > 6 ? 9 : 6) - type.length));
    default:
      return;
  }
}

void RowChecker::CheckLengths(const DataField& field, const UnifiedVectorFormat& format,
                              idx_t count) const {
  bool is_text = field.type.root == TypeRoot::kChar || field.type.root == TypeRoot::kVarChar;
  idx_t limit = static_cast<idx_t>(field.type.length);
  const string_t* data = UnifiedVectorFormat::GetData<string_t>(format);
  for (idx_t i = 0; i < count; i++) {
    idx_t row = format.sel->get_index(i);
    if (!format.validity.RowIsValid(row) || data[row].GetSize() <= limit) continue;
    idx_t length = is_text ? CodePoints(data[row]) : data[row].GetSize();
    if (length <= limit) continue;
    Throw(ErrorCode::kData,
          "Cannot write to table {}: column '{}' is {}, but the value '{}' has {} {}.", table_,
          field.name, field.type.ToString(),
          is_text ? Shortened(data[row].GetString()) : "(binary)", length,
          is_text ? "characters" : "bytes");
  }
}

template <typename T>
void RowChecker::CheckDigits(const DataField& field, Vector& column,
                             const UnifiedVectorFormat& format, idx_t count, T limit) const {
  const T* data = UnifiedVectorFormat::GetData<T>(format);
  for (idx_t i = 0; i < count; i++) {
    idx_t row = format.sel->get_index(i);
    if (!format.validity.RowIsValid(row) || (data[row] < limit && data[row] > -limit)) continue;
    Throw(ErrorCode::kData,
          "Cannot write to table {}: column '{}' is {}, but the value {} has more digits.", table_,
          field.name, field.type.ToString(), column.GetValue(i).ToString());
  }
}

void RowChecker::CheckDecimal(const DataField& field, Vector& column,
                              const UnifiedVectorFormat& format, idx_t count) const {
  int digits = field.type.length;
  switch (column.GetType().InternalType()) {
    case duckdb::PhysicalType::INT16:
      return CheckDigits<int16_t>(field, column, format, count,
                                  static_cast<int16_t>(PowerOfTen(digits)));
    case duckdb::PhysicalType::INT32:
      return CheckDigits<int32_t>(field, column, format, count,
                                  static_cast<int32_t>(PowerOfTen(digits)));
    case duckdb::PhysicalType::INT64:
      return CheckDigits<int64_t>(field, column, format, count, PowerOfTen(digits));
    default:
      return CheckDigits<duckdb::hugeint_t>(field, column, format, count,
                                            duckdb::Hugeint::POWERS_OF_TEN[digits]);
  }
}

void RowChecker::CutTimes(const DataField& field, Vector& column, const UnifiedVectorFormat& format,
                          idx_t count, int64_t unit) const {
  // Times and timestamps of all precisions are 64-bit counts.
  const int64_t* data = reinterpret_cast<const int64_t*>(format.data);
  bool exact = true;
  for (idx_t i = 0; i < count; i++) {
    idx_t row = format.sel->get_index(i);
    if (!format.validity.RowIsValid(row)) continue;
    exact &= data[row] % unit == 0;
    if (data[row] == INT64_MAX || data[row] == -INT64_MAX) {
      Throw(ErrorCode::kData, "Cannot write to table {}: column '{}' is {}, which has no infinity.",
            table_, field.name, field.type.ToString());
    }
  }
  if (exact) return;
  Vector cut(column.GetType());
  int64_t* out = reinterpret_cast<int64_t*>(duckdb::FlatVector::GetData(cut));
  for (idx_t i = 0; i < count; i++) {
    idx_t row = format.sel->get_index(i);
    if (!format.validity.RowIsValid(row)) {
      duckdb::FlatVector::SetNull(cut, i, true);
      continue;
    }
    int64_t rest = data[row] % unit;
    out[i] = data[row] - (rest < 0 ? rest + unit : rest);
  }
  column.Reference(cut);
}

}  // namespace millrace
