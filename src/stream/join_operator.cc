#include "stream/join_operator.h"

#include <algorithm>

#include "duckdb/planner/expression/bound_conjunction_expression.hpp"

namespace millrace {

namespace {

constexpr uint8_t kFalse = 0, kTrue = 1, kUnknown = 2;

ExpressionList OneCondition(ExpressionList conditions) {
  if (conditions.size() < 2) return conditions;
  auto all = duckdb::make_uniq<duckdb::BoundConjunctionExpression>(
      duckdb::ExpressionType::CONJUNCTION_AND);
  all->children = std::move(conditions);
  ExpressionList one;
  one.push_back(std::move(all));
  return one;
}

constexpr const char* kNames[] = {"INNER", "LEFT", "RIGHT", "FULL", "SEMI", "ANTI", "MARK"};

}  // namespace

JoinOperator::JoinOperator(duckdb::ClientContext& context, StateArena& arena, Plan plan)
    : Operator({}, &arena),
      plan_(std::move(plan)),
      residual_(context, OneCondition(std::move(plan_.residual))) {
  sides_[0].keys = std::make_unique<Evaluator>(context, std::move(plan_.left_keys));
  sides_[1].keys = std::make_unique<Evaluator>(context, std::move(plan_.right_keys));
  duckdb::vector<LogicalType> types, pair;
  for (idx_t column : plan_.left_output) types.push_back(plan_.left_types[column]);
  if (HasMark()) types.push_back(LogicalType::BOOLEAN);
  if (!OneSided()) {
    for (idx_t column : plan_.right_output) types.push_back(plan_.right_types[column]);
  }
  SetTypes(types);
  if (!types.empty()) out_.Initialize(types);
  pair = plan_.left_types;
  pair.insert(pair.end(), plan_.right_types.begin(), plan_.right_types.end());
  if (!residual_.Empty()) {
    pair_chunk_.Initialize(duckdb::Allocator::DefaultAllocator(), pair);
    verdict_.Initialize(duckdb::Allocator::DefaultAllocator(), {LogicalType::BOOLEAN});
  }
  for (Side& side : sides_) {
    if (!side.keys->Empty()) {
      side.key_chunk.Initialize(duckdb::Allocator::DefaultAllocator(), side.keys->Types());
    }
  }
  sides_[0].layout = RowLayout(plan_.left_types);
  sides_[1].layout = RowLayout(plan_.right_types);
  sides_[0].preserved =
      plan_.kind == JoinKind::kLeft || plan_.kind == JoinKind::kFull || OneSided();
  sides_[1].preserved = plan_.kind == JoinKind::kRight || plan_.kind == JoinKind::kFull;
  keys_ = std::make_unique<RowTable>(arena, RowLayout(sides_[0].keys->Types(), true),
                                     ByKey() ? sizeof(KeyHead) : offsetof(KeyHead, total));
}

std::unique_ptr<Operator> JoinOperator::Copy(duckdb::ClientContext& context,
                                             StateArena& arena) const {
  Plan plan;
  plan.kind = plan_.kind;
  plan.left_keys = CopyExpressions(sides_[0].keys->Expressions());
  plan.right_keys = CopyExpressions(sides_[1].keys->Expressions());
  plan.null_matches = plan_.null_matches;
  plan.residual = CopyExpressions(residual_.Expressions());
  plan.left_types = plan_.left_types;
  plan.right_types = plan_.right_types;
  plan.left_output = plan_.left_output;
  plan.right_output = plan_.right_output;
  plan.at_most_one = plan_.at_most_one;
  return std::make_unique<JoinOperator>(context, arena, std::move(plan));
}

// Marks by key alone depend on whether there is any row on the right, and any NULL.
ShardRule JoinOperator::RuleOf(idx_t port) const {
  if (sides_[port].keys->Empty() || (HasMark() && ByKey())) return ShardRule::One();
  return ShardRule::ByKey(CopyExpressions(sides_[port].keys->Expressions()));
}

// Not of a side whose columns are NULL in rows of the other that have no partner.
std::vector<std::optional<idx_t>> JoinOperator::OutputsOf(idx_t port) const {
  const ExpressionList& keys = sides_[port].keys->Expressions();
  bool shown = port == 0 || !OneSided();
  if (!shown || (!OneSided() && sides_[1 - port].preserved)) {
    return std::vector<std::optional<idx_t>>(keys.size());
  }
  return port == 0 ? OutputsOfColumns(keys, plan_.left_output)
                   : OutputsOfColumns(keys, plan_.right_output, plan_.left_output.size());
}

void JoinOperator::LayOut(Side& side, bool left) {
  idx_t at = side.layout.Width() + sizeof(uint8_t*);
  auto take = [&](idx_t& offset, bool needed) {
    if (!needed) return;
    offset = at;
    at += sizeof(int64_t);
  };
  take(side.previous_at, !side.append_only);
  take(side.count_at, !side.append_only);
  take(side.matches_at, OneSided() ? left && !ByKey() : side.preserved);
  take(side.unknown_at, HasMark() && left && !ByKey());
  if (side.append_only) {
    side.plain = std::make_unique<RowStore>(*arena_, at);
    side.strings = std::make_unique<StringStore>(*arena_);
  } else {
    side.rows = std::make_unique<RowTable>(*arena_, side.layout, at - side.layout.Width());
  }
}

ChangelogType JoinOperator::Start(const std::vector<ChangelogType>& inputs) {
  bool all_append = true;
  for (idx_t i = 0; i < 2; i++) {
    Side& side = sides_[i];
    side.append_only = inputs[i] == ChangelogType::kAppend;
    all_append = all_append && side.append_only;
    LayOut(side, i == 0);
  }
  bool keeps_append = plan_.kind == JoinKind::kInner || plan_.kind == JoinKind::kSemi;
  return all_append && keeps_append ? ChangelogType::kAppend : ChangelogType::kFull;
}

bool JoinOperator::NullKey(const uint8_t* key) const {
  if (!keys_->Layout().AnyNull(key)) return false;
  for (idx_t i = 0; i < plan_.null_matches.size(); i++) {
    if (!plan_.null_matches[i] && keys_->Layout().IsNull(key, i)) return true;
  }
  return false;
}

void JoinOperator::Push(idx_t port, ChangeChunk& chunk) {
  idx_t count = chunk.size();
  if (count == 0) return;
  Side& side = sides_[port];
  side.row_batch.Fill(side.layout, chunk.rows, nullptr, !side.append_only);
  if (!side.append_only && DropUnchanged(port, chunk)) return;
  side.keys->Evaluate(chunk.rows, side.key_chunk);
  side.key_chunk.SetCardinality(count);
  side.key_batch.Fill(keys_->Layout(), side.key_chunk, nullptr, true);
  key_rows_.resize(count);
  keys_->FindOrCreateAll(side.key_batch, count, key_rows_.data());
  Probe(port, chunk);
  FlushOut();
  Store(port, chunk);
}

// An update of columns that the query does not use leaves the row as it was: without this, each
// change of a balance would send all transactions of the account through the join, twice.
bool JoinOperator::DropUnchanged(idx_t port, ChangeChunk& chunk) {
  Side& side = sides_[port];
  SelectionVector kept(chunk.size());
  idx_t count = 0;
  for (idx_t i = 0; i < chunk.size(); i++) {
    bool pair = i + 1 < chunk.size() && Weight(chunk.KindOf(i)) < 0 &&
                Weight(chunk.KindOf(i + 1)) > 0 &&
                side.row_batch.HashOf(i) == side.row_batch.HashOf(i + 1) &&
                side.layout.Equal(side.row_batch.Row(i), side.row_batch.Row(i + 1));
    if (pair) {
      i++;
    } else {
      kept.set_index(count++, i);
    }
  }
  if (count == chunk.size()) return false;
  if (count == 0) return true;
  ChangeChunk changed;
  changed.rows.InitializeEmpty(chunk.rows.GetTypes());
  changed.rows.Reference(chunk.rows);
  changed.rows.Slice(kept, count);
  for (idx_t i = 0; i < count; i++) changed.kinds.push_back(chunk.KindOf(kept.get_index(i)));
  Push(port, changed);  // What is left may form further pairs; each round drops some.
  return true;
}

void JoinOperator::Probe(idx_t port, ChangeChunk& chunk) {
  idx_t count = chunk.size(), other = 1 - port;
  bool by_key = ByKey();
  row_matches_.assign(count, 0);
  if (HasMark()) row_unknown_.assign(count, 0);
  bool next_to_each_other = residual_.Empty() && !by_key;
  for (idx_t i = 0; i < count; i++) {
    if (i + 4 < count) __builtin_prefetch(HeadOf(key_rows_[i + 4]).first[other]);
    uint8_t* key = key_rows_[i];
    int64_t weight = Weight(chunk.KindOf(i));
    if (by_key) {
      ProbeOneSidedByKey(port, i, key, weight);
      continue;
    }
    if (!NullKey(key)) {
      for (uint8_t* row = HeadOf(key).first[other]; row; row = Next(other, row)) {
        if (next_to_each_other) {
          Matched(port, i, row, weight, false);
        } else {
          candidates_.push_back({static_cast<uint32_t>(i), row});
          if (candidates_.size() == kChunkRows) JudgeCandidates(port, chunk);
        }
      }
    }
    if (next_to_each_other) FinishRow(port, i, weight);
  }
  if (by_key || next_to_each_other) return;
  JudgeCandidates(port, chunk);
  for (idx_t i = 0; i < count; i++) FinishRow(port, i, Weight(chunk.KindOf(i)));
}

/// Semi, anti and mark joins without further conditions: only the number of partners of the key
/// counts.
void JoinOperator::ProbeOneSidedByKey(idx_t port, idx_t i, uint8_t* key, int64_t weight) {
  KeyHead& head = HeadOf(key);
  bool null_key = NullKey(key);
  if (port == 0) {
    const uint8_t* row = sides_[0].row_batch.Row(i);
    if (HasMark()) return Out(row, nullptr, weight, MarkOfKey(key));
    if (Shown(null_key ? 0 : head.total)) Out(row, nullptr, weight);
    return;
  }
  // The right side's totals count at once: rows of one chunk see each other.
  bool total_was = right_total_ > 0, nulls_was = right_nulls_ > 0;
  uint8_t before = HasMark() ? MarkOfKey(key) : 0;
  int64_t old_total = head.total;
  keys_->Touch(key);
  head.total += weight;
  right_total_ += weight;
  if (null_key) right_nulls_ += weight;
  if (head.total < 0) ThrowUnknownRow(Describe());
  if (!null_key && (old_total > 0) != (head.total > 0)) {
    uint8_t after = HasMark() ? MarkOfKey(key) : 0;
    for (uint8_t* row = head.first[0]; row; row = Next(0, row)) {
      int64_t count = Count(0, row);
      if (HasMark()) {
        ChangeMark(row, before, after, count);
      } else {
        Out(row, nullptr, Shown(head.total) ? count : -count);
      }
    }
  }
  if (HasMark() && (total_was != (right_total_ > 0) || nulls_was != (right_nulls_ > 0))) {
    // The key at hand is settled only if its own mark came from a partner.
    if (!null_key && (old_total > 0) != (head.total > 0)) {
      int64_t keep = head.total;
      head.total = 1;  // Already shown with its new mark: leave it out.
      RefreshMarks(total_was, nulls_was);
      head.total = keep;
    } else {
      RefreshMarks(total_was, nulls_was);
    }
  }
}

uint8_t JoinOperator::MarkOfRow(int64_t matches, int64_t unknown) {
  return matches > 0 ? kTrue : unknown > 0 ? kUnknown : kFalse;
}

uint8_t JoinOperator::MarkOfKey(uint8_t* key) const {
  if (NullKey(key)) return right_total_ > 0 ? kUnknown : kFalse;
  if (HeadOf(key).total > 0) return kTrue;
  return right_nulls_ > 0 ? kUnknown : kFalse;
}

/// The right side became (or ceased to be) empty or free of NULLs: rows without partner change
/// their mark.
void JoinOperator::RefreshMarks(bool total_was, bool nulls_was) {
  keys_->ForEach([&](uint8_t* key) {
    bool null_key = NullKey(key);
    if (!null_key && HeadOf(key).total > 0) return;
    uint8_t before = (null_key ? total_was : nulls_was) ? kUnknown : kFalse;
    uint8_t after = (null_key ? right_total_ > 0 : right_nulls_ > 0) ? kUnknown : kFalse;
    for (uint8_t* row = HeadOf(key).first[0]; row; row = Next(0, row)) {
      ChangeMark(row, before, after, Count(0, row));
    }
  });
}

void JoinOperator::ChangeMark(uint8_t* row, uint8_t before, uint8_t after, int64_t count) {
  if (before == after) return;
  Out(row, nullptr, -count, before);
  Out(row, nullptr, count, after);
}

void JoinOperator::JudgeCandidates(idx_t port, ChangeChunk& chunk) {
  idx_t count = candidates_.size(), other = 1 - port;
  if (count == 0) return;
  std::vector<const uint8_t*> own(count), partners(count);
  for (idx_t i = 0; i < count; i++) {
    own[i] = sides_[port].row_batch.Row(candidates_[i].row);
    partners[i] = candidates_[i].partner;
  }
  pair_chunk_.Reset();
  idx_t left_columns = plan_.left_types.size();
  for (idx_t side : {port, other}) {
    auto& rows = side == port ? own : partners;
    idx_t shift = side == 0 ? 0 : left_columns;
    for (idx_t i = 0; i < sides_[side].layout.Columns(); i++) {
      sides_[side].layout.Gather(i, rows.data(), count, pair_chunk_.data[shift + i]);
    }
  }
  pair_chunk_.SetCardinality(count);
  residual_.Evaluate(pair_chunk_, verdict_);
  UnifiedVectorFormat format;
  verdict_.data[0].ToUnifiedFormat(count, format);
  auto holds = UnifiedVectorFormat::GetData<bool>(format);
  for (idx_t i = 0; i < count; i++) {
    idx_t at = format.sel->get_index(i);
    bool unknown = !format.validity.RowIsValid(at);
    if (unknown ? !HasMark() : !holds[at]) continue;
    uint32_t row = candidates_[i].row;
    Matched(port, row, candidates_[i].partner, Weight(chunk.KindOf(row)), unknown);
  }
  candidates_.clear();
}

/// Row `i` of the chunk and `partner` of the other side belong together.
void JoinOperator::Matched(idx_t port, idx_t i, uint8_t* partner, int64_t weight, bool unknown) {
  idx_t other = 1 - port;
  int64_t count = Count(other, partner);
  const uint8_t* own = sides_[port].row_batch.Row(i);
  (unknown ? row_unknown_ : row_matches_)[i] += count;
  if (!OneSided()) {
    if (sides_[other].preserved) {
      int64_t& matches = Matches(other, partner);
      int64_t before = matches;
      sides_[other].Touch(partner);
      matches += weight;
      if (plan_.at_most_one) surplus_ += (matches > 1) - (before > 1);
      if ((before > 0) != (matches > 0)) {
        int64_t lonely = matches > 0 ? -count : count;
        port == 0 ? Out(nullptr, partner, lonely) : Out(partner, nullptr, lonely);
      }
    }
    port == 0 ? Out(own, partner, weight * count) : Out(partner, own, weight * count);
    return;
  }
  if (port == 0) return;  // Decided when all partners are known.
  sides_[0].Touch(partner);
  int64_t& matches = Matches(0, partner);
  int64_t before = matches;
  if (HasMark()) {
    uint8_t mark = MarkOfRow(matches, Unknown(0, partner));
    (unknown ? Unknown(0, partner) : matches) += weight;
    ChangeMark(partner, mark, MarkOfRow(matches, Unknown(0, partner)), count);
    return;
  }
  matches += weight;
  if ((before > 0) != (matches > 0)) Out(partner, nullptr, Shown(matches) ? count : -count);
}

/// All partners of row `i` are known.
void JoinOperator::FinishRow(idx_t port, idx_t i, int64_t weight) {
  if (!sides_[port].preserved) return;
  const uint8_t* own = sides_[port].row_batch.Row(i);
  if (HasMark()) return Out(own, nullptr, weight, MarkOfRow(row_matches_[i], row_unknown_[i]));
  if (OneSided()) {
    if (Shown(row_matches_[i])) Out(own, nullptr, weight);
    return;
  }
  if (row_matches_[i] > 0) return;
  port == 0 ? Out(own, nullptr, weight) : Out(nullptr, own, weight);
}

void JoinOperator::Store(idx_t port, ChangeChunk& chunk) {
  Side& side = sides_[port];
  idx_t count = chunk.size();
  bool keep_null_keys = HasMark() && ByKey() && port == 0;
  for (idx_t i = 0; i < count; i++) {
    if (side.rows && i + 8 < count) side.rows->Prefetch(side.row_batch.HashOf(i + 8));
    uint8_t* key = key_rows_[i];
    if (!keep_null_keys && NullKey(key)) continue;
    if (ByKey() && port == 1) continue;  // Counted, not kept.
    const uint8_t* row = side.row_batch.Row(i);
    uint8_t* stored = Attach(port, key, row, side.append_only ? 0 : side.row_batch.HashOf(i));
    side.Touch(stored);
    if (side.matches_at) Matches(port, stored) = row_matches_[i];
    bool surplus = port == 0 && plan_.at_most_one && row_matches_[i] > 1;
    if (surplus && (side.append_only || Count(port, stored) == 0)) surplus_++;
    if (side.unknown_at) Unknown(port, stored) = row_unknown_[i];
    if (side.append_only) continue;
    auto& copies = At<int64_t>(stored, side.count_at);
    copies += Weight(chunk.KindOf(i));
    if (copies < 0) ThrowUnknownRow(Describe());
    if (copies > 0) continue;
    if (surplus) surplus_--;
    Detach(port, key, stored);
  }
  // Keys without rows go; a key may stand in the chunk more than once, so look it up anew.
  for (idx_t i = 0; i < count; i++) {
    const KeyHead& seen = HeadOf(key_rows_[i]);
    if (!seen.first[0] && !seen.first[1]) EraseIfEmpty(side, i);
  }
}

void JoinOperator::EndStep() {
  if (surplus_ == 0) return;
  Throw(ErrorCode::kData,
        "{}: a scalar subquery yields more than one row for {} outer row(s); make it an aggregate, "
        "or add LIMIT 1",
        Describe(), surplus_);
}

/// The key of row `i` of the key batch.
void JoinOperator::EraseIfEmpty(Side& side, idx_t i) {
  uint8_t* key = keys_->Find(side.key_batch.Row(i), side.key_batch.HashOf(i));
  if (!key) return;
  KeyHead& head = HeadOf(key);
  if (!head.first[0] && !head.first[1] && (!ByKey() || head.total == 0)) keys_->Erase(key);
}

uint8_t* JoinOperator::Attach(idx_t which, uint8_t* key, const uint8_t* row, uint64_t hash) {
  Side& side = sides_[which];
  bool created = true;
  uint8_t* stored =
      side.append_only ? NewPlain(side, row) : side.rows->FindOrCreate(row, hash, created);
  if (created) Link(which, key, stored);
  return stored;
}

uint8_t* JoinOperator::NewPlain(Side& side, const uint8_t* row) {
  uint8_t* stored = side.plain->New();
  memcpy(stored, row, side.layout.Width());
  if (side.layout.HasStrings()) side.strings->Intern(side.layout, stored);
  return stored;
}

/// Puts a new row in front of those of its key.
void JoinOperator::Link(idx_t which, uint8_t* key, uint8_t* stored) {
  sides_[which].stored++;
  uint8_t*& first = HeadOf(key).first[which];
  Next(which, stored) = first;
  if (first && sides_[which].previous_at) Previous(which, first) = stored;
  first = stored;
}

void JoinOperator::Detach(idx_t which, uint8_t* key, uint8_t* row) {
  Side& side = sides_[which];
  uint8_t* next = Next(which, row);
  uint8_t* previous = Previous(which, row);
  (previous ? Next(which, previous) : HeadOf(key).first[which]) = next;
  if (next) Previous(which, next) = previous;
  side.stored--;
  side.rows->Erase(row);
}

void JoinOperator::Out(const uint8_t* left, const uint8_t* right, int64_t weight, uint8_t mark) {
  RowKind kind = weight > 0 ? RowKind::kInsert : RowKind::kDelete;
  for (int64_t n = weight > 0 ? weight : -weight; n > 0; n--) {
    out_left_.push_back(left);
    out_right_.push_back(right);
    if (HasMark()) out_marks_.push_back(mark);
    out_.kinds.push_back(kind);
    if (out_left_.size() == kChunkRows) FlushOut();
  }
}

void JoinOperator::FlushOut() {
  idx_t count = out_left_.size();
  if (count == 0) return;
  std::vector<RowKind> kinds = std::move(out_.kinds);
  out_.Reset();
  idx_t column = 0;
  for (idx_t source : plan_.left_output) {
    sides_[0].layout.Gather(source, out_left_.data(), count, out_.rows.data[column++]);
  }
  if (HasMark()) {
    auto marks = duckdb::FlatVector::GetData<bool>(out_.rows.data[column]);
    for (idx_t i = 0; i < count; i++) {
      marks[i] = out_marks_[i] == kTrue;
      if (out_marks_[i] == kUnknown) duckdb::FlatVector::SetNull(out_.rows.data[column], i, true);
    }
  } else if (!OneSided()) {
    for (idx_t source : plan_.right_output) {
      sides_[1].layout.Gather(source, out_right_.data(), count, out_.rows.data[column++]);
    }
  }
  out_.rows.SetCardinality(count);
  out_left_.clear();
  out_right_.clear();
  out_marks_.clear();
  if (std::find(kinds.begin(), kinds.end(), RowKind::kDelete) != kinds.end()) {
    out_.kinds = std::move(kinds);
  }
  Emit(out_);
  out_.kinds.clear();
}

std::string JoinOperator::Describe() const {
  std::string text = fmt::format("{} JOIN", kNames[static_cast<int>(plan_.kind)]);
  if (!sides_[0].keys->Empty()) {
    text += " ON " + sides_[0].keys->ToString() + " = " + sides_[1].keys->ToString();
  } else {
    text += " (nested loop)";
  }
  return residual_.Empty() ? text : text + " AND " + residual_.ToString();
}

std::string JoinOperator::DescribeState() const {
  return fmt::format("{} keys, {} left rows{}, {} right rows{}", keys_->Size(), sides_[0].stored,
                     sides_[0].append_only ? " (append)" : "", sides_[1].stored,
                     sides_[1].append_only ? " (append)" : "");
}

RecordParts JoinOperator::PartsOf(idx_t which) const {
  const Side& side = sides_[which];
  RecordParts parts = {RecordPart::Columns(side.layout)};
  for (idx_t at : {side.count_at, side.matches_at, side.unknown_at}) {
    if (at) parts.push_back(RecordPart::Plain(at, sizeof(int64_t)));
  }
  return parts;
}

std::vector<Tracked*> JoinOperator::Stored() {
  std::vector<Tracked*> stored;
  if (ByKey()) stored.push_back(keys_.get());  // Else the keys follow from the rows.
  for (Side& side : sides_) {
    side.rows ? stored.push_back(side.rows.get()) : stored.push_back(side.plain.get());
  }
  return stored;
}

void JoinOperator::Save(StateWriter& writer) {
  writer.Put(right_total_);
  writer.Put(right_nulls_);
  writer.PutTypes(keys_->Layout().Types());
  for (Side& side : sides_) {
    writer.Put(static_cast<uint8_t>(side.append_only));
    writer.PutTypes(side.layout.Types());
    if (side.rows) writer.PutGone(*side.rows, {RecordPart::Columns(side.layout)});
  }
  if (ByKey()) {
    idx_t total_at = keys_->Layout().Width() + offsetof(KeyHead, total);
    writer.PutTable(*keys_, {RecordPart::Columns(keys_->Layout()),
                             RecordPart::Plain(total_at, sizeof(int64_t))});
  }
  for (idx_t which = 0; which < 2; which++) SaveSide(which, writer);
}

// Plain rows are known by the order in which they came: those that were there and have other
// numbers of partners now are told by their ordinals.
void JoinOperator::SaveSide(idx_t which, StateWriter& writer) {
  Side& side = sides_[which];
  RecordParts parts = PartsOf(which);
  if (side.rows) return writer.PutRows(*side.rows, parts);
  auto add = [&](uint8_t* row) { writer.Add(row); };
  auto settled = static_cast<idx_t>(side.settled);
  side.settled = side.stored;
  std::vector<const uint8_t*> rows;
  std::vector<idx_t> ordinals;
  if (side.matches_at && writer.Changes()) {
    for (idx_t i = 0; i < side.plain->Changed().size(); i++) {
      rows.push_back(side.plain->Changed()[i]);
    }
    ordinals = side.plain->OrdinalsOf(rows);
    writer.BeginRecords(parts);
    for (idx_t i = 0; i < rows.size(); i++) {
      if (ordinals[i] >= settled) writer.Add(rows[i]);
    }
    writer.EndRecords();
  } else {
    writer.PutChanged(*side.plain, parts, true, add);
  }
  parts[0] = RecordPart::Plain(0, sizeof(idx_t), 1);
  writer.BeginRecords(parts);
  for (idx_t i = 0; i < rows.size(); i++) {
    if (ordinals[i] < settled) writer.Add(rows[i], reinterpret_cast<uint8_t*>(&ordinals[i]));
  }
  writer.EndRecords();
}

void JoinOperator::Load(StateReader& reader) {
  right_total_ = reader.Get<int64_t>();
  right_nulls_ = reader.Get<int64_t>();
  const RowLayout& layout = keys_->Layout();
  reader.ExpectTypes(layout.Types());
  for (idx_t which = 0; which < 2; which++) {
    Side& side = sides_[which];
    if (reader.Get<uint8_t>() != static_cast<uint8_t>(side.append_only)) {
      reader.Corrupt("an input was append-only then and is not now, or the reverse");
    }
    reader.ExpectTypes(side.layout.Types());
    if (!side.rows) continue;
    reader.GetRecords({RecordPart::Columns(side.layout)},
                      [&](RecordBlock& block) { LoadGone(which, block); });
  }
  if (ByKey()) {
    RecordParts parts = {RecordPart::Columns(layout), RecordPart::Plain(0, sizeof(int64_t))};
    reader.GetRecords({parts[0]}, [&](RecordBlock& block) { EraseAll(*keys_, block); });
    TableLoader loader(*keys_, reader);
    reader.GetRecords(parts, [&](RecordBlock& block) {
      loader.Add(block);
      for (idx_t i = 0; i < block.count; i++) {
        HeadOf(loader.Row(i)).total = block.Value<int64_t>(1, i);
      }
    });
    loader.Finish();
  }
  for (idx_t which = 0; which < 2; which++) {
    Side& side = sides_[which];
    RecordParts parts = PartsOf(which);
    std::optional<TableLoader> loader;
    if (side.rows) loader.emplace(*side.rows, reader);
    reader.GetRecords(
        parts, [&](RecordBlock& block) { LoadRows(which, block, loader ? &*loader : nullptr); });
    if (loader) loader->Finish();
    if (side.rows) continue;
    side.settled = side.stored;
    parts[0] = RecordPart::Plain(0, sizeof(idx_t));
    reader.GetRecords(parts, [&](RecordBlock& block) {
      for (idx_t i = 0; i < block.count; i++) {
        auto ordinal = block.Value<idx_t>(0, i);
        if (ordinal >= static_cast<idx_t>(side.stored)) reader.Corrupt("a row is not there");
        SetCounts(side, side.plain->At(ordinal), block, i);
      }
    });
  }
}

void JoinOperator::FindKeys(idx_t which, RecordBlock& block) {
  Side& side = sides_[which];
  std::vector<const uint8_t*> rows(block.count);
  for (idx_t i = 0; i < block.count; i++) rows[i] = block.Row(0, i);
  DataChunk chunk;
  if (side.layout.Columns() > 0) {
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), side.layout.Types());
  }
  for (idx_t column = 0; column < side.layout.Columns(); column++) {
    side.layout.Gather(column, rows.data(), block.count, chunk.data[column]);
  }
  chunk.SetCardinality(block.count);
  side.keys->Evaluate(chunk, side.key_chunk);
  side.key_chunk.SetCardinality(block.count);
  side.key_batch.Fill(keys_->Layout(), side.key_chunk, nullptr, true);
  key_rows_.resize(block.count);
  keys_->FindOrCreateAll(side.key_batch, block.count, key_rows_.data());
}

