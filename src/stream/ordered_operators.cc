#include "stream/ordered_operators.h"

#include <algorithm>

#include "duckdb/common/types/column/column_data_collection.hpp"
#include "duckdb/planner/operator/logical_column_data_get.hpp"
#include "stream/plan_compiler.h"

namespace millrace {

TopOperator::TopOperator(duckdb::vector<LogicalType> types, std::vector<Order> orders,
                         uint64_t offset, uint64_t limit)
    : Operator(types),
      orders_(std::move(orders)),
      first_order_(types.size() - orders_.size()),
      offset_(offset),
      limit_(limit),
      rows_(RowLayout(types), sizeof(Head)),
      order_(Before{this}, &pool_) {}

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
    head.count += Weight(chunk.KindOf(i));
    if (head.count < 0) ThrowUnknownRow(Describe());
    if (head.count > 0 && !head.in_order) {
      order_.insert(row);
      head.in_order = 1;
    } else if (head.count == 0) {
      order_.erase(row);
      head.in_order = 0;
      gone_.push_back(row);
    }
  }
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
  for (uint8_t* row : shown_) HeadOf(row).shown = 0;
  for (uint8_t* row : now) {
    Head& head = HeadOf(row);
    head.shown = head.wanted;
    head.wanted = 0;
  }
  shown_ = std::move(now);
  std::sort(gone_.begin(), gone_.end());
  gone_.erase(std::unique(gone_.begin(), gone_.end()), gone_.end());
  for (uint8_t* row : gone_) {
    if (HeadOf(row).count == 0) rows_.Erase(row);
  }
  gone_.clear();
}

std::string TopOperator::Describe() const {
  std::string limit = limit_ == UINT64_MAX ? "all" : std::to_string(limit_);
  return fmt::format("TOP {} after {} by {} expressions", limit, offset_, orders_.size());
}

void TopOperator::Save(StateWriter& writer) {
  std::vector<uint8_t*> rows;
  rows_.ForEach([&](uint8_t* row) { rows.push_back(row); });
  writer.PutTypes(Types());
  writer.PutRows(rows_.Layout(), rows);
  for (uint8_t* row : rows) {
    writer.Put(HeadOf(row).count);
    writer.Put(HeadOf(row).shown);
  }
}

void TopOperator::Load(StateReader& reader) {
  reader.ExpectTypes(Types());
  std::vector<uint8_t*> rows;
  reader.GetRows(rows_.Layout(), [&](idx_t, uint8_t* row) {
    bool created;
    rows.push_back(rows_.FindOrCreate(row, rows_.Layout().Hash(row), created));
  });
  for (uint8_t* row : rows) {
    Head& head = HeadOf(row);
    head.count = reader.Get<int64_t>();
    head.shown = reader.Get<int64_t>();
    head.in_order = 1;
    order_.insert(row);
    if (head.shown) shown_.push_back(row);
  }
}

namespace {
duckdb::vector<LogicalType> TypesOf(const ExpressionList& expressions) {
  duckdb::vector<LogicalType> types;
  for (auto& expression : expressions) types.push_back(expression->return_type);
  return types;
}
}  // namespace

RecomputeOperator::RecomputeOperator(duckdb::ClientContext& context, Plan plan)
    : Operator(plan.output_types),
      context_(context),
      plan_(std::move(plan)),
      keys_(RowLayout(TypesOf(plan_.partition), true), sizeof(KeyHead)) {
  sides_[0].rows = std::make_unique<RowTable>(RowLayout(plan_.input_types), sizeof(RowHead));
  sides_[1].rows = std::make_unique<RowTable>(RowLayout(plan_.output_types), sizeof(RowHead));
  sides_[0].keys = std::make_unique<Evaluator>(context, std::move(plan_.partition));
  sides_[1].keys = std::make_unique<Evaluator>(context, std::move(plan_.output_partition));
  for (Side& side : sides_) {
    if (!side.keys->Empty()) {
      side.key_chunk.Initialize(duckdb::Allocator::DefaultAllocator(), side.keys->Types());
    }
  }
}

void RecomputeOperator::Push(idx_t, ChangeChunk& chunk) {
  if (chunk.size() > 0) Apply(0, chunk.rows, &chunk.kinds, true);
}

/// Adds rows (inserts when `kinds` is null or empty) to the lists of their partitions.
void RecomputeOperator::Apply(idx_t which, DataChunk& rows, const std::vector<RowKind>* kinds,
                              bool touch) {
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
      touched_.push_back(found_[i]);
    }
    int64_t weight = kinds && !kinds->empty() ? Weight((*kinds)[i]) : 1;
    Change(which, found_[i], row_batch_.Row(i), row_batch_.HashOf(i), weight);
  }
}

