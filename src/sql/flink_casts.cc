// What CAST means in Flink where DuckDB's differs, and the rounding functions.
//
// The rewriter wraps values: CAST(x AS INT) is CAST(to_integral(x) AS INTEGER), and so on.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "duckdb/common/types/timestamp.hpp"
#include "duckdb/common/vector_operations/unary_executor.hpp"
#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/execution/expression_executor_state.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"

#include "base/error.h"
#include "sql/column_reader.h"
#include "sql/function_registry.h"

namespace millrace {

namespace {

using ExpressionPointer = duckdb::unique_ptr<duckdb::Expression>;

// -------------------------------------------------------------------------------------------
// to_integral

// '12.7' -> '12', as Flink reads it; what is no such number stays and fails in the cast.
string_t WithoutFraction(string_t text) {
  const char* data = text.GetData();
  idx_t size = text.GetSize(), point = size;
  for (idx_t i = 0; i < size; i++) {
    char c = data[i];
    if (c == '.' && point == size && i > 0)
      point = i;
    else if ((c < '0' || c > '9') && !(i == 0 && (c == '-' || c == '+')))
      return text;
  }
  return string_t(data, static_cast<uint32_t>(point));
}

void TruncateText(DataChunk& arguments, duckdb::ExpressionState&, Vector& result) {
  duckdb::UnaryExecutor::Execute<string_t, string_t>(
      arguments.data[0], result, arguments.size(), [&](string_t text) {
        return duckdb::StringVector::AddString(result, WithoutFraction(text));
      });
}

BindData BindToIntegral(duckdb::ClientContext& context, duckdb::ScalarFunction& bound,
                        Expressions& arguments) {
  auto types = TypesOf(arguments);
  switch (types[0].id()) {
    case LogicalTypeId::FLOAT:
    case LogicalTypeId::DOUBLE:
    case LogicalTypeId::DECIMAL:
      return Delegate(context, "trunc", bound, arguments, types);
    case LogicalTypeId::VARCHAR:
      bound.function = TruncateText;
      bound.arguments = {LogicalType::VARCHAR};
      bound.SetReturnType(LogicalType::VARCHAR);
      bound.SetBindExpressionCallback(nullptr);
      return nullptr;
    default:
      bound.arguments = types;
      bound.SetReturnType(types[0]);
      return nullptr;
  }
}

ExpressionPointer Itself(duckdb::FunctionBindExpressionInput& input) {
  return std::move(input.children[0]);
}

// -----------------------------------------------------------------------------------------------
// to_text

// Java's Double.toString: 1.0E10, 0.001, 1.0E-4.
template <class T>
string_t JavaNumber(T value, Vector& result) {
  if (std::isnan(value)) return duckdb::StringVector::AddString(result, "NaN");
  if (std::isinf(value))
    return duckdb::StringVector::AddString(result, value < 0 ? "-Infinity" : "Infinity");
  char scientific[64];
  auto end = std::to_chars(scientific, scientific + sizeof(scientific), value,
                           std::chars_format::scientific)
                 .ptr;
  std::string_view text(scientific, static_cast<size_t>(end - scientific));
  size_t mark = text.find('e');
  int exponent = std::atoi(std::string(text.substr(mark + 1)).c_str());
  char out[64];
  char* to = out;
  std::string_view digits = text.substr(0, mark);
  if (digits[0] == '-') {
    *to++ = '-';
    digits.remove_prefix(1);
  }
  if (value == 0 || (exponent >= -3 && exponent < 7)) {
    end = std::to_chars(to, out + sizeof(out), value < 0 || std::signbit(value) ? -value : value,
                        std::chars_format::fixed)
              .ptr;
    if (std::string_view(to, static_cast<size_t>(end - to)).find('.') == std::string_view::npos) {
      *end++ = '.';
      *end++ = '0';
    }
    return duckdb::StringVector::AddString(result, out, static_cast<idx_t>(end - out));
  }
  to = std::copy(digits.begin(), digits.end(), to);
  if (digits.size() == 1) {
    *to++ = '.';
    *to++ = '0';
  }
  *to++ = 'E';
  to = std::to_chars(to, out + sizeof(out), exponent).ptr;
  return duckdb::StringVector::AddString(result, out, static_cast<idx_t>(to - out));
}

template <class T>
void NumberText(DataChunk& arguments, duckdb::ExpressionState&, Vector& result) {
  duckdb::UnaryExecutor::Execute<T, string_t>(arguments.data[0], result, arguments.size(),
                                              [&](T value) { return JavaNumber(value, result); });
}

void BooleanText(DataChunk& arguments, duckdb::ExpressionState&, Vector& result) {
  duckdb::UnaryExecutor::Execute<bool, string_t>(
      arguments.data[0], result, arguments.size(),
      [](bool value) { return value ? string_t("TRUE", 4) : string_t("FALSE", 5); });
}

BindData BindToText(duckdb::ClientContext& context, duckdb::ScalarFunction& bound,
                    Expressions& arguments) {
  auto types = TypesOf(arguments);
  bound.arguments = types;
  switch (types[0].id()) {
    case LogicalTypeId::BOOLEAN:
      bound.function = BooleanText;
      break;
    case LogicalTypeId::FLOAT:
      bound.function = NumberText<float>;
      break;
    case LogicalTypeId::DOUBLE:
      bound.function = NumberText<double>;
      break;
    case LogicalTypeId::BLOB:
      return Delegate(context, "decode", bound, arguments, types);
    default:
      return nullptr;
  }
  bound.SetBindExpressionCallback(nullptr);
  return nullptr;
}

// DuckDB's cast; a local time zone's timestamp shows local time and no zone.
ExpressionPointer CastToText(duckdb::FunctionBindExpressionInput& input) {
  ExpressionPointer child = std::move(input.children[0]);
  if (child->return_type.id() == LogicalTypeId::TIMESTAMP_TZ) {
    child = duckdb::BoundCastExpression::AddCastToType(input.context, std::move(child),
                                                       LogicalType::TIMESTAMP);
  }
  return duckdb::BoundCastExpression::AddCastToType(input.context, std::move(child),
                                                    LogicalType::VARCHAR);
}

// ------------------------------------------------------------------------------------------
// to_precision

void ToPrecision(DataChunk& arguments, duckdb::ExpressionState&, Vector& result) {
  int64_t unit = 1;
  if (arguments.size() > 0) {  // The precision is a literal.
    auto digits = arguments.data[1].GetValue(0);
    unit = static_cast<int64_t>(PowerOfTen(6 - digits.GetValue<int32_t>()));
  }
  duckdb::UnaryExecutor::Execute<int64_t, int64_t>(
      arguments.data[0], result, arguments.size(), [unit](int64_t micros) {
        if (!duckdb::Timestamp::IsFinite(duckdb::timestamp_t(micros))) return micros;
        int64_t rest = micros % unit;
        return micros - (rest < 0 ? rest + unit : rest);
      });
}

// --------------------------------------------------------------------------------------- ROUND,
// TRUNCATE

struct RoundPlan : public duckdb::FunctionData {
  int scale = 0, result_scale = 0;
  duckdb::hugeint_t limit{0};  // Greatest magnitude of a result.

