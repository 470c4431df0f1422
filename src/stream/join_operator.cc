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
      residual_(context, OneCondition(std::move(plan_.residual))),
      keys_(arena, plan_.left_keys, plan_.null_matches, 2, ByKey() ? sizeof(int64_t) : 0),
      sides_{{context, arena, keys_, 0, std::move(plan_.left_keys), plan_.left_types},
             {context, arena, keys_, 1, std::move(plan_.right_keys), plan_.right_types}},
      preserved_{plan_.kind == JoinKind::kLeft || plan_.kind == JoinKind::kFull || OneSided(),
                 plan_.kind == JoinKind::kRight || plan_.kind == JoinKind::kFull} {
  duckdb::vector<LogicalType> types, pair;
  for (idx_t column : plan_.left_output) types.push_back(plan_.left_types[column]);
  if (HasMark()) types.push_back(LogicalType::BOOLEAN);
  if (!OneSided()) {
    for (idx_t column : plan_.right_output) types.push_back(plan_.right_types[column]);
  }
  SetTypes(types);
  if (!types.empty()) out_.Initialize(types);
  if (residual_.Empty()) return;
  pair = plan_.left_types;
  pair.insert(pair.end(), plan_.right_types.begin(), plan_.right_types.end());
  pair_chunk_.Initialize(duckdb::Allocator::DefaultAllocator(), pair);
  verdict_.Initialize(duckdb::Allocator::DefaultAllocator(), {LogicalType::BOOLEAN});
}

std::unique_ptr<Operator> JoinOperator::Copy(duckdb::ClientContext& context,
                                             StateArena& arena) const {
  Plan plan;
  plan.kind = plan_.kind;
  plan.left_keys = CopyExpressions(sides_[0].KeyValues().Expressions());
  plan.right_keys = CopyExpressions(sides_[1].KeyValues().Expressions());
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
  if (sides_[port].KeyValues().Empty() || (HasMark() && ByKey())) return ShardRule::One();
  return ShardRule::ByKey(CopyExpressions(sides_[port].KeyValues().Expressions()));
}

// Not of a side whose columns are NULL in rows of the other that have no partner.
std::vector<std::optional<idx_t>> JoinOperator::OutputsOf(idx_t port) const {
  const ExpressionList& keys = sides_[port].KeyValues().Expressions();
  bool shown = port == 0 || !OneSided();
  if (!shown || (!OneSided() && preserved_[1 - port])) {
    return std::vector<std::optional<idx_t>>(keys.size());
  }
  return port == 0 ? OutputsOfColumns(keys, plan_.left_output)
                   : OutputsOfColumns(keys, plan_.right_output, plan_.left_output.size());
}

ChangelogType JoinOperator::Start(const std::vector<ChangelogType>& inputs) {
  for (idx_t i = 0; i < 2; i++) {
    bool judged = OneSided() ? i == 0 && !ByKey() : preserved_[i];
    sides_[i].Start(inputs[i] == ChangelogType::kAppend, judged, HasMark() && judged);
  }
  bool all_append = sides_[0].AppendOnly() && sides_[1].AppendOnly();
  bool keeps_append = plan_.kind == JoinKind::kInner || plan_.kind == JoinKind::kSemi;
  return all_append && keeps_append ? ChangelogType::kAppend : ChangelogType::kFull;
}

void JoinOperator::Push(idx_t port, ChangeChunk& chunk) {
  if (chunk.size() == 0) return;
  JoinSide& side = sides_[port];
  ChangeChunk rest;
  if (!side.Pack(chunk, rest)) return Push(port, rest);
  side.FindKeys(chunk.rows, chunk.size());
  Probe(port, chunk);
  FlushOut();
  Store(port, chunk);
}

