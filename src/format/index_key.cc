#include "format/index_key.h"

#include <bit>
#include <cmath>

#include "base/error.h"

namespace millrace {

namespace {

int64_t FloorDivide(int64_t number, int64_t by) {
  return number / by - (number % by < 0 ? 1 : 0);
}

int64_t BitsOf(float value) {
  if (std::isnan(value)) return 0x7fc00000;
  return std::bit_cast<int32_t>(value);
}

int64_t BitsOf(double value) {
  if (std::isnan(value)) return 0x7ff8000000000000;
  return std::bit_cast<int64_t>(value);
}

template <typename T, typename Map>
void MapRows(const UnifiedVectorFormat& format, idx_t rows, int64_t* numbers, Map map) {
  auto* values = reinterpret_cast<const T*>(format.data);
  for (idx_t i = 0; i < rows; i++) {
    idx_t at = format.sel->get_index(i);
    numbers[i] = format.validity.RowIsValid(at) ? map(values[at]) : 0;
  }
}

/// The unit of DuckDB's number divided by the unit of the index.
int64_t TimestampDivisor(const DataType& type) {
  if (type.length > 6) return 1000;    // Nanoseconds to microseconds.
  return type.length <= 3 ? 1000 : 1;  // Microseconds to milliseconds, or as they are.
}

}  // namespace

std::optional<IndexKeyKind> IndexKeyKindOf(const DataType& type) {
  switch (type.root) {
    case TypeRoot::kChar:
    case TypeRoot::kVarChar:
    case TypeRoot::kBinary:
    case TypeRoot::kVarBinary:
      return IndexKeyKind::kBytes;
    case TypeRoot::kBoolean:
      return IndexKeyKind::kBoolean;
    case TypeRoot::kTinyInt:
      return IndexKeyKind::kInt8;
    case TypeRoot::kSmallInt:
      return IndexKeyKind::kInt16;
    case TypeRoot::kInt:
    case TypeRoot::kDate:
    case TypeRoot::kTime:
      return IndexKeyKind::kInt32;
    case TypeRoot::kBigInt:
    case TypeRoot::kTimestamp:
    case TypeRoot::kTimestampLtz:
      return IndexKeyKind::kInt64;
    case TypeRoot::kFloat:
      return IndexKeyKind::kFloat;
    case TypeRoot::kDouble:
      return IndexKeyKind::kDouble;
    default:
      return std::nullopt;
  }
}

void ToIndexNumbers(const DataType& type, const UnifiedVectorFormat& format, idx_t rows,
                    int64_t* numbers) {
  auto same = [](auto value) { return static_cast<int64_t>(value); };
  auto bits = [](auto value) { return BitsOf(value); };
  switch (type.root) {
    case TypeRoot::kBoolean:
    case TypeRoot::kTinyInt:
      return MapRows<int8_t>(format, rows, numbers, same);
    case TypeRoot::kSmallInt:
      return MapRows<int16_t>(format, rows, numbers, same);
    case TypeRoot::kInt:
    case TypeRoot::kDate:
      return MapRows<int32_t>(format, rows, numbers, same);
    case TypeRoot::kBigInt:
      return MapRows<int64_t>(format, rows, numbers, same);
    case TypeRoot::kTime:
      return MapRows<int64_t>(format, rows, numbers, [](int64_t micros) { return micros / 1000; });
    case TypeRoot::kTimestamp:
    case TypeRoot::kTimestampLtz: {
      int64_t divisor = TimestampDivisor(type);
      return MapRows<int64_t>(format, rows, numbers,
                              [=](int64_t number) { return FloorDivide(number, divisor); });
    }
    case TypeRoot::kFloat:
      return MapRows<float>(format, rows, numbers, bits);
    case TypeRoot::kDouble:
      return MapRows<double>(format, rows, numbers, bits);
    default:
      MILLRACE_CHECK(false);
  }
}

int64_t ToIndexNumber(const DataType& type, const Value& constant) {
  Vector one(constant);
  UnifiedVectorFormat format;
  one.ToUnifiedFormat(1, format);
  int64_t number = 0;
  ToIndexNumbers(type, format, 1, &number);
  return number;
}

}  // namespace millrace
