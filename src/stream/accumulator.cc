#include "stream/accumulator.h"

#include <cmath>

#include "duckdb/common/types/hugeint.hpp"
#include "duckdb/planner/expression/bound_aggregate_expression.hpp"

namespace millrace {

namespace {

using duckdb::FlatVector;
using duckdb::hugeint_t;
using duckdb::PhysicalType;
using Wide = __int128 __attribute__((aligned(8)));

constexpr double kPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,
                              1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
                              1e20, 1e21, 1e22, 1e23, 1e24, 1e25, 1e26, 1e27, 1e28, 1e29,
                              1e30, 1e31, 1e32, 1e33, 1e34, 1e35, 1e36, 1e37, 1e38};

__int128 PowerOfTen(int exponent) {
  __int128 value = 1;
  for (int i = 0; i < exponent; i++) value *= 10;
  return value;
}

__int128 ToWide(hugeint_t value) {
  return static_cast<__int128>((static_cast<unsigned __int128>(value.upper) << 64) | value.lower);
}
hugeint_t ToHuge(__int128 value) {
  return hugeint_t(static_cast<int64_t>(value >> 64), static_cast<uint64_t>(value));
}

template <typename T>
__int128 Widen(T value) {
  if constexpr (std::is_same_v<T, hugeint_t>) {
    return ToWide(value);
  } else {
    return static_cast<__int128>(value);
  }
}

/// Fits `value`, an integer scaled as the result type says, into the result vector.
void StoreExact(__int128 value, const AggregateCall& call, Vector& result, idx_t at) {
  const LogicalType& type = call.result_type;
  auto fail = [&] {
    Throw(ErrorCode::kData,
          "Computing {}: the result does not fit {}; cast the argument to a wider type", call.text,
          type.ToString());
  };
  if (type.id() == LogicalTypeId::DECIMAL) {
    __int128 limit = PowerOfTen(duckdb::DecimalType::GetWidth(type));
    if (value >= limit || value <= -limit) fail();
  }
  auto narrow = [&](auto sample) {
    using T = decltype(sample);
    if (value < std::numeric_limits<T>::min() || value > std::numeric_limits<T>::max()) fail();
    FlatVector::GetData<T>(result)[at] = static_cast<T>(value);
  };
  switch (type.InternalType()) {
    case PhysicalType::INT8:
      return narrow(int8_t());
    case PhysicalType::INT16:
      return narrow(int16_t());
    case PhysicalType::INT32:
      return narrow(int32_t());
    case PhysicalType::INT64:
      return narrow(int64_t());
    case PhysicalType::INT128:
      FlatVector::GetData<hugeint_t>(result)[at] = ToHuge(value);
      return;
    case PhysicalType::DOUBLE:
      FlatVector::GetData<double>(result)[at] = static_cast<double>(value);
      return;
    default:
      Throw(ErrorCode::kUnsupported, "Computing {}: result type {} has no rule", call.text,
            type.ToString());
  }
}

/// An aggregate whose state is a plain value: it lies in the group's row and is saved as it is.
template <typename State>
class PlainAccumulator : public Accumulator {
 public:
  idx_t Bytes() const override { return sizeof(State); }
  RecordParts Parts(idx_t offset) const override {
    return {RecordPart::Plain(offset, sizeof(State))};
  }
};

class CountAccumulator : public PlainAccumulator<int64_t> {
 public:
  explicit CountAccumulator(AggregateCall call) : call_(std::move(call)) {}
  void Update(Vector* argument, idx_t count, uint8_t* const* states, const uint64_t*,
              const int64_t* weights) override {
    if (!argument) {
      for (idx_t i = 0; i < count; i++) *reinterpret_cast<int64_t*>(states[i]) += weights[i];
      return;
    }
    UnifiedVectorFormat format;
    argument->ToUnifiedFormat(count, format);
    for (idx_t i = 0; i < count; i++) {
      bool valid = format.validity.RowIsValid(format.sel->get_index(i));
      *reinterpret_cast<int64_t*>(states[i]) += valid ? weights[i] : 0;
    }
  }
  void Finalize(uint8_t* const* states, idx_t count, Vector& result) override {
    for (idx_t i = 0; i < count; i++)
      StoreExact(*reinterpret_cast<int64_t*>(states[i]), call_, result, i);
  }
  duckdb::vector<LogicalType> SumTypes() const override { return {LogicalType::BIGINT}; }
  void TellSums(uint8_t* const* states, idx_t count, Vector* sums) override {
    auto counts = FlatVector::GetData<int64_t>(sums[0]);
    for (idx_t i = 0; i < count; i++) counts[i] = *reinterpret_cast<int64_t*>(states[i]);
  }
  void AddSums(Vector* sums, idx_t count, uint8_t* const* states) override {
    auto counts = FlatVector::GetData<int64_t>(sums[0]);
    for (idx_t i = 0; i < count; i++) *reinterpret_cast<int64_t*>(states[i]) += counts[i];
  }
  std::string DescribeState() const override { return "count"; }

