// number_merger.cc - sum, product, bool_and and bool_or.
//
// A result that does not fit the column is an error: never a wrap, never a silent NULL.
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "lsm/column_merger.h"

namespace millrace {

namespace {

using duckdb::PhysicalType;
using Int128 = __int128;
using UInt128 = unsigned __int128;

Int128 PowerOfTen(int exponent) {
  Int128 power = 1;
  for (int i = 0; i < exponent; i++) power *= 10;
  return power;
}

/// a * b / c, the half rounded away from zero; false when it does not fit 127 bits. c > 0.
bool MultiplyDivide(UInt128 a, UInt128 b, UInt128 c, UInt128& result) {
  UInt128 product;
  if (!__builtin_mul_overflow(a, b, &product)) {
    result = product / c;
    UInt128 rest = product % c;
    if (rest >= c - rest) result++;
    return result >> 127 == 0;
  }
  // 256 bits by schoolbook: high * 2^128 + low, divided bit by bit.
  constexpr UInt128 kLow = ~uint64_t{0};
  UInt128 low_low = (a & kLow) * (b & kLow);
  UInt128 middle_a = (a >> 64) * (b & kLow);
  UInt128 middle_b = (a & kLow) * (b >> 64);
  UInt128 carry = (low_low >> 64) + (middle_a & kLow) + (middle_b & kLow);
  UInt128 low = (low_low & kLow) | carry << 64;
  UInt128 high = (a >> 64) * (b >> 64) + (middle_a >> 64) + (middle_b >> 64) + (carry >> 64);
  if (high >= c) return false;
  UInt128 rest = high;
  result = 0;
  for (int bit = 127; bit >= 0; bit--) {
    bool top = rest >> 127 != 0;
    rest = rest << 1 | (low >> bit & 1);
    result <<= 1;
    if (top || rest >= c) {
      rest -= c;
      result |= 1;
    }
  }
  if (rest >= c - rest) result++;
  return result >> 127 == 0;
}

UInt128 Magnitude(Int128 number) {
  return number < 0 ? -static_cast<UInt128>(number) : static_cast<UInt128>(number);
}

/// Arithmetic of one column's type: exact integers, decimals (as integers times 10^scale), floats.
template <typename T>
class Numbers {
 public:
  explicit Numbers(const DataField& field) : field_(field) {
    if (field.type.root == TypeRoot::kDecimal) {
      decimal_ = true;
      limit_ = PowerOfTen(field.type.length);
      unit_ = PowerOfTen(field.type.scale);
    }
  }

  T Add(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      return a + b;
    } else {
      T sum;
      bool fits = !__builtin_add_overflow(a, b, &sum);
      return Checked(fits, sum, "sum");
    }
  }
  T Subtract(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      return a - b;
    } else {
      T difference;
      bool fits = !__builtin_sub_overflow(a, b, &difference);
      return Checked(fits, difference, "sum");
    }
  }
  T Multiply(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      return a * b;
    } else {
      if (decimal_) {
        return Scaled(Magnitude(a), Magnitude(b), static_cast<UInt128>(unit_), (a < 0) != (b < 0));
      }
      T product;
      bool fits = !__builtin_mul_overflow(a, b, &product);
      return Checked(fits, product, "product");
    }
  }
  T Divide(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      return a / b;
    } else {
      if (b == 0) {
        Throw(ErrorCode::kData,
              "Merging the rows of one key: column '{}' cannot take the factor 0 back from a "
              "product; set 'fields.{}.ignore-retract' = 'true' to leave deletes out of it",
              field_.name, field_.name);
      }
      if (decimal_) {
        return Scaled(Magnitude(a), static_cast<UInt128>(unit_), Magnitude(b), (a < 0) != (b < 0));
      }
      if (b == -1) return Subtract(0, a);
      return static_cast<T>(a / b);
    }
  }

 private:
  /// a * b / c of magnitudes, rounded.
  T Scaled(UInt128 a, UInt128 b, UInt128 c, bool negative) const {
    UInt128 result = 0;
    bool fits = MultiplyDivide(a, b, c, result) && result < static_cast<UInt128>(limit_);
    Int128 number = fits ? static_cast<Int128>(result) : 0;
    return Checked(fits, static_cast<T>(negative ? -number : number), "product");
  }

  T Checked(bool fits, T number, const char* what) const {
    if (fits && decimal_) fits = number < limit_ && number > -limit_;
    if (!fits) {
      Throw(ErrorCode::kData,
            "Merging the rows of one key: the {} of column '{}' does not fit {}; give the column a "
            "wider type",
            what, field_.name, field_.type.Nullable().ToString());
    }
    return number;
  }

  const DataField field_;
  bool decimal_ = false;
  Int128 limit_ = 0;
  Int128 unit_ = 1;
};

template <typename T>
T Load(const char* data, uint32_t at) {
  T value;
  std::memcpy(&value, data + size_t{at} * sizeof(T), sizeof(T));  // 128 bits lie on 8 bytes.
  return value;
}

template <typename T>
struct Accumulator {
  T value{};
  bool valid = false;
};

/// sum or product.
template <typename T, bool product>
class NumberMerger : public ColumnMerger {
 public:
  NumberMerger(const DataField& field, const ColumnMerge& merge) : numbers_(field), merge_(merge) {}

