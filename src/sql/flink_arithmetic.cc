// + - * / % and MOD with Flink's types: integers stay integers, decimals stay decimals, overflow
// fails.
//
// Each takes ANY and decides at bind. Integers: both sides to the wider type (DuckDB's checked
// kernels for
// + - *, ours for / and %). A DECIMAL with an integer or DECIMAL: kernels below, on unscaled 64 or
// 128 bits. All else (FLOAT, DOUBLE, dates, intervals) is DuckDB's, but for DATE +- INTERVAL of
// whole days.
#include "duckdb/common/exception/binder_exception.hpp"
#include "duckdb/common/types/date.hpp"
#include "duckdb/common/types/interval.hpp"
#include "duckdb/common/types/timestamp.hpp"
#include "duckdb/common/vector_operations/binary_executor.hpp"
#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/execution/expression_executor_state.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"

#include "base/error.h"
#include "sql/column_reader.h"
#include "sql/function_registry.h"

namespace millrace {

namespace {

struct DecimalPlan : public duckdb::FunctionData {
  DecimalType left, right, result;

  duckdb::unique_ptr<duckdb::FunctionData> Copy() const override {
    auto copy = duckdb::make_uniq<DecimalPlan>();
    copy->left = left;
    copy->right = right;
    copy->result = result;
    return copy;
  }
  bool Equals(const duckdb::FunctionData& other_data) const override {
    auto& other = other_data.Cast<DecimalPlan>();
    return left == other.left && right == other.right && result == other.result;
  }
};

// Runs `operation` over the rows of two columns; NULL in, NULL out.
template <class Argument, class Result, class Operation>
void Loop(DataChunk& arguments, Vector& result, Operation&& operation) {
  bool constant = arguments.AllConstant();
  idx_t count = constant ? 1 : arguments.size();
  ColumnReader<Argument> left(arguments.data[0], count), right(arguments.data[1], count);
  result.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
  auto out = duckdb::FlatVector::GetData<Result>(result);
  auto& validity = duckdb::FlatVector::Validity(result);
  bool all_valid = left.AllValid() && right.AllValid();
  for (idx_t row = 0; row < count; row++) {
    if (!all_valid && (!left.IsValid(row) || !right.IsValid(row)))
      validity.SetInvalid(row);
    else
      out[row] = operation(left[row], right[row]);
  }
  if (constant) result.SetVectorType(duckdb::VectorType::CONSTANT_VECTOR);
}

const duckdb::BoundFunctionExpression& ExpressionOf(duckdb::ExpressionState& state) {
  return state.expr.Cast<duckdb::BoundFunctionExpression>();
}

[[noreturn]] void DecimalOverflow(const char* sign, const DecimalPlan& plan, Int128 left,
                                  Int128 right) {
  Throw(ErrorCode::kData,
        "Decimal overflow: {} {} {} does not fit DECIMAL({}, {}); cast an operand to fewer digits",
        DecimalText(left, plan.left.scale), sign, DecimalText(right, plan.right.scale),
        plan.result.precision, plan.result.scale);
}

[[noreturn]] void DivisionByZero(const std::string& left, const char* sign) {
  Throw(ErrorCode::kData, "Division by zero: {} {} 0; guard it with NULLIF(divisor, 0)", left,
        sign);
}

struct Add {
  static constexpr const char* kSign = "+";
  static std::optional<Int128> Do(Int128 left, Int128 right, const DecimalPlan& plan) {
    int scale = std::max(plan.left.scale, plan.right.scale);
    return ScaledAdd(left, scale - plan.left.scale, right, scale - plan.right.scale,
                     scale - plan.result.scale);
  }
};
struct Subtract {
  static constexpr const char* kSign = "-";
  static std::optional<Int128> Do(Int128 left, Int128 right, const DecimalPlan& plan) {
    return Add::Do(left, -right, plan);
  }
};
struct Multiply {
  static constexpr const char* kSign = "*";
  static std::optional<Int128> Do(Int128 left, Int128 right, const DecimalPlan& plan) {
    return ScaledMultiply(left, right, plan.left.scale + plan.right.scale - plan.result.scale);
  }
};
struct Divide {
  static constexpr const char* kSign = "/";
  static std::optional<Int128> Do(Int128 left, Int128 right, const DecimalPlan& plan) {
    if (right == 0) DivisionByZero(DecimalText(left, plan.left.scale), kSign);
    return ScaledDivide(left, plan.result.scale - plan.left.scale + plan.right.scale, right);
  }
};
struct Modulo {
  static constexpr const char* kSign = "%";
  static std::optional<Int128> Do(Int128 left, Int128 right, const DecimalPlan& plan) {
    if (right == 0) DivisionByZero(DecimalText(left, plan.left.scale), kSign);
    int scale = std::max(plan.left.scale, plan.right.scale);
    return ScaledModulo(left, scale - plan.left.scale, right, scale - plan.right.scale);
  }
};

template <class Operation, class Argument, class Result>
void DecimalKernel(DataChunk& arguments, duckdb::ExpressionState& state, Vector& result) {
  auto& plan = ExpressionOf(state).bind_info->Cast<DecimalPlan>();
  Int128 limit = PowerOfTen(plan.result.precision);
  Loop<Argument, Result>(arguments, result, [&](Argument left, Argument right) {
    Int128 a = Widen(left), b = Widen(right);
    auto value = Operation::Do(a, b, plan);
    if (!value || *value >= limit || *value <= -limit)
      DecimalOverflow(Operation::kSign, plan, a, b);
    return Narrow<Result>(*value);
  });
}

// Sums and differences whose operands and result have at most 18 digits: 64 bits do, nothing can
// overflow.
template <int sign, class Result>
void SmallSumKernel(DataChunk& arguments, duckdb::ExpressionState& state, Vector& result) {
  auto& plan = ExpressionOf(state).bind_info->Cast<DecimalPlan>();
  int64_t left_factor = static_cast<int64_t>(PowerOfTen(plan.result.scale - plan.left.scale));
  int64_t right_factor =
      static_cast<int64_t>(PowerOfTen(plan.result.scale - plan.right.scale)) * sign;
  Loop<int64_t, Result>(arguments, result, [&](int64_t left, int64_t right) {
    return static_cast<Result>(left * left_factor + right * right_factor);
  });
}

// Products of operands whose result has at most 18 digits.
template <class Result>
void SmallProductKernel(DataChunk& arguments, duckdb::ExpressionState&, Vector& result) {
  Loop<int64_t, Result>(arguments, result, [&](int64_t left, int64_t right) {
    return static_cast<Result>(left * right);
  });
}

template <class Operation, class Argument>
duckdb::scalar_function_t PickResult(duckdb::PhysicalType type) {
  switch (type) {
    case duckdb::PhysicalType::INT16:
      return DecimalKernel<Operation, Argument, int16_t>;
    case duckdb::PhysicalType::INT32:
      return DecimalKernel<Operation, Argument, int32_t>;
    case duckdb::PhysicalType::INT64:
      return DecimalKernel<Operation, Argument, int64_t>;
    default:
      return DecimalKernel<Operation, Argument, duckdb::hugeint_t>;
  }
}

template <class Operation>
duckdb::scalar_function_t PickKernel(bool small, duckdb::PhysicalType type) {
  return small ? PickResult<Operation, int64_t>(type)
               : PickResult<Operation, duckdb::hugeint_t>(type);
}

duckdb::scalar_function_t PickSmall(char sign, duckdb::PhysicalType type) {
  bool i16 = type == duckdb::PhysicalType::INT16, i32 = type == duckdb::PhysicalType::INT32;
  if (sign == '+')
    return i16   ? SmallSumKernel<1, int16_t>
           : i32 ? SmallSumKernel<1, int32_t>
                 : SmallSumKernel<1, int64_t>;
  if (sign == '-')
    return i16   ? SmallSumKernel<-1, int16_t>
           : i32 ? SmallSumKernel<-1, int32_t>
                 : SmallSumKernel<-1, int64_t>;
  return i16   ? SmallProductKernel<int16_t>
         : i32 ? SmallProductKernel<int32_t>
               : SmallProductKernel<int64_t>;
}

BindData BindDecimal(char sign, duckdb::ScalarFunction& bound, DecimalType left,
                     DecimalType right) {
  auto plan = duckdb::make_uniq<DecimalPlan>();
  plan->left = left;
  plan->right = right;
  plan->result = sign == '*'   ? MultiplyType(left, right)
                 : sign == '/' ? DivideType(left, right)
                 : sign == '%' ? ModuloType(left, right)
                               : AddType(left, right);
  constexpr int kSmallDigits = 18;
  bool small = left.precision <= kSmallDigits && right.precision <= kSmallDigits;
  LogicalType result = plan->result.ToDuck();
  duckdb::PhysicalType physical = result.InternalType();
  if (small && plan->result.precision <= kSmallDigits && sign != '/' && sign != '%') {
    bound.function = PickSmall(sign, physical);
  } else if (sign == '+') {
    bound.function = PickKernel<Add>(small, physical);
  } else if (sign == '-') {
    bound.function = PickKernel<Subtract>(small, physical);
  } else if (sign == '*') {
    bound.function = PickKernel<Multiply>(small, physical);
  } else if (sign == '/') {
    bound.function = PickKernel<Divide>(small, physical);
  } else {
    bound.function = PickKernel<Modulo>(small, physical);
  }
  bound.arguments = {left.ToDuck(), right.ToDuck()};
  bound.SetReturnType(result);
  return plan;
}

template <class T, bool modulo>
void IntegerKernel(DataChunk& arguments, duckdb::ExpressionState&, Vector& result) {
  duckdb::BinaryExecutor::Execute<T, T, T>(
      arguments.data[0], arguments.data[1], result, arguments.size(), [](T left, T right) -> T {
        if (right == 0) DivisionByZero(std::to_string(left), modulo ? "%" : "/");
        if (right == -1) {  // The one quotient that does not fit.
          if (modulo) return 0;
          if (left == std::numeric_limits<T>::min()) {
            Throw(ErrorCode::kData, "Integer overflow: {} / -1", left);
          }
        }
        return static_cast<T>(modulo ? left % right : left / right);
      });
}

template <bool modulo>
duckdb::scalar_function_t PickInteger(LogicalTypeId type) {
  switch (type) {
    case LogicalTypeId::TINYINT:
      return IntegerKernel<int8_t, modulo>;
    case LogicalTypeId::SMALLINT:
      return IntegerKernel<int16_t, modulo>;
    case LogicalTypeId::INTEGER:
      return IntegerKernel<int32_t, modulo>;
    default:
      return IntegerKernel<int64_t, modulo>;
  }
}

// 1 TINYINT ... 4 BIGINT, 0 for the others.
int IntegerRank(const LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::TINYINT:
      return 1;
    case LogicalTypeId::SMALLINT:
      return 2;
    case LogicalTypeId::INTEGER:
      return 3;
    case LogicalTypeId::BIGINT:
      return 4;
    default:
      return 0;
  }
}

template <int sign>
void DateKernel(DataChunk& arguments, duckdb::ExpressionState&, Vector& result) {
  duckdb::BinaryExecutor::Execute<duckdb::date_t, duckdb::interval_t, duckdb::date_t>(
      arguments.data[0], arguments.data[1], result, arguments.size(),
      [](duckdb::date_t date, duckdb::interval_t interval) {
        if (sign < 0) interval = duckdb::Interval::Invert(interval);
        return duckdb::Interval::Add(date, interval);
      });
}

// DATE + INTERVAL '1' DAY is a DATE in Flink; with hours and less it becomes a TIMESTAMP, as
// DuckDB's.
bool BindDate(duckdb::ClientContext& context, char sign, duckdb::ScalarFunction& bound,
              const Expressions& arguments) {
  bool date_first = arguments[0]->return_type.id() == LogicalTypeId::DATE &&
                    arguments[1]->return_type.id() == LogicalTypeId::INTERVAL;
  if (!date_first || !arguments[1]->IsFoldable()) return false;
  Value interval;
  if (!duckdb::ExpressionExecutor::TryEvaluateScalar(context, *arguments[1], interval))
    return false;
  if (!interval.IsNull() && duckdb::IntervalValue::Get(interval).micros != 0) return false;
  bound.function = sign == '+' ? DateKernel<1> : DateKernel<-1>;
  bound.arguments = {LogicalType::DATE, LogicalType::INTERVAL};
  bound.SetReturnType(LogicalType::DATE);
  return true;
}

template <int sign, bool interval_first>
void InstantKernel(DataChunk& arguments, duckdb::ExpressionState&, Vector& result) {
  duckdb::BinaryExecutor::Execute<duckdb::timestamp_t, duckdb::interval_t, duckdb::timestamp_t>(
      arguments.data[interval_first ? 1 : 0], arguments.data[interval_first ? 0 : 1], result,
      arguments.size(), [](duckdb::timestamp_t time, duckdb::interval_t interval) {
        if (sign < 0) interval = duckdb::Interval::Invert(interval);
        return duckdb::Interval::Add(time, interval);
      });
}

// A day added to a TIMESTAMP_LTZ is 24 hours in Flink, also when clocks are changed that day.
bool BindInstant(char sign, duckdb::ScalarFunction& bound,
                 const duckdb::vector<LogicalType>& types) {
  const LogicalType instant = LogicalType::TIMESTAMP_TZ, interval = LogicalType::INTERVAL;
  bool interval_first = sign == '+' && types[0] == interval && types[1] == instant;
  if (!interval_first && !(types[0] == instant && types[1] == interval)) return false;
  bound.function = interval_first ? InstantKernel<1, true>
                   : sign == '+'  ? InstantKernel<1, false>
                                  : InstantKernel<-1, false>;
  bound.arguments = types;
  bound.SetReturnType(instant);
  return true;
}

template <char sign>
BindData BindOperator(duckdb::ClientContext& context, duckdb::ScalarFunction& bound,
                      Expressions& arguments) {
  auto types = TypesOf(arguments);
  bound.SetNullHandling(duckdb::FunctionNullHandling::DEFAULT_NULL_HANDLING);
  bool divides = sign == '/' || sign == '%';
  int left_rank = IntegerRank(types[0]), right_rank = IntegerRank(types[1]);
  if (left_rank != 0 && right_rank != 0) {
    LogicalType wide = left_rank >= right_rank ? types[0] : types[1];
    if (!divides) return Delegate(context, std::string(1, sign), bound, arguments, {wide, wide});
    bound.function = sign == '/' ? PickInteger<false>(wide.id()) : PickInteger<true>(wide.id());
    bound.arguments = {wide, wide};
    bound.SetReturnType(wide);
    return nullptr;
  }
  auto left = AsDecimal(types[0]), right = AsDecimal(types[1]);
  bool decimal = types[0].id() == LogicalTypeId::DECIMAL || types[1].id() == LogicalTypeId::DECIMAL;
  if (left && right && (decimal || sign == '/')) return BindDecimal(sign, bound, *left, *right);
  if ((sign == '+' || sign == '-') && BindDate(context, sign, bound, arguments)) return nullptr;
  if ((sign == '+' || sign == '-') && BindInstant(sign, bound, types)) return nullptr;
  return Delegate(context, std::string(1, sign), bound, arguments, types);
}

template <char sign>
void RegisterOperator(FunctionRegistry& registry) {
  std::string name(1, sign);
  duckdb::ScalarFunctionSet set(name);
  duckdb::ScalarFunction function(name, {LogicalType::ANY, LogicalType::ANY}, LogicalType::ANY,
                                  nullptr, BindOperator<sign>);
  function.SetFallible();
  // Until it is bound: else DuckDB folds a NULL operand away before the type of the result is
  // known.
  function.SetNullHandling(duckdb::FunctionNullHandling::SPECIAL_HANDLING);
  set.AddFunction(function);
  for (auto& unary : registry.SystemScalars(name, 1)) set.AddFunction(unary);
  registry.Scalars(set);
}

}  // namespace

void RegisterArithmetic(FunctionRegistry& registry) {
  RegisterOperator<'+'>(registry);
  RegisterOperator<'-'>(registry);
  RegisterOperator<'*'>(registry);
  RegisterOperator<'/'>(registry);
  RegisterOperator<'%'>(registry);
  duckdb::ScalarFunction mod("mod", {LogicalType::ANY, LogicalType::ANY}, LogicalType::ANY, nullptr,
                             BindOperator<'%'>);
  mod.SetFallible();
  mod.SetNullHandling(duckdb::FunctionNullHandling::SPECIAL_HANDLING);
  registry.Scalar(mod);
}

}  // namespace millrace
