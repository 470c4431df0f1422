// column_reader.h - a column of DECIMAL of any width, read as 64- or 128-bit integers.
//
// Kernels read their arguments in the types that they have, without casts: an expression written
// out as text and bound again then has the same operand types, and so the same result type.
#pragma once

#include "sql/decimal_rules.h"

namespace millrace {

inline Int128 Widen(int64_t value) {
  return value;
}
inline Int128 Widen(duckdb::hugeint_t value) {
  return ToInt128(value);
}

template <class T>
T Narrow(Int128 value) {
  return static_cast<T>(value);
}
template <>
inline duckdb::hugeint_t Narrow(Int128 value) {
  return FromInt128(value);
}

/// Reads one column. T: int64_t (up to 18 digits, or BIGINT) or hugeint_t. Threads: one at a time.
template <class T>
class ColumnReader {
 public:
  /// REQUIRES: rows <= kChunkRows; `column` outlives this object.
  ColumnReader(Vector& column, idx_t rows) {
    column.ToUnifiedFormat(rows, format_);
    switch (column.GetType().InternalType()) {
      case duckdb::PhysicalType::INT8:
        Load<int8_t>(rows);
        return;
      case duckdb::PhysicalType::INT16:
        Load<int16_t>(rows);
        return;
      case duckdb::PhysicalType::INT32:
        Load<int32_t>(rows);
        return;
      case duckdb::PhysicalType::INT64:
        if constexpr (!std::is_same_v<T, int64_t>) {
          Load<int64_t>(rows);
          return;
        }
        break;
      default:
        break;
    }
    data_ = UnifiedVectorFormat::GetData<T>(format_);
  }

  bool AllValid() const { return format_.validity.AllValid(); }
  bool IsValid(idx_t row) const { return format_.validity.RowIsValid(format_.sel->get_index(row)); }
  T operator[](idx_t row) const {
    return loaded_ ? buffer_[row] : data_[format_.sel->get_index(row)];
  }

 private:
  template <class Source>
  void Load(idx_t rows) {
    auto source = UnifiedVectorFormat::GetData<Source>(format_);
    for (idx_t row = 0; row < rows; row++) {
      buffer_[row] = static_cast<T>(static_cast<int64_t>(source[format_.sel->get_index(row)]));
    }
    loaded_ = true;
  }

  UnifiedVectorFormat format_;
  const T* data_ = nullptr;
  bool loaded_ = false;
  T buffer_[kChunkRows];
};

}  // namespace millrace
