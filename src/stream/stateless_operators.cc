#include "stream/stateless_operators.h"

#include <algorithm>

#include "duckdb/planner/expression/bound_conjunction_expression.hpp"

namespace millrace {

namespace {

ExpressionList Conjunction(ExpressionList conditions) {
  ExpressionList one;
  if (conditions.size() == 1) return conditions;
  auto all = duckdb::make_uniq<duckdb::BoundConjunctionExpression>(
      duckdb::ExpressionType::CONJUNCTION_AND);
  all->children = std::move(conditions);
  one.push_back(std::move(all));
  return one;
}

}  // namespace

ShardRule ShardRule::ByColumns(const duckdb::vector<LogicalType>& types,
                               const std::vector<idx_t>& columns) {
  if (columns.empty()) return One();
  return ByKey(ColumnReferences(types, &columns));
}

void RowEmitter::Finish() {
  if (rows_.empty()) return;
  std::vector<RowKind> kinds = std::move(chunk_.kinds);
  chunk_.Reset();
  for (idx_t i = 0; i < layout_.Columns(); i++) {
    layout_.Gather(i, rows_.data(), rows_.size(), chunk_.rows.data[i]);
  }
  chunk_.rows.SetCardinality(rows_.size());
  chunk_.kinds = std::move(kinds);
  rows_.clear();
  flush_(chunk_);
  chunk_.kinds.clear();
}

PassOperator::PassOperator(duckdb::vector<LogicalType> types,
                           std::vector<std::optional<idx_t>> columns, std::string description)
    : Operator(std::move(types)),
      columns_(std::move(columns)),
      description_(std::move(description)) {
  if (!columns_.empty()) out_.rows.InitializeEmpty(Types());
}

std::vector<std::optional<idx_t>> PassOperator::OutputsOf(idx_t port) const {
  if (columns_.empty()) return EachColumn(Types().size());
  std::vector<std::optional<idx_t>> outputs(Inputs()[port]->Types().size());
  for (idx_t i = 0; i < columns_.size(); i++) {
    if (columns_[i]) outputs[*columns_[i]] = i;
  }
  return outputs;
}

void PassOperator::Push(idx_t, ChangeChunk& chunk) {
  if (columns_.empty()) return Emit(chunk);
  for (idx_t i = 0; i < columns_.size(); i++) {
    if (columns_[i]) {
      out_.rows.data[i].Reference(chunk.rows.data[*columns_[i]]);
    } else {
      out_.rows.data[i].Reference(Value(Types()[i]));
    }
  }
  out_.rows.SetCardinality(chunk.size());
  out_.kinds = chunk.kinds;
  Emit(out_);
}

ChangelogType PassOperator::Start(const std::vector<ChangelogType>& inputs) {
  return inputs.empty() ? ChangelogType::kAppend : *std::max_element(inputs.begin(), inputs.end());
}

ProjectOperator::ProjectOperator(duckdb::ClientContext& context, ExpressionList expressions)
    : Operator({}), evaluator_(context, std::move(expressions)) {
  SetTypes(evaluator_.Types());
  out_.Initialize(Types());
}

std::vector<std::optional<idx_t>> ProjectOperator::OutputsOf(idx_t port) const {
  std::vector<std::optional<idx_t>> outputs(Inputs()[port]->Types().size());
  const ExpressionList& expressions = evaluator_.Expressions();
  for (idx_t i = 0; i < expressions.size(); i++) {
    if (auto column = PlainColumn(*expressions[i])) outputs[*column] = i;
  }
  return outputs;
}

void ProjectOperator::Push(idx_t, ChangeChunk& chunk) {
  evaluator_.Evaluate(chunk.rows, out_.rows);
  out_.kinds = chunk.kinds;
  Emit(out_);
}

FilterOperator::FilterOperator(duckdb::ClientContext& context, duckdb::vector<LogicalType> types,
                               ExpressionList conditions)
    : Operator(std::move(types)),
      evaluator_(context, Conjunction(std::move(conditions))),
      selection_(kChunkRows) {
  out_.rows.InitializeEmpty(Types());
  held_.Initialize(Types());
  joined_.Initialize(Types());
}

void FilterOperator::Push(idx_t, ChangeChunk& chunk) {
  if (chunk.size() == 0) return;
  if (holding_) {  // Rare: a pair lies across two chunks. Its first half goes on now, with its
                   // partner known.
    holding_ = false;
    bool partner = chunk.KindOf(0) == RowKind::kUpdateAfter;
    joined_.Reset();
    joined_.rows.Append(held_.rows, false);
    joined_.kinds = {partner ? RowKind::kUpdateBefore : RowKind::kDelete};
    SelectionVector first(1);
    first.set_index(0, 0);
    DataChunk head;
    head.InitializeEmpty(Types());
    head.Slice(chunk.rows, first, 1);
    if (partner) {
      joined_.rows.Append(head, false);
      joined_.kinds.push_back(RowKind::kUpdateAfter);
    }
    idx_t count = evaluator_.Select(joined_.rows, selection_);
    EmitSelected(joined_, selection_, count);
    if (partner) {
      if (chunk.size() == 1) return;
      SelectionVector rest(chunk.size() - 1);
      for (idx_t i = 1; i < chunk.size(); i++) rest.set_index(i - 1, i);
      ChangeChunk tail;
      tail.rows.InitializeEmpty(Types());
      tail.rows.Slice(chunk.rows, rest, chunk.size() - 1);
      tail.kinds.assign(chunk.kinds.begin() + 1, chunk.kinds.end());
      return Push(0, tail);
    }
  }
  idx_t count = evaluator_.Select(chunk.rows, selection_);
  if (chunk.KindOf(chunk.size() - 1) == RowKind::kUpdateBefore) {
    SelectionVector last(1);
    last.set_index(0, chunk.size() - 1);
    DataChunk row;
    row.InitializeEmpty(Types());
    row.Slice(chunk.rows, last, 1);
    held_.Reset();
    held_.rows.Append(row, false);
    holding_ = true;
    if (count > 0 && selection_.get_index(count - 1) == chunk.size() - 1) count--;
  }
  EmitSelected(chunk, selection_, count);
}

void FilterOperator::EmitSelected(ChangeChunk& chunk, const SelectionVector& selection,
                                  idx_t count) {
  if (count == 0) return;
  if (count == chunk.size()) return Emit(chunk);
  out_.rows.Reset();
  out_.rows.Slice(chunk.rows, selection, count);
  out_.kinds.clear();
  if (!chunk.kinds.empty()) {
    passed_.assign(chunk.size() + 1, 0);
    for (idx_t i = 0; i < count; i++) passed_[selection.get_index(i)] = 1;
    for (idx_t i = 0; i < count; i++) {
      idx_t row = selection.get_index(i);
      RowKind kind = chunk.kinds[row];
      if (kind == RowKind::kUpdateBefore &&
          !(passed_[row + 1] && chunk.kinds[row + 1] == RowKind::kUpdateAfter)) {
        kind = RowKind::kDelete;
      } else if (kind == RowKind::kUpdateAfter &&
                 !(row > 0 && passed_[row - 1] && chunk.kinds[row - 1] == RowKind::kUpdateBefore)) {
        kind = RowKind::kInsert;
      }
      out_.kinds.push_back(kind);
    }
  }
  Emit(out_);
}

void FilterOperator::EndStep() {
  if (!holding_) return;
  holding_ = false;
  held_.kinds = {RowKind::kDelete};
  idx_t count = evaluator_.Select(held_.rows, selection_);
  EmitSelected(held_, selection_, count);
}

}  // namespace millrace