 private:
  AggregateCall call_;
};

struct ExactSum {
  Wide sum;
  int64_t count;
};

/// SUM and AVG of integers and decimals.
class ExactSumAccumulator : public PlainAccumulator<ExactSum> {
 public:
  explicit ExactSumAccumulator(AggregateCall call) : call_(std::move(call)) {}
  void Update(Vector* argument, idx_t count, uint8_t* const* states, const uint64_t*,
              const int64_t* weights) override {
    switch (argument->GetType().InternalType()) {
      case PhysicalType::BOOL:
      case PhysicalType::UINT8:
        return Add<uint8_t>(*argument, count, states, weights);
      case PhysicalType::INT8:
        return Add<int8_t>(*argument, count, states, weights);
      case PhysicalType::UINT16:
        return Add<uint16_t>(*argument, count, states, weights);
      case PhysicalType::INT16:
        return Add<int16_t>(*argument, count, states, weights);
      case PhysicalType::UINT32:
        return Add<uint32_t>(*argument, count, states, weights);
      case PhysicalType::INT32:
        return Add<int32_t>(*argument, count, states, weights);
      case PhysicalType::UINT64:
        return Add<uint64_t>(*argument, count, states, weights);
      case PhysicalType::INT64:
        return Add<int64_t>(*argument, count, states, weights);
      default:
        return Add<hugeint_t>(*argument, count, states, weights);
    }
  }
  void Finalize(uint8_t* const* states, idx_t count, Vector& result) override {
    for (idx_t i = 0; i < count; i++) {
      auto& state = *reinterpret_cast<ExactSum*>(states[i]);
      if (state.count == 0) {
        FlatVector::SetNull(result, i, true);
      } else if (call_.kind == AggregateKind::kSum) {
        StoreExact(state.sum, call_, result, i);
      } else {
        Average(state, result, i);
      }
    }
  }
  duckdb::vector<LogicalType> SumTypes() const override {
    return {LogicalType::HUGEINT, LogicalType::BIGINT};
  }
  void TellSums(uint8_t* const* states, idx_t count, Vector* sums) override {
    auto totals = FlatVector::GetData<hugeint_t>(sums[0]);
    auto counts = FlatVector::GetData<int64_t>(sums[1]);
    for (idx_t i = 0; i < count; i++) {
      auto& state = *reinterpret_cast<ExactSum*>(states[i]);
      totals[i] = ToHuge(state.sum);
      counts[i] = state.count;
    }
  }
  void AddSums(Vector* sums, idx_t count, uint8_t* const* states) override {
    auto totals = FlatVector::GetData<hugeint_t>(sums[0]);
    auto counts = FlatVector::GetData<int64_t>(sums[1]);
    for (idx_t i = 0; i < count; i++) {
      auto& state = *reinterpret_cast<ExactSum*>(states[i]);
      AddTo(state, ToWide(totals[i]));
      state.count += counts[i];
    }
  }
  std::string DescribeState() const override { return "exact sum"; }

 private:
  void AddTo(ExactSum& state, __int128 value) {
    __int128 sum = state.sum;
    if (__builtin_add_overflow(sum, value, &sum)) {
      Throw(ErrorCode::kData, "Computing {}: the sum does not fit 128 bits", call_.text);
    }
    state.sum = sum;
  }
  template <typename T>
  void Add(Vector& argument, idx_t count, uint8_t* const* states, const int64_t* weights) {
    UnifiedVectorFormat format;
    argument.ToUnifiedFormat(count, format);
    auto data = reinterpret_cast<const T*>(format.data);
    for (idx_t i = 0; i < count; i++) {
      idx_t at = format.sel->get_index(i);
      if (!format.validity.RowIsValid(at)) continue;
      auto& state = *reinterpret_cast<ExactSum*>(states[i]);
      if constexpr (std::is_same_v<T, hugeint_t>) {
        AddTo(state, Widen(data[at]) * weights[i]);
      } else {
        state.sum += static_cast<__int128>(data[at]) * weights[i];
      }
      state.count += weights[i];
    }
  }

  int Scale(const LogicalType& type) const {
    return type.id() == LogicalTypeId::DECIMAL ? duckdb::DecimalType::GetScale(type) : 0;
  }

