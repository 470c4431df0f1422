// plan_compiler.h - DuckDB's bound plan -> operators. The compiler walks the plan bottom-up; column
// references become positions, because every operator's output columns stand in the order of the
// plan's bindings.
#pragma once

#include "stream/dataflow.h"
#include "stream/expressions.h"
#include "stream/join_chain.h"
#include "stream/join_operator.h"

#include <set>

namespace duckdb {
class LogicalAggregate;
class LogicalComparisonJoin;
class LogicalDistinct;
class LogicalGet;
class LogicalSetOperation;
}  // namespace duckdb

namespace millrace {

/// A plan bound and optimised without rules that read statistics or prepare batch execution.
struct BoundPlan {
  duckdb::unique_ptr<duckdb::LogicalOperator> root;
  duckdb::vector<std::string> names;
  duckdb::vector<LogicalType> types;
};

/// Throws: DuckDB's parser and binder errors; Error(kUnsupported) for functions of time or chance.
BoundPlan BindStreamingPlan(duckdb::ClientContext& context, const std::string& sql);

/// Packed rows for a plan to read. State may move to disk meanwhile.
duckdb::unique_ptr<duckdb::ColumnDataCollection> CollectRows(
    duckdb::ClientContext& context, const RowLayout& layout,
    const std::vector<const uint8_t*>& rows, StateArena& arena);

/// Runs a plan that reads no table, once, on a connection of its own.
std::vector<std::unique_ptr<DataChunk>> RunPlan(duckdb::ClientContext& context,
                                                duckdb::unique_ptr<duckdb::LogicalOperator> plan);

/// What compiling yields.
struct CompiledPlan {
  std::vector<std::unique_ptr<Operator>> operators;  // In topological order.
  Operator* root = nullptr;
  struct Input {
    SourceTable table;
    Operator* entry;         // Takes the input's chunks.
    std::vector<idx_t> key;  // The primary key: positions in the chunks; empty if it has none.
    duckdb::vector<LogicalType> types;  // Of all columns of the table.
  };
  std::vector<Input> inputs;
  struct Constant {
    Operator* entry;
    std::vector<std::unique_ptr<DataChunk>> chunks;
  };
  std::vector<Constant> constants;
  std::string chance;  // A volatile function in a projection: the path must then be stateless.
};

/// Turns a bound plan into operators. Threads: one at a time.
/// Throws: Error(kUnsupported) naming the construct and the way out.
class PlanCompiler {
 public:
  /// `arena`: where the operators' state will lie.
  PlanCompiler(duckdb::ClientContext& context, StateArena& arena, PlanRules rules)
      : context_(context), arena_(arena), rules_(rules) {}
  CompiledPlan Compile(duckdb::unique_ptr<duckdb::LogicalOperator> root);
  /// Ends it: there is no rule for `what`.
  [[noreturn]] static void Refuse(const std::string& what);

 private:
  Operator& Walk(duckdb::unique_ptr<duckdb::LogicalOperator>& plan);
  Operator& WalkNode(duckdb::LogicalOperator& plan);
  Operator& WalkGet(duckdb::LogicalGet& get);
  /// Whether the plan's rows never change: it reads no table of ours and no rows of an outer plan.
  static bool IsConstant(const duckdb::LogicalOperator& plan);
  Operator& WalkConstant(duckdb::unique_ptr<duckdb::LogicalOperator> plan);
  idx_t InputOf(const std::shared_ptr<const TableDefinition>& definition);
  idx_t ColumnOf(CompiledPlan::Input& input, idx_t column);
  Operator& WalkProjection(duckdb::LogicalOperator& plan);
  Operator& WalkFilter(duckdb::LogicalOperator& plan);
  Operator& WalkAggregate(duckdb::LogicalAggregate& plan);
  Operator& AggregateSet(duckdb::LogicalAggregate& plan, Operator& child, const Bindings& bindings,
                         const std::set<idx_t>* grouping);
  Operator& RecomputeSets(duckdb::LogicalAggregate& plan, Operator& child,
                          const Bindings& bindings);
  Operator& Unite(const std::vector<Operator*>& sets);
  Operator& WalkJoin(duckdb::LogicalComparisonJoin& plan);
  Operator& WalkNestedLoop(duckdb::LogicalOperator& plan);
  Operator& WalkSetOperation(duckdb::LogicalSetOperation& plan);
  Operator& WalkDistinct(duckdb::LogicalDistinct& plan);
  Operator& WalkLimit(duckdb::LogicalOperator& plan);
  Operator& WalkOrder(duckdb::LogicalOperator& plan);
  Operator& WalkCte(duckdb::LogicalOperator& plan);
  Operator& WalkWindow(duckdb::LogicalOperator& plan);
  Operator& WalkUnnest(duckdb::LogicalOperator& plan);
  /// Whether DuckDB is to run this node, and what of its inputs cannot be apart, as a whole.
  bool WantsWhole(duckdb::LogicalOperator& plan);
  Operator& WalkWhole(duckdb::unique_ptr<duckdb::LogicalOperator> plan);
  Operator& Recompute(duckdb::LogicalOperator& plan, Operator& child, const Bindings& bindings,
                      ExpressionList partition, UniqueKey key_outputs);

  template <typename T>
  T& Add(std::unique_ptr<T> made, std::initializer_list<Operator*> inputs) {
    T& added = *made;
    for (Operator* input : inputs) added.AddInput(*input);
    result_.operators.push_back(std::move(made));
    return added;
  }
  Operator& PickColumns(Operator& child, const duckdb::vector<idx_t>& columns);
  /// Several joins by one key, as one operator.
  Operator& WalkChain(JoinChain chain);
  Operator& FinishJoin(JoinOperator::Plan plan, Operator& left, Operator& right);
  static void RefuseChance(duckdb::LogicalOperator& node);
  static void RefuseChanceWithin(duckdb::LogicalOperator& plan);
  ExpressionList Resolve(const ExpressionList& expressions, const Bindings& bindings,
                         bool volatile_ok = false);

  duckdb::ClientContext& context_;
  StateArena& arena_;
  const PlanRules rules_;
  CompiledPlan result_;
  std::map<idx_t, Operator*> ctes_;       // By table index of the CTE.
  std::vector<Operator*> delim_sources_;  // Innermost last.
};

}  // namespace millrace
