// SUM and AVG with Flink's result types, and aliases of DuckDB's aggregates under Flink's names.
//
// The state is a sum of 128 bits that counts its wraps aside, so that whether a total fits depends
// on the rows alone and not on their order. The streaming engine has its own kernels and goes by
// name and types.
#include <cmath>
#include <limits>

#include "base/error.h"
#include "sql/column_reader.h"
#include "sql/function_registry.h"

namespace millrace {

namespace {

struct SumState {
  __attribute__((packed, aligned(8))) Int128 sum;
  int64_t wraps;
  int64_t count;
};

struct SumBind : public duckdb::FunctionData {
  DecimalType input, result;

  duckdb::unique_ptr<duckdb::FunctionData> Copy() const override {
    auto copy = duckdb::make_uniq<SumBind>();
    copy->input = input;
    copy->result = result;
    return copy;
  }
  bool Equals(const duckdb::FunctionData& other_data) const override {
    auto& other = other_data.Cast<SumBind>();
    return input == other.input && result == other.result;
  }
};

void AddTo(SumState& state, Int128 value) {
  Int128 sum = state.sum, total;
  if (__builtin_add_overflow(sum, value, &total)) state.wraps += value > 0 ? 1 : -1;
  state.sum = total;
}

// Common to all: how states are started, fed and merged. `Finalize` differs.
struct SumBase {
  template <class State>
  static void Initialize(State& state) {
    state = State{};
  }
  template <class State, class Operation>
  static void Combine(const State& source, State& target, duckdb::AggregateInputData&) {
    AddTo(target, source.sum);
    target.wraps += source.wraps;
    target.count += source.count;
  }
  template <class Input, class State, class Op>
  static void Operation(State& state, const Input& input, duckdb::AggregateUnaryInput&) {
    AddTo(state, Widen(input));
    state.count++;
  }
  template <class Input, class State, class Op>
  static void ConstantOperation(State& state, const Input& input,
                                duckdb::AggregateUnaryInput& unary, idx_t count) {
    for (idx_t i = 0; i < count; i++) Operation<Input, State, Op>(state, input, unary);
  }
  static bool IgnoreNull() { return true; }
};

struct IntegerSum : SumBase {
  template <class Result, class State>
  static void Finalize(State& state, Result& target, duckdb::AggregateFinalizeData& finalize) {
    if (state.count == 0) return finalize.ReturnNull();
    Int128 sum = state.sum;
    if (state.wraps != 0 || sum > std::numeric_limits<Result>::max() ||
        sum < std::numeric_limits<Result>::min()) {
      Throw(ErrorCode::kData,
            "Integer overflow in SUM: the total{} does not fit its type; cast the argument to "
            "BIGINT or DECIMAL",
            state.wraps == 0 ? " " + DecimalText(sum, 0) : std::string());
    }
    target = static_cast<Result>(sum);
  }
};

struct IntegerAvg : SumBase {
  template <class Result, class State>
  static void Finalize(State& state, Result& target, duckdb::AggregateFinalizeData& finalize) {
    if (state.count == 0) return finalize.ReturnNull();
    Int128 sum = state.sum;
    target =
        static_cast<Result>(sum / state.count);  // Toward zero; between the least and the greatest.
  }
};

template <bool average>
struct DecimalSum : SumBase {
  template <class Result, class State>
  static void Finalize(State& state, Result& target, duckdb::AggregateFinalizeData& finalize) {
    if (state.count == 0) return finalize.ReturnNull();
    auto& bind = finalize.input.bind_data->template Cast<SumBind>();
    Int128 limit = PowerOfTen(38), sum = state.sum;
    std::optional<Int128> value;
    if (state.wraps == 0 && sum < limit && sum > -limit) {
      value = average ? ScaledDivide(sum, bind.result.scale - bind.input.scale, state.count) : sum;
    }
    if (!value) {
      Throw(ErrorCode::kData, "Decimal overflow in {}: the total does not fit DECIMAL(38, {})",
            average ? "AVG" : "SUM", average ? bind.result.scale : bind.input.scale);
    }
    target = FromInt128(*value);
  }
};

template <class Input, class Result, class Operation>
duckdb::AggregateFunction Make(const char* name, const LogicalType& input,
                               const LogicalType& result) {
  auto function =
      duckdb::AggregateFunction::UnaryAggregate<SumState, Input, Result, Operation>(input, result);
  function.name = name;
  function.SetOrderDependent(duckdb::AggregateOrderDependent::NOT_ORDER_DEPENDENT);
  function.SetFallible();
  return function;
}

template <class Operation>
std::optional<duckdb::AggregateFunction> MakeInteger(const char* name, const LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::TINYINT:
      return Make<int8_t, int8_t, Operation>(name, type, type);
    case LogicalTypeId::SMALLINT:
      return Make<int16_t, int16_t, Operation>(name, type, type);
    case LogicalTypeId::INTEGER:
      return Make<int32_t, int32_t, Operation>(name, type, type);
    case LogicalTypeId::BIGINT:
      return Make<int64_t, int64_t, Operation>(name, type, type);
    default:
      return std::nullopt;
  }
}

template <class Operation>
duckdb::AggregateFunction MakeDecimal(const char* name, const LogicalType& input,
                                      const LogicalType& result) {
  switch (input.InternalType()) {
    case duckdb::PhysicalType::INT16:
      return Make<int16_t, duckdb::hugeint_t, Operation>(name, input, result);
    case duckdb::PhysicalType::INT32:
      return Make<int32_t, duckdb::hugeint_t, Operation>(name, input, result);
    case duckdb::PhysicalType::INT64:
      return Make<int64_t, duckdb::hugeint_t, Operation>(name, input, result);
    default:
      return Make<duckdb::hugeint_t, duckdb::hugeint_t, Operation>(name, input, result);
  }
}

// FLOAT stays FLOAT.
struct FloatState {
  double sum;
  double error;
  int64_t count;
};

struct FloatBase {
  template <class State>
  static void Initialize(State& state) {
    state = State{};
  }
  template <class State>
  static void Add(State& state, double value) {  // Kahan.
    double difference = value - state.error;
    double total = state.sum + difference;
    state.error = std::isfinite(total) ? (total - state.sum) - difference : 0;
    state.sum = total;
  }
  template <class State, class Operation>
  static void Combine(const State& source, State& target, duckdb::AggregateInputData&) {
    Add(target, source.sum);
    Add(target, -source.error);
    target.count += source.count;
  }
  template <class Input, class State, class Op>
  static void Operation(State& state, const Input& input, duckdb::AggregateUnaryInput&) {
    Add(state, input);
    state.count++;
  }
  template <class Input, class State, class Op>
  static void ConstantOperation(State& state, const Input& input,
                                duckdb::AggregateUnaryInput& unary, idx_t count) {
    for (idx_t i = 0; i < count; i++) Operation<Input, State, Op>(state, input, unary);
  }
  static bool IgnoreNull() { return true; }
};

template <bool average>
struct FloatSum : FloatBase {
  template <class Result, class State>
  static void Finalize(State& state, Result& target, duckdb::AggregateFinalizeData& finalize) {
    if (state.count == 0) return finalize.ReturnNull();
    target =
        static_cast<Result>(average ? state.sum / static_cast<double>(state.count) : state.sum);
  }
};

// Keeps where `function` comes from, so that a plan that DuckDB copies finds it again. Arguments
// are read in the types that they have: binding the copy gives the same function.
void Become(duckdb::AggregateFunction& function, duckdb::AggregateFunction made) {
  made.SetCatalogName(function.GetCatalogName());
  made.SetSchemaName(function.GetSchemaName());
  function = std::move(made);
}

template <bool average>
BindData BindSum(duckdb::ClientContext& context, duckdb::AggregateFunction& function,
                 Expressions& arguments) {
  const char* name = average ? "avg" : "sum";
  auto types = TypesOf(arguments);
  using IntegerOperation = std::conditional_t<average, IntegerAvg, IntegerSum>;
  if (auto integer = MakeInteger<IntegerOperation>(name, types[0])) {
    Become(function, *integer);
    return nullptr;
  }
  if (types[0].id() == LogicalTypeId::FLOAT) {
    auto made =
        duckdb::AggregateFunction::UnaryAggregate<FloatState, float, float, FloatSum<average>>(
            LogicalType::FLOAT, LogicalType::FLOAT);
    made.name = name;
    Become(function, made);
    return nullptr;
  }
  if (types[0].id() != LogicalTypeId::DECIMAL) {
    return Delegate(context, name, function, arguments, types);
  }
  auto bind = duckdb::make_uniq<SumBind>();
  bind->input = *AsDecimal(types[0]);
  bind->result = {38, average ? std::max(6, bind->input.scale) : bind->input.scale};
  Become(function, MakeDecimal<DecimalSum<average>>(name, types[0], bind->result.ToDuck()));
  return bind;
}

duckdb::AggregateFunction AnyAggregate(const char* name, duckdb::bind_aggregate_function_t bind) {
  duckdb::AggregateFunction function({LogicalType::ANY}, LogicalType::ANY, nullptr, nullptr,
                                     nullptr, nullptr, nullptr, nullptr, bind);
  function.name = name;
  return function;
}

}  // namespace

void RegisterAggregates(FunctionRegistry& registry) {
  registry.Aggregate(AnyAggregate("sum", BindSum<false>));
  registry.Aggregate(AnyAggregate("avg", BindSum<true>));
  registry.AggregateAlias("string_agg", "listagg");
  registry.AggregateAlias("first", "first_value");
  registry.AggregateAlias("last", "last_value");
  registry.AggregateAlias("list", "collect_list");
}

}  // namespace millrace
