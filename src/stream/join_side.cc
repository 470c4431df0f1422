#include "stream/join_side.h"

namespace millrace {

namespace {

duckdb::vector<LogicalType> TypesOf(const ExpressionList& expressions) {
  duckdb::vector<LogicalType> types;
  for (auto& expression : expressions) types.push_back(expression->return_type);
  return types;
}

}  // namespace

JoinKeys::JoinKeys(StateArena& arena, const ExpressionList& keys, std::vector<bool> null_matches,
                   idx_t sides, idx_t more_bytes)
    : RowTable(arena, RowLayout(TypesOf(keys), true), sides * sizeof(uint8_t*) + more_bytes),
      null_matches_(std::move(null_matches)),
      payload_bytes_(sides * sizeof(uint8_t*) + more_bytes) {}

bool JoinKeys::IsNull(const uint8_t* key) const {
  if (!Layout().AnyNull(key)) return false;
  for (idx_t i = 0; i < null_matches_.size(); i++) {
    if (!null_matches_[i] && Layout().IsNull(key, i)) return true;
  }
  return false;
}

bool JoinKeys::IsUnused(uint8_t* key) const {
  const uint64_t* payload = &Payload<uint64_t>(key);
  for (idx_t i = 0; i < payload_bytes_ / sizeof(uint64_t); i++) {
    if (payload[i] != 0) return false;
  }
  return true;
}

JoinSide::JoinSide(duckdb::ClientContext& context, StateArena& arena, JoinKeys& keys, idx_t side,
                   ExpressionList key_expressions, duckdb::vector<LogicalType> types)
    : arena_(arena),
      keys_(keys),
      side_(side),
      layout_(std::move(types)),
      values_(context, std::move(key_expressions)) {
  if (values_.Empty()) return;
  key_chunk_.Initialize(duckdb::Allocator::DefaultAllocator(), values_.Types());
}

void JoinSide::Start(bool append_only, bool matches, bool unknown) {
  append_only_ = append_only;
  idx_t at = layout_.Width() + sizeof(uint8_t*);
  auto take = [&](idx_t& offset, bool needed) {
    if (!needed) return;
    offset = at;
    at += sizeof(int64_t);
  };
  take(previous_at_, !append_only);
  take(copies_at_, !append_only);
  take(matches_at_, matches);
  take(unknown_at_, unknown);
  if (append_only) {
    plain_ = std::make_unique<RowStore>(arena_, at);
    strings_ = std::make_unique<StringStore>(arena_);
  } else {
    rows_ = std::make_unique<RowTable>(arena_, layout_, at - layout_.Width());
  }
}

// Without leaving out what did not change, each change of a balance would send all transactions of
// the account through the join, twice.
bool JoinSide::Pack(ChangeChunk& chunk, ChangeChunk& rest) {
  row_batch_.Fill(layout_, chunk.rows, nullptr, !append_only_);
  if (append_only_) return true;
  SelectionVector kept(chunk.size());
  idx_t count = 0;
  for (idx_t i = 0; i < chunk.size(); i++) {
    bool pair = i + 1 < chunk.size() && Weight(chunk.KindOf(i)) < 0 &&
                Weight(chunk.KindOf(i + 1)) > 0 &&
                row_batch_.HashOf(i) == row_batch_.HashOf(i + 1) &&
                layout_.Equal(row_batch_.Row(i), row_batch_.Row(i + 1));
    if (pair) {
      i++;
    } else {
      kept.set_index(count++, i);
    }
  }
  if (count == chunk.size()) return true;
  if (count == 0) return false;
  // What is left may form further pairs; each round drops some.
  rest.rows.InitializeEmpty(chunk.rows.GetTypes());
  rest.rows.Reference(chunk.rows);
  rest.rows.Slice(kept, count);
  for (idx_t i = 0; i < count; i++) rest.kinds.push_back(chunk.KindOf(kept.get_index(i)));
  return false;
}

void JoinSide::FindKeys(DataChunk& rows, idx_t count) {
  values_.Evaluate(rows, key_chunk_);
  key_chunk_.SetCardinality(count);
  key_batch_.Fill(keys_.Layout(), key_chunk_, nullptr, true);
  key_rows_.resize(count);
  keys_.FindOrCreateAll(key_batch_, count, key_rows_.data());
}

int64_t JoinSide::AddCopies(idx_t i, uint8_t* row, int64_t weight) {
  int64_t copies = At<int64_t>(row, copies_at_) += weight;
  if (copies == 0) Detach(key_rows_[i], row);
  return copies;
}

// A key may stand in the chunk more than once, and have gone by then: it is looked up anew.
void JoinSide::EraseUnusedKeys(idx_t count) {
  for (idx_t i = 0; i < count; i++) {
    if (keys_.IsUnused(key_rows_[i])) EraseIfUnused(i);
  }
}

void JoinSide::EraseIfUnused(idx_t i) {
  uint8_t* key = keys_.Find(key_batch_.Row(i), key_batch_.HashOf(i));
  if (key && keys_.IsUnused(key)) keys_.Erase(key);
}

uint8_t* JoinSide::Attach(uint8_t* key, const uint8_t* row, uint64_t hash) {
  bool created = true;
  uint8_t* stored = append_only_ ? NewPlain(row) : rows_->FindOrCreate(row, hash, created);
  if (created) Link(key, stored);
  return stored;
}

uint8_t* JoinSide::NewPlain(const uint8_t* row) {
  uint8_t* stored = plain_->New();
  memcpy(stored, row, layout_.Width());
  if (layout_.HasStrings()) strings_->Intern(layout_, stored);
  return stored;
}

/// Puts a new row in front of those of its key.
void JoinSide::Link(uint8_t* key, uint8_t* stored) {
  stored_++;
  uint8_t*& first = keys_.First(key, side_);
  Next(stored) = first;
  if (first && previous_at_) Previous(first) = stored;
  first = stored;
}

void JoinSide::Detach(uint8_t* key, uint8_t* row) {
  uint8_t* next = Next(row);
  uint8_t* previous = Previous(row);
  (previous ? Next(previous) : keys_.First(key, side_)) = next;
  if (next) Previous(next) = previous;
  stored_--;
  rows_->Erase(row);
}

Tracked* JoinSide::Rows() const {
  if (rows_) return rows_.get();
  return plain_.get();
}

int64_t JoinSide::Bytes() const {
  return rows_ ? rows_->Bytes() : plain_->Bytes() + strings_->Bytes();
}

RecordParts JoinSide::Parts() const {
  RecordParts parts = {RecordPart::Columns(layout_)};
  for (idx_t at : {copies_at_, matches_at_, unknown_at_}) {
    if (at) parts.push_back(RecordPart::Plain(at, sizeof(int64_t)));
  }
  return parts;
}

void JoinSide::SaveHead(StateWriter& writer) {
  writer.Put(static_cast<uint8_t>(append_only_));
  writer.PutTypes(layout_.Types());
  if (rows_) writer.PutGone(*rows_, {RecordPart::Columns(layout_)});
}

// Plain rows are known by the order in which they came: those that were there and have other
// numbers of partners now are told by their ordinals.
void JoinSide::SaveRows(StateWriter& writer) {
  RecordParts parts = Parts();
  if (rows_) return writer.PutRows(*rows_, parts);
  auto add = [&](uint8_t* row) { writer.Add(row); };
  auto settled = static_cast<idx_t>(settled_);
  settled_ = stored_;
  std::vector<const uint8_t*> rows;
  std::vector<idx_t> ordinals;
  if (matches_at_ && writer.Changes()) {
    for (idx_t i = 0; i < plain_->Changed().size(); i++) rows.push_back(plain_->Changed()[i]);
    ordinals = plain_->OrdinalsOf(rows);
    writer.BeginRecords(parts);
    for (idx_t i = 0; i < rows.size(); i++) {
      if (ordinals[i] >= settled) writer.Add(rows[i]);
    }
    writer.EndRecords();
  } else {
    writer.PutChanged(*plain_, parts, true, add);
  }
  parts[0] = RecordPart::Plain(0, sizeof(idx_t), 1);
  writer.BeginRecords(parts);
  for (idx_t i = 0; i < rows.size(); i++) {
    if (ordinals[i] < settled) writer.Add(rows[i], reinterpret_cast<uint8_t*>(&ordinals[i]));
  }
  writer.EndRecords();
}

void JoinSide::LoadHead(StateReader& reader) {
  if (reader.Get<uint8_t>() != static_cast<uint8_t>(append_only_)) {
    reader.Corrupt("an input was append-only then and is not now, or the reverse");
  }
  reader.ExpectTypes(layout_.Types());
  if (!rows_) return;
  reader.GetRecords({RecordPart::Columns(layout_)}, [&](RecordBlock& block) { LoadGone(block); });
}

void JoinSide::LoadRows(StateReader& reader) {
  RecordParts parts = Parts();
  std::optional<TableLoader> loader;
  if (rows_) loader.emplace(*rows_, reader);
  reader.GetRecords(parts,
                    [&](RecordBlock& block) { LoadBlock(block, loader ? &*loader : nullptr); });
  if (loader) loader->Finish();
  if (rows_) return;
  settled_ = stored_;
  parts[0] = RecordPart::Plain(0, sizeof(idx_t));
  reader.GetRecords(parts, [&](RecordBlock& block) {
    for (idx_t i = 0; i < block.count; i++) {
      auto ordinal = block.Value<idx_t>(0, i);
      if (ordinal >= static_cast<idx_t>(stored_)) reader.Corrupt("a row is not there");
      SetNumbers(plain_->At(ordinal), block, i);
    }
  });
}

void JoinSide::FindKeys(RecordBlock& block) {
  std::vector<const uint8_t*> rows(block.count);
  for (idx_t i = 0; i < block.count; i++) rows[i] = block.Row(0, i);
  DataChunk chunk;
  if (layout_.Columns() > 0) {
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), layout_.Types());
  }
  for (idx_t column = 0; column < layout_.Columns(); column++) {
    layout_.Gather(column, rows.data(), block.count, chunk.data[column]);
  }
  chunk.SetCardinality(block.count);
  FindKeys(chunk, block.count);
}

