#include "stream/multiset_operators.h"

#include <algorithm>

namespace millrace {

namespace {
constexpr const char* kRuleNames[] = {"DISTINCT", "EXCEPT", "EXCEPT ALL", "INTERSECT",
                                      "INTERSECT ALL"};
}

SetOperator::SetOperator(duckdb::vector<LogicalType> types, SetRule rule)
    : Operator(types), rule_(rule), rows_(RowLayout(types, true), sizeof(Counts)) {}

ChangelogType SetOperator::Start(const std::vector<ChangelogType>& inputs) {
  bool append = std::all_of(inputs.begin(), inputs.end(),
                            [](ChangelogType type) { return type == ChangelogType::kAppend; });
  bool grows = rule_ == SetRule::kDistinct || rule_ == SetRule::kIntersect ||
               rule_ == SetRule::kIntersectAll;
  return append && grows ? ChangelogType::kAppend : ChangelogType::kFull;
}

void SetOperator::Push(idx_t port, ChangeChunk& chunk) {
  idx_t count = chunk.size();
  if (count == 0) return;
  batch_.Fill(rows_.Layout(), chunk.rows, nullptr, true);
  found_.resize(count);
  rows_.FindOrCreateAll(batch_, count, found_.data());
  for (idx_t i = 0; i < count; i++) {
    auto& counts = rows_.Payload<Counts>(found_[i]);
    counts.input[port] += Weight(chunk.KindOf(i));
    if (counts.input[port] < 0) ThrowUnknownRow(Describe());
    if (counts.touched) continue;
    counts.touched = 1;
    touched_.push_back(found_[i]);
  }
}

int64_t SetOperator::Wanted(const Counts& counts) const {
  int64_t left = counts.input[0], right = counts.input[1];
  switch (rule_) {
    case SetRule::kDistinct:
      return left > 0;
    case SetRule::kExcept:
      return left > 0 && right == 0;
    case SetRule::kExceptAll:
      return std::max<int64_t>(left - right, 0);
    case SetRule::kIntersect:
      return left > 0 && right > 0;
    default:
      return std::min(left, right);
  }
}

void SetOperator::EndStep() {
  if (touched_.empty()) return;
  RowEmitter out(rows_.Layout(), [this](ChangeChunk& chunk) { Emit(chunk); });
  for (uint8_t* row : touched_) {
    auto& counts = rows_.Payload<Counts>(row);
    int64_t wanted = Wanted(counts);
    out.AddWeighted(row, wanted - counts.shown);
    counts.shown = wanted;
    counts.touched = 0;
  }
  out.Finish();
  for (uint8_t* row : touched_) {
    auto& counts = rows_.Payload<Counts>(row);
    if (counts.input[0] == 0 && counts.input[1] == 0) rows_.Erase(row);
  }
  touched_.clear();
}

std::string SetOperator::Describe() const {
  return kRuleNames[static_cast<int>(rule_)];
}

void SetOperator::Save(StateWriter& writer) {
  std::vector<uint8_t*> rows;
  rows_.ForEach([&](uint8_t* row) { rows.push_back(row); });
  writer.PutTypes(Types());
  writer.PutRows(rows_.Layout(), rows);
  for (uint8_t* row : rows) writer.Put(rows_.Payload<Counts>(row));
}

void SetOperator::Load(StateReader& reader) {
  reader.ExpectTypes(Types());
  std::vector<uint8_t*> rows;
  reader.GetRows(rows_.Layout(), [&](idx_t, uint8_t* row) {
    bool created;
    rows.push_back(rows_.FindOrCreate(row, rows_.Layout().Hash(row), created));
  });
  for (uint8_t* row : rows) rows_.Payload<Counts>(row) = reader.Get<Counts>();
}

ConsolidateOperator::ConsolidateOperator(duckdb::vector<LogicalType> types,
                                         std::optional<UniqueKey> key)
    : Operator(types), key_(std::move(key)), rows_(RowLayout(types), sizeof(Net)) {
  if (!key_) return;
  duckdb::vector<LogicalType> key_types;
  for (idx_t column : *key_) key_types.push_back(types[column]);
  keys_ = std::make_unique<RowTable>(RowLayout(key_types, true), sizeof(Key));
}

void ConsolidateOperator::Push(idx_t, ChangeChunk& chunk) {
  idx_t count = chunk.size();
  if (count == 0) return;
  batch_.Fill(rows_.Layout(), chunk.rows, nullptr, true);
  found_.resize(count);
  idx_t before = rows_.Size();
  for (idx_t i = 0; i < count; i++) {
    if (i + 8 < count) rows_.Prefetch(batch_.HashOf(i + 8));
    bool created;
    uint8_t* row = rows_.FindOrCreate(batch_.Row(i), batch_.HashOf(i), created);
    if (created) order_.push_back(row);
    int weight = Weight(chunk.KindOf(i));
    if (weight < 0) any_delete_ = true;
    rows_.Payload<Net>(row).weight += weight;
  }
  (void)before;
}

void ConsolidateOperator::EndStep() {
  if (order_.empty()) return;
  if (key_ && any_delete_) {
    EmitByKey();
  } else {
    RowEmitter out(rows_.Layout(), [this](ChangeChunk& chunk) { Emit(chunk); });
    for (uint8_t* row : order_) {
      if (rows_.Payload<Net>(row).weight < 0) out.AddWeighted(row, rows_.Payload<Net>(row).weight);
    }
    for (uint8_t* row : order_) {
      if (rows_.Payload<Net>(row).weight > 0) out.AddWeighted(row, rows_.Payload<Net>(row).weight);
    }
    out.Finish();
  }
  rows_.Clear();
  order_.clear();
  any_delete_ = false;
}

void ConsolidateOperator::EmitByKey() {
  std::vector<uint8_t*> changed, keys;
  for (uint8_t* row : order_) {
    if (rows_.Payload<Net>(row).weight != 0) changed.push_back(row);
  }
  DataChunk key_chunk;
  if (!key_->empty())
    key_chunk.Initialize(duckdb::Allocator::DefaultAllocator(), keys_->Layout().Types());
  RowBatch batch;
  for (idx_t start = 0; start < changed.size(); start += kChunkRows) {
    idx_t count = std::min<idx_t>(kChunkRows, changed.size() - start);
    key_chunk.Reset();
    for (idx_t i = 0; i < key_->size(); i++) {
      rows_.Layout().Gather((*key_)[i], changed.data() + start, count, key_chunk.data[i]);
    }
    key_chunk.SetCardinality(count);
    batch.Fill(keys_->Layout(), key_chunk, nullptr, true);
    for (idx_t i = 0; i < count; i++) {
      bool created;
      uint8_t* key = keys_->FindOrCreate(batch.Row(i), batch.HashOf(i), created);
      if (created) keys.push_back(key);
      Net& net = rows_.Payload<Net>(changed[start + i]);
      auto& list =
          net.weight < 0 ? keys_->Payload<Key>(key).before : keys_->Payload<Key>(key).after;
      net.next = list;
      list = changed[start + i];
    }
  }
  RowEmitter out(rows_.Layout(), [this](ChangeChunk& chunk) { Emit(chunk); });
  for (uint8_t* key : keys) {
    Key& lists = keys_->Payload<Key>(key);
    uint8_t* before = lists.before;
    uint8_t* after = lists.after;
    bool pair = before && after && !rows_.Payload<Net>(before).next &&
                !rows_.Payload<Net>(after).next && rows_.Payload<Net>(before).weight == -1 &&
                rows_.Payload<Net>(after).weight == 1;
    if (pair) {
      out.AddPair(before, after);
      continue;
    }
    for (; before; before = rows_.Payload<Net>(before).next) {
      out.AddWeighted(before, rows_.Payload<Net>(before).weight);
    }
    for (; after; after = rows_.Payload<Net>(after).next) {
      out.AddWeighted(after, rows_.Payload<Net>(after).weight);
    }
  }
  out.Finish();
  keys_->Clear();
}

std::string ConsolidateOperator::Describe() const {
  if (!key_) return "CONSOLIDATE";
  std::string columns;
  for (idx_t column : *key_) columns += (columns.empty() ? "#" : ", #") + std::to_string(column);
  return "CONSOLIDATE by (" + columns + ")";
}

namespace {
duckdb::vector<LogicalType> Pick(const duckdb::vector<LogicalType>& types, const UniqueKey& key) {
  duckdb::vector<LogicalType> picked;
  for (idx_t column : key) picked.push_back(types[column]);
  return picked;
}
}  // namespace

KeyedOperator::KeyedOperator(duckdb::vector<LogicalType> types, UniqueKey key, bool last_wins,
                             std::string what)
    : Operator(types),
      key_(std::move(key)),
      last_wins_(last_wins),
      what_(std::move(what)),
      layout_(types),
      keys_(RowLayout(Pick(types, key_), true), sizeof(Head)),
      copies_(layout_.Width()) {
  if (!last_wins_) rows_ = std::make_unique<RowTable>(layout_, sizeof(Counted));
}

uint8_t* KeyedOperator::Copy(const uint8_t* row) {
  uint8_t* copy = copies_.New();
  memcpy(copy, row, layout_.Width());
  copies_.Intern(layout_, copy);
  return copy;
}

void KeyedOperator::FreeCopy(uint8_t* row) {
  if (!row) return;
  copies_.Release(layout_, row);
  copies_.Free(row);
}

KeyedOperator::Rows& KeyedOperator::RowsOf(Head& head) {
  auto index = reinterpret_cast<uint64_t>(head.live);
  if (index == 0) {
    if (free_heaps_.empty()) {
      heaps_.emplace_back();
      index = heaps_.size();
    } else {
      index = free_heaps_.back() + 1;
      free_heaps_.pop_back();
    }
    head.live = reinterpret_cast<uint8_t*>(index);
  }
  return heaps_[index - 1];
}

void KeyedOperator::Push(idx_t, ChangeChunk& chunk) {
  idx_t count = chunk.size();
  if (count == 0) return;
  key_batch_.Fill(keys_.Layout(), chunk.rows, &key_, true);
  batch_.Fill(layout_, chunk.rows, nullptr, !last_wins_);
  found_.resize(count);
  keys_.FindOrCreateAll(key_batch_, count, found_.data());
  for (idx_t i = 0; i < count; i++) {
    Head& head = keys_.Payload<Head>(found_[i]);
    if (head.touched) continue;
    head.touched = 1;
    touched_.push_back(found_[i]);
  }
  last_wins_ ? PushLast(chunk) : PushAll(chunk);
}

void KeyedOperator::PushLast(ChangeChunk& chunk) {
  for (idx_t i = 0; i < chunk.size(); i++) {
    RowKind kind = chunk.KindOf(i);
    if (kind == RowKind::kUpdateBefore) continue;
    Head& head = keys_.Payload<Head>(found_[i]);
    if (head.live != head.shown) FreeCopy(head.live);
    head.live = kind == RowKind::kDelete ? nullptr : Copy(batch_.Row(i));
  }
}

void KeyedOperator::PushAll(ChangeChunk& chunk) {
  auto less = [this](const uint8_t* a, const uint8_t* b) { return layout_.CompareRows(a, b) < 0; };
  for (idx_t i = 0; i < chunk.size(); i++) {
    bool created;
    uint8_t* row = rows_->FindOrCreate(batch_.Row(i), batch_.HashOf(i), created);
    auto& counted = rows_->Payload<Counted>(row);
    counted.count += Weight(chunk.KindOf(i));
    if (counted.count < 0) ThrowUnknownRow(what_);
    if (counted.in_heap) continue;
    counted.in_heap = 1;
    Rows& rows = RowsOf(keys_.Payload<Head>(found_[i]));
    rows.heap.push_back(row);
    std::push_heap(rows.heap.begin(), rows.heap.end(), less);
  }
}

const uint8_t* KeyedOperator::Current(Head& head) {
  if (last_wins_) return head.live;
  if (!head.live) return nullptr;
  auto less = [this](const uint8_t* a, const uint8_t* b) { return layout_.CompareRows(a, b) < 0; };
  auto& heap = RowsOf(head).heap;
  while (!heap.empty() && rows_->Payload<Counted>(heap.front()).count == 0) {
    std::pop_heap(heap.begin(), heap.end(), less);
    rows_->Erase(heap.back());
    heap.pop_back();
  }
  return heap.empty() ? nullptr : heap.front();
}

void KeyedOperator::EndStep() {
  if (touched_.empty()) return;
  RowEmitter out(layout_, [this](ChangeChunk& chunk) { Emit(chunk); });
  std::vector<uint8_t*> gone, old;
  for (uint8_t* key : touched_) {
    Head& head = keys_.Payload<Head>(key);
    head.touched = 0;
    const uint8_t* now = Current(head);
    uint8_t* before = head.shown;
    bool same = now && before && (now == before || layout_.Equal(now, before));
    if (last_wins_) {
      head.shown = head.live;
    } else if (!same) {
      head.shown = now ? Copy(now) : nullptr;
    }
    if (!same) {
      if (before && now) {
        out.AddPair(before, now);
      } else if (before) {
        out.Add(before, RowKind::kDelete);
      } else if (now) {
        out.Add(now, RowKind::kInsert);
      }
    }
    if (before != head.shown) old.push_back(before);
    if (!now) gone.push_back(key);
  }
  out.Finish();
  for (uint8_t* row : old) FreeCopy(row);
  for (uint8_t* key : gone) {
    Head& head = keys_.Payload<Head>(key);
    if (!last_wins_ && head.live) {
      auto index = reinterpret_cast<uint64_t>(head.live) - 1;
      heaps_[index] = Rows();
      free_heaps_.push_back(index);
    }
    keys_.Erase(key);
  }
  touched_.clear();
}

std::string KeyedOperator::Describe() const {
  std::string columns;
  for (idx_t column : key_) columns += (columns.empty() ? "#" : ", #") + std::to_string(column);
  return what_ + " (" + columns + ")" + (last_wins_ ? ": last row" : ": greatest row");
}

void KeyedOperator::Save(StateWriter& writer) {
  writer.PutTypes(Types());
  std::vector<uint8_t*> rows;
  if (last_wins_) {
    keys_.ForEach([&](uint8_t* key) { rows.push_back(keys_.Payload<Head>(key).live); });
  } else {
    rows_->ForEach([&](uint8_t* row) {
      if (rows_->Payload<Counted>(row).count > 0) rows.push_back(row);
    });
  }
  writer.PutRows(layout_, rows);
  if (last_wins_) return;
  for (uint8_t* row : rows) writer.Put(rows_->Payload<Counted>(row).count);
}

void KeyedOperator::Load(StateReader& reader) {
  // Pushed through the operator's own rule; what it shows follows from the rows, so nothing is
  // emitted.
  reader.ExpectTypes(Types());
  ChangeChunk chunk;
  chunk.Initialize(Types());
  std::vector<const uint8_t*> pending;
  std::vector<uint8_t*> stored;
  auto flush = [&] {
    if (pending.empty()) return;
    chunk.Reset();
    for (idx_t i = 0; i < layout_.Columns(); i++) {
      layout_.Gather(i, pending.data(), pending.size(), chunk.rows.data[i]);
    }
    chunk.rows.SetCardinality(pending.size());
    Push(0, chunk);
    if (!last_wins_) {
      for (idx_t i = 0; i < pending.size(); i++) {
        stored.push_back(rows_->Find(batch_.Row(i), batch_.HashOf(i)));
      }
    }
    pending.clear();
  };
  reader.GetRows(layout_, [&](idx_t, uint8_t* row) {
    pending.push_back(row);
    if (pending.size() == kChunkRows) flush();
  });
  flush();
  for (uint8_t* row : stored) rows_->Payload<Counted>(row).count = reader.Get<int64_t>();
  for (uint8_t* key : touched_) {
    Head& head = keys_.Payload<Head>(key);
    head.touched = 0;
    head.shown = last_wins_ ? head.live : Copy(Current(head));
  }
  touched_.clear();
}

int64_t KeyedOperator::StateBytes() const {
  return keys_.Bytes() + copies_.Bytes() + (rows_ ? rows_->Bytes() : 0);
}

}  // namespace millrace