void JoinOperator::LoadGone(idx_t which, RecordBlock& block) {
  Side& side = sides_[which];
  FindKeys(which, block);
  for (idx_t i = 0; i < block.count; i++) {
    uint8_t* row = side.rows->Find(block.Row(0, i), block.HashOf(i));
    if (row) Detach(which, key_rows_[i], row);
  }
  for (idx_t i = 0; i < block.count; i++) EraseIfEmpty(side, i);
}

void JoinOperator::LoadRows(idx_t which, RecordBlock& block, TableLoader* loader) {
  constexpr idx_t kAhead = 8;
  Side& side = sides_[which];
  FindKeys(which, block);
  if (loader) loader->Add(block);
  for (idx_t i = 0; i < block.count; i++) {
    if (i + kAhead < block.count) {
      if (uint8_t* next = HeadOf(key_rows_[i + kAhead]).first[which]) {
        __builtin_prefetch(&Next(which, next));
      }
    }
    uint8_t* row = loader ? loader->Row(i) : NewPlain(side, block.Row(0, i));
    if (!loader || loader->Created(i)) Link(which, key_rows_[i], row);
    SetCounts(side, row, block, i);
  }
}

void JoinOperator::SetCounts(const Side& side, uint8_t* row, RecordBlock& block, idx_t i) {
  idx_t part = 1;
  for (idx_t at : {side.count_at, side.matches_at, side.unknown_at}) {
    if (at) At<int64_t>(row, at) = block.Value<int64_t>(part++, i);
  }
}

int64_t JoinOperator::StateBytes() const {
  int64_t bytes = keys_->Bytes();
  for (const Side& side : sides_) {
    bytes += side.rows ? side.rows->Bytes() : side.plain->Bytes() + side.strings->Bytes();
  }
  return bytes;
}

}  // namespace millrace