void JoinSide::LoadGone(RecordBlock& block) {
  FindKeys(block);
  for (idx_t i = 0; i < block.count; i++) {
    uint8_t* row = rows_->Find(block.Row(0, i), block.HashOf(i));
    if (row) Detach(key_rows_[i], row);
  }
  for (idx_t i = 0; i < block.count; i++) EraseIfUnused(i);
}

void JoinSide::LoadBlock(RecordBlock& block, TableLoader* loader) {
  constexpr idx_t kAhead = 8;
  FindKeys(block);
  if (loader) loader->Add(block);
  for (idx_t i = 0; i < block.count; i++) {
    if (i + kAhead < block.count) {
      if (uint8_t* next = keys_.First(key_rows_[i + kAhead], side_)) {
        __builtin_prefetch(&Next(next));
      }
    }
    uint8_t* row = loader ? loader->Row(i) : NewPlain(block.Row(0, i));
    if (!loader || loader->Created(i)) Link(key_rows_[i], row);
    SetNumbers(row, block, i);
  }
}

void JoinSide::SetNumbers(uint8_t* row, RecordBlock& block, idx_t i) const {
  idx_t part = 1;
  for (idx_t at : {copies_at_, matches_at_, unknown_at_}) {
    if (at) At<int64_t>(row, at) = block.Value<int64_t>(part++, i);
  }
}

}  // namespace millrace