  void Average(const ExactSum& state, Vector& result, idx_t at) {
    if (call_.result_type.id() == LogicalTypeId::DOUBLE) {
      // As DuckDB does it: 128-bit arguments in long double, others in double.
      int scale = Scale(call_.argument_type);
      if (call_.argument_type.InternalType() == PhysicalType::INT128 ||
          call_.argument_type.InternalType() == PhysicalType::INT64) {
        long double divisor = static_cast<long double>(state.count) * kPowers[scale];
        FlatVector::GetData<double>(result)[at] =
            static_cast<double>(static_cast<long double>(state.sum) / divisor);
      } else {
        double divisor = static_cast<double>(state.count) * kPowers[scale];
        FlatVector::GetData<double>(result)[at] = static_cast<double>(state.sum) / divisor;
      }
      return;
    }
    if (call_.result_type.id() != LogicalTypeId::DECIMAL) {
      return StoreExact(state.sum / state.count, call_, result, at);  // Truncates toward zero.
    }
    int shift = Scale(call_.result_type) - Scale(call_.argument_type);
    __int128 dividend = state.sum, divisor = state.count, factor = PowerOfTen(std::abs(shift));
    if (__builtin_mul_overflow(shift >= 0 ? dividend : divisor, factor,
                               shift >= 0 ? &dividend : &divisor)) {
      Throw(ErrorCode::kData, "Computing {}: the sum is too large for the scale of {}", call_.text,
            call_.result_type.ToString());
    }
    __int128 quotient = dividend / divisor, rest = dividend % divisor;
    if (rest < 0) rest = -rest;
    if (rest >= divisor - rest) quotient += dividend < 0 ? -1 : 1;  // HALF_UP: away from zero.
    StoreExact(quotient, call_, result, at);
  }

  AggregateCall call_;
};

struct DoubleSum {
  double sum, compensation;
  int64_t count, nan, positive, negative;
};

/// SUM and AVG of FLOAT and DOUBLE.
class DoubleSumAccumulator : public PlainAccumulator<DoubleSum> {
 public:
  explicit DoubleSumAccumulator(AggregateCall call) : call_(std::move(call)) {}
  void Update(Vector* argument, idx_t count, uint8_t* const* states, const uint64_t*,
              const int64_t* weights) override {
    if (argument->GetType().InternalType() == PhysicalType::FLOAT) {
      Add<float>(*argument, count, states, weights);
    } else {
      Add<double>(*argument, count, states, weights);
    }
  }
  void Finalize(uint8_t* const* states, idx_t count, Vector& result) override {
    for (idx_t i = 0; i < count; i++) {
      auto& state = *reinterpret_cast<DoubleSum*>(states[i]);
      if (state.count == 0) {
        FlatVector::SetNull(result, i, true);
        continue;
      }
      double value = state.sum + state.compensation;
      if (state.positive) value = HUGE_VAL;
      if (state.negative) value = -HUGE_VAL;
      if (state.nan || (state.positive && state.negative)) value = std::nan("");
      if (call_.kind == AggregateKind::kAvg) value /= static_cast<double>(state.count);
      if (result.GetType().InternalType() == PhysicalType::FLOAT) {
        FlatVector::GetData<float>(result)[i] = static_cast<float>(value);
      } else {
        FlatVector::GetData<double>(result)[i] = value;
      }
    }
  }
  std::string DescribeState() const override { return "compensated sum"; }

 private:
  template <typename T>
  void Add(Vector& argument, idx_t count, uint8_t* const* states, const int64_t* weights) {
    UnifiedVectorFormat format;
    argument.ToUnifiedFormat(count, format);
    auto data = reinterpret_cast<const T*>(format.data);
    for (idx_t i = 0; i < count; i++) {
      idx_t at = format.sel->get_index(i);
      if (!weights[i] || !format.validity.RowIsValid(at)) continue;
      auto& state = *reinterpret_cast<DoubleSum*>(states[i]);
      double value = static_cast<double>(data[at]) * static_cast<double>(weights[i]);
      state.count += weights[i];
      if (std::isnan(value)) {
        state.nan += weights[i];
      } else if (std::isinf(value)) {
        (data[at] > 0 ? state.positive : state.negative) += weights[i];
      } else {
        double sum = state.sum + value;
        state.compensation += std::fabs(state.sum) >= std::fabs(value) ? (state.sum - sum) + value
                                                                       : (value - sum) + state.sum;
        state.sum = sum;
      }
      if (state.count == state.nan + state.positive + state.negative) {
        state.sum = state.compensation = 0;  // Nothing finite is left: forget the rounding.
      }
    }
  }

