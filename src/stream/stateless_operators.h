// stateless_operators.h - input, projection, filter, UNION ALL: each change at once, in order, with
// its kind.
#pragma once

#include "stream/expressions.h"
#include "stream/operator.h"

namespace millrace {

/// Hands on what it is given: an input table, UNION ALL, a shared CTE, picked columns.
class PassOperator : public Operator {
 public:
  /// `columns`: positions in the input's chunks; nullopt reads as NULL. Empty list: all, unchanged.
  PassOperator(duckdb::vector<LogicalType> types, std::vector<std::optional<idx_t>> columns,
               std::string description);
  std::unique_ptr<Operator> Copy(duckdb::ClientContext&, StateArena&) const override {
    return std::make_unique<PassOperator>(Types(), columns_, description_);
  }
  std::vector<std::optional<idx_t>> OutputsOf(idx_t port) const override;
  void Push(idx_t port, ChangeChunk& chunk) override;
  ChangelogType Start(const std::vector<ChangelogType>& inputs) override;
  std::string Describe() const override { return description_; }

 private:
  std::vector<std::optional<idx_t>> columns_;
  std::string description_;
  ChangeChunk out_;
};

/// Computes expressions row by row.
class ProjectOperator : public Operator {
 public:
  ProjectOperator(duckdb::ClientContext& context, ExpressionList expressions);
  std::unique_ptr<Operator> Copy(duckdb::ClientContext& context, StateArena&) const override {
    return std::make_unique<ProjectOperator>(context, CopyExpressions(evaluator_.Expressions()));
  }
  std::vector<std::optional<idx_t>> OutputsOf(idx_t port) const override;
  void Push(idx_t port, ChangeChunk& chunk) override;
  ChangelogType Start(const std::vector<ChangelogType>& inputs) override { return inputs[0]; }
  std::string Describe() const override { return "PROJECT " + evaluator_.ToString(); }

 private:
  Evaluator evaluator_;
  ChangeChunk out_;
};

/// Keeps the rows for which all conditions hold. An update that passes only with one half becomes
/// +I or -D.
class FilterOperator : public Operator {
 public:
  FilterOperator(duckdb::ClientContext& context, duckdb::vector<LogicalType> types,
                 ExpressionList conditions);
  std::unique_ptr<Operator> Copy(duckdb::ClientContext& context, StateArena&) const override {
    return std::make_unique<FilterOperator>(context, Types(),
                                            CopyExpressions(evaluator_.Expressions()));
  }
  std::vector<std::optional<idx_t>> OutputsOf(idx_t) const override {
    return EachColumn(Types().size());
  }
  void Push(idx_t port, ChangeChunk& chunk) override;
  void EndStep() override;
  ChangelogType Start(const std::vector<ChangelogType>& inputs) override { return inputs[0]; }
  std::string Describe() const override { return "FILTER " + evaluator_.ToString(); }

 private:
  void EmitSelected(ChangeChunk& chunk, const SelectionVector& selection, idx_t count);

  Evaluator evaluator_;
  SelectionVector selection_;
  std::vector<uint8_t> passed_;
  ChangeChunk out_;
  ChangeChunk held_;  // A -U that ended a chunk: it waits for its +U.
  bool holding_ = false;
  ChangeChunk joined_;
};

}  // namespace millrace