void JoinOperator::Probe(idx_t port, ChangeChunk& chunk) {
  idx_t count = chunk.size(), other = 1 - port;
  bool by_key = ByKey();
  row_matches_.assign(count, 0);
  if (HasMark()) row_unknown_.assign(count, 0);
  bool next_to_each_other = residual_.Empty() && !by_key;
  JoinSide& own = sides_[port];
  JoinSide& others = sides_[other];
  for (idx_t i = 0; i < count; i++) {
    if (i + 4 < count) __builtin_prefetch(keys_.First(own.Key(i + 4), other));
    uint8_t* key = own.Key(i);
    int64_t weight = Weight(chunk.KindOf(i));
    if (by_key) {
      ProbeOneSidedByKey(port, i, key, weight);
      continue;
    }
    if (!keys_.IsNull(key)) {
      for (uint8_t* row = keys_.First(key, other); row; row = others.Next(row)) {
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
  int64_t& total = Total(key);
  bool null_key = keys_.IsNull(key);
  if (port == 0) {
    const uint8_t* row = sides_[0].Row(i);
    if (HasMark()) return Out(row, nullptr, weight, MarkOfKey(key));
    if (Shown(null_key ? 0 : total)) Out(row, nullptr, weight);
    return;
  }
  // The right side's totals count at once: rows of one chunk see each other.
  bool total_was = right_total_ > 0, nulls_was = right_nulls_ > 0;
  uint8_t before = HasMark() ? MarkOfKey(key) : 0;
  int64_t old_total = total;
  keys_.Touch(key);
  total += weight;
  right_total_ += weight;
  if (null_key) right_nulls_ += weight;
  if (total < 0) ThrowUnknownRow(Describe());
  if (!null_key && (old_total > 0) != (total > 0)) {
    uint8_t after = HasMark() ? MarkOfKey(key) : 0;
    for (uint8_t* row = keys_.First(key, 0); row; row = sides_[0].Next(row)) {
      int64_t count = sides_[0].Copies(row);
      if (HasMark()) {
        ChangeMark(row, before, after, count);
      } else {
        Out(row, nullptr, Shown(total) ? count : -count);
      }
    }
  }
  if (HasMark() && (total_was != (right_total_ > 0) || nulls_was != (right_nulls_ > 0))) {
    // The key at hand is settled only if its own mark came from a partner.
    if (!null_key && (old_total > 0) != (total > 0)) {
      int64_t keep = total;
      total = 1;  // Already shown with its new mark: leave it out.
      RefreshMarks(total_was, nulls_was);
      total = keep;
    } else {
      RefreshMarks(total_was, nulls_was);
    }
  }
}

uint8_t JoinOperator::MarkOfRow(int64_t matches, int64_t unknown) {
  return matches > 0 ? kTrue : unknown > 0 ? kUnknown : kFalse;
}

uint8_t JoinOperator::MarkOfKey(uint8_t* key) const {
  if (keys_.IsNull(key)) return right_total_ > 0 ? kUnknown : kFalse;
  if (Total(key) > 0) return kTrue;
  return right_nulls_ > 0 ? kUnknown : kFalse;
}

/// The right side became (or ceased to be) empty or free of NULLs: rows without partner change
/// their mark.
void JoinOperator::RefreshMarks(bool total_was, bool nulls_was) {
  keys_.ForEach([&](uint8_t* key) {
    bool null_key = keys_.IsNull(key);
    if (!null_key && Total(key) > 0) return;
    uint8_t before = (null_key ? total_was : nulls_was) ? kUnknown : kFalse;
    uint8_t after = (null_key ? right_total_ > 0 : right_nulls_ > 0) ? kUnknown : kFalse;
    for (uint8_t* row = keys_.First(key, 0); row; row = sides_[0].Next(row)) {
      ChangeMark(row, before, after, sides_[0].Copies(row));
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
    own[i] = sides_[port].Row(candidates_[i].row);
    partners[i] = candidates_[i].partner;
  }
  pair_chunk_.Reset();
  idx_t left_columns = plan_.left_types.size();
  for (idx_t side : {port, other}) {
    auto& rows = side == port ? own : partners;
    idx_t shift = side == 0 ? 0 : left_columns;
    for (idx_t i = 0; i < sides_[side].Layout().Columns(); i++) {
      sides_[side].Layout().Gather(i, rows.data(), count, pair_chunk_.data[shift + i]);
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
  int64_t count = sides_[other].Copies(partner);
  const uint8_t* own = sides_[port].Row(i);
  (unknown ? row_unknown_ : row_matches_)[i] += count;
  if (!OneSided()) {
    if (preserved_[other]) {
      int64_t& matches = sides_[other].Matches(partner);
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
  int64_t& matches = sides_[0].Matches(partner);
  int64_t before = matches;
  if (HasMark()) {
    uint8_t mark = MarkOfRow(matches, sides_[0].Unknown(partner));
    (unknown ? sides_[0].Unknown(partner) : matches) += weight;
    ChangeMark(partner, mark, MarkOfRow(matches, sides_[0].Unknown(partner)), count);
    return;
  }
  matches += weight;
  if ((before > 0) != (matches > 0)) Out(partner, nullptr, Shown(matches) ? count : -count);
}

/// All partners of row `i` are known.
void JoinOperator::FinishRow(idx_t port, idx_t i, int64_t weight) {
  if (!preserved_[port]) return;
  const uint8_t* own = sides_[port].Row(i);
  if (HasMark()) return Out(own, nullptr, weight, MarkOfRow(row_matches_[i], row_unknown_[i]));
  if (OneSided()) {
    if (Shown(row_matches_[i])) Out(own, nullptr, weight);
    return;
  }
  if (row_matches_[i] > 0) return;
  port == 0 ? Out(own, nullptr, weight) : Out(nullptr, own, weight);
}

void JoinOperator::Store(idx_t port, ChangeChunk& chunk) {
  JoinSide& side = sides_[port];
  idx_t count = chunk.size();
  bool keep_null_keys = HasMark() && ByKey() && port == 0;
  for (idx_t i = 0; i < count; i++) {
    if (i + 8 < count) side.PrefetchRow(i + 8);
    if (!keep_null_keys && keys_.IsNull(side.Key(i))) continue;
    if (ByKey() && port == 1) continue;  // Counted, not kept.
    uint8_t* stored = side.Attach(i);
    side.Touch(stored);
    if (side.HasMatches()) side.Matches(stored) = row_matches_[i];
    bool surplus = port == 0 && plan_.at_most_one && row_matches_[i] > 1;
    if (surplus && (side.AppendOnly() || side.Copies(stored) == 0)) surplus_++;
    if (side.HasUnknown()) side.Unknown(stored) = row_unknown_[i];
    if (side.AppendOnly()) continue;
    int64_t copies = side.AddCopies(i, stored, Weight(chunk.KindOf(i)));
    if (copies < 0) ThrowUnknownRow(Describe());
    if (surplus && copies == 0) surplus_--;
  }
  side.EraseUnusedKeys(count);
}

void JoinOperator::EndStep() {
  if (surplus_ == 0) return;
  Throw(ErrorCode::kData,
        "{}: a scalar subquery yields more than one row for {} outer row(s); make it an aggregate, "
        "or add LIMIT 1",
        Describe(), surplus_);
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
    sides_[0].Layout().Gather(source, out_left_.data(), count, out_.rows.data[column++]);
  }
  if (HasMark()) {
    auto marks = duckdb::FlatVector::GetData<bool>(out_.rows.data[column]);
    for (idx_t i = 0; i < count; i++) {
      marks[i] = out_marks_[i] == kTrue;
      if (out_marks_[i] == kUnknown) duckdb::FlatVector::SetNull(out_.rows.data[column], i, true);
    }
  } else if (!OneSided()) {
    for (idx_t source : plan_.right_output) {
      sides_[1].Layout().Gather(source, out_right_.data(), count, out_.rows.data[column++]);
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
  const Evaluator& left = sides_[0].KeyValues();
  if (!left.Empty()) {
    text += " ON " + left.ToString() + " = " + sides_[1].KeyValues().ToString();
  } else {
    text += " (nested loop)";
  }
  return residual_.Empty() ? text : text + " AND " + residual_.ToString();
}

std::string JoinOperator::DescribeState() const {
  return fmt::format("{} keys, {} left rows{}, {} right rows{}", keys_.Size(), sides_[0].Stored(),
                     sides_[0].AppendOnly() ? " (append)" : "", sides_[1].Stored(),
                     sides_[1].AppendOnly() ? " (append)" : "");
}

std::vector<Tracked*> JoinOperator::Stored() {
  std::vector<Tracked*> stored;
  if (ByKey()) stored.push_back(&keys_);  // Else the keys follow from the rows.
  for (JoinSide& side : sides_) stored.push_back(side.Rows());
  return stored;
}

void JoinOperator::Save(StateWriter& writer) {
  writer.Put(right_total_);
  writer.Put(right_nulls_);
  writer.PutTypes(keys_.Layout().Types());
  for (JoinSide& side : sides_) side.SaveHead(writer);
  if (ByKey()) {
    writer.PutTable(keys_, {RecordPart::Columns(keys_.Layout()),
                            RecordPart::Plain(keys_.Layout().Width() + kTotalAt, sizeof(int64_t))});
  }
  for (JoinSide& side : sides_) side.SaveRows(writer);
}

void JoinOperator::Load(StateReader& reader) {
  right_total_ = reader.Get<int64_t>();
  right_nulls_ = reader.Get<int64_t>();
  reader.ExpectTypes(keys_.Layout().Types());
  for (JoinSide& side : sides_) side.LoadHead(reader);
  if (ByKey()) {
    RecordParts parts = {RecordPart::Columns(keys_.Layout()),
                         RecordPart::Plain(0, sizeof(int64_t))};
    reader.GetRecords({parts[0]}, [&](RecordBlock& block) { EraseAll(keys_, block); });
    TableLoader loader(keys_, reader);
    reader.GetRecords(parts, [&](RecordBlock& block) {
      loader.Add(block);
      for (idx_t i = 0; i < block.count; i++) Total(loader.Row(i)) = block.Value<int64_t>(1, i);
    });
    loader.Finish();
  }
  for (JoinSide& side : sides_) side.LoadRows(reader);
}

int64_t JoinOperator::StateBytes() const {
  return keys_.Bytes() + sides_[0].Bytes() + sides_[1].Bytes();
}

}  // namespace millrace