  void Merge(Vector& source, const MergeRows& rows, const RowEffect* effects,
             Vector& target) override {
    auto* data = reinterpret_cast<const char*>(duckdb::FlatVector::GetData(source));
    auto* out = reinterpret_cast<char*>(duckdb::FlatVector::GetData(target));
    auto& validity = duckdb::FlatVector::Validity(source);
    WalkGroups(
        rows, effects, [] { return Accumulator<T>(); },
        [&](Accumulator<T>& sum, uint32_t row, RowEffect effect) {
          uint32_t at = rows.positions[row];
          bool valid = validity.RowIsValid(at);
          Step(sum, valid ? Load<T>(data, at) : T{}, valid, effect);
        },
        [&](idx_t group, const Accumulator<T>& sum) {
          std::memcpy(out + group * sizeof(T), &sum.value, sizeof(T));
          if (!sum.valid) duckdb::FlatVector::SetNull(target, group, true);
        });
  }

 private:
  void Step(Accumulator<T>& sum, T value, bool valid, RowEffect effect) const {
    if (effect == RowEffect::kAdd || effect == RowEffect::kAddOlder) {
      if (!valid) return;
      if (!sum.valid) {
        sum = {value, true};
      } else {
        sum.value = product ? numbers_.Multiply(sum.value, value) : numbers_.Add(sum.value, value);
      }
      return;
    }
    if (effect == RowEffect::kClear) sum.valid = false;
    if (effect == RowEffect::kAssign || effect == RowEffect::kAssignRetract) sum = {value, valid};
    bool retract = effect == RowEffect::kRetract || effect == RowEffect::kAssignRetract;
    if (!retract || merge_.ignore_retract || !valid) return;
    if (product) {
      if (sum.valid) sum.value = numbers_.Divide(sum.value, value);
    } else {
      sum = {numbers_.Subtract(sum.valid ? sum.value : T{}, value), true};
    }
  }

  Numbers<T> numbers_;
  const ColumnMerge merge_;
};

/// bool_and or bool_or.
class BooleanMerger : public ColumnMerger {
 public:
  BooleanMerger(const DataField& field, const ColumnMerge& merge) : field_(field), merge_(merge) {}

  void Merge(Vector& source, const MergeRows& rows, const RowEffect* effects,
             Vector& target) override {
    auto* data = duckdb::FlatVector::GetData<bool>(source);
    auto* out = duckdb::FlatVector::GetData<bool>(target);
    auto& validity = duckdb::FlatVector::Validity(source);
    bool is_and = merge_.aggregate == Aggregate::kBoolAnd;
    WalkGroups(
        rows, effects, [] { return Accumulator<bool>(); },
        [&](Accumulator<bool>& state, uint32_t row, RowEffect effect) {
          uint32_t at = rows.positions[row];
          bool valid = validity.RowIsValid(at);
          bool retract = effect == RowEffect::kRetract || effect == RowEffect::kAssignRetract;
          if (retract && !merge_.ignore_retract) RefuseRetraction(field_, merge_.aggregate);
          if (effect == RowEffect::kRetract) return;
          if (effect == RowEffect::kClear) {
            state.valid = false;
          } else if (effect == RowEffect::kAssign || effect == RowEffect::kAssignRetract) {
            state = {valid && data[at], valid};
          } else if (valid) {
            bool both = is_and ? state.value && data[at] : state.value || data[at];
            state = {state.valid ? both : data[at], true};
          }
        },
        [&](idx_t group, const Accumulator<bool>& state) {
          out[group] = state.value;
          if (!state.valid) duckdb::FlatVector::SetNull(target, group, true);
        });
  }

 private:
  const DataField field_;
  const ColumnMerge merge_;
};

template <typename T>
std::unique_ptr<ColumnMerger> MakeNumbers(const DataField& field, const ColumnMerge& merge) {
  if (merge.aggregate == Aggregate::kProduct) {
    return std::make_unique<NumberMerger<T, true>>(field, merge);
  }
  return std::make_unique<NumberMerger<T, false>>(field, merge);
}

}  // namespace

std::unique_ptr<ColumnMerger> MakeNumberMerger(const DataField& field, const ColumnMerge& merge) {
  if (merge.aggregate == Aggregate::kBoolAnd || merge.aggregate == Aggregate::kBoolOr) {
    if (field.type.root != TypeRoot::kBoolean) return nullptr;
    return std::make_unique<BooleanMerger>(field, merge);
  }
  if (field.type.root < TypeRoot::kTinyInt || field.type.root > TypeRoot::kDecimal) return nullptr;
  switch (field.type.ToDuck().InternalType()) {
    case PhysicalType::INT8:
      return MakeNumbers<int8_t>(field, merge);
    case PhysicalType::INT16:
      return MakeNumbers<int16_t>(field, merge);
    case PhysicalType::INT32:
      return MakeNumbers<int32_t>(field, merge);
    case PhysicalType::INT64:
      return MakeNumbers<int64_t>(field, merge);
    case PhysicalType::INT128:
      return MakeNumbers<Int128>(field, merge);
    case PhysicalType::FLOAT:
      return MakeNumbers<float>(field, merge);
    case PhysicalType::DOUBLE:
      return MakeNumbers<double>(field, merge);
    default:
      return nullptr;
  }
}

}  // namespace millrace
