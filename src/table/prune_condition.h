// prune_condition.h - predicates in the types of a table's columns, for comparing with metadata.
#pragma once

#include "table/table_state.h"

namespace millrace {

/// `column op constant`, or `column IN (constants)`, with constants of the column's type.
struct PruneCondition {
  idx_t column;  // Of the schema.
  ColumnPredicate::Op op;
  std::vector<Value> constants;  // One; several ascending ones with kIn.

  bool IsEquality() const {
    return op == ColumnPredicate::Op::kEqual || op == ColumnPredicate::Op::kIn;
  }
  /// Whether a value between `least` and `greatest` may pass.
  bool MayMatch(const Value& least, const Value& greatest) const;
};

/// Those of `predicates` that say the same in the types of `schema`'s columns.
std::vector<PruneCondition> PruneConditions(const TableSchema& schema,
                                            const std::vector<ColumnPredicate>& predicates);

}  // namespace millrace
