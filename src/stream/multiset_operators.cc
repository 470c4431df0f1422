#include "stream/multiset_operators.h"

#include <algorithm>

namespace millrace {

namespace {
constexpr const char* kRuleNames[] = {"DISTINCT", "EXCEPT", "EXCEPT ALL", "INTERSECT",
                                      "INTERSECT ALL"};
}

SetOperator::SetOperator(StateArena& arena, duckdb::vector<LogicalType> types, SetRule rule)
    : Operator(types, &arena),
      rule_(rule),
      rows_(arena, RowLayout(types, true), sizeof(Counts)),
      touched_(arena) {}

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
    touched_.Add(found_[i]);
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
  for (idx_t i = 0; i < touched_.size(); i++) {
    uint8_t* row = touched_[i];
    auto& counts = rows_.Payload<Counts>(row);
    int64_t wanted = Wanted(counts);
    out.AddWeighted(row, wanted - counts.shown);
    counts.shown = wanted;
    counts.touched = 0;
    rows_.Touch(row);
  }
  out.Finish();
  for (idx_t i = 0; i < touched_.size(); i++) {
    uint8_t* row = touched_[i];
    auto& counts = rows_.Payload<Counts>(row);
    if (counts.input[0] == 0 && counts.input[1] == 0) rows_.Erase(row);
  }
  touched_.Clear();
}

std::string SetOperator::Describe() const {
  return kRuleNames[static_cast<int>(rule_)];
}

void SetOperator::Save(StateWriter& writer) {
  writer.PutTypes(Types());
  writer.PutTable(rows_, Parts());
}

void SetOperator::Load(StateReader& reader) {
  reader.ExpectTypes(Types());
  RecordParts parts = Parts();
  reader.GetRecords({parts[0]}, [&](RecordBlock& block) { EraseAll(rows_, block); });
  TableLoader loader(rows_, reader);
  reader.GetRecords(parts, [&](RecordBlock& block) {
    loader.Add(block);
    for (idx_t i = 0; i < block.count; i++) {
      memcpy(loader.Row(i) + parts[1].offset, block.Row(1, i), parts[1].bytes);
    }
  });
  loader.Finish();
}

ConsolidateOperator::ConsolidateOperator(StateArena& arena, duckdb::vector<LogicalType> types,
                                         std::optional<UniqueKey> key)
    : Operator(types, &arena),
      key_(std::move(key)),
      rows_(arena, RowLayout(types), sizeof(Net)),
      order_(arena) {
  if (!key_) return;
  duckdb::vector<LogicalType> key_types;
  for (idx_t column : *key_) key_types.push_back(types[column]);
  keys_ = std::make_unique<RowTable>(arena, RowLayout(key_types, true), sizeof(Key));
}

ShardRule ConsolidateOperator::RuleOf(idx_t) const {
  ShardRule rule =
      key_ ? ShardRule::ByColumns(Types(), *key_) : ShardRule::ByKey(ColumnReferences(Types()));
  rule.one_will_do = true;
  return rule;
}

std::vector<std::optional<idx_t>> ConsolidateOperator::OutputsOf(idx_t) const {
  if (!key_) return EachColumn(Types().size());
  return {key_->begin(), key_->end()};
}

void ConsolidateOperator::Push(idx_t, ChangeChunk& chunk) {
  idx_t count = chunk.size();
  if (count == 0) return;
  batch_.Fill(rows_.Layout(), chunk.rows, nullptr, true);
  for (idx_t i = 0; i < count; i++) {
    if (i + 8 < count) rows_.Prefetch(batch_.HashOf(i + 8));
    bool created;
    uint8_t* row = rows_.FindOrCreate(batch_.Row(i), batch_.HashOf(i), created);
    if (created) order_.Add(row);
    int weight = Weight(chunk.KindOf(i));
    if (weight < 0) any_delete_ = true;
    rows_.Payload<Net>(row).weight += weight;
  }
  arena_->Balance();
}

void ConsolidateOperator::EndStep() {
  if (order_.empty()) return;
  if (key_ && any_delete_) {
    EmitByKey();
  } else {
    RowEmitter out(rows_.Layout(), [this](ChangeChunk& chunk) { Emit(chunk); });
    for (int sign : {-1, 1}) {
      for (idx_t i = 0; i < order_.size(); i++) {
        int64_t weight = rows_.Payload<Net>(order_[i]).weight;
        if (weight * sign > 0) out.AddWeighted(order_[i], weight);
      }
    }
    out.Finish();
  }
  rows_.Clear();
  order_.Clear();
  any_delete_ = false;
}

void ConsolidateOperator::EmitByKey() {
  RowList keys(*arena_);
  DataChunk key_chunk;
  if (!key_->empty())
    key_chunk.Initialize(duckdb::Allocator::DefaultAllocator(), keys_->Layout().Types());
  std::vector<uint8_t*> changed;
  for (idx_t i = 0; i < order_.size(); i++) {
    if (rows_.Payload<Net>(order_[i]).weight != 0) changed.push_back(order_[i]);
    if (changed.size() < kChunkRows && i + 1 < order_.size()) continue;
    AddToKeys(changed.data(), changed.size(), key_chunk, keys);
    changed.clear();
    arena_->Balance();
  }
  auto net = [this](uint8_t* row) -> Net& { return rows_.Payload<Net>(row); };
  RowEmitter out(rows_.Layout(), [this](ChangeChunk& chunk) { Emit(chunk); });
  for (idx_t i = 0; i < keys.size(); i++) {
    const Key& lists = keys_->Payload<Key>(keys[i]);
    uint8_t* before = lists.before;
    uint8_t* after = lists.after;
    bool pair = before && after && !net(before).next && !net(after).next &&
                net(before).weight == -1 && net(after).weight == 1;
    if (pair) {
      out.AddPair(before, after);
      continue;
    }
    for (; before; before = net(before).next) out.AddWeighted(before, net(before).weight);
    for (; after; after = net(after).next) out.AddWeighted(after, net(after).weight);
  }
  out.Finish();
  keys_->Clear();
}

/// Hangs changed rows on the lists of their keys.
void ConsolidateOperator::AddToKeys(uint8_t** rows, idx_t count, DataChunk& key_chunk,
                                    RowList& keys) {
  key_chunk.Reset();
  for (idx_t i = 0; i < key_->size(); i++) {
    rows_.Layout().Gather((*key_)[i], rows, count, key_chunk.data[i]);
  }
  key_chunk.SetCardinality(count);
  key_batch_.Fill(keys_->Layout(), key_chunk, nullptr, true);
  for (idx_t i = 0; i < count; i++) {
    bool created;
    uint8_t* key = keys_->FindOrCreate(key_batch_.Row(i), key_batch_.HashOf(i), created);
    if (created) keys.Add(key);
    Net& net = rows_.Payload<Net>(rows[i]);
    auto& list = net.weight < 0 ? keys_->Payload<Key>(key).before : keys_->Payload<Key>(key).after;
    net.next = list;
    list = rows[i];
  }
}

std::string ConsolidateOperator::Describe() const {
  if (!key_) return "CONSOLIDATE";
  std::string columns;
  for (idx_t column : *key_) columns += (columns.empty() ? "#" : ", #") + std::to_string(column);
  return "CONSOLIDATE by (" + columns + ")";
}

}  // namespace millrace