void RecomputeOperator::Change(idx_t which, uint8_t* key, const uint8_t* row, uint64_t hash,
                               int64_t weight) {
  Side& side = sides_[which];
  bool created;
  uint8_t* stored = side.rows->FindOrCreate(row, hash, created);
  RowHead& head = RowOf(which, stored);
  if (created) {
    head.key = key;
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

void RecomputeOperator::EndStep() {
  if (plan_.rows_from_nothing && !started_ && touched_.empty()) {
    std::vector<uint8_t> row(keys_.Layout().Width());
    bool created;
    touched_.push_back(keys_.FindOrCreate(row.data(), keys_.Layout().Hash(row.data()), created));
  }
  if (touched_.empty()) return;
  started_ = true;
  // The rows of the touched partitions, in one order whatever the history.
  std::vector<const uint8_t*> rows;
  for (uint8_t* key : touched_) {
    for (uint8_t* row = HeadOf(key).first[0]; row; row = RowOf(0, row).next) {
      for (int64_t n = 0; n < RowOf(0, row).count; n++) rows.push_back(row);
    }
  }
  const RowLayout& layout = sides_[0].rows->Layout();
  std::sort(rows.begin(), rows.end(),
            [&](const uint8_t* a, const uint8_t* b) { return layout.CompareRows(a, b) < 0; });
  auto collection = duckdb::make_uniq<duckdb::ColumnDataCollection>(
      duckdb::Allocator::DefaultAllocator(), layout.Types());
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), layout.Types());
  for (idx_t start = 0; start < rows.size(); start += kChunkRows) {
    idx_t count = std::min<idx_t>(kChunkRows, rows.size() - start);
    chunk.Reset();
    for (idx_t i = 0; i < layout.Columns(); i++)
      layout.Gather(i, rows.data() + start, count, chunk.data[i]);
    chunk.SetCardinality(count);
    collection->Append(chunk);
  }
  std::vector<std::unique_ptr<DataChunk>> results;
  if (!rows.empty() || plan_.rows_from_nothing) {
    results = RunPlan(context_, plan_.over(duckdb::make_uniq<duckdb::LogicalColumnDataGet>(
                                    0, layout.Types(), std::move(collection))));
  }
  // The difference: what the partitions showed leaves, what they show now comes.
  const RowLayout& shown = sides_[1].rows->Layout();
  RowTable net(shown, sizeof(int64_t));
  std::vector<uint8_t*> order;
  auto add = [&](const uint8_t* row, uint64_t hash, int64_t weight) {
    bool created;
    uint8_t* stored = net.FindOrCreate(row, hash, created);
    if (created) order.push_back(stored);
    net.Payload<int64_t>(stored) += weight;
  };
  for (uint8_t* key : touched_) {
    for (uint8_t* row = HeadOf(key).first[1]; row; row = RowOf(1, row).next) {
      add(row, shown.Hash(row), -RowOf(1, row).count);
    }
    HeadOf(key).touched = 0;
  }
  for (auto& result : results) {
    row_batch_.Fill(shown, *result, nullptr, true);
    for (idx_t i = 0; i < result->size(); i++) add(row_batch_.Row(i), row_batch_.HashOf(i), 1);
  }
  ChangeChunk changes;
  RowEmitter out(shown, [&](ChangeChunk& emitted) {
    Emit(emitted);
    Apply(1, emitted.rows, &emitted.kinds, false);
  });
  for (int sign : {-1, 1}) {
    for (uint8_t* row : order) {
      int64_t weight = net.Payload<int64_t>(row);
      if (weight * sign > 0) out.AddWeighted(row, weight);
    }
  }
  out.Finish();
  for (uint8_t* key : touched_) {
    if (!HeadOf(key).first[0] && !HeadOf(key).first[1]) keys_.Erase(key);
  }
  touched_.clear();
}

std::string RecomputeOperator::DescribeState() const {
  return fmt::format("{} partitions, {} rows, {} results", keys_.Size(), sides_[0].rows->Size(),
                     sides_[1].rows->Size());
}

void RecomputeOperator::Save(StateWriter& writer) {
  writer.Put(static_cast<uint8_t>(started_));
  for (idx_t which = 0; which < 2; which++) {
    Side& side = sides_[which];
    std::vector<uint8_t*> rows;
    side.rows->ForEach([&](uint8_t* row) { rows.push_back(row); });
    writer.PutTypes(side.rows->Layout().Types());
    writer.PutRows(side.rows->Layout(), rows);
    for (uint8_t* row : rows) writer.Put(RowOf(which, row).count);
  }
}

void RecomputeOperator::Load(StateReader& reader) {
  started_ = reader.Get<uint8_t>();
  for (idx_t which = 0; which < 2; which++) {
    const RowLayout& layout = sides_[which].rows->Layout();
    reader.ExpectTypes(layout.Types());
    std::vector<uint8_t*> packed, stored;
    reader.GetRows(layout, [&](idx_t, uint8_t* row) { packed.push_back(row); });
    DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), layout.Types());
    for (idx_t start = 0; start < packed.size(); start += kChunkRows) {
      idx_t count = std::min<idx_t>(kChunkRows, packed.size() - start);
      chunk.Reset();
      for (idx_t i = 0; i < layout.Columns(); i++)
        layout.Gather(i, packed.data() + start, count, chunk.data[i]);
      chunk.SetCardinality(count);
      Apply(which, chunk, nullptr, false);
    }
    for (uint8_t* row : packed) {
      uint8_t* found = sides_[which].rows->Find(row, layout.Hash(row));
      if (!found) reader.Corrupt("a row cannot be found again");
      RowOf(which, found).count = reader.Get<int64_t>();
    }
  }
}

int64_t RecomputeOperator::StateBytes() const {
  return keys_.Bytes() + sides_[0].rows->Bytes() + sides_[1].rows->Bytes();
}

}  // namespace millrace
