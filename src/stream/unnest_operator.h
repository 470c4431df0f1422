// unnest_operator.h - UNNEST: each change of a row becomes one change per element of its lists.
#pragma once

#include "stream/expressions.h"
#include "stream/operator.h"

namespace millrace {

/// Emits the input's columns beside the elements of each list; shorter lists are filled with NULL.
/// Without state; the halves of an update become -D and +I, as they may differ in number.
class UnnestOperator : public Operator {
 public:
  /// `lists`: resolved expressions over the input, one per UNNEST.
  UnnestOperator(duckdb::ClientContext& context, const duckdb::vector<LogicalType>& input_types,
                 const duckdb::vector<LogicalType>& element_types, ExpressionList lists);
  std::unique_ptr<Operator> Copy(duckdb::ClientContext& context, StateArena&) const override;
  std::vector<std::optional<idx_t>> OutputsOf(idx_t) const override {
    return EachColumn(input_columns_);
  }
  void Push(idx_t port, ChangeChunk& chunk) override;
  ChangelogType Start(const std::vector<ChangelogType>& inputs) override { return inputs[0]; }
  std::string Describe() const override { return "UNNEST " + lists_.ToString(); }

 private:
  /// One row to be emitted: row `row` of the chunk with elements `position` of its lists.
  struct Element {
    uint32_t row;
    uint32_t position;
  };
  void Flush(ChangeChunk& chunk);
  void FillElements(idx_t list, Vector& result);

  idx_t input_columns_;
  Evaluator lists_;
  DataChunk evaluated_;
  std::vector<UnifiedVectorFormat> formats_;
  std::vector<Element> elements_;
  ChangeChunk out_;
};

}  // namespace millrace
