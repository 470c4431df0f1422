// plan_ordered.cc - the part of the plan compiler for operators that depend on order: LIMIT, windows, recomputation.
#include "duckdb/planner/operator/logical_aggregate.hpp"
#include "stream/plan_compiler.h"

namespace millrace {

namespace {

[[noreturn]] void Refuse(const std::string& what) {
  Throw(ErrorCode::kUnsupported,
        "Compiling a streaming query: {} has no incremental form here; run the query in batch mode "
        "(SET 'execution.runtime-mode' = 'batch')",
        what);
}

}  // namespace

Operator& PlanCompiler::WalkLimit(duckdb::LogicalOperator&) { Refuse("LIMIT"); }
Operator& PlanCompiler::WalkWindow(duckdb::LogicalOperator&) { Refuse("a window function"); }
Operator& PlanCompiler::Recompute(duckdb::LogicalOperator& plan, Operator&, const Bindings&, ExpressionList, UniqueKey) {
  Refuse(plan.GetName());
}

}  // namespace millrace
