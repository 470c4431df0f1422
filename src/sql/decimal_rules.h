// decimal_rules.h - Flink's types of decimal results, and arithmetic that is exact or fails.
//
// Types: LogicalTypeMerging in Flink. Values are unscaled integers of 128 bits, as DuckDB's DECIMAL
// up to width 38 holds them; what needs more on the way (38 by 38 digits) takes a slower path,
// never DOUBLE. Rounding is HALF_UP (away from zero). A result that does not fit is Error(kData).
#pragma once

#include "base/duck.h"

namespace millrace {

using Int128 = __int128;

inline Int128 ToInt128(duckdb::hugeint_t value) {
  return static_cast<Int128>(
      (static_cast<unsigned __int128>(static_cast<uint64_t>(value.upper)) << 64) | value.lower);
}
inline duckdb::hugeint_t FromInt128(Int128 value) {
  duckdb::hugeint_t out;
  out.lower = static_cast<uint64_t>(value);
  out.upper = static_cast<int64_t>(value >> 64);
  return out;
}

struct DecimalType {
  int precision = 0;
  int scale = 0;
  bool operator==(const DecimalType&) const = default;
  LogicalType ToDuck() const {
    return LogicalType::DECIMAL(static_cast<uint8_t>(precision), static_cast<uint8_t>(scale));
  }
};

/// The decimal type of a numeric type: of an integer type the one that holds it. nullopt for
/// others.
std::optional<DecimalType> AsDecimal(const LogicalType& type);

DecimalType AddType(DecimalType left, DecimalType right);  // And of subtraction.
DecimalType MultiplyType(DecimalType left, DecimalType right);
DecimalType DivideType(DecimalType left, DecimalType right);
DecimalType ModuloType(DecimalType left, DecimalType right);
DecimalType RoundType(DecimalType type, int digits);

/// 10^exponent; REQUIRES: 0 <= exponent <= 38.
Int128 PowerOfTen(int exponent);

/// value * 10^from_exponent / divisor, rounded HALF_UP; nullopt when it has more than 38 digits.
/// REQUIRES: divisor != 0; |exponent| <= 76.
std::optional<Int128> ScaledDivide(Int128 value, int exponent, Int128 divisor);
/// left * right / 10^drop, rounded HALF_UP; nullopt when it has more than 38 digits.
std::optional<Int128> ScaledMultiply(Int128 left, Int128 right, int drop);
/// (left * 10^left_up + right * 10^right_up) / 10^drop, rounded HALF_UP, or nullopt likewise.
std::optional<Int128> ScaledAdd(Int128 left, int left_up, Int128 right, int right_up, int drop);
/// left * 10^left_up modulo right * 10^right_up, with the sign of left. REQUIRES: right != 0.
std::optional<Int128> ScaledModulo(Int128 left, int left_up, Int128 right, int right_up);

/// "12.340" of 12340 at scale 3.
std::string DecimalText(Int128 value, int scale);

}  // namespace millrace
