#include "stream/unnest_operator.h"

namespace millrace {

namespace {

using TypeList = duckdb::vector<LogicalType>;

duckdb::vector<LogicalType> Concatenated(duckdb::vector<LogicalType> left,
                                         const duckdb::vector<LogicalType>& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

/// Null when the list itself is NULL.
const duckdb::list_entry_t* EntryOf(const UnifiedVectorFormat& format, idx_t row) {
  idx_t at = format.sel->get_index(row);
  if (!format.validity.RowIsValid(at)) return nullptr;
  return UnifiedVectorFormat::GetData<duckdb::list_entry_t>(format) + at;
}

bool IsList(const LogicalType& type) {
  return type.id() == LogicalTypeId::LIST || type.id() == LogicalTypeId::MAP;
}

}  // namespace

UnnestOperator::UnnestOperator(duckdb::ClientContext& context,
                               const duckdb::vector<LogicalType>& input_types,
                               const duckdb::vector<LogicalType>& element_types,
                               ExpressionList lists)
    : Operator(Concatenated(input_types, element_types)),
      input_columns_(input_types.size()),
      lists_(context, std::move(lists)),
      formats_(element_types.size()) {
  evaluated_.Initialize(duckdb::Allocator::DefaultAllocator(), lists_.Types());
  out_.Initialize(Types());
}

std::unique_ptr<Operator> UnnestOperator::Copy(duckdb::ClientContext& context, StateArena&) const {
  auto elements = Types().begin() + static_cast<std::ptrdiff_t>(input_columns_);
  return std::make_unique<UnnestOperator>(context, TypeList(Types().begin(), elements),
                                          TypeList(elements, Types().end()),
                                          CopyExpressions(lists_.Expressions()));
}

void UnnestOperator::Push(idx_t, ChangeChunk& chunk) {
  lists_.Evaluate(chunk.rows, evaluated_);
  evaluated_.SetCardinality(chunk.size());
  for (idx_t i = 0; i < formats_.size(); i++) {
    evaluated_.data[i].ToUnifiedFormat(chunk.size(), formats_[i]);
  }
  for (idx_t row = 0; row < chunk.size(); row++) {
    idx_t length = 0;
    for (idx_t i = 0; i < formats_.size(); i++) {
      if (!IsList(evaluated_.data[i].GetType())) continue;  // UNNEST(NULL).
      if (auto entry = EntryOf(formats_[i], row)) length = std::max(length, entry->length);
    }
    for (idx_t position = 0; position < length; position++) {
      elements_.push_back({static_cast<uint32_t>(row), static_cast<uint32_t>(position)});
      if (elements_.size() == kChunkRows) Flush(chunk);
    }
  }
  Flush(chunk);
}

void UnnestOperator::Flush(ChangeChunk& chunk) {
  if (elements_.empty()) return;
  out_.Reset();
  idx_t count = elements_.size();
  SelectionVector rows(count);
  for (idx_t i = 0; i < count; i++) rows.set_index(i, elements_[i].row);
  for (idx_t i = 0; i < input_columns_; i++) {
    out_.rows.data[i].Slice(chunk.rows.data[i], rows, count);
  }
  for (idx_t i = 0; i < formats_.size(); i++) FillElements(i, out_.rows.data[input_columns_ + i]);
  for (idx_t i = 0; i < count && !chunk.kinds.empty(); i++) {
    bool add = IsAdd(chunk.kinds[elements_[i].row]);
    out_.kinds.push_back(add ? RowKind::kInsert : RowKind::kDelete);
  }
  out_.rows.SetCardinality(count);
  elements_.clear();
  Emit(out_);
}

void UnnestOperator::FillElements(idx_t list, Vector& result) {
  idx_t count = elements_.size();
  Vector& lists = evaluated_.data[list];
  if (!IsList(lists.GetType()) || duckdb::ListVector::GetListSize(lists) == 0) {
    result.Reference(Value(result.GetType()));
    return;
  }
  SelectionVector picked(count);
  std::vector<idx_t> missing;
  for (idx_t i = 0; i < count; i++) {
    auto entry = EntryOf(formats_[list], elements_[i].row);
    bool there = entry && elements_[i].position < entry->length;
    picked.set_index(i, there ? entry->offset + elements_[i].position : 0);
    if (!there) missing.push_back(i);
  }
  result.Slice(duckdb::ListVector::GetEntry(lists), picked, count);
  if (missing.empty()) return;
  result.Flatten(count);
  for (idx_t i : missing) duckdb::FlatVector::SetNull(result, i, true);
}

}  // namespace millrace
