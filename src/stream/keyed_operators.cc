#include "stream/keyed_operators.h"

#include <algorithm>

namespace millrace {

namespace {

constexpr idx_t kKeysAtOnce = kChunkRows / 2;  // Each may emit two rows.

duckdb::vector<LogicalType> Pick(const duckdb::vector<LogicalType>& types,
                                 const std::vector<idx_t>& columns) {
  duckdb::vector<LogicalType> picked;
  for (idx_t column : columns) picked.push_back(types[column]);
  return picked;
}

std::vector<idx_t> AllBut(const UniqueKey& key, idx_t count) {
  std::vector<idx_t> others;
  for (idx_t column = 0; column < count; column++) {
    if (std::find(key.begin(), key.end(), column) == key.end()) others.push_back(column);
  }
  return others;
}

}  // namespace

KeyedOperator::KeyedOperator(StateArena& arena, duckdb::vector<LogicalType> types, UniqueKey key,
                             std::string what)
    : Operator(types, &arena),
      key_(std::move(key)),
      what_(std::move(what)),
      keys_(arena, RowLayout(Pick(types, key_), true),
            sizeof(Head) + RowLayout(Pick(types, AllBut(key_, types.size()))).Width()),
      layout_(Pick(types, AllBut(key_, types.size()))),
      row_at_(keys_.Layout().Width() + sizeof(Head)),
      source_(types.size()),
      others_(AllBut(key_, types.size())),
      touched_(arena) {
  for (idx_t i = 0; i < key_.size(); i++) source_[key_[i]] = i;
  for (idx_t i = 0; i < others_.size(); i++) source_[others_[i]] = key_.size() + i;
  out_.Initialize(types);
}

void KeyedOperator::Push(idx_t, ChangeChunk& chunk) {
  idx_t count = chunk.size();
  if (count == 0) return;
  key_batch_.Fill(keys_.Layout(), chunk.rows, &key_, true);
  batch_.Fill(layout_, chunk.rows, &others_, false);
  found_.resize(count);
  keys_.FindOrCreateAll(key_batch_, count, found_.data());
  for (idx_t i = 0; i < count; i++) {
    Head& head = HeadOf(found_[i]);
    if (!head.touched) {
      head.touched = 1;
      touched_.Add(found_[i]);
    }
    Change(found_[i], batch_.Row(i), chunk.KindOf(i));
  }
  arena_->Balance();
}

void KeyedOperator::EndStep() {
  for (idx_t start = 0, count; start < touched_.size(); start += count) {
    uint8_t** keys = touched_.Stretch(start, kKeysAtOnce, count);
    Show(keys, count);
  }
  touched_.Clear();
}

void KeyedOperator::Show(uint8_t** keys, idx_t count) {
  auto add = [&](const uint8_t* key, const uint8_t* row, RowKind kind) {
    out_keys_.push_back(key);
    out_rows_.push_back(row);
    out_.kinds.push_back(kind);
  };
  wanted_.resize(count);
  for (idx_t i = 0; i < count; i++) {
    const uint8_t* before = HeadOf(keys[i]).shown ? RowOf(keys[i]) : nullptr;
    const uint8_t* wanted = wanted_[i] = Wanted(keys[i]);
    if (before && wanted) {
      if (before == wanted || layout_.Equal(before, wanted)) continue;
      add(keys[i], before, RowKind::kUpdateBefore);
      add(keys[i], wanted, RowKind::kUpdateAfter);
    } else if (before) {
      add(keys[i], before, RowKind::kDelete);
    } else if (wanted) {
      add(keys[i], wanted, RowKind::kInsert);
    }
  }
  EmitRows();
  for (idx_t i = 0; i < count; i++) {
    HeadOf(keys[i]).touched = 0;
    keys_.Touch(keys[i]);
    Settle(keys[i], wanted_[i]);
    if (!wanted_[i]) keys_.Erase(keys[i]);
  }
}

void KeyedOperator::EmitRows() {
  idx_t count = out_rows_.size();
  if (count == 0) return;
  std::vector<RowKind> kinds = std::move(out_.kinds);
  out_.Reset();
  for (idx_t column = 0; column < source_.size(); column++) {
    idx_t source = source_[column];
    if (source < key_.size()) {
      keys_.Layout().Gather(source, out_keys_.data(), count, out_.rows.data[column]);
    } else {
      layout_.Gather(source - key_.size(), out_rows_.data(), count, out_.rows.data[column]);
    }
  }
  out_.rows.SetCardinality(count);
  out_.kinds = std::move(kinds);
  out_keys_.clear();
  out_rows_.clear();
  Emit(out_);
  out_.kinds.clear();
}

void KeyedOperator::Fill(uint8_t* key, const uint8_t* row) {
  memcpy(RowOf(key), row, layout_.Width());
  keys_.Strings().Intern(layout_, RowOf(key));
}

RecordParts KeyedOperator::Parts() const {
  return {RecordPart::Columns(keys_.Layout()), RecordPart::Columns(layout_, row_at_)};
}

void KeyedOperator::LoadKeys(StateReader& reader, const RecordParts& parts) {
  reader.GetRecords({parts[0]}, [&](RecordBlock& block) {
    EraseAll(keys_, block, [&](uint8_t* key) { Empty(key); });
  });
  TableLoader loader(keys_, reader);
  reader.GetRecords(parts, [&](RecordBlock& block) {
    loader.Add(block);
    for (idx_t i = 0; i < block.count; i++) {
      uint8_t* key = loader.Row(i);
      if (!loader.Created(i)) Empty(key);
      Fill(key, block.Row(1, i));
      HeadOf(key).count = 1;
      if (parts.size() > 2) memcpy(key + parts[2].offset, block.Row(2, i), parts[2].bytes);
      HeadOf(key).shown = 1;
    }
  });
  loader.Finish();
}

std::string KeyedOperator::KeyText() const {
  std::string columns;
  for (idx_t column : key_) columns += (columns.empty() ? "#" : ", #") + std::to_string(column);
  return "(" + columns + ")";
}

NormaliseOperator::NormaliseOperator(StateArena& arena, duckdb::vector<LogicalType> types,
                                     UniqueKey key)
    : KeyedOperator(arena, std::move(types), std::move(key), "NORMALISE"),
      next_(arena, layout_.Width()) {}

// A key that shows nothing yet holds its newest row itself, with count 1. One that shows a row
// keeps it until the step ends; its newest row is `other`, and count 0 says that it has none.
void NormaliseOperator::Change(uint8_t* key, const uint8_t* row, RowKind kind) {
  if (kind == RowKind::kUpdateBefore) return;
  Head& head = HeadOf(key);
  bool gone = kind == RowKind::kDelete;
  if (!head.shown) {
    if (head.count) Empty(key);
    head.count = gone ? 0 : 1;
    if (!gone) Fill(key, row);
    return;
  }
  Forget(head);
  head.count = gone ? 0 : 1;
  if (gone) return;
  head.other = next_.New();
  memcpy(head.other, row, layout_.Width());
  keys_.Strings().Intern(layout_, head.other);
}

void NormaliseOperator::Forget(Head& head) {
  if (!head.other) return;
  keys_.Strings().Release(layout_, head.other);
  next_.Free(head.other);
  head.other = nullptr;
}

const uint8_t* NormaliseOperator::Wanted(uint8_t* key) {
  Head& head = HeadOf(key);
  if (!head.count) return nullptr;
  return head.other ? head.other : RowOf(key);
}

void NormaliseOperator::Settle(uint8_t* key, const uint8_t* wanted) {
  Head& head = HeadOf(key);
  if (!wanted) {
    if (head.shown) Empty(key);
    return;
  }
  if (head.other) {
    Empty(key);
    memcpy(RowOf(key), head.other, layout_.Width());  // With its strings.
    next_.Free(head.other);
    head.other = nullptr;
  }
  head.shown = 1;
}

void NormaliseOperator::Save(StateWriter& writer) {
  writer.PutTypes(Types());
  writer.PutTable(keys_, Parts());
}

void NormaliseOperator::Load(StateReader& reader) {
  reader.ExpectTypes(Types());
  LoadKeys(reader, Parts());
}

SinkKeyOperator::SinkKeyOperator(StateArena& arena, duckdb::vector<LogicalType> types,
                                 UniqueKey key)
    : KeyedOperator(arena, std::move(types), std::move(key), "SINK KEY"),
      others_(arena, layout_, sizeof(Other), true) {}

auto SinkKeyOperator::Heap() const {
  auto links = [this](uint8_t* row) -> HeapLinks& { return others_.Payload<Other>(row).links; };
  auto above = [this](const uint8_t* a, const uint8_t* b) {
    return layout_.CompareRows(a, b) > 0;  // They agree in the columns of the key.
  };
  return RowHeap(links, above);
}

void SinkKeyOperator::Change(uint8_t* key, const uint8_t* row, RowKind kind) {
  Head& head = HeadOf(key);
  int64_t weight = Weight(kind);
  bool filled = head.shown || head.count > 0;
  if (!filled && !head.other && weight > 0) {
    Fill(key, row);
    head.count = weight;
  } else if (filled && layout_.Equal(RowOf(key), row)) {
    head.count += weight;
    if (head.count < 0) ThrowUnknownRow(what_);
    if (head.count == 0 && !head.shown) Empty(key);
  } else {
    AddOther(key, row, weight);
  }
}

void SinkKeyOperator::AddOther(uint8_t* key, const uint8_t* row, int64_t weight) {
  bool created;
  uint8_t* other = others_.FindOrCreate(row, layout_.Hash(row), created, key);
  others_.Touch(other);
  int64_t& count = others_.Payload<Other>(other).count;
  count += weight;
  if (count < 0) ThrowUnknownRow(what_);
  if (created) Heap().Insert(HeadOf(key).other, other);
  if (count > 0) return;
  Heap().Remove(HeadOf(key).other, other);
  others_.Erase(other);
}

const uint8_t* SinkKeyOperator::Wanted(uint8_t* key) {
  Head& head = HeadOf(key);
  if (head.count == 0) return head.other;
  bool here = !head.other || layout_.CompareRows(RowOf(key), head.other) > 0;
  return here ? RowOf(key) : head.other;
}

void SinkKeyOperator::Settle(uint8_t* key, const uint8_t* wanted) {
  Head& head = HeadOf(key);
  if (wanted == RowOf(key)) {
    head.shown = 1;
    return;
  }
  if (head.count > 0) AddOther(key, RowOf(key), head.count);  // Not the greatest any more.
  if (head.shown || head.count > 0) Empty(key);
  head.shown = 0;
  head.count = 0;
  if (!wanted) return;
  auto other = const_cast<uint8_t*>(wanted);
  Fill(key, other);
  head.count = others_.Payload<Other>(other).count;
  head.shown = 1;
  Heap().Remove(head.other, other);
  others_.Erase(other);
}

RecordParts SinkKeyOperator::KeyParts() const {
  RecordParts parts = Parts();
  parts.push_back(RecordPart::Plain(keys_.Layout().Width() + sizeof(uint8_t*), sizeof(int64_t)));
  return parts;
}

/// The row, its key (of the key's own row), how many there are.
RecordParts SinkKeyOperator::OtherParts() const {
  return {RecordPart::Columns(layout_), RecordPart::Columns(keys_.Layout(), 0, 1),
          RecordPart::Plain(layout_.Width() + offsetof(Other, count), sizeof(int64_t))};
}

// Rows that have gone come before the keys that have: they are found by their keys.
void SinkKeyOperator::Save(StateWriter& writer) {
  RecordParts parts = OtherParts();
  auto add = [&](uint8_t* row) { writer.Add(row, others_.Payload<Other>(row).key); };
  writer.PutTypes(Types());
  writer.PutChanged(others_, {parts[0], parts[1]}, false, add);
  writer.PutTable(keys_, KeyParts());
  writer.PutChanged(others_, parts, true, add);
}

void SinkKeyOperator::Load(StateReader& reader) {
  RecordParts parts = OtherParts();
  reader.ExpectTypes(Types());
  reader.GetRecords({parts[0], parts[1]}, [&](RecordBlock& block) { LoadOthers(block, true); });
  LoadKeys(reader, KeyParts());
  reader.GetRecords(parts, [&](RecordBlock& block) {
    if (!LoadOthers(block, false)) reader.Corrupt("it holds a row of a key that is not there");
  });
}

bool SinkKeyOperator::LoadOthers(RecordBlock& block, bool gone) {
  bool found = true;
  for (idx_t i = 0; i < block.count; i++) {
    const uint8_t* row = block.Row(0, i);
    uint8_t* key = keys_.Find(block.Row(1, i), keys_.Layout().Hash(block.Row(1, i)));
    found = found && (key || gone);
    if (!key) continue;
    uint8_t* there = others_.Find(row, layout_.Hash(row), key);
    int64_t before = there ? others_.Payload<Other>(there).count : 0;
    int64_t now = gone ? 0 : block.Value<int64_t>(2, i);
    if (now != before) AddOther(key, row, now - before);
  }
  return found;
}

}  // namespace millrace