  duckdb::unique_ptr<duckdb::FunctionData> Copy() const override {
    auto copy = duckdb::make_uniq<RoundPlan>();
    copy->scale = scale;
    copy->result_scale = result_scale;
    copy->limit = limit;
    return copy;
  }
  bool Equals(const duckdb::FunctionData& other) const override {
    auto& plan = other.Cast<RoundPlan>();
    return scale == plan.scale && result_scale == plan.result_scale && limit == plan.limit;
  }
};

// `value` of `scale` in units of 10^-digits; HALF_UP or toward zero. REQUIRES: digits <= scale.
template <bool half_up>
Int128 AtDigits(Int128 value, int scale, int digits) {
  int drop = scale - digits;
  if (drop > 38) return 0;
  Int128 unit = PowerOfTen(drop), quotient = value / unit, rest = value % unit;
  if (half_up && drop > 0 && (rest < 0 ? -rest : rest) >= unit - (rest < 0 ? -rest : rest)) {
    quotient += value < 0 ? -1 : 1;
  }
  return quotient;
}

// Runs `operation(value, digits)` over the rows; NULL in, NULL out.
template <class Argument, class Result, class Operation>
void Rounding(DataChunk& arguments, Vector& result, Operation&& operation) {
  bool constant = arguments.AllConstant();
  idx_t count = constant ? 1 : arguments.size();
  ColumnReader<Argument> values(arguments.data[0], count);
  ColumnReader<int64_t> digits(arguments.data[1], count);
  result.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
  auto out = duckdb::FlatVector::GetData<Result>(result);
  auto& validity = duckdb::FlatVector::Validity(result);
  for (idx_t row = 0; row < count; row++) {
    if (!values.IsValid(row) || !digits.IsValid(row))
      validity.SetInvalid(row);
    else
      out[row] = operation(values[row], static_cast<int32_t>(digits[row]));
  }
  if (constant) result.SetVectorType(duckdb::VectorType::CONSTANT_VECTOR);
}

template <bool half_up, class Result>
void RoundDecimal(DataChunk& arguments, duckdb::ExpressionState& state, Vector& result) {
  auto& plan = state.expr.Cast<duckdb::BoundFunctionExpression>().bind_info->Cast<RoundPlan>();
  Int128 limit = ToInt128(plan.limit);
  Rounding<duckdb::hugeint_t, Result>(
      arguments, result, [&](duckdb::hugeint_t value, int32_t digits) {
        int place = std::clamp<int32_t>(digits, -38, plan.result_scale);
        Int128 rounded = AtDigits<half_up>(ToInt128(value), plan.scale, place);
        auto fitted = ScaledMultiply(
            rounded, PowerOfTen(plan.result_scale - std::max(place, -38 + plan.result_scale)), 0);
        if (!fitted || *fitted > limit || *fitted < -limit) {
          Throw(ErrorCode::kData, "Overflow in ROUND({}, {}): the result does not fit its type",
                DecimalText(ToInt128(value), plan.scale), digits);
        }
        return Narrow<Result>(*fitted);
      });
}

template <bool half_up>
void RoundDouble(DataChunk& arguments, duckdb::ExpressionState&, Vector& result) {
  Rounding<double, double>(arguments, result, [](double value, int32_t digits) {
    double scale = std::pow(10.0, digits), scaled = value * scale;
    double rounded = half_up ? std::round(scaled) : std::trunc(scaled);
    return std::isfinite(scaled) && scale > 0 ? rounded / scale : value;
  });
}

template <bool half_up>
duckdb::scalar_function_t PickRound(duckdb::PhysicalType type) {
  switch (type) {
    case duckdb::PhysicalType::INT8:
      return RoundDecimal<half_up, int8_t>;
    case duckdb::PhysicalType::INT16:
      return RoundDecimal<half_up, int16_t>;
    case duckdb::PhysicalType::INT32:
      return RoundDecimal<half_up, int32_t>;
    case duckdb::PhysicalType::INT64:
      return RoundDecimal<half_up, int64_t>;
    default:
      return RoundDecimal<half_up, duckdb::hugeint_t>;
  }
}

// Of integers the type stays; of DECIMAL it follows from the digits when they are known.
template <bool half_up>
BindData BindRound(duckdb::ClientContext& context, duckdb::ScalarFunction& bound,
                   Expressions& arguments) {
  auto types = TypesOf(arguments);
  if (arguments.size() == 1) {
    arguments.push_back(duckdb::make_uniq<duckdb::BoundConstantExpression>(Value::INTEGER(0)));
  }
  bound.SetNullHandling(duckdb::FunctionNullHandling::DEFAULT_NULL_HANDLING);
  auto input = AsDecimal(types[0]);
  bool decimal = types[0].id() == LogicalTypeId::DECIMAL;
  if (!input || (!decimal && !types[0].IsIntegral())) {
    bound.function = RoundDouble<half_up>;
    bound.arguments = {LogicalType::DOUBLE, LogicalType::INTEGER};
    bound.SetReturnType(LogicalType::DOUBLE);
    return nullptr;
  }
  DecimalType type = *input;
  Value digits;
  if (decimal && arguments.size() > 1 && arguments[1]->IsFoldable() &&
      duckdb::ExpressionExecutor::TryEvaluateScalar(context, *arguments[1], digits) &&
      !digits.IsNull()) {
    type = RoundType(*input, digits.DefaultCastAs(LogicalType::INTEGER).GetValue<int32_t>());
  }
  auto plan = duckdb::make_uniq<RoundPlan>();
  plan->scale = input->scale;
  plan->result_scale = type.scale;
  LogicalType result = decimal ? type.ToDuck() : types[0];
  Int128 limit = PowerOfTen(type.precision) - 1;
  if (!decimal && type.precision < 20) {
    Int128 greatest =
        (static_cast<Int128>(1) << (8 * duckdb::GetTypeIdSize(result.InternalType()) - 1)) - 1;
    limit = std::min(limit, greatest);
  }
  plan->limit = FromInt128(limit);
  bound.function = PickRound<half_up>(result.InternalType());
  bound.arguments = {types[0], LogicalType::INTEGER};
  bound.SetReturnType(result);
  return plan;
}

void RegisterRound(FunctionRegistry& registry, const char* name,
                   duckdb::bind_scalar_function_t bind) {
  duckdb::ScalarFunctionSet set(name);
  for (auto& types : {duckdb::vector<LogicalType>{LogicalType::ANY},
                      duckdb::vector<LogicalType>{LogicalType::ANY, LogicalType::INTEGER}}) {
    duckdb::ScalarFunction function(name, types, LogicalType::ANY, nullptr, bind);
    function.SetFallible();
    function.SetNullHandling(duckdb::FunctionNullHandling::SPECIAL_HANDLING);
    set.AddFunction(function);
  }
  registry.Scalars(set);
}

}  // namespace

void RegisterCasts(FunctionRegistry& registry) {
  duckdb::ScalarFunction integral("to_integral", {LogicalType::ANY}, LogicalType::ANY, nullptr,
                                  BindToIntegral);
  integral.SetBindExpressionCallback(Itself);
  integral.SetNullHandling(duckdb::FunctionNullHandling::SPECIAL_HANDLING);
  registry.Scalar(integral);
  duckdb::ScalarFunction text("to_text", {LogicalType::ANY}, LogicalType::VARCHAR, nullptr,
                              BindToText);
  text.SetBindExpressionCallback(CastToText);
  registry.Scalar(text);
  duckdb::ScalarFunctionSet precision("to_precision");
  for (LogicalType type :
       {LogicalType(LogicalTypeId::TIMESTAMP), LogicalType(LogicalTypeId::TIMESTAMP_TZ)}) {
    precision.AddFunction(
        duckdb::ScalarFunction("to_precision", {type, LogicalType::INTEGER}, type, ToPrecision));
  }
  registry.Scalars(precision);
  registry.Macro("cut_to(x, n) AS system.main.\"left\"(x, n)");
  registry.Macro("pad_to(x, n) AS system.main.rpad(x, n, ' ')");
  RegisterRound(registry, "round", BindRound<true>);
  RegisterRound(registry, "truncate", BindRound<false>);
}

}  // namespace millrace
