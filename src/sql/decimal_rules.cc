// Slow paths use a natural number of 16 limbs of 32 bits: products of 38 by 38 digits raised by up
// to 76.
#include "sql/decimal_rules.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "duckdb/common/types/decimal.hpp"

namespace millrace {

namespace {

using UInt128 = unsigned __int128;

constexpr int kDigitsMax = 38;
constexpr int kAdjustedScaleMin = 6;

DecimalType Adjust(int precision, int scale) {
  if (precision <= kDigitsMax) return {precision, scale};
  int integer_digits = precision - scale;
  return {kDigitsMax, std::max(kDigitsMax - integer_digits, std::min(scale, kAdjustedScaleMin))};
}

const std::array<Int128, kDigitsMax + 1>& Powers() {
  static const auto powers = [] {
    std::array<Int128, kDigitsMax + 1> out{};
    out[0] = 1;
    for (int i = 1; i <= kDigitsMax; i++) out[i] = out[i - 1] * 10;
    return out;
  }();
  return powers;
}

UInt128 Magnitude(Int128 value) {
  return value < 0 ? ~static_cast<UInt128>(value) + 1 : static_cast<UInt128>(value);
}

// A natural number, little endian.
class Natural {
 public:
  explicit Natural(UInt128 value) {
    for (int i = 0; i < 4; i++) limbs_[i] = static_cast<uint32_t>(value >> (32 * i));
  }

  void MultiplySmall(uint32_t factor) {
    uint64_t carry = 0;
    for (uint32_t& limb : limbs_) {
      carry += static_cast<uint64_t>(limb) * factor;
      limb = static_cast<uint32_t>(carry);
      carry >>= 32;
    }
    MILLRACE_CHECK(carry == 0);
  }
  void RaiseByTen(int exponent) {
    for (; exponent >= 9; exponent -= 9) MultiplySmall(1000000000);
    for (; exponent > 0; exponent--) MultiplySmall(10);
  }
  Natural Times(const Natural& other) const {
    Natural out(0);
    for (int i = 0; i < 4; i++) {
      uint64_t carry = 0;
      for (int k = 0; k < kLimbs - i; k++) {
        carry += static_cast<uint64_t>(limbs_[i]) * other.limbs_[k] + out.limbs_[i + k];
        out.limbs_[i + k] = static_cast<uint32_t>(carry);
        carry >>= 32;
      }
    }
    return out;
  }
  void Add(const Natural& other) {
    uint64_t carry = 0;
    for (int i = 0; i < kLimbs; i++) {
      carry += static_cast<uint64_t>(limbs_[i]) + other.limbs_[i];
      limbs_[i] = static_cast<uint32_t>(carry);
      carry >>= 32;
    }
  }
  // REQUIRES: *this >= other.
  void Subtract(const Natural& other) {
    int64_t borrow = 0;
    for (int i = 0; i < kLimbs; i++) {
      int64_t difference = static_cast<int64_t>(limbs_[i]) - other.limbs_[i] + borrow;
      limbs_[i] = static_cast<uint32_t>(difference);
      borrow = difference < 0 ? -1 : 0;
    }
  }
  int Compare(const Natural& other) const {
    for (int i = kLimbs - 1; i >= 0; i--) {
      if (limbs_[i] != other.limbs_[i]) return limbs_[i] < other.limbs_[i] ? -1 : 1;
    }
    return 0;
  }
  int Bits() const {
    for (int i = kLimbs - 1; i >= 0; i--) {
      if (limbs_[i] != 0) return 32 * i + 32 - __builtin_clz(limbs_[i]);
    }
    return 0;
  }
  // Bit by bit: this path is for operands of more than 38 digits only.
  Natural DivideBy(const Natural& divisor, Natural& remainder) const {
    Natural quotient(0);
    remainder = Natural(0);
    for (int bit = Bits() - 1; bit >= 0; bit--) {
      remainder.ShiftLeft((limbs_[bit / 32] >> (bit % 32)) & 1);
      if (remainder.Compare(divisor) >= 0) {
        remainder.Subtract(divisor);
        quotient.limbs_[bit / 32] |= 1u << (bit % 32);
      }
    }
    return quotient;
  }
  void ShiftLeft(uint32_t low_bit) {
    for (uint32_t& limb : limbs_) {
      uint32_t high = limb >> 31;
      limb = (limb << 1) | low_bit;
      low_bit = high;
    }
  }
  std::optional<Int128> Signed(bool negative) const {
    if (Bits() > 127) return std::nullopt;
    UInt128 value = 0;
    for (int i = 3; i >= 0; i--) value = (value << 32) | limbs_[i];
    if (value >= static_cast<UInt128>(PowerOfTen(kDigitsMax))) return std::nullopt;
    return negative ? -static_cast<Int128>(value) : static_cast<Int128>(value);
  }