  AggregateCall call_;
};

bool IsExactNumber(const LogicalType& type) {
  return type.IsIntegral()
             ? type.id() != LogicalTypeId::UHUGEINT
             : type.id() == LogicalTypeId::DECIMAL || type.id() == LogicalTypeId::BOOLEAN;
}

bool IsFloat(const LogicalType& type) {
  return type.id() == LogicalTypeId::DOUBLE || type.id() == LogicalTypeId::FLOAT;
}

}  // namespace

std::optional<AggregateCall> NativeAggregate(const duckdb::BoundAggregateExpression& aggregate) {
  const std::string& name = aggregate.function.name;
  AggregateCall call;
  call.kind = AggregateKind::kCountAll;
  call.distinct = aggregate.IsDistinct();
  call.result_type = aggregate.return_type;
  call.text = aggregate.ToString();
  if (aggregate.children.size() > 1) return std::nullopt;
  if (aggregate.children.empty()) {
    if (name != "count_star" && name != "count") return std::nullopt;
    call.distinct = false;
    return call;
  }
  call.argument_type = aggregate.children[0]->return_type;
  const LogicalType& type = call.argument_type;
  if (type.IsNested()) return std::nullopt;
  if (name == "count") {
    call.kind = AggregateKind::kCount;
    return call;
  }
  // FIRST and ANY_VALUE without order may give any value: take the least.
  bool any =
      (name == "first" || name == "any_value" || name == "arbitrary") && !aggregate.order_bys;
  if (aggregate.order_bys && name != "min" && name != "max" &&
      !aggregate.order_bys->orders.empty()) {
    return std::nullopt;
  }
  if (name == "min" || name == "max" || any) {
    if (call.result_type != type) return std::nullopt;
    call.kind = name == "max" ? AggregateKind::kMax : AggregateKind::kMin;
    call.distinct = false;
    return call;
  }
  bool sum = name == "sum" || name == "sum_no_overflow";
  if (!sum && name != "avg" && name != "mean") return std::nullopt;
  call.kind = sum ? AggregateKind::kSum : AggregateKind::kAvg;
  bool float_result = IsFloat(call.result_type);
  bool exact_result =
      IsExactNumber(call.result_type) && call.result_type.id() != LogicalTypeId::BOOLEAN;
  bool same_scale =
      call.result_type.id() != LogicalTypeId::DECIMAL && type.id() != LogicalTypeId::DECIMAL;
  if (!same_scale && call.result_type.id() == LogicalTypeId::DECIMAL &&
      type.id() == LogicalTypeId::DECIMAL) {
    same_scale =
        duckdb::DecimalType::GetScale(call.result_type) == duckdb::DecimalType::GetScale(type);
  }
  if (IsFloat(type) && float_result) return call;
  if (!IsExactNumber(type)) return std::nullopt;
  if (sum && exact_result && same_scale) return call;
  if (!sum && (exact_result || call.result_type.id() == LogicalTypeId::DOUBLE)) return call;
  return std::nullopt;
}

Combining CombiningOf(const AggregateCall& call, bool append_only) {
  bool sums = call.kind == AggregateKind::kSum || call.kind == AggregateKind::kAvg;
  if (sums && IsFloat(call.argument_type)) return Combining::kNever;
  if (call.distinct) return Combining::kByValue;
  bool kept = call.kind == AggregateKind::kMin || call.kind == AggregateKind::kMax;
  return kept && !append_only ? Combining::kByValue : Combining::kSum;
}

const int64_t* FilteredWeights(Vector& filter, idx_t count, const int64_t* weights,
                               std::vector<int64_t>& passed) {
  UnifiedVectorFormat format;
  filter.ToUnifiedFormat(count, format);
  auto passes = UnifiedVectorFormat::GetData<bool>(format);
  passed.resize(count);
  for (idx_t i = 0; i < count; i++) {
    idx_t at = format.sel->get_index(i);
    passed[i] = format.validity.RowIsValid(at) && passes[at] ? weights[i] : 0;
  }
  return passed.data();
}

std::unique_ptr<Accumulator> Accumulator::Make(StateArena& arena, const AggregateCall& call,
                                               bool append_only) {
  std::unique_ptr<Accumulator> made;
  switch (call.kind) {
    case AggregateKind::kCountAll:
    case AggregateKind::kCount:
      made = std::make_unique<CountAccumulator>(call);
      break;
    case AggregateKind::kMin:
    case AggregateKind::kMax:
      return MakeOrdered(arena, call, append_only);
    default:
      if (IsFloat(call.argument_type)) {
        made = std::make_unique<DoubleSumAccumulator>(call);
      } else {
        made = std::make_unique<ExactSumAccumulator>(call);
      }
  }
  if (!call.distinct) return made;
  return MakeDistinct(arena, call, std::move(made));
}

}  // namespace millrace
