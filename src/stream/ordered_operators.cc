#include "stream/ordered_operators.h"

#include <algorithm>

#include "duckdb/common/types/column/column_data_collection.hpp"
#include "duckdb/planner/operator/logical_column_data_get.hpp"
#include "duckdb/storage/buffer_manager.hpp"
#include "stream/plan_compiler.h"

namespace millrace {

namespace {
constexpr int64_t kGone = -1;  // In Head::wanted, while rows are erased.
}

TopOperator::TopOperator(StateArena& arena, duckdb::vector<LogicalType> types,
                         std::vector<Order> orders, uint64_t offset, uint64_t limit)
    : Operator(types, &arena),
      orders_(std::move(orders)),
      first_order_(types.size() - orders_.size()),
      offset_(offset),
      limit_(limit),
      rows_(arena, RowLayout(types), sizeof(Head)),
      memory_(arena),
      pool_(&memory_),
      order_(Before{this}, &pool_),
      gone_(arena) {}

int TopOperator::Compare(const uint8_t* a, const uint8_t* b) const {
  const RowLayout& layout = rows_.Layout();
  for (idx_t i = 0; i < orders_.size(); i++) {
    idx_t column = first_order_ + i;
    bool a_null = layout.IsNull(a, column), b_null = layout.IsNull(b, column);
    if (a_null != b_null) return a_null == orders_[i].nulls_first ? -1 : 1;
    int order = layout.Compare(a, b, column);
    if (order) return orders_[i].descending ? -order : order;
  }
  return layout.CompareRows(a, b);
}

void TopOperator::Push(idx_t, ChangeChunk& chunk) {
  if (chunk.size() == 0) return;
  batch_.Fill(rows_.Layout(), chunk.rows, nullptr, true);
  touched_ = true;
  for (idx_t i = 0; i < chunk.size(); i++) {
    bool created;
    uint8_t* row = rows_.FindOrCreate(batch_.Row(i), batch_.HashOf(i), created);
    Head& head = HeadOf(row);
    rows_.Touch(row);
    head.count += Weight(chunk.KindOf(i));
    if (head.count < 0) ThrowUnknownRow(Describe());
    if (head.count > 0 && !head.in_order) {
      order_.insert(row);
      head.in_order = 1;
    } else if (head.count == 0) {
      order_.erase(row);
      head.in_order = 0;
      gone_.Add(row);
    }
  }
  arena_->Balance();
}

void TopOperator::EndStep() {
  if (!touched_) return;
  touched_ = false;
  std::vector<uint8_t*> now;
  uint64_t skip = offset_, left = limit_;
  for (uint8_t* row : order_) {
    if (left == 0) break;
    auto count = static_cast<uint64_t>(HeadOf(row).count);
    uint64_t skipped = std::min(skip, count);
    skip -= skipped;
    uint64_t taken = std::min(count - skipped, left);
    left -= taken;
    if (taken == 0) continue;
    HeadOf(row).wanted = static_cast<int64_t>(taken);
    now.push_back(row);
  }
  RowEmitter out(rows_.Layout(), [this](ChangeChunk& chunk) { Emit(chunk); });
  for (uint8_t* row : shown_) {
    Head& head = HeadOf(row);
    if (head.wanted < head.shown) out.AddWeighted(row, head.wanted - head.shown);
  }
  for (uint8_t* row : now) {
    Head& head = HeadOf(row);
    if (head.wanted > head.shown) out.AddWeighted(row, head.wanted - head.shown);
  }
  out.Finish();
  for (uint8_t* row : shown_) {
    if (HeadOf(row).wanted != HeadOf(row).shown) rows_.Touch(row);
    if (HeadOf(row).wanted == 0) HeadOf(row).shown = 0;
  }
  for (uint8_t* row : now) {
    Head& head = HeadOf(row);
    if (head.shown != head.wanted) rows_.Touch(row);
    head.shown = head.wanted;
    head.wanted = 0;
  }
  shown_ = std::move(now);
  for (idx_t i = 0; i < gone_.size(); i++) {
    Head& head = HeadOf(gone_[i]);  // It may be listed twice, and it may have come back.
    if (head.count == 0) head.wanted = kGone;
  }
  for (idx_t i = 0; i < gone_.size(); i++) {
    if (HeadOf(gone_[i]).wanted != kGone) continue;
    HeadOf(gone_[i]).wanted = 0;
    rows_.Erase(gone_[i]);
  }
  gone_.Clear();
}

std::string TopOperator::Describe() const {
  std::string limit = limit_ == UINT64_MAX ? "all" : std::to_string(limit_);
  return fmt::format("TOP {} after {} by {} expressions", limit, offset_, orders_.size());
}

void TopOperator::Save(StateWriter& writer) {
  writer.PutTypes(Types());
  writer.PutTable(rows_, Parts());
}

void TopOperator::Load(StateReader& reader) {
  reader.ExpectTypes(Types());
  RecordParts parts = Parts();
  reader.GetRecords({parts[0]}, [&](RecordBlock& block) {
    EraseAll(rows_, block, [&](uint8_t* row) { order_.erase(row); });
  });
  TableLoader loader(rows_, reader);
  reader.GetRecords(parts, [&](RecordBlock& block) {
    loader.Add(block);
    for (idx_t i = 0; i < block.count; i++) {
      uint8_t* row = loader.Row(i);
      memcpy(row + parts[1].offset, block.Row(1, i), parts[1].bytes);
      if (HeadOf(row).in_order) continue;
      HeadOf(row).in_order = 1;
      order_.insert(row);
    }
  });
  loader.Finish();
}

void TopOperator::FinishLoad() {
  for (uint8_t* row : order_) {
    if (HeadOf(row).shown) shown_.push_back(row);
    if (shown_.size() == limit_) break;
  }
}

namespace {
duckdb::vector<LogicalType> TypesOf(const ExpressionList& expressions) {
  duckdb::vector<LogicalType> types;
  for (auto& expression : expressions) types.push_back(expression->return_type);
  return types;
}
}  // namespace

RecomputeOperator::RecomputeOperator(duckdb::ClientContext& context, StateArena& arena, Plan plan)
    : Operator(plan.output_types, &arena),
      context_(context),
      plan_(std::move(plan)),
      keys_(arena, RowLayout(TypesOf(plan_.partition), true), sizeof(KeyHead)),
      touched_(arena) {
  sides_[0].rows = std::make_unique<RowTable>(arena, RowLayout(plan_.input_types), sizeof(RowHead));
  sides_[1].rows =
      std::make_unique<RowTable>(arena, RowLayout(plan_.output_types), sizeof(RowHead));
  sides_[0].keys = std::make_unique<Evaluator>(context, std::move(plan_.partition));
  sides_[1].keys = std::make_unique<Evaluator>(context, std::move(plan_.output_partition));
  for (Side& side : sides_) {
    if (!side.keys->Empty()) {
      side.key_chunk.Initialize(duckdb::Allocator::DefaultAllocator(), side.keys->Types());
    }
  }
}

std::unique_ptr<Operator> RecomputeOperator::Copy(duckdb::ClientContext& context,
                                                  StateArena& arena) const {
  Plan plan;
  plan.name = plan_.name;
  plan.input_types = plan_.input_types;
  plan.output_types = plan_.output_types;
  plan.partition = CopyExpressions(sides_[0].keys->Expressions());
  plan.output_partition = CopyExpressions(sides_[1].keys->Expressions());
  plan.rows_from_nothing = plan_.rows_from_nothing;
  plan.over = plan_.over;
  return std::make_unique<RecomputeOperator>(context, arena, std::move(plan));
}

void RecomputeOperator::Push(idx_t, ChangeChunk& chunk) {
  if (chunk.size() == 0) return;
  Apply(0, chunk.rows, true, [&](idx_t i) { return Weight(chunk.KindOf(i)); });
  arena_->Balance();
}

template <typename F>
void RecomputeOperator::Apply(idx_t which, DataChunk& rows, bool touch, F&& weight) {
  Side& side = sides_[which];
  idx_t count = rows.size();
  side.keys->Evaluate(rows, side.key_chunk);
  side.key_chunk.SetCardinality(count);
  key_batch_.Fill(keys_.Layout(), side.key_chunk, nullptr, true);
  row_batch_.Fill(side.rows->Layout(), rows, nullptr, true);
  found_.resize(count);
  keys_.FindOrCreateAll(key_batch_, count, found_.data());
  for (idx_t i = 0; i < count; i++) {
    if (touch && !HeadOf(found_[i]).touched) {
      HeadOf(found_[i]).touched = 1;
      touched_.Add(found_[i]);
    }
    Change(which, found_[i], row_batch_.Row(i), row_batch_.HashOf(i), weight(i));
  }
}

void RecomputeOperator::Change(idx_t which, uint8_t* key, const uint8_t* row, uint64_t hash,
                               int64_t weight) {
  Side& side = sides_[which];
  bool created;
  uint8_t* stored = side.rows->FindOrCreate(row, hash, created);
  RowHead& head = RowOf(which, stored);
  side.rows->Touch(stored);
  if (created) {
    head.next = HeadOf(key).first[which];
    if (head.next) RowOf(which, head.next).previous = stored;
    HeadOf(key).first[which] = stored;
  }
  head.count += weight;
  if (head.count < 0) ThrowUnknownRow(Describe());
  if (head.count > 0) return;
  if (head.previous) {
    RowOf(which, head.previous).next = head.next;
  } else {
    HeadOf(key).first[which] = head.next;
  }
  if (head.next) RowOf(which, head.next).previous = head.previous;
  side.rows->Erase(stored);
}

/// Runs the plan over the rows of the touched partitions, which come in one order whatever the
/// history.
std::vector<std::unique_ptr<DataChunk>> RecomputeOperator::Compute() {
  std::vector<const uint8_t*> rows;
  for (idx_t k = 0; k < touched_.size(); k++) {
    for (uint8_t* row = HeadOf(touched_[k]).first[0]; row; row = RowOf(0, row).next) {
      for (int64_t n = 0; n < RowOf(0, row).count; n++) rows.push_back(row);
    }
  }
  const RowLayout& layout = sides_[0].rows->Layout();
  std::sort(rows.begin(), rows.end(),
            [&](const uint8_t* a, const uint8_t* b) { return layout.CompareRows(a, b) < 0; });
  if (rows.empty() && !plan_.rows_from_nothing) return {};
  return RunPlan(context_, plan_.over(duckdb::make_uniq<duckdb::LogicalColumnDataGet>(
                               0, layout.Types(), CollectRows(context_, layout, rows, *arena_))));
}

void RecomputeOperator::EndStep() {
  if (plan_.rows_from_nothing && !started_ && touched_.empty()) {
    std::vector<uint8_t> row(keys_.Layout().Width());
    RowLayout::MarkLive(row.data());
    bool created;
    touched_.Add(keys_.FindOrCreate(row.data(), keys_.Layout().Hash(row.data()), created));
  }
  if (touched_.empty()) return;
  started_ = true;
  auto results = Compute();
  // The difference: what the partitions showed leaves, what they show now comes.
  const RowLayout& shown = sides_[1].rows->Layout();
  RowTable net(*arena_, shown, sizeof(int64_t));
  RowList order(*arena_);
  auto add = [&](const uint8_t* row, uint64_t hash, int64_t weight) {
    bool created;
    uint8_t* stored = net.FindOrCreate(row, hash, created);
    if (created) order.Add(stored);
    net.Payload<int64_t>(stored) += weight;
  };
  for (idx_t k = 0; k < touched_.size(); k++) {
    for (uint8_t* row = HeadOf(touched_[k]).first[1]; row; row = RowOf(1, row).next) {
      add(row, shown.Hash(row), -RowOf(1, row).count);
    }
    HeadOf(touched_[k]).touched = 0;
  }
  for (auto& result : results) {
    row_batch_.Fill(shown, *result, nullptr, true);
    for (idx_t i = 0; i < result->size(); i++) add(row_batch_.Row(i), row_batch_.HashOf(i), 1);
  }
  RowEmitter out(shown, [&](ChangeChunk& emitted) {
    Emit(emitted);
    Apply(1, emitted.rows, false, [&](idx_t i) { return Weight(emitted.KindOf(i)); });
  });
  for (int sign : {-1, 1}) {
    for (idx_t i = 0; i < order.size(); i++) {
      int64_t weight = net.Payload<int64_t>(order[i]);
      if (weight * sign > 0) out.AddWeighted(order[i], weight);
    }
  }
  out.Finish();
  for (idx_t k = 0; k < touched_.size(); k++) {
    if (!HeadOf(touched_[k]).first[0] && !HeadOf(touched_[k]).first[1]) keys_.Erase(touched_[k]);
  }
  touched_.Clear();
}

std::string RecomputeOperator::DescribeState() const {
  return fmt::format("{} partitions, {} rows, {} results", keys_.Size(), sides_[0].rows->Size(),
                     sides_[1].rows->Size());
}

RecordParts RecomputeOperator::PartsOf(idx_t which) const {
  const RowLayout& layout = sides_[which].rows->Layout();
  idx_t count_at = layout.Width() + offsetof(RowHead, count);
  return {RecordPart::Columns(layout), RecordPart::Plain(count_at, sizeof(int64_t))};
}

void RecomputeOperator::Save(StateWriter& writer) {
  writer.Put(static_cast<uint8_t>(started_));
  for (idx_t which = 0; which < 2; which++) {
    writer.PutTypes(sides_[which].rows->Layout().Types());
    writer.PutTable(*sides_[which].rows, PartsOf(which));
  }
}

void RecomputeOperator::Load(StateReader& reader) {
  started_ = reader.Get<uint8_t>();
  for (idx_t which = 0; which < 2; which++) {
    reader.ExpectTypes(sides_[which].rows->Layout().Types());
    RecordParts parts = PartsOf(which);
    reader.GetRecords({parts[0]}, [&](RecordBlock& block) { LoadCounts(which, block, true); });
    reader.GetRecords(parts, [&](RecordBlock& block) { LoadCounts(which, block, false); });
  }
}

void RecomputeOperator::LoadCounts(idx_t which, RecordBlock& block, bool gone) {
  RowTable& table = *sides_[which].rows;
  const RowLayout& layout = table.Layout();
  std::vector<const uint8_t*> rows(block.count);
  for (idx_t i = 0; i < block.count; i++) rows[i] = block.Row(0, i);
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), layout.Types());
  for (idx_t i = 0; i < layout.Columns(); i++) {
    layout.Gather(i, rows.data(), block.count, chunk.data[i]);
  }
  chunk.SetCardinality(block.count);
  Apply(which, chunk, false, [&](idx_t i) {
    uint8_t* there = table.Find(rows[i], layout.Hash(rows[i]));
    return (gone ? 0 : block.Value<int64_t>(1, i)) - (there ? RowOf(which, there).count : 0);
  });
  for (idx_t i = 0; gone && i < block.count; i++) {
    uint8_t* key = keys_.Find(key_batch_.Row(i), key_batch_.HashOf(i));
    if (key && !HeadOf(key).first[0] && !HeadOf(key).first[1]) keys_.Erase(key);
  }
}

int64_t RecomputeOperator::StateBytes() const {
  return keys_.Bytes() + sides_[0].rows->Bytes() + sides_[1].rows->Bytes();
}

}  // namespace millrace
