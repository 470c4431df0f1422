#include "table/prune_condition.h"

#include <algorithm>

namespace millrace {

namespace {

/// `constant` in the column's type, when that says the same.
std::optional<Value> AsColumnType(const Value& constant, const LogicalType& type) {
  if (constant.IsNull()) return std::nullopt;
  Value cast;
  std::string message;
  Value source = constant;
  if (!source.DefaultTryCastAs(type, cast, &message)) return std::nullopt;
  Value back;
  if (!cast.DefaultTryCastAs(constant.type(), back, &message) || back != constant)
    return std::nullopt;
  return cast;
}

}  // namespace

bool PruneCondition::MayMatch(const Value& least, const Value& greatest) const {
  if (least.IsNull() || greatest.IsNull()) return true;
  // Statistics of others may leave NaN out, which is the greatest value here.
  LogicalTypeId type = constants[0].type().id();
  bool is_float = type == LogicalTypeId::FLOAT || type == LogicalTypeId::DOUBLE;
  switch (op) {
    case ColumnPredicate::Op::kEqual:
    case ColumnPredicate::Op::kIn: {
      auto first = std::lower_bound(constants.begin(), constants.end(), least);
      return first != constants.end() && (is_float || *first <= greatest);
    }
    case ColumnPredicate::Op::kLess:
      return least < constants[0];
    case ColumnPredicate::Op::kLessEqual:
      return least <= constants[0];
    case ColumnPredicate::Op::kGreater:
      return is_float || greatest > constants[0];
    case ColumnPredicate::Op::kGreaterEqual:
      return is_float || greatest >= constants[0];
  }
  return true;
}

std::vector<PruneCondition> PruneConditions(const TableSchema& schema,
                                            const std::vector<ColumnPredicate>& predicates) {
  std::vector<PruneCondition> conditions;
  for (const ColumnPredicate& predicate : predicates) {
    LogicalType type = schema.fields[predicate.column].type.ToDuck();
    PruneCondition condition{predicate.column, predicate.op, {}};
    const bool is_list = predicate.op == ColumnPredicate::Op::kIn;
    const std::vector<Value> one = {predicate.constant};
    const std::vector<Value>& given = is_list ? predicate.constants : one;
    for (const Value& constant : given) {
      if (is_list && constant.IsNull()) continue;  // Equal to nothing.
      auto cast = AsColumnType(constant, type);
      if (!cast) break;
      condition.constants.push_back(std::move(*cast));
    }
    auto nulls = is_list ? std::count_if(given.begin(), given.end(),
                                         [](const Value& value) { return value.IsNull(); })
                         : 0;
    if (condition.constants.empty() ||
        condition.constants.size() + static_cast<size_t>(nulls) != given.size()) {
      continue;
    }
    std::sort(condition.constants.begin(), condition.constants.end());
    conditions.push_back(std::move(condition));
  }
  return conditions;
}

}  // namespace millrace
