#include "lsm/field_casts.h"

#include <cmath>

#include "base/error.h"
#include "duckdb/common/string_util.hpp"
#include "duckdb/common/types/date.hpp"
#include "duckdb/common/types/hugeint.hpp"
#include "duckdb/common/types/timestamp.hpp"
#include "duckdb/common/vector_operations/unary_executor.hpp"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "lsm/text_casts.h"
#include "meta/java_text.h"
#include "meta/type_casts.h"

namespace millrace {

namespace {

using duckdb::UnaryExecutor;
using enum TypeRoot;

constexpr int64_t kMicrosOfDay = 86'400'000'000;

int64_t FloorDivide(int64_t value, int64_t unit) {
  return value / unit - (value % unit < 0 ? 1 : 0);
}

// ------------------------------------------------------------------------------------------
// Numbers

/// Java's narrowing: integers keep their low bits; fractions go, the rest saturates at int or long.
template <typename From, typename To>
To JavaNarrow(From value) {
  if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    using Wide = std::conditional_t<sizeof(To) == 8, int64_t, int32_t>;
    if (std::isnan(value)) return 0;
    if (value >= -static_cast<From>(std::numeric_limits<Wide>::min())) {
      return static_cast<To>(std::numeric_limits<Wide>::max());
    }
    if (value <= static_cast<From>(std::numeric_limits<Wide>::min())) {
      return static_cast<To>(std::numeric_limits<Wide>::min());
    }
    return static_cast<To>(static_cast<Wide>(value));
  } else {
    return static_cast<To>(value);
  }
}

template <typename From, typename To>
FieldCast NumberCast() {
  return [](Vector& source, Vector& target, idx_t count) {
    UnaryExecutor::Execute<From, To>(source, target, count, JavaNarrow<From, To>);
  };
}

template <typename From>
FieldCast NumberCastTo(TypeRoot to) {
  switch (to) {
    case kTinyInt:
      return NumberCast<From, int8_t>();
    case kSmallInt:
      return NumberCast<From, int16_t>();
    case kInt:
      return NumberCast<From, int32_t>();
    case kBigInt:
      return NumberCast<From, int64_t>();
    case kFloat:
      return NumberCast<From, float>();
    case kDouble:
      return NumberCast<From, double>();
    case kBoolean:
      return [](Vector& source, Vector& target, idx_t count) {
        UnaryExecutor::Execute<From, bool>(source, target, count, [](From v) { return v != 0; });
      };
    default:
      return nullptr;
  }
}

FieldCast NumberCast(TypeRoot from, TypeRoot to) {
  switch (from) {
    case kBoolean:
    case kTinyInt:
      return NumberCastTo<int8_t>(to);
    case kSmallInt:
      return NumberCastTo<int16_t>(to);
    case kInt:
      return NumberCastTo<int32_t>(to);
    case kBigInt:
      return NumberCastTo<int64_t>(to);
    case kFloat:
      return NumberCastTo<float>(to);
    case kDouble:
      return NumberCastTo<double>(to);
    default:
      return nullptr;
  }
}

/// What does not fit becomes NULL.
void TryCast(Vector& source, Vector& target, idx_t count) {
  std::string message;
  duckdb::VectorOperations::DefaultTryCast(source, target, count, &message);
}

/// By way of its shortest digits: 1.005 is 1.005, not the binary number just below.
template <typename From>
void FractionToDecimal(Vector& source, Vector& target, idx_t count) {
  Vector text(LogicalType(LogicalTypeId::VARCHAR), std::max<idx_t>(count, kChunkRows));
  UnaryExecutor::Execute<From, string_t>(source, text, count, [&](From value) {
    return duckdb::StringVector::AddString(text, JavaText(value));
  });
  TryCast(text, target, count);
}

template <typename Raw, typename To>
FieldCast DecimalToInteger(int scale) {
  duckdb::hugeint_t unit = duckdb::Hugeint::POWERS_OF_TEN[scale];
  return [unit](Vector& source, Vector& target, idx_t count) {
    UnaryExecutor::Execute<Raw, To>(source, target, count, [&](Raw value) {
      duckdb::hugeint_t whole = duckdb::hugeint_t(value) / unit;  // Toward zero.
      return static_cast<To>(static_cast<int64_t>(whole.lower));
    });
  };
}

template <typename To>
FieldCast DecimalToInteger(const DataType& from) {
  switch (from.ToDuck().InternalType()) {
    case duckdb::PhysicalType::INT16:
      return DecimalToInteger<int16_t, To>(from.scale);
    case duckdb::PhysicalType::INT32:
      return DecimalToInteger<int32_t, To>(from.scale);
    case duckdb::PhysicalType::INT64:
      return DecimalToInteger<int64_t, To>(from.scale);
    default:
      return DecimalToInteger<duckdb::hugeint_t, To>(from.scale);
  }
}

FieldCast FromDecimal(const DataType& from, const DataType& to) {
  switch (to.root) {
    case kTinyInt:
      return DecimalToInteger<int8_t>(from);
    case kSmallInt:
      return DecimalToInteger<int16_t>(from);
    case kInt:
      return DecimalToInteger<int32_t>(from);
    case kBigInt:
      return DecimalToInteger<int64_t>(from);
    case kFloat:
    case kDouble:
    case kDecimal:
      return TryCast;
    default:
      return nullptr;
  }
}

FieldCast ToDecimal(TypeRoot from) {
  if (from == kFloat) return FractionToDecimal<float>;
  if (from == kDouble) return FractionToDecimal<double>;
  return from <= kBigInt ? FieldCast(TryCast) : nullptr;
}

// ------------------------------------------------------------------------------------------
// Times: 64-bit counts of microseconds, of nanoseconds beyond precision 6

bool IsTimestamp(TypeRoot root) {
  return root == kTimestamp || root == kTimestampLtz;
}

int64_t UnitsOfMicro(const DataType& type) {
  return type.length > 6 ? 1000 : 1;
}

template <typename From, typename To, typename Work>
FieldCast Each(Work work) {
  return [work](Vector& source, Vector& target, idx_t count) {
    UnaryExecutor::Execute<From, To>(source, target, count, work);
  };
}

/// Counts of `to`'s unit with digits beyond its precision cut.
FieldCast TimestampToTimestamp(const DataType& from, const DataType& to) {
  int64_t up = std::max<int64_t>(1, UnitsOfMicro(to) / UnitsOfMicro(from));
  int64_t down = std::max<int64_t>(1, UnitsOfMicro(from) / UnitsOfMicro(to));
  int64_t cut = 1;
  for (int digits = to.length; digits < (to.length > 6 ? 9 : 6); digits++) cut *= 10;
  if (to.length >= from.length) cut = 1;
  return Each<int64_t, int64_t>([=](int64_t value) {
    int64_t count = down > 1 ? FloorDivide(value, down) : value;
    if (cut > 1) count = FloorDivide(count, cut) * cut;
    int64_t out = 0;
    if (up > 1 && __builtin_mul_overflow(count, up, &out)) {
      Throw(ErrorCode::kData, "a timestamp of the year {} is out of range for nanoseconds",
            1970 + count / (365 * kMicrosOfDay));
    }
    return up > 1 ? out : count;
  });
}

FieldCast FromTimestamp(const DataType& from, const DataType& to) {
  int64_t unit = UnitsOfMicro(from);
  switch (to.root) {
    case kDate:
      return Each<int64_t, int32_t>([unit](int64_t value) {
        return static_cast<int32_t>(FloorDivide(value, unit * kMicrosOfDay));
      });
    case kTime:
      return Each<int64_t, int64_t>([unit](int64_t value) {
        int64_t micros = FloorDivide(value, unit);
        int64_t of_day = micros - FloorDivide(micros, kMicrosOfDay) * kMicrosOfDay;
        return of_day / 1000 * 1000;
      });
    case kInt:
      return Each<int64_t, int32_t>([unit](int64_t value) {
        return static_cast<int32_t>(FloorDivide(value, unit * 1000) / 1000);
      });
    case kBigInt:
      return Each<int64_t, int64_t>(
          [unit](int64_t value) { return FloorDivide(value, unit * 1000) / 1000; });
    default:
      return IsTimestamp(to.root) ? TimestampToTimestamp(from, to) : nullptr;
  }
}

FieldCast ToTimestamp(const DataType& from, const DataType& to) {
  int64_t unit = UnitsOfMicro(to);
  switch (from.root) {
    case kDate:
      return Each<int32_t, int64_t>([unit](int32_t days) { return days * kMicrosOfDay * unit; });
    case kTime:
      return Each<int64_t, int64_t>([unit](int64_t micros) { return micros * unit; });
    case kInt:
      return Each<int32_t, int64_t>(
          [unit](int32_t seconds) { return seconds * int64_t{1'000'000} * unit; });
    case kBigInt:
      return Each<int64_t, int64_t>([unit](int64_t seconds) { return seconds * 1'000'000 * unit; });
    default:
      return nullptr;
  }
}

FieldCast FindCast(const DataType& from, const DataType& to) {
  if (IsTextOrBytes(from.root) || IsTextOrBytes(to.root)) return MakeTextCast(from, to);
  if (IsTimestamp(from.root)) return FromTimestamp(from, to);
  if (IsTimestamp(to.root)) return ToTimestamp(from, to);
  if (from.root == kDecimal) return FromDecimal(from, to);
  if (to.root == kDecimal) return ToDecimal(from.root);
  return NumberCast(from.root, to.root);
}

}  // namespace

FieldCast MakeFieldCast(const DataType& from, const DataType& to) {
  bool same_carrier = from.ToDuck() == to.ToDuck();
  if (same_carrier && KeepsOrder(from, to)) return nullptr;
  if (from.root == to.root && from.root == kTime) return nullptr;  // Both whole milliseconds.
  FieldCast cast = FindCast(from, to);
  if (!cast) {
    Throw(ErrorCode::kUnsupported, "values of type {} cannot be read as {}", from.ToString(),
          to.ToString());
  }
  return cast;
}

}  // namespace millrace