 private:
  static constexpr int kLimbs = 16;
  std::array<uint32_t, kLimbs> limbs_{};
};

std::optional<Int128> RoundedQuotient(const Natural& numerator, const Natural& divisor,
                                      bool negative) {
  Natural remainder(0);
  Natural quotient = numerator.DivideBy(divisor, remainder);
  remainder.ShiftLeft(0);
  if (remainder.Compare(divisor) >= 0) quotient.Add(Natural(1));
  return quotient.Signed(negative);
}

std::optional<Int128> Fit(Int128 value) {
  Int128 limit = PowerOfTen(kDigitsMax);
  if (value >= limit || value <= -limit) return std::nullopt;
  return value;
}

// value / divisor HALF_UP within 128 bits. REQUIRES: divisor > 0.
Int128 RoundedDivide(Int128 value, Int128 divisor) {
  Int128 quotient = value / divisor, remainder = value % divisor;
  Int128 magnitude = remainder < 0 ? -remainder : remainder;
  if (magnitude >= divisor - magnitude) quotient += value < 0 ? -1 : 1;
  return quotient;
}

bool TryRaise(Int128 value, int exponent, Int128& out) {
  if (exponent > kDigitsMax) {
    out = 0;
    return value == 0;
  }
  return !__builtin_mul_overflow(value, PowerOfTen(exponent), &out);
}

}  // namespace

Int128 PowerOfTen(int exponent) {
  return Powers()[static_cast<size_t>(exponent)];
}

std::optional<DecimalType> AsDecimal(const LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::TINYINT:
    case LogicalTypeId::UTINYINT:
      return DecimalType{3, 0};
    case LogicalTypeId::SMALLINT:
    case LogicalTypeId::USMALLINT:
      return DecimalType{5, 0};
    case LogicalTypeId::INTEGER:
    case LogicalTypeId::UINTEGER:
      return DecimalType{10, 0};
    case LogicalTypeId::BIGINT:
      return DecimalType{19, 0};
    case LogicalTypeId::UBIGINT:
      return DecimalType{20, 0};
    case LogicalTypeId::HUGEINT:
    case LogicalTypeId::UHUGEINT:
      return DecimalType{kDigitsMax, 0};
    case LogicalTypeId::DECIMAL:
      return DecimalType{duckdb::DecimalType::GetWidth(type), duckdb::DecimalType::GetScale(type)};
    default:
      return std::nullopt;
  }
}

DecimalType AddType(DecimalType left, DecimalType right) {
  int scale = std::max(left.scale, right.scale);
  return Adjust(std::max(left.precision - left.scale, right.precision - right.scale) + scale + 1,
                scale);
}
DecimalType MultiplyType(DecimalType left, DecimalType right) {
  return Adjust(left.precision + right.precision + 1, left.scale + right.scale);
}
DecimalType DivideType(DecimalType left, DecimalType right) {
  int scale = std::max(kAdjustedScaleMin, left.scale + right.precision + 1);
  return Adjust(left.precision - left.scale + right.scale + scale, scale);
}
DecimalType ModuloType(DecimalType left, DecimalType right) {
  int scale = std::max(left.scale, right.scale);
  return Adjust(
      std::max(1, std::min(left.precision - left.scale, right.precision - right.scale) + scale),
      scale);
}
DecimalType RoundType(DecimalType type, int digits) {
  if (digits >= type.scale) return type;
  if (digits < 0) return {std::min(kDigitsMax, 1 + type.precision - type.scale), 0};
  return {std::min(kDigitsMax, 1 + type.precision - type.scale + digits), digits};
}

std::optional<Int128> ScaledDivide(Int128 value, int exponent, Int128 divisor) {
  Int128 raised;
  if (exponent >= 0 && TryRaise(value, exponent, raised)) {
    if (divisor < 0) {
      raised = -raised;
      divisor = -divisor;
    }
    return Fit(RoundedDivide(raised, divisor));
  }
  Natural numerator(Magnitude(value)), denominator(Magnitude(divisor));
  if (exponent >= 0)
    numerator.RaiseByTen(exponent);
  else
    denominator.RaiseByTen(-exponent);
  return RoundedQuotient(numerator, denominator, (value < 0) != (divisor < 0));
}

std::optional<Int128> ScaledMultiply(Int128 left, Int128 right, int drop) {
  Int128 product;
  if (!__builtin_mul_overflow(left, right, &product) && drop <= kDigitsMax) {
    return Fit(drop == 0 ? product : RoundedDivide(product, PowerOfTen(drop)));
  }
  Natural wide = Natural(Magnitude(left)).Times(Natural(Magnitude(right)));
  Natural divisor(1);
  divisor.RaiseByTen(drop);
  return RoundedQuotient(wide, divisor, (left < 0) != (right < 0));
}

std::optional<Int128> ScaledAdd(Int128 left, int left_up, Int128 right, int right_up, int drop) {
  Int128 a, b, sum;
  if (TryRaise(left, left_up, a) && TryRaise(right, right_up, b) &&
      !__builtin_add_overflow(a, b, &sum)) {
    return Fit(drop == 0 ? sum : RoundedDivide(sum, PowerOfTen(drop)));
  }
  Natural wide_left(Magnitude(left)), wide_right(Magnitude(right)), divisor(1);
  wide_left.RaiseByTen(left_up);
  wide_right.RaiseByTen(right_up);
  divisor.RaiseByTen(drop);
  bool negative = left < 0;
  if ((left < 0) == (right < 0)) {
    wide_left.Add(wide_right);
  } else if (wide_left.Compare(wide_right) >= 0) {
    wide_left.Subtract(wide_right);
  } else {
    wide_right.Subtract(wide_left);
    wide_left = wide_right;
    negative = right < 0;
  }
  return RoundedQuotient(wide_left, divisor, negative);
}

std::optional<Int128> ScaledModulo(Int128 left, int left_up, Int128 right, int right_up) {
  Int128 a, b;
  if (TryRaise(left, left_up, a) && TryRaise(right, right_up, b)) return Fit(a % b);
  Natural wide_left(Magnitude(left)), wide_right(Magnitude(right)), remainder(0);
  wide_left.RaiseByTen(left_up);
  wide_right.RaiseByTen(right_up);
  (void)wide_left.DivideBy(wide_right, remainder);
  return remainder.Signed(left < 0);
}

std::string DecimalText(Int128 value, int scale) {
  return duckdb::Decimal::ToString(FromInt128(value), kDigitsMax, static_cast<uint8_t>(scale));
}

}  // namespace millrace
